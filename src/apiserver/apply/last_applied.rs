//! The move of `kubectl` from client-side to server-side apply, by the annotation in which the former keeps what it
//! applied: conflicts about fields that still have the value noted there are none, and the annotation follows what the
//! latter applies. Only for the manager that is called `kubectl` exactly. Called by `mod.rs`.

use serde_json::Value;

use super::{compare::compare, field_set::field_set, set::Set, shape::Typed};
use crate::apiserver::object;

/// The field manager of `kubectl apply --server-side`.
pub const KUBECTL: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How many bytes the annotations of an object may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields that live has as the annotation notes them; `None` without a readable annotation of this version.
#[must_use]
pub fn noted(typed: Typed<'_>, live: &Value, api_version: &str) -> Option<Set> {
    let noted: Value = serde_json::from_str(annotation(live)?).ok()?;
    if noted.get("apiVersion")?.as_str()? != api_version {
        return None;
    }
    let mut set = field_set(typed, &noted);
    let changes = compare(typed, &noted, live);
    for changed in [changes.modified, changes.added, changes.removed] {
        set.subtract(&changed);
    }
    Some(set)
}

fn annotation(of: &Value) -> Option<&str> {
    let (_, text) = object::annotations(of).find(|(name, _)| *name == ANNOTATION)?;
    (!text.is_empty()).then_some(text)
}

/// Notes `config` in the annotation of `merged`, when it has one. Too large a note is dropped.
pub fn note(merged: &mut Value, config: &Value) {
    if annotation(merged).is_none() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(ANNOTATION);
    }
    let text = escape(&format!("{config}\n"));
    let Some(annotations) = merged
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), text.into());
    let size: usize = annotations
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}

/// JSON as Go writes it, within strings only, where these characters can be.
fn escape(json: &str) -> String {
    json.chars()
        .fold(String::with_capacity(json.len()), |mut text, character| {
            match character {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    text.push_str(&format!("\\u{:04x}", u32::from(character)));
                }
                other => text.push(other),
            }
            text
        })
}
