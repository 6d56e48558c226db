//! What makes a schema structural: each field has a type, compositions only restrict, metadata is left alone. Owns the
//! findings (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema`), in the order of their texts. Builds nothing.
//! Called by `parse`.

use serde_json::{Map, Value};

use super::{
    parse::{MAX_DEPTH, flag, text},
    rules::compile,
};
use crate::apiserver::field_error::FieldError;

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

type Node = Map<String, Value>;

/// The findings of `source`, the schema of a whole custom resource, at `at`.
pub(super) fn check(source: &Value, at: &str) -> Vec<FieldError> {
    let Some(root) = source.as_object() else {
        return vec![FieldError::required(at, "")];
    };
    let mut found = Vec::new();
    invariants(root, Level::Root, at, &mut found, 0);
    for (index, kind) in ["allOf", "anyOf", "oneOf"].iter().flat_map(|kind| {
        list(root, kind)
            .enumerate()
            .map(move |(index, node)| ((index, node), kind))
    }) {
        completeness(
            index.1,
            Some(root),
            at,
            &format!("{at}.{kind}[{}]", index.0),
            &mut found,
        );
    }
    if let Some(not) = root.get("not").and_then(Value::as_object) {
        completeness(not, Some(root), at, &format!("{at}.not"), &mut found);
    }
    found.sort_by_key(ToString::to_string);
    found
}

/// The child schemas of a composition.
fn list<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> {
    let items = node.get(key).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_object)
}

/// `properties`.
pub(super) fn properties(node: &Node) -> impl Iterator<Item = (&String, &Node)> {
    let map = node.get("properties").and_then(Value::as_object);
    (map.into_iter().flatten()).filter_map(|(name, value)| Some((name, value.as_object()?)))
}

fn invariants(node: &Node, level: Level, at: &str, found: &mut Vec<FieldError>, depth: usize) {
    if depth > MAX_DEPTH {
        found.push(FieldError::forbidden(
            at,
            format!("a schema may have at most {MAX_DEPTH} levels"),
        ));
        return;
    }
    let kind = text(node, "type").unwrap_or_default();
    let items = node.get("items").and_then(Value::as_object);
    if kind == "array" && node.get("items").is_none_or(Value::is_null) {
        found.push(FieldError::required(format!("{at}.items"), "must be specified"));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, &format!("{at}.items"), found, depth + 1);
    }
    for (name, child) in properties(node) {
        invariants(
            child,
            Level::Field,
            &format!("{at}.properties[{name}]"),
            found,
            depth + 1,
        );
    }
    let additional = node.get("additionalProperties").filter(|value| !value.is_null());
    if let Some(additional) = additional {
        let at = format!("{at}.additionalProperties");
        if level == Level::Root {
            found.push(FieldError::forbidden(at.as_str(), "must not be used at the root"));
        }
        if let Some(values) = additional.as_object() {
            invariants(values, Level::Field, &at, found, depth + 1);
        }
    }
    extensions(node, at, found);
    compositions(
        node,
        is_int_or_string(node),
        is_all_of_int_or_string(node),
        at,
        found,
        depth,
    );
    typed(node, kind, level, at, found);
    embedded(node, additional.is_some(), at, found);
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        found.push(FieldError::invalid(
            format!("{at}.type"),
            kind,
            "must be object at the root",
        ));
    }
    metadata(node, level, at, found);
}

fn extensions(node: &Node, at: &str, found: &mut Vec<FieldError>) {
    if flag(node, "x-kubernetes-int-or-string") {
        for key in [
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-embedded-resource",
        ] {
            if flag(node, key) {
                let detail = "must be false if x-kubernetes-int-or-string is true";
                found.push(FieldError::invalid(format!("{at}.{key}"), true, detail));
            }
        }
    }
}

fn typed(node: &Node, kind: &str, level: Level, at: &str, found: &mut Vec<FieldError>) {
    let at = format!("{at}.type");
    if flag(node, "x-kubernetes-embedded-resource") && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        found.push(if kind.is_empty() {
            FieldError::required(at, detail)
        } else {
            FieldError::invalid(at, kind, detail)
        });
    } else if kind.is_empty()
        && !flag(node, "x-kubernetes-int-or-string")
        && !flag(node, "x-kubernetes-preserve-unknown-fields")
    {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        found.push(FieldError::required(at, detail));
    }
}

fn embedded(node: &Node, additional: bool, at: &str, found: &mut Vec<FieldError>) {
    if !flag(node, "x-kubernetes-embedded-resource") {
        return;
    }
    if additional {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        found.push(FieldError::forbidden(
            format!("{at}.additionalProperties"),
            detail,
        ));
    }
    if !flag(node, "x-kubernetes-preserve-unknown-fields") && properties(node).next().is_none() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        found.push(FieldError::required(format!("{at}.properties"), detail));
    }
}

/// `apiVersion`, `kind` and `metadata` of a whole object are given.
fn metadata(node: &Node, level: Level, at: &str, found: &mut Vec<FieldError>) {
    let whole = level == Level::Root || flag(node, "x-kubernetes-embedded-resource");
    let child = |name: &str| node.get("properties")?.get(name)?.as_object();
    for name in ["kind", "apiVersion"] {
        let kind = child(name).map(|child| text(child, "type").unwrap_or_default());
        if let Some(kind) = kind.filter(|kind| whole && *kind != "string") {
            found.push(FieldError::invalid(
                format!("{at}.properties[{name}].type"),
                kind,
                "must be string",
            ));
        }
    }
    let Some(meta) = child("metadata") else { return };
    let at = format!("{at}.properties[metadata]");
    let kind = text(meta, "type").unwrap_or_default();
    if whole && kind != "object" {
        found.push(FieldError::invalid(format!("{at}.type"), kind, "must be object"));
    }
    let restricts_more = meta.iter().any(|(key, value)| match key.as_str() {
        "type" | "default" => false,
        "properties" => value.as_object().is_some_and(|names| {
            names
                .keys()
                .any(|name| !matches!(name.as_str(), "name" | "generateName"))
        }),
        _ => !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some(""),
    });
    if level == Level::Root && restricts_more {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        found.push(FieldError::forbidden(at, detail));
    }
}

/// `anyOf: [{type: integer}, {type: string}]`, which goes with `x-kubernetes-int-or-string`.
fn is_int_or_string(node: &Node) -> bool {
    let pattern = serde_json::json!([{"type": "integer"}, {"type": "string"}]);
    node.get("anyOf") == Some(&pattern)
}

fn is_all_of_int_or_string(node: &Node) -> bool {
    list(node, "allOf").next().is_some_and(is_int_or_string)
}

fn compositions(
    node: &Node,
    skip_any_of: bool,
    skip_in_first: bool,
    at: &str,
    found: &mut Vec<FieldError>,
    depth: usize,
) {
    for key in ["anyOf", "allOf", "oneOf"] {
        if key == "anyOf" && skip_any_of {
            continue;
        }
        for (index, child) in list(node, key).enumerate() {
            let skip = key == "allOf" && skip_in_first && index == 0;
            nested(child, skip, &format!("{at}.{key}[{index}]"), found, depth + 1);
        }
    }
    if let Some(not) = node.get("not").and_then(Value::as_object) {
        nested(not, false, &format!("{at}.not"), found, depth + 1);
    }
    if let Some(pattern) = text(node, "pattern").filter(|pattern| !pattern.is_empty())
        && let Err(mistake) = compile(pattern)
    {
        let detail =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {mistake}");
        found.push(FieldError::invalid(format!("{at}.pattern"), pattern, detail));
    }
}

/// A schema inside of a composition: it may only restrict.
fn nested(node: &Node, skip_any_of: bool, at: &str, found: &mut Vec<FieldError>, depth: usize) {
    if depth > MAX_DEPTH {
        found.push(FieldError::forbidden(
            at,
            format!("a schema may have at most {MAX_DEPTH} levels"),
        ));
        return;
    }
    compositions(node, skip_any_of, false, at, found, depth);
    if let Some(items) = node.get("items").and_then(Value::as_object) {
        nested(items, false, &format!("{at}.items"), found, depth + 1);
    }
    for (name, child) in properties(node) {
        nested(
            child,
            false,
            &format!("{at}.properties[{name}]"),
            found,
            depth + 1,
        );
    }
    let is_empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    for (key, detail) in [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            "must be false to be structural",
        ),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        let set = node
            .get(key)
            .is_some_and(|value| !is_empty(value) || (key == "additionalProperties" && value.is_boolean()));
        if set {
            found.push(FieldError::forbidden(format!("{at}.{key}"), detail));
        }
    }
    if node
        .get("properties")
        .and_then(|all| all.get("metadata"))
        .is_some()
    {
        let detail = "must not be specified in a nested context";
        found.push(FieldError::forbidden(
            format!("{at}.properties[metadata]"),
            detail,
        ));
    }
}

/// What a composition speaks of must be there outside of it.
fn completeness(nested: &Node, outer: Option<&Node>, at: &str, from: &str, found: &mut Vec<FieldError>) {
    let Some(outer) = outer else {
        found.push(FieldError::required(
            at,
            format!("because it is defined in {from}"),
        ));
        return;
    };
    for key in ["allOf", "anyOf", "oneOf"] {
        for (index, child) in list(nested, key).enumerate() {
            completeness(child, Some(outer), at, &format!("{from}.{key}[{index}]"), found);
        }
    }
    if let Some(not) = nested.get("not").and_then(Value::as_object) {
        completeness(not, Some(outer), at, &format!("{from}.not"), found);
    }
    let items = |node: &'_ Node| node.get("items").and_then(Value::as_object).cloned();
    if let Some(inner) = items(nested) {
        completeness(
            &inner,
            items(outer).as_ref(),
            &format!("{at}.items"),
            &format!("{from}.items"),
            found,
        );
    }
    for (name, inner) in properties(nested) {
        let (at, from) = (
            format!("{at}.properties[{name}]"),
            format!("{from}.properties[{name}]"),
        );
        let child = outer
            .get("properties")
            .and_then(|all| all.get(name))
            .and_then(Value::as_object);
        completeness(inner, child, &at, &from, found);
    }
}
