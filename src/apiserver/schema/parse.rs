//! Reads an `openAPIV3Schema` into a [`Schema`]. Owns the mapping of the JSON onto the type and the bound on its depth.
//! What a schema must obey to be served is `structural`'s; what its facets mean for a value is `validate`'s.
//! Called for every version of a CRD and, without the findings, for built-in types.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::{
    Additional, ListType, Rules, Schema, Type,
    cel::{self, Program},
    default_rules, openapi,
    rules::{Bounds, Pattern},
    structural,
};
use crate::apiserver::field_error::FieldError;

/// How many levels a schema may have; Kubernetes bounds the JSON only.
pub(super) const MAX_DEPTH: usize = 64;

static ANYTHING: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    Arc::new(Schema {
        preserve_unknown: true,
        ..Schema::default()
    })
});

/// Parses the `openAPIV3Schema` of a CRD version, whose root is a whole object.
///
/// # Errors
/// What is not structural or not allowed, a finding each, below `at` (`spec.versions[0].schema.openAPIV3Schema`).
pub fn parse(source: &Value, at: &str) -> Result<Schema, Vec<FieldError>> {
    let facets = openapi::check(source, at);
    let schema = read(source);
    // Where keywords stand that no structural schema has, structure is not asked about.
    let has_alien = facets
        .iter()
        .any(|finding| finding.detail.ends_with(" is not supported"));
    let mut findings = if has_alien {
        Vec::new()
    } else {
        structural::check(source, at)
    };
    if findings.is_empty() && !has_alien {
        findings.extend(default_rules::check(&schema, at));
    }
    findings.extend(facets);
    if findings.is_empty() {
        findings.extend(cel::findings(&schema, at));
    }
    if findings.is_empty() {
        Ok(schema)
    } else {
        Err(findings)
    }
}

/// Reads any OpenAPI v3 schema without `$ref`, asking nothing of it: facets of another type than they should have are
/// ignored, and what lies deeper than 64 levels allows everything.
#[must_use]
pub fn read(source: &Value) -> Schema {
    read_at(source, 0)
}

fn read_at(source: &Value, depth: usize) -> Schema {
    let Some(map) = source.as_object() else {
        return (**ANYTHING).clone();
    };
    let child = |value: &Value| {
        if depth < MAX_DEPTH {
            Arc::new(read_at(value, depth + 1))
        } else {
            ANYTHING.clone()
        }
    };
    let strategy = text(map, "x-kubernetes-patch-strategy").unwrap_or_default();
    let mut schema = Schema {
        kind: kind_of(map),
        nullable: flag(map, "nullable"),
        properties: (map
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten())
        .map(|(name, value)| (name.clone(), child(value)))
        .collect(),
        additional: match map.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Additional::Any),
            Some(value @ Value::Object(_)) => Some(Additional::Of(child(value))),
            _ => None,
        },
        items: map.get("items").filter(|items| items.is_object()).map(child),
        required: texts(map, "required"),
        default: map.get("default").filter(|value| !value.is_null()).cloned(),
        list: match text(map, "x-kubernetes-list-type") {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(texts(map, "x-kubernetes-list-map-keys")),
            _ => ListType::Atomic,
        },
        atomic_map: text(map, "x-kubernetes-map-type") == Some("atomic"),
        preserve_unknown: flag(map, "x-kubernetes-preserve-unknown-fields"),
        embedded_resource: flag(map, "x-kubernetes-embedded-resource"),
        rules: read_rules(map, depth),
        merge_key: text(map, "x-kubernetes-patch-merge-key").map(str::to_owned),
        merge_patch: strategy.split(',').any(|word| word == "merge"),
        retain_keys: strategy.split(',').any(|word| word == "retainKeys"),
        has_cel: false,
    };
    schema.has_cel = has_cel(&schema);
    schema
}

fn has_cel(schema: &Schema) -> bool {
    let values = match &schema.additional {
        Some(Additional::Of(values)) => Some(values),
        _ => None,
    };
    let rules = schema.rules.as_deref();
    rules.is_some_and(|rules| rules.cel.is_some() || rules.all_of.iter().any(|nested| nested.has_cel))
        || (schema.properties.values().chain(&schema.items).chain(values)).any(|child| child.has_cel)
}

fn kind_of(map: &Map<String, Value>) -> Option<Type> {
    if flag(map, "x-kubernetes-int-or-string") {
        return Some(Type::IntOrString);
    }
    Some(match text(map, "type")? {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => return None,
    })
}

fn read_rules(map: &Map<String, Value>, depth: usize) -> Option<Box<Rules>> {
    let nested = |key: &str| -> Vec<Schema> {
        let list = map
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        if depth < MAX_DEPTH {
            list.iter().map(|value| read_at(value, depth + 1)).collect()
        } else {
            Vec::new()
        }
    };
    let not = map.get("not").filter(|not| not.is_object() && depth < MAX_DEPTH);
    let rules = Rules {
        one_of_values: map
            .get("enum")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        format: text(map, "format").map(str::to_owned),
        pattern: text(map, "pattern")
            .filter(|pattern| !pattern.is_empty())
            .map(Pattern::new),
        bounds: Bounds::read(map),
        all_of: nested("allOf"),
        any_of: nested("anyOf"),
        one_of: nested("oneOf"),
        not: not.map(|not| read_at(not, depth + 1)),
        cel: Program::read(map),
    };
    (rules != Rules::default()).then(|| Box::new(rules))
}

/// `map[key]` as a text.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// Whether `map[key]` is `true`.
pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The texts in the list `map[key]`.
pub(super) fn texts(map: &Map<String, Value>, key: &str) -> Vec<String> {
    (map.get(key).and_then(Value::as_array).into_iter().flatten())
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}
