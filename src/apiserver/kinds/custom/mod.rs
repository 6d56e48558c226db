//! From the object of a CRD (`apiextensions.k8s.io/v1`, as JSON) to what is served: its kinds, one per served version.
//! Owns the CRD's defaults, what the server sets in it, and its [`Kind`]s. `check` judges a CRD, `names` says which names
//! it gets. Called when a CRD is written and when the set of kinds is made. Pure.

mod check;
mod facets;
mod names;
mod rules;

use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use check::validate;
pub use facets::warnings;
pub use names::{accepted, is_established, status, terminating};
pub use rules::DefinitionRules;

use super::{CellSource, Column, Definition, Kind, Scale};
use crate::apiserver::{
    names::GroupVersion,
    object,
    schema::{self, Schema},
};

/// In the order in which the real server names those of a custom resource, which `kubectl api-resources` shows.
const IN_UPSTREAM_ORDER: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// The finalizer under which a CRD waits for its objects.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What the API documentation says of `metadata.creationTimestamp`.
const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// Fills in what a CRD may leave out: `singular`, `listKind`, `conversion`.
pub fn set_defaults(definition: &mut Value) {
    let spec = object::entry(definition, "spec");
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.insert("conversion".to_owned(), json!({"strategy": "None"}));
    }
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else {
        return;
    };
    let kind = text(names, "kind").to_owned();
    if text(names, "singular").is_empty() && !kind.is_empty() {
        names.insert("singular".to_owned(), kind.to_lowercase().into());
    }
    if text(names, "listKind").is_empty() && !kind.is_empty() {
        names.insert("listKind".to_owned(), format!("{kind}List").into());
    }
}

/// A create: the status is the server's, with the storage version as the only stored one.
pub fn prepare_create(definition: &mut Value) {
    set_defaults(definition);
    let stored: Vec<Value> = storage_version(definition).into_iter().map(Value::from).collect();
    if let Some(map) = definition.as_object_mut() {
        // As Go writes a status of which nothing but the stored versions is known.
        let nothing = json!({"kind": "", "plural": ""});
        let status = json!({"conditions": null, "acceptedNames": nothing, "storedVersions": stored});
        map.insert("status".to_owned(), status);
    }
}

/// An update: the status stays; a new storage version is added to the stored ones.
pub fn prepare_update(definition: &mut Value, old: &Value) {
    set_defaults(definition);
    let stays = old.get("status").filter(|status| status.is_object());
    let mut status = stays.cloned().unwrap_or_else(|| json!({}));
    if let Some(version) = storage_version(definition) {
        let slot = &mut status["storedVersions"];
        if !slot.is_array() {
            *slot = json!([]);
        }
        if let Some(stored) = slot
            .as_array_mut()
            .filter(|stored| !stored.contains(&version.into()))
        {
            stored.push(version.into());
        }
    }
    if let Some(map) = definition.as_object_mut() {
        map.insert("status".to_owned(), status);
    }
}

/// The name of the version that is stored.
#[must_use]
pub fn storage_version(definition: &Value) -> Option<&str> {
    let storage = |version: &&Map<String, Value>| version.get("storage") == Some(&Value::Bool(true));
    versions(definition)
        .find(storage)
        .map(|version| text(version, "name"))
}

/// The kinds that an established CRD serves, in the order of its versions; none before it is established. A version whose
/// schema has findings is read as far as it goes: such a CRD was accepted by another server.
#[must_use]
pub fn kinds(definition: &Value) -> Vec<Kind> {
    let empty = Map::new();
    let spec = map(definition.get("spec"), &empty);
    let names = map(definition.pointer("/status/acceptedNames"), &empty);
    if !is_established(definition) {
        return Vec::new();
    }
    let group = text(spec, "group");
    let storage = storage_version(definition).unwrap_or_default();
    versions(definition)
        .filter(|version| version.get("served") == Some(&Value::Bool(true)))
        .map(|version| one(group, spec, names, version, storage))
        .collect()
}

fn one(
    group: &str,
    spec: &Map<String, Value>,
    names: &Map<String, Value>,
    version: &Map<String, Value>,
    storage: &str,
) -> Kind {
    let empty = Map::new();
    let source = (version
        .get("schema")
        .and_then(|schema| schema.get("openAPIV3Schema")))
    .cloned();
    let source =
        source.unwrap_or_else(|| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let subresources = map(version.get("subresources"), &empty);
    let scale = subresources
        .get("scale")
        .and_then(Value::as_object)
        .map(|scale| Scale {
            spec_replicas: text(scale, "specReplicasPath").to_owned(),
            status_replicas: text(scale, "statusReplicasPath").to_owned(),
            label_selector: Some(text(scale, "labelSelectorPath"))
                .filter(|path| !path.is_empty())
                .map(str::to_owned),
        });
    let served = GroupVersion::new(group, text(version, "name"));
    Kind {
        list_kind: text(names, "listKind").into(),
        singular: text(names, "singular").into(),
        short_names: texts(names, "shortNames"),
        categories: texts(names, "categories"),
        namespaced: text(spec, "scope") == "Namespaced",
        verbs: IN_UPSTREAM_ORDER,
        status: subresources.get("status").is_some_and(Value::is_object),
        rules: Arc::new(rules::CustomRules::new(
            scale.clone(),
            deprecation(group, names, version),
        )),
        scale,
        storage_version: GroupVersion::new(group, storage),
        schema: Arc::new(whole(schema::read(&source))),
        definition: Definition::Custom(Arc::new(source)),
        columns: columns(version),
        selectable: selectable(version),
        ..Kind::bare(served, text(names, "kind"), text(names, "plural"))
    }
}

/// The schema with `apiVersion`, `kind` and `metadata`; of the CRD's own schema of `metadata` the names' rules remain.
#[must_use]
pub fn whole(mut schema: Schema) -> Schema {
    let mut meta = schema::object_meta();
    if let Some(own) = schema.properties.get("metadata") {
        for name in ["name", "generateName"] {
            if let Some(rule) = own.properties.get(name) {
                Arc::make_mut(&mut meta)
                    .properties
                    .insert(name.to_owned(), rule.clone());
            }
        }
    }
    schema.properties.insert("metadata".to_owned(), meta);
    for name in ["apiVersion", "kind"] {
        let text = Schema {
            kind: Some(schema::Type::String),
            ..Schema::default()
        };
        schema
            .properties
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(text));
    }
    schema
}

/// The text for a `Warning` header when the version is deprecated.
fn deprecation(group: &str, names: &Map<String, Value>, version: &Map<String, Value>) -> Option<String> {
    let deprecated = version.get("deprecated") == Some(&Value::Bool(true));
    deprecated.then(|| match text(version, "deprecationWarning") {
        "" => format!(
            "{group}/{} {} is deprecated",
            text(version, "name"),
            text(names, "kind")
        ),
        said => said.to_owned(),
    })
}

fn columns(version: &Map<String, Value>) -> Vec<Column> {
    let given = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let columns: Vec<Column> = (given.into_iter().flatten())
        .filter_map(Value::as_object)
        .map(|column| Column {
            name: text(column, "name").to_owned(),
            kind: text(column, "type").to_owned(),
            format: text(column, "format").to_owned(),
            description: text(column, "description").to_owned(),
            priority: column
                .get("priority")
                .and_then(Value::as_i64)
                .map_or(0, |priority| i32::try_from(priority).unwrap_or(0)),
            source: CellSource::Path(text(column, "jsonPath").to_owned()),
        })
        .collect();
    if !columns.is_empty() {
        return columns;
    }
    vec![Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: AGE.to_owned(),
        priority: 0,
        source: CellSource::Path(".metadata.creationTimestamp".to_owned()),
    }]
}

fn selectable(version: &Map<String, Value>) -> Vec<String> {
    let given = version.get("selectableFields").and_then(Value::as_array);
    (given.into_iter().flatten())
        .filter_map(|field| field.get("jsonPath")?.as_str())
        .map(|path| path.trim_start_matches('.').to_owned())
        .collect()
}

/// `spec.versions`, each an object.
fn versions(definition: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    versions.into_iter().flatten().filter_map(Value::as_object)
}

fn map<'a>(value: Option<&'a Value>, empty: &'a Map<String, Value>) -> &'a Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(empty)
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts(map: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = map.get(key).and_then(Value::as_array);
    (list.into_iter().flatten())
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod custom_tests;
