//! What every reconcile of one process shares: clients, the host, the executor, the ring, settings, and what it
//! remembers between two of them for the sake of speed only. Owns no decision. Built by [`super::run`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use kube::Client;

use super::{
    agents::Agents, audit::Auditor, checks::Checks, commands::Commands, events::EventWriter,
    history::History, host::Host, moments::Moments, refresh::Asked, watched::Shelves, written::Written,
};
use crate::{
    api::validate::Policy,
    clock::Clock,
    execute::{Executor, HostFiles, Program},
    plan::subnet::Cidr,
    secrets::{host::HostCredentials, open::Opener},
    state::{build::Settings, owner::Instance},
    telemetry::metrics::Metrics,
};

/// The name of the one engine that an operator drives now.
pub const LOCAL_HOST: &str = "local";

/// What the flags say.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identity of the control plane.
    pub instance: Instance,
    /// What manifests may ask for.
    pub policy: Policy,
    /// What containers get when manifests do not say.
    pub settings: Settings,
    /// What agents are made of.
    pub program: Program,
    /// Where networks get their subnets from.
    pub pool: Cidr,
    /// Routes of the host, which no subnet may overlap.
    pub host_routes: Vec<String>,
    /// The namespace in which the operator keeps its own objects.
    pub operator_namespace: String,
    /// The operator's own directory of the host for new volumes with files; holders keep them without it.
    pub host_files: Option<HostFiles>,
    /// The host's registry credentials, for deployments that may use them.
    pub host_credentials: HostCredentials,
}

/// The key ring, as it is now.
pub struct Ring(RwLock<Arc<Opener>>);

impl Ring {
    /// No ring yet; `why` says what to do.
    #[must_use]
    pub fn missing(why: impl Into<String>) -> Self {
        Self(RwLock::new(Arc::new(Opener::without_ring(why))))
    }

    /// The opener of this moment.
    #[must_use]
    pub fn opener(&self) -> Arc<Opener> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another ring in place; what the old one remembered is gone with it.
    pub fn replace(&self, opener: Opener) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(opener);
    }
}

/// See the file's header.
pub struct Context<E> {
    /// Client of the API server.
    pub client: Client,
    /// The Docker host.
    pub host: Arc<Host<E>>,
    /// The agents on it.
    pub agents: Arc<Agents<E>>,
    /// Probes that are commands.
    pub commands: Arc<Commands<E>>,
    /// Runs plans on it.
    pub executor: Executor<E>,
    /// What the API server has.
    pub shelves: Arc<Shelves>,
    /// The key ring.
    pub ring: Arc<Ring>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Writes the audit file.
    pub auditor: Auditor,
    /// Writes events.
    pub events: EventWriter,
    /// Keeps the history of templates.
    pub history: Arc<History>,
    /// Counts.
    pub metrics: Metrics,
    /// The flags.
    pub options: Options,
    /// What was written last, until the watch shows it.
    pub written: Written,
    /// How often in a row an object failed.
    pub failures: Failures,
    /// How old is what was seen.
    pub moments: Moments,
    /// When delivered files are compared.
    pub checks: Checks,
    /// Who asked for what is known to be forgotten.
    pub asked: Asked,
}

/// Failures in a row by object, and the pause that follows: a second, doubling to a minute.
#[derive(Default)]
pub struct Failures(Mutex<BTreeMap<String, u32>>);

impl Failures {
    /// One more; answers the pause.
    pub fn add(&self, uid: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        Duration::from_secs(1 << (*count - 1).min(6)).min(Duration::from_secs(60))
    }

    /// It went well.
    pub fn clear(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
