//! Whether an object may be deleted: a `DockerSecret` not while a deployment uses it, and the definition of one of our
//! kinds not while there are objects of it, since their deletion follows and that of their containers. Owns the rules, the
//! exceptions and which facts a verdict needs; who looks them up is the shell. Behind a secret stands its finalizer, in any case.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    references::{self, Keys},
    review::{Operation, Review, Subject, is_deleting, meta},
    verdict::{Refusal, Verdict},
    written,
};
use crate::api::{GROUP, keys::annotation};

/// The definitions of our kinds: plural and kind.
pub const KINDS: [(&str, &str); 2] = [
    ("dockerdeployments", "DockerDeployment"),
    ("dockersecrets", "DockerSecret"),
];

/// Marks of objects that a program keeps as its source says. It deletes in an order of its own, and may forget what it
/// was refused: Flux takes secrets before deployments, and has lost track of what it could not delete
/// (fluxcd/kustomize-controller#1664). The finalizer brings these into order.
const KEPT_BY_PROGRAMS: [&str; 3] = [
    "/metadata/labels/kustomize.toolkit.fluxcd.io~1name",
    "/metadata/labels/helm.toolkit.fluxcd.io~1name",
    "/metadata/annotations/argocd.argoproj.io~1tracking-id",
];

/// Users that are programs of the API server's own, besides all service accounts.
const PROGRAMS: [&str; 2] = ["system:apiserver", "system:kube-controller-manager"];
/// The group of all service accounts.
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// The facts that a verdict needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// None.
    Nothing,
    /// Who uses this secret, and whether its namespace ends.
    Users {
        /// The namespace.
        namespace: &'a str,
        /// The secret's name.
        secret: &'a str,
        /// The secret, which says which other namespaces may use it.
        object: &'a Value,
    },
    /// The keys of the sealed secrets that this deployment names, see [`super::references::wanted`]. For warnings only: where
    /// they cannot be found out nothing is said.
    Keys {
        /// The deployment.
        object: &'a Value,
    },
    /// Whether there are objects of this kind, in whatever namespace.
    Objects {
        /// The plural.
        plural: &'static str,
    },
}

/// What was looked up. The default is that there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The deployments that name the secret.
    pub users: Vec<User>,
    /// Whether the namespace is being deleted.
    pub namespace_ends: bool,
    /// The keys of secrets that were looked up.
    pub keys: Keys,
    /// Objects of the kind, if there are any.
    pub objects: Option<Objects>,
    /// The time. No date has passed at the default.
    pub now: Timestamp,
}

/// A deployment that names a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, as `namespace/name` where it is of another namespace than the secret.
    pub name: String,
    /// Whether it is being deleted itself.
    pub going: bool,
}

/// Objects that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// One of them, `namespace/name`.
    pub one: String,
    /// How many others there are.
    pub others: u64,
}

/// What has to be known for a verdict.
#[must_use]
pub fn need<'a>(review: &Review<'a>) -> Need<'a> {
    if let Some(object) = written::is_judged(review)
        && review.subject() == Subject::Deployment
        && !references::wanted(object).1.is_empty()
    {
        return Need::Keys { object };
    }
    let Some(old) = review.old.filter(|_| review.operation == Operation::Delete) else {
        return Need::Nothing;
    };
    if is_deleting(old) || is_forced(old) {
        return Need::Nothing;
    }
    match review.subject() {
        Subject::Secret if !is_of_programs(review, old) => Need::Users {
            namespace: meta(old, "namespace"),
            secret: meta(old, "name"),
            object: old,
        },
        Subject::Definition => {
            let group = old.pointer("/spec/group").and_then(Value::as_str);
            let plural = old.pointer("/spec/names/plural").and_then(Value::as_str);
            let ours = KINDS
                .iter()
                .find(|(ours, _)| group == Some(GROUP) && plural == Some(*ours));
            ours.map_or(Need::Nothing, |(plural, _)| Need::Objects { plural })
        }
        Subject::Secret | Subject::Deployment | Subject::Other => Need::Nothing,
    }
}

/// The namespaces whose deployments may use a secret: its own, which comes first, and those to which it consents.
#[must_use]
pub fn admitted(secret: &Value) -> Vec<&str> {
    let own = meta(secret, "namespace");
    let others = secret.pointer("/spec/allowedConsumers/namespaces");
    let others = others.and_then(Value::as_array).into_iter().flatten();
    let others = others.filter_map(Value::as_str).filter(|other| *other != own);
    std::iter::once(own).chain(others).collect()
}

/// The verdict on a deletion.
pub(super) fn judge(review: &Review<'_>, facts: &Facts) -> Verdict {
    let refusal = match need(review) {
        Need::Nothing | Need::Keys { .. } => None,
        Need::Users { secret, .. } => used(review.resource, secret, facts),
        Need::Objects { plural } => defined(review, plural, facts),
    };
    Verdict {
        refusal,
        warnings: Vec::new(),
    }
}

fn used(plural: &str, secret: &str, facts: &Facts) -> Option<Refusal> {
    let staying: Vec<&str> = facts
        .users
        .iter()
        .filter(|user| !user.going)
        .map(|user| user.name.as_str())
        .collect();
    if staying.is_empty() || facts.namespace_ends {
        return None;
    }
    let why = format!(
        "in use by {}; delete them or take the reference out, or set the annotation {}: \"true\"",
        staying.join(", "),
        annotation::FORCE_DELETE
    );
    Some(Refusal::conflict(GROUP, plural, secret, &why))
}

fn defined(review: &Review<'_>, plural: &str, facts: &Facts) -> Option<Refusal> {
    let objects = facts.objects.as_ref()?;
    let kind = KINDS.iter().find(|(known, _)| *known == plural)?.1;
    let others = match objects.others {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let why = format!(
        "there are objects of it ({kind} {}{others}), and with it each of them is deleted with all that belongs to it; \
         delete them first, or set the annotation {}: \"true\" on the definition",
        objects.one,
        annotation::FORCE_DELETE
    );
    let name = format!("{plural}.{GROUP}");
    Some(Refusal::conflict(review.group, review.resource, &name, &why))
}

fn is_forced(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.and_then(|all| all.get(annotation::FORCE_DELETE)?.as_str()) == Some("true")
}

fn is_of_programs(review: &Review<'_>, old: &Value) -> bool {
    PROGRAMS.contains(&review.user)
        || review.groups.iter().any(|group| group == SERVICE_ACCOUNTS)
        || KEPT_BY_PROGRAMS.iter().any(|mark| old.pointer(mark).is_some())
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
