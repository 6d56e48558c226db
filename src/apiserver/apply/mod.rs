//! Who owns which field: managed fields, server-side apply, and tracking of every other write. Pure.
//! Owns field sets, their JSON (`FieldsV1`), merging by schema, conflicts and entries of `metadata.managedFields`.
//! The rules are those of structured-merge-diff v6 and `apimachinery/pkg/util/managedfields`. Called by `verbs`.

use jiff::Timestamp;
use serde_json::Value;

use super::{kinds::Kind, status::Result};

/// Who writes, to what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The kind, in the version of the request.
    pub kind: &'a Kind,
    /// Empty, `status`, `scale`.
    pub subresource: &'a str,
    /// The field manager.
    pub manager: &'a str,
    /// Now, seconds count.
    pub at: Timestamp,
}

/// Server-side apply of `applied` to `live` (`None`: creates). The result has new `metadata.managedFields`, is not yet
/// defaulted, pruned or validated, and equals `live` when nothing changes (times of entries included).
///
/// # Errors
/// 400 for a body that cannot be applied, 409 with a cause per field for conflicts without `force`.
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn apply(_live: Option<&Value>, _applied: &Value, _force: bool, _write: &Write<'_>) -> Result<Value> {
    unimplemented!()
}

/// Tracks a create (`live` is `None`), update or patch: returns `new` with the `metadata.managedFields` that result from
/// going from `live` to it. Tracking never fails: what cannot be read is reset.
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn track(_live: Option<&Value>, _new: Value, _write: &Write<'_>) -> Value {
    unimplemented!()
}

/// Whether two versions differ in more than the times of their managed fields (and the resource version).
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn differs(_old: &Value, _new: &Value) -> bool {
    unimplemented!()
}
