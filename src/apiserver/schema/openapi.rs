//! Which facets a schema may have, and which together. Owns the findings of each node
//! (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`). Called by `parse`, after `structural`.

use serde_json::{Map, Value};

use super::parse::{MAX_DEPTH, flag, text, texts};
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
    map_type(map, at, found);
    list_type(map, at, found);
    list_keys(map, at, found);
    set_or_map(map, at, found);
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

fn map_type(map: &Node, at: &str, found: &mut Vec<FieldError>) {
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let field = format!("{at}.x-kubernetes-preserve-unknown-fields");
        found.push(FieldError::invalid(field, false, "must be true or undefined"));
    }
    let Some(map_type) = text(map, "x-kubernetes-map-type") else {
        return;
    };
    must_be(
        map,
        "object",
        "must be object if x-kubernetes-map-type is specified",
        at,
        found,
    );
    if !matches!(map_type, "atomic" | "granular") {
        let field = format!("{at}.x-kubernetes-map-type");
        found.push(FieldError::not_supported(
            field,
            map_type,
            &["atomic", "granular"],
        ));
    }
}

fn must_be(map: &Node, kind: &str, detail: &str, at: &str, found: &mut Vec<FieldError>) -> bool {
    let actual = text(map, "type").unwrap_or_default();
    if actual == kind {
        return true;
    }
    let field = format!("{at}.type");
    found.push(if actual.is_empty() {
        FieldError::required(field, detail)
    } else {
        FieldError::invalid(field, actual, detail)
    });
    false
}

fn list_type(map: &Node, at: &str, found: &mut Vec<FieldError>) {
    let Some(list_type) = text(map, "x-kubernetes-list-type") else {
        return;
    };
    let is_array = must_be(
        map,
        "array",
        "must be array if x-kubernetes-list-type is specified",
        at,
        found,
    );
    let items = map.get("items").and_then(Value::as_object);
    if let (true, "set", Some(items)) = (is_array, list_type, items) {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let inner_list = text(items, "x-kubernetes-list-type");
        let shown = || inner_list.map_or(Value::Null, Value::from);
        match text(items, "type") {
            Some("array") if inner_list.is_some_and(|inner| inner != "atomic") => {
                found.push(FieldError::invalid(
                    format!("{at}.items.x-kubernetes-list-type"),
                    shown(),
                    detail,
                ));
            }
            Some("object") if text(items, "x-kubernetes-map-type") != Some("atomic") => {
                found.push(FieldError::invalid(
                    format!("{at}.items.x-kubernetes-map-type"),
                    shown(),
                    detail,
                ));
            }
            _ => {}
        }
    }
    if !matches!(list_type, "atomic" | "set" | "map") {
        let field = format!("{at}.x-kubernetes-list-type");
        found.push(FieldError::not_supported(
            field,
            list_type,
            &["atomic", "set", "map"],
        ));
    }
}

fn list_keys(map: &Node, at: &str, found: &mut Vec<FieldError>) {
    let keys = texts(map, "x-kubernetes-list-map-keys");
    let list_type = text(map, "x-kubernetes-list-type");
    if !keys.is_empty() && list_type != Some("map") {
        let (field, detail) = (
            format!("{at}.x-kubernetes-list-type"),
            "must be map if x-kubernetes-list-map-keys is non-empty",
        );
        found.push(match list_type {
            None => FieldError::required(field, detail),
            Some(other) => FieldError::invalid(field, other, detail),
        });
    }
    if list_type != Some("map") {
        return;
    }
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        found.push(FieldError::required(
            format!("{at}.x-kubernetes-list-map-keys"),
            detail,
        ));
    }
    let Some(items) = map.get("items").and_then(Value::as_object) else {
        if map.get("items").is_none_or(Value::is_null) {
            let detail = "must have a schema if x-kubernetes-list-type is map";
            found.push(FieldError::required(format!("{at}.items"), detail));
        }
        return;
    };
    let kind = text(items, "type").unwrap_or_default();
    if kind != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        found.push(FieldError::invalid(format!("{at}.items.type"), kind, detail));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        let field = format!("{at}.x-kubernetes-list-map-keys");
        match items
            .get("properties")
            .and_then(|all| all.get(key))
            .and_then(Value::as_object)
        {
            Some(property) if matches!(text(property, "type"), Some("array" | "object")) => {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                found.push(FieldError::invalid(
                    format!("{at}.items.properties[{key}].type"),
                    kind,
                    detail,
                ));
            }
            Some(_) => {}
            None => {
                let detail = "entries must all be names of item properties";
                found.push(FieldError::invalid(field.as_str(), keys.clone(), detail));
            }
        }
        if keys[..index].contains(key) {
            found.push(FieldError::invalid(
                field,
                keys.clone(),
                "must not contain duplicate entries",
            ));
        }
    }
}

/// Items of sets and maps are never null, and keys are always there.
fn set_or_map(map: &Node, at: &str, found: &mut Vec<FieldError>) {
    let Some(list_type @ ("set" | "map")) = text(map, "x-kubernetes-list-type") else {
        return;
    };
    let Some(items) = map.get("items").and_then(Value::as_object) else {
        return;
    };
    if flag(items, "nullable") {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        found.push(FieldError::forbidden(format!("{at}.items.nullable"), detail));
    }
    if list_type == "set" {
        return;
    }
    let required = texts(items, "required");
    for key in texts(map, "x-kubernetes-list-map-keys") {
        let Some(property) = items
            .get("properties")
            .and_then(|all| all.get(&key))
            .and_then(Value::as_object)
        else {
            continue;
        };
        let at = format!("{at}.items.properties[{key}]");
        if !required.contains(&key) && property.get("default").is_none_or(Value::is_null) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            found.push(FieldError::required(format!("{at}.default"), detail));
        }
        if flag(property, "nullable") {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            found.push(FieldError::forbidden(format!("{at}.nullable"), detail));
        }
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
