//! Embedded resources (`x-kubernetes-embedded-resource`): their `apiVersion`, `kind` and `metadata`. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta`). Called by `validate`.

use serde_json::{Map, Value};

use super::{Schema, descend::descend};
use crate::apiserver::{field_error::FieldError, kinds::metadata};

/// The findings of all embedded resources in `object`; the object itself is not one.
pub(super) fn check(object: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut found = Vec::new();
    descend(object, schema, &mut |value, schema, path| {
        if let Value::Object(map) = value
            && schema.embedded_resource
            && !path.is_empty()
        {
            resource(map, path, &mut found);
        }
    });
    found
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
