//! What `metadata` may say, on create and on update. Owns the findings (`k8s.io/apimachinery/pkg/api/validation`); which
//! name a kind may have is the kind's. Called by every write, after the server's own fields are set.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use super::names::NameRule;
use super::names::{label_1035, label_name, label_value, path_segment_name, qualified};
use crate::apiserver::{
    field_error::{FieldError, FieldErrorKind},
    object,
};

/// The most that keys and values of all annotations may weigh together, in bytes.
pub const MAX_ANNOTATIONS: usize = 256 * 1024;

const IMMUTABLE: &str = "field is immutable";

/// The findings of `object`'s metadata: of a create without `old`, else of an update (for which the caller has set the
/// resource version that is being replaced). `name_rule` is asked on create only, as names cannot change.
#[must_use]
pub fn validate_metadata(
    object: &Value,
    old: Option<&Value>,
    namespaced: bool,
    name_rule: NameRule,
) -> Vec<FieldError> {
    let empty = Map::new();
    let meta = match object.get("metadata") {
        Some(Value::Object(meta)) => meta,
        None | Some(Value::Null) => &empty,
        Some(other) => {
            return vec![FieldError::invalid(
                "metadata",
                other.clone(),
                "must be an object",
            )];
        }
    };
    match old {
        None => create(meta, namespaced, name_rule, "metadata"),
        Some(old) => update(object, old, meta),
    }
}

/// The findings of the metadata of an embedded resource at `at`.
#[must_use]
pub fn embedded(meta: &Map<String, Value>, at: &str) -> Vec<FieldError> {
    let typed: Vec<FieldError> = ["name", "generateName", "namespace"]
        .into_iter()
        .filter_map(|field| Some((field, meta.get(field)?)))
        .filter(|(_, value)| !value.is_string() && !value.is_null())
        .map(|(field, value)| FieldError::invalid(format!("{at}.{field}"), value.clone(), "must be a string"))
        .collect();
    if !typed.is_empty() {
        return typed;
    }
    let mut meta = meta.clone();
    if text(&meta, "name").is_empty() {
        meta.insert("name".to_owned(), "fakename".into());
    }
    let namespaced = !text(&meta, "namespace").is_empty();
    create(&meta, namespaced, path_segment_name, at)
}

/// RFC 1035 label; see [`label_1035`].
#[must_use]
pub fn dns1035_label(text: &str) -> Vec<String> {
    label_1035(text)
}

/// Finalizers that belong to nobody: those of the garbage collector, which may be bare words.
const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

/// The findings about finalizers of a built-in object, which name whose they are: `example.com/name`. Of custom objects,
/// and of the definitions of their kinds, other names are only warned of ([`finalizer_warnings`]).
#[must_use]
pub fn unqualified_finalizers(object: &Value) -> Vec<FieldError> {
    object::finalizers(object)
        .enumerate()
        .filter(|(_, name)| !name.contains('/') && !STANDARD_FINALIZERS.contains(name))
        .map(|(at, name)| {
            let field = format!("metadata.finalizers[{at}]");
            FieldError::invalid(
                field,
                name,
                "name is neither a standard finalizer name nor is it fully qualified",
            )
        })
        .collect()
}

/// Texts for `Warning` headers about finalizers that `object` has and `old` has not.
#[must_use]
pub fn finalizer_warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let before: BTreeSet<&str> = old.into_iter().flat_map(object::finalizers).collect();
    let now: BTreeSet<&str> = object::finalizers(object).collect();
    let mut warnings = Vec::new();
    for finalizer in now.difference(&before) {
        for wrong in qualified(finalizer) {
            warnings.push(format!("metadata.finalizers: {finalizer:?}: {wrong}"));
        }
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer) {
            let path = if finalizer.contains('.') {
                " including a path (/)"
            } else {
                ""
            };
            warnings.push(format!(
                "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
            ));
        }
    }
    warnings
}

fn create(meta: &Map<String, Value>, namespaced: bool, name_rule: NameRule, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    let (name, generate) = (text(meta, "name"), text(meta, "generateName"));
    if !generate.is_empty() {
        let field = format!("{at}.generateName");
        found.extend(
            name_rule(generate, true)
                .into_iter()
                .map(|what| FieldError::invalid(field.as_str(), generate, what)),
        );
    }
    let field = format!("{at}.name");
    if name.is_empty() {
        found.push(FieldError::required(field, "name or generateName is required"));
    } else {
        found.extend(
            name_rule(name, false)
                .into_iter()
                .map(|what| FieldError::invalid(field.as_str(), name, what)),
        );
    }
    let (namespace, field) = (text(meta, "namespace"), format!("{at}.namespace"));
    if !namespaced && !namespace.is_empty() {
        found.push(FieldError::forbidden(field, "not allowed on this type"));
    } else if namespaced && namespace.is_empty() {
        found.push(FieldError::required(field, ""));
    } else if namespaced {
        let wrong = label_name(namespace, false).into_iter();
        found.extend(wrong.map(|what| FieldError::invalid(field.as_str(), namespace, what)));
    }
    let covered = not_negative(meta, at);
    labels(meta, at, &mut found);
    annotations(meta, at, &mut found);
    owners(meta, at, &mut found);
    finalizers(meta, at, &mut found);
    managers(meta, at, &mut found);
    found.extend(covered);
    found
}

fn update(object: &Value, old: &Value, meta: &Map<String, Value>) -> Vec<FieldError> {
    let at = "metadata";
    let mut found = Vec::new();
    if object::is_deleting(old) {
        found.extend(no_new_finalizers(object, old));
    }
    if text(meta, "resourceVersion").is_empty() {
        found.push(FieldError::invalid(
            "metadata.resourceVersion",
            "",
            "must be specified for an update",
        ));
    }
    let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap_or_default();
    if generation(object) < generation(old) {
        let now = generation(object);
        found.push(FieldError::invalid(
            "metadata.generation",
            now,
            "must not be decremented",
        ));
    }
    for field in ["name", "namespace"] {
        if object::meta(object, field) != object::meta(old, field) {
            let now = object::meta(object, field);
            found.push(FieldError::invalid(format!("metadata.{field}"), now, IMMUTABLE));
        }
    }
    labels(meta, at, &mut found);
    annotations(meta, at, &mut found);
    owners(meta, at, &mut found);
    managers(meta, at, &mut found);
    found.extend(not_negative(meta, at));
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let absent = |value: Option<&Value>| value.filter(|value| !value.is_null() && *value != "").cloned();
        let (now, before) = (absent(meta.get(field)), absent(old["metadata"].get(field)));
        if now != before {
            let shown = now.unwrap_or_else(|| if field == "uid" { "".into() } else { Value::Null });
            found.push(FieldError::invalid(format!("metadata.{field}"), shown, IMMUTABLE));
        }
    }
    found
}

fn no_new_finalizers(object: &Value, old: &Value) -> Option<FieldError> {
    let before: BTreeSet<&str> = object::finalizers(old).collect();
    let now: BTreeSet<&str> = object::finalizers(object).collect();
    let new: Vec<String> = now.difference(&before).map(|name| format!("{name:?}")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        new.join(", ")
    );
    (!new.is_empty()).then(|| FieldError::forbidden("metadata.finalizers", detail))
}

fn not_negative(meta: &Map<String, Value>, at: &str) -> Option<FieldError> {
    let generation = meta
        .get("generation")?
        .as_i64()
        .filter(|generation| *generation < 0)?;
    let field = format!("{at}.generation");
    Some(FieldError::invalid(
        field,
        generation,
        "must be greater than or equal to 0",
    ))
}

fn labels(meta: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    let at = format!("{at}.labels");
    for (key, value) in strings(meta, "labels") {
        found.extend(
            qualified(key)
                .into_iter()
                .map(|what| FieldError::invalid(at.as_str(), key, what)),
        );
        found.extend(
            label_value(value)
                .into_iter()
                .map(|what| FieldError::invalid(at.as_str(), value, what)),
        );
    }
}

fn annotations(meta: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    let at = format!("{at}.annotations");
    let mut size = 0;
    for (key, value) in strings(meta, "annotations") {
        size += key.len() + value.len();
        let wrong = qualified(&key.to_lowercase());
        found.extend(
            wrong
                .into_iter()
                .map(|what| FieldError::invalid(at.as_str(), key, what)),
        );
    }
    if size > MAX_ANNOTATIONS {
        found.push(FieldError {
            kind: FieldErrorKind::TooLong,
            field: at,
            value: None,
            detail: format!("may not be more than {MAX_ANNOTATIONS} bytes"),
        });
    }
}

fn owners(meta: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    let mut controller: Option<String> = None;
    let references = list(meta, "ownerReferences");
    let whole = format!("{at}.ownerReferences");
    let mut late = Vec::new();
    for (index, reference) in references.iter().filter_map(Value::as_object).enumerate() {
        let at = format!("{at}.ownerReferences[{index}]");
        let version = text(reference, "apiVersion");
        let parts: Vec<&str> = version.split('/').collect();
        if !version.is_empty() && (parts.len() > 2 || parts.last().is_some_and(|last| last.is_empty())) {
            let detail = "must be <group>/<version> or <version>";
            found.push(FieldError::invalid(format!("{at}.apiVersion"), version, detail));
        }
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(reference, field).is_empty() {
                late.push(FieldError::required(format!("{at}.{field}"), "must not be empty"));
            }
        }
        if version == "v1" && text(reference, "kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            found.push(FieldError::invalid(
                at.as_str(),
                Value::Object(reference.clone()),
                detail,
            ));
        }
        if reference.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", text(reference, "kind"), text(reference, "name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => found.push(FieldError::invalid(
whole.as_str(),
                    Value::Array(references.to_vec()),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                )),
            }
        }
    }
    found.extend(late);
}

fn finalizers(meta: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    let at = format!("{at}.finalizers");
    let all: Vec<&str> = list(meta, "finalizers")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for finalizer in &all {
        let wrong = qualified(finalizer);
        found.extend(
            wrong
                .into_iter()
                .map(|what| FieldError::invalid(at.as_str(), *finalizer, what)),
        );
    }
    if all.contains(&"orphan") && all.contains(&"foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        found.push(FieldError::invalid(at, Value::from(all), detail));
    }
}

fn managers(meta: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    for (index, entry) in list(meta, "managedFields")
        .iter()
        .filter_map(Value::as_object)
        .enumerate()
    {
        let at = format!("{at}.managedFields[{index}]");
        match text(entry, "operation") {
            "Apply" | "Update" => {}
            "" => found.push(FieldError::required(format!("{at}.operation"), "")),
            other => found.push(FieldError::not_supported(
                format!("{at}.operation"),
                other,
                &["Apply", "Update"],
            )),
        }
        let fields_type = text(entry, "fieldsType");
        if !matches!(fields_type, "" | "FieldsV1") {
            found.push(FieldError::invalid(
                format!("{at}.fieldsType"),
                fields_type,
                "must be `FieldsV1`",
            ));
        }
        let manager = text(entry, "manager");
        if manager.chars().count() > 128 {
            found.push(FieldError {
                kind: FieldErrorKind::TooLong,
                field: format!("{at}.manager"),
                value: None,
                detail: "may not be more than 128 bytes".to_owned(),
            });
        }
        if let Some((index, c)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {index})", c as u32);
            found.push(FieldError::invalid(format!("{at}.manager"), manager, detail));
        }
    }
}

fn text<'a>(meta: &'a Map<String, Value>, field: &str) -> &'a str {
    meta.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(meta: &'a Map<String, Value>, field: &str) -> &'a [Value] {
    meta.get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn strings<'a>(meta: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = meta.get(field).and_then(Value::as_object);
    (map.into_iter().flatten()).filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}
