//! Tables: what `kubectl get` shows. Owns columns, cells and the age of things; knows no HTTP.
//! Called by `verbs` when the client accepts `as=Table`.

use jiff::Timestamp;
use serde_json::Value;

use super::kinds::Kind;

/// `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// `columnDefinitions`.
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn columns(_kind: &Kind) -> Value {
    unimplemented!()
}

/// One row.
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn row(_kind: &Kind, _object: &Value, _include: Include, _now: Timestamp) -> Value {
    unimplemented!()
}

/// `PartialObjectMetadata` of an object.
#[must_use]
#[expect(clippy::unimplemented, reason = "the joint; its owner fills it")]
pub fn partial(_object: &Value) -> Value {
    unimplemented!()
}
