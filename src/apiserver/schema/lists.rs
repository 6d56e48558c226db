//! Lists of type `set` and `map`: each item, or key, at most once. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype`). Called by `validate`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ListType, Schema, values::MAX_FINDINGS};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// What is there twice in the lists of `object`.
pub(super) fn check(object: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(object, schema, &mut String::new(), &mut found);
    found
}

fn walk(value: &Value, schema: &Schema, path: &mut String, found: &mut Vec<FieldError>) {
    if found.len() >= MAX_FINDINGS {
        return;
    }
    let mark = path.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let Some(child) = schema.field(key) else { continue };
                if !matches!(value, Value::Object(_) | Value::Array(_)) {
                    continue;
                }
                if schema.properties.contains_key(key) {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(dot);
                    path.push_str(key);
                } else {
                    path.push_str(&format!("[{key}]"));
                }
                walk(value, child, path, found);
                path.truncate(mark);
            }
        }
        Value::Array(items) => {
            match &schema.list {
                ListType::Atomic => {}
                ListType::Set => duplicates(items.iter().map(|item| Some(item.clone())), path, found),
                ListType::Map(keys) => by_keys(items, keys, path, found),
            }
            let Some(child) = schema.items.as_deref() else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(item, child, path, found);
                path.truncate(mark);
            }
        }
        _ => {}
    }
}

fn by_keys(items: &[Value], keys: &[String], path: &str, found: &mut Vec<FieldError>) {
    let odd = items.iter().position(|item| !item.is_null() && !item.is_object());
    if let Some(index) = odd {
        let field = format!("{path}[{index}]");
        let detail = "must be an object for an array of list-type map";
        found.push(FieldError::invalid(field, items[index].clone(), detail));
        return;
    }
    let keys_of = items.iter().map(|item| {
        let map: Map<String, Value> = (keys.iter())
            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
            .collect();
        Some(Value::Object(map))
    });
    duplicates(keys_of, path, found);
}

/// A finding for the second of each that are equal.
fn duplicates(items: impl Iterator<Item = Option<Value>>, path: &str, found: &mut Vec<FieldError>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, item) in items.enumerate() {
        let Some(item) = item else { continue };
        let times = seen.entry(item.to_string()).or_default();
        *times += 1;
        if *times == 2 {
            found.push(FieldError {
                kind: FieldErrorKind::Duplicate,
                field: format!("{path}[{index}]"),
                value: Some(item),
                detail: String::new(),
            });
        }
    }
}
