//! The operator's side of the agents: what each namespace's agent is to know, whether it knows it, and what it has found
//! about its members. One session for each namespace, opened when a deployment there has something to say and opened
//! again for as long as it has; everything is said anew in each. Decides nothing: `plan` says who is to be named, and what
//! follows from what was found. What is kept here is kept for speed; an agent and the statuses hold the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    host::{Host, Subject, WakeUp},
    session,
};
use crate::{
    agent::protocol::{Member, Order, Word},
    clock::Clock,
    engine::Engine,
    state::{
        container::ContainerId,
        observed::Known,
        probe::{Health, Role},
    },
    telemetry::metrics::Metrics,
};

/// How long to wait before a session that broke is opened again.
const AGAIN: Duration = Duration::from_millis(500);

/// What one deployment has to say, and what has come back.
#[derive(Debug, Default)]
struct Roster {
    members: Vec<Member>,
    sequence: u64,
    /// Containers that no name leads to any more, and since when.
    out: BTreeMap<ContainerId, Instant>,
    known: BTreeMap<ContainerId, Known>,
}

/// One namespace.
struct Line {
    rosters: BTreeMap<String, Roster>,
    /// Counts changes, so that a session sees them.
    changes: watch::Sender<u64>,
}

/// See the file's header.
pub struct Agents<E> {
    host: Arc<Host<E>>,
    clock: Arc<dyn Clock>,
    wake: Box<dyn Fn(WakeUp) + Send + Sync>,
    lines: Mutex<BTreeMap<String, Line>>,
    /// Namespaces that need a session, on their way to whoever opens them.
    wanted: mpsc::UnboundedSender<String>,
    asked: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
    metrics: Metrics,
    /// How many sessions have been greeted and are open.
    connected: AtomicI64,
}

/// A session that has been greeted, for as long as it is held.
pub(super) struct Connected<'a>(&'a AtomicI64);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<E: Engine> Agents<E> {
    /// None yet.
    #[must_use]
    pub fn new(
        host: Arc<Host<E>>,
        clock: Arc<dyn Clock>,
        wake: Box<dyn Fn(WakeUp) + Send + Sync>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (wanted, asked) = mpsc::unbounded_channel();
        Arc::new(Self {
            host,
            clock,
            wake,
            lines: Mutex::default(),
            wanted,
            asked: Mutex::new(Some(asked)),
            metrics,
            connected: AtomicI64::new(0),
        })
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In how many namespaces somebody has something to say to an agent.
    #[must_use]
    pub fn expected(&self) -> i64 {
        let lines = self.lines();
        let spoken = lines.values().filter(|line| !line.rosters.is_empty());
        i64::try_from(spoken.count()).unwrap_or(i64::MAX)
    }

    /// To how many agents a session is open.
    #[must_use]
    pub fn connected(&self) -> i64 {
        self.connected.load(Ordering::SeqCst)
    }

    /// A session has been greeted.
    pub(super) fn greeted(&self) -> Connected<'_> {
        self.connected.fetch_add(1, Ordering::SeqCst);
        Connected(&self.connected)
    }

    /// Says what the agent of a namespace is to know about a deployment. Saying the same again does nothing.
    pub fn publish(&self, of: &Subject, members: Vec<Member>) {
        let mut lines = self.lines();
        let line = lines.entry(of.namespace.clone()).or_insert_with(|| {
            // Nobody is there to open a session while the operator is not running; then nothing is published either.
            let _ = self.wanted.send(of.namespace.clone());
            Line {
                rosters: BTreeMap::new(),
                changes: watch::channel(0).0,
            }
        });
        let new = !line.rosters.contains_key(&of.name);
        let roster = line.rosters.entry(of.name.clone()).or_default();
        let changed = new || !is_same(&roster.members, &members);
        let serving: BTreeSet<&ContainerId> = members
            .iter()
            .filter(|m| m.serving)
            .map(|m| &m.container)
            .collect();
        let gone = |id: &ContainerId| serving.contains(id) || members.iter().all(|m| m.container != *id);
        roster.out.retain(|id, _| !gone(id));
        roster
            .known
            .retain(|id, _| members.iter().any(|m| m.container == *id));
        roster.members = members;
        if changed {
            roster.sequence += 1;
            line.changes.send_modify(|n| *n += 1);
        }
    }

    /// Forgets a deployment: its name is nobody's from now on.
    pub fn forget(&self, of: &Subject) {
        let mut lines = self.lines();
        let Some(line) = lines.get_mut(&of.namespace) else {
            return;
        };
        if line.rosters.remove(&of.name).is_some() {
            line.changes.send_modify(|n| *n += 1);
        }
    }

    /// What is known about the containers of a deployment.
    #[must_use]
    pub fn known(&self, of: &Subject) -> BTreeMap<ContainerId, Known> {
        self.roster(of, |roster| roster.known.clone())
    }

    /// Which of its containers no name leads to any more, and since when.
    #[must_use]
    pub fn out_of_service(&self, of: &Subject) -> BTreeMap<ContainerId, Timestamp> {
        let now = self.clock.now();
        let at = |since: &Instant| now - SignedDuration::try_from(since.elapsed()).unwrap_or_default();
        self.roster(of, |roster| {
            roster
                .out
                .iter()
                .map(|(id, since)| (id.clone(), at(since)))
                .collect()
        })
    }

    fn roster<T: Default>(&self, of: &Subject, read: impl FnOnce(&Roster) -> T) -> T {
        let lines = self.lines();
        let roster = lines
            .get(&of.namespace)
            .and_then(|line| line.rosters.get(&of.name));
        roster.map(read).unwrap_or_default()
    }

    /// Keeps the sessions until `stop` says so.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut asked) = asked else { return };
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                Some(namespace) = asked.recv() => {
                    sessions.spawn(Arc::clone(&self).keep(namespace));
                }
                Some(_) = sessions.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Opens one session after the other, until nobody in the namespace has anything to say.
    async fn keep(self: Arc<Self>, namespace: String) {
        let mut agents = self.host.agent_changes();
        while !self.is_over(&namespace) {
            agents.mark_unchanged();
            let Some(agent) = self.host.agent(&namespace) else {
                // It wakes us when it runs; the pause is for the end of the namespace, which nobody announces.
                tokio::select! {
                    _ = agents.changed() => {}
                    () = tokio::time::sleep(10 * AGAIN) => {}
                }
                continue;
            };
            let outcome = match session::open(&self, &namespace, &agent).await {
                Ok(()) => "ok",
                Err(error) => {
                    tracing::debug!(namespace, %error, "the session with the agent ended");
                    error.as_str()
                }
            };
            self.metrics.agent_session(outcome);
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether nobody has anything to say there any more; then it is forgotten.
    fn is_over(&self, namespace: &str) -> bool {
        let mut lines = self.lines();
        let over = lines.get(namespace).is_none_or(|line| line.rosters.is_empty());
        if over {
            lines.remove(namespace);
        }
        over
    }

    /// The engine that the agents run on.
    pub(super) fn engine(&self) -> &E {
        self.host.engine()
    }

    /// Tells of changes in what is to be said.
    pub(super) fn changes(&self, namespace: &str) -> Option<watch::Receiver<u64>> {
        self.lines().get(namespace).map(|line| line.changes.subscribe())
    }

    /// What must be said to an agent that has been told `said`: the numbers of the orders by deployment.
    pub(super) fn orders(&self, namespace: &str, said: &mut BTreeMap<String, u64>) -> Vec<Order> {
        let lines = self.lines();
        let Some(line) = lines.get(namespace) else {
            return Vec::new();
        };
        let all: BTreeSet<String> = line.rosters.keys().cloned().collect();
        let mut orders = Vec::new();
        if said.is_empty() || said.keys().any(|name| !all.contains(name)) {
            said.retain(|name, _| all.contains(name));
            orders.push(Order::Only { deployments: all });
        }
        for (name, roster) in &line.rosters {
            if said.get(name) == Some(&roster.sequence) {
                continue;
            }
            said.insert(name.clone(), roster.sequence);
            orders.push(Order::Set {
                deployment: name.clone(),
                sequence: roster.sequence,
                members: roster.members.clone(),
            });
        }
        orders
    }

    /// Takes in what an agent says.
    pub(super) fn hear(&self, namespace: &str, word: Word) {
        let deployment = match &word {
            Word::Applied { deployment, .. } | Word::Health { deployment, .. } => deployment.clone(),
            Word::Refused { message } => {
                tracing::warn!(namespace, message, "the agent did not understand an order");
                return;
            }
            Word::Hello { .. } => return,
        };
        let (news, changes) = {
            let mut lines = self.lines();
            let roster = lines
                .get_mut(namespace)
                .and_then(|line| line.rosters.get_mut(&deployment));
            roster.map_or_else(Default::default, |roster| roster.hear(word))
        };
        for (role, well) in changes {
            self.metrics.probe_result(role.as_str(), well);
        }
        if news {
            (self.wake)(WakeUp::One(Subject {
                namespace: namespace.to_owned(),
                name: deployment,
            }));
        }
    }
}

impl Roster {
    /// Takes in a word; answers whether anybody has waited for it, and what probes say otherwise than before.
    fn hear(&mut self, word: Word) -> (bool, Vec<(Role, bool)>) {
        match word {
            Word::Applied { sequence, .. } if sequence == self.sequence => {
                let before = self.out.len();
                for member in self.members.iter().filter(|m| !m.serving) {
                    self.out
                        .entry(member.container.clone())
                        .or_insert_with(Instant::now);
                }
                (self.out.len() > before, Vec::new())
            }
            Word::Health {
                container,
                started_at,
                health,
                ..
            } => {
                let ours = |m: &&mut Member| m.container == container && m.started_at == started_at;
                let Some(member) = self.members.iter_mut().find(ours) else {
                    return (false, Vec::new());
                };
                let before: Health = std::mem::replace(&mut member.known, health.clone());
                let changes = before.changes_to(&health);
                let known = Known { started_at, health };
                let news = self.known.get(&container) != Some(&known);
                self.known.insert(container, known);
                (news, changes)
            }
            Word::Applied { .. } | Word::Hello { .. } | Word::Refused { .. } => (false, Vec::new()),
        }
    }
}

/// Whether two rosters say the same, apart from what was known before: that is for an agent that knows nothing yet.
fn is_same(before: &[Member], now: &[Member]) -> bool {
    before.len() == now.len()
        && before.iter().zip(now).all(|(before, now)| {
            let known = before.known.clone();
            *before == Member { known, ..now.clone() }
        })
}
