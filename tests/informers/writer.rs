//! Who writes, past the proxy: creates, updates and deletes ConfigMaps, and reads the server's set at the end. While the
//! server is away writes fail, and that is all right: what counts is what the server holds.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};

use crate::{Dice, PATIENCE, Set};

pub const NAMESPACE: &str = "informed";
/// How many write at once.
const WRITERS: usize = 8;

#[derive(Clone)]
pub struct Writer {
    client: Client,
    api: Api<ConfigMap>,
}

fn object(name: &str) -> ConfigMap {
    let mut made = ConfigMap {
        data: Some(BTreeMap::from([("key".to_owned(), "value".repeat(20))])),
        ..ConfigMap::default()
    };
    made.meta_mut().name = Some(name.to_owned());
    made
}

impl Writer {
    pub fn new(client: Client) -> Self {
        let api = Api::namespaced(client.clone(), NAMESPACE);
        Self { client, api }
    }

    /// The objects that are there at first.
    pub async fn fill(&self, objects: usize) {
        let mut namespace = Namespace::default();
        namespace.meta_mut().name = Some(NAMESPACE.to_owned());
        Api::all(self.client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        futures::stream::iter(0..objects)
            .for_each_concurrent(32, |number| async move {
                let made = object(&format!("first-{number}"));
                self.api.create(&PostParams::default(), &made).await.unwrap();
            })
            .await;
    }

    /// Writes until the time is over; how many writes succeeded.
    pub async fn unrest(self, dice: Arc<Dice>, end: Instant) -> usize {
        let names: Vec<String> = self.set().await.into_keys().collect();
        let each = (0..WRITERS).map(|writer| {
            let (api, dice, names) = (self.api.clone(), Arc::clone(&dice), &names);
            async move {
                let mut done = 0;
                let mut number = 0;
                while Instant::now() < end {
                    let any = usize::try_from(dice.below(names.len() as u64)).unwrap();
                    let outcome = match dice.below(4) {
                        0 => {
                            number += 1;
                            let made = object(&format!("later-{writer}-{number}"));
                            api.create(&PostParams::default(), &made).await.map(|_| ())
                        }
                        1 => api
                            .delete(&names[any], &DeleteParams::default())
                            .await
                            .map(|_| ()),
                        _ => {
                            let patch = serde_json::json!({"data": {"at": dice.below(u64::MAX).to_string()}});
                            api.patch(&names[any], &PatchParams::default(), &Patch::Merge(patch))
                                .await
                                .map(|_| ())
                        }
                    };
                    match outcome {
                        Ok(()) => done += 1,
                        // The server is away: not at once again.
                        Err(kube::Error::Api(_)) => {}
                        Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                    }
                }
                done
            }
        });
        futures::future::join_all(each).await.into_iter().sum()
    }

    /// What the server holds.
    pub async fn set(&self) -> Set {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.api.list(&ListParams::default()).await {
                Ok(list) => {
                    let entry = |one: ConfigMap| {
                        Some((
                            one.metadata.name?,
                            one.metadata.resource_version.unwrap_or_default(),
                        ))
                    };
                    return list.items.into_iter().filter_map(entry).collect();
                }
                Err(e) => assert!(Instant::now() < end, "no list: {e}"),
            }
        }
    }
}
