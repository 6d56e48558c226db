//! One case: a namespace, an operator that watches it, the recording socket between that operator and Docker, and the
//! random values that must appear nowhere. In standalone form the operator is the API server, too, and the case's own.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    IMAGE, INSTANCE, SOON, Said, canary,
    controller::{Controller, Start, tail},
    docker_at,
    engine::Engine,
    labelled_at,
    proxy::Proxy,
    run, socket, uid, until, word, world,
};

pub struct Case {
    pub ns: String,
    pub dir: PathBuf,
    pub proxy: Proxy,
    pub kubeconfig: PathBuf,
    pub instance: String,
    flags: Vec<String>,
    /// Who the operator is, in cluster form.
    account: Option<PathBuf>,
    operator: Mutex<Option<Controller>>,
    /// Where the case's own API server was, so that it is there again after a restart.
    listen: Mutex<Option<String>>,
    values: Mutex<Vec<String>>,
    /// Those that no engine may know of.
    files: Mutex<Vec<String>>,
    /// Those that may be read through the API and must be in no file.
    at_rest: Mutex<Vec<String>>,
    /// Where it has one of its own. The last to go.
    engine: Option<Engine>,
}

impl Case {
    /// Flags are the operator's; `{ns}` in one is the case's namespace, `{dir}` its directory.
    pub fn start(name: &str, flags: &[&str]) -> Self {
        Self::begin(name, flags, None)
    }

    /// On an engine of its own.
    pub fn start_on(engine: Engine, name: &str) -> Self {
        Self::begin(name, &[], Some(engine))
    }

    fn begin(name: &str, flags: &[&str], engine: Option<Engine>) -> Self {
        let ns = format!("{name}-{}", &word().to_lowercase()[..5]);
        let dir = world().dir.path().join(&ns);
        std::fs::create_dir(&dir).unwrap();
        let cluster = world().cluster.as_ref();
        let mut case = Self {
            proxy: Proxy::start(&dir, engine.as_ref().map_or_else(socket, Engine::socket)),
            kubeconfig: cluster.map_or_else(|| dir.join("data/kubeconfig"), |c| c.kubeconfig.clone()),
            instance: cluster.map_or_else(uid, |c| c.instance.clone()),
            flags: flags
                .iter()
                .map(|f| {
                    f.replace("{ns}", &ns)
                        .replace("{dir}", &dir.display().to_string())
                })
                .collect(),
            ns,
            dir,
            account: None,
            operator: Mutex::default(),
            listen: Mutex::default(),
            values: Mutex::default(),
            files: Mutex::default(),
            at_rest: Mutex::default(),
            engine,
        };
        world().remember(&case.instance);
        // A cluster has the namespace before an operator watches it; here the operator brings the server.
        if cluster.is_none() {
            case.start_operator();
            let keys = until("the public keys", SOON, || case.public_keys());
            std::fs::write(case.dir.join(".supercargo-keys"), keys).unwrap();
        }
        let said = case.ask(&["create", "namespace", &case.ns], "");
        assert!(said.ok, "{}", said.err);
        if let Some(cluster) = cluster {
            case.account = Some(cluster.operator(&world().kubectl, &case.ns, &case.flags));
            case.start_operator();
        }
        case
    }

    // --- the operator ---

    pub fn start_operator(&self) {
        self.start_operator_with(&[]);
    }

    /// With flags for this start only.
    pub fn start_operator_with(&self, flags: &[&str]) {
        let mut how = self.how_to_start();
        how.args.extend(flags.iter().map(|f| (*f).to_owned()));
        let started = Controller::start(&how);
        if !started.listen.is_empty() {
            *self.listen.lock().unwrap() = Some(started.listen.clone());
        }
        *self.operator.lock().unwrap() = Some(started);
    }

    /// Another operator with the same flags, which is the caller's.
    pub fn start_another(&self) -> Controller {
        let mut how = self.how_to_start();
        how.log = self.dir.join(format!("operator-{}.log", word()));
        Controller::start(&how)
    }

    fn how_to_start(&self) -> Start {
        let mut docker = format!("unix://{}", self.proxy.path.display());
        let mut certificates = None;
        if let Some(remote) = self.engine.as_ref().and_then(|engine| engine.remote.as_ref()) {
            docker.clone_from(&remote.address);
            certificates = Some(remote.client.display().to_string());
        }
        let mut args: Vec<&str> = vec!["--docker-host", &docker, "--metrics-addr", "127.0.0.1:0"];
        args.extend(
            certificates
                .iter()
                .flat_map(|dir| ["--docker-cert-path", dir.as_str()]),
        );
        let data = self.dir.join("data").display().to_string();
        let listen = self.listen.lock().unwrap().clone();
        if world().cluster.is_some() {
            args.splice(0..0, ["controller", "--namespace", &self.ns]);
        } else {
            args.splice(0..0, ["standalone", "--data-dir", &data, "--listen"]);
            args.insert(4, listen.as_deref().unwrap_or("127.0.0.1:0"));
            if listen.is_none() {
                // Other cases and other people have control planes on this host.
                args.extend(["--instance", &self.instance]);
            }
        }
        Start {
            args: args
                .into_iter()
                .map(str::to_owned)
                .chain(self.flags.iter().cloned())
                .collect(),
            kubeconfig: self.account.clone(),
            log: self.log(),
        }
    }

    /// What answers kubectl goes away: with the operator, where both are one process.
    pub fn stop_server(&self) {
        match &world().cluster {
            Some(cluster) => cluster.stop(),
            None => {
                self.take_operator().stop();
            }
        }
    }

    /// The same by SIGKILL.
    pub fn kill_server(&self) {
        match &world().cluster {
            Some(cluster) => cluster.kill(),
            None => self.take_operator().kill(),
        }
    }

    /// It comes back with all its objects.
    pub fn start_server(&self) {
        match &world().cluster {
            Some(cluster) => cluster.go(),
            None => self.start_operator(),
        }
    }

    pub fn public_keys(&self) -> Result<String, String> {
        let said = self.supercargo(&["keys", "public"], b"");
        if said.ok { Ok(said.out) } else { Err(said.err) }
    }

    pub fn take_operator(&self) -> Controller {
        self.operator.lock().unwrap().take().expect("an operator runs")
    }

    pub fn operator(&self) -> MutexGuard<'_, Option<Controller>> {
        self.operator.lock().unwrap()
    }

    pub fn settle(&self) {
        self.operator().as_ref().expect("an operator runs").settle();
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("operator.log")
    }

    // --- kubectl ---

    /// kubectl on no namespace of its own.
    pub fn ask(&self, args: &[&str], stdin: &str) -> Said {
        run(self.kubectl_command().args(args), stdin.as_bytes())
    }

    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&world().kubectl);
        let cache = match &world().cluster {
            Some(_) => world().dir.path(),
            None => &self.dir,
        };
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(cache.join("discovery"));
        command
    }

    pub fn try_kubectl(&self, args: &[&str], stdin: &str) -> Said {
        let mut all = vec!["-n", &self.ns];
        all.extend(args);
        self.ask(&all, stdin)
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        let said = self.try_kubectl(args, "");
        assert!(
            said.ok,
            "kubectl {args:?}: {}\nthe operator's log ends with\n{}",
            said.err,
            tail(&self.log())
        );
        said.out
    }

    pub fn apply(&self, manifest: &str) {
        let said = self.try_kubectl(&["apply", "-f", "-"], manifest);
        assert!(said.ok, "kubectl apply: {}", said.err);
    }

    pub fn apply_json(&self, manifest: &Value) {
        self.apply(&manifest.to_string());
    }

    pub fn get(&self, what: &str) -> Result<Value, String> {
        let said = self.try_kubectl(&["get", what, "-o", "json"], "");
        if said.ok {
            serde_json::from_str(&said.out).map_err(|e| e.to_string())
        } else {
            Err(said.err)
        }
    }

    pub fn ready(&self, name: &str) {
        self.kubectl(&[
            "wait",
            &format!("ddep/{name}"),
            "--for=condition=Ready",
            "--timeout=90s",
        ]);
    }

    /// A condition of a deployment, of the present generation: status, reason, message.
    pub fn condition(&self, name: &str, kind: &str) -> Result<(String, String, String), String> {
        let object = self.get(&format!("ddep/{name}"))?;
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = conditions
            .iter()
            .find(|c| c["type"] == kind)
            .ok_or(format!("no condition {kind}: {}", object["status"]))?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        if found["observedGeneration"] != object["metadata"]["generation"] {
            return Err(format!("{kind} is of an older generation"));
        }
        Ok((text("status"), text("reason"), text("message")))
    }

    /// Waits until the deployment is not Ready for this reason; the message.
    pub fn not_ready(&self, name: &str, reason: &str) -> String {
        until(&format!("{name} to say {reason}"), SOON, || {
            let (status, found, message) = self.condition(name, "Ready")?;
            if (status.as_str(), found.as_str()) == ("False", reason) {
                Ok(message)
            } else {
                Err(format!("Ready is {status}: {found}: {message}"))
            }
        })
    }

    /// Applies what must not run, and answers why. A cluster takes it, and the operator says so in the status; standalone
    /// knows the operator's rules and refuses the write.
    pub fn refused(&self, manifest: &Value, reason: &str) -> String {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        if world().cluster.is_some() {
            self.apply_json(manifest);
            return self.not_ready(name, reason);
        }
        let said = self.try_kubectl(&["apply", "-f", "-"], &manifest.to_string());
        assert!(!said.ok, "what standalone must refuse was stored");
        assert!(
            self.get(&format!("ddep/{name}")).is_err(),
            "it was refused and is there"
        );
        said.err
    }

    /// Waits until an event of this reason is there; its note.
    pub fn event(&self, reason: &str) -> String {
        until(&format!("an event {reason}"), SOON, || {
            let list = self.get("events.events.k8s.io")?;
            let found = list["items"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|e| e["reason"] == reason)
                .cloned();
            found
                .map(|e| e["note"].as_str().unwrap_or_default().to_owned())
                .ok_or("there is none".to_owned())
        })
    }

    // --- secrets ---

    /// A new value: random, several lines, with characters that every encoding treats in its own way.
    pub fn value(&self) -> String {
        let core = word();
        self.values.lock().unwrap().push(core.clone());
        format!("/{core}+&=\u{e9}\nsecond \"line\"")
    }

    /// A new value for a file, which the engine must not know of either.
    pub fn file_value(&self) -> String {
        let core = word();
        self.files.lock().unwrap().push(core.clone());
        format!("/{core}+&=\u{e9}\nsecond \"line\"")
    }

    /// A core that must appear nowhere.
    pub fn watch_for(&self, core: &str) {
        self.values.lock().unwrap().push(core.to_owned());
    }

    /// A core that may be read through the API and must be in no file.
    pub fn watch_files_for(&self, core: &str) {
        self.at_rest.lock().unwrap().push(core.to_owned());
    }

    pub fn supercargo(&self, args: &[&str], stdin: &[u8]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
        command
            .args(args)
            .current_dir(&self.dir)
            .env("KUBECONFIG", &self.kubeconfig);
        run(&mut command, stdin)
    }

    /// The manifest of a sealed secret.
    pub fn sealed(&self, name: &str, values: &[(&str, &str)]) -> String {
        let file = self.dir.join(format!("{name}.yaml"));
        let path = file.to_str().unwrap();
        for (n, (key, value)) in values.iter().enumerate() {
            let mut args = vec!["seal", "--name", name, "--namespace", &self.ns, "--key", key];
            if n > 0 {
                args.extend(["--into", path]);
            }
            let said = self.supercargo(&args, value.as_bytes());
            assert!(said.ok, "{args:?}: {}", said.err);
            if n == 0 {
                std::fs::write(&file, said.out).unwrap();
            }
        }
        std::fs::read_to_string(&file).unwrap()
    }

    pub fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let manifest = self.sealed(name, values);
        self.apply(&manifest);
    }

    // --- containers ---

    /// The ids of a deployment's containers, in whatever state.
    pub fn containers(&self, name: &str) -> Vec<String> {
        self.labelled("ps", &[&format!("supercargo.dev/deployment={name}")])
    }

    /// What is of this case: of kind `ps`, `network ls` or `volume ls`, and with these labels, too.
    pub fn labelled(&self, kind: &str, labels: &[&str]) -> Vec<String> {
        let own = [
            format!("{INSTANCE}={}", self.instance),
            format!("supercargo.dev/namespace={}", self.ns),
        ];
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.extend(labels);
        labelled_at(&self.socket(), kind, &all)
    }

    /// The engine of its own.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the case has an engine of its own")
    }

    /// Where what is only on its own engine may be found.
    pub fn engine_root(&self) -> Option<PathBuf> {
        self.engine.as_ref().map(Engine::root)
    }

    fn socket(&self) -> PathBuf {
        self.engine.as_ref().map_or_else(socket, Engine::socket)
    }

    /// `docker` on the engine that the operator uses, past the recording socket.
    pub fn docker(&self, args: &[&str]) -> Said {
        docker_at(&self.socket(), args)
    }

    /// The one container of a deployment, once it is the only one and `predicate` holds of its inspection.
    pub fn one(&self, name: &str) -> String {
        let ids = self.containers(name);
        assert_eq!(ids.len(), 1, "{name} has containers {ids:?}");
        ids.into_iter().next().unwrap()
    }

    /// One of several containers of a deployment.
    pub fn one_of(&self, name: &str) -> String {
        self.containers(name).into_iter().next().expect("a container")
    }

    pub fn inspect(&self, id: &str) -> Result<Value, String> {
        let said = self.docker(&["inspect", id]);
        let list: Value = serde_json::from_str(&said.out).map_err(|e| e.to_string())?;
        list.get(0).cloned().ok_or(said.err)
    }

    /// Runs a shell line inside.
    pub fn exec(&self, id: &str, line: &str) -> Result<String, String> {
        let said = self.docker(&["exec", id, "sh", "-c", line]);
        if said.ok {
            Ok(said.out.trim().to_owned())
        } else {
            Err(said.err)
        }
    }

    /// Whether a variable inside has this value, by digest.
    pub fn has(&self, id: &str, variable: &str, value: &str) -> Result<(), String> {
        let found = self.exec(id, &format!("printf %s \"${variable}\" | sha256sum"))?;
        super::same(
            found.split(' ').next().unwrap_or_default(),
            digest(value).as_str(),
        )
    }

    /// Waits until exactly `count` containers run and all have the value.
    pub fn all_have(&self, name: &str, count: usize, variable: &str, value: &str) {
        until(
            &format!("{count} containers of {name} to have {variable}"),
            SOON,
            || {
                let ids = self.containers(name);
                super::same(ids.len(), count)?;
                ids.iter().try_for_each(|id| self.has(id, variable, value))
            },
        );
    }

    // --- the end ---

    /// The canary search with everything up, removal, that nothing is left, and the search again.
    pub fn finish(self) {
        let values = self.values.lock().unwrap().clone();
        let at_rest = self.at_rest.lock().unwrap().clone();
        canary::search(&self, &values, canary::When::Running);
        canary::search_at_rest(&self, &at_rest, canary::When::Running);
        // Nothing of these is ever in an inspection or a file, running or not.
        let files = self.files.lock().unwrap().clone();
        canary::search(&self, &files, canary::When::Removed);
        self.kubectl(&["delete", "ddep", "--all", "--timeout=90s"]);
        self.kubectl(&["delete", "dsec", "--all", "--timeout=60s"]);
        assert_eq!(
            self.labelled("ps", &[]),
            Vec::<String>::new(),
            "containers are left after deletion"
        );
        until("the network to go", Duration::from_secs(30), || {
            self.network_gone()
        });
        assert_eq!(
            self.labelled("volume ls", &["supercargo.dev/holds-for"]),
            Vec::<String>::new(),
            "volumes with files are left after deletion"
        );
        let values = [values, files].concat();
        canary::search(&self, &values, canary::When::Removed);
        canary::search_at_rest(&self, &at_rest, canary::When::Removed);
        self.take_operator().stop();
        if world().cluster.is_some() {
            self.ask(&["delete", "namespace", &self.ns, "--wait=false"], "");
        }
        // The store of a process that has ended, too.
        canary::search_at_rest(&self, &[values, at_rest].concat(), canary::When::Removed);
    }
}

impl Case {
    /// The engine loses count of endpoints now and then (once in some 1,500 starts on 20.10), and refuses then until it is
    /// started again: enough that the operator said that it left the network, and that nobody else can remove it.
    fn network_gone(&self) -> Result<(), String> {
        let left = self.labelled("network ls", &[]);
        let said = std::fs::read_to_string(self.log()).unwrap_or_default();
        if !left.is_empty() && said.contains("the network cannot be removed and is left behind") {
            let miscounted = |id: &String| super::is_miscounted(&self.socket(), id);
            assert!(
                left.iter().all(miscounted),
                "the operator left a network that can be removed"
            );
            println!("the engine lost count of the endpoints of {left:?}: left behind, as the operator said");
            return Ok(());
        }
        super::same(left, Vec::new())
    }
}

/// A long-running deployment that ends at once when asked to.
pub fn deployment(name: &str, replicas: u32, env: Value) -> Value {
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "app", "image": IMAGE, "env": env,
                "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 60 & wait; done"]}],
        }}},
    })
}

/// The container of a deployment's manifest.
pub fn container(manifest: &mut Value) -> &mut Value {
    &mut manifest["spec"]["template"]["spec"]["containers"][0]
}

/// A variable from a secret.
pub fn from_secret(variable: &str, secret: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

pub fn digest(value: &str) -> String {
    Sha256::digest(value.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
