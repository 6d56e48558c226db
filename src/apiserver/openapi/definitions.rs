//! Which definitions a document holds: those that something refers to, and theirs, and no others. Owns how kinds are
//! named, and lists, which all look alike.
//! Called by the builders of both versions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::publish;
use crate::apiserver::kinds::{Definition, Kind};

/// Where definitions are in a document of version 3.
pub const PREFIX: &str = "#/components/schemas/";
/// The package of what all kinds share.
pub const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/// What `/scale` is.
pub const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// The full name of a kind's definition.
pub fn name(kind: &Kind) -> String {
    match kind.definition {
        Definition::BuiltIn(name) => name.to_owned(),
        Definition::Custom(_) => named(kind, &kind.kind),
    }
}

/// The full name of the definition of its list.
pub fn list_name(kind: &Kind) -> String {
    match kind.definition {
        Definition::BuiltIn(name) => format!("{name}List"),
        Definition::Custom(_) => named(kind, &kind.list_kind),
    }
}

/// `dev.supercargo.v1alpha1.DockerHost`: the group backwards, as in the packages of built-in kinds.
fn named(kind: &Kind, word: &str) -> String {
    let group: Vec<_> = kind.version.group.rsplit('.').collect();
    format!("{}.{}.{word}", group.join("."), kind.version.version)
}

/// Every definition that these kinds and `roots` (any JSON with references) need.
pub fn collect<'a>(
    kinds: impl Iterator<Item = &'a Kind>,
    roots: &Value,
    built_in: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let mut own = BTreeMap::new();
    for kind in kinds {
        if let Definition::Custom(schema) = &kind.definition {
            own.insert(name(kind), publish::object(schema, kind));
        }
        if kind.verbs.contains(&"list") && !built_in.contains_key(&list_name(kind)) {
            own.insert(list_name(kind), list(kind));
        }
    }
    let mut wanted = Vec::new();
    references(roots, &mut wanted);
    own.values()
        .for_each(|definition| references(definition, &mut wanted));
    while let Some(name) = wanted.pop() {
        if own.contains_key(&name) {
            continue;
        }
        // One reference that leads nowhere makes clients refuse the whole document.
        let definition = built_in
            .get(&name)
            .cloned()
            .unwrap_or_else(|| json!({ "type": "object" }));
        references(&definition, &mut wanted);
        own.insert(name, definition);
    }
    own
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "$ref" => {
                        into.extend(text.strip_prefix(PREFIX).map(str::to_owned));
                    }
                    value => references(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// A reference to a definition.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PREFIX}{name}") })
}

/// A reference beside which there is a description, which version 3.0 allows only so.
pub fn described(name: &str, description: &str) -> Value {
    json!({ "description": description, "allOf": [reference(name)] })
}

/// `apiVersion` and `kind`.
pub fn type_properties() -> Map<String, Value> {
    let mut properties = Map::new();
    let api_version =
        "The group and version of the kind of this object, or the version alone for the core group.";
    properties.insert(
        "apiVersion".to_owned(),
        json!({ "description": api_version, "type": "string" }),
    );
    let kind = "The kind of this object, in CamelCase. It cannot be changed.";
    properties.insert(
        "kind".to_owned(),
        json!({ "description": kind, "type": "string" }),
    );
    properties
}

/// `x-kubernetes-group-version-kind` of a definition.
pub fn gvk(kind: &Kind, word: &str) -> Value {
    json!([{ "group": &*kind.version.group, "version": &*kind.version.version, "kind": word }])
}

fn list(kind: &Kind) -> Value {
    let mut properties = type_properties();
    let metadata = described(&format!("{META}ListMeta"), "What holds for the list as a whole.");
    properties.insert("metadata".to_owned(), metadata);
    let items = json!({
        "description": format!("The {} found.", kind.resource.resource),
        "type": "array",
        "items": reference(&name(kind)),
    });
    properties.insert("items".to_owned(), items);
    json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": gvk(kind, &kind.list_kind),
    })
}
