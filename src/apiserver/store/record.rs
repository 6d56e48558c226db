//! One version of one object, and what happened to it. Owns the bytes of an object at rest: JSON whose
//! `metadata.resourceVersion` can be exchanged without parsing, or the same sealed, with the revision beside it.
//! Parses nothing and opens no seal. Made by the writer and by a backend that loads; read by everybody.

use std::{borrow::Borrow, cmp::Ordering, fmt, sync::Arc};

use bytes::Bytes;

use crate::apiserver::names::Key;

/// One version of one object.
#[derive(Clone)]
pub struct Record {
    /// Where it is.
    pub key: Key,
    /// The revision of this version: `metadata.resourceVersion`.
    pub revision: u64,
    pub(super) body: Body,
}

/// The bytes of a record.
#[derive(Clone)]
pub(super) enum Body {
    /// JSON. The digits of the revision begin at byte `gap`.
    Plain { json: Bytes, gap: usize },
    /// JSON without the digits of the revision, sealed. They belong at byte `gap` of what opens.
    Sealed { sealed: Bytes, gap: usize },
}

impl Record {
    /// The same object under another revision, as a watch shows what is deleted: the last state, and the revision of
    /// the deletion. Copies the JSON of an object that is not sealed.
    #[must_use]
    pub fn under(&self, revision: u64) -> Self {
        let body = match &self.body {
            Body::Plain { json, gap } => {
                let digits = decimal_digits(self.revision);
                let end = json.len().min(gap + digits);
                let (head, tail) = (json.get(..*gap).unwrap_or_default(), &json[end..]);
                Body::plain(&[head, tail].concat(), *gap, revision)
            }
            sealed @ Body::Sealed { .. } => sealed.clone(),
        };
        Self {
            key: self.key.clone(),
            revision,
            body,
        }
    }

    /// Bytes of memory that the body takes.
    pub(super) fn weight(&self) -> usize {
        match &self.body {
            Body::Plain { json: bytes, .. } | Body::Sealed { sealed: bytes, .. } => bytes.len(),
        }
    }
}

impl Body {
    /// `open` is JSON in which the digits of `revision` are missing at `gap`.
    pub(super) fn plain(open: &[u8], gap: usize, revision: u64) -> Self {
        let mut json = Vec::new();
        splice(open, gap, revision, &mut json);
        Self::Plain {
            json: json.into(),
            gap,
        }
    }
}

/// Appends `open` to `into` with the digits of `revision` at `gap` (at the end when it is shorter).
pub(super) fn splice(open: &[u8], gap: usize, revision: u64, into: &mut Vec<u8>) {
    let (head, tail) = open.split_at(gap.min(open.len()));
    // All at once: a buffer that grows leaves copies of what it held behind.
    into.reserve_exact(open.len() + decimal_digits(revision));
    into.extend_from_slice(head);
    into.extend_from_slice(revision.to_string().as_bytes());
    into.extend_from_slice(tail);
}

fn decimal_digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Without the body, which may be a Secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// What happened at a revision.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub revision: u64,
    /// The version after it; `None` for a deletion.
    pub record: Option<Arc<Record>>,
    /// The version before it; `None` for a creation.
    pub previous: Option<Arc<Record>>,
}

impl Event {
    /// Which object it happened to. An event has a version before it or one after it.
    pub(super) fn key(&self) -> Option<&Key> {
        self.record
            .as_ref()
            .or(self.previous.as_ref())
            .map(|record| &record.key)
    }
}

/// A record in a set that is ordered and searched by key, so that the key is in memory once.
#[derive(Debug, Clone)]
pub(super) struct ByKey(pub(super) Arc<Record>);

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey {}
