//! What the writer needs of something durable: everything at the start, and then one batch after the other, each as a
//! whole or not at all. Owns the port and its in-memory double, which shares nothing with the disk but the contract.
//! Knows no precondition and assigns no revision. Called by `writer` alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    history::Logged,
    record::{Event, Record},
    state::FIRST,
};
use crate::apiserver::names::Key;

/// What was durable when the store was opened.
pub(super) struct Loaded {
    pub(super) revision: u64,
    /// In order of keys.
    pub(super) objects: Vec<Arc<Record>>,
    /// In order of revisions, the last one being `revision`.
    pub(super) events: Vec<Logged>,
}

/// What becomes durable together.
#[derive(Default)]
pub(super) struct Batch<'a> {
    /// What the store's revision is afterwards.
    pub(super) revision: u64,
    /// In order; several may be about one object.
    pub(super) events: &'a [Logged],
    /// History up to and including this revision goes.
    pub(super) forget: u64,
    /// A batch that was reported as failed may be there all the same: these objects are set to what is true, and
    /// history after `revision` goes. Empty otherwise.
    pub(super) amend: &'a [(Key, Option<Arc<Record>>)],
}

/// Something durable.
pub(super) trait Backend: Send {
    /// Everything there is.
    ///
    /// # Errors
    /// One sentence: it cannot be read.
    fn load(&mut self) -> Result<Loaded, String>;

    /// Makes a batch durable. After an error it may be durable or not, but as a whole, and [`Backend::reopen`] comes
    /// before anything else.
    ///
    /// # Errors
    /// One sentence for people: no space, input/output.
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), String>;

    /// Starts anew after an error.
    ///
    /// # Errors
    /// One sentence; it is tried again later.
    fn reopen(&mut self) -> Result<(), String>;
}

/// The durable part of an in-memory store: opened again, it has what was there. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    revision: u64,
    objects: BTreeMap<Key, Arc<Record>>,
    events: BTreeMap<u64, Logged>,
}

impl Memory {
    fn contents<T>(&self, of: impl FnOnce(&mut Contents) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Contents {
    fn set(&mut self, key: &Key, record: Option<&Arc<Record>>) {
        match record {
            Some(record) => self.objects.insert(key.clone(), record.clone()),
            None => self.objects.remove(key),
        };
    }
}

impl Backend for Memory {
    fn load(&mut self) -> Result<Loaded, String> {
        Ok(self.contents(|contents| Loaded {
            revision: contents.revision.max(FIRST),
            objects: contents.objects.values().cloned().collect(),
            events: contents.events.values().cloned().collect(),
        }))
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        self.contents(|contents| {
            for (key, record) in batch.amend {
                contents.set(key, record.as_ref());
            }
            if !batch.amend.is_empty() {
                contents.events.split_off(&(batch.revision + 1));
            }
            for logged in batch.events {
                let Event { record, revision, .. } = &*logged.event;
                if let Some(key) = logged.event.key() {
                    contents.set(key, record.as_ref());
                }
                contents.events.insert(*revision, logged.clone());
            }
            contents.events = contents.events.split_off(&(batch.forget + 1));
            contents.revision = batch.revision;
        });
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), String> {
        Ok(())
    }
}
