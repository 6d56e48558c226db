//! What a requester prepares before it waits for the writer: the object as JSON with a gap for its revision, sealed when
//! its resource is. Owns serialization, sealing and opening, and wipes what it held of sealed objects.
//! Writes nothing and knows no revision. Used by `Store`.

use std::{collections::BTreeSet, io, sync::Arc};

use bytes::Bytes;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::{
    AtRest,
    record::{Body, Record, splice},
};
use crate::apiserver::names::{GroupResource, Key};

/// The longest field that is added: `,"metadata":{"resourceVersion":""}` with room to spare.
const ADDED: usize = 64;

/// An object that only lacks its revision.
pub(super) struct Draft {
    bytes: Bytes,
    gap: usize,
    sealed: bool,
}

impl Draft {
    /// The object under `revision`.
    pub(super) fn record(self, key: Key, revision: u64) -> Record {
        let gap = self.gap;
        let body = if self.sealed {
            Body::Sealed {
                sealed: self.bytes,
                gap,
            }
        } else {
            Body::plain(&self.bytes, gap, revision)
        };
        Record { key, revision, body }
    }

    /// Bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len()
    }
}

/// Seals and opens.
pub(super) struct Sealing {
    pub(super) at_rest: Option<Arc<dyn AtRest>>,
    pub(super) sealed: BTreeSet<GroupResource>,
}

impl Sealing {
    /// Serializes `object`, which is wiped when it is to be sealed.
    ///
    /// # Errors
    /// One sentence: it cannot be sealed.
    pub(super) fn draft(&self, key: &Key, mut object: Value) -> Result<Draft, String> {
        if !self.sealed.contains(&key.of) {
            let mut json = Vec::new();
            let gap = serialize(&object, &mut json).map_err(|e| e.to_string())?;
            return Ok(Draft {
                bytes: json.into(),
                gap,
                sealed: false,
            });
        }
        let mut length = Length(0);
        serde_json::to_writer(&mut length, &object).map_err(|e| e.to_string())?;
        // Never grows, so that it leaves no copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(length.0 + ADDED));
        let gap = serialize(&object, &mut json).map_err(|e| e.to_string())?;
        wipe(&mut object);
        let sealed = self.at_rest()?.seal(&place(key), &json)?;
        Ok(Draft {
            bytes: sealed.into(),
            gap,
            sealed: true,
        })
    }

    /// The JSON of a record.
    ///
    /// # Errors
    /// One sentence: it cannot be opened.
    pub(super) fn json(&self, record: &Record) -> Result<Bytes, String> {
        match &record.body {
            Body::Plain { json, .. } => Ok(json.clone()),
            Body::Sealed { sealed, gap } => {
                let open = self.at_rest()?.open(&place(&record.key), sealed)?;
                let mut json = Zeroizing::new(Vec::new());
                splice(&open, *gap, record.revision, &mut json);
                Ok(Bytes::from_owner(json))
            }
        }
    }

    fn at_rest(&self) -> Result<&dyn AtRest, String> {
        self.at_rest
            .as_deref()
            .ok_or_else(|| "objects of this resource are sealed, and there is no key".to_owned())
    }
}

/// What a seal is bound to.
fn place(key: &Key) -> String {
    format!("{}/{}/{}", key.of, key.namespace, key.name)
}

/// Writes `object` with an empty `metadata.resourceVersion` in its alphabetical place; answers where its digits belong.
fn serialize(object: &Value, into: &mut Vec<u8>) -> serde_json::Result<usize> {
    let none = Map::new();
    let mut gap = 0;
    let fields = object.as_object().unwrap_or(&none);
    into.push(b'{');
    let absent = (!fields.contains_key("metadata")).then_some(("metadata", &Value::Null));
    let present = fields.iter().map(|(name, value)| (name.as_str(), value));
    for (at, (name, value)) in absent.into_iter().chain(present).enumerate() {
        begin_field(name, at == 0, into)?;
        if name == "metadata" {
            gap = serialize_metadata(value.as_object().unwrap_or(&none), into)?;
        } else {
            serde_json::to_writer(&mut *into, value)?;
        }
    }
    into.push(b'}');
    Ok(gap)
}

fn serialize_metadata(fields: &Map<String, Value>, into: &mut Vec<u8>) -> serde_json::Result<usize> {
    const VERSION: &str = "resourceVersion";
    let (before, after): (Vec<_>, Vec<_>) = fields
        .iter()
        .filter(|(name, _)| *name != VERSION)
        .partition(|(name, _)| name.as_str() < VERSION);
    into.push(b'{');
    for (at, (name, value)) in before.iter().enumerate() {
        begin_field(name, at == 0, into)?;
        serde_json::to_writer(&mut *into, value)?;
    }
    begin_field(VERSION, before.is_empty(), into)?;
    into.push(b'"');
    let gap = into.len();
    into.push(b'"');
    for (name, value) in after {
        begin_field(name, false, into)?;
        serde_json::to_writer(&mut *into, value)?;
    }
    into.push(b'}');
    Ok(gap)
}

fn begin_field(name: &str, first: bool, into: &mut Vec<u8>) -> serde_json::Result<()> {
    if !first {
        into.push(b',');
    }
    serde_json::to_writer(&mut *into, name)?;
    into.push(b':');
    Ok(())
}

/// Overwrites every text of a value. Depth is that of a parsed body, which is bounded.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
