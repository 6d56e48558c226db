//! One review: what somebody wants to write or delete, and the way from there to a verdict. Owns which rules a review is
//! subject to; the rules are in `written.rs` and `deletion.rs`. Called by the API server's admission and by the webhooks.

use serde_json::Value;

use super::{
    deletion::{self, Facts},
    verdict::Verdict,
    written,
};
use crate::api::{GROUP, validate::Policy};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Write an object that does not exist.
    Create,
    /// Write over one.
    Update,
    /// Delete one.
    Delete,
    /// Something that concerns no rule of ours.
    Other,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// What somebody wants to do.
    pub operation: Operation,
    /// The API group, empty for core.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// Empty, `status`, `scale`.
    pub subresource: &'a str,
    /// What would be stored; `None` for a deletion.
    pub object: Option<&'a Value>,
    /// What is stored; `None` for a creation.
    pub old: Option<&'a Value>,
    /// The name of who asks.
    pub user: &'a str,
    /// The groups of who asks.
    pub groups: &'a [String],
}

/// What a review is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A `DockerDeployment`.
    Deployment,
    /// A `DockerSecret`.
    Secret,
    /// The definition of a kind, ours or another's.
    Definition,
    /// Anything else, and every subresource.
    Other,
}

impl Subject {
    /// The kind, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "DockerDeployment",
            Self::Secret => "DockerSecret",
            Self::Definition => "CustomResourceDefinition",
            Self::Other => "Other",
        }
    }
}

impl Operation {
    /// As it is called in a review.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Other => "OTHER",
        }
    }
}

impl Review<'_> {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match (self.group, self.resource, self.subresource) {
            (GROUP, "dockerdeployments", "") => Subject::Deployment,
            (GROUP, "dockersecrets", "") => Subject::Secret,
            ("apiextensions.k8s.io", "customresourcedefinitions", "") => Subject::Definition,
            _ => Subject::Other,
        }
    }
}

/// The verdict. `facts` are those that [`deletion::need`] asks for, and the time.
#[must_use]
pub fn review(review: &Review<'_>, facts: &Facts, policy: &Policy) -> Verdict {
    match review.operation {
        Operation::Create | Operation::Update => written::judge(review, policy, facts),
        Operation::Delete => deletion::judge(review, facts),
        Operation::Other => Verdict::default(),
    }
}

/// `metadata.FIELD` as text; empty when there is none.
pub(super) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .pointer("/metadata")
        .and_then(|metadata| metadata.get(field)?.as_str())
        .unwrap_or_default()
}

/// Whether it is being deleted.
pub(super) fn is_deleting(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}
