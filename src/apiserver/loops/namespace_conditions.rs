//! What a namespace that is being deleted says of itself: the five conditions of Kubernetes' namespace controller.
//! Pure: what remains goes in, conditions come out. Used by `namespaces`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::apiserver::names::GroupResource;

/// What is left in a namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remains {
    /// Objects by resource.
    pub(super) objects: BTreeMap<GroupResource, usize>,
    /// Objects by the finalizer that holds them.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// Deletions that were refused, by resource.
    pub(super) refused: BTreeMap<GroupResource, String>,
}

impl Remains {
    /// Nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refused.is_empty()
    }
}

/// Type, and reason and message while nothing is wrong.
const FINE: [(&str, &str, &str); 5] = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (
        "NamespaceContentRemaining",
        "ContentRemoved",
        "All content successfully removed",
    ),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// The conditions, of which those that did not change keep their time.
pub(super) fn conditions(remains: &Remains, before: &[Value], now: Timestamp) -> Vec<Value> {
    FINE.iter()
        .map(|(kind, fine, words)| {
            let (status, reason, message) = match trouble(remains, kind) {
                Some((reason, message)) => ("True", reason, message),
                None => ("False", *fine, (*words).to_owned()),
            };
            let same = before.iter().find(|one| {
                one["type"] == *kind
                    && one["status"] == status
                    && one["reason"] == reason
                    && one["message"] == message
            });
            same.cloned().unwrap_or_else(|| {
                json!({
                    "type": kind, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": format!("{now:.0}"),
                })
            })
        })
        .collect()
}

/// Reason and message of what is wrong in respect of one condition.
fn trouble(remains: &Remains, condition: &str) -> Option<(&'static str, String)> {
    let listed = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
    match condition {
        "NamespaceDeletionContentFailure" => {
            let all = listed(remains.refused.values().cloned().collect())?;
            let count = remains.refused.len();
            Some((
                "ContentDeletionFailed",
                format!("Failed to delete all resource types, {count} remaining: {all}"),
            ))
        }
        "NamespaceContentRemaining" => {
            let each = remains.objects.iter();
            let all = listed(
                each.map(|(of, count)| {
                    format!("{}.{} has {count} resource instances", of.resource, of.group)
                })
                .collect(),
            )?;
            Some((
                "SomeResourcesRemain",
                format!("Some resources are remaining: {all}"),
            ))
        }
        "NamespaceFinalizersRemaining" => {
            let each = remains.finalizers.iter();
            let all = listed(
                each.map(|(held, count)| format!("{held} in {count} resource instances"))
                    .collect(),
            )?;
            let message = format!("Some content in the namespace has finalizers remaining: {all}");
            Some(("SomeFinalizersRemain", message))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_named_with_its_finalizers() {
        let remains = Remains {
            objects: BTreeMap::from([(GroupResource::new("", "configmaps"), 2)]),
            finalizers: BTreeMap::from([("a.b/c".to_owned(), 1)]),
            refused: BTreeMap::new(),
        };
        let conditions = conditions(&remains, &[], Timestamp::UNIX_EPOCH);
        let message = |kind: &str| {
            conditions.iter().find(|one| one["type"] == kind).unwrap()["message"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            message("NamespaceContentRemaining"),
            "Some resources are remaining: configmaps. has 2 resource instances"
        );
        assert_eq!(
            message("NamespaceFinalizersRemaining"),
            "Some content in the namespace has finalizers remaining: a.b/c in 1 resource instances"
        );
    }

    #[test]
    fn a_condition_that_did_not_change_keeps_its_time() {
        let first = conditions(&Remains::default(), &[], Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(100).unwrap();
        assert_eq!(conditions(&Remains::default(), &first, later), first);
    }
}
