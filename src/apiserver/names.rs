//! How things are called: groups, versions, kinds, resources, and the key of one object. Owns their textual forms.
//! Holds no object and looks nothing up. Used by the whole room.

use std::{fmt, sync::Arc};

/// A group and a version; the group of the core API is empty. `Display` is an `apiVersion`: `v1`, `apps/v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersion {
    /// `supercargo.dev`; empty for core.
    pub group: Arc<str>,
    /// `v1alpha1`.
    pub version: Arc<str>,
}

impl GroupVersion {
    /// From its two parts.
    #[must_use]
    pub fn new(group: &str, version: &str) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
        }
    }

    /// From an `apiVersion`; `None` when it has more than one slash or an empty part.
    #[must_use]
    pub fn parse(api_version: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let named = !api_version.starts_with('/') && !version.is_empty() && !version.contains('/');
        named.then(|| Self::new(group, version))
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.version)
        } else {
            write!(f, "{}/{}", self.group, self.version)
        }
    }
}

/// A resource of whatever version. `Display` is `plural.group`, or the plural alone for core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// `supercargo.dev`; empty for core.
    pub group: Arc<str>,
    /// The plural: `dockersecrets`.
    pub resource: Arc<str>,
}

impl GroupResource {
    /// From its two parts.
    #[must_use]
    pub fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.resource)
        } else {
            write!(f, "{}.{}", self.resource, self.group)
        }
    }
}

/// Where one object is: its resource, its namespace (empty for a cluster-scoped one), its name. Ordered as lists are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The resource under which it is stored.
    pub of: GroupResource,
    /// Empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl Key {
    /// The key of `name` in `namespace` (empty for cluster scope).
    #[must_use]
    pub fn new(of: &GroupResource, namespace: &str, name: &str) -> Self {
        Self {
            of: of.clone(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}
