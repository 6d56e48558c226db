//! The streams that wake reconciles, and what turns one thing that happened into the objects that it concerns.
//! Starts nothing and decides nothing. Called by [`super::run`].

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};
use kube::{
    Api, Client, Resource,
    api::DynamicObject,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::{
    host::WakeUp,
    object::resource,
    references::{self, Named},
    watched::Shelf,
};
use crate::api::{DockerSecret, reference::SecretKind};

/// Objects of one kind as a watch tells them.
pub(super) type Objects<K> = stream::BoxStream<'static, Result<K, watcher::Error>>;

/// The deployments of a namespace that name an object.
pub(super) fn named_by(
    store: &Store<DynamicObject>,
    wanted: &Named,
    namespace: Option<&str>,
) -> Vec<ObjectRef<DynamicObject>> {
    let within = |other: &str| namespace == Some(other);
    named_within(store, wanted, within)
}

/// The deployments of these namespaces that name a sealed secret.
pub(super) fn named_by_sealed(
    store: &Store<DynamicObject>,
    secret: DockerSecret,
    namespaces: &BTreeSet<String>,
) -> Vec<ObjectRef<DynamicObject>> {
    let meta = secret.metadata;
    let (namespace, name) = (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
    let wanted = Named::Secret(SecretKind::DockerSecret, namespace, name);
    named_within(store, &wanted, |namespace| namespaces.contains(namespace))
}

/// Only in these namespaces: to walk through every deployment for every secret would be slow at a start.
fn named_within(
    store: &Store<DynamicObject>,
    wanted: &Named,
    within: impl Fn(&str) -> bool,
) -> Vec<ObjectRef<DynamicObject>> {
    store
        .state()
        .iter()
        .filter(|d| names(d, wanted, &within))
        .map(|d| ObjectRef::from_obj_with(&**d, resource()))
        .collect()
}

/// Whether a deployment of one of these namespaces names an object.
pub(super) fn names(deployment: &DynamicObject, wanted: &Named, within: impl Fn(&str) -> bool) -> bool {
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    within(namespace)
        && deployment
            .data
            .get("spec")
            .is_some_and(|spec| references::of(spec, namespace).contains(wanted))
}

/// Wake-ups as objects; what does not exist (an orphan's owner) is nobody.
pub(super) fn woken_objects(
    woken: mpsc::UnboundedReceiver<WakeUp>,
    store: Store<DynamicObject>,
) -> impl futures::Stream<Item = ObjectRef<DynamicObject>> + Send {
    stream::unfold(woken, |mut woken| async move {
        woken.recv().await.map(|wake| (wake, woken))
    })
    .flat_map(move |wake| {
        let objects = match wake {
            WakeUp::One(subject) => {
                let object = ObjectRef::new_with(&subject.name, resource()).within(&subject.namespace);
                store.get(&object).map(|_| object).into_iter().collect()
            }
            WakeUp::Namespace(namespace) => store
                .state()
                .iter()
                .filter(|d| d.metadata.namespace.as_ref() == Some(&namespace))
                .map(|d| ObjectRef::from_obj_with(&**d, resource()))
                .collect::<Vec<_>>(),
            WakeUp::All => store
                .state()
                .iter()
                .map(|d| ObjectRef::from_obj_with(&**d, resource()))
                .collect::<Vec<_>>(),
        };
        stream::iter(objects)
    })
}

/// What a channel brings.
pub(super) fn received<T: Send>(from: mpsc::UnboundedReceiver<T>) -> impl futures::Stream<Item = T> + Send {
    stream::unfold(from, |mut from| async move {
        from.recv().await.map(|one| (one, from))
    })
}

pub(super) fn changes_of(changes: watch::Receiver<u64>) -> impl futures::Stream<Item = ()> + Send {
    stream::unfold(changes, |mut changes| async move {
        changes.changed().await.ok().map(|()| ((), changes))
    })
}

/// Turns true when a store has been filled: a store itself wakes only one waiter.
pub(super) fn listed(store: Store<DynamicObject>) -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        if store.wait_until_ready().await.is_ok() {
            tell.send_replace(true);
            tell.closed().await;
        }
    });
    told
}

pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
}

pub(super) fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

pub(super) fn quiet() -> watcher::Config {
    watcher::Config::default()
}

/// A watch that comes back by itself. Who manages the fields of an object is nobody's business here, and would take more
/// memory than the rest of it.
pub(super) fn follow<K>(
    api: Api<K>,
) -> impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    watcher(api, quiet())
        .default_backoff()
        .modify(|object| object.meta_mut().managed_fields = None)
}

/// A watch whose objects are on the shelf before anybody is told of them.
pub(super) fn shelve<K>(api: Api<K>, denied: String) -> (Objects<K>, Arc<Shelf<K>>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let objects = follow(api).reflect(writer).touched_objects().boxed();
    (objects, Shelf::new(store, denied))
}
