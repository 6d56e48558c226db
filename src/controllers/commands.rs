//! Probes that are commands inside a container: nobody but the engine can run them, so the operator asks them itself, one
//! at a time per container and not many at once. Counts answers as the agent does ([`crate::agent::ladder`]); an engine that
//! does not answer has said neither yes nor no. What is kept here is kept for speed: the status remembers who was ready.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Semaphore, task::AbortHandle, time::Instant};

use super::host::{Host, Subject, WakeUp};
use crate::{
    agent::ladder::{Ladder, Met},
    clock::Clock,
    engine::{Engine, Kind},
    state::{
        container::{ContainerId, RunState},
        observed::{Known, Observed, Replica},
        probe::{Check, Probe, Probes, Role},
    },
    telemetry::metrics::Metrics,
};

/// How many commands run at once on one host: each costs it some 60 ms of CPU.
const AT_ONCE: usize = 4;
/// How long to wait before an engine that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// One run of a container that is asked.
struct Asked {
    of: Subject,
    started_at: Timestamp,
    ladder: Arc<Mutex<Ladder>>,
    task: AbortHandle,
}

/// See the file's header.
pub struct Commands<E> {
    host: Arc<Host<E>>,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Fn(WakeUp) + Send + Sync>,
    metrics: Metrics,
    turns: Arc<Semaphore>,
    asked: Mutex<BTreeMap<ContainerId, Asked>>,
}

/// The probes of a container that are commands; the two others only once it has started, whoever says so.
fn commands(replica: &Replica) -> Probes {
    let is_command = |probe: &&Probe| matches!(probe.check, Check::Exec { .. });
    let probes = &replica.probes;
    let command = |role| probes.get(role).filter(is_command).cloned();
    let startup = command(Role::Startup);
    let begun = startup.is_some() || replica.health.started;
    Probes {
        readiness: command(Role::Readiness).filter(|_| begun),
        liveness: command(Role::Liveness).filter(|_| begun),
        startup,
        grace_seconds: BTreeMap::new(),
    }
}

/// Whether any probe of a container is a command.
fn has_commands(replica: &Replica) -> bool {
    let is_command =
        |role: &Role| matches!(replica.probes.get(*role), Some(p) if matches!(p.check, Check::Exec { .. }));
    Role::ALL.iter().any(is_command)
}

impl<E: Engine> Commands<E> {
    /// None yet.
    #[must_use]
    pub fn new(
        host: Arc<Host<E>>,
        clock: Arc<dyn Clock>,
        wake: Arc<dyn Fn(WakeUp) + Send + Sync>,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            clock,
            wake,
            metrics,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the deployment's containers are asked, and no others; answers what is known of those that have
    /// commands.
    pub fn watch(self: &Arc<Self>, of: &Subject, observed: &Observed) -> BTreeMap<ContainerId, Known> {
        let mut asked = self.asked();
        let runs = |id: &ContainerId, started_at: Timestamp| {
            let same = |r: &&Replica| r.view.id == *id && r.view.started_at == Some(started_at);
            observed
                .replicas
                .iter()
                .find(same)
                .is_some_and(|r| r.view.state == RunState::Running)
        };
        asked.retain(|id, one| {
            let keep = one.of != *of || runs(id, one.started_at);
            if !keep {
                one.task.abort();
            }
            keep
        });
        let mut known = BTreeMap::new();
        for replica in observed.replicas.iter().filter(|r| has_commands(r)) {
            let Some(started_at) = replica
                .view
                .started_at
                .filter(|_| replica.view.state == RunState::Running)
            else {
                continue;
            };
            let id = &replica.view.id;
            let probes = commands(replica);
            let before = asked
                .get(id)
                .map(|one| one.ladder.lock().unwrap_or_else(PoisonError::into_inner).clone());
            if before.as_ref().is_none_or(|ladder| *ladder.probes() != probes) {
                let met = self.met(started_at);
                let ladder = match &before {
                    Some(ladder) => ladder.with(probes, started_at, met),
                    None => Ladder::new(probes, started_at, &replica.health, met),
                };
                let one = self.begin(of, replica, started_at, (ladder, met.age));
                if let Some(old) = asked.insert(id.clone(), one) {
                    old.task.abort();
                }
            }
            if let Some(one) = asked.get(id) {
                let ladder = one.ladder.lock().unwrap_or_else(PoisonError::into_inner);
                let mut health = ladder.health().clone();
                // What is held back has not said yes.
                let waits = |role| replica.probes.get(role).is_some() && ladder.probes().get(role).is_none();
                let held = matches!(replica.probes.get(Role::Readiness), Some(p) if matches!(p.check, Check::Exec { .. }));
                health.ready &= !(held && waits(Role::Readiness));
                known.insert(id.clone(), Known { started_at, health });
            }
        }
        known
    }

    /// Forgets a deployment.
    pub fn forget(&self, of: &Subject) {
        self.asked().retain(|_, one| {
            if one.of == *of {
                one.task.abort();
            }
            one.of != *of
        });
    }

    fn met(&self, started_at: Timestamp) -> Met {
        let age = self.clock.now().duration_since(started_at);
        Met {
            // The engine's clock may be ahead of ours.
            age: Duration::try_from(age).unwrap_or_default(),
            phase: 0,
        }
    }

    fn begin(
        self: &Arc<Self>,
        of: &Subject,
        replica: &Replica,
        started_at: Timestamp,
        (ladder, age): (Ladder, Duration),
    ) -> Asked {
        let ladder = Arc::new(Mutex::new(ladder));
        let task = tokio::spawn(Arc::clone(self).ask(
            of.clone(),
            replica.view.id.clone(),
            Arc::clone(&ladder),
            // The moment at which the run began, on a clock that does not jump.
            Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
        ));
        Asked {
            of: of.clone(),
            started_at,
            ladder,
            task: task.abort_handle(),
        }
    }

    /// Asks one container until there is nothing more to ask it.
    async fn ask(self: Arc<Self>, of: Subject, id: ContainerId, ladder: Arc<Mutex<Ladder>>, began: Instant) {
        loop {
            let next = next(&ladder.lock().unwrap_or_else(PoisonError::into_inner));
            let Some((role, due, probe)) = next else { return };
            tokio::time::sleep_until(began + due).await;
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
                return;
            };
            let asked = began.elapsed();
            let answer = self.put(&id, &probe).await;
            drop(turn);
            let Some(answer) = answer else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let now = self.clock.now();
            let (news, changes) = {
                let mut ladder = ladder.lock().unwrap_or_else(PoisonError::into_inner);
                let before = ladder.health().clone();
                let news = ladder.told(role, asked, answer, now);
                (news, before.changes_to(ladder.health()))
            };
            for (role, well) in changes {
                self.metrics.probe_result(role.as_str(), well);
            }
            if news {
                (self.wake)(WakeUp::One(of.clone()));
            }
        }
    }

    /// Puts one question; none where the engine did not answer.
    async fn put(&self, id: &ContainerId, probe: &Probe) -> Option<Result<(), String>> {
        let Check::Exec { command } = &probe.check else {
            return None;
        };
        let patience = Duration::from_secs(probe.timeout_seconds.max(1).into());
        let engine = self.host.engine();
        match tokio::time::timeout(patience, engine.run_command(id, command)).await {
            Ok(Ok(0)) => Some(Ok(())),
            Ok(Ok(code)) => Some(Err(format!("the command ended with exit code {code}"))),
            Ok(Err(error)) if matches!(error.kind, Kind::Unreachable | Kind::Conflict | Kind::NotFound) => {
                None
            }
            Ok(Err(error)) => Some(Err(format!("the command could not be run: {error}"))),
            Err(_) => Some(Err(format!(
                "the command took longer than {} s",
                patience.as_secs()
            ))),
        }
    }
}

/// What to ask next, and at what age of the run.
fn next(ladder: &Ladder) -> Option<(Role, Duration, Probe)> {
    let due = |role: Role| Some((role, ladder.due(role)?, ladder.probes().get(role)?.clone()));
    Role::ALL
        .into_iter()
        .filter_map(due)
        .min_by_key(|(_, due, _)| *due)
}
