//! Keys, records and events as bytes of the file. Owns the state version: whoever changes these forms raises it.
//! Parses no JSON, so that opening is fast. Total: any bytes give a value or `None`. Used by `disk` alone.

use std::sync::Arc;

use bytes::Bytes;

use super::record::{Body, Record};
use crate::apiserver::names::{GroupResource, Key};

/// The version of the forms in this file and of the tables in `disk`.
pub(super) const STATE_VERSION: u64 = 1;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Whether a key can be told apart from others on disk.
pub(super) fn is_storable(key: &Key) -> bool {
    !(key.of.group.contains('\0') || key.of.resource.contains('\0') || key.namespace.contains('\0'))
}

/// Group, resource, namespace and name with a NUL between two: the order of bytes is that of keys.
pub(super) fn key_bytes(key: &Key) -> Vec<u8> {
    [&*key.of.group, &*key.of.resource, &*key.namespace, &*key.name]
        .join("\0")
        .into_bytes()
}

/// Reads keys and lets neighbours share their parts.
#[derive(Default)]
pub(super) struct Keys(Option<Key>);

impl Keys {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Key> {
        let mut parts = std::str::from_utf8(bytes).ok()?.splitn(4, '\0');
        let (group, resource) = (parts.next()?, parts.next()?);
        let (namespace, name) = (parts.next()?, parts.next()?);
        let before = self.0.as_ref();
        let of = match before {
            Some(key) if *key.of.group == *group && *key.of.resource == *resource => key.of.clone(),
            _ => GroupResource::new(group, resource),
        };
        let namespace = match before {
            Some(key) if *key.namespace == *namespace => key.namespace.clone(),
            _ => namespace.into(),
        };
        let key = Key {
            of,
            namespace,
            name: name.into(),
        };
        self.0 = Some(key.clone());
        Some(key)
    }
}

/// Form, revision, gap, body.
pub(super) fn push_record(record: &Record, into: &mut Vec<u8>) {
    let (form, gap, body) = match &record.body {
        Body::Plain { json, gap } => (PLAIN, gap, json),
        Body::Sealed { sealed, gap } => (SEALED, gap, sealed),
    };
    into.push(form);
    into.extend_from_slice(&record.revision.to_le_bytes());
    into.extend_from_slice(&(*gap as u64).to_le_bytes());
    into.extend_from_slice(body);
}

/// The record that [`push_record`] wrote.
pub(super) fn read_record(key: Key, bytes: &[u8]) -> Option<Arc<Record>> {
    let (form, bytes) = bytes.split_first()?;
    let (revision, bytes) = number(bytes)?;
    let (gap, body) = number(bytes)?;
    let gap = usize::try_from(gap).ok()?;
    let body = Bytes::copy_from_slice(body);
    let body = match *form {
        PLAIN => Body::Plain { json: body, gap },
        SEALED => Body::Sealed { sealed: body, gap },
        _ => return None,
    };
    Some(Arc::new(Record { key, revision, body }))
}

/// An event on disk: what it was before. What it is after is the next event's before, or the object itself.
pub(super) struct Undo {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) key: Key,
    pub(super) previous: Option<Arc<Record>>,
}

/// Time, length of the key, key, and the version before if there was one.
pub(super) fn undo_bytes(at: i64, key: &Key, previous: Option<&Record>) -> Vec<u8> {
    let key = key_bytes(key);
    let mut bytes = at.to_le_bytes().to_vec();
    bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&key);
    if let Some(previous) = previous {
        push_record(previous, &mut bytes);
    }
    bytes
}

/// What [`undo_bytes`] wrote.
pub(super) fn read_undo(keys: &mut Keys, bytes: &[u8]) -> Option<Undo> {
    let (at, bytes) = number(bytes)?;
    let (length, bytes) = number(bytes)?;
    let (key, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    let key = keys.read(key)?;
    let previous = match rest {
        [] => None,
        rest => Some(read_record(key.clone(), rest)?),
    };
    Some(Undo {
        at: at.cast_signed(),
        key,
        previous,
    })
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}
