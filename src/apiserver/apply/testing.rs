//! Schemas and kinds for the tests of this folder: a schema with a field of every sort, and a custom kind that has one.
//! The kinds of the recorded cases are not here but in their file. Called by the tests only.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::{
    kinds::{Kind, Scale},
    names::GroupVersion,
    schema::{self, Schema},
};

/// Reads a schema.
pub fn schema(source: &Value) -> Schema {
    schema::read(source)
}

/// A schema with a field of every sort.
pub fn thing() -> Schema {
    schema(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "struct": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "objects": {"type": "object", "additionalProperties": {
                "type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}},
            "atomicmap": {"type": "object", "x-kubernetes-map-type": "atomic",
                "additionalProperties": {"type": "string"}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "atomic": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "value": {"type": "string"}, "extra": {"type": "string"}}}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}))
}

/// A custom kind `test.dev/v1 Thing` with this schema, a status and a scale.
pub fn kind(schema: Schema) -> Kind {
    Kind {
        verbs: &[],
        status: true,
        scale: Some(Scale {
            spec_replicas: ".spec.count".to_owned(),
            status_replicas: ".status.count".to_owned(),
            label_selector: None,
        }),
        schema: Arc::new(schema),
        ..Kind::bare(GroupVersion::new("test.dev", "v1"), "Thing", "things")
    }
}
