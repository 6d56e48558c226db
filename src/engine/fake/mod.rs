//! A Docker engine in memory, for tests: same names, same refusals, same order of events as 20.10, held to it by the
//! contract suite. Owns the door (being away, hanging, counting) and the handle; the rules are in `world`, what a test
//! does by hand in `hands`, comparing in `snapshot`. Runs nothing, sleeps only in tokio's time, deterministic.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Error, Kind, Op, Result};
use crate::clock::Clock;

mod agent;
mod calls;
mod environment;
mod events;
mod files;
mod hands;
mod holder;
mod networks;
mod registry;
mod snapshot;
mod tamper;
mod world;

pub use holder::{Breakage, Delivered};
pub use snapshot::{ContainerSnapshot, Snapshot};
pub use tamper::Tamper;

use world::World;

/// A changing call that reached the engine, refused or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub op: Op,
    /// About what: a name where one was given, else an id.
    pub subject: String,
}

/// An engine in memory. Clones are handles to the same one.
#[derive(Clone)]
pub struct Fake {
    clock: Arc<dyn Clock>,
    world: Arc<Mutex<World>>,
    door: Arc<Mutex<Door>>,
    healths: agent::Healths,
    withdrawn: agent::Withdrawn,
}

#[derive(Default)]
struct Door {
    away: bool,
    hanging: bool,
    counts: BTreeMap<Op, usize>,
    changes: Vec<Call>,
}

impl Fake {
    /// An engine with nothing but the network `bridge`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            world: Arc::new(Mutex::new(World::new())),
            door: Arc::default(),
            healths: Arc::new(tokio::sync::watch::channel(BTreeMap::new()).0),
            withdrawn: Arc::default(),
        }
    }

    /// From now on every call is `Unreachable`, and open streams end.
    pub fn disconnect(&self) {
        self.door().away = true;
        let mut world = self.inside();
        world.events.clear();
        for (_, session) in world.sessions.drain(..) {
            session.abort();
        }
    }

    /// The engine answers again; what was in it is still there.
    pub fn reconnect(&self) {
        let mut door = self.door();
        door.away = false;
        door.hanging = false;
    }

    /// From now on no call is answered: each becomes `Unreachable` when its time is over, without effect.
    pub fn hang(&self) {
        self.door().hanging = true;
    }

    /// The changing calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.door().changes.clone()
    }

    /// How many calls of this kind were made so far.
    #[must_use]
    pub fn count(&self, op: Op) -> usize {
        self.door().counts.get(&op).copied().unwrap_or_default()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        let mut door = self.door();
        door.changes.clear();
        door.counts.clear();
    }

    /// Lets a call in, or not.
    async fn enter(&self, op: Op, subject: &str) -> Result<()> {
        let (away, hanging) = {
            let mut door = self.door();
            *door.counts.entry(op).or_default() += 1;
            if op.changes() {
                door.changes.push(Call {
                    op,
                    subject: subject.to_owned(),
                });
            }
            (door.away, door.hanging)
        };
        if away {
            return Err(Error::new(
                op,
                subject,
                Kind::Unreachable,
                "fake: connection refused",
            ));
        }
        if hanging {
            let seconds = if op.changes() { 30 } else { 10 };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let message = format!("fake: no answer to {op} within {seconds} s");
            return Err(Error::new(op, subject, Kind::Unreachable, message));
        }
        Ok(())
    }

    fn inside(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = self.clock.now();
        world
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
