//! Fuzz targets for changes of an object: the patches, and server-side apply with its managed fields. An input is an object
//! on the first line and the change in the others.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{read, reading::KINDS, shaping::THING};
use crate::apiserver::{
    apply::{self, Write},
    patch,
    request::{self, PatchType},
    schema,
};

/// The object, and the rest.
fn halves(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let object: Value = serde_json::from_slice(&bytes[..end]).ok()?;
    Some((object, &bytes[end + 1..])).filter(|(object, _)| object.is_object())
}

fn change(patch: PatchType, bytes: &[u8]) -> Option<Value> {
    read(request::patch_body(patch, &Bytes::copy_from_slice(bytes))).map(|decoded| decoded.object)
}

/// RFC 6902.
pub fn json_patch(bytes: &[u8]) {
    let Some((object, rest)) = halves(bytes) else {
        return;
    };
    let Some(change) = change(PatchType::Json, rest) else {
        return;
    };
    let _ = read(patch::json_patch(&object, &change));
}

/// RFC 7386.
pub fn merge_patch(bytes: &[u8]) {
    let Some((object, rest)) = halves(bytes) else {
        return;
    };
    let Some(change) = change(PatchType::Merge, rest) else {
        return;
    };
    let Some(once) = read(patch::merge_patch(&object, &change)) else {
        return;
    };
    let twice = patch::merge_patch(&once, &change).expect("it was merged before");
    assert_eq!(once, twice, "a merge patch twice is the same as once");
}

/// Strategic merge patch, for each kind.
pub fn strategic_patch(bytes: &[u8]) {
    let Some((object, rest)) = halves(bytes) else {
        return;
    };
    let Some(change) = change(PatchType::Strategic, rest) else {
        return;
    };
    for kind in KINDS.iter().filter(|kind| object["kind"] == *kind.kind) {
        let _ = read(patch::strategic_merge_patch(&object, &change, &kind.schema));
    }
    let _ = read(patch::strategic_merge_patch(&object, &change, &THING.schema));
}

fn holds_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty() || map.values().any(holds_empty),
        Value::Array(items) => items.is_empty() || items.iter().any(holds_empty),
        _ => false,
    }
}

/// Server-side apply, and tracking of the same change as an update.
pub fn apply(bytes: &[u8]) {
    let Some((live, rest)) = halves(bytes) else { return };
    let Some(mut config) = change(PatchType::Apply, rest) else {
        return;
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("apiVersion".to_owned(), json!("test.dev/v1"));
        config.insert("kind".to_owned(), json!("Thing"));
    }
    let sound = schema::validate(&live, None, &THING.schema).is_empty();
    for (subresource, manager, force) in [("", "a", false), ("", "kubectl", true), ("status", "b", true)] {
        let write = Write {
            kind: &THING,
            subresource,
            manager,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let _ = apply::track(Some(&live), config.clone(), &write);
        let _ = apply::track(None, config.clone(), &write);
        let Some(once) = read(apply::apply(Some(&live), &config, force, &write)) else {
            continue;
        };
        if once.pointer("/metadata/managedFields").is_none() {
            // What names no field owns none, and then what is there is somebody else's.
            continue;
        }
        let twice = match read(apply::apply(Some(&once), &config, force, &write)) {
            Some(twice) => twice,
            // A list map whose items have no keys is not stored, and nobody can own what is in it.
            None if !sound => continue,
            None => panic!("it was applied before: {once}"),
        };
        // What breaks its schema is not stored. Upstream lets what is empty come and go (`set-empty`, `map-emptied` in the vectors), and so do we.
        assert!(
            !sound || holds_empty(&config) || !apply::differs(&once, &twice),
            "applied twice: {once} then {twice}"
        );
        let _ = apply::track(Some(&live), once, &write);
    }
    let scale = Write {
        kind: &THING,
        subresource: "scale",
        manager: "s",
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("apiVersion".to_owned(), json!("autoscaling/v1"));
        config.insert("kind".to_owned(), json!("Scale"));
    }
    let _ = read(apply::apply(Some(&live), &config, true, &scale));
    let _ = apply::track(Some(&live), live.clone(), &scale);
}
