//! The three patches that are not apply: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge
//! patch for built-in kinds. Pure: object and patch in, object out. Called by `verbs`.

use serde_json::Value;

use super::{schema::Schema, status::Result};

/// Applies a JSON patch.
///
/// # Errors
/// 400 for a body that is no JSON patch, 413 for one of more than 10,000 operations, 422 for one that cannot be applied.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn json_patch(_object: &Value, _patch: &Value) -> Result<Value> {
    unimplemented!()
}

/// Applies a merge patch.
///
/// # Errors
/// 400 when the patch is no object.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn merge_patch(_object: &Value, _patch: &Value) -> Result<Value> {
    unimplemented!()
}

/// Applies a strategic merge patch by the merge keys of `schema`.
///
/// # Errors
/// 400 for a patch that contradicts itself or the schema, with the words of the API server.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn strategic_merge_patch(_object: &Value, _patch: &Value, _schema: &Schema) -> Result<Value> {
    unimplemented!()
}
