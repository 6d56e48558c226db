//! Who owns which field: managed fields, server-side apply, and tracking of every other write. Pure.
//! Owns field sets, their JSON (`FieldsV1`), merging by schema, conflicts and entries of `metadata.managedFields`.
//! The rules are those of structured-merge-diff v6 and `apimachinery/pkg/util/managedfields`. Called by `verbs`.
//!
//! Not done: conversion of sets between versions (only `apiVersion` differs between versions here). Sets with parts of
//! what a CRD has made atomic since are put right by the next apply, not by every write.

mod check;
mod compare;
mod conflict;
mod element;
mod entries;
mod field_set;
mod fields_v1;
mod items;
mod last_applied;
mod merge;
mod remove;
mod scale;
mod set;
mod shape;
mod updater;

#[cfg(test)]
mod properties_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod track_tests;
#[cfg(test)]
mod vectors_tests;

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::{
    entries::{Entry, Source},
    field_set::settle,
    set::Set,
    shape::Typed,
    updater::Terms,
};
use super::{
    kinds::Kind,
    names::GroupVersion,
    object,
    status::{Result, Status},
};

/// Who writes, to what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The kind, in the version of the request.
    pub kind: &'a Kind,
    /// Empty, `status`, `scale`.
    pub subresource: &'a str,
    /// The field manager.
    pub manager: &'a str,
    /// Now, seconds count.
    pub at: Timestamp,
}

/// Server-side apply of `applied` to `live` (`None`: creates). The result has new `metadata.managedFields`, is not yet
/// defaulted, pruned or validated, and equals `live` when nothing changes (times of entries included). For `/scale`,
/// `applied` is a `Scale` and the result is the scaled object. What the endpoint does not write (`status` on the main
/// one, all else on `/status`) is owned by nobody, but it is the caller who takes it back to what it was.
///
/// # Errors
/// 400 for a body that cannot be applied, 409 with a cause per field for conflicts without `force`.
pub fn apply(live: Option<&Value>, applied: &Value, force: bool, write: &Write<'_>) -> Result<Value> {
    let nothing = Value::Object(Map::new());
    let live = live.unwrap_or(&nothing);
    if write.subresource == "scale" {
        return scale::apply(live, applied, force, write);
    }
    let version = write.kind.version.to_string();
    let terms = terms(write, &version);
    check_config(applied, &version, &write.kind.kind)?;
    check_fields(applied, &terms, (&version, &write.kind.kind), write.kind.sealed)?;
    let mut stored = managed(live)
        .cloned()
        .and_then(|list| entries::read(list, Source::Stored))
        .unwrap_or_default();
    stored
        .iter_mut()
        .for_each(|entry| settle(terms.typed, entry.set_mut()));
    let by_kubectl = write.manager == last_applied::KUBECTL;
    let forgiven = || by_kubectl.then(|| last_applied::noted(terms.typed, live, &version))?;
    let applying = updater::apply(live, applied, stored, force, &forgiven, &terms);
    let updater::Applied { mut object, entries } =
        applying.map_err(|conflicts| conflict::refusal(&conflicts))?;
    if by_kubectl {
        last_applied::note(&mut object, applied);
    }
    set_managed(&mut object, entries);
    Ok(object)
}

/// Tracks a create (`live` is `None`), update or patch: returns `new` with the `metadata.managedFields` that result from
/// going from `live` to it. Tracking never fails: what cannot be read is reset. Call it when `new` is what will be
/// stored, but for what the server itself sets at a create (uid, creation time, generation).
#[must_use]
pub fn track(live: Option<&Value>, new: Value, write: &Write<'_>) -> Value {
    if let (Some(live), "scale") = (live, write.subresource) {
        return scale::track(live, new, write);
    }
    track_from(live, live.unwrap_or(&Value::Null), new, write)
}

/// [`track`]s a create, when every object of the kind has what `empty` has: nobody adds that.
#[must_use]
pub fn track_new(empty: Option<&Value>, new: Value, write: &Write<'_>) -> Value {
    track_from(None, empty.unwrap_or(&Value::Null), new, write)
}

fn track_from(live: Option<&Value>, old: &Value, mut new: Value, write: &Write<'_>) -> Value {
    let sent = object::remove_meta(&mut new, "managedFields");
    let mut entries = start(live.and_then(managed), sent, write);
    if entries.is_empty() && live.is_some() {
        return new;
    }
    let version = write.kind.version.to_string();
    updater::track(&mut entries, old, &new, &terms(write, &version));
    set_managed(&mut new, entries);
    new
}

/// The entries that a write starts from: those sent, unless they are malformed, none, or sent to a subresource.
fn start(stored: Option<&Value>, sent: Option<Value>, write: &Write<'_>) -> Vec<Entry> {
    let of_stored = || {
        stored
            .cloned()
            .and_then(|list| entries::read(list, Source::Stored))
    };
    let kind = write.kind;
    let read = match sent {
        Some(sent) if Some(&sent) == stored => entries::read(sent, Source::Stored),
        Some(_) if !write.subresource.is_empty() => of_stored(),
        Some(sent) if entries::is_reset(&sent, kind.custom) => return Vec::new(),
        Some(sent) => entries::read(sent, Source::Client)
            .filter(|entries| !entries.is_empty() && entries.iter().all(|entry| is_of(kind, entry)))
            .map(|mut entries| {
                let typed = Typed::object(&kind.schema);
                entries
                    .iter_mut()
                    .for_each(|entry| settle(typed, entry.set_mut()));
                entries
            })
            .or_else(of_stored),
        None => of_stored(),
    };
    read.unwrap_or_default()
}

/// Whether the paths of an entry can be of this kind. A custom resource has no others.
fn is_of(kind: &Kind, entry: &Entry) -> bool {
    let group = entry
        .owner
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    !kind.custom || group == &*kind.version.group
}

/// Whether two versions differ in more than the times of their managed fields (and the resource version).
#[must_use]
pub fn differs(old: &Value, new: &Value) -> bool {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return old != new;
    };
    let other = |(name, value): (&String, &Value)| {
        new.get(name).is_none_or(|now| match (name.as_str(), value, now) {
            ("metadata", Value::Object(value), Value::Object(now)) => metadata_differs(value, now),
            _ => value != now,
        })
    };
    old.len() != new.len() || old.iter().any(other)
}

fn metadata_differs(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let counts = |name: &str| name != "resourceVersion" && name != "managedFields";
    let content = |metadata: &Map<String, Value>| metadata.keys().filter(|name| counts(name)).count();
    if content(old) != content(new) {
        return true;
    }
    if old
        .iter()
        .any(|(name, value)| counts(name) && new.get(name) != Some(value))
    {
        return true;
    }
    if old.get("managedFields") == new.get("managedFields") {
        return false;
    }
    let (before, mut after) = (entry_list(old), entry_list(new));
    before.len() != after.len()
        || before.iter().any(|entry| {
            let found = after.iter().position(|other| same_but_time(entry, other));
            found.map(|at| after.swap_remove(at)).is_none()
        })
}

fn entry_list(metadata: &Map<String, Value>) -> Vec<&Value> {
    let list = metadata.get("managedFields").and_then(Value::as_array);
    list.into_iter().flatten().collect()
}

fn same_but_time(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        return a == b;
    };
    let timeless = |entry: &Map<String, Value>| entry.len() - usize::from(entry.contains_key("time"));
    timeless(a) == timeless(b)
        && a.iter()
            .all(|(name, value)| name == "time" || b.get(name) == Some(value))
}

fn managed(of: &Value) -> Option<&Value> {
    of.get("metadata")?.get("managedFields")
}

fn set_managed(of: &mut Value, entries: Vec<Entry>) {
    match entries::write(entries) {
        Some(list) => object::set_meta(of, "managedFields", list),
        None => drop(object::remove_meta(of, "managedFields")),
    }
}

fn terms<'a>(write: &Write<'a>, api_version: &'a str) -> Terms<'a> {
    Terms {
        typed: Typed::object(&write.kind.schema),
        api_version,
        subresource: write.subresource,
        manager: write.manager,
        at: write.at,
        built_in: !write.kind.custom,
        reset: reset(write.kind, write.subresource),
    }
}

/// What an endpoint does not write. Of built-in kinds, `/status` writes metadata.
fn reset(kind: &Kind, subresource: &str) -> Option<&'static Set> {
    static STATUS: LazyLock<Set> = LazyLock::new(|| Set::of_fields(&["status"]));
    static SPEC: LazyLock<Set> = LazyLock::new(|| Set::of_fields(&["spec"]));
    static SPEC_AND_METADATA: LazyLock<Set> = LazyLock::new(|| {
        let mut both = Set::of_fields(&["metadata"]);
        both.add(Set::of_fields(&["spec"]));
        both
    });
    match subresource {
        "status" if kind.custom => Some(&SPEC_AND_METADATA),
        "status" => Some(&SPEC),
        _ if kind.status => Some(&STATUS),
        _ => None,
    }
}

/// Whether a configuration is of this kind and says nothing about managed fields.
fn check_config(config: &Value, version: &str, kind: &str) -> Result<()> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != version || text("kind") != kind {
        let said = GroupVersion::parse(text("apiVersion")).map_or_else(
            || "/".to_owned(),
            |said| format!("{}/{}", said.group, said.version),
        );
        return Err(Status::bad_request(format!(
            "invalid object type: {said}, Kind={}",
            text("kind")
        )));
    }
    if managed(config).is_some_and(Value::is_array) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// Whether every field of a configuration is declared and of its type. The real server answers 500 with these words.
fn check_fields(config: &Value, terms: &Terms<'_>, of: (&str, &str), secret: bool) -> Result<()> {
    let Some(found) = check::findings(terms.typed, config, secret) else {
        return Ok(());
    };
    let (version, kind) = of;
    let slash = if version.contains('/') { "" } else { "/" };
    Err(Status::bad_request(format!(
        "failed to create typed patch object ({}/{}; {slash}{version}, Kind={kind}): {found}",
        object::namespace(config),
        object::name(config)
    )))
}
