//! Follows the objects of some resources: first what is there, then what happens, and a new list after the history
//! was lost. Owns the tasks that do it. Interprets nothing. Used by every loop of this room.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::AbortHandle};

use crate::apiserver::{
    names::GroupResource,
    store::{Event, Next, Range, Record, Store},
};

/// A watch without news wakes up this often; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How many news wait for a loop that is busy, per feed. A loop that is slower falls back to a list.
const BACKLOG: usize = 256;

/// What a feed tells.
#[derive(Debug)]
pub(super) enum News {
    /// All there is of a resource: at the start, and when the history was lost.
    Listed(GroupResource, Vec<Arc<Record>>),
    /// One change.
    Changed(Arc<Event>),
}

/// Follows a set of resources that may grow.
pub(super) struct Feed {
    store: Store,
    followed: BTreeMap<GroupResource, AbortHandle>,
    into: mpsc::Sender<News>,
    from: mpsc::Receiver<News>,
}

impl Feed {
    /// Follows nothing yet.
    pub(super) fn new(store: Store) -> Self {
        let (into, from) = mpsc::channel(BACKLOG);
        Self {
            store,
            followed: BTreeMap::new(),
            into,
            from,
        }
    }

    /// Follows `of` from now on, if it does not yet.
    pub(super) fn follow(&mut self, of: &GroupResource) {
        if !self.followed.contains_key(of) {
            let task = tokio::spawn(follow(self.store.clone(), of.clone(), self.into.clone()));
            self.followed.insert(of.clone(), task.abort_handle());
        }
    }

    /// The next news. Waits for ever when nothing happens.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.from.recv().await
    }

    /// News that are there already.
    pub(super) fn try_next(&mut self) -> Option<News> {
        self.from.try_recv().ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        for task in self.followed.values() {
            task.abort();
        }
    }
}

/// Ends when the store closes or the loop is gone.
async fn follow(store: Store, of: GroupResource, into: mpsc::Sender<News>) {
    loop {
        let all = Range {
            of: of.clone(),
            namespace: None,
            after: None,
        };
        // Without a revision there is nothing that could be too old.
        let Ok(page) = store.list(&all, None, 0) else {
            return;
        };
        let from = page.revision;
        if into.send(News::Listed(of.clone(), page.records)).await.is_err() {
            return;
        }
        let Ok(mut watch) = store.watch(&of, None, from) else {
            continue;
        };
        loop {
            match watch.next(PATIENCE).await {
                Next::Event(event) => {
                    if into.send(News::Changed(event)).await.is_err() {
                        return;
                    }
                }
                Next::Quiet(_) => {}
                Next::Expired(_) => break,
                Next::Closed => return,
            }
        }
    }
}
