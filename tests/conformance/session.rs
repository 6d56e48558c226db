//! One case on one server: what it asks, what came back, and the record by which two servers are compared. A case is
//! written once and run on each server by itself, so that it uses that server's own uids and resource versions.
//! What legitimately differs is masked: uids, times, resource versions, tokens, generated names, and texts for people.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::client::{Answer, Ask, Client, SOON, Stream};

pub const JSON_PATCH: &str = "application/json-patch+json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

/// A server under test.
pub struct Server {
    pub name: &'static str,
    pub admin: Client,
    pub nobody: Client,
}

/// One step of a case, as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub label: String,
    pub outcome: Value,
}

/// A case on a server.
pub struct Session {
    pub server: Arc<Server>,
    /// The API group of this run.
    pub group: String,
    /// The namespace of this case.
    pub namespace: String,
    steps: Mutex<Vec<Step>>,
}

impl Session {
    pub fn new(server: Arc<Server>, group: &str, namespace: &str) -> Self {
        Self {
            server,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            steps: Mutex::default(),
        }
    }

    pub fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap().clone()
    }

    /// Below the gadgets of this case's namespace.
    pub fn gadgets(&self, rest: &str) -> String {
        format!(
            "/apis/{}/v1/namespaces/{}/gadgets{rest}",
            self.group, self.namespace
        )
    }

    /// Below a core resource of this case's namespace.
    pub fn core(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    /// A gadget with this name and spec.
    pub fn gadget(&self, name: &str, spec: Value) -> Value {
        json!({ "apiVersion": format!("{}/v1", self.group), "kind": "Gadget", "metadata": { "name": name }, "spec": spec })
    }

    pub fn config_map(&self, name: &str, data: Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
    }

    /// Records something that is not the answer to a request.
    pub fn note(&self, what: &str, value: &Value) {
        let mut value = value.clone();
        mask(&mut value);
        if let Some(status) = value
            .get_mut("object")
            .filter(|object| object["kind"] == "Status")
        {
            silence(status);
        }
        self.record(what, value);
    }

    fn record(&self, what: &str, outcome: Value) {
        let mut steps = self.steps.lock().unwrap();
        let plain = |text: &str| {
            text.replace(&self.namespace, "NAMESPACE")
                .replace(&self.group, "GROUP")
        };
        let label = plain(&format!("{} {what}", steps.len() + 1));
        let outcome = serde_json::from_str(&plain(&outcome.to_string())).unwrap();
        steps.push(Step { label, outcome });
    }

    /// Asks as the administrator, and records what is comparable of the answer.
    pub async fn send(&self, ask: Ask) -> Answer {
        let answer = self.server.admin.send(&ask).await;
        self.compare(&ask, &answer, false);
        answer
    }

    /// The same, and the texts are compared, too.
    pub async fn send_to_the_word(&self, ask: Ask) -> Answer {
        let answer = self.server.admin.send(&ask).await;
        self.compare(&ask, &answer, true);
        answer
    }

    /// Asks with the given credentials only.
    pub async fn send_bare(&self, ask: Ask) -> Answer {
        let answer = self.server.nobody.send(&ask).await;
        self.compare(&ask, &answer, false);
        answer
    }

    /// Asks and records nothing.
    pub async fn quietly(&self, ask: Ask) -> Answer {
        self.server.admin.send(&ask).await
    }

    fn compare(&self, ask: &Ask, answer: &Answer, words: bool) {
        let path = ask.path.split('?').next().unwrap();
        let end = path
            .rsplit_once(&format!("/{}/", self.namespace))
            .map_or(path, |(_, end)| end);
        let header = |name: &str| -> Vec<String> {
            let values = answer.headers.get_all(name).iter();
            values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect()
        };
        let mut body = answer.body.clone();
        mask(&mut body);
        if body["kind"] == "Status" && !words {
            silence(&mut body);
        }
        let outcome = json!({
            "code": answer.code,
            "type": header("content-type"),
            "warning": header("warning"),
            "body": body,
        });
        self.record(&format!("{} {}", ask.method, end), outcome);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Ask::new("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Ask::new("POST", path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Ask::new("PUT", path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Ask::new("DELETE", path)).await
    }

    pub async fn patch(&self, content_type: &str, path: &str, body: &Value) -> Answer {
        self.send(Ask::new("PATCH", path).body(content_type, body.to_string()))
            .await
    }

    /// Server-side apply.
    pub async fn apply(&self, path: &str, manager: &str, body: &Value) -> Answer {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.patch(APPLY, &format!("{path}{sign}fieldManager={manager}"), body)
            .await
    }

    /// Makes a gadget that the case needs; not recorded.
    pub async fn given(&self, name: &str, spec: Value) -> Value {
        let answer = self
            .quietly(Ask::new("POST", &self.gadgets("")).json(&self.gadget(name, spec)))
            .await;
        assert_eq!(answer.code, 201, "{}", answer.body);
        answer.body
    }

    pub async fn watch(&self, path: &str) -> Stream {
        let stream = self.server.admin.stream(&Ask::new("GET", path)).await;
        stream.unwrap_or_else(|answer| panic!("{path}: {} {}", answer.code, answer.body))
    }

    /// The next event of a watch, recorded.
    pub async fn event(&self, stream: &mut Stream) -> Value {
        let event = stream.next(SOON).await.expect("the watch goes on");
        self.note("event", &event);
        event
    }

    /// Asks until it is so; not recorded.
    pub async fn until(&self, what: &str, path: &str, so: impl Fn(&Answer) -> bool) -> Answer {
        let end = Instant::now() + SOON;
        loop {
            let answer = self.quietly(Ask::new("GET", path)).await;
            if so(&answer) {
                return answer;
            }
            assert!(
                Instant::now() < end,
                "waited {SOON:?} for {what}: {} {}",
                answer.code,
                answer.body
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Answer {
    /// Fails the case unless the code is this one.
    #[track_caller]
    pub fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", String::from_utf8_lossy(&self.raw));
        self
    }

    /// Fails the case unless it is a refusal with this code and reason, in a `Status` that says the same.
    #[track_caller]
    pub fn refuses(self, code: u16, reason: &str) -> Self {
        assert_eq!(
            (self.code, &self.body["code"], self.body["reason"].as_str()),
            (code, &json!(code), Some(reason)),
            "{}",
            self.body
        );
        assert_eq!(
            (&self.body["kind"], &self.body["status"]),
            (&json!("Status"), &json!("Failure"))
        );
        self
    }

    /// Fails the case unless one of the causes is this one.
    #[track_caller]
    pub fn because(self, reason: &str, field: &str) -> Self {
        let causes = self.body["details"]["causes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let of = |cause: &Value| cause["field"].as_str().unwrap_or_default() == field;
        let found = causes.iter().any(|cause| cause["reason"] == reason && of(cause));
        assert!(found, "no cause {reason} {field}: {}", self.body);
        self
    }

    pub fn version(&self) -> &str {
        self.body["metadata"]["resourceVersion"]
            .as_str()
            .expect("a resource version")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Texts for people: only where a case says so are they the same. A cause that is there twice says nothing more.
fn silence(status: &mut Value) {
    if let Some(status) = status.as_object_mut() {
        status.remove("message");
    }
    if let Some(causes) = status
        .pointer_mut("/details/causes")
        .and_then(Value::as_array_mut)
    {
        causes
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|cause| {
                cause.remove("message");
            });
        causes.sort_by_key(Value::to_string);
        causes.dedup();
    }
}

fn is_uid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| {
            if matches!(at, 8 | 13 | 18 | 23) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() >= 20
        && text.ends_with('Z')
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[0].is_ascii_digit()
}

/// Replaces what may differ.
pub fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => mask_object(map),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if is_uid(text) => *value = "<uid>".into(),
        Value::String(text) if is_time(text) => *value = "<time>".into(),
        _ => {}
    }
}

/// The keys of `fieldsV1` name items of lists by their values, among which are uids.
fn mask_key(key: String) -> String {
    match key
        .strip_prefix("k:{\"uid\":\"")
        .and_then(|rest| rest.split_once('"'))
    {
        Some((uid, _)) if is_uid(uid) => key.replace(uid, "<uid>"),
        _ => key,
    }
}

fn mask_object(map: &mut Map<String, Value>) {
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, value)| (mask_key(key), value))
        .collect();
    // They come by time, and two may fall into one second or into two.
    if let Some(Value::Array(managers)) = map.get_mut("managedFields") {
        managers.sort_by_key(|one| format!("{}{}{}", one["manager"], one["operation"], one["subresource"]));
    }
    // Lists of custom resources say that there is no next page, others do not say anything.
    map.retain(|key, value| key != "continue" || value != "");
    if let Some(Value::Array(verbs)) = map.get_mut("verbs") {
        verbs.sort_by_key(Value::to_string);
    }
    let generated = map.get("generateName").and_then(Value::as_str).map(str::to_owned);
    for (key, value) in map {
        match (key.as_str(), &*value) {
            ("resourceVersion" | "continue", Value::String(text)) if !text.is_empty() => {
                *value = format!("<{key}>").into()
            }
            ("name", Value::String(text))
                if generated.as_ref().is_some_and(|prefix| text.starts_with(prefix)) =>
            {
                *value = "<generated>".into();
            }
            // What the server itself writes is under the name of its program.
            ("manager", Value::String(text)) if text.contains("apiserver") => *value = "<server>".into(),
            _ => mask(value),
        }
    }
}
