//! Which types lists and maps may have (`x-kubernetes-list-type`, `x-kubernetes-map-type`), and what keys must obey. Owns the
//! findings of each node (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`). Called by `openapi`.

use serde_json::{Map, Value};

use super::parse::{flag, text, texts};
use crate::apiserver::field_error::FieldError;

type Node = Map<String, Value>;

/// The findings of one node.
pub(super) fn check(map: &Node, at: &str, found: &mut Vec<FieldError>) {
    map_type(map, at, found);
    list_type(map, at, found);
    list_keys(map, at, found);
    set_or_map(map, at, found);
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
