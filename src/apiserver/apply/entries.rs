//! The entries of `metadata.managedFields`: reading, identity, order, the cap on entries of updates, writing. Sets are
//! read only where somebody asks for them. As `apimachinery/pkg/util/managedfields`; who owns what is decided in
//! `updater`. Called by it, by `mod.rs` and by `scale`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{fields_v1, set::Set};

/// How many entries of updates an object keeps.
const MAX_UPDATES: usize = 10;

/// How many entries a list may have; no client needs as many, and looking for one among them takes time.
const MAX_ENTRIES: usize = 1000;

/// The manager under which older entries of updates come together.
const ANCIENT: &str = "ancient-changes";

/// What made an entry. Ordered as entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Every other write.
    Update,
}

impl Operation {
    const fn text(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who an entry is of. Appliers are the same in every API version, updaters are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The field manager.
    pub manager: String,
    /// What it did.
    pub operation: Operation,
    /// `v1`, `apps/v1`: the version of the paths.
    pub api_version: String,
    /// Empty, `status`, `scale`.
    pub subresource: String,
}

impl Owner {
    /// Whether both are one entry.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The text by which upstream orders owners where time does not.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut text = format!(
            r#"{{"manager":{},"operation":"{}""#,
            Value::from(self.manager.as_str()),
            self.operation.text()
        );
        if self.operation == Operation::Update {
            text.push_str(&format!(
                r#","apiVersion":{}"#,
                Value::from(self.api_version.as_str())
            ));
        }
        if !self.subresource.is_empty() {
            text.push_str(&format!(
                r#","subresource":{}"#,
                Value::from(self.subresource.as_str())
            ));
        }
        text.push('}');
        text
    }
}

/// Who owns which fields since when.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub owner: Owner,
    /// When the set last changed; seconds count.
    pub time: Option<Timestamp>,
    /// As stored, written by this server; then `set` is still to be read from it.
    written: Option<Value>,
    set: Set,
}

impl Entry {
    /// A new entry.
    #[must_use]
    pub const fn new(owner: Owner, time: Option<Timestamp>, set: Set) -> Self {
        Self {
            owner,
            time,
            written: None,
            set,
        }
    }

    /// Its set.
    #[must_use]
    pub fn set(&self) -> Cow<'_, Set> {
        match &self.written {
            Some(written) => Cow::Owned(fields_v1::read(written).unwrap_or_default()),
            None => Cow::Borrowed(&self.set),
        }
    }

    /// Its set, read once and for all.
    pub fn set_mut(&mut self) -> &mut Set {
        if let Some(written) = self.written.take() {
            self.set = fields_v1::read(&written).unwrap_or_default();
        }
        &mut self.set
    }

    /// Whether it owns any of `set`.
    #[must_use]
    pub fn overlaps(&self, set: &Set) -> bool {
        match &self.written {
            Some(written) => fields_v1::overlaps(written, set),
            None => !self.set.intersection(set).is_empty(),
        }
    }

    /// Whether it owns nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.written {
            Some(written) => written.as_object().is_none_or(Map::is_empty),
            None => self.set.is_empty(),
        }
    }

    fn into_json(self) -> Value {
        let mut entry = Map::new();
        entry.insert("apiVersion".to_owned(), self.owner.api_version.into());
        entry.insert("fieldsType".to_owned(), "FieldsV1".into());
        let fields = self.written.unwrap_or_else(|| fields_v1::write(&self.set));
        entry.insert("fieldsV1".to_owned(), fields);
        entry.insert("manager".to_owned(), self.owner.manager.into());
        entry.insert("operation".to_owned(), self.owner.operation.text().into());
        if !self.owner.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.owner.subresource.into());
        }
        if let Some(time) = self.time {
            entry.insert("time".to_owned(), text_of(time).into());
        }
        Value::Object(entry)
    }
}

/// RFC 3339 in UTC, whole seconds.
fn text_of(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// Where a list of entries comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Stored: written by this server, its sets need no reading.
    Stored,
    /// From a client: read all of it.
    Client,
}

/// Reads `metadata.managedFields`; `None` when any of it is malformed, or it has more than 1,000 entries.
#[must_use]
pub fn read(list: Value, source: Source) -> Option<Vec<Entry>> {
    let Value::Array(items) = list else { return None };
    if items.len() > MAX_ENTRIES {
        return None;
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(items.len());
    for item in items {
        let entry = read_entry(item, source)?;
        match entries
            .iter_mut()
            .find(|known| source == Source::Client && known.owner.is(&entry.owner))
        {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Some(entries)
}

fn read_entry(item: Value, source: Source) -> Option<Entry> {
    let Value::Object(mut fields) = item else {
        return None;
    };
    let mut text = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text),
        Some(_) => None,
    };
    let operation = match text("operation")?.as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let owner = Owner {
        manager: text("manager")?,
        operation,
        api_version: text("apiVersion").filter(|version| !version.is_empty())?,
        subresource: text("subresource")?,
    };
    if text("fieldsType")? != "FieldsV1" {
        return None;
    }
    let time = match text("time")?.as_str() {
        "" => None,
        time => Some(time.parse().ok()?),
    };
    let written = match fields.remove("fieldsV1") {
        None | Some(Value::Null) => json!({}),
        Some(written) => written,
    };
    let (written, set) = match source {
        Source::Stored => (Some(written), Set::default()),
        Source::Client => (None, fields_v1::read(&written)?),
    };
    Some(Entry {
        owner,
        time,
        written,
        set,
    })
}

/// Whether a list asks for a new start: `[{}]`, and of a built-in kind `[]` too.
#[must_use]
pub fn is_reset(list: &Value, custom: bool) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => !custom,
        Some([Value::Object(entry)]) => entry.values().all(|value| value.is_null() || value == ""),
        _ => false,
    }
}

/// Writes the entries in their order; `None` for none.
#[must_use]
pub fn write(mut entries: Vec<Entry>) -> Option<Value> {
    if entries.is_empty() {
        return None;
    }
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (entry.owner.operation, seconds(entry));
        key(a).cmp(&key(b)).then_with(|| {
            (&a.owner.manager, &a.owner.api_version, &a.owner.subresource).cmp(&(
                &b.owner.manager,
                &b.owner.api_version,
                &b.owner.subresource,
            ))
        })
    });
    Some(entries.into_iter().map(Entry::into_json).collect())
}

fn seconds(entry: &Entry) -> i64 {
    entry.time.map_or(0, Timestamp::as_second)
}

/// Brings the oldest entries of updates together while there are more than ten, one `ancient-changes` per API version.
pub fn cap(entries: &mut Vec<Entry>) {
    let is_update = |entry: &&Entry| entry.owner.operation == Operation::Update;
    let mut count = entries.iter().filter(is_update).count();
    if count <= MAX_UPDATES {
        return;
    }
    let mut oldest: Vec<Entry> = entries.iter().filter(is_update).cloned().collect();
    oldest.sort_by_cached_key(|entry| (seconds(entry), entry.owner.identity()));
    let mut first_of: Vec<Owner> = Vec::new();
    for old in oldest {
        if count <= MAX_UPDATES {
            return;
        }
        let Some(first) = first_of
            .iter()
            .find(|first| first.api_version == old.owner.api_version)
        else {
            first_of.push(old.owner);
            continue;
        };
        let bucket = Owner {
            manager: ANCIENT.to_owned(),
            operation: Operation::Update,
            api_version: old.owner.api_version.clone(),
            subresource: String::new(),
        };
        if old.owner == bucket {
            continue;
        }
        if !entries.iter().any(|entry| entry.owner == bucket)
            && let Some(entry) = entries.iter_mut().find(|entry| entry.owner == *first)
        {
            entry.owner = bucket.clone();
        }
        if let Some(entry) = entries.iter_mut().find(|entry| entry.owner == bucket) {
            entry.set_mut().add(old.set().into_owned());
            entry.time = old.time;
        }
        entries.retain(|entry| entry.owner != old.owner);
        count -= 1;
    }
}
