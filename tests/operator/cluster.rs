//! A Kubernetes API server in memory, as much of one as the operator asks: list, watch with resource versions and
//! bookmarks, get, create, merge patch, apply patch, delete with finalizers. A write that changes nothing makes no new
//! resource version. Tests can take it away, expire its watches, and read the writes that reached it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};

type Key = (String, String, String);
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

struct Watcher {
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
    to: mpsc::UnboundedSender<Value>,
}

#[derive(Default)]
struct State {
    version: u64,
    made: u64,
    objects: BTreeMap<Key, Value>,
    log: Vec<(u64, &'static str, Key, Value)>,
    watchers: Vec<Watcher>,
    writes: Vec<String>,
    away: bool,
    oldest: u64,
}

/// See the file's header. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<State>>);

struct Asked {
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
    status: bool,
    query: BTreeMap<String, String>,
}

impl Cluster {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await?.to_bytes();
                if this.lock().away {
                    return Err::<Answer, tower::BoxError>("the API server is away".into());
                }
                Ok(this.answer(&parts, &bytes))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, parts: &http::request::Parts, body: &[u8]) -> Answer {
        let asked = Asked::of(&parts.uri);
        let content = parts
            .headers
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut state = self.lock();
        if parts.method != Method::GET {
            state
                .writes
                .push(format!("{} {}", parts.method, parts.uri.path()));
        }
        let result = match parts.method {
            Method::GET if asked.query.get("watch").is_some_and(|w| w == "true" || w == "1") => {
                return state.watch(&asked);
            }
            Method::GET if asked.name.is_none() => Ok(state.list(&asked)),
            Method::GET => state.get(&asked),
            Method::POST => state.create(&asked, body),
            Method::PATCH if content.contains("apply-patch") => state.apply(&asked, &body),
            Method::PATCH => state.merge(&asked, &body),
            Method::DELETE => state.delete(&asked),
            _ => Err((405, "MethodNotAllowed", "no such verb".to_owned())),
        };
        match result {
            Ok(value) => plain(200, &value),
            Err((code, reason, message)) => plain(code, &status(code, reason, &message)),
        }
    }

    /// From now on no request is answered, and open watches end.
    pub fn go_away(&self) {
        let mut state = self.lock();
        state.away = true;
        state.watchers.clear();
    }

    /// It answers again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    /// Ends every watch with 410, and refuses to continue from before now.
    pub fn expire_watches(&self) {
        let mut state = self.lock();
        state.version += 1;
        state.oldest = state.version;
        for watcher in std::mem::take(&mut state.watchers) {
            let _ = watcher.to.unbounded_send(gone());
        }
    }

    /// The writes that reached it.
    pub fn writes(&self) -> Vec<String> {
        self.lock().writes.clone()
    }

    /// Forgets them.
    pub fn forget_writes(&self) {
        self.lock().writes.clear();
    }

    /// Creates an object, or replaces what people may write of it, as `kubectl replace` does.
    pub fn put(&self, plural: &str, object: Value) {
        let mut state = self.lock();
        let key = key(plural, &object);
        let before = state.objects.get(&key).cloned();
        match before {
            None => state.insert(key, object),
            Some(mut after) => {
                for field in ["labels", "annotations"] {
                    after["metadata"][field] = object["metadata"][field].clone();
                }
                for (field, value) in object.as_object().unwrap() {
                    if !["metadata", "status"].contains(&field.as_str()) {
                        after[field] = value.clone();
                    }
                }
                state.replace(key, after);
            }
        }
    }

    /// One object as it is.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned()
    }

    /// Changes an object as people do; a status cannot be changed.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.lock();
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = state.objects.get(&key).cloned().unwrap();
        change(&mut object);
        state.replace(key, object);
    }

    /// Deletes an object; one with finalizers stays until they are gone.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let asked = Asked {
            plural: plural.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            status: false,
            query: BTreeMap::new(),
        };
        let _ = self.lock().delete(&asked);
    }

    /// All objects of a kind.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let state = self.lock();
        let of = state.objects.iter().filter(|((p, _, _), _)| p == plural);
        of.map(|(_, object)| object.clone()).collect()
    }
}

type Refusal = (u16, &'static str, String);

impl State {
    fn list(&self, asked: &Asked) -> Value {
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|(key, _)| asked.selects(key))
            .map(|(_, object)| object.clone())
            .collect();
        json!({
            "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": self.version.to_string() },
            "items": items,
        })
    }

    fn watch(&mut self, asked: &Asked) -> Answer {
        let since: u64 = asked
            .query
            .get("resourceVersion")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let (to, from) = mpsc::unbounded();
        if since < self.oldest {
            let _ = to.unbounded_send(gone());
            return stream(from);
        }
        for (version, kind, key, object) in &self.log {
            if *version > since && asked.selects(key) {
                let _ = to.unbounded_send(json!({ "type": kind, "object": object }));
            }
        }
        self.watchers.push(Watcher {
            plural: asked.plural.clone(),
            namespace: asked.namespace.clone(),
            name: asked.field_name(),
            to,
        });
        stream(from)
    }

    fn get(&self, asked: &Asked) -> Result<Value, Refusal> {
        self.objects
            .get(&asked.key())
            .cloned()
            .ok_or_else(|| asked.not_found())
    }

    fn create(&mut self, asked: &Asked, mut object: Value) -> Result<Value, Refusal> {
        if let Some(namespace) = &asked.namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let key = key(&asked.plural, &object);
        if self.objects.contains_key(&key) {
            return Err((409, "AlreadyExists", format!("{} already exists", key.2)));
        }
        self.insert(key.clone(), object);
        Ok(self.objects[&key].clone())
    }

    fn merge(&mut self, asked: &Asked, patch: &Value) -> Result<Value, Refusal> {
        let before = self.get(asked)?;
        check(&before, patch)?;
        let mut after = before.clone();
        merge(&mut after, patch);
        after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        after["status"] = before["status"].clone();
        self.replace(asked.key(), after.clone());
        Ok(self.objects.get(&asked.key()).cloned().unwrap_or(after))
    }

    fn apply(&mut self, asked: &Asked, patch: &Value) -> Result<Value, Refusal> {
        let Some(before) = self.objects.get(&asked.key()).cloned() else {
            if asked.status || patch["metadata"]["uid"].is_string() {
                return Err(asked.not_found());
            }
            return self.create(asked, patch.clone());
        };
        check(&before, patch)?;
        let mut after = before;
        if asked.status {
            after["status"] = patch["status"].clone();
        } else {
            merge(&mut after, patch);
        }
        self.replace(asked.key(), after.clone());
        Ok(self.objects.get(&asked.key()).cloned().unwrap_or(after))
    }

    fn delete(&mut self, asked: &Asked) -> Result<Value, Refusal> {
        let mut object = self.get(asked)?;
        if !object["metadata"]["deletionTimestamp"].is_string() {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            object["metadata"]["generation"] =
                json!(object["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        self.replace(asked.key(), object.clone());
        Ok(object)
    }

    fn insert(&mut self, key: Key, mut object: Value) {
        // Uids that do not depend on how many events were written.
        self.made += u64::from(key.0 != "events");
        let meta = &mut object["metadata"];
        meta["uid"] = json!(format!("uid-{}-{}", key.2, self.made));
        meta["generation"] = json!(1);
        meta["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.store("ADDED", key, object);
    }

    /// Stores a change: nothing when there is none, a new generation with a new spec, the end with the last finalizer.
    fn replace(&mut self, key: Key, mut after: Value) {
        let before = self.objects[&key].clone();
        if after["metadata"]["finalizers"]
            .as_array()
            .is_some_and(Vec::is_empty)
        {
            after["metadata"].as_object_mut().unwrap().remove("finalizers");
        }
        prune(&mut after);
        let deleted = after["metadata"]["deletionTimestamp"].is_string();
        if deleted && after["metadata"]["finalizers"].is_null() {
            self.version += 1;
            after["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.objects.remove(&key);
            self.tell("DELETED", key, after);
            return;
        }
        if before == after {
            return;
        }
        if before["spec"] != after["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            after["metadata"]["generation"] = json!(generation);
        }
        self.store("MODIFIED", key, after);
    }

    fn store(&mut self, event: &'static str, key: Key, mut object: Value) {
        prune(&mut object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        self.tell(event, key, object);
    }

    fn tell(&mut self, event: &'static str, key: Key, object: Value) {
        let said = json!({ "type": event, "object": object });
        self.watchers.retain(|w| {
            let wanted = w.plural == key.0
                && w.namespace.as_ref().is_none_or(|n| *n == key.1)
                && w.name.as_ref().is_none_or(|n| *n == key.2);
            !wanted || w.to.unbounded_send(said.clone()).is_ok()
        });
        self.log.push((self.version, event, key, object));
    }
}

impl Asked {
    fn of(uri: &http::Uri) -> Self {
        let mut parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        parts.drain(..if parts.first() == Some(&"api") { 2 } else { 3 });
        let mut namespace = None;
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            namespace = Some(parts[1].to_owned());
            parts.drain(..2);
        }
        let query = uri.query().unwrap_or_default().split('&').filter_map(|pair| {
            let (k, v) = pair.split_once('=')?;
            Some((k.to_owned(), v.replace("%3D", "=")))
        });
        Self {
            plural: parts.first().copied().unwrap_or_default().to_owned(),
            namespace,
            name: parts.get(1).map(|n| (*n).to_owned()),
            status: parts.get(2) == Some(&"status"),
            query: query.collect(),
        }
    }

    fn key(&self) -> Key {
        (
            self.plural.clone(),
            self.namespace.clone().unwrap_or_default(),
            self.name.clone().unwrap_or_default(),
        )
    }

    fn field_name(&self) -> Option<String> {
        let selector = self.query.get("fieldSelector")?;
        selector.strip_prefix("metadata.name=").map(str::to_owned)
    }

    fn selects(&self, key: &Key) -> bool {
        key.0 == self.plural
            && self.namespace.as_ref().is_none_or(|n| *n == key.1)
            && self.field_name().is_none_or(|n| n == key.2)
    }

    fn not_found(&self) -> Refusal {
        (404, "NotFound", format!("{:?} not found", self.key()))
    }
}

fn key(plural: &str, object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (plural.to_owned(), text("namespace"), text("name"))
}

/// Preconditions of a patch.
fn check(before: &Value, patch: &Value) -> Result<(), Refusal> {
    for field in ["resourceVersion", "uid"] {
        let wanted = &patch["metadata"][field];
        if wanted.is_string() && *wanted != before["metadata"][field] {
            return Err((409, "Conflict", format!("{field} is not {wanted}")));
        }
    }
    Ok(())
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (field, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(field);
        } else {
            merge(&mut target[field.as_str()], value);
        }
    }
}

/// Nulls at the top and in metadata are absent fields.
fn prune(object: &mut Value) {
    for at in ["", "/metadata"] {
        if let Some(Value::Object(map)) = object.pointer_mut(at) {
            map.retain(|_, value| !value.is_null());
        }
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

fn gone() -> Value {
    json!({ "type": "ERROR", "object": status(410, "Expired", "too old resource version") })
}

fn plain(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    let response = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    response.body(body).unwrap()
}

fn stream(from: mpsc::UnboundedReceiver<Value>) -> Answer {
    let frames = from.map(|value| Ok(Frame::data(Bytes::from(format!("{value}\n")))));
    Response::builder()
        .status(200)
        .body(StreamBody::new(frames).boxed_unsync())
        .unwrap()
}
