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
use tokio::sync::watch;

pub use super::host_words::{Away, SeenAgent, Subject, WakeUp};
use super::host_words::{ended, state_word};
use super::looks::{Looks, Surroundings};
use crate::{
    api::keys::label,
    clock::Clock,
    engine::{self, Engine, Event, Kind, LabelFilter},
    state::{
        container::{ContainerId, ContainerView, RunState},
        files::is_holder,
        observed::{is_agent, namespace_of},
        owner::Instance,
    },
};

/// How often everything is listed although no event came: a lost event is found by then.
const RELIST: Duration = Duration::from_secs(60);
/// After how many of these lists everything is looked at, changed or not: a list does not show limits and policies.
const FULL: u32 = 60;
/// How often a quiet engine is asked whether it is there. One that dies breaks the stream of events; this finds one that
/// hangs.
const PING: Duration = Duration::from_secs(20);
/// How long to wait between two tries to connect.
const RECONNECT: Duration = Duration::from_secs(1);
/// How many inspects run side by side.
const INSPECTS: usize = 4;

struct Seen {
    containers: BTreeMap<ContainerId, Look>,
    away: Option<Away>,
}

/// What the last look at a container found.
struct Look {
    ticket: u64,
    view: Option<ContainerView>,
    /// What the list showed of it that this look followed; `None` when it followed none.
    trace: Option<String>,
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
    /// Counts connections to the engine.
    connections: AtomicU64,
    networks: tokio::sync::Mutex<()>,
    surroundings: Surroundings,
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
            began: tokio::time::Instant::now(),
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
            connections: AtomicU64::new(0),
            networks: tokio::sync::Mutex::default(),
            surroundings: Surroundings::default(),
            agents: watch::channel(0).0,
        })
    }

    /// The engine itself.
    #[must_use]
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }

    /// What surrounds the containers, as it is after this was called.
    #[must_use]
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
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

    /// The number of the present connection to the engine, or of the last one.
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
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
        let views = seen.containers.values().filter_map(|look| look.view.as_ref());
        Ok(views
            .filter(|view| view.label(label::NAMESPACE) == namespace)
            .cloned()
            .collect())
    }

    /// The agent of a namespace, while it runs.
    #[must_use]
    pub fn agent(&self, namespace: &str) -> Option<ContainerId> {
        let seen = self.lock();
        let mut views = seen.containers.values().filter_map(|look| look.view.as_ref());
        let agent = |view: &&ContainerView| {
            is_agent(view) && namespace_of(view) == namespace && view.state == RunState::Running
        };
        views.find(agent).map(|view| view.id.clone())
    }

    /// All agents of ours.
    ///
    /// # Errors
    /// [`Away`] while the engine is.
    pub fn agents(&self) -> Result<Vec<SeenAgent>, Away> {
        let seen = self.lock();
        if let Some(away) = &seen.away {
            return Err(away.clone());
        }
        let views = seen.containers.values().filter_map(|look| look.view.as_ref());
        let agent = |view: &ContainerView| SeenAgent {
            namespace: namespace_of(view).to_owned(),
            version: view.label(label::AGENT).to_owned(),
            runs: view.state == RunState::Running,
        };
        Ok(views.filter(|view| is_agent(view)).map(agent).collect())
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
            .filter_map(|look| look.view.as_ref())
            .filter(|view| !is_agent(view) && !is_holder(view))
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
        self.look(id, None).await
    }

    async fn look(&self, id: &ContainerId, trace: Option<String>) -> engine::Result<()> {
        let ticket = self.ticket.fetch_add(1, Ordering::SeqCst);
        let view = match self.engine.inspect_container(id.as_str()).await {
            Ok(view) => Some(view),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        let look = Look { ticket, view, trace };
        self.remember(id, look);
        Ok(())
    }

    /// Stores a look, and wakes the owners if it changed anything.
    fn remember(&self, id: &ContainerId, mut look: Look) {
        look.view = look
            .view
            .filter(|v| v.label(label::INSTANCE) == self.filter.value);
        let mut owners = Vec::new();
        let mut agent_of = None;
        {
            let mut seen = self.lock();
            let before = seen.containers.get(id);
            if before.is_some_and(|earlier| earlier.ticket > look.ticket) {
                return;
            }
            let before = before.and_then(|earlier| earlier.view.clone());
            if before != look.view {
                agent_of = before
                    .iter()
                    .chain(&look.view)
                    .find(|v| is_agent(v))
                    .map(|v| namespace_of(v).to_owned());
                owners.extend(before.as_ref().and_then(|v| Subject::of(&v.labels)));
                owners.extend(look.view.as_ref().and_then(|v| Subject::of(&v.labels)));
            }
            seen.containers.insert(id.clone(), look);
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
        let now = || (self.clock.now(), tokio::time::Instant::now());
        let (since, began) = seen
            .away
            .as_ref()
            .map_or_else(now, |away| (away.since, away.began));
        let first = seen.away.is_none();
        seen.away = Some(Away {
            since,
            began,
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
        self.list(true).await?;
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut lists = 0_u32;
        let back = self.lock().away.take().is_some();
        self.connected.send_replace(true);
        if back {
            tracing::info!("the Docker Engine answers");
            (self.wake)(WakeUp::All);
        }
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        let mut relist = tokio::time::interval_at(tokio::time::Instant::now() + RELIST, RELIST);
        // Side by side: the engine answers about a container that is being started when it has started, and nobody else
        // is to be looked at late for that.
        let mut looks = Looks::default();
        let look = |id: ContainerId| async move {
            let result = self.refresh(&id).await;
            (id, result)
        };
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if let Some(id) = self.to_look_at(event) {
                            looks.want(id, look);
                        }
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Err(ended()),
                },
                result = looks.next(look) => result?,
                _ = ping.tick() => self.engine.ping().await?,
                _ = relist.tick() => {
                    lists = lists.wrapping_add(1);
                    self.list(lists.is_multiple_of(FULL)).await?;
                }
            }
        }
    }

    /// The container that an event makes us look at.
    fn to_look_at(&self, event: Event) -> Option<ContainerId> {
        let id = event.container?;
        let known = || {
            let seen = self.lock();
            seen.containers.get(&id).is_some_and(|look| look.view.is_some())
        };
        (event.action != "destroy" || known()).then_some(id)
    }

    /// Whether nothing has happened to a container since it was looked at, as far as a list shows.
    fn is_same(&self, one: &engine::Listed) -> bool {
        let seen = self.lock();
        let look = seen.containers.get(&one.id);
        look.is_some_and(|look| look.view.is_some() && look.trace.as_ref() == Some(&one.trace))
    }

    /// Lists, looks at what has changed since the last list (or at everything), and forgets what is gone.
    async fn list(&self, everything: bool) -> engine::Result<()> {
        let ticket = self.ticket.fetch_add(1, Ordering::SeqCst);
        let listed = self.engine.list_containers(&self.filter).await?;
        let changed: Vec<&engine::Listed> = listed
            .iter()
            .filter(|one| everything || !self.is_same(one))
            .collect();
        for some in changed.chunks(INSPECTS) {
            let mut looks = FuturesUnordered::new();
            for one in some {
                looks.push(self.look(&one.id, Some(one.trace.clone())));
            }
            while let Some(look) = looks.next().await {
                look?;
            }
        }
        let gone: Vec<ContainerId> = self
            .lock()
            .containers
            .keys()
            .filter(|id| listed.iter().all(|one| one.id != **id))
            .cloned()
            .collect();
        for id in gone {
            let nothing = Look {
                ticket,
                view: None,
                trace: None,
            };
            self.remember(&id, nothing);
        }
        // Those that are gone were kept so that a late look could not bring them back; one list later none can.
        self.lock()
            .containers
            .retain(|_, look| look.view.is_some() || look.ticket >= ticket);
        Ok(())
    }
}
