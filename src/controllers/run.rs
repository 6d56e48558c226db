//! Puts the shells together: watches, triggers, the host, the ring, and a graceful end in which reconciles under way
//! finish. Decides nothing about objects. Called by `cli` with a client and an engine.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::Client;
use tokio::sync::{mpsc, watch};

use super::{
    agents::Agents,
    audit::{Auditor, Ending},
    commands::Commands,
    context::{Options, Ring},
    host::{Host, WakeUp},
    keys::{self, Sealed},
    neighbours::Neighbours,
    ring, tidy,
    watched::Shelves,
};
use crate::{
    clock::Clock,
    engine::Engine,
    execute::{Executor, Watched},
    telemetry::metrics::Metrics,
};

mod scope;

use scope::Scope;

/// What an operator works with.
pub struct Setup<E> {
    /// Client of the API server.
    pub client: Client,
    /// The engine.
    pub engine: Arc<E>,
    /// The flags.
    pub options: Options,
    /// Where the key ring is.
    pub keyring: ring::Place,
    /// Whether a key ring may be made although sealed values name keys.
    pub new_cluster: bool,
    /// The namespaces to watch; all when empty.
    pub namespaces: Vec<String>,
    /// The namespaces whose core Secrets may be read.
    pub core_secrets: Vec<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names this process in events.
    pub reporter: String,
    /// Counts.
    pub metrics: Metrics,
    /// How often delivered files are compared with what they are to be; never when zero.
    pub files_check_interval: Duration,
    /// The audit file; none without.
    pub audit_log: Option<PathBuf>,
}

type Wakes = Arc<Mutex<Vec<mpsc::UnboundedSender<WakeUp>>>>;

/// An operator that is put together and not yet running.
pub struct Operator<E> {
    pub(super) setup: Setup<E>,
    pub(super) host: Arc<Host<E>>,
    pub(super) agents: Arc<Agents<E>>,
    commands: Arc<Commands<E>>,
    executor: Executor<E>,
    pub(super) ring: Arc<Ring>,
    ring_changes: watch::Sender<u64>,
    pub(super) sealed: Arc<Sealed>,
    auditor: Auditor,
    neighbours: Arc<Neighbours>,
    wakes: Wakes,
    pub(super) synced: Arc<Mutex<Vec<Synced>>>,
}

/// What must have been listed once before the operator is ready: its name, and whether it has.
pub(super) type Synced = (String, Box<dyn Fn() -> bool + Send + Sync>);

fn wake_all(wakes: &Wakes, wake: &WakeUp) {
    wakes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|to| to.send(wake.clone()).is_ok());
}

impl<E: Engine> Operator<E> {
    /// Puts it together.
    #[must_use]
    pub fn new(setup: Setup<E>) -> Self {
        let wakes = Wakes::default();
        let clock = Arc::clone(&setup.clock);
        let to_host = Arc::clone(&wakes);
        let engine = Arc::clone(&setup.engine);
        let wake_host = Box::new(move |wake| wake_all(&to_host, &wake));
        let host = Host::new(engine, &setup.options.instance, Arc::clone(&clock), wake_host);
        let to_watched = Arc::clone(&wakes);
        let watched = Watched::new(
            clock,
            Arc::new(move |owner| {
                let (namespace, name) = (owner.namespace.clone(), owner.name.clone());
                wake_all(
                    &to_watched,
                    &WakeUp::One(super::host::Subject { namespace, name }),
                );
            }),
        );
        let to_agents = Arc::clone(&wakes);
        let wake_agents = Box::new(move |wake| wake_all(&to_agents, &wake));
        let agents = Agents::new(
            Arc::clone(&host),
            Arc::clone(&setup.clock),
            wake_agents,
            setup.metrics.clone(),
        );
        let to_commands = Arc::clone(&wakes);
        let wake_commands = Arc::new(move |wake| wake_all(&to_commands, &wake));
        let commands = Commands::new(
            Arc::clone(&host),
            Arc::clone(&setup.clock),
            wake_commands,
            setup.metrics.clone(),
        );
        let executor = Executor::new(
            Arc::clone(&setup.engine),
            watched,
            Arc::new(setup.options.program.clone()),
        )
        .keeping_files(setup.options.host_files.clone());
        let ring = Arc::new(Ring::missing("the key ring has not been read yet"));
        Self {
            setup,
            host,
            agents,
            commands,
            executor,
            ring,
            ring_changes: watch::channel(0).0,
            sealed: Arc::default(),
            auditor: Auditor::default(),
            neighbours: Arc::default(),
            wakes,
            synced: Arc::default(),
        }
    }

    /// Runs until told to stop, and then until what is under way has finished.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        // Not before: who stands by writes nothing.
        let ending = self.start_audit();
        let scopes: Vec<Option<String>> = if self.setup.namespaces.is_empty() {
            vec![None]
        } else {
            self.setup.namespaces.iter().cloned().map(Some).collect()
        };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(Arc::clone(&self.host).run(stop.clone()));
        tasks.spawn(Arc::clone(&self.agents).run(stop.clone()));
        tasks.spawn(tidy::keep(
            Arc::clone(&self.host),
            self.setup.options.program.clone(),
            Arc::clone(&self.setup.clock),
            stop.clone(),
        ));
        let new = |namespace: Option<String>| Scope::new(&self, namespace.as_deref());
        let scopes: Vec<Scope<E>> = scopes.into_iter().map(new).collect();
        self.keep_ring(&stop, &mut tasks);
        for scope in scopes {
            scope.run(&stop, &mut tasks);
        }
        while tasks.join_next().await.is_some() {}
        ending.wait(&self.auditor).await;
    }

    fn start_audit(&mut self) -> Ending {
        let (auditor, ending) = Auditor::start(
            self.setup.audit_log.take(),
            Arc::clone(&self.ring),
            Arc::clone(&self.setup.clock),
            self.setup.metrics.clone(),
        );
        self.auditor = auditor;
        ending
    }

    /// It is ready when all of these have been listed.
    fn wait_for(&self, shelves: &Shelves) {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, two) = (
            Arc::clone(&shelves.docker_secrets),
            Arc::clone(&shelves.config_maps),
        );
        synced.push(("DockerSecrets".to_owned(), Box::new(move || one.is_filled())));
        synced.push(("ConfigMaps".to_owned(), Box::new(move || two.is_filled())));
        for (name, shelf) in &shelves.secrets {
            let shelf = Arc::clone(shelf);
            synced.push((format!("Secrets of {name}"), Box::new(move || shelf.is_filled())));
        }
    }

    fn keep_ring(&self, stop: &watch::Receiver<bool>, tasks: &mut tokio::task::JoinSet<()>) {
        let namespace = self.setup.options.operator_namespace.clone();
        let wakes = Arc::clone(&self.wakes);
        let changes = self.ring_changes.clone();
        let keeper = ring::Keeper {
            place: self.setup.keyring.clone(),
            namespace: namespace.clone(),
            client: self.setup.client.clone(),
            current: Arc::clone(&self.ring),
            sealed: Arc::clone(&self.sealed),
            new_cluster: self.setup.new_cluster,
            clock: Arc::clone(&self.setup.clock),
            changed: Box::new(move || {
                changes.send_modify(|n| *n += 1);
                wake_all(&wakes, &WakeUp::All);
            }),
        };
        tasks.spawn(keeper.run(stop.clone()));
        let reminder = keys::Reminder {
            client: self.setup.client.clone(),
            reporter: self.setup.reporter.clone(),
            namespace: namespace.clone(),
            current: Arc::clone(&self.ring),
            clock: Arc::clone(&self.setup.clock),
        };
        let remind = reminder.run(self.ring_changes.subscribe());
        let publish = ring::keep_public_keys(
            self.setup.client.clone(),
            namespace,
            Arc::clone(&self.ring),
            self.ring_changes.subscribe(),
        );
        let mut stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                _ = futures::future::join(remind, publish) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }
}
