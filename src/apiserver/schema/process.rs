//! What is done to an object by its schema: pruning, defaulting, validation. Joint; the owner splits this file.

use serde_json::Value;

use super::Schema;
use crate::apiserver::field_error::FieldError;

/// Parses an `openAPIV3Schema` (or any OpenAPI v3 schema without `$ref`).
///
/// # Errors
/// What is not structural, a finding each, below `at`.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn parse(_source: &Value, _at: &str) -> Result<Schema, Vec<FieldError>> {
    unimplemented!()
}

/// Removes unknown fields; returns their paths (`spec.x`), sorted.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn prune(_object: &mut Value, _schema: &Schema) -> Vec<String> {
    unimplemented!()
}

/// Fills in defaults.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn default(_object: &mut Value, _schema: &Schema) {
    unimplemented!()
}

/// All findings: types, values, CEL rules (with `old`, transition rules too). With `old`, what was invalid before and is
/// unchanged is no finding (ratcheting).
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn validate(_object: &Value, _old: Option<&Value>, _schema: &Schema) -> Vec<FieldError> {
    unimplemented!()
}
