//! One Docker host as it is seen: a cache of our containers, fed by one list and then by the engine's events, and
//! listed anew after every reconnect, because the engine replays too little. Wakes exactly the owner of what changed.
//! Answers with a snapshot, or with how long the engine has been away: unknown is not empty. Changes nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::keys::label,
    clock::Clock,
    engine::{self, Engine, Kind, LabelFilter},
    state::{
        container::{ContainerId, ContainerView, RunState},
        observed::{is_agent, namespace_of},
        owner::Instance,
    },
};

/// How often everything is listed although no event came: a lost event is found by then.
const RELIST: Duration = Duration::from_secs(60);
/// How often a quiet engine is asked whether it is there.
const PING: Duration = Duration::from_secs(10);
/// How long to wait between two tries to connect.
const RECONNECT: Duration = Duration::from_secs(1);
/// How many inspects run side by side.
const INSPECTS: usize = 4;

/// The object that a container belongs to, as its labels say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Namespace of the deployment.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Subject {
    fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            namespace: labels.get(label::NAMESPACE)?.clone(),
            name: labels.get(label::DEPLOYMENT)?.clone(),
        })
    }
}

/// Whom to wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeUp {
    /// One object.
    One(Subject),
    /// All of a namespace: its agent is gone.
    Namespace(String),
    /// All: the engine went away or came back.
    All,
}

/// The engine is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Docker Engine has not answered since {since}: {why}")]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// What the last try said.
    pub why: String,
}

struct Seen {
    containers: BTreeMap<ContainerId, (u64, Option<ContainerView>)>,
    away: Option<Away>,
}

/// See the file's header.
pub struct Host<E> {
    engine: Arc<E>,
    filter: LabelFilter,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
    ticket: AtomicU64,
    wake: Box<dyn Fn(WakeUp) + Send + Sync>,
    connected: watch::Sender<bool>,
    networks: tokio::sync::Mutex<()>,
    /// Counts changes of agents.
    agents: watch::Sender<u64>,
}

impl<E: Engine> Host<E> {
    /// A host that has not been seen yet.
    #[must_use]
    pub fn new(
        engine: Arc<E>,
        instance: &Instance,
        clock: Arc<dyn Clock>,
        wake: Box<dyn Fn(WakeUp) + Send + Sync>,
    ) -> Arc<Self> {
        let away = Away {
            since: clock.now(),
            why: "not asked yet".to_owned(),
        };
        Arc::new(Self {
            engine,
            filter: LabelFilter {
                key: label::INSTANCE.to_owned(),
                value: instance.as_str().to_owned(),
            },
            clock,
            seen: Mutex::new(Seen {
                containers: BTreeMap::new(),
                away: Some(away),
            }),
            ticket: AtomicU64::new(1),
            wake,
            connected: watch::channel(false).0,
            networks: tokio::sync::Mutex::default(),
            agents: watch::channel(0).0,
        })
    }

    /// The engine itself.
    #[must_use]
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }

    /// Waits for the turn to make a network: two that choose a free subnet at the same time choose the same.
    pub async fn network_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.networks.lock().await
    }

    /// Tells whether the engine is there, and when that changes.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our containers of one namespace.
    ///
    /// # Errors
    /// [`Away`] while the engine is: what it has is unknown then.
    pub fn containers(&self, namespace: &str) -> Result<Vec<ContainerView>, Away> {
        let seen = self.lock();
        if let Some(away) = &seen.away {
            return Err(away.clone());
        }
        let views = seen.containers.values().filter_map(|(_, view)| view.as_ref());
        Ok(views
            .filter(|view| view.label(label::NAMESPACE) == namespace)
            .cloned()
            .collect())
    }

    /// The agent of a namespace, while it runs.
    #[must_use]
    pub fn agent(&self, namespace: &str) -> Option<ContainerId> {
        let seen = self.lock();
        let mut views = seen.containers.values().filter_map(|(_, view)| view.as_ref());
        let agent = |view: &&ContainerView| {
            is_agent(view) && namespace_of(view) == namespace && view.state == RunState::Running
        };
        views.find(agent).map(|view| view.id.clone())
    }

    /// Tells when an agent has come, gone or changed.
    #[must_use]
    pub fn agent_changes(&self) -> watch::Receiver<u64> {
        self.agents.subscribe()
    }

    /// How many of our containers run, and how many there are.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for view in self
            .lock()
            .containers
            .values()
            .filter_map(|(_, view)| view.as_ref())
            .filter(|view| !is_agent(view))
        {
            *counts.entry(state_word(view.state)).or_insert(0) += 1;
        }
        counts
    }

    /// Looks at one container again and remembers what was seen. A look that began earlier never overwrites a later one.
    ///
    /// # Errors
    /// The engine's, but `NotFound`, which is an answer.
    pub async fn refresh(&self, id: &ContainerId) -> engine::Result<()> {
        let ticket = self.ticket.fetch_add(1, Ordering::SeqCst);
        let view = match self.engine.inspect_container(id.as_str()).await {
            Ok(view) => Some(view),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.remember(id, ticket, view);
        Ok(())
    }

    /// Stores a look; answers the owners if it changed anything.
    fn remember(&self, id: &ContainerId, ticket: u64, view: Option<ContainerView>) {
        let view = view.filter(|v| v.label(label::INSTANCE) == self.filter.value);
        let mut owners = Vec::new();
        let mut agent_of = None;
        {
            let mut seen = self.lock();
            let before = seen.containers.get(id);
            if before.is_some_and(|(earlier, _)| *earlier > ticket) {
                return;
            }
            let before = before.and_then(|(_, view)| view.clone());
            if before != view {
                agent_of = before
                    .iter()
                    .chain(&view)
                    .find(|v| is_agent(v))
                    .map(|v| namespace_of(v).to_owned());
                owners.extend(before.as_ref().and_then(|v| Subject::of(&v.labels)));
                owners.extend(view.as_ref().and_then(|v| Subject::of(&v.labels)));
            }
            seen.containers.insert(id.clone(), (ticket, view));
        }
        if let Some(namespace) = agent_of {
            self.agents.send_modify(|n| *n += 1);
            // One that runs needs nobody; one that does not is mended by the deployments that it serves.
            if self.agent(&namespace).is_none() {
                (self.wake)(WakeUp::Namespace(namespace));
            }
        }
        owners.dedup();
        for owner in owners {
            (self.wake)(WakeUp::One(owner));
        }
    }

    /// Watches the engine until `stop` says so; the future ends then and not before.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let watched = self.watch();
            tokio::select! {
                error = watched => self.lost(&error),
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = tokio::time::sleep(RECONNECT) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn lost(&self, error: &engine::Error) {
        let mut seen = self.lock();
        let since = seen
            .away
            .as_ref()
            .map_or_else(|| self.clock.now(), |away| away.since);
        let first = seen.away.is_none();
        seen.away = Some(Away {
            since,
            why: error.to_string(),
        });
        drop(seen);
        self.connected.send_replace(false);
        if first {
            tracing::warn!(error = %error, "the Docker Engine is gone; what runs is left as it is");
            (self.wake)(WakeUp::All);
        }
    }

    /// Connects, lists, and follows until something fails.
    async fn watch(&self) -> engine::Error {
        match self.follow().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn follow(&self) -> engine::Result<std::convert::Infallible> {
        // The stream first, then the list: what happens in between is seen by both.
        let mut events = self.engine.events(&self.filter).await?;
        self.list().await?;
        let back = self.lock().away.take().is_some();
        self.connected.send_replace(true);
        if back {
            tracing::info!("the Docker Engine answers");
            (self.wake)(WakeUp::All);
        }
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        let mut relist = tokio::time::interval_at(tokio::time::Instant::now() + RELIST, RELIST);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if let Some(id) = event.container
                            && (event.action != "destroy" || self.knows(&id))
                        {
                            self.refresh(&id).await?;
                        }
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Err(ended()),
                },
                _ = ping.tick() => self.engine.ping().await?,
                _ = relist.tick() => self.list().await?,
            }
        }
    }

    fn knows(&self, id: &ContainerId) -> bool {
        self.lock()
            .containers
            .get(id)
            .is_some_and(|(_, view)| view.is_some())
    }

    /// Lists, looks at everything, and forgets what is gone.
    async fn list(&self) -> engine::Result<()> {
        let ticket = self.ticket.fetch_add(1, Ordering::SeqCst);
        let listed = self.engine.list_containers(&self.filter).await?;
        for some in listed.chunks(INSPECTS) {
            let mut looks = FuturesUnordered::new();
            for id in some {
                looks.push(self.refresh(id));
            }
            while let Some(look) = looks.next().await {
                look?;
            }
        }
        let gone: Vec<ContainerId> = self
            .lock()
            .containers
            .keys()
            .filter(|id| !listed.contains(id))
            .cloned()
            .collect();
        for id in gone {
            self.remember(&id, ticket, None);
        }
        // Those that are gone were kept so that a late look could not bring them back; one list later none can.
        self.lock()
            .containers
            .retain(|_, (seen, view)| view.is_some() || *seen >= ticket);
        Ok(())
    }
}

fn ended() -> engine::Error {
    engine::Error {
        op: engine::Op::Events,
        subject: String::new(),
        kind: Kind::Unreachable,
        message: "the engine closed its stream of events".to_owned(),
    }
}

fn state_word(state: crate::state::container::RunState) -> &'static str {
    use crate::state::container::RunState as S;
    match state {
        S::Created => "created",
        S::Running => "running",
        S::Paused => "paused",
        S::Restarting => "restarting",
        S::Removing => "removing",
        S::Exited => "exited",
        S::Dead => "dead",
    }
}
