//! Gives every namespace what clients expect in it: the service account `default` and the config map
//! `kube-root-ca.crt`. Owns those two objects; makes them again when they are deleted, and mends the certificate.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    feed::{Feed, News},
    namespaces, user, writing,
};
use crate::apiserver::{
    names::{GroupResource, Key},
    object,
    status::{Result, Status},
    verbs::Api,
};

/// A namespace whose objects could not be written, as the store refused, is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
const ACCOUNT: &str = "default";
const AUTHORITY: &str = "kube-root-ca.crt";

/// Runs until it is dropped.
pub(super) async fn run(api: Api, ca_pem: String) {
    let mut feed = Feed::new(api.store.clone());
    feed.follow(&namespaces::resource());
    for resource in ["serviceaccounts", "configmaps"] {
        feed.follow(&GroupResource::new("", resource));
    }
    let mut due: BTreeSet<Arc<str>> = BTreeSet::new();
    loop {
        let mut failed = BTreeSet::new();
        for name in std::mem::take(&mut due) {
            if furnish(&api, &name, &ca_pem).await.is_err() {
                failed.insert(name);
            }
        }
        let retry = async {
            if failed.is_empty() {
                std::future::pending().await
            } else {
                tokio::time::sleep(RETRY).await
            }
        };
        tokio::select! {
            news = feed.next() => match news {
                Some(news) => note(&api, &news, &mut due),
                None => return,
            },
            () = retry => {}
        }
        while let Some(news) = feed.try_next() {
            note(&api, &news, &mut due);
        }
        due.extend(failed);
    }
}

/// A new namespace is due, and one whose objects were changed by somebody.
fn note(api: &Api, news: &News, due: &mut BTreeSet<Arc<str>>) {
    match news {
        News::Listed(of, records) if *of == namespaces::resource() => {
            due.extend(records.iter().map(|record| record.key.name.clone()));
        }
        News::Listed(..) => {}
        News::Changed(event) => {
            let Some(key) = event
                .record
                .as_ref()
                .or(event.previous.as_ref())
                .map(|record| &record.key)
            else {
                return;
            };
            if key.of == namespaces::resource() {
                let active = event
                    .record
                    .as_ref()
                    .and_then(|record| api.store.object(record).ok());
                if active.is_some_and(|namespace| !object::is_deleting(&namespace)) {
                    due.insert(key.name.clone());
                }
            } else if &*key.name == ACCOUNT && event.record.is_none() || &*key.name == AUTHORITY {
                due.insert(key.namespace.clone());
            }
        }
    }
}

async fn furnish(api: &Api, namespace: &str, ca_pem: &str) -> Result<()> {
    let key = Key::new(&namespaces::resource(), "", namespace);
    let active = api
        .store
        .get(&key)
        .and_then(|record| api.store.object(&record).ok());
    if active.is_none_or(|namespace| object::is_deleting(&namespace)) {
        return Ok(());
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}});
    ensure(api, "serviceaccounts", namespace, account, None).await?;
    let authority = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": AUTHORITY, "annotations": {"kubernetes.io/description":
            "The certificate authority of this API server: what a client checks the server by."}},
        "data": {"ca.crt": ca_pem},
    });
    ensure(api, "configmaps", namespace, authority, Some("data")).await
}

/// Creates the object, or puts back the field that is ours.
async fn ensure(api: &Api, plural: &str, namespace: &str, wanted: Value, ours: Option<&str>) -> Result<()> {
    let of = GroupResource::new("", plural);
    let Some(kind) = api.kinds.load().stored(&of).cloned() else {
        return Ok(());
    };
    let key = Key::new(&of, namespace, object::name(&wanted));
    let by = user();
    let stored = api
        .store
        .get(&key)
        .and_then(|record| api.store.object(&record).ok());
    let answer = match (stored, ours) {
        (None, _) => api
            .create(&kind, namespace, wanted, &writing(&by))
            .await
            .map(drop),
        (Some(stored), Some(field)) if stored.get(field) != wanted.get(field) => {
            let change = |stored: &Value| {
                let mut changed = stored.clone();
                changed[field] = wanted[field].clone();
                Ok(changed)
            };
            api.modify(&kind, &key, "", &writing(&by), &change)
                .await
                .map(drop)
        }
        (Some(_), _) => Ok(()),
    };
    match answer {
        // Somebody was faster, or the namespace has begun to end.
        Err(Status {
            code: 409 | 403 | 404,
            ..
        })
        | Ok(()) => Ok(()),
        Err(other) => Err(other),
    }
}
