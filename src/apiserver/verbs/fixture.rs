//! What the tests of the verbs stand on: a server over the in-memory store with a custom kind (`widgets`, with status,
//! scale and a selectable field), a kind like config maps, one like leases, and namespaces; and requests to it.
//! Only for tests.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{Api, respond};
use crate::{
    apiserver::{
        admission::AdmitAll,
        authorize::{DefaultRoles, User},
        field_error::FieldError,
        kinds::{CellSource, Column, Definition, Kind, Kinds, Rules, Scale},
        names::GroupVersion,
        object, request, schema,
        status::Result,
        store::{self, Store},
    },
    clock::Fixed,
};

pub(super) const WIDGETS: &str = "/apis/example.com/v1/namespaces/a/widgets";
pub(super) const CONFIG_MAPS: &str = "/api/v1/namespaces/a/configmaps";
pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases";
pub(super) const NAMESPACES: &str = "/api/v1/namespaces";
pub(super) const JSON: &str = "application/json";
pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

/// A server.
#[derive(Clone)]
pub(super) struct Server {
    pub api: Api,
    pub clock: Fixed,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub code: u16,
    pub warnings: Vec<String>,
    pub text: String,
    pub body: Value,
}

impl Answer {
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub fn meta(&self, field: &str) -> &str {
        object::meta(&self.body, field)
    }

    pub fn version(&self) -> u64 {
        self.meta("resourceVersion").parse().unwrap()
    }

    pub fn causes(&self) -> Vec<(&str, &str)> {
        let causes = self.body["details"]["causes"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        causes
            .iter()
            .map(|cause| {
                (
                    cause["reason"].as_str().unwrap_or_default(),
                    cause["field"].as_str().unwrap_or_default(),
                )
            })
            .collect()
    }

    pub fn names(&self) -> Vec<&str> {
        self.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(object::name)
            .collect()
    }

    #[track_caller]
    pub fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }
}

impl Server {
    /// With the namespace `a`.
    pub async fn new() -> Self {
        Self::with(store::Options::default()).await
    }

    pub async fn with(options: store::Options) -> Self {
        let clock = Fixed::at("2026-01-02T03:04:05.678Z".parse().unwrap());
        let api = Api {
            store: Store::in_memory(options),
            kinds: Arc::new(ArcSwap::from_pointee(Kinds::new(
                kinds().into_iter().map(Arc::new),
                1,
            ))),
            admission: Arc::new(AdmitAll),
            authorizer: Arc::new(DefaultRoles),
            clock: Arc::new(clock.clone()),
        };
        let server = Self { api, clock };
        server
            .post(NAMESPACES, &json!({"metadata": {"name": "a"}}))
            .await
            .is(201);
        server
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<crate::apiserver::response::Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = request.body(Bytes::from(body.to_owned())).unwrap().into_parts();
        let request::Path::Resource(path) = request::path(parts.uri.path()).unwrap() else {
            panic!("{path} is no resource");
        };
        respond(&self.api, &User::master("tester"), &path, &parts, body).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let response = self.call(method, path, headers, body).await;
        let code = response.status().as_u16();
        let warnings = response
            .headers()
            .get_all("warning")
            .iter()
            .map(|text| text.to_str().unwrap().to_owned())
            .collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            code,
            warnings,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.ask("GET", path, &[("accept", accept)], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(
            "POST",
            path,
            &[("content-type", JSON), ("user-agent", "test/1")],
            &body.to_string(),
        )
        .await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path, &[("content-type", JSON)], &body.to_string())
            .await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, &[("content-type", kind)], &body.to_string())
            .await
    }

    pub async fn delete(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.ask("DELETE", path, &[("content-type", JSON)], &body).await
    }
}

/// A widget.
pub(super) fn widget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

/// Something like a config map.
pub(super) fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}

/// The kind like config maps.
pub(super) fn config_maps() -> Kind {
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    Kind {
        schema: whole(json!({"data": strings, "immutable": {"type": "boolean"}})),
        ..kind("", "ConfigMap", "configmaps")
    }
}

fn kinds() -> Vec<Kind> {
    let widget = Kind {
        status: true,
        scale: Some(Scale {
            spec_replicas: ".spec.replicas".into(),
            status_replicas: ".status.replicas".into(),
            label_selector: Some(".status.selector".into()),
        }),
        schema: whole(json!({
            "spec": {"type": "object", "properties": {
                "host": {"type": "string"}, "size": {"type": "integer", "default": 3, "minimum": 0},
                "replicas": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}},
            }},
            "status": {"type": "object", "properties": {
                "replicas": {"type": "integer"}, "selector": {"type": "string"}, "ready": {"type": "boolean"},
            }},
        })),
        columns: vec![Column {
            name: "Host".into(),
            kind: "string".into(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            source: CellSource::Path(".spec.host".into()),
        }],
        selectable: vec!["spec.host".into()],
        counts_generations: true,
        unconditional_update: false,
        custom: true,
        ..kind("example.com", "Widget", "widgets")
    };
    let newer = Kind {
        version: GroupVersion::new("example.com", "v2"),
        ..widget.clone()
    };
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let config_map = config_maps();
    let lease = Kind {
        schema: whole(json!({"spec": strings})),
        unconditional_update: false,
        create_on_update: true,
        ..kind("coordination.k8s.io", "Lease", "leases")
    };
    let namespace = Kind {
        namespaced: false,
        status: true,
        schema: whole(json!({
            "spec": {"type": "object", "properties": {"finalizers": {"type": "array", "items": {"type": "string"}}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        })),
        rules: Arc::new(NamespaceRules),
        ..kind("", "Namespace", "namespaces")
    };
    let review = Kind {
        namespaced: false,
        verbs: &["create"],
        schema: whole(json!({"spec": strings, "status": strings})),
        rules: Arc::new(ReviewRules),
        ..kind("authorization.k8s.io", "Review", "reviews")
    };
    vec![widget, newer, config_map, lease, namespace, review]
}

fn kind(group: &str, name: &str, plural: &str) -> Kind {
    Kind {
        definition: Definition::BuiltIn("test"),
        counts_generations: false,
        unconditional_update: true,
        custom: false,
        ..Kind::bare(GroupVersion::new(group, "v1"), name, plural)
    }
}

fn whole(mut properties: Value) -> Arc<schema::Schema> {
    for field in ["apiVersion", "kind"] {
        properties[field] = json!({"type": "string"});
    }
    let mut schema = schema::read(&json!({"type": "object", "properties": properties}));
    schema.properties.insert("metadata".into(), schema::object_meta());
    Arc::new(schema)
}

struct NamespaceRules;

impl Rules for NamespaceRules {
    fn prepare_create(&self, object: &mut Value) {
        object["spec"] = json!({"finalizers": ["kubernetes"]});
        object["status"] = json!({"phase": "Active"});
    }

    fn prepare_update(&self, object: &mut Value, old: &Value) {
        object["spec"] = old["spec"].clone();
    }

    fn begin_delete(&self, object: &mut Value, _now: &str) -> Result<bool> {
        object["status"]["phase"] = "Terminating".into();
        Ok(true)
    }

    fn holds(&self, object: &Value) -> bool {
        object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|held| !held.is_empty())
    }
}

struct ReviewRules;

impl Rules for ReviewRules {
    fn answer(&self, object: &Value, user: &User) -> Option<Result<Value>> {
        let mut answer = object.clone();
        answer["status"] = json!({"user": user.name});
        Some(Ok(answer))
    }

    fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        panic!("a review is not stored")
    }
}
