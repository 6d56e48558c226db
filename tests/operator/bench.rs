//! A running operator and what stands around it: cluster, engine, key ring, clock. What a test says in one line.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supercargo::{
    api::{SecretEnv, validate::Policy},
    clock::Clock,
    controllers::{
        context::Options,
        ring::Place,
        run::{Operator, Setup},
    },
    engine::{Engine, fake::Fake},
    execute::{HostFiles, Program},
    seal::{Context, Plaintext, Ring, ScopeKind, SystemEntropy, seal},
    secrets::{host::HostCredentials, keyring::KEYRING_SECRET, keyring_file},
    state::{
        build::Settings,
        container::{ContainerId, ContainerView, RunState},
        owner::Instance,
    },
    telemetry::metrics::Metrics,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::cluster::Cluster;

pub const NS: &str = "shop";
pub const DEPLOYMENTS: &str = "dockerdeployments";
pub const SECRETS: &str = "dockersecrets";

/// Tokio's time on a calendar; not on a whole second, as no real clock is. Somebody may set it.
pub struct VirtualClock {
    begun: Instant,
    /// How many seconds it was set forward.
    set: AtomicI64,
}

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            set: AtomicI64::new(0),
        })
    }

    /// Sets it forward, or back.
    pub fn jump(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_nanosecond(1_790_000_000_123_456_789).unwrap();
        let set = SignedDuration::from_secs(self.set.load(Ordering::SeqCst));
        start + SignedDuration::try_from(self.begun.elapsed()).unwrap() + set
    }
}

type Gauges = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// See the file's header.
pub struct Bench {
    pub cluster: Cluster,
    pub fake: Fake,
    /// The engine's and the API server's, too, as on one host.
    pub clock: Arc<VirtualClock>,
    pub ring: Arc<Ring>,
    pub dir: tempfile::TempDir,
    pub instance: String,
    /// The ring is the Secret's, not the file's.
    pub ring_is_in_secret: bool,
    pub new_cluster: bool,
    /// The namespaces that it watches; all when empty.
    pub namespaces: Vec<String>,
    /// Where it keeps files itself.
    pub host_files: Option<HostFiles>,
    /// The flag `--default-secret-env`.
    pub secret_env: SecretEnv,
    /// The file that is the program: another one is another version.
    pub program: &'static str,
    /// Those whose core Secrets it reads.
    pub core_secrets: Vec<String>,
    pub policy: Policy,
    pub metrics: Metrics,
    pub audit_log: Option<std::path::PathBuf>,
    pub files_check_interval: Duration,
    gauges: Option<Gauges>,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Bench {
    /// A cluster and an engine with the images `app:1` and `app:2`; no operator yet.
    pub fn still() -> Self {
        let clock = VirtualClock::new();
        Self::at(Cluster::new(Arc::<VirtualClock>::clone(&clock)), clock)
    }

    /// The same with a cluster that began as every one does, and whose own loops run.
    pub async fn started() -> Self {
        let clock = VirtualClock::new();
        Self::at(Cluster::started(Arc::<VirtualClock>::clone(&clock)).await, clock)
    }

    fn at(cluster: Cluster, clock: Arc<VirtualClock>) -> Self {
        let fake = Fake::new(Arc::<VirtualClock>::clone(&clock));
        fake.add_image("app:1");
        fake.add_image("app:2");
        static RING: std::sync::OnceLock<Arc<Ring>> = std::sync::OnceLock::new();
        let ring = RING.get_or_init(|| Arc::new(Ring::generate(clock.now(), &mut SystemEntropy).unwrap()));
        let dir = tempfile::tempdir().unwrap();
        for name in [NS, "supercargo-system"] {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            cluster.put("namespaces", namespace);
        }
        let bench = Self {
            cluster,
            fake,
            clock,
            ring: Arc::clone(ring),
            dir,
            instance: "instance-1".to_owned(),
            ring_is_in_secret: false,
            new_cluster: false,
            namespaces: Vec::new(),
            host_files: None,
            secret_env: SecretEnv::Plain,
            program: "Cargo.toml",
            core_secrets: Vec::new(),
            policy: Policy::default(),
            metrics: Metrics::default(),
            audit_log: None,
            files_check_interval: Duration::from_secs(600),
            gauges: None,
            running: None,
        };
        bench.restore_ring();
        bench
    }

    /// The same with an operator that runs.
    pub fn running() -> Self {
        let mut bench = Self::still();
        bench.start();
        bench
    }

    pub fn ring_path(&self) -> std::path::PathBuf {
        self.dir.path().join("ring")
    }

    pub fn restore_ring(&self) {
        keyring_file::create(&self.ring_path(), &self.ring).unwrap();
    }

    pub fn lose_ring(&self) {
        std::fs::remove_file(self.ring_path()).unwrap();
    }

    pub fn start(&mut self) {
        self.start_on(self.fake.clone());
    }

    /// Starts an operator on an engine, which may be a decorated one.
    pub fn start_on<E: Engine>(&mut self, engine: E) {
        let (stop, stopped) = watch::channel(false);
        let operator = Operator::new(self.setup(engine));
        self.gauges = Some(operator.gauges());
        self.running = Some((stop, tokio::spawn(operator.run(stopped))));
    }

    fn setup<E: Engine>(&self, engine: E) -> Setup<E> {
        // To the fake engine any file is a program.
        let program = Program::of_file(std::path::Path::new(self.program)).unwrap();
        Setup {
            client: self.cluster.client(),
            engine: Arc::new(engine),
            options: Options {
                instance: Instance::new(self.instance.clone()),
                policy: Policy {
                    secret_env: self.secret_env,
                    ..self.policy.clone()
                },
                settings: Settings {
                    publish_address: "127.0.0.1".to_owned(),
                    agent: program.image().clone(),
                    dns: Vec::new(),
                },
                program,
                pool: "10.213.0.0/16".parse().unwrap(),
                host_routes: Vec::new(),
                operator_namespace: "supercargo-system".to_owned(),
                host_files: self.host_files.clone(),
                host_credentials: HostCredentials::new(self.dir.path().join("config.json")),
            },
            keyring: if self.ring_is_in_secret {
                Place::Secret(KEYRING_SECRET.to_owned())
            } else {
                Place::File(self.ring_path())
            },
            new_cluster: self.new_cluster,
            namespaces: self.namespaces.clone(),
            core_secrets: self.core_secrets.clone(),
            clock: Arc::<VirtualClock>::clone(&self.clock),
            reporter: "test".to_owned(),
            metrics: self.metrics.clone(),
            audit_log: self.audit_log.clone(),
            files_check_interval: self.files_check_interval,
        }
    }

    /// What somebody who scrapes reads now.
    pub fn scrape(&self) -> String {
        self.gauges.as_ref().unwrap()(&self.metrics);
        self.metrics.text()
    }

    /// Asks the operator to end, and waits until it has.
    pub async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(120), task)
            .await
            .expect("the operator did not end")
            .unwrap();
    }

    /// Ends it as kill -9 does.
    pub async fn kill(&mut self) {
        let (_, task) = self.running.take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// Waits at most two minutes (of virtual time) for a level, and says what was there instead.
    pub async fn eventually(&self, what: &str, level: impl Fn(&Self) -> bool) {
        self.within(120, what, level).await;
    }

    pub async fn within(&self, seconds: u64, what: &str, level: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        while !level(self) {
            assert!(
                Instant::now() < end,
                "not within {seconds} s: {what}\n{}",
                self.report()
            );
            let soon = begin.elapsed() < Duration::from_secs(5);
            sleep(Duration::from_millis(if soon { 50 } else { 500 })).await;
        }
    }

    /// Lets time pass and requires a level at every moment of it.
    pub async fn always(&self, seconds: u64, what: &str, level: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            assert!(level(self), "no longer: {what}\n{}", self.report());
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn report(&self) -> String {
        let containers: Vec<String> = self
            .fake
            .containers()
            .iter()
            .map(|c| format!("{} {:?} {:?}", c.name, c.state, c.exit))
            .collect();
        let objects: Vec<String> = self
            .cluster
            .all(DEPLOYMENTS)
            .iter()
            .map(|d| format!("{} {}", d["metadata"], d["status"]))
            .collect();
        let events: Vec<String> = self
            .events()
            .into_iter()
            .map(|(r, n)| format!("{r}: {n}"))
            .collect();
        format!(
            "containers:\n{}\nobjects:\n{}\nevents:\n{}\ncalls: {:?}",
            containers.join("\n"),
            objects.join("\n"),
            events.join("\n"),
            self.fake.calls().iter().map(|c| c.op).collect::<Vec<_>>()
        )
    }

    // What is there.

    pub fn deployment(&self, name: &str) -> Value {
        self.cluster.get(DEPLOYMENTS, NS, name).unwrap_or(Value::Null)
    }

    pub fn status(&self, name: &str) -> Value {
        self.deployment(name)["status"].clone()
    }

    pub fn condition(&self, name: &str, kind: &str) -> Option<(String, String, String)> {
        condition(&self.deployment(name), kind)
    }

    /// Ready, of the newest generation.
    pub fn is_ready(&self, name: &str) -> bool {
        let object = self.deployment(name);
        let generation = &object["metadata"]["generation"];
        object["status"]["observedGeneration"] == *generation
            && condition(&object, "Ready").is_some_and(|(status, _, _)| status == "True")
    }

    /// Containers that carry the deployment's name, of any instance.
    pub fn of(&self, name: &str) -> Vec<ContainerView> {
        let mut views = self.fake.containers();
        views.retain(|c| c.label("supercargo.dev/deployment") == name);
        views
    }

    pub fn ids(&self, name: &str) -> Vec<ContainerId> {
        self.of(name).into_iter().map(|c| c.id).collect()
    }

    pub fn live(&self, name: &str) -> usize {
        self.of(name)
            .iter()
            .filter(|c| c.state == RunState::Running)
            .count()
    }

    /// Whether a rollout of three keeps to one more than wanted and none fewer: of those that a name may lead to, and with one
    /// beside them that none leads to any more.
    pub fn rolls_one_at_a_time(&self, name: &str) -> bool {
        let all = self.of(name);
        let live = all.iter().filter(|c| c.state == RunState::Running);
        let named = live.filter(|c| !self.fake.is_withdrawn(&c.id)).count();
        (3..=4).contains(&named) && self.live(name) <= 5
    }

    /// The digests of one variable in all containers.
    pub fn env(&self, name: &str, variable: &str) -> Vec<String> {
        self.of(name)
            .iter()
            .map(|c| {
                self.fake
                    .env_of(c.id.as_str())
                    .get(variable)
                    .cloned()
                    .unwrap_or_default()
            })
            .collect()
    }

    /// Reason and note of every event.
    pub fn events(&self) -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        self.cluster
            .all("events")
            .iter()
            .map(|e| (text(&e["reason"]), text(&e["note"])))
            .collect()
    }

    pub fn told(&self, reason: &str) -> usize {
        self.events().iter().filter(|(r, _)| r == reason).count()
    }

    // What people do.

    pub fn apply(&self, object: Value) {
        self.cluster.put(DEPLOYMENTS, object);
    }

    /// Past every check, as one that was accepted under another CRD.
    pub fn apply_unchecked(&self, object: Value) {
        self.cluster.put_unchecked(DEPLOYMENTS, object);
    }

    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.cluster.edit(DEPLOYMENTS, NS, name, change);
    }

    pub fn annotate(&self, name: &str, key: &str, value: &str) {
        self.edit(name, |o| o["metadata"]["annotations"][key] = json!(value));
    }

    pub fn delete(&self, name: &str) {
        self.cluster.remove(DEPLOYMENTS, NS, name);
    }

    /// Seals values into a secret and applies it.
    pub fn seal(&self, name: &str, values: &[(&str, &[u8])]) {
        self.cluster.put(SECRETS, self.sealed(name, values));
    }

    pub fn sealed(&self, name: &str, values: &[(&str, &[u8])]) -> Value {
        self.sealed_in(NS, name, values)
    }

    /// A secret of any namespace.
    pub fn sealed_in(&self, namespace: &str, name: &str, values: &[(&str, &[u8])]) -> Value {
        let key = self.ring.public_keys()[0].public().clone();
        let data: BTreeMap<&str, String> = values
            .iter()
            .map(|(item, value)| {
                let context = Context::at(ScopeKind::Strict, namespace, name, item).unwrap();
                let value = Plaintext::new(value.to_vec());
                let envelope = seal(&key, &context, &value, &mut SystemEntropy).unwrap();
                (*item, envelope.to_string())
            })
            .collect();
        json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
            "metadata": { "name": name, "namespace": namespace }, "spec": { "encryptedData": data },
        })
    }

    /// Applies a deployment and waits until it is ready.
    pub async fn settle(&self, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.apply(object);
        self.ready(&name).await;
    }

    pub async fn ready(&self, name: &str) {
        self.eventually("ready", |b| b.is_ready(name)).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some((_, task)) = self.running.take() {
            task.abort();
        }
    }
}

/// Status, reason and message of a condition.
pub fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let all = object["status"]["conditions"].as_array()?;
    let found = all.iter().find(|c| c["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

/// A deployment of `app:1` without secrets.
pub fn web(replicas: u32) -> Value {
    named("web", replicas)
}

pub fn named(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": { "name": name, "namespace": NS },
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "app:1" }] },
            },
        },
    })
}

/// A deployment whose variable PASSWORD is the key `password` of the secret `db`.
pub fn with_secret(replicas: u32) -> Value {
    let mut object = web(replicas);
    container(&mut object)["env"] = json!([
        { "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } },
    ]);
    object
}

pub fn container(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]["containers"][0]
}
