//! The API server of this program on a store in memory, with the operator's kinds, and what is between it and the
//! operator: a way that can be cut and that remembers the writes. Tests act on the server itself, as people do who reach
//! it all the time; nothing of it waits, so that they need not. Its own loops run in [`Cluster::started`] only.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use jiff::{SignedDuration, Timestamp};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use supercargo::{
    api::crds,
    apiserver::{
        admission::AdmitAll,
        authorize::{DefaultRoles, User},
        kinds::Kinds,
        loops,
        names::{GroupResource, GroupVersion, Key},
        object,
        serve::{Handler, Options, Server},
        store::{self, Store, Window},
    },
    clock::{Clock, System},
    telemetry::metrics::Metrics,
};
use tokio::{sync::watch, task};
use tower::Service;

/// As many events are remembered; a burst of one test is far smaller.
const REMEMBERED: usize = 512;

/// See the file's header. Clones are handles to the same one.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    server: Server,
    people: Handler,
    made: AtomicU64,
    writes: Mutex<Vec<String>>,
    reads: Mutex<Vec<String>>,
    away: AtomicBool,
    unreadable: Mutex<Option<&'static str>>,
    cut: watch::Sender<()>,
}

/// Later at every look, so that the age of what happened counts writes and not seconds.
struct Counter(AtomicI64);

impl Clock for Counter {
    fn now(&self) -> Timestamp {
        let looks = self.0.fetch_add(1, Ordering::SeqCst);
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(looks)
    }
}

impl Cluster {
    /// Serves at once; the loops do not run. The kinds are read once for all: a CRD with its rules takes longer than a test.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        static KINDS: OnceLock<Arc<Kinds>> = OnceLock::new();
        let kinds = KINDS.get_or_init(|| {
            // On a thread of its own, because here time may stand still.
            let installed = std::thread::spawn(|| {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_all().build().unwrap().block_on(async {
                    let cluster = Self::started(Arc::new(System)).await;
                    cluster.0.server.stop().await;
                    cluster.0.server.api().kinds.load_full()
                })
            });
            installed.join().unwrap()
        });
        let cluster = Self::bare(clock);
        cluster.0.server.api().kinds.store(Arc::clone(kinds));
        cluster
    }

    /// One that began as every server does, with its loops, and into which the CRDs were installed.
    pub async fn started(clock: Arc<dyn Clock>) -> Self {
        let cluster = Self::bare(clock);
        cluster.0.server.start(None).await.unwrap();
        for definition in crds().unwrap() {
            let definition = serde_json::to_value(definition).unwrap();
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            cluster.must(Method::POST, path, &definition);
        }
        let is_served = |plural| {
            cluster
                .0
                .server
                .api()
                .kinds
                .load()
                .get(&version(plural), plural)
                .is_some()
        };
        while !(is_served("dockerdeployments") && is_served("dockersecrets")) {
            task::yield_now().await;
        }
        cluster
    }

    fn bare(clock: Arc<dyn Clock>) -> Self {
        let store = Store::in_memory(store::Options {
            window: Window {
                events: REMEMBERED,
                age: Duration::ZERO,
                ..Window::default()
            },
            clock: Arc::new(Counter(AtomicI64::new(0))),
            ..store::Options::default()
        });
        let server = Server::new(Options {
            store,
            clock,
            admission: Arc::new(AdmitAll),
            authorizer: Arc::new(DefaultRoles),
            metrics: Metrics::default(),
            refresh: Arc::new(|_| {}),
            address: "127.0.0.1:6443".to_owned(),
            checks: Vec::new(),
            loops: loops::Options {
                ca_pem: String::new(),
                event_ttl: Duration::from_secs(3_600),
            },
        });
        Self(Arc::new(Inner {
            people: server.handler().acting_as(User::master("people")),
            server,
            made: AtomicU64::new(0),
            writes: Mutex::default(),
            reads: Mutex::default(),
            away: AtomicBool::new(false),
            unreadable: Mutex::default(),
            cut: watch::Sender::new(()),
        }))
    }

    /// The operator's client of it.
    pub fn client(&self) -> Client {
        let user = User::master("system:supercargo:operator");
        let (this, operator) = (self.clone(), self.0.server.handler().acting_as(user));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (this, mut operator) = (this.clone(), operator.clone());
            async move {
                if this.0.away.load(Ordering::SeqCst) {
                    return Err::<Response<_>, tower::BoxError>("the API server is away".into());
                }
                let path = request.uri().path();
                if request.method() == Method::GET {
                    this.0.reads.lock().unwrap().push(path.to_owned());
                    let unreadable = *this.0.unreadable.lock().unwrap();
                    if unreadable.is_some_and(|what| path.ends_with(what)) {
                        return Err("it cannot be read".into());
                    }
                } else {
                    let write = format!("{} {path}", request.method());
                    this.0.writes.lock().unwrap().push(write);
                }
                let mut cut = this.0.cut.subscribe();
                let answer = operator.call(request).await?;
                let end = async move { cut.changed().await };
                Ok(answer.map(|body| StreamBody::new(BodyStream::new(body).take_until(end.boxed()))))
            }
        });
        Client::new(service, "default")
    }

    /// From now on no request is answered, and open watches end.
    pub fn go_away(&self) {
        self.0.away.store(true, Ordering::SeqCst);
        self.0.cut.send_replace(());
    }

    /// It answers again.
    pub fn come_back(&self) {
        self.0.away.store(false, Ordering::SeqCst);
    }

    /// Ends every watch, and writes elsewhere until it is forgotten where they were: whoever goes on from there gets 410.
    pub fn expire_watches(&self) {
        self.0.cut.send_replace(());
        let store = &self.0.server.api().store;
        let of = GroupResource::new("", "events");
        let elsewhere = async {
            for number in 0..=REMEMBERED + 1 {
                let (key, event) = (Key::new(&of, "elsewhere", &number.to_string()), json!({}));
                let made = store.create(key, event).await.unwrap();
                store.delete(made.key.clone(), made.revision).await.unwrap();
            }
        };
        tokio::task::unconstrained(elsewhere).now_or_never().unwrap();
    }

    /// From now on the operator cannot read what is under paths that end so; `None` ends it.
    pub fn make_unreadable(&self, end_of_path: Option<&'static str>) {
        *self.0.unreadable.lock().unwrap() = end_of_path;
    }

    /// The paths that the operator read.
    pub fn reads(&self) -> Vec<String> {
        self.0.reads.lock().unwrap().clone()
    }

    /// The operator's writes that reached it.
    pub fn writes(&self) -> Vec<String> {
        self.0.writes.lock().unwrap().clone()
    }

    /// Forgets them.
    pub fn forget_writes(&self) {
        self.0.writes.lock().unwrap().clear();
    }

    /// Creates an object, and its namespace before it, or replaces what people may write of it, as `kubectl replace` does.
    pub fn put(&self, plural: &str, object: Value) {
        let (namespace, name) = (
            object::namespace(&object).to_owned(),
            object::name(&object).to_owned(),
        );
        match self.get(plural, &namespace, &name) {
            None => self.create(plural, &namespace, &name, &object),
            Some(live) => {
                self.must(
                    Method::PUT,
                    &path(plural, &namespace, &name),
                    &replaced(live, object),
                );
            }
        }
    }

    /// The same past every check: an object that was accepted under another CRD.
    pub fn put_unchecked(&self, plural: &str, mut object: Value) {
        let (namespace, name) = (
            object::namespace(&object).to_owned(),
            object::name(&object).to_owned(),
        );
        let Some(live) = self.get(plural, &namespace, &name) else {
            object["metadata"]["uid"] = json!(self.uid());
            object["metadata"]["generation"] = json!(1);
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            return self.store(plural, &namespace, &name, object);
        };
        let revision = object::resource_version(&live).parse().unwrap();
        let generation = live["metadata"]["generation"].as_i64().unwrap();
        let mut new = replaced(live, object);
        new["metadata"]["generation"] = json!(generation + 1);
        let store = &self.0.server.api().store;
        let written = store.update(key(plural, &namespace, &name), revision, new);
        written.now_or_never().unwrap().unwrap();
    }

    /// Server-side apply, as controllers of others do it.
    pub fn apply_as(&self, manager: &str, plural: &str, object: &Value) {
        let at = path(plural, object::namespace(object), object::name(object));
        let at = format!("{at}?force=true&fieldManager={manager}");
        let (code, answer) = self.send(Method::PATCH, &at, "application/apply-patch+yaml", object);
        assert!(code.is_success(), "{at}: {answer}");
    }

    /// One object as it is.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let api = self.0.server.api();
        let kind = api.kinds.load().get(&version(plural), plural).cloned().unwrap();
        api.read(&kind, namespace, name).ok()
    }

    /// Changes an object as people do; a status cannot be changed.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(plural, namespace, name).unwrap();
        change(&mut object);
        self.must(Method::PUT, &path(plural, namespace, name), &object);
    }

    /// Deletes an object; one with finalizers stays until they are gone.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        self.ask(Method::DELETE, &path(plural, namespace, name), &Value::Null);
    }

    /// All objects of a kind.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let mut list = self.must(Method::GET, &path(plural, "", ""), &Value::Null);
        match list["items"].take() {
            Value::Array(items) => items,
            other => panic!("{other}"),
        }
    }

    /// Under a uid that is the same in every run, as nobody gets who may only ask.
    fn create(&self, plural: &str, namespace: &str, name: &str, object: &Value) {
        if !namespace.is_empty() && self.get("namespaces", "", namespace).is_none() {
            let namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            self.must(Method::POST, "/api/v1/namespaces", &namespace);
        }
        let dry = format!("{}?dryRun=All", path(plural, namespace, ""));
        let mut made = self.must(Method::POST, &dry, object);
        made["metadata"]["uid"] = json!(self.uid());
        self.store(plural, namespace, name, made);
    }

    /// Gives uids from this number on: two clusters never give the same.
    pub fn uids_from(&self, first: u64) {
        self.0.made.store(first, Ordering::SeqCst);
    }

    fn uid(&self) -> String {
        let made = self.0.made.fetch_add(1, Ordering::SeqCst);
        format!("00000000-0000-4000-8000-{made:012}")
    }

    fn store(&self, plural: &str, namespace: &str, name: &str, object: Value) {
        let created = self
            .0
            .server
            .api()
            .store
            .create(key(plural, namespace, name), object);
        created.now_or_never().unwrap().unwrap();
    }

    /// What the API server says to whoever makes this object, or makes the one that is there into it, which it must not take.
    pub fn refusal(&self, plural: &str, object: &Value) -> String {
        let (namespace, name) = (object::namespace(object), object::name(object));
        let (method, at, body) = match self.get(plural, namespace, name) {
            None => (Method::POST, path(plural, namespace, ""), object.clone()),
            Some(live) => (
                Method::PUT,
                path(plural, namespace, name),
                replaced(live, object.clone()),
            ),
        };
        let (code, answer) = self.ask(method, &format!("{at}?dryRun=All"), &body);
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{object}: {answer}");
        answer["message"].as_str().unwrap_or_default().to_owned()
    }

    fn must(&self, method: Method, path: &str, body: &Value) -> Value {
        let (code, answer) = self.ask(method.clone(), path, body);
        assert!(code.is_success(), "{method} {path}: {answer}");
        answer
    }

    /// Asks as people do. With a store in memory everything is done when it is first looked at.
    fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(method, path, "application/json", body)
    }

    fn send(&self, method: Method, path: &str, what: &str, body: &Value) -> (StatusCode, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, what)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let mut people = self.0.people.clone();
        let asked = async move {
            let (parts, body) = people.call(request).await.unwrap().into_parts();
            (parts.status, body.collect().await.unwrap().to_bytes())
        };
        let (code, bytes) = task::coop::unconstrained(asked).now_or_never().unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

/// `live` with what people may write from `new`.
fn replaced(mut live: Value, new: Value) -> Value {
    for field in ["labels", "annotations"] {
        match new["metadata"].get(field) {
            Some(value) => live["metadata"][field] = value.clone(),
            None => drop(object::remove_meta(&mut live, field)),
        }
    }
    let Value::Object(fields) = new else {
        panic!("{new}")
    };
    for (field, value) in fields {
        if !["metadata", "status"].contains(&field.as_str()) {
            live[field] = value;
        }
    }
    live
}

fn group_of(plural: &str) -> (&'static str, &'static str) {
    match plural {
        "dockerdeployments" | "dockersecrets" => ("supercargo.dev", "v1alpha1"),
        "events" => ("events.k8s.io", "v1"),
        "controllerrevisions" => ("apps", "v1"),
        "leases" => ("coordination.k8s.io", "v1"),
        _ => ("", "v1"),
    }
}

fn version(plural: &str) -> GroupVersion {
    let (group, version) = group_of(plural);
    GroupVersion::new(group, version)
}

fn key(plural: &str, namespace: &str, name: &str) -> Key {
    Key::new(&GroupResource::new(group_of(plural).0, plural), namespace, name)
}

/// Of an object, or of a collection when there is no name.
fn path(plural: &str, namespace: &str, name: &str) -> String {
    let mut path = match group_of(plural) {
        ("", version) => format!("/api/{version}"),
        (group, version) => format!("/apis/{group}/{version}"),
    };
    if !namespace.is_empty() {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    path.push_str(&format!("/{plural}"));
    if !name.is_empty() {
        path.push_str(&format!("/{name}"));
    }
    path
}
