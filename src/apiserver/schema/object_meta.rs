//! The schema of `metadata` (`k8s.io/apimachinery` `ObjectMeta`), the same for every kind. Owns which fields it has and
//! how they merge. What they may say is `kinds::metadata`'s. Used for whole objects and for embedded resources.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::{Schema, parse::read};

static OBJECT_META: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let number = json!({"type": "integer", "format": "int64"});
    let flag = json!({"type": "boolean"});
    let time = json!({"type": "string", "nullable": true});
    let owner = json!({
        "type": "object", "x-kubernetes-map-type": "atomic",
        "properties": {
            "apiVersion": text, "kind": text, "name": text, "uid": text,
            "controller": flag, "blockOwnerDeletion": flag,
        },
    });
    let managed = json!({
        "type": "object",
        "properties": {
            "manager": text, "operation": text, "apiVersion": text, "time": time, "fieldsType": text,
            "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "subresource": text,
        },
    });
    let meta = json!({
        "type": "object",
        "properties": {
            "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
            "resourceVersion": text, "generation": number, "creationTimestamp": time, "deletionTimestamp": time,
            "deletionGracePeriodSeconds": number, "labels": texts, "annotations": texts,
            "ownerReferences": {
                "type": "array", "items": owner, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["uid"], "x-kubernetes-patch-merge-key": "uid",
                "x-kubernetes-patch-strategy": "merge",
            },
            "finalizers": {
                "type": "array", "items": text, "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
            },
            "managedFields": {"type": "array", "items": managed, "x-kubernetes-list-type": "atomic"},
        },
    });
    Arc::new(read(&meta))
});

/// The schema of `metadata`.
#[must_use]
pub fn object_meta() -> Arc<Schema> {
    OBJECT_META.clone()
}
