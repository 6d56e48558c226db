//! Calls that take long and must delay nobody: pulls and stops. They are begun here, run on their own, and wake their
//! owner when they end; a second request for the same one joins it. What they left behind is read by the next
//! reconcile. Nothing here survives the process, and nothing has to: the engine goes on stopping and pulling alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{clock::Clock, engine, plan::Pull, state::owner::Owner};

/// Called when something that an owner waits for has ended.
pub type Wake = Arc<dyn Fn(&Owner) + Send + Sync>;

const FIRST_RETRY: Duration = Duration::from_secs(10);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
enum Progress {
    Running,
    Done,
    Failed {
        error: engine::Error,
        failures: u32,
        again_at: Instant,
    },
}

/// What of an ended call the next reconcile must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remember {
    /// That it ended well, too: nothing in the engine shows it.
    Outcome,
    /// Only a failure: the engine shows the rest.
    Failure,
}

/// Calls under way or ended, by a key that says what and for whom.
pub struct Watched {
    calls: Mutex<BTreeMap<String, Progress>>,
    clock: Arc<dyn Clock>,
    wake: Wake,
}

impl Watched {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            clock,
            wake,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Progress>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call unless one with this key is under way; answers whether it did.
    pub fn begin<F>(self: &Arc<Self>, key: String, owner: Owner, remember: Remember, call: F) -> bool
    where
        F: Future<Output = engine::Result<()>> + Send + 'static,
    {
        let failures = {
            let mut calls = self.lock();
            let failures = match calls.get(&key) {
                Some(Progress::Running) => return false,
                Some(Progress::Failed { failures, .. }) => *failures,
                Some(Progress::Done) | None => 0,
            };
            calls.insert(key.clone(), Progress::Running);
            failures
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let progress = match call.await {
                Ok(()) if remember == Remember::Failure => {
                    this.lock().remove(&key);
                    return (this.wake)(&owner);
                }
                Ok(()) => Progress::Done,
                Err(error) => {
                    let delay = FIRST_RETRY
                        .saturating_mul(1 << failures.min(16))
                        .min(LONGEST_RETRY);
                    let again_at = Instant::now() + delay;
                    Progress::Failed {
                        error,
                        failures: failures.saturating_add(1),
                        again_at,
                    }
                }
            };
            this.lock().insert(key, progress);
            (this.wake)(&owner);
        });
        true
    }

    /// How far a pull is, and why its last try failed.
    #[must_use]
    pub fn pull(&self, key: &str) -> (Pull, Option<engine::Error>) {
        match self.lock().get(key) {
            None => (Pull::NotAsked, None),
            Some(Progress::Running) => (Pull::Running, None),
            Some(Progress::Done) => (Pull::Done, None),
            Some(Progress::Failed { error, again_at, .. }) => {
                let wait = again_at.saturating_duration_since(Instant::now());
                let until = self.clock.now() + SignedDuration::try_from(wait).unwrap_or_default();
                (Pull::Failed(until), Some(error.clone()))
            }
        }
    }

    /// Takes the error of a call that failed, so that it is reported once.
    pub fn take_failure(&self, key: &str) -> Option<engine::Error> {
        let mut calls = self.lock();
        let Some(Progress::Failed { error, .. }) = calls.get(key).cloned() else {
            return None;
        };
        calls.remove(key);
        Some(error)
    }

    /// Forgets an ended call: the next one begins from nothing.
    pub fn forget(&self, key: &str) {
        let mut calls = self.lock();
        if !matches!(calls.get(key), Some(Progress::Running)) {
            calls.remove(key);
        }
    }

    /// Forgets all ended calls of one owner, whose uid begins their keys.
    pub fn forget_owner(&self, uid: &str) {
        let prefix = format!("{uid} ");
        self.lock()
            .retain(|key, progress| matches!(progress, Progress::Running) || !key.starts_with(&prefix));
    }

    /// The keys of this owner's calls that are under way.
    #[must_use]
    pub fn under_way(&self, uid: &str) -> Vec<String> {
        let prefix = format!("{uid} ");
        let calls = self.lock();
        let running = calls.iter().filter(|(_, p)| matches!(p, Progress::Running));
        running
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// How many are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.lock()
            .values()
            .filter(|p| matches!(p, Progress::Running))
            .count()
    }
}
