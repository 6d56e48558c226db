//! Who is owned by whom: the graph of owner references. Pure: news in, questions answered; it deletes nothing.
//! Holds dependents and deleting owners only, so that objects without owners cost nothing. Used by `garbage`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use crate::apiserver::{names::Key, object};

/// The finalizer under which an object waits for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer under which an object waits for its dependents to be released.
pub(super) const ORPHAN: &str = "orphan";

/// One owner reference of a dependent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnerReference {
    /// `apiVersion`.
    pub(super) api_version: String,
    /// `kind`.
    pub(super) kind: String,
    /// `name`.
    pub(super) name: String,
    /// `uid`.
    pub(super) uid: Arc<str>,
    /// `blockOwnerDeletion`.
    pub(super) blocks: bool,
}

/// The owner references of an object.
pub(super) fn owners(of: &Value) -> Vec<OwnerReference> {
    let text = |reference: &Value, field: &str| {
        reference
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    object::owner_references(of)
        .iter()
        .map(|reference| OwnerReference {
            api_version: text(reference, "apiVersion"),
            kind: text(reference, "kind"),
            name: text(reference, "name"),
            uid: text(reference, "uid").into(),
            blocks: reference
                .get("blockOwnerDeletion")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        })
        .collect()
}

/// Whether an object is being deleted and waits under `finalizer`.
pub(super) fn waits_under(of: &Value, finalizer: &str) -> bool {
    object::is_deleting(of) && object::finalizers(of).any(|held| held == finalizer)
}

/// Dependents by owner, owners by dependent, and the owners that wait.
#[derive(Debug, Default)]
pub(super) struct Graph {
    by_owner: BTreeMap<Arc<str>, BTreeSet<Key>>,
    by_dependent: BTreeMap<Key, Vec<OwnerReference>>,
    waiting: BTreeMap<Arc<str>, Key>,
}

/// Whom a change concerns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Concerned {
    /// Dependents whose owners are to be looked at.
    pub(super) dependents: BTreeSet<Key>,
    /// Owners that wait for their dependents.
    pub(super) owners: BTreeSet<Key>,
}

impl Graph {
    /// Notes the state of an object.
    pub(super) fn note(&mut self, key: &Key, object: &Value) -> Concerned {
        let references = owners(object);
        let mut concerned = self.forget_references(key);
        if waits_under(object, FOREGROUND) || waits_under(object, ORPHAN) {
            self.waiting.insert(object::uid(object).into(), key.clone());
            concerned.owners.insert(key.clone());
        }
        if !references.is_empty() {
            for reference in &references {
                self.by_owner
                    .entry(reference.uid.clone())
                    .or_default()
                    .insert(key.clone());
                concerned.owners.extend(self.waiting.get(&reference.uid).cloned());
            }
            self.by_dependent.insert(key.clone(), references);
            concerned.dependents.insert(key.clone());
        }
        concerned
    }

    /// Notes that an object is gone.
    pub(super) fn forget(&mut self, key: &Key, uid: &str) -> Concerned {
        let mut concerned = self.forget_references(key);
        self.waiting.remove(uid);
        concerned.dependents.extend(self.dependents(uid).cloned());
        concerned
    }

    /// The dependents of the object with this uid.
    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.by_owner.get(uid).into_iter().flatten()
    }

    /// Whether any dependent of the object blocks its deletion.
    pub(super) fn is_blocked(&self, uid: &str) -> bool {
        self.dependents(uid).any(|key| {
            self.by_dependent
                .get(key)
                .is_some_and(|references| references.iter().any(|one| *one.uid == *uid && one.blocks))
        })
    }

    /// Whether the graph knows of this object at all: an owner, or a dependent.
    pub(super) fn knows(&self, key: &Key, uid: &str) -> bool {
        self.by_dependent.contains_key(key)
            || self.by_owner.contains_key(uid)
            || self.waiting.contains_key(uid)
    }

    /// Keys of `of` that are known as dependents: after a new list, those that are not in it are gone.
    pub(super) fn known_of(&self, of: &crate::apiserver::names::GroupResource) -> Vec<Key> {
        self.by_dependent
            .keys()
            .chain(self.waiting.values())
            .filter(|key| key.of == *of)
            .cloned()
            .collect()
    }

    /// Every dependent: after an owner's kind came or its history was lost, all are to be looked at.
    pub(super) fn all_dependents(&self) -> impl Iterator<Item = &Key> {
        self.by_dependent.keys()
    }

    fn forget_references(&mut self, key: &Key) -> Concerned {
        let mut concerned = Concerned::default();
        for reference in self.by_dependent.remove(key).unwrap_or_default() {
            if let Some(dependents) = self.by_owner.get_mut(&reference.uid) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.by_owner.remove(&reference.uid);
                }
            }
            concerned.owners.extend(self.waiting.get(&reference.uid).cloned());
        }
        concerned
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::names::GroupResource;

    fn key(name: &str) -> Key {
        Key::new(&GroupResource::new("", "configmaps"), "a", name)
    }

    fn owned_by(name: &str, uid: &str, blocks: bool) -> Value {
        json!({"metadata": {"name": name, "uid": format!("u-{name}"), "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid, "blockOwnerDeletion": blocks}]}})
    }

    #[test]
    fn a_gone_owner_concerns_its_dependents() {
        let mut graph = Graph::default();
        graph.note(&key("x"), &owned_by("x", "u-o", false));
        graph.note(&key("y"), &owned_by("y", "other", false));
        let concerned = graph.forget(&key("o"), "u-o");
        assert_eq!(concerned.dependents, BTreeSet::from([key("x")]));
    }

    #[test]
    fn an_owner_that_waits_is_concerned_when_a_dependent_goes_or_lets_go() {
        let mut graph = Graph::default();
        graph.note(&key("x"), &owned_by("x", "u-o", true));
        let owner = json!({"metadata": {"name": "o", "uid": "u-o", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": [FOREGROUND]}});
        assert_eq!(graph.note(&key("o"), &owner).owners, BTreeSet::from([key("o")]));
        assert!(graph.is_blocked("u-o"));
        let released = json!({"metadata": {"name": "x", "uid": "u-x"}});
        assert_eq!(
            graph.note(&key("x"), &released).owners,
            BTreeSet::from([key("o")])
        );
        assert!(!graph.is_blocked("u-o"));
    }

    #[test]
    fn objects_without_owners_leave_nothing_behind() {
        let mut graph = Graph::default();
        graph.note(&key("x"), &json!({"metadata": {"name": "x", "uid": "u-x"}}));
        assert!(!graph.knows(&key("x"), "u-x"));
        graph.note(&key("x"), &owned_by("x", "u-o", false));
        graph.forget(&key("x"), "u-x");
        assert!(!graph.knows(&key("x"), "u-x") && graph.by_owner.is_empty());
    }
}
