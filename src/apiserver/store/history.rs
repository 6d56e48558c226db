//! How long what happened is remembered. Owns the log in order of revisions and the decision how much of it goes;
//! knows nothing of who reads it. Used by `state`, and by the writer, which asks before it commits.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::record::Event;

/// How far back a watch may begin and a list may look. An event goes when it is beyond `bytes`, or when it is both older
/// than `age` and beyond `events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// As many are kept however old they are: clients of a quiet server come back without listing anew.
    pub events: usize,
    /// As young ones are kept however many they are: a burst must not cut off a client that reads a long list.
    pub age: Duration,
    /// What the history may weigh in memory beside the objects; raised to the weight of the objects when they weigh
    /// more, so that the history of a big store is not shorter than that of a small one.
    pub bytes: usize,
}

impl Default for Window {
    /// 10,000 events and 10 minutes (a Kubernetes API server compacts after 5), in 12 MiB: with the program
    /// itself and 1,000 objects that stays below 40 MB.
    fn default() -> Self {
        Self {
            events: 10_000,
            age: Duration::from_secs(600),
            bytes: 12 << 20,
        }
    }
}

/// An event and when it was written.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) event: Arc<Event>,
}

impl Logged {
    /// What only the history keeps in memory: the version before, and the event with its places in the logs.
    fn weight(&self) -> usize {
        const OVERHEAD: usize = 256;
        OVERHEAD + self.event.previous.as_ref().map_or(0, |record| record.weight())
    }
}

/// Everything that is remembered, oldest first. Revisions have no gaps: every one has its event.
#[derive(Debug, Default)]
pub(super) struct History {
    log: VecDeque<Logged>,
    weight: usize,
}

impl History {
    pub(super) fn push(&mut self, logged: Logged) {
        self.weight += logged.weight();
        self.log.push_back(logged);
    }

    /// The first revision that is remembered.
    pub(super) fn first(&self) -> Option<u64> {
        self.log.front().map(|logged| logged.event.revision)
    }

    /// Removes the oldest event when it is not after `revision`.
    pub(super) fn pop_up_to(&mut self, revision: u64) -> Option<Arc<Event>> {
        self.first().filter(|first| *first <= revision)?;
        let logged = self.log.pop_front()?;
        self.weight -= logged.weight();
        Some(logged.event)
    }

    /// Up to which revision events go once `new` ones are added; 0 when none goes. New ones stay in any case.
    pub(super) fn surplus(&self, new: &[Logged], window: &Window, objects: usize, now: i64) -> u64 {
        let bytes = window.bytes.max(objects);
        let age = i64::try_from(window.age.as_millis()).unwrap_or(i64::MAX);
        let mut weight = self.weight + new.iter().map(Logged::weight).sum::<usize>();
        let mut count = self.log.len() + new.len();
        let mut up_to = 0;
        for logged in &self.log {
            let old = now.saturating_sub(logged.at) > age;
            if weight <= bytes && !(old && count > window.events) {
                break;
            }
            weight -= logged.weight();
            count -= 1;
            up_to = logged.event.revision;
        }
        up_to
    }
}
