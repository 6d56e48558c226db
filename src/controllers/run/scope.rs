//! The watches and controllers of one namespace, or of all: what wakes a deployment, what wakes a secret, and the stores that
//! they read. Decides nothing about objects. Put together and run by [`super::Operator`].

use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::DynamicObject,
    runtime::{
        Controller, WatchStreamExt,
        controller::Config as ControllerConfig,
        reflector::{self, ObjectRef, Store},
    },
};
use tokio::sync::{mpsc, watch};

use super::{Operator, Wakes, wake_all};
use crate::{
    api::{DockerSecret, reference::SecretKind},
    controllers::{
        checks::Checks,
        config_maps::ConfigMaps,
        context::{Context, Failures},
        events::EventWriter,
        history::History,
        host::WakeUp,
        measured::{FIRST_LISTS, failed_deployment, measured_deployment, measured_secret, retry},
        moments::Moments,
        object::resource,
        references::Named,
        refresh::Asked,
        secret,
        streams::{
            Objects, changes_of, follow, named_by, named_by_sealed, quiet, received, scoped, shelve, stopped,
            woken_objects,
        },
        users::Users,
        watched::Shelves,
        written::Written,
    },
    engine::Engine,
};

/// How many objects are reconciled side by side; each one serially. The engine has its own bound.
const CONCURRENCY: u16 = 16;

type UsersWatch = (
    reflector::store::Writer<DynamicObject>,
    mpsc::UnboundedReceiver<ObjectRef<DockerSecret>>,
);

/// The watches of one namespace, or of all.
pub(super) struct Scope<E> {
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
    pub(super) fn new(operator: &Operator<E>, namespace: Option<&str>) -> Self {
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

    pub(super) fn run(mut self, stop: &watch::Receiver<bool>, tasks: &mut tokio::task::JoinSet<()>) {
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
