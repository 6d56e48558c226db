//! The hook through which whoever builds the server refuses or remarks on writes. Owns the trait, no rule: the rules of
//! our own kinds are injected by `cli`, so that this room knows no kind of ours. Called by `verbs` after validation.

use serde_json::Value;

use super::{authorize::User, names::GroupResource, status::Result};

/// A write under review.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// The resource.
    pub resource: &'a GroupResource,
    /// Empty, `status`, `scale`.
    pub subresource: &'a str,
    /// What would be stored; `None` for a deletion.
    pub object: Option<&'a Value>,
    /// What is stored; `None` for a creation.
    pub old: Option<&'a Value>,
    /// Who asks.
    pub user: &'a User,
}

/// Refuses writes and adds warnings; never changes an object.
pub trait Admission: Send + Sync + 'static {
    /// The texts of `Warning` headers, or the refusal.
    ///
    /// # Errors
    /// The refusal, as it goes to the client.
    fn review(&self, review: &Review<'_>) -> Result<Vec<String>>;
}

/// Admits everything.
#[derive(Debug, Clone, Copy)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn review(&self, _review: &Review<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
