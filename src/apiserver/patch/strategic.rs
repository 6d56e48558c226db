//! Strategic merge patch (`k8s.io/apimachinery/pkg/util/strategicpatch`): a merge patch that merges lists by the keys of
//! the schema, and understands `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/` and `$setElementOrder/`.
//! Owns maps and directives; lists and their order are `list`'s. Pure. Messages never show what the object contains.
//! What upstream answers with 500 (a patch that contradicts itself) is the client's mistake here: 400, same words.

use serde_json::{Map, Value};

use super::list;
use crate::apiserver::{
    schema::Schema,
    status::{Result, Status},
};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Applies a strategic merge patch by the merge keys of `schema`.
///
/// # Errors
/// 400 for a patch that contradicts itself or the schema, with the words of the API server.
pub fn strategic_merge_patch(object: &Value, patch: &Value, schema: &Schema) -> Result<Value> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(refuse("invalid JSON document"));
    };
    let mut patched = object.clone();
    merge_map(&mut patched, patch.clone(), Some(schema))?;
    Ok(Value::Object(patched))
}

pub(super) fn refuse(why: impl Into<String>) -> Status {
    Status::bad_request(why)
}

/// Merges `patch` into `original`.
pub(super) fn merge_map(
    original: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<()> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => *original = strip_map(patch),
            Some("delete") => original.clear(),
            _ => return Err(refuse("unknown patch type in map")),
        }
        return Ok(());
    }
    retain_keys(original, &mut patch)?;
    set_orders(original, &mut patch, schema)?;
    for (key, value) in patch {
        if let Some(name) = directive_of(&key, DELETE_FROM, "invalid patch format of primitive list")? {
            delete_from(original, name, &value)?;
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let child = schema.and_then(|schema| schema.field(&key)).map(AsRef::as_ref);
        match (original.get_mut(&key), value) {
            (Some(Value::Object(there)), Value::Object(value)) => merge_map(there, value, child)?,
            (Some(Value::Array(there)), Value::Array(value))
                if child.is_some_and(|child| child.merge_patch) =>
            {
                *there = list::merge(std::mem::take(there), value, child)?;
            }
            (_, value) => {
                match strip(value) {
                    Some(value) => original.insert(key, value),
                    None => original.remove(&key),
                };
            }
        }
    }
    Ok(())
}

/// The field that a key like `$setElementOrder/containers` is about; `None` for another key.
fn directive_of<'a>(key: &'a str, prefix: &str, fault: &str) -> Result<Option<&'a str>> {
    match key.strip_prefix(prefix) {
        None => Ok(None),
        Some(rest) => rest.strip_prefix('/').map(Some).ok_or_else(|| refuse(fault)),
    }
}

/// `$retainKeys`: what is not in it goes, and the patch sets nothing else.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<()> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let malformed = || refuse("invalid patch format of retainKeys");
    let keys: Vec<&str> = directive
        .as_array()
        .ok_or_else(malformed)?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let sets = |(key, value): (&String, &Value)| {
        !(value.is_null() || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER))
    };
    if patch
        .iter()
        .filter(|entry| sets(*entry))
        .any(|(key, _)| !keys.contains(&key.as_str()))
    {
        return Err(malformed());
    }
    original.retain(|key, _| keys.contains(&key.as_str()));
    Ok(())
}

/// Every `$setElementOrder/list` of the patch, together with the list itself, which leaves the patch.
fn set_orders(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<()> {
    let directives: Vec<String> = patch
        .keys()
        .filter(|key| key.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for key in directives {
        let Some(name) = directive_of(&key, SET_ORDER, "invalid patch format of setElementOrder list")?
        else {
            continue;
        };
        let order = expect_list(patch.remove(&key))?.unwrap_or_default();
        let there = expect_list(original.get(name).cloned())?;
        let change = match patch.remove(name) {
            // An explicit null contradicts an order.
            Some(Value::Null) => return Err(refuse("expected a list, but received null")),
            other => expect_list(other)?,
        };
        let child = schema.and_then(|schema| schema.field(name)).map(AsRef::as_ref);
        if there.is_some() || change.is_some() {
            let merged = list::merge_in_order(there, change, &order, child)?;
            original.insert(name.to_owned(), Value::Array(merged));
        }
    }
    Ok(())
}

fn expect_list(value: Option<Value>) -> Result<Option<Vec<Value>>> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(refuse("expected a list, but received something else")),
    }
}

fn delete_from(original: &mut Map<String, Value>, name: &str, items: &Value) -> Result<()> {
    let gone = items
        .as_array()
        .ok_or_else(|| refuse("invalid patch format of primitive list"))?;
    if let Some(Value::Array(there)) = original.get_mut(name) {
        let gone = list::texts(gone);
        there.retain(|item| !gone.contains(&item.to_string()));
    }
    Ok(())
}

/// A new value: without nulls and without what only directs a merge; `None` when it is a directive itself.
pub(super) fn strip(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(strip_map(map))),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(strip).collect())),
        other => Some(other),
    }
}

fn strip_map(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter()
        .filter(|(key, value)| {
            !(value.is_null()
                || key == RETAIN_KEYS
                || key.starts_with(DELETE_FROM)
                || key.starts_with(SET_ORDER))
        })
        .filter_map(|(key, value)| Some((key, strip(value)?)))
        .collect()
}

#[cfg(test)]
#[path = "strategic_tests.rs"]
mod tests;
