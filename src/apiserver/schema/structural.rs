//! What a schema must obey to be served: structural, with nothing that is forbidden. Owns the findings, in the words of
//! `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`. Builds nothing. Called by `parse`.

use serde_json::Value;

use crate::apiserver::field_error::FieldError;

/// The findings of `source`, the schema of a whole custom resource, at `at`.
pub(super) fn check(_source: &Value, _at: &str) -> Vec<FieldError> {
    Vec::new()
}
