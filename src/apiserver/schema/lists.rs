//! Lists of type `set` and `map`: each item, or key, at most once. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype`). Called by `validate`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ListType, Schema, descend::descend, values::MAX_FINDINGS};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// What is there twice in the lists of `object`.
pub(super) fn check(object: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut found = Vec::new();
    descend(object, schema, &mut |value, schema, path| {
        let Value::Array(items) = value else { return };
        if found.len() >= MAX_FINDINGS {
            return;
        }
        match &schema.list {
            ListType::Atomic => {}
            ListType::Set => duplicates(items.iter().cloned(), path, &mut found),
            ListType::Map(keys) => by_keys(items, keys, path, &mut found),
        }
    });
    found
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
        Value::Object(map)
    });
    duplicates(keys_of, path, found);
}

/// A finding for the second of each that are equal.
fn duplicates(items: impl Iterator<Item = Value>, path: &str, found: &mut Vec<FieldError>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, item) in items.enumerate() {
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
