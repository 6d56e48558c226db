//! What CRDs and custom resources do of their own as kinds. Owns the wiring into [`Rules`] and the check of `/scale`'s fields;
//! the decisions are `check`'s and this folder's. Used by every write of a CRD or a custom resource.

use serde_json::{Value, json};

use super::{CLEANUP, check, facets, names, prepare_create, prepare_update};
use crate::apiserver::{
    field_error::FieldError,
    kinds::{Rules, Scale},
    object, status,
};

/// The rules of `customresourcedefinitions.apiextensions.k8s.io`.
#[derive(Debug, Clone, Copy)]
pub struct DefinitionRules;

impl Rules for DefinitionRules {
    fn prepare_create(&self, object: &mut Value) {
        prepare_create(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value) {
        prepare_update(object, old);
    }

    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        check::validate(object, old)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        facets::warnings(object)
    }

    fn begin_delete(&self, object: &mut Value, now: &str) -> status::Result<bool> {
        let metadata = object::metadata_mut(object);
        let finalizers = metadata.entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(finalizers) = finalizers
            && !finalizers.iter().any(|held| held == CLEANUP)
        {
            finalizers.push(CLEANUP.into());
        }
        names::terminating(
            object::entry(object, "status"),
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            now,
        );
        Ok(true)
    }
}

/// The rules of a custom resource.
#[derive(Debug, Clone)]
pub(super) struct CustomRules {
    scale: Option<Scale>,
    deprecation: Option<String>,
}

impl CustomRules {
    pub(super) const fn new(scale: Option<Scale>, deprecation: Option<String>) -> Self {
        Self { scale, deprecation }
    }
}

impl Rules for CustomRules {
    fn validate(&self, object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        let Some(scale) = &self.scale else {
            return Vec::new();
        };
        let mut found = Vec::new();
        found.extend(replicas(object, &scale.spec_replicas));
        found.extend(replicas(object, &scale.status_replicas));
        found.extend(
            scale
                .label_selector
                .as_deref()
                .and_then(|path| selector(object, path)),
        );
        found
    }

    fn warnings(&self, _object: &Value) -> Vec<String> {
        self.deprecation.iter().cloned().collect()
    }
}

fn replicas(object: &Value, path: &str) -> Option<FieldError> {
    let value = match at(object, path) {
        Ok(value) => value?,
        Err(detail) => return Some(FieldError::invalid(path, 0, detail)),
    };
    let Some(count) = value.as_i64() else {
        return Some(FieldError::invalid(path, 0, mistyped(path, value, "int64")));
    };
    if count < 0 {
        Some(FieldError::invalid(
            path,
            count,
            "should be a non-negative integer",
        ))
    } else if count > i64::from(i32::MAX) {
        let detail = format!("should be less than or equal to {}", i32::MAX);
        Some(FieldError::invalid(path, count, detail))
    } else {
        None
    }
}

fn selector(object: &Value, path: &str) -> Option<FieldError> {
    let detail = match at(object, path) {
        Ok(None | Some(Value::String(_))) => return None,
        Ok(Some(value)) => mistyped(path, value, "string"),
        Err(detail) => detail,
    };
    Some(FieldError::invalid(path, "", detail))
}

/// The value at a dotted path, or why it leads nowhere: through something that is no object.
fn at<'a>(object: &'a Value, path: &str) -> Result<Option<&'a Value>, String> {
    let mut value = object;
    for field in path.trim_start_matches('.').split('.') {
        value = match value {
            Value::Object(map) => match map.get(field) {
                Some(value) => value,
                None => return Ok(None),
            },
            Value::Null => return Ok(None),
            other => return Err(mistyped(path, other, "map[string]interface{}")),
        };
    }
    Ok(Some(value))
}

/// In Go's words.
fn mistyped(path: &str, value: &Value, expected: &str) -> String {
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let actual = go_type(value);
    format!("{path} accessor error: {shown} is of the type {actual}, expected {expected}")
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_scale_that_leads_through_a_text_is_told_of() {
        let found = replicas(&json!({"spec": "text"}), ".spec.replicas").unwrap();
        assert_eq!(
            found.to_string(),
            ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: text is of the type string, \
             expected map[string]interface{}"
        );
        for fine in [json!({}), json!({"spec": null}), json!({"spec": {"replicas": 1}})] {
            assert_eq!(replicas(&fine, ".spec.replicas"), None);
        }
        assert!(selector(&json!({"status": 1}), ".status.selector").is_some());
        assert_eq!(
            selector(&json!({"status": {"selector": "a"}}), ".status.selector"),
            None
        );
    }

    #[test]
    fn a_definition_that_is_deleted_waits_for_its_objects() {
        let mut definition = json!({"metadata": {"name": "a"}, "status": {"conditions": null}});
        for _ in 0..2 {
            assert!(DefinitionRules.begin_delete(&mut definition, "now").unwrap());
            assert_eq!(definition["metadata"]["finalizers"], json!([CLEANUP]));
            assert_eq!(
                definition["status"]["conditions"][0]["reason"],
                "InstanceDeletionPending"
            );
            assert_eq!(definition["status"]["conditions"].as_array().unwrap().len(), 1);
        }
    }
}
