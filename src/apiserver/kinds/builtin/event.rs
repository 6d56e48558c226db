//! What events do of their own, in both of their groups: validation, field selectors, and the way between the form of
//! `events.k8s.io` and the core form in which they are stored. The rules, fields and words are upstream's
//! (`k8s.io/kubernetes/pkg/apis/{core,events}`). Deleting old events is a loop's. Called by `verbs`.

use serde_json::{Map, Value, json};

use crate::apiserver::{
    field_error::FieldError,
    kinds::{Rules, names},
    object,
};

/// Of `events` of the core group.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventRules;

/// Of `events.events.k8s.io`.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEventRules;

/// Names of the same field: in `events.k8s.io`, and in the core group.
const RENAMED: [(&str, &str); 7] = [
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
];

/// By what core events can be selected. The new group calls some of them otherwise, and has no `source`.
pub(super) const SELECTABLE: [&str; 11] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

impl Rules for EventRules {
    fn validate(&self, object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        legacy(object, "reportingComponent")
    }

    fn selectable(&self, object: &Value, field: &str) -> Option<String> {
        if !SELECTABLE.contains(&field) {
            return None;
        }
        let path = field.split('.').try_fold(object, |at, part| at.get(part));
        let value = path.and_then(Value::as_str).unwrap_or_default();
        Some(if field == "source" {
            source(object).to_owned()
        } else {
            value.to_owned()
        })
    }
}

impl Rules for NewEventRules {
    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let new = rename(object.clone(), true);
        let mut found = legacy(&new, "reportingController");
        match old {
            None => {
                found.extend(series(&new));
                found.extend(strict(&new));
            }
            Some(old) => {
                let old = rename(old.clone(), true);
                if new.get("series") != old.get("series") {
                    found.extend(series(&new));
                }
                found.extend(kept(&new, &old));
            }
        }
        found
    }

    fn stored_form(&self, object: Value) -> Value {
        let mut object = rename(object, true);
        retype(&mut object, "v1");
        object
    }

    fn served_form(&self, object: Value) -> Value {
        let mut object = rename(object, false);
        retype(&mut object, "events.k8s.io/v1");
        object
    }

    fn selectable(&self, object: &Value, field: &str) -> Option<String> {
        let core = match field {
            "reason" | "type" => field.to_owned(),
            "reportingController" => "reportingComponent".to_owned(),
            _ => format!("involvedObject.{}", field.strip_prefix("regarding.")?),
        };
        EventRules.selectable(&rename(object.clone(), true), &core)
    }
}

fn rename(mut event: Value, to_core: bool) -> Value {
    if let Some(map) = event.as_object_mut() {
        for (new, core) in RENAMED {
            let (from, to) = if to_core { (new, core) } else { (core, new) };
            if let Some(value) = map.remove(from) {
                map.insert(to.to_owned(), value);
            }
        }
        if !to_core {
            // The new form always says its time.
            map.entry("eventTime").or_insert(Value::Null);
            without_empty(map, "reportingController");
            without_empty(map, "reportingInstance");
        } else {
            for field in ["reportingComponent", "reportingInstance"] {
                map.entry(field).or_insert_with(|| "".into());
            }
            map.entry("involvedObject").or_insert_with(|| json!({}));
        }
    }
    event
}

/// The core form always has these, the new one only when they say something.
fn without_empty(map: &mut Map<String, Value>, field: &str) {
    if map.get(field).and_then(Value::as_str) == Some("") {
        map.remove(field);
    }
}

fn retype(event: &mut Value, version: &str) {
    if let Some(map) = event.as_object_mut() {
        map.insert("apiVersion".to_owned(), version.into());
    }
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Who reports it, in either form.
pub(super) fn source(event: &Value) -> &str {
    let places = [
        "/source/component",
        "/deprecatedSource/component",
        "/reportingComponent",
        "/reportingController",
    ];
    let mut named = places.iter().map(|place| text(event, place));
    named.find(|name| !name.is_empty()).unwrap_or_default()
}

/// The pointer of a core field in an event of `events.k8s.io`, when its name differs.
pub(super) fn renamed(pointer: &str) -> Option<String> {
    let (field, rest) = pointer
        .strip_prefix('/')?
        .split_at(pointer[1..].find('/').unwrap_or(pointer.len() - 1));
    let (new, _) = RENAMED.iter().find(|(_, core)| *core == field)?;
    Some(format!("/{new}{rest}"))
}

/// What every event must obey; `event` in its core form.
fn legacy(event: &Value, controller_field: &str) -> Vec<FieldError> {
    let (namespace, of) = (object::namespace(event), text(event, "/involvedObject/namespace"));
    let is_new = !text(event, "/eventTime").is_empty();
    let fits = match (of, is_new) {
        ("", false) => matches!(namespace, "" | "default"),
        ("", true) => matches!(namespace, "default" | "kube-system"),
        (of, false) => of == namespace,
        (_, true) => true,
    };
    let mut found = Vec::new();
    if !fits {
        found.push(FieldError::invalid(
            "involvedObject.namespace",
            of,
            "does not match event.namespace",
        ));
    }
    if !is_new {
        return found;
    }
    let controller = text(event, "/reportingComponent");
    if controller.is_empty() {
        found.push(FieldError::required(controller_field, ""));
    }
    let wrong = names::qualified(controller).into_iter();
    found.extend(wrong.map(|why| FieldError::invalid(controller_field, controller, why)));
    for (field, most) in [
        ("reportingInstance", 128),
        ("action", 128),
        ("reason", 128),
        ("message", 1024),
    ] {
        let value = event.get(field).and_then(Value::as_str).unwrap_or_default();
        if value.is_empty() && field != "message" {
            found.push(FieldError::required(field, ""));
        }
        if value.len() > most {
            found.push(FieldError::invalid(
                field,
                "",
                format!("can have at most {most} characters"),
            ));
        }
    }
    found
}

fn series(event: &Value) -> Vec<FieldError> {
    let mut found = Vec::new();
    let Some(series) = event.get("series").filter(|series| series.is_object()) else {
        return found;
    };
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        found.push(FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if text(series, "/lastObservedTime").is_empty() {
        found.push(FieldError::required("series.lastObservedTime", ""));
    }
    found
}

/// What an event that is created through the new group must obey besides.
fn strict(event: &Value) -> Vec<FieldError> {
    let mut found = Vec::new();
    if text(event, "/eventTime").is_empty() {
        found.push(FieldError::required("eventTime", ""));
    }
    let kind = text(event, "/type");
    if !matches!(kind, "Normal" | "Warning") {
        found.push(FieldError::invalid(
            "type",
            "",
            format!("has invalid value: {kind}"),
        ));
    }
    let mut unset = |field: &str, is_set: bool| {
        if is_set {
            found.push(FieldError::invalid(field, "", "needs to be unset"));
        }
    };
    unset("firstTimestamp", !text(event, "/firstTimestamp").is_empty());
    unset("lastTimestamp", !text(event, "/lastTimestamp").is_empty());
    unset(
        "count",
        event.get("count").and_then(Value::as_i64).unwrap_or_default() != 0,
    );
    let by = !text(event, "/source/component").is_empty() || !text(event, "/source/host").is_empty();
    unset("source", by);
    found
}

/// Of an event of the new group nothing but its series may change.
fn kept(new: &Value, old: &Value) -> Vec<FieldError> {
    const FIELDS: [(&str, &str); 13] = [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("message", "message"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    let changed = FIELDS
        .iter()
        .filter(|(field, _)| is(new, field) != is(old, field));
    changed
        .map(|(field, shown)| {
            let value = new.get(*field).cloned().unwrap_or(Value::Null);
            FieldError::invalid(*shown, value, "field is immutable")
        })
        .collect()
}

/// A field, empty ones like absent ones.
fn is<'a>(event: &'a Value, field: &str) -> Option<&'a Value> {
    event.get(field).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        _ => true,
    })
}
