//! Puts the shells together: watches, triggers, the host, the ring, and a graceful end in which reconciles under way
//! finish. Decides nothing about objects. Called by `cli` with a client and an engine.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{
        Controller, WatchStreamExt,
        controller::Config as ControllerConfig,
        reflector::{self, ObjectRef, Store},
    },
};
use tokio::sync::{mpsc, watch};

use super::{
    agents::Agents,
    audit::{Auditor, Ending},
    checks::Checks,
    commands::Commands,
    config_maps::ConfigMaps,
    context::{Context, Failures, Options, Ring},
    events::EventWriter,
    history::History,
    host::{Host, WakeUp},
    keys::{self, Sealed},
    measured::{FIRST_LISTS, failed_deployment, measured_deployment, measured_secret, retry},
    moments::Moments,
    neighbours::Neighbours,
    object::resource,
    references::Named,
    refresh::Asked,
    ring, secret,
    streams::{
        Objects, changes_of, follow, named_by, named_by_sealed, quiet, received, scoped, shelve, stopped,
        woken_objects,
    },
    tidy,
    users::Users,
    watched::Shelves,
    written::Written,
};
use crate::{
    api::{DockerSecret, reference::SecretKind},
    clock::Clock,
    engine::Engine,
    execute::{Executor, Watched},
    telemetry::metrics::Metrics,
};

/// How many objects are reconciled side by side; each one serially. The engine has its own bound.
const CONCURRENCY: u16 = 16;
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

type UsersWatch = (
    reflector::store::Writer<DynamicObject>,
    mpsc::UnboundedReceiver<ObjectRef<DockerSecret>>,
);

/// The watches of one namespace, or of all.
struct Scope<E> {
    context: Arc<Context<E>>,
    namespace: Option<String>,
    wakes: Wakes,
    ring_changes: watch::Receiver<u64>,
    /// To be filled with the deployments, and the secrets whose users elsewhere have changed.
    users: Option<UsersWatch>,
    docker_secrets: Objects<DockerSecret>,
    config_maps: Objects<ConfigMap>,
    secrets: Vec<Objects<Secret>>,
}

impl<E: Engine> Scope<E> {
    fn new(operator: &Operator<E>, namespace: Option<&str>) -> Self {
        let setup = &operator.setup;
        let may_not = |kind: &str| {
            format!(
                "the operator has not been able to list {kind}; check that its account may list and watch them"
            )
        };
        let (docker_secrets, shelf) = shelve(scoped(&setup.client, namespace), may_not("DockerSecrets"));
        operator.sealed.add(Arc::clone(&shelf));
        let users = reflector::store::Writer::new(resource());
        let looks = operator
            .neighbours
            .add(namespace, Arc::clone(&shelf), users.as_reader());
        let wakes = Arc::clone(&operator.wakes);
        let late = Arc::new(move || wake_all(&wakes, &WakeUp::All));
        let (config_shelves, config_maps) = ConfigMaps::new(setup.client.clone(), FIRST_LISTS, late);
        let mut secrets = Vec::new();
        let mut core = std::collections::BTreeMap::new();
        for name in setup
            .core_secrets
            .iter()
            .filter(|n| namespace.is_none_or(|only| only == n.as_str()))
        {
            let (watch, shelf) = shelve(scoped(&setup.client, Some(name)), may_not("Secrets"));
            secrets.push(watch);
            core.insert(name.clone(), shelf);
        }
        let shelves = Arc::new(Shelves {
            namespace: namespace.map(str::to_owned),
            neighbours: Arc::clone(&operator.neighbours),
            docker_secrets: shelf,
            config_maps: config_shelves,
            secrets: core,
        });
        operator.wait_for(&shelves);
        let context = Context {
            client: setup.client.clone(),
            host: Arc::clone(&operator.host),
            agents: Arc::clone(&operator.agents),
            commands: Arc::clone(&operator.commands),
            executor: operator.executor.clone(),
            shelves,
            ring: Arc::clone(&operator.ring),
            clock: Arc::clone(&setup.clock),
            auditor: operator.auditor.clone(),
            events: EventWriter::new(setup.client.clone(), setup.reporter.clone()),
            history: {
                let wakes = Arc::clone(&operator.wakes);
                let wake = move |subject| wake_all(&wakes, &WakeUp::One(subject));
                History::new(setup.client.clone(), Box::new(wake))
            },
            metrics: setup.metrics.clone(),
            options: setup.options.clone(),
            written: Written::default(),
            failures: Failures::default(),
            moments: Moments::default(),
            checks: Checks::every(setup.files_check_interval),
            asked: Asked::default(),
        };
        Self {
            context: Arc::new(context),
            namespace: namespace.map(str::to_owned),
            wakes: Arc::clone(&operator.wakes),
            ring_changes: operator.ring_changes.subscribe(),
            users: Some((users, looks)),
            docker_secrets,
            config_maps,
            secrets,
        }
    }

    fn deployments(&self) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.context.client.clone(), namespace, &resource()),
            None => Api::all_with(self.context.client.clone(), &resource()),
        }
    }

    fn run(mut self, stop: &watch::Receiver<bool>, tasks: &mut tokio::task::JoinSet<()>) {
        let (shelves, wakes) = (Arc::clone(&self.context.shelves), Arc::clone(&self.wakes));
        let mut stopping = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                // What was denied while lists were late is looked at again.
                () = shelves.fill() => wake_all(&wakes, &WakeUp::All),
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
        let revisions = scoped(&self.context.client, self.namespace.as_deref());
        tasks.spawn(Arc::clone(&self.context.history).follow(revisions, stop.clone()));
        if let Some(users) = self.users.take() {
            tasks.spawn(self.secret_controller(users, stop.clone()));
        }
        tasks.spawn(self.deployment_controller(stop.clone()));
    }

    fn secret_controller(
        &self,
        (writer, looks): UsersWatch,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let store: Store<DynamicObject> = writer.as_reader();
        let changes = follow(self.deployments()).reflect(writer).touched_objects();
        let (users, own) = (Users::default(), self.namespace.clone());
        let neighbours = Arc::clone(&self.context.shelves.neighbours);
        let across = Arc::clone(&neighbours);
        let controller = Controller::new(
            scoped::<DockerSecret>(&self.context.client, self.namespace.as_deref()),
            quiet(),
        )
        .with_config(ControllerConfig::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stopped(stop))
        .watches_stream_with(
            changes,
            move |d: DynamicObject| across.at_home(own.as_deref(), users.concerned(&d, &store)),
            resource(),
        )
        .reconcile_on(received(looks))
        .reconcile_all_on(changes_of(self.ring_changes.clone()));
        let context = Arc::new(secret::SecretContext {
            shared: Arc::clone(&self.context),
            neighbours,
        });
        async move {
            controller
                .run(
                    measured_secret,
                    |_, error, _| retry("DockerSecret", error),
                    context,
                )
                .for_each(|_| futures::future::ready(()))
                .await;
        }
    }

    fn deployment_controller(self, stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
        let writer = reflector::store::Writer::new(resource());
        let store: Store<DynamicObject> = writer.as_reader();
        let objects = follow(self.deployments()).reflect(writer).applied_objects();
        let (wakes, woken) = mpsc::unbounded_channel();
        self.wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wakes);
        let (by_secret, by_core, by_map) = (store.clone(), store.clone(), store.clone());
        let (neighbours, own) = (
            Arc::clone(&self.context.shelves.neighbours),
            self.namespace.clone(),
        );
        let everywhere = Arc::clone(&self.wakes);
        let mut controller = Controller::for_stream_with(objects, store.clone(), resource())
            .with_config(ControllerConfig::default().concurrency(CONCURRENCY))
            .graceful_shutdown_on(stopped(stop))
            .watches_stream(self.docker_secrets, move |s: DockerSecret| {
                let namespaces = neighbours.concerned(&s);
                for other in namespaces
                    .iter()
                    .filter(|n| own.as_ref().is_some_and(|own| own != *n))
                {
                    wake_all(&everywhere, &WakeUp::Namespace(other.clone()));
                }
                named_by_sealed(&by_secret, s, &namespaces)
            })
            .watches_stream(self.config_maps, move |m: ConfigMap| {
                let named = Named::ConfigMap(m.metadata.name.unwrap_or_default());
                named_by(&by_map, &named, m.metadata.namespace.as_deref())
            })
            .reconcile_on(woken_objects(woken, store));
        for secrets in self.secrets {
            let store = by_core.clone();
            controller = controller.watches_stream(secrets, move |s: Secret| {
                let namespace = s.metadata.namespace.unwrap_or_default();
                let name = s.metadata.name.unwrap_or_default();
                let named = Named::Secret(SecretKind::Secret, namespace.clone(), name);
                named_by(&store, &named, Some(&namespace))
            });
        }
        let context = self.context;
        async move {
            controller
                .run(measured_deployment, failed_deployment, context)
                .for_each(|_| futures::future::ready(()))
                .await;
        }
    }
}
