//! Following what happens to one resource. Owns a reader's position in the history and its waiting; copies nothing and
//! holds nobody up: a slow reader falls out of the history and is told so.
//! Made by `Store::watch`, drawn from by the watches of `verbs` and by `loops`.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};

use super::{Event, RevisionError, Shared};
use crate::apiserver::names::GroupResource;

/// Follows what happens to the objects of one resource, from a revision on. Pulls: a slow reader holds nobody up,
/// it falls out of the history window and is told so.
pub struct Watch {
    pub(super) shared: Arc<Shared>,
    pub(super) of: GroupResource,
    pub(super) namespace: Option<Arc<str>>,
    /// Everything up to this revision was shown, or is nothing to show.
    pub(super) position: u64,
    pub(super) wake: watch::Receiver<()>,
}

/// What a watch has next.
#[derive(Debug)]
pub enum Next {
    /// Something happened.
    Event(Arc<Event>),
    /// Nothing up to this revision: a bookmark may say it. Returned when `patience` ran out.
    Quiet(u64),
    /// The reader is slower than the history window is long.
    Expired(RevisionError),
    /// The store closes.
    Closed,
}

impl Watch {
    /// The next event in order of revisions, or [`Next::Quiet`] after `patience`. Dropping the future loses nothing.
    pub async fn next(&mut self, patience: Duration) -> Next {
        let end = time::Instant::now() + patience;
        loop {
            // Before looking: what happens from here on ends the wait.
            self.wake.mark_unchanged();
            if let Some(next) = self.try_next() {
                return next;
            }
            match time::timeout_at(end, self.wake.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Next::Closed,
                Err(_) => return self.try_next().unwrap_or(Next::Quiet(self.position)),
            }
        }
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Next> {
        let (found, current, open) = self.shared.read(|state| {
            let found = state.next_event(&self.of, self.namespace.as_deref(), self.position);
            (found, state.revision, state.open)
        });
        match found {
            Ok(Some(event)) => {
                self.position = event.revision;
                Some(Next::Event(event))
            }
            Ok(None) => {
                self.position = current;
                (!open).then_some(Next::Closed)
            }
            Err(expired) => Some(Next::Expired(expired)),
        }
    }
}
