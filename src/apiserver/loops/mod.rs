//! The API server's own controllers: what a cluster has in its controller-manager and this server has in itself.
//! Owns when each runs and how it ends; every rule is in the file of its loop. They read the store and write through
//! `verbs`, as clients do. Level-triggered: each starts from a list, follows the history, and lists again when it lost it.
//! Started by `serve` once the store is open; [`registry::Registry::load`] runs before the first request.

pub mod bootstrap;
mod defaults;
mod expiry;
mod feed;
mod garbage;
mod graph;
mod namespace_conditions;
mod namespaces;
pub mod registry;

use std::future::Future;

use tokio::{sync::watch, task::JoinSet};

use super::{
    authorize::User,
    verbs::{Api, FieldValidation, Writing},
};

/// The user in whose name loops write.
fn user() -> User {
    User::master("system:apiserver")
}

/// The field manager of what loops write, and the options of such a write.
const fn writing(user: &User) -> Writing<'_> {
    Writing {
        user,
        manager: "supercargo-apiserver",
        dry_run: false,
        validation: FieldValidation::Ignore,
    }
}

/// What the loops need besides the API.
#[derive(Debug, Clone)]
pub struct Options {
    /// The PEM of the CA that signed the serving certificate, for `kube-root-ca.crt` in every namespace.
    pub ca_pem: String,
    /// How long an event is kept after it was last seen.
    pub event_ttl: std::time::Duration,
}

/// Runs all loops until `stop` ends. `editions` wakes them when the set of kinds is replaced.
pub async fn run(
    api: Api,
    options: Options,
    registry: registry::Registry,
    editions: watch::Receiver<u64>,
    stop: impl Future<Output = ()>,
) {
    let mut loops = JoinSet::new();
    loops.spawn(registry.run());
    loops.spawn(garbage::run(api.clone(), editions.clone()));
    loops.spawn(namespaces::run(api.clone(), editions));
    loops.spawn(defaults::run(api.clone(), options.ca_pem));
    loops.spawn(expiry::run(api, options.event_ttl));
    stop.await;
    loops.shutdown().await;
}
