//! What CRDs and custom resources do of their own as kinds. Owns the wiring into [`Rules`] and the check of `/scale`'s fields;
//! the decisions are `check`'s and this folder's. Used by every write of a CRD or a custom resource.

use serde_json::Value;

use super::{check, facets, prepare_create, prepare_update};
use crate::apiserver::{
    field_error::FieldError,
    kinds::{Rules, Scale, metadata::finalizer_warnings},
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
        let selector = scale.label_selector.as_deref();
        if let Some((path, value)) = selector.and_then(|path| Some((path, at(object, path)?)))
            && !value.is_string()
        {
            let detail = format!(
                "{path} accessor error: {value} is of the type {}, expected string",
                go_type(value)
            );
            found.push(FieldError::invalid(path, "", detail));
        }
        found
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let mut warnings: Vec<String> = self.deprecation.iter().cloned().collect();
        warnings.extend(finalizer_warnings(object, None));
        warnings
    }
}

fn replicas(object: &Value, path: &str) -> Option<FieldError> {
    let value = at(object, path)?;
    let Some(count) = value.as_i64() else {
        // A text stands there without quotes.
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let detail = format!(
            "{path} accessor error: {shown} is of the type {}, expected int64",
            go_type(value)
        );
        return Some(FieldError::invalid(path, 0, detail));
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

/// The value at a dotted path.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.')
        .split('.')
        .try_fold(object, |value, field| value.get(field))
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
