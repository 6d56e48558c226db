//! Which facets a schema may have, and which together. Owns the findings of each node
//! (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`). Called by `parse`, after `structural`.

use serde_json::{Map, Value};

use super::{
    openapi_lists,
    parse::{MAX_DEPTH, flag, text},
};
use crate::apiserver::field_error::FieldError;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

type Node = Map<String, Value>;

/// What an ancestor forbids.
#[derive(Clone, Copy, Default)]
struct Scope {
    /// Why there may be no default.
    no_defaults: Option<&'static str>,
    in_metadata: bool,
    root: bool,
}

/// The findings of `source`, the schema of a whole custom resource, at `at`.
pub(super) fn check(source: &Value, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    let scope = Scope {
        root: true,
        ..Scope::default()
    };
    if let Some(root) = source.as_object() {
        node(root, at, scope, &mut found, 0);
    }
    found
}

fn node(map: &Node, at: &str, scope: Scope, found: &mut Vec<FieldError>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    forbidden(map, at, scope, found);
    if flag(map, "uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        found.push(FieldError::forbidden(format!("{at}.uniqueItems"), detail));
    }
    children(map, at, scope, found, depth);
    openapi_lists::check(map, at, found);
    for (index, rule) in map
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let empty = Map::new();
        let rule_map = rule.as_object().unwrap_or(&empty);
        rule_fields(
            map,
            rule_map,
            &format!("{at}.x-kubernetes-validations[{index}]"),
            found,
        );
    }
}

fn forbidden(map: &Node, at: &str, scope: Scope, found: &mut Vec<FieldError>) {
    let kind = text(map, "type").unwrap_or_default();
    if !kind.is_empty() && !TYPES.contains(&kind) {
        found.push(FieldError::not_supported(format!("{at}.type"), kind, &TYPES));
    }
    if let (Some(reason), true) = (
        scope.no_defaults,
        map.get("default").is_some_and(|value| !value.is_null()),
    ) {
        found.push(FieldError::forbidden(
            format!("{at}.default"),
            format!("must not be set {reason}"),
        ));
    }
    let set = |key: &str| {
        map.get(key)
            .is_some_and(|value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()))
    };
    for key in [
        "id",
        "additionalItems",
        "patternProperties",
        "definitions",
        "dependencies",
        "$ref",
    ] {
        if set(key) && map.get(key).and_then(Value::as_str) != Some("") {
            found.push(FieldError::forbidden(
                format!("{at}.{key}"),
                format!("{key} is not supported"),
            ));
        }
    }
    if kind == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        found.push(FieldError::forbidden(format!("{at}.type"), detail));
    }
    if map.get("items").is_some_and(Value::is_array) {
        let detail = "items must be a schema object and not an array";
        found.push(FieldError::forbidden(format!("{at}.items"), detail));
    }
    if scope.in_metadata && flag(map, "x-kubernetes-embedded-resource") {
        let detail = "must not be used inside of resource meta";
        found.push(FieldError::forbidden(
            format!("{at}.x-kubernetes-embedded-resource"),
            detail,
        ));
    }
}

fn children(map: &Node, at: &str, scope: Scope, found: &mut Vec<FieldError>, depth: usize) {
    let inner = Scope { root: false, ..scope };
    let properties = map.get("properties").and_then(Value::as_object);
    if let Some(additional) = map.get("additionalProperties").filter(|value| !value.is_null()) {
        let at = format!("{at}.additionalProperties");
        if properties.is_some_and(|all| !all.is_empty()) && *additional != Value::Bool(true) {
            found.push(FieldError::forbidden(
                at.as_str(),
                "additionalProperties and properties are mutual exclusive",
            ));
        }
        if let Some(values) = additional.as_object() {
            let mut scope = inner;
            if scope.in_metadata {
                scope.no_defaults = Some("inside additionalProperties applying to object metadata");
            }
            node(values, &at, scope, found, depth + 1);
        }
    }
    for (name, child) in properties.into_iter().flatten() {
        let mut scope_of_child = inner;
        if (scope.root || flag(map, "x-kubernetes-embedded-resource"))
            && matches!(name.as_str(), "metadata" | "kind" | "apiVersion")
        {
            scope_of_child.in_metadata = true;
            if scope.root {
                scope_of_child.no_defaults = Some(match name.as_str() {
                    "metadata" => "in top-level metadata",
                    "kind" => "in top-level kind",
                    _ => "in top-level apiVersion",
                });
            }
        }
        if let Some(child) = child.as_object() {
            node(
                child,
                &format!("{at}.properties[{name}]"),
                scope_of_child,
                found,
                depth + 1,
            );
        }
    }
    if let Some(not) = map.get("not").and_then(Value::as_object) {
        node(not, &format!("{at}.not"), inner, found, depth + 1);
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        let list = map.get(key).and_then(Value::as_array).into_iter().flatten();
        for (index, child) in list.filter_map(Value::as_object).enumerate() {
            node(child, &format!("{at}.{key}[{index}]"), inner, found, depth + 1);
        }
    }
    if let Some(items) = map.get("items").and_then(Value::as_object) {
        node(items, &format!("{at}.items"), inner, found, depth + 1);
    }
}

fn rule_fields(map: &Node, rule: &Node, at: &str, found: &mut Vec<FieldError>) {
    let get = |key: &str| text(rule, key).unwrap_or_default();
    let (source, message) = (get("rule"), get("message"));
    let broken = |text: &str| text.contains(['\n', '\r']);
    if source.trim().is_empty() {
        found.push(FieldError::required(
            format!("{at}.rule"),
            "rule is not specified",
        ));
    } else if !message.is_empty() && message.trim().is_empty() {
        found.push(FieldError::invalid(
            format!("{at}.message"),
            message,
            "must be non-empty if specified",
        ));
    } else if broken(message.trim()) {
        found.push(FieldError::invalid(
            format!("{at}.message"),
            message,
            "must not contain line breaks",
        ));
    } else if broken(source.trim()) && message.trim().is_empty() {
        let detail = "message must be specified if rule contains line breaks";
        found.push(FieldError::required(format!("{at}.message"), detail));
    }
    let expression = get("messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        let detail = "messageExpression must be non-empty if specified";
        found.push(FieldError::required(format!("{at}.messageExpression"), detail));
    }
    if let Some(reason) = text(rule, "reason").filter(|reason| !REASONS.contains(reason)) {
        found.push(FieldError::not_supported(
            format!("{at}.reason"),
            reason,
            &REASONS,
        ));
    }
    let path = get("fieldPath");
    if path.is_empty() {
        return;
    }
    let field = format!("{at}.fieldPath");
    if path.trim().is_empty() {
        found.push(FieldError::invalid(
            field.as_str(),
            path,
            "must be non-empty if specified",
        ));
    }
    if broken(path) {
        found.push(FieldError::invalid(
            field.as_str(),
            path,
            "must not contain line breaks",
        ));
    }
    if find(map, path).is_none() {
        found.push(FieldError::invalid(field, path, "must be a valid path"));
    }
}

/// The schema of the field at `path` (`.a.b`, `['a'].b`) below the schema `node`, both as JSON.
#[must_use]
pub fn find<'a>(node: &'a Map<String, Value>, path: &str) -> Option<&'a Map<String, Value>> {
    let mut node = node;
    let mut rest = path;
    while !rest.is_empty() {
        let name = if let Some(after) = rest.strip_prefix("['") {
            let end = after.find("']")?;
            rest = &after[end + 2..];
            &after[..end]
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            rest = &after[end..];
            &after[..end]
        };
        node = match node.get("properties").and_then(Value::as_object) {
            Some(properties) => properties.get(name)?.as_object()?,
            None => node.get("additionalProperties")?.as_object()?,
        };
    }
    Some(node)
}
