//! Embedded resources (`x-kubernetes-embedded-resource`): their `apiVersion`, `kind` and `metadata`. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta`). Called by `validate`.

use serde_json::{Map, Value};

use super::Schema;
use crate::apiserver::{field_error::FieldError, kinds::metadata};

/// The findings of all embedded resources in `object`; the object itself is not one.
pub(super) fn check(object: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(object, schema, &mut String::new(), &mut found, true);
    found
}

fn walk(value: &Value, schema: &Schema, path: &mut String, found: &mut Vec<FieldError>, root: bool) {
    let mark = path.len();
    match value {
        Value::Object(map) => {
            if schema.embedded_resource && !root {
                resource(map, path, found);
            }
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
                walk(value, child, path, found, false);
                path.truncate(mark);
            }
        }
        Value::Array(items) => {
            let Some(child) = schema.items.as_deref() else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(item, child, path, found, false);
                path.truncate(mark);
            }
        }
        _ => {}
    }
}

fn resource(map: &Map<String, Value>, path: &str, found: &mut Vec<FieldError>) {
    for field in ["apiVersion", "kind"] {
        let at = format!("{path}.{field}");
        match map.get(field) {
            None => found.push(FieldError::required(at, "")),
            Some(Value::String(text)) if text.is_empty() => {
                found.push(FieldError::invalid(at, "", "must not be empty"))
            }
            Some(Value::String(text)) if field == "apiVersion" && text.matches('/').count() > 1 => {
                let detail = format!("unexpected GroupVersion string: {text}");
                found.push(FieldError::invalid(at, text.as_str(), detail));
            }
            Some(Value::String(text)) if field == "kind" => {
                let lower = text.to_lowercase();
                let wrong = metadata::dns1035_label(&lower);
                if !wrong.is_empty() {
                    let detail = format!(
                        "may have mixed case, but should otherwise match: {}",
                        wrong.join(",")
                    );
                    found.push(FieldError::invalid(at, text.as_str(), detail));
                }
            }
            Some(Value::String(_)) => {}
            Some(other) => found.push(FieldError::invalid(at, other.clone(), "must be a string")),
        }
    }
    let at = format!("{path}.metadata");
    match map.get("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(meta)) => found.extend(metadata::embedded(meta, &at)),
        Some(other) => found.push(FieldError::invalid(at, other.clone(), "must be an object")),
    }
}
