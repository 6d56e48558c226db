//! Empties namespaces that are being deleted, and ends them: content is deleted, what finalizers hold is named in the
//! conditions, and when nothing is left the finalizer `kubernetes` goes. Owns that pass; the words are
//! `namespace_conditions`'. Runs again whenever something of such a namespace changes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    feed::{Feed, News},
    namespace_conditions::{Remains, conditions},
    user, writing,
};
use crate::apiserver::{
    kinds::Kind,
    names::{GroupResource, Key},
    object,
    status::{Result, Status},
    store::{Range, Record},
    verbs::{Api, Deletion, Propagation},
};

const CONCURRENCY: usize = 8;
/// A pass that failed for a reason outside the namespace is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// The resource of namespaces.
pub(super) fn resource() -> GroupResource {
    GroupResource::new("", "namespaces")
}

/// Runs until it is dropped.
pub(super) async fn run(api: Api, mut editions: watch::Receiver<u64>) {
    let namespaces = resource();
    let mut feed = Feed::new(api.store.clone());
    let mut ending: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut due: BTreeSet<Arc<str>> = BTreeSet::new();
    feed.follow(&namespaces);
    loop {
        for kind in contents(&api) {
            feed.follow(&kind.stored_as);
        }
        while let Some(news) = feed.try_next() {
            note(&api, &news, &mut ending, &mut due);
        }
        let mut failed = BTreeSet::new();
        for name in std::mem::take(&mut due) {
            match pass(&api, &name).await {
                Ok(true) => {
                    ending.remove(&name);
                }
                Ok(false) => {}
                Err(_) => {
                    failed.insert(name);
                }
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
                Some(news) => note(&api, &news, &mut ending, &mut due),
                None => return,
            },
            changed = editions.changed() => match changed {
                Ok(()) => due.extend(ending.iter().cloned()),
                Err(_) => return,
            },
            () = retry => {}
        }
        due.extend(failed);
    }
}

fn contents(api: &Api) -> Vec<Arc<Kind>> {
    let kinds = api.kinds.load();
    kinds
        .iter()
        .filter(|kind| kind.namespaced && kind.resource == kind.stored_as && kind.verbs.contains(&"delete"))
        .filter(|kind| kind.version == kind.storage_version)
        .cloned()
        .collect()
}

/// Every change inside an ending namespace makes a pass due; before anything ends, nothing is parsed.
fn note(api: &Api, news: &News, ending: &mut BTreeSet<Arc<str>>, due: &mut BTreeSet<Arc<str>>) {
    match news {
        News::Listed(of, records) if of.group.is_empty() && &*of.resource == "namespaces" => {
            ending.clear();
            for record in records {
                state(api, record, ending, due);
            }
        }
        News::Listed(..) => due.extend(ending.iter().cloned()),
        News::Changed(event) => {
            let Some(record) = event.record.as_ref().or(event.previous.as_ref()) else {
                return;
            };
            if record.key.of.group.is_empty() && &*record.key.of.resource == "namespaces" {
                if event.record.is_some() {
                    state(api, record, ending, due);
                } else {
                    ending.remove(&record.key.name);
                }
            } else if ending.contains(&record.key.namespace) {
                due.insert(record.key.namespace.clone());
            }
        }
    }
}

fn state(api: &Api, record: &Record, ending: &mut BTreeSet<Arc<str>>, due: &mut BTreeSet<Arc<str>>) {
    if api
        .store
        .object(record)
        .is_ok_and(|namespace| object::is_deleting(&namespace))
    {
        ending.insert(record.key.name.clone());
        due.insert(record.key.name.clone());
    }
}

/// One look at an ending namespace; true when it is gone, or was not ending.
async fn pass(api: &Api, name: &str) -> Result<bool> {
    let key = Key::new(&resource(), "", name);
    let Some(kind) = api.kinds.load().stored(&key.of).cloned() else {
        return Ok(true);
    };
    let Some(namespace) = api
        .store
        .get(&key)
        .and_then(|record| api.store.object(&record).ok())
    else {
        return Ok(true);
    };
    if !object::is_deleting(&namespace) {
        return Ok(true);
    }
    let remains = empty(api, name).await?;
    report(api, &kind, &key, &remains).await?;
    if !remains.is_empty() {
        return Ok(false);
    }
    let by = user();
    let finalized = api
        .modify(&kind, &key, "finalize", &writing(&by), &|stored| {
            let mut changed = stored.clone();
            if let Some(Value::Array(finalizers)) = object::entry(&mut changed, "spec").get_mut("finalizers")
            {
                finalizers.retain(|one| one != "kubernetes");
            }
            Ok(changed)
        })
        .await;
    match finalized {
        Ok(_) | Err(Status { code: 404, .. }) => Ok(api.store.get(&key).is_none()),
        Err(other) => Err(other),
    }
}

/// Deletes what is there and counts what stays.
async fn empty(api: &Api, namespace: &str) -> Result<Remains> {
    let mut remains = Remains::default();
    for kind in contents(api) {
        let all = Range {
            of: kind.stored_as.clone(),
            namespace: Some(namespace.into()),
            after: None,
        };
        let Ok(page) = api.store.list(&all, None, 0) else {
            continue;
        };
        let kind = &kind;
        let refused: Vec<Status> = futures::stream::iter(page.records)
            .map(|record| async move { remove(api, kind, &record).await })
            .buffer_unordered(CONCURRENCY)
            .filter_map(|answer| async move { answer.err() })
            .collect()
            .await;
        if let Some(outside) = refused.iter().find(|status| status.code >= 500) {
            return Err(outside.clone());
        }
        if let Some(first) = refused.first() {
            remains
                .refused
                .insert(kind.stored_as.clone(), first.message.clone());
        }
        let Ok(page) = api.store.list(&all, None, 0) else {
            continue;
        };
        if !page.records.is_empty() {
            remains.objects.insert(kind.stored_as.clone(), page.records.len());
        }
        for left in page
            .records
            .iter()
            .filter_map(|record| api.store.object(record).ok())
        {
            for finalizer in object::finalizers(&left) {
                *remains.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(remains)
}

/// Deletes one object, unless its deletion has begun.
async fn remove(api: &Api, kind: &Kind, record: &Record) -> Result<()> {
    if api
        .store
        .object(record)
        .is_ok_and(|left| object::is_deleting(&left))
    {
        return Ok(());
    }
    let options = Deletion {
        propagation: Some(Propagation::Background),
        ..Deletion::default()
    };
    let by = user();
    match api.delete(kind, &record.key, &options, &writing(&by)).await {
        Ok(_) | Err(Status { code: 404, .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

async fn report(api: &Api, kind: &Kind, key: &Key, remains: &Remains) -> Result<()> {
    let now = api.clock.now();
    let by = user();
    let written = api
        .modify(kind, key, "status", &writing(&by), &|stored| {
            let mut changed = stored.clone();
            let status = object::entry(&mut changed, "status");
            let before = status
                .get("conditions")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            status.insert("phase".to_owned(), "Terminating".into());
            status.insert("conditions".to_owned(), conditions(remains, &before, now).into());
            Ok(changed)
        })
        .await;
    match written {
        Ok(_) | Err(Status { code: 404, .. }) => Ok(()),
        Err(other) => Err(other),
    }
}
