//! The watcher of kube-rs with its store, in one of its two modes.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, reflector, watcher},
};

use crate::{Informer, Set, writer::NAMESPACE};

pub struct Watching {
    name: &'static str,
    store: reflector::Store<ConfigMap>,
}

impl Watching {
    pub fn start(client: Client, streaming: bool) -> Self {
        let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let (config, name) = if streaming {
            (
                watcher::Config::default().streaming_lists(),
                "kube-rs, StreamingList",
            )
        } else {
            (watcher::Config::default(), "kube-rs, ListWatch")
        };
        let (store, writer) = reflector::store();
        let events = reflector::reflector(writer, watcher(api, config).default_backoff());
        tokio::spawn(events.for_each(|_| std::future::ready(())));
        Self { name, store }
    }
}

impl Informer for Watching {
    fn name(&self) -> &str {
        self.name
    }

    fn held(&mut self) -> Set {
        self.store
            .state()
            .iter()
            .map(|one| {
                let metadata = one.metadata.clone();
                (
                    metadata.name.unwrap_or_default(),
                    metadata.resource_version.unwrap_or_default(),
                )
            })
            .collect()
    }
}
