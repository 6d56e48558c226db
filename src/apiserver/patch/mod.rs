//! The three patches that are not apply: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge
//! patch for built-in kinds. Pure: object and patch in, object out. Called by `verbs`.

mod json_patch;
mod list;
mod strategic;

use serde_json::Value;

use super::status::{Result, Status};

pub use json_patch::json_patch;
pub use strategic::strategic_merge_patch;

/// Applies a merge patch.
///
/// # Errors
/// 400 when the patch is no object.
pub fn merge_patch(object: &Value, patch: &Value) -> Result<Value> {
    if !patch.is_object() {
        return Err(Status::bad_request("Invalid JSON Patch"));
    }
    let mut patched = object.clone();
    merge(&mut patched, patch);
    Ok(patched)
}

/// RFC 7386, except that upstream drops null fields inside of lists, too.
fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(target), Value::Object(patch)) = (&mut *target, patch) else {
        *target = without_null_fields(patch);
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else if let Some(there) = target.get_mut(key) {
            merge(there, value);
        } else {
            target.insert(key.clone(), without_null_fields(value));
        }
    }
}

fn without_null_fields(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(key, value)| (key.clone(), without_null_fields(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(without_null_fields).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_sets_removes_and_replaces_lists() {
        let object = json!({"a": {"b": 1, "c": 2}, "l": [1, 2], "s": "x"});
        let patch = json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "l": [3], "s": null});
        let expected = json!({"a": {"c": 2, "d": {"f": 1}}, "l": [3]});
        assert_eq!(merge_patch(&object, &patch).unwrap(), expected);
    }

    #[test]
    fn null_fields_are_dropped_inside_of_lists_and_null_items_stay() {
        let patch = json!({"n": [1, null, {"a": null}], "m": {"l": [null, {"b": null}]}});
        let expected = json!({"n": [1, null, {}], "m": {"l": [null, {}]}});
        assert_eq!(merge_patch(&json!({"n": [2]}), &patch).unwrap(), expected);
    }

    #[test]
    fn a_merge_patch_that_is_no_object_is_refused() {
        for patch in [json!(null), json!([]), json!(1)] {
            assert_eq!(merge_patch(&json!({}), &patch).unwrap_err().code, 400);
        }
    }
}
