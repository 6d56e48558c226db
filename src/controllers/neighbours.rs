//! What the watches of several namespaces know of each other, for secrets that are used across: with `--namespace` each
//! namespace has watches and controllers of its own. Remembers to whom a secret last consented, since who loses that is to be
//! told as well. Decides nothing. Filled by [`super::run`]; asked by [`super::watched`], [`super::users`], [`super::secret`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{
    api::DynamicObject,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::{mpsc, watch};

use super::watched::Shelf;
use crate::api::DockerSecret;

/// The watches of one namespace, or of all.
#[derive(Clone)]
struct Neighbour {
    namespace: Option<String>,
    secrets: Arc<Shelf<DockerSecret>>,
    deployments: Store<DynamicObject>,
    listed: watch::Receiver<bool>,
    look: mpsc::UnboundedSender<ObjectRef<DockerSecret>>,
}

/// See the file's header.
#[derive(Default)]
pub struct Neighbours {
    all: Mutex<Vec<Neighbour>>,
    /// To which other namespaces a secret consented when it was last seen, by its namespace and name.
    consented: Mutex<BTreeMap<(String, String), BTreeSet<String>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Neighbours {
    /// Adds the watches of a namespace. All are to be added before anything runs. Gives the secrets that it is to look at
    /// again because of a deployment elsewhere.
    pub(super) fn add(
        &self,
        namespace: Option<&str>,
        secrets: Arc<Shelf<DockerSecret>>,
        deployments: Store<DynamicObject>,
    ) -> mpsc::UnboundedReceiver<ObjectRef<DockerSecret>> {
        let (look, looks) = mpsc::unbounded_channel();
        lock(&self.all).push(Neighbour {
            namespace: namespace.map(str::to_owned),
            secrets,
            listed: super::streams::listed(deployments.clone()),
            deployments,
            look,
        });
        looks
    }

    fn all(&self) -> Vec<Neighbour> {
        lock(&self.all).clone()
    }

    /// The sealed secrets of a namespace; `None` where nobody watches it.
    pub(super) fn secrets(&self, namespace: &str) -> Option<Arc<Shelf<DockerSecret>>> {
        let all = lock(&self.all);
        let watches = |n: &&Neighbour| n.namespace.as_deref().is_none_or(|own| own == namespace);
        all.iter().find(watches).map(|n| Arc::clone(&n.secrets))
    }

    /// Every deployment that is watched.
    pub(super) fn deployments(&self) -> impl Iterator<Item = Arc<DynamicObject>> + use<> {
        self.all().into_iter().flat_map(|n| n.deployments.state())
    }

    /// Waits until the deployments of all namespaces have been listed.
    pub(super) async fn listed(&self) {
        for mut neighbour in self.all() {
            let _gone_with_us = neighbour.listed.wait_for(|listed| *listed).await;
        }
    }

    /// The secrets of the namespace `own`; the others are handed to those who watch theirs.
    pub(super) fn at_home(
        &self,
        own: Option<&str>,
        secrets: Vec<ObjectRef<DockerSecret>>,
    ) -> Vec<ObjectRef<DockerSecret>> {
        let (here, elsewhere): (Vec<_>, Vec<_>) = secrets
            .into_iter()
            .partition(|secret| own.is_none() || own == secret.namespace.as_deref());
        for secret in elsewhere {
            for neighbour in lock(&self.all).iter() {
                if neighbour.namespace == secret.namespace {
                    let _gone_with_us = neighbour.look.send(secret.clone());
                }
            }
        }
        here
    }

    /// The namespaces in which a change of a secret may concern deployments: its own, and those to which it consents now or
    /// did before.
    pub(super) fn concerned(&self, secret: &DockerSecret) -> BTreeSet<String> {
        let meta = &secret.metadata;
        let namespace = meta.namespace.clone().unwrap_or_default();
        let id = (namespace.clone(), meta.name.clone().unwrap_or_default());
        let now: BTreeSet<String> = secret.consented().iter().cloned().collect();
        let mut known = lock(&self.consented);
        let before = match now.is_empty() {
            true => known.remove(&id),
            false => known.insert(id, now.clone()),
        };
        drop(known);
        let mut all = now;
        all.extend(before.into_iter().flatten());
        all.insert(namespace);
        all
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_loses_consent_is_concerned_once_more() {
        let neighbours = Neighbours::default();
        let secret = |namespaces: &[&str]| -> DockerSecret {
            serde_json::from_value(json!({
                "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
                "metadata": {"name": "db", "namespace": "bank"},
                "spec": {"allowedConsumers": {"namespaces": namespaces}},
            }))
            .unwrap()
        };
        let concerned = |namespaces: &[&str]| {
            let all = neighbours.concerned(&secret(namespaces));
            all.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(concerned(&[]), "bank");
        assert_eq!(concerned(&["shop"]), "bank shop");
        assert_eq!(concerned(&["mail"]), "bank mail shop");
        assert_eq!(concerned(&[]), "bank mail");
        assert_eq!(concerned(&[]), "bank");
    }
}
