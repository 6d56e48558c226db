//! Deletes what lost its owners, and carries out foreground and orphan deletion. Owns the decisions about one dependent
//! and one owner; the graph is `graph`'s. Owners are looked up in the store itself, so that nothing is deleted on the
//! word of news that may be old. The rules are those of Kubernetes' garbage collector.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    feed::{Feed, News},
    graph::{Concerned, FOREGROUND, Graph, ORPHAN, OwnerReference, owners, waits_under},
    user, writing,
};
use crate::apiserver::{
    names::{GroupVersion, Key},
    object,
    status::{Result, Status},
    store::Record,
    verbs::{Api, Deletion, Propagation},
};

/// Writes at once.
const CONCURRENCY: usize = 8;
/// A write that failed for a reason outside the object is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub(super) async fn run(api: Api, mut editions: watch::Receiver<u64>) {
    let mut feed = Feed::new(api.store.clone());
    let mut graph = Graph::default();
    let mut todo = Concerned::default();
    loop {
        for kind in api
            .kinds
            .load()
            .iter()
            .filter(|kind| kind.resource == kind.stored_as && is_deletable(kind))
        {
            feed.follow(&kind.stored_as);
        }
        while let Some(news) = feed.try_next() {
            absorb(&api, &mut graph, &mut todo, &news);
        }
        if !todo.dependents.is_empty() || !todo.owners.is_empty() {
            let failed = work(&api, &graph, std::mem::take(&mut todo)).await;
            let stuck = !failed.dependents.is_empty() || !failed.owners.is_empty();
            todo = failed;
            if stuck {
                let _ =
                    tokio::time::timeout(RETRY, wait(&api, &mut feed, &mut editions, &mut graph, &mut todo))
                        .await;
            }
        } else {
            wait(&api, &mut feed, &mut editions, &mut graph, &mut todo).await;
        }
    }
}

fn is_deletable(kind: &crate::apiserver::kinds::Kind) -> bool {
    kind.verbs.contains(&"delete")
}

async fn wait(
    api: &Api,
    feed: &mut Feed,
    editions: &mut watch::Receiver<u64>,
    graph: &mut Graph,
    todo: &mut Concerned,
) {
    tokio::select! {
        news = feed.next() => match news {
            Some(news) => absorb(api, graph, todo, &news),
            None => std::future::pending().await,
        },
        changed = editions.changed() => match changed {
            // A kind came: owners of it can be looked up now.
            Ok(()) => todo.dependents.extend(graph.all_dependents().cloned()),
            Err(_) => std::future::pending().await,
        },
    }
}

fn absorb(api: &Api, graph: &mut Graph, todo: &mut Concerned, news: &News) {
    match news {
        News::Listed(of, records) => {
            let mut gone: BTreeSet<Key> = graph.known_of(of).into_iter().collect();
            for record in records {
                gone.remove(&record.key);
                note(api, graph, todo, record);
            }
            for key in gone {
                extend(todo, graph.forget(&key, ""));
            }
            // Owners may have gone while nobody looked.
            todo.dependents.extend(graph.all_dependents().cloned());
        }
        News::Changed(event) => match (&event.record, &event.previous) {
            (Some(record), _) => note(api, graph, todo, record),
            (None, Some(previous)) => {
                if let Ok(last) = api.store.object(previous) {
                    extend(todo, graph.forget(&previous.key, object::uid(&last)));
                }
            }
            (None, None) => {}
        },
    }
}

/// Most objects have no owner and are in no deletion: those are not even parsed, unless the graph knew them.
fn note(api: &Api, graph: &mut Graph, todo: &mut Concerned, record: &Record) {
    let Ok(json) = api.store.json(record) else { return };
    let mentions = |word: &str| std::str::from_utf8(&json).is_ok_and(|text| text.contains(word));
    let known = graph.knows(&record.key, "");
    if !known && !mentions("\"ownerReferences\"") && !mentions("\"deletionTimestamp\"") {
        return;
    }
    if let Ok(object) = serde_json::from_slice::<Value>(&json) {
        extend(todo, graph.note(&record.key, &object));
    }
}

fn extend(todo: &mut Concerned, by: Concerned) {
    todo.dependents.extend(by.dependents);
    todo.owners.extend(by.owners);
}

/// Does what is to do and returns what failed.
async fn work(api: &Api, graph: &Graph, todo: Concerned) -> Concerned {
    let dependents = futures::stream::iter(todo.dependents)
        .map(|key| async move { (dependent(api, graph, &key).await.is_err(), key) })
        .buffer_unordered(CONCURRENCY)
        .filter_map(|(failed, key)| async move { failed.then_some(key) })
        .collect()
        .await;
    let owners = futures::stream::iter(todo.owners)
        .map(|key| async move { (owner(api, graph, &key).await.is_err(), key) })
        .buffer_unordered(CONCURRENCY)
        .filter_map(|(failed, key)| async move { failed.then_some(key) })
        .collect()
        .await;
    Concerned { dependents, owners }
}

/// Whether the owner that a reference names is there.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// There, or of a kind that nobody can look up now.
    Solid,
    /// There, and waits for its dependents to go.
    Waiting,
    /// Not there, or another object of that name.
    Gone,
}

fn standing(api: &Api, dependent: &Key, reference: &OwnerReference) -> Standing {
    let kinds = api.kinds.load();
    let Some(kind) = GroupVersion::parse(&reference.api_version)
        .and_then(|version| kinds.by_kind(&version, &reference.kind).cloned())
    else {
        return Standing::Solid;
    };
    if kind.namespaced && dependent.namespace.is_empty() {
        // A cluster-scoped object cannot be owned by one in a namespace: the reference cannot be looked up.
        return Standing::Solid;
    }
    let namespace = if kind.namespaced {
        &*dependent.namespace
    } else {
        ""
    };
    let key = Key::new(&kind.stored_as, namespace, &reference.name);
    let Some(record) = api.store.get(&key) else {
        return Standing::Gone;
    };
    match api.store.object(&record) {
        Err(_) => Standing::Solid,
        Ok(owner) if object::uid(&owner) != &*reference.uid => Standing::Gone,
        Ok(owner) if waits_under(&owner, FOREGROUND) => Standing::Waiting,
        Ok(_) => Standing::Solid,
    }
}

/// Deletes a dependent whose owners are gone, or takes away the references to those that are.
async fn dependent(api: &Api, graph: &Graph, key: &Key) -> Result<()> {
    let Some(object) = api
        .store
        .get(key)
        .and_then(|record| api.store.object(&record).ok())
    else {
        return Ok(());
    };
    if object::is_deleting(&object) && !waits_under(&object, FOREGROUND) {
        return Ok(());
    }
    let references = owners(&object);
    let mut lost = BTreeSet::new();
    let (mut solid, mut waiting) = (false, false);
    for reference in &references {
        match standing(api, key, reference) {
            Standing::Solid => solid = true,
            Standing::Waiting => {
                waiting = true;
                lost.insert(reference.uid.to_string());
            }
            Standing::Gone => {
                lost.insert(reference.uid.to_string());
            }
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    if solid {
        return release(api, key, &lost).await;
    }
    if object::is_deleting(&object) {
        return Ok(());
    }
    let held = |finalizer: &str| object::finalizers(&object).any(|one| one == finalizer);
    let has_dependents = graph.dependents(object::uid(&object)).next().is_some();
    let propagation = if held(ORPHAN) {
        Propagation::Orphan
    } else if held(FOREGROUND) || (waiting && has_dependents) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    let options = Deletion {
        propagation: Some(propagation),
        uid: Some(object::uid(&object).to_owned()),
        // Whoever changed its owners meanwhile is right.
        resource_version: Some(object::resource_version(&object).to_owned()),
    };
    delete(api, key, &options).await
}

/// Lets an owner go whose dependents are gone or released, and sets about those that are not.
async fn owner(api: &Api, graph: &Graph, key: &Key) -> Result<()> {
    let Some(object) = api
        .store
        .get(key)
        .and_then(|record| api.store.object(&record).ok())
    else {
        return Ok(());
    };
    let uid = object::uid(&object).to_owned();
    if waits_under(&object, ORPHAN) {
        let released = BTreeSet::from([uid.clone()]);
        for dependent in graph.dependents(&uid) {
            release(api, dependent, &released).await?;
        }
        return finish(api, key, ORPHAN).await;
    }
    if !waits_under(&object, FOREGROUND) {
        return Ok(());
    }
    if graph.is_blocked(&uid) {
        for key in graph.dependents(&uid) {
            dependent(api, graph, key).await?;
        }
        return Ok(());
    }
    finish(api, key, FOREGROUND).await
}

/// Takes the references to these owners out of a dependent.
async fn release(api: &Api, key: &Key, uids: &BTreeSet<String>) -> Result<()> {
    change(api, key, &|stored| {
        let mut changed = stored.clone();
        if let Some(Value::Array(references)) = object::metadata_mut(&mut changed).get_mut("ownerReferences")
        {
            references.retain(|one| {
                one.get("uid")
                    .and_then(Value::as_str)
                    .is_none_or(|uid| !uids.contains(uid))
            });
            if references.is_empty() {
                object::remove_meta(&mut changed, "ownerReferences");
            }
        }
        Ok(changed)
    })
    .await
}

/// Takes a finalizer out of an object, which ends it when it was the last.
async fn finish(api: &Api, key: &Key, finalizer: &str) -> Result<()> {
    change(api, key, &|stored| {
        let mut changed = stored.clone();
        if let Some(Value::Array(finalizers)) = object::metadata_mut(&mut changed).get_mut("finalizers") {
            finalizers.retain(|one| one != finalizer);
            if finalizers.is_empty() {
                object::remove_meta(&mut changed, "finalizers");
            }
        }
        Ok(changed)
    })
    .await
}

async fn change(
    api: &Api,
    key: &Key,
    change: &(dyn Fn(&Value) -> Result<Value> + Send + Sync),
) -> Result<()> {
    let Some(kind) = api.kinds.load().stored(&key.of).cloned() else {
        return Ok(());
    };
    let user = user();
    settled(
        api.modify(&kind, key, "", &writing(&user), change)
            .await
            .map(drop),
    )
}

async fn delete(api: &Api, key: &Key, options: &Deletion) -> Result<()> {
    let Some(kind) = api.kinds.load().stored(&key.of).cloned() else {
        return Ok(());
    };
    let user = user();
    settled(api.delete(&kind, key, options, &writing(&user)).await.map(drop))
}

/// What the object itself refuses will come back as news; what the store refuses is tried again.
fn settled(answer: Result<()>) -> Result<()> {
    match answer {
        Err(Status {
            code: 404 | 409 | 422 | 403,
            ..
        })
        | Ok(()) => Ok(()),
        Err(other) => Err(other),
    }
}
