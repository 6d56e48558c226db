//! The one place where objects are: a revision for everything, memory for reads, one file for what must survive.
//! Owns keys, revisions, the history window and durability; knows no kind, no verb and no JSON beyond `metadata`.
//! Writes go through one thread that commits in groups; nothing is visible before it is durable.
//! Called by `verbs` and `loops`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::names::{GroupResource, Key};

/// One version of one object.
#[derive(Debug)]
pub struct Record {
    /// Where it is.
    pub key: Key,
    /// The revision of this version: `metadata.resourceVersion`.
    pub revision: u64,
    body: Bytes,
}

/// What happened at a revision.
#[derive(Debug)]
pub struct Event {
    /// When.
    pub revision: u64,
    /// The version after it; `None` for a deletion.
    pub record: Option<Arc<Record>>,
    /// The version before it; `None` for a creation.
    pub previous: Option<Arc<Record>>,
}

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

/// Encrypts what is stored, on disk and in memory. Injected by `cli`, which holds the key ring.
pub trait AtRest: Send + Sync + 'static {
    /// Seals `plain` for the object at `place` (`resource/namespace/name`, authenticated).
    ///
    /// # Errors
    /// One sentence; the write is refused.
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, String>;

    /// Opens what [`AtRest::seal`] made for the same place.
    ///
    /// # Errors
    /// One sentence; the object cannot be read until the key is back.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, String>;
}

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct Store {}

/// Follows what happens to the objects of one resource, from a revision on. Pulls: a slow reader holds nobody up,
/// it falls out of the history window and is told so.
pub struct Watch {}

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

#[expect(
    clippy::unimplemented,
    clippy::unused_self,
    reason = "the joint; its owner fills it"
)]
impl Store {
    /// The newest revision that is durable and visible. At least 2.
    pub fn revision(&self) -> u64 {
        unimplemented!()
    }

    /// The newest version of one object.
    pub fn get(&self, _key: &Key) -> Option<Arc<Record>> {
        unimplemented!()
    }

    /// A page of at most `limit` (0: all) objects, now or as of revision `at`.
    ///
    /// # Errors
    /// `at` is too old or in the future.
    pub fn list(&self, _range: &Range, _at: Option<u64>, _limit: usize) -> Result<Page, RevisionError> {
        unimplemented!()
    }

    /// Writes a new object. Its `metadata.resourceVersion` is set here. Returns when it is durable and visible.
    ///
    /// # Errors
    /// [`WriteError::Exists`], [`WriteError::Unavailable`].
    pub async fn create(&self, _key: Key, _object: Value) -> Result<Arc<Record>, WriteError> {
        unimplemented!()
    }

    /// Replaces the version `expected` of an object.
    ///
    /// # Errors
    /// [`WriteError::Changed`], [`WriteError::Unavailable`].
    pub async fn update(&self, _key: Key, _expected: u64, _object: Value) -> Result<Arc<Record>, WriteError> {
        unimplemented!()
    }

    /// Removes the version `expected` of an object; returns its last state under the revision of the deletion.
    ///
    /// # Errors
    /// [`WriteError::Changed`], [`WriteError::Unavailable`].
    pub async fn delete(&self, _key: Key, _expected: u64) -> Result<Arc<Record>, WriteError> {
        unimplemented!()
    }

    /// Follows `of` (in one namespace, or all) from after revision `from`.
    ///
    /// # Errors
    /// `from` is too old or in the future.
    pub fn watch(
        &self,
        _of: &GroupResource,
        _namespace: Option<&str>,
        _from: u64,
    ) -> Result<Watch, RevisionError> {
        unimplemented!()
    }

    /// The object of a record, opened when it is sealed.
    ///
    /// # Errors
    /// One sentence: the key of a sealed object is missing.
    pub fn object(&self, _record: &Record) -> Result<Value, String> {
        unimplemented!()
    }

    /// The JSON of a record as it is stored, `resourceVersion` included; copied only when it is sealed.
    ///
    /// # Errors
    /// One sentence: the key of a sealed object is missing.
    pub fn json(&self, _record: &Record) -> Result<Bytes, String> {
        unimplemented!()
    }

    /// Whether writes are taken; otherwise why not.
    ///
    /// # Errors
    /// One sentence for `/readyz`.
    pub fn writable(&self) -> Result<(), String> {
        unimplemented!()
    }
}

#[expect(
    clippy::unimplemented,
    clippy::unused_self,
    reason = "the joint; its owner fills it"
)]
impl Watch {
    /// The next event in order of revisions, or [`Next::Quiet`] after `patience`.
    pub async fn next(&mut self, _patience: Duration) -> Next {
        unimplemented!()
    }

    /// The next event if it is there already.
    pub fn try_next(&mut self) -> Option<Next> {
        unimplemented!()
    }
}
