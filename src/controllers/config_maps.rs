//! ConfigMaps, watched in the namespaces in which a deployment names one and nowhere else: a cluster has many more of
//! them than any operator needs. Owns which namespaces are open; a namespace that was opened stays so.
//! Opened by the reconcile of a deployment before it looks anything up, read through [`super::watched::Shelves`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use tokio::sync::mpsc;

use super::{
    streams::{Objects, scoped, shelve},
    watched::Shelf,
};
use crate::secrets::source::Lookup;

/// Called when the list of a namespace came later than anybody waited for it.
type Late = Arc<dyn Fn() + Send + Sync>;

/// See the file's header.
pub struct ConfigMaps {
    client: Client,
    shelves: Mutex<BTreeMap<String, Arc<Shelf<ConfigMap>>>>,
    opened: mpsc::UnboundedSender<Objects<ConfigMap>>,
    patience: Duration,
    late: Late,
}

impl ConfigMaps {
    /// No namespace is open. The stream has the changes of all that will be; nothing is listed unless it is drawn from.
    /// `patience` is how long callers of [`Self::open`] wait at most, `late` is told of lists that come after that.
    pub fn new(client: Client, patience: Duration, late: Late) -> (Arc<Self>, Objects<ConfigMap>) {
        let (opened, open) = mpsc::unbounded_channel();
        let maps = Self {
            client,
            shelves: Mutex::default(),
            opened,
            patience,
            late,
        };
        let watches = stream::unfold(open, |mut open| async move {
            open.recv().await.map(|watch| (watch, open))
        });
        (Arc::new(maps), watches.flatten_unordered(None).boxed())
    }

    /// Waits until the ConfigMaps of `namespace` have been listed; the first call begins to watch them.
    pub async fn open(&self, namespace: &str) {
        let shelf = self.shelf(namespace);
        shelf.wait().await;
    }

    /// What is known. A namespace that is not open has not been listed.
    pub fn get(&self, namespace: &str, name: &str) -> Lookup<ConfigMap> {
        self.shelf(namespace).get(namespace, name)
    }

    /// Whether every namespace that is open has been listed.
    pub fn is_filled(&self) -> bool {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.values().all(|shelf| shelf.is_filled())
    }

    fn shelf(&self, namespace: &str) -> Arc<Shelf<ConfigMap>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get(namespace) {
            return Arc::clone(shelf);
        }
        let denied = format!(
            "the operator has not been able to list ConfigMaps of namespace {namespace}; check that its account may list \
             and watch them"
        );
        let (watch, shelf) = shelve(scoped(&self.client, Some(namespace)), denied);
        shelves.insert(namespace.to_owned(), Arc::clone(&shelf));
        // Without a controller nobody draws, and the operator is at its end.
        let _ended = self.opened.send(watch);
        let (filling, late, patience) = (Arc::clone(&shelf), Arc::clone(&self.late), self.patience);
        tokio::spawn(async move {
            let fill = filling.fill();
            tokio::pin!(fill);
            if tokio::time::timeout(patience, &mut fill).await.is_err() {
                fill.await;
                late();
            }
        });
        shelf
    }
}
