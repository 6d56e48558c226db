//! Who asks, and whether they may. Owns the [`User`] and the [`Authorizer`] that every request passes; today its only
//! rule is that members of `system:masters` may do everything, as the cluster role binding of that group says.
//! Called by `serve` before a verb runs, and by the review kinds. Authentication is `serve`'s.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Who asks (`authentication.k8s.io/v1 UserInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The user name.
    pub name: String,
    /// Empty for a certificate.
    pub uid: String,
    /// Groups, [`AUTHENTICATED`] included.
    pub groups: Vec<String>,
    /// More facts, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A member of [`MASTERS`]: the holder of the admin certificate, and the controllers in this process.
    #[must_use]
    pub fn master(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `get`, `list`, `create`, ... or the lower-case HTTP method for a path.
    pub verb: String,
    /// Empty for core.
    pub group: String,
    /// The version; `*` for any.
    pub version: String,
    /// The plural; empty for a path that is no resource.
    pub resource: String,
    /// `status`, `scale`; usually empty.
    pub subresource: String,
    /// Empty for cluster scope or all namespaces.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// The path, for a request that is about no resource.
    pub path: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// With the reason, as reviews show it.
    Allowed(String),
    /// No rule allows it.
    Denied,
}

/// Answers whether a user may.
pub trait Authorizer: Send + Sync + 'static {
    /// Pure: asked at every request, and by reviews.
    fn decide(&self, user: &User, asked: &Attributes) -> Decision;
}

/// One rule: members of [`MASTERS`] may do everything.
#[derive(Debug, Clone, Copy)]
pub struct MastersOnly;

impl Authorizer for MastersOnly {
    fn decide(&self, user: &User, _asked: &Attributes) -> Decision {
        if user.groups.iter().any(|group| group == MASTERS) {
            Decision::Allowed(String::new())
        } else {
            Decision::Denied
        }
    }
}

/// The authorizer in use.
pub type SharedAuthorizer = Arc<dyn Authorizer>;

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.resource.is_empty() {
            return write!(f, "cannot {} path {:?}", self.verb, self.path);
        }
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        write!(
            f,
            "cannot {} resource \"{}{slash}{}\" in API group {:?}",
            self.verb, self.resource, self.subresource, self.group
        )?;
        if self.namespace.is_empty() {
            f.write_str(" at the cluster scope")
        } else {
            write!(f, " in the namespace {:?}", self.namespace)
        }
    }
}
