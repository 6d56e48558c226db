//! Which names a CRD gets: those that no other CRD of its group has. Owns the conditions `NamesAccepted` and `Established`,
//! their reasons and words (`k8s.io/apiextensions-apiserver/pkg/controller/status`). Pure: the caller gives the other CRDs
//! and the time, and writes the status.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{map, text, texts};
use crate::apiserver::object;

/// Whether the condition `Established` is true.
#[must_use]
pub fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|found| found["status"] == "True")
}

fn condition<'a>(definition: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = definition.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)
}

/// The accepted names, and the first of what is in the way: reason and message of `NamesAccepted`.
#[must_use]
pub fn accepted(definition: &Value, others: &[&Value]) -> (Value, Option<(&'static str, String)>) {
    let empty = Map::new();
    let asked = map(definition.pointer("/spec/names"), &empty);
    let had = map(definition.pointer("/status/acceptedNames"), &empty);
    let (resources, kinds) = taken(definition, others);
    let mut names = had.clone();
    let mut conflict = None;
    for (field, used, reason) in [
        ("plural", &resources, "PluralConflict"),
        ("singular", &resources, "SingularConflict"),
        ("shortNames", &resources, "ShortNamesConflict"),
        ("kind", &kinds, "KindConflict"),
        ("listKind", &kinds, "ListKindConflict"),
    ] {
        let mine = if field == "shortNames" {
            texts(had, field)
        } else {
            vec![text(had, field).to_owned()]
        };
        let wanted = if field == "shortNames" {
            texts(asked, field)
        } else {
            vec![text(asked, field).to_owned()]
        };
        let clashes: Vec<String> = (wanted.iter())
            .filter(|name| !mine.contains(name) && used.contains(name.as_str()))
            .map(|name| format!("{name:?} is already in use"))
            .collect();
        match clashes.as_slice() {
            [] => set(&mut names, field, asked.get(field)),
            [one] => conflict = Some((reason, one.clone())),
            many => conflict = Some((reason, format!("[{}]", many.join(", ")))),
        }
    }
    set(&mut names, "categories", asked.get("categories"));
    (Value::Object(names), conflict)
}

fn set(names: &mut Map<String, Value>, field: &str, value: Option<&Value>) {
    match value {
        Some(value) => names.insert(field.to_owned(), value.clone()),
        None => names.remove(field),
    };
}

/// The names of resources and of kinds that other CRDs of the group have.
fn taken<'a>(definition: &Value, others: &[&'a Value]) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let group = definition.pointer("/spec/group");
    let mut resources = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for other in others {
        let same = object::name(other) == object::name(definition);
        if same || other.pointer("/spec/group") != group {
            continue;
        }
        let Some(names) = other.pointer("/status/acceptedNames").and_then(Value::as_object) else {
            continue;
        };
        let short = names
            .get("shortNames")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        resources.extend(["plural", "singular"].map(|field| text(names, field)));
        resources.extend(short.filter_map(Value::as_str));
        kinds.extend(["kind", "listKind"].map(|field| text(names, field)));
    }
    (resources, kinds)
}

/// The status of `definition` among `others` at `now` (RFC 3339): accepted names, conditions, stored versions. Once
/// established, it stays so. The same as before when nothing changed.
#[must_use]
pub fn status(definition: &Value, others: &[&Value], now: &str) -> Value {
    let (names, conflict) = accepted(definition, others);
    let free = conflict.is_none();
    let (reason, message) = conflict.unwrap_or(("NoConflicts", "no conflicts found".to_owned()));
    let mut status = definition
        .get("status")
        .filter(|status| status.is_object())
        .cloned()
        .unwrap_or_else(|| json!({}));
    status["acceptedNames"] = names;
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    put(&mut conditions, "NamesAccepted", (free, reason, &message), now);
    if !is_established(definition) {
        let told = if free {
            (
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
            )
        } else {
            (false, "NotAccepted", "not all names are accepted")
        };
        put(&mut conditions, "Established", told, now);
    }
    status["conditions"] = Value::Array(conditions);
    status
}

/// Says in `status` that the objects of a CRD are going.
pub fn terminating(status: &mut Map<String, Value>, reason: &str, message: &str, now: &str) {
    let slot = status.entry("conditions").or_insert(Value::Null);
    if !slot.is_array() {
        *slot = json!([]);
    }
    if let Value::Array(conditions) = slot {
        put(conditions, "Terminating", (true, reason, message), now);
    }
}

fn put(conditions: &mut Vec<Value>, name: &str, (yes, reason, message): (bool, &str, &str), now: &str) {
    let status = if yes { "True" } else { "False" };
    let old = conditions.iter_mut().find(|condition| condition["type"] == name);
    let since = match &old {
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        _ => now.into(),
    };
    let new = json!({
        "type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    match old {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}
