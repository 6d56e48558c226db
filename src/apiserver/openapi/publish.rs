//! How the schema of a custom resource is published: as it was written, with what every object has put in. Owns the two
//! dialects: OpenAPI v3, and v2, which cannot say everything; what it cannot say is left out in the way that clients which
//! validate by it (kubectl) let every valid object through. Called by the builders of definitions.
//! The rules are those of `apiextensions-apiserver/pkg/controller/openapi`.

use serde_json::{Map, Value, json};

use super::definitions::{META, described, gvk, type_properties};
use crate::apiserver::kinds::Kind;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
/// What only version 3 can say, besides `nullable`.
const ONLY_THREE: &[&str] = &["allOf", "anyOf", "default", "not", "nullable", "oneOf"];

/// The definition of a custom resource in OpenAPI v3.
pub fn object(schema: &Value, kind: &Kind) -> Value {
    let mut published = embed(unfold(canonical(schema)));
    if !published.is_object() {
        published = json!({});
    }
    published["type"] = "object".into();
    let mut properties = match published["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    properties.extend(type_properties());
    properties.insert("metadata".to_owned(), metadata());
    published["properties"] = properties.into();
    published["x-kubernetes-group-version-kind"] = gvk(kind, &kind.kind);
    if !kind.selectable.is_empty() {
        let fields = kind.selectable.iter();
        let fields: Vec<_> = fields
            .map(|path| json!({ "fieldPath": path.trim_start_matches('.') }))
            .collect();
        published["x-kubernetes-selectable-fields"] = fields.into();
    }
    published
}

fn metadata() -> Value {
    described(
        &format!("{META}ObjectMeta"),
        "What every object has: name, namespace, labels, annotations and more.",
    )
}

/// Applies `change` to a schema and to those inside it, inner ones first. Values (`default`, `enum`, ...) are no schemas.
fn every(schema: Value, change: &dyn Fn(Map<String, Value>) -> Map<String, Value>) -> Value {
    let Value::Object(mut map) = schema else {
        return schema;
    };
    for (key, value) in &mut map {
        match key.as_str() {
            "items" | "additionalProperties" | "not" => *value = every(value.take(), change),
            "properties" => {
                if let Value::Object(properties) = value {
                    properties
                        .values_mut()
                        .for_each(|value| *value = every(value.take(), change));
                }
            }
            "allOf" | "anyOf" | "oneOf" => {
                if let Value::Array(schemas) = value {
                    schemas
                        .iter_mut()
                        .for_each(|value| *value = every(value.take(), change));
                }
            }
            _ => {}
        }
    }
    change(map).into()
}

/// Without what says nothing: `nullable: false`, empty lists and texts, `null`.
fn canonical(schema: &Value) -> Value {
    every(schema.clone(), &|mut map| {
        map.retain(|key, value| match value {
            Value::Null => false,
            // `additionalProperties: false` says a lot.
            Value::Bool(false) => matches!(key.as_str(), "additionalProperties" | "default" | "example"),
            Value::String(text) => !text.is_empty() || matches!(key.as_str(), "default" | "example"),
            Value::Array(items) => !items.is_empty() || matches!(key.as_str(), "default" | "example"),
            _ => true,
        });
        map
    })
}

/// Spells out what `x-kubernetes-int-or-string` means.
fn unfold(schema: Value) -> Value {
    every(schema, &|mut map| {
        if map.get(INT_OR_STRING) == Some(&Value::Bool(true)) {
            let either = json!([{ "type": "integer" }, { "type": "string" }]);
            let first = map
                .get("allOf")
                .and_then(|all| all.get(0))
                .and_then(|first| first.get("anyOf"));
            if first != Some(&either) && !map.contains_key("anyOf") {
                map.insert("anyOf".to_owned(), either);
            }
        }
        map
    })
}

/// Gives embedded objects what every object has.
fn embed(schema: Value) -> Value {
    every(schema, &|mut map| {
        if map.get(EMBEDDED) != Some(&Value::Bool(true)) {
            return map;
        }
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            properties.extend(type_properties());
            properties.insert("metadata".to_owned(), metadata());
        }
        let required = map.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(required) = required {
            for name in ["kind", "apiVersion"] {
                if !required.iter().any(|known| known == name) {
                    required.push(name.into());
                }
            }
        }
        map
    })
}

/// The same in OpenAPI v2: a definition of version 3, built in or custom.
pub fn lower(definition: &Value, custom: bool) -> Value {
    let Value::Object(map) = definition else {
        return definition.clone();
    };
    // Whoever validates by this would refuse every field that is not listed, so that none is listed.
    if custom && map.get(PRESERVE) == Some(&Value::Bool(true)) {
        let mut open = Map::new();
        for key in ["type", "description", "x-kubernetes-group-version-kind"] {
            open.extend(map.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        return open.into();
    }
    lower_node(map, custom)
}

fn lower_node(map: &Map<String, Value>, custom: bool) -> Value {
    if let Some(reference) = only_reference(map) {
        let mut out = Map::new();
        out.extend(
            map.get("description")
                .map(|text| ("description".to_owned(), text.clone())),
        );
        out.insert(
            "$ref".to_owned(),
            reference.replace("/components/schemas/", "/definitions/").into(),
        );
        return out.into();
    }
    let yes = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let untyped = yes("nullable") || yes(PRESERVE);
    let mut out = Map::new();
    for (key, value) in map {
        if ONLY_THREE.contains(&key.as_str()) || (untyped && matches!(key.as_str(), "items" | "properties")) {
            continue;
        }
        let value = match (key.as_str(), value) {
            ("items" | "additionalProperties", Value::Object(inner)) => lower_node(inner, custom),
            ("properties", Value::Object(inner)) => lower_properties(inner, custom),
            ("required", Value::Array(names)) => match lower_required(map, names) {
                names if names.is_empty() => continue,
                names => names.into(),
            },
            (_, value) => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    retype(map, &mut out, custom);
    out.into()
}

fn lower_properties(properties: &Map<String, Value>, custom: bool) -> Value {
    let lowered = properties.iter().map(|(name, value)| {
        let lowered = value.as_object().map(|inner| lower_node(inner, custom));
        (name.clone(), lowered.unwrap_or_default())
    });
    lowered.collect::<Map<_, _>>().into()
}

/// `null` would be no value of these fields in version 2, so that they must not be asked for.
fn lower_required(map: &Map<String, Value>, names: &[Value]) -> Vec<Value> {
    let nullable =
        |schema: Option<&Value>| schema.and_then(|schema| schema.get("nullable")) == Some(&Value::Bool(true));
    if map.get(EMBEDDED) == Some(&Value::Bool(true)) && map.get(PRESERVE) == Some(&Value::Bool(true)) {
        // `apiVersion` and `kind` are not listed there, either.
        return names
            .iter()
            .filter(|name| *name != "kind" && *name != "apiVersion")
            .cloned()
            .collect();
    }
    if nullable(map.get("additionalProperties")) {
        return Vec::new();
    }
    let keep = |name: &&Value| {
        !nullable(
            map.get("properties")
                .and_then(|properties| properties.get(name.as_str().unwrap_or_default())),
        )
    };
    names.iter().filter(keep).cloned().collect()
}

/// A type that says less than the values may be is worse than none.
fn retype(map: &Map<String, Value>, out: &mut Map<String, Value>, custom: bool) {
    let yes = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    let array_of_anything = kind == "array" && !out.contains_key("items");
    if yes("nullable") || array_of_anything || (yes(PRESERVE) && kind == "object") {
        out.remove("type");
    }
    // Built-in kinds with a choice (a quantity, a port) are texts in version 2.
    if !custom && kind.is_empty() {
        let choice = map.get("oneOf").and_then(Value::as_array);
        if choice.is_some_and(|choice| choice.iter().any(|one| one["type"] == "string")) {
            out.insert("type".to_owned(), "string".into());
        }
    }
}

/// The reference that a node is, bare or beside a description.
fn only_reference(map: &Map<String, Value>) -> Option<&str> {
    let bare = map.get("$ref").and_then(Value::as_str);
    bare.or_else(|| match map.get("allOf")?.as_array()?.as_slice() {
        [one] => one.get("$ref")?.as_str(),
        _ => None,
    })
}
