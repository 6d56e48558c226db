//! Moments of other clocks and of earlier times, as the clock shows them now: that of the engine may be ahead, and any
//! clock may be set. What a moment's age was at the first look is carried on by a stopwatch, so that a pause or a deadline
//! takes as long as it takes. Owns no decision and no clock. Called by [`super::deployment`] before each plan.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::state::observed::Observed;

/// Clocks drift and are read one after the other: up to this a moment stays as it was written.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);
const DEADLINE: &str = "deadline";

/// One moment: as it was written, how old it was at the first look and when that was, and how far it is moved.
#[derive(Debug, Clone, Copy)]
struct Moment {
    written: Timestamp,
    age: SignedDuration,
    looked: Instant,
    moved: SignedDuration,
}

type Known = BTreeMap<String, Moment>;

/// See the file's header. By the uid of an object, and what it is the moment of.
#[derive(Default)]
pub struct Moments(Mutex<BTreeMap<String, Known>>);

impl Moments {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When runs ended and containers got ready. What is yet to come counts from the first look.
    pub fn correct(&self, uid: &str, observed: &mut Observed, now: Timestamp) {
        let mut all = self.lock();
        let known = all.entry(uid.to_owned()).or_default();
        let mut past = |what: String, written: Timestamp| {
            let age = now.duration_since(written).max(SignedDuration::ZERO);
            on_our_clock(known, what, written, age, now)
        };
        for replica in &mut observed.replicas {
            let (id, started_at) = (&replica.view.id, replica.view.started_at);
            if let Some(exit) = &mut replica.view.exit {
                exit.finished_at = past(format!("end {id}"), exit.finished_at);
            }
            if let Some(since) = &mut replica.health.ready_since {
                // A clock that the agent reads may be behind the engine's.
                *since = past(
                    format!("ready {id}"),
                    started_at.map_or(*since, |at| at.max(*since)),
                );
            }
        }
        let is_there = |what: &str| {
            observed
                .replicas
                .iter()
                .any(|r| what.ends_with(r.view.id.as_str()))
        };
        known.retain(|what, _| what == DEADLINE || is_there(what));
    }

    /// When a deadline passes.
    #[must_use]
    pub fn deadline(&self, uid: &str, written: Timestamp, now: Timestamp) -> Timestamp {
        let mut all = self.lock();
        let known = all.entry(uid.to_owned()).or_default();
        on_our_clock(
            known,
            DEADLINE.to_owned(),
            written,
            now.duration_since(written),
            now,
        )
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// The same at every look, unless a clock was set.
fn on_our_clock(
    known: &mut Known,
    what: String,
    written: Timestamp,
    age: SignedDuration,
    now: Timestamp,
) -> Timestamp {
    let new = Moment {
        written,
        age,
        looked: Instant::now(),
        moved: SignedDuration::ZERO,
    };
    let moment = known.entry(what).or_insert(new);
    if moment.written != written {
        *moment = new;
    }
    let elapsed = SignedDuration::try_from(moment.looked.elapsed()).unwrap_or(SignedDuration::MAX);
    let ours = now - moment.age.saturating_add(elapsed);
    if ours.duration_since(written + moment.moved).abs() > TOLERANCE {
        moment.moved = ours.duration_since(written);
    }
    written + moment.moved
}
