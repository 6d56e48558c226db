//! The one place where objects are: a revision for everything, memory for reads, one file for what must survive.
//! Owns keys, revisions, the history window and durability; knows no kind, no verb and no JSON beyond `metadata`.
//! Writes to a file go through one thread that commits in groups; nothing is visible before it is durable.
//! Called by `verbs` and `loops`.

mod backend;
#[cfg(test)]
mod contract_tests;
mod desk;
mod disk;
#[cfg(test)]
mod disk_tests;
mod draft;
mod encoding;
#[cfg(test)]
mod fault_tests;
mod history;
#[cfg(test)]
mod history_tests;
mod options;
mod record;
#[cfg(test)]
mod sealing_tests;
mod state;
mod watching;
mod writer;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use self::{
    backend::{Backend, Memory},
    desk::Desk,
    disk::{Disk, open_database},
    draft::{Draft, Sealing},
    history::Logged,
    state::State,
    writer::{Expected, Write, Writer},
};
pub use self::{
    history::Window,
    options::{AtRest, OpenError, Options},
    record::{Event, Record},
    watching::{Next, Watch},
};
use super::names::{GroupResource, Key};

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A create found an object.
    #[error("an object is there already")]
    Exists(Arc<Record>),
    /// An update or deletion found another revision, or nothing.
    #[error("the object is not the one that was read")]
    Changed(Option<Arc<Record>>),
    /// Nothing was written: the disk takes no writes (full, failed). Reads go on.
    #[error("the store takes no writes: {0}")]
    Unavailable(String),
}

/// Which objects.
#[derive(Debug, Clone)]
pub struct Range {
    /// The resource under which they are stored.
    pub of: GroupResource,
    /// One namespace, or all.
    pub namespace: Option<Arc<str>>,
    /// Only what comes after this namespace and name.
    pub after: Option<(Arc<str>, Arc<str>)>,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// In order of namespace and name.
    pub records: Vec<Arc<Record>>,
    /// The revision at which this was the state.
    pub revision: u64,
    /// How many more there are after the last one.
    pub remaining: usize,
}

/// The revision asked for is no longer, or not yet, known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// Older than the history window, which begins at `oldest`.
    #[error("revision {asked} is older than the history, which begins at {oldest}")]
    Expired {
        /// What was asked for.
        asked: u64,
        /// The oldest that can be answered.
        oldest: u64,
    },
    /// Newer than everything that happened.
    #[error("revision {asked} is in the future, now is {current}")]
    Future {
        /// What was asked for.
        asked: u64,
        /// The newest there is.
        current: u64,
    },
}

/// The store. Cloning shares it. It closes with its last clone, or when it is told to.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    desk: Desk,
}

/// What readers and the writer share.
struct Shared {
    state: RwLock<State>,
    /// Why writes are refused.
    health: RwLock<Result<(), String>>,
    sealing: Sealing,
}

impl Store {
    /// A store that forgets everything when it closes. The same code as [`Store::open`], without the file and without the
    /// thread: a write is done by the task that asks, so that it never waits, and time that stands still in a test stands
    /// still meanwhile.
    #[must_use]
    pub fn in_memory(options: Options) -> Self {
        Self::inside(Memory::default(), options)
    }

    fn inside(memory: Memory, options: Options) -> Self {
        let (writer, shared) =
            Self::over(Box::new(memory), options).unwrap_or_else(|_| unreachable!("memory can be read"));
        Self {
            shared,
            desk: Desk::here(writer),
        }
    }

    /// Opens the store whose file is `path`, or makes it. Beside it there is a file to lock, `path` with `.lock`; both
    /// have mode 0600. Reads all objects: call it where blocking is allowed.
    ///
    /// # Errors
    /// It is in use by another process, was written by a newer program, or cannot be read.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let disk = Disk::open(path, Box::new(open_database))?;
        Self::behind_thread(Box::new(disk), options)
    }

    fn behind_thread(backend: Box<dyn Backend>, options: Options) -> Result<Self, OpenError> {
        let (writer, shared) = Self::over(backend, options)?;
        let desk = Desk::thread(writer)
            .map_err(|e| OpenError::Unreadable(format!("no thread for the writer: {e}")))?;
        Ok(Self { shared, desk })
    }

    fn over(mut backend: Box<dyn Backend>, options: Options) -> Result<(Writer, Arc<Shared>), OpenError> {
        let loaded = backend.load().map_err(OpenError::Unreadable)?;
        let shared = Arc::new(Shared {
            state: RwLock::new(State::new(loaded.revision, loaded.objects, loaded.events)),
            health: RwLock::new(Ok(())),
            sealing: Sealing {
                at_rest: options.at_rest,
                sealed: options.sealed,
            },
        });
        let writer = Writer {
            shared: shared.clone(),
            backend,
            window: options.window,
            clock: options.clock,
            metrics: options.metrics,
            doubt: None,
        };
        Ok((writer, shared))
    }

    /// The newest revision that is durable and visible. At least 2.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.read(|state| state.revision)
    }

    /// The newest version of one object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Record>> {
        self.shared.read(|state| state.get(key).cloned())
    }

    /// A page of at most `limit` (0: all) objects, now or as of revision `at`.
    ///
    /// # Errors
    /// `at` is too old or in the future.
    pub fn list(&self, range: &Range, at: Option<u64>, limit: usize) -> Result<Page, RevisionError> {
        self.shared.read(|state| state.list(range, at, limit))
    }

    /// Writes a new object. Its `metadata.resourceVersion` is set here. Returns when it is durable and visible; a caller
    /// that stops waiting may or may not have written.
    ///
    /// # Errors
    /// [`WriteError::Exists`], [`WriteError::Unavailable`].
    pub async fn create(&self, key: Key, object: Value) -> Result<Arc<Record>, WriteError> {
        let draft = self.draft(&key, object)?;
        self.write(key, Expected::Nothing, Some(draft)).await
    }

    /// Replaces the version `expected` of an object.
    ///
    /// # Errors
    /// [`WriteError::Changed`], [`WriteError::Unavailable`].
    pub async fn update(&self, key: Key, expected: u64, object: Value) -> Result<Arc<Record>, WriteError> {
        let draft = self.draft(&key, object)?;
        self.write(key, Expected::Revision(expected), Some(draft)).await
    }

    /// Removes the version `expected` of an object; returns its last state under the revision of the deletion.
    ///
    /// # Errors
    /// [`WriteError::Changed`], [`WriteError::Unavailable`].
    pub async fn delete(&self, key: Key, expected: u64) -> Result<Arc<Record>, WriteError> {
        self.write(key, Expected::Revision(expected), None).await
    }

    fn draft(&self, key: &Key, object: Value) -> Result<Draft, WriteError> {
        self.shared
            .sealing
            .draft(key, object)
            .map_err(WriteError::Unavailable)
    }

    async fn write(
        &self,
        key: Key,
        expected: Expected,
        draft: Option<Draft>,
    ) -> Result<Arc<Record>, WriteError> {
        if !encoding::is_storable(&key) {
            let why = "a key with a NUL character cannot be stored";
            return Err(WriteError::Unavailable(why.to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        let write = Write {
            key,
            expected,
            draft,
            answer,
        };
        // When the writer has ended, `answer` is dropped.
        self.desk.write(write);
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => Err(WriteError::Unavailable(
                self.writable()
                    .err()
                    .unwrap_or_else(|| "the store closes".to_owned()),
            )),
        }
    }

    /// Follows `of` (in one namespace, or all) from after revision `from`.
    ///
    /// # Errors
    /// `from` is too old or in the future.
    pub fn watch(
        &self,
        of: &GroupResource,
        namespace: Option<&str>,
        from: u64,
    ) -> Result<Watch, RevisionError> {
        let wake = self.shared.change(|state| {
            state.known(from)?;
            Ok(state.waiting_room(of))
        })?;
        Ok(Watch {
            shared: self.shared.clone(),
            of: of.clone(),
            namespace: namespace.map(Into::into),
            position: from,
            wake,
        })
    }

    /// The object of a record, opened when it is sealed.
    ///
    /// # Errors
    /// One sentence: the key of a sealed object is missing.
    pub fn object(&self, record: &Record) -> Result<Value, String> {
        let json = self.json(record)?;
        // The parser's own words could quote a Secret.
        serde_json::from_slice(&json).map_err(|_| format!("what is stored of {} is no JSON", record.key.name))
    }

    /// The JSON of a record as it is stored, `resourceVersion` included; copied only when it is sealed.
    ///
    /// # Errors
    /// One sentence: the key of a sealed object is missing.
    pub fn json(&self, record: &Record) -> Result<Bytes, String> {
        self.shared.sealing.json(record)
    }

    /// Whether writes are taken; otherwise why not.
    ///
    /// # Errors
    /// One sentence for `/readyz`.
    pub fn writable(&self) -> Result<(), String> {
        self.shared
            .health
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends it: what waits is written, watches get [`Next::Closed`], later writes are refused, and reads go on.
    /// Returns when the file is closed and may be opened again.
    pub async fn close(&self) {
        self.desk.close().await;
    }
}

impl Shared {
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, events: Vec<Logged>, forget: u64) {
        let touched = self.change(|state| state.publish(events, forget));
        for wake in touched {
            wake.send_modify(|_| ());
        }
    }

    fn set_health(&self, health: Result<(), String>) {
        *self.health.write().unwrap_or_else(PoisonError::into_inner) = health;
    }

    fn close(&self, why: &str) {
        self.set_health(Err(why.to_owned()));
        let everybody = self.change(|state| {
            state.open = false;
            state.everybody().cloned().collect::<Vec<_>>()
        });
        for wake in everybody {
            wake.send_modify(|_| ());
        }
    }
}
