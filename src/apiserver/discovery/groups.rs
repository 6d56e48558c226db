//! The kinds as discovery tells of them: groups, their versions with the preferred one first, resources and what is below
//! an object. Owns the two orders and the subresources. Borrows from the kinds and is built per request: it is small.
//! Read by both forms of discovery and by `openapi`.

use std::cmp::Reverse;

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use crate::apiserver::kinds::{Kind, Kinds};

/// The order of groups whose kinds are built in: clients that are given a short name take the first group that has it.
const BUILT_IN: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
];

/// One group.
#[derive(Debug)]
pub struct Group<'a> {
    /// Empty for core.
    pub name: &'a str,
    /// Whether one of its kinds is built in.
    pub built_in: bool,
    /// The preferred one first.
    pub versions: Vec<Version<'a>>,
}

/// One version of a group.
#[derive(Debug)]
pub struct Version<'a> {
    /// `v1alpha1`.
    pub name: &'a str,
    /// By plural.
    pub resources: Vec<Resource<'a>>,
}

/// One resource.
#[derive(Debug)]
pub struct Resource<'a> {
    /// What it is a resource of.
    pub kind: &'a Kind,
    /// By name.
    pub subresources: Vec<Subresource<'a>>,
}

/// What is below an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subresource<'a> {
    /// `status`.
    pub name: &'static str,
    /// Group, version and kind of what goes in and comes out, where they are not those of the resource.
    pub other: Option<(&'static str, &'static str, &'static str)>,
    /// The kind of the resource.
    pub kind: &'a str,
    /// What can be done to it.
    pub verbs: &'static [&'static str],
}

/// All groups in the order of discovery.
#[must_use]
pub fn groups(kinds: &Kinds) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    // The kinds come by group and version, so that equals are neighbours.
    for kind in kinds.iter() {
        let (group, version) = (&*kind.version.group, &*kind.version.version);
        if groups.last().is_none_or(|last| last.name != group) {
            groups.push(Group {
                name: group,
                built_in: false,
                versions: Vec::new(),
            });
        }
        let Some(into) = groups.last_mut() else { continue };
        into.built_in |= !kind.custom;
        if into.versions.last().is_none_or(|last| last.name != version) {
            into.versions.push(Version {
                name: version,
                resources: Vec::new(),
            });
        }
        if let Some(into) = into.versions.last_mut() {
            into.resources.push(Resource {
                kind,
                subresources: subresources(kind),
            });
        }
    }
    groups.sort_by_key(|group| {
        BUILT_IN
            .iter()
            .position(|known| *known == group.name)
            .unwrap_or(BUILT_IN.len())
    });
    for group in &mut groups {
        group.versions.sort_by(|a, b| rank(a.name).cmp(&rank(b.name)));
    }
    groups
}

fn subresources(kind: &Kind) -> Vec<Subresource<'_>> {
    const ALL: &[&str] = &["get", "patch", "update"];
    let of = |name, other, verbs| Subresource {
        name,
        other,
        kind: &kind.kind,
        verbs,
    };
    let mut found = Vec::new();
    if kind.resource.group.is_empty() && &*kind.resource.resource == "namespaces" {
        found.push(of("finalize", None, &["update"]));
    }
    if kind.status {
        found.push(of("status", None, ALL));
    }
    if kind.scale.is_some() {
        found.push(of("scale", Some(("autoscaling", "v1", "Scale")), ALL));
    }
    found
}

/// Versions by Kubernetes' priority, the preferred one first: stable before beta before alpha, then the greater numbers
/// first, then whatever is named otherwise, by name.
fn rank(version: &str) -> (u8, Reverse<u64>, Reverse<u64>, &str) {
    fn parse(version: &str) -> Option<(u8, u64, u64)> {
        let number = |digits: &str| -> Option<u64> {
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        let rest = version.strip_prefix('v')?;
        for (stage, word) in [(1, "beta"), (2, "alpha")] {
            if let Some((major, minor)) = rest.split_once(word) {
                return Some((stage, number(major)?, number(minor)?));
            }
        }
        Some((0, number(rest)?, 0))
    }
    match parse(version) {
        Some((stage, major, minor)) => (stage, Reverse(major), Reverse(minor), ""),
        None => (3, Reverse(0), Reverse(0), version),
    }
}

/// By what clients see that the stored form of a resource is the same in two versions. Reviews are not stored.
#[must_use]
pub fn storage_version_hash(kind: &Kind) -> Option<String> {
    let stored = kind.verbs.contains(&"get");
    stored.then(|| {
        let version = &kind.storage_version;
        let text = format!("{}/{}/{}", version.group, version.version, kind.kind);
        Base64::encode_string(&Sha256::digest(text.as_bytes())[..8])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_the_order_of_priority() {
        let mut versions = vec![
            "foo10",
            "v1",
            "v10",
            "v11alpha2",
            "v12alpha1",
            "v3beta1",
            "v10beta3",
            "v11beta2",
            "v2",
            "foo1",
            "v1x",
            "v",
            "v+1",
            "v99999999999999999999",
            "v1beta",
            "valpha1",
        ];
        versions.sort_by(|a, b| rank(a).cmp(&rank(b)));
        assert_eq!(
            versions,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "foo1",
                "foo10",
                "v",
                "v+1",
                "v1beta",
                "v1x",
                "v99999999999999999999",
                "valpha1",
            ]
        );
    }
}
