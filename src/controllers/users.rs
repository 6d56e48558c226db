//! Which secrets have to be looked at again when a deployment changes: those that it names now or named before, when
//! its references, its deletion or its existence changed. Everything else about a deployment concerns no secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use kube::{
    api::DynamicObject,
    runtime::reflector::{ObjectRef, Store},
};

use super::references::{self, Named};
use crate::api::{DockerSecret, reference::SecretKind};

/// What was known of each deployment: its references, and whether it is being deleted.
#[derive(Default)]
pub struct Users(Mutex<BTreeMap<String, (BTreeSet<Named>, bool)>>);

impl Users {
    /// The secrets that a change of this deployment concerns.
    pub fn concerned(
        &self,
        deployment: &DynamicObject,
        store: &Store<DynamicObject>,
    ) -> Vec<ObjectRef<DockerSecret>> {
        let meta = &deployment.metadata;
        let uid = meta.uid.clone().unwrap_or_default();
        let exists = store.find(|d| d.metadata.uid == meta.uid).is_some();
        let now = exists.then(|| {
            let named = deployment
                .data
                .get("spec")
                .map(|spec| references::of(spec, meta.namespace.as_deref().unwrap_or_default()))
                .unwrap_or_default();
            (named, meta.deletion_timestamp.is_some())
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.remove(&uid);
        if let Some(now) = &now {
            known.insert(uid, now.clone());
        }
        drop(known);
        if now == before {
            return Vec::new();
        }
        let named: BTreeSet<Named> = [before, now]
            .into_iter()
            .flatten()
            .flat_map(|(named, _)| named)
            .collect();
        named
            .into_iter()
            .filter_map(|named| match named {
                Named::Secret(SecretKind::DockerSecret, namespace, name) => {
                    Some(ObjectRef::new(&name).within(&namespace))
                }
                Named::Secret(SecretKind::Secret, ..) | Named::ConfigMap(_) => None,
            })
            .collect()
    }
}
