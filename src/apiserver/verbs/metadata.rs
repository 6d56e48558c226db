//! The metadata that the server owns: what a client may not set at creation, and what stays as it was at an update.
//! Pure. What metadata may say is `kinds::metadata`'s. Called by `prepare`.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::{kinds::Kind, object};

/// A time as metadata has it: seconds, UTC.
pub(super) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Takes out what Go does not write: lists, maps and texts with nothing in them. Of a built-in kind decoding has done so.
/// An empty `managedFields` says something and stays.
pub(super) fn drop_empty(object: &mut Value) {
    let fields = [
        "annotations",
        "finalizers",
        "generateName",
        "labels",
        "ownerReferences",
    ];
    let Some(Value::Object(meta)) = object.get_mut("metadata") else {
        return;
    };
    for field in fields {
        let empty = match meta.get(field) {
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            _ => false,
        };
        if empty {
            meta.remove(field);
        }
    }
}

/// Sets what the server says of a new object.
pub(super) fn stamp(object: &mut Value, kind: &Kind, namespace: &str, uid: String, at: Timestamp) {
    let meta = object::metadata_mut(object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
        "generation",
        "namespace",
    ] {
        meta.remove(field);
    }
    meta.insert("uid".to_owned(), uid.into());
    meta.insert("creationTimestamp".to_owned(), seconds(at).into());
    if kind.counts_generations {
        meta.insert("generation".to_owned(), 1.into());
    }
    if kind.namespaced {
        meta.insert("namespace".to_owned(), namespace.into());
    }
}

/// Takes over from `live` what an update does not set.
pub(super) fn keep(new: &mut Value, live: &Value) {
    let old = live.get("metadata").and_then(Value::as_object);
    let meta = object::metadata_mut(new);
    meta.remove("selfLink");
    for field in ["creationTimestamp", "generation", "resourceVersion", "namespace"] {
        set(meta, field, old.and_then(|old| old.get(field)));
    }
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let known = old.and_then(|old| old.get(field));
        let given = meta
            .get(field)
            .is_some_and(|value| !value.is_null() && value != "");
        if !given || (field == "deletionTimestamp" && known.is_some()) {
            set(meta, field, known);
        }
    }
}

fn set(meta: &mut Map<String, Value>, field: &str, value: Option<&Value>) {
    match value {
        Some(value) => meta.insert(field.to_owned(), value.clone()),
        None => meta.remove(field),
    };
}

/// The generation after this update: one more when anything outside metadata (and outside a status that has an endpoint
/// of its own) changed.
pub(super) fn count(new: &mut Value, live: &Value, kind: &Kind) {
    if kind.counts_generations && content_differs(new, live, kind.status) {
        raise_generation(new);
    }
}

/// One generation more.
pub(super) fn raise_generation(object: &mut Value) {
    let meta = object::metadata_mut(object);
    let next = meta.get("generation").and_then(Value::as_i64).unwrap_or(0) + 1;
    meta.insert("generation".to_owned(), next.into());
}

fn content_differs(new: &Value, live: &Value, without_status: bool) -> bool {
    let counts = |field: &str| {
        !(matches!(field, "metadata" | "apiVersion" | "kind") || without_status && field == "status")
    };
    let of = |object: &'_ Value| {
        object
            .as_object()
            .map_or(0, |fields| fields.keys().filter(|f| counts(f)).count())
    };
    of(new) != of(live)
        || new.as_object().is_some_and(|fields| {
            fields
                .iter()
                .any(|(field, value)| counts(field) && live.get(field) != Some(value))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_metadata_goes_but_for_managed_fields() {
        let mut object = json!({"metadata": {
            "labels": {}, "annotations": {"a": ""}, "finalizers": [], "ownerReferences": [], "generateName": "",
            "managedFields": [], "name": "",
        }});
        drop_empty(&mut object);
        assert_eq!(
            object,
            json!({"metadata": {"annotations": {"a": ""}, "managedFields": [], "name": ""}})
        );
        drop_empty(&mut json!({"metadata": []}));
    }

    #[test]
    fn a_time_has_whole_seconds() {
        let at: Timestamp = "2026-01-02T03:04:05.999Z".parse().unwrap();
        assert_eq!(seconds(at), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn a_deletion_can_neither_be_taken_back_nor_declared() {
        let live = json!({"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let mut new = json!({"metadata": {}});
        keep(&mut new, &live);
        assert_eq!(new, live);
        let alive = json!({"metadata": {"uid": "u"}});
        let mut new = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        keep(&mut new, &alive);
        assert!(object::is_deleting(&new), "validation speaks of it");
    }
}
