//! What the API server has, as this process knows it: reflector stores of secrets and ConfigMaps behind the port that
//! `secrets` reads. A kind that could not be listed is denied, never absent: unknown is not empty here either.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Resource,
    runtime::reflector::{ObjectRef, Store},
};

use tokio::sync::watch;

use super::{config_maps::ConfigMaps, neighbours::Neighbours};
use crate::{
    api::DockerSecret,
    secrets::source::{Lookup, Source},
};

/// A store, and whether it has been filled once.
pub struct Shelf<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    filled: watch::Sender<bool>,
    denied: String,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Shelf<K> {
    /// Takes a store; `denied` says what would permit reading what it should hold.
    #[must_use]
    pub fn new(store: Store<K>, denied: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            store,
            filled: watch::channel(false).0,
            denied: denied.into(),
        })
    }

    /// Waits for the first list and tells everybody. To be called once: a store wakes only the last of several waiters
    /// (kube-runtime 5.0, `DelayedInit`).
    pub async fn fill(&self) {
        if self.store.wait_until_ready().await.is_ok() {
            self.filled.send_replace(true);
        }
    }

    /// Waits until the first list has arrived.
    pub async fn wait(&self) {
        let mut filled = self.filled.subscribe();
        let _gone_with_us = filled.wait_for(|filled| *filled).await;
    }

    /// Whether the first list has arrived.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        *self.filled.borrow()
    }

    /// Everything in it.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// An object, or why it is not known.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Lookup<K> {
        if !self.is_filled() {
            return Lookup::Denied(self.denied.clone());
        }
        match self.store.get(&ObjectRef::new(name).within(namespace)) {
            Some(found) => Lookup::Found(found),
            None => Lookup::Absent,
        }
    }
}

/// All stores of one controller.
pub struct Shelves {
    /// The one namespace that is watched here; all when absent.
    pub namespace: Option<String>,
    /// The shelves of the others.
    pub neighbours: Arc<Neighbours>,
    /// Sealed secrets.
    pub docker_secrets: Arc<Shelf<DockerSecret>>,
    /// ConfigMaps, by the namespaces in which one is named.
    pub config_maps: Arc<ConfigMaps>,
    /// Core Secrets, by the namespaces in which they may be read.
    pub secrets: BTreeMap<String, Arc<Shelf<Secret>>>,
}

impl Shelves {
    /// Waits for the first list of everything but ConfigMaps. To be called once.
    pub async fn fill(&self) {
        let mut core = FuturesUnordered::new();
        for shelf in self.secrets.values() {
            core.push(shelf.fill());
        }
        let core = async { while core.next().await.is_some() {} };
        tokio::join!(self.docker_secrets.fill(), core);
    }

    /// Waits until everything but ConfigMaps has been listed.
    pub async fn wait(&self) {
        self.docker_secrets.wait().await;
        for shelf in self.secrets.values() {
            shelf.wait().await;
        }
    }
}

impl Source for Shelves {
    fn docker_secret(&self, namespace: &str, name: &str) -> Lookup<DockerSecret> {
        if self.namespace.as_deref().is_none_or(|own| own == namespace) {
            return self.docker_secrets.get(namespace, name);
        }
        match self.neighbours.secrets(namespace) {
            Some(shelf) => shelf.get(namespace, name),
            None => Lookup::Denied(format!(
                "namespace {namespace} is not watched; start the operator with --namespace {namespace} as well, or seal the \
                 value for a namespace that is"
            )),
        }
    }

    fn secret(&self, namespace: &str, name: &str) -> Lookup<Secret> {
        match self.secrets.get(namespace) {
            Some(shelf) => shelf.get(namespace, name),
            None => Lookup::Denied(format!(
                "core Secrets of namespace {namespace} are not read; start the operator with \
                 --core-secrets-namespace {namespace}, or seal the value into a DockerSecret"
            )),
        }
    }

    fn config_map(&self, namespace: &str, name: &str) -> Lookup<ConfigMap> {
        self.config_maps.get(namespace, name)
    }
}
