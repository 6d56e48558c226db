//! What one version of a CRD may say: schema, subresources, columns, selectable fields. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation`) and the warnings; schemas are `schema::parse`'s.
//! Called by `check`.

use serde_json::{Map, Value};

use super::{map, text, versions};
use crate::apiserver::{
    field_error::{FieldError, FieldErrorKind},
    schema::{self, field_schema, known_format},
};

/// The most fields by which lists of a version can be selected.
const MAX_SELECTABLE: usize = 8;

const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";

/// The facets that a root may have when `status` is taken out of it.
const ROOT_FACETS: &str = "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";

type Node = Map<String, Value>;

/// Texts for `Warning` headers: formats that are not checked, sets that cannot be merged.
#[must_use]
pub fn warnings(definition: &Value) -> Vec<String> {
    let mut formats = Vec::new();
    let mut sets = Vec::new();
    for version in versions(definition) {
        if let Some(root) = version
            .get("schema")
            .and_then(|schema| schema.get("openAPIV3Schema"))
        {
            walk(root, &mut formats, &mut sets, 0);
        }
    }
    sets.sort();
    sets.dedup();
    formats.extend(sets);
    formats
}

fn walk(node: &Value, formats: &mut Vec<String>, sets: &mut Vec<String>, depth: usize) {
    let Some(node) = node.as_object().filter(|_| depth < 64) else {
        return;
    };
    let (kind, format) = (text(node, "type"), text(node, "format"));
    let known = match kind {
        "" | "string" => known_format(format),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    };
    if !format.is_empty() && !known {
        formats.push(format!("unrecognized format {format:?}"));
    }
    let item = node
        .get("items")
        .and_then(Value::as_object)
        .map(|items| text(items, "type"));
    if let (Some(item @ ("object" | "array")), "set") = (item, text(node, "x-kubernetes-list-type")) {
        sets.push(format!(
            "x-kubernetes-list-type: set for items of type {item:?} is not supported by server-side apply or CEL validation rules"
        ));
    }
    for key in ["items", "not", "additionalProperties"] {
        node.get(key)
            .into_iter()
            .for_each(|child| walk(child, formats, sets, depth + 1));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let list = node.get(key).and_then(Value::as_array).into_iter().flatten();
        list.for_each(|child| walk(child, formats, sets, depth + 1));
    }
    let properties = node
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    properties.for_each(|(_, child)| walk(child, formats, sets, depth + 1));
}

/// The facets that all versions have alike; those are told of once, in their old place outside of the versions.
pub(super) fn shared(definition: &Value) -> Vec<&'static str> {
    let alike = |facet: &&'static str| {
        let mut values = versions(definition).map(|version| version.get(*facet));
        let first = values.next().flatten();
        values.all(|value| value == first)
    };
    [
        "schema",
        "subresources",
        "additionalPrinterColumns",
        "selectableFields",
    ]
    .into_iter()
    .filter(alike)
    .collect()
}

/// The facets that are shared by all versions.
pub(super) fn check_shared(definition: &Value, old: Option<&Value>, found: &mut Vec<FieldError>) {
    let shared = shared(definition);
    let Some(first) = versions(definition).next() else {
        return;
    };
    let place = |facet: &str| {
        let name = if facet == "schema" { "validation" } else { facet };
        shared.contains(&facet).then(|| format!("spec.{name}"))
    };
    let known =
        old.is_some_and(|old| versions(old).any(|before| before.get("schema") == first.get("schema")));
    check(first, known, &place, found);
}

/// The facets of a version for which there is a `place`. `known`: the schema is as it was, and was judged then.
pub(super) fn check(
    version: &Node,
    known: bool,
    place: &dyn Fn(&str) -> Option<String>,
    found: &mut Vec<FieldError>,
) {
    let empty = Map::new();
    let subresources = map(version.get("subresources"), &empty);
    let root = version
        .get("schema")
        .and_then(|schema| schema.get("openAPIV3Schema"))
        .filter(|root| !root.is_null());
    if let (Some(at), Some(root), false) = (place("schema"), root, known) {
        let at = format!("{at}.openAPIV3Schema");
        if subresources.get("status").is_some_and(Value::is_object) {
            root_with_status(root, &at, found);
        }
        if root.get("nullable") == Some(&Value::Bool(true)) {
            found.push(FieldError::forbidden(
                format!("{at}.nullable"),
                "nullable cannot be true at the root",
            ));
        }
        found.extend(schema::parse(root, &at).err().unwrap_or_default());
    }
    let scale = subresources.get("scale").and_then(Value::as_object);
    if let (Some(at), Some(scale)) = (place("subresources"), scale) {
        check_scale(scale, &at, found);
    }
    if let Some(at) = place("additionalPrinterColumns") {
        let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
        for (index, column) in columns.into_iter().flatten().enumerate() {
            check_column(
                column.as_object().unwrap_or(&empty),
                &format!("{at}[{index}]"),
                found,
            );
        }
    }
    let fields = version.get("selectableFields").and_then(Value::as_array);
    if let (Some(at), Some(fields), Some(root)) =
        (place("selectableFields"), fields, root.and_then(Value::as_object))
    {
        selectable(fields, root, &at, found);
    }
}

pub(super) fn deprecation(version: &Node, at: &str, found: &mut Vec<FieldError>) {
    let Some(said) = version.get("deprecationWarning").and_then(Value::as_str) else {
        return;
    };
    let field = format!("{at}.deprecationWarning");
    let mut wrong = |detail: &str| found.push(FieldError::invalid(field.as_str(), said, detail));
    if version.get("deprecated") != Some(&Value::Bool(true)) {
        wrong("can only be set for deprecated versions");
    } else if said.len() > 256 {
        wrong("must be <= 256 characters long");
    } else if said.is_empty() {
        wrong("must not be an empty string");
    } else if let Some((index, _)) = said.char_indices().find(|(_, c)| c.is_control()) {
        wrong(&format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        ));
    }
}

fn root_with_status(root: &Value, at: &str, found: &mut Vec<FieldError>) {
    let Some(root) = root.as_object() else { return };
    let kind = text(root, "type");
    if !kind.is_empty() && kind != "object" {
        let detail = r#"only "object" is allowed as the type at the root of the schema if the status subresource is enabled"#;
        found.push(FieldError::invalid(format!("{at}.type"), kind, detail));
    }
    let forbidden = [
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "default",
        "enum",
        "nullable",
        "additionalProperties",
    ];
    let set = |key: &&str| {
        root.get(*key)
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    };
    if forbidden.iter().any(set) {
        found.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field: at.to_owned(),
            value: None,
            detail: format!(
                "only [{ROOT_FACETS}] fields are allowed at the root of the schema if the status subresource is enabled"
            ),
        });
    }
}

fn check_scale(scale: &Node, at: &str, found: &mut Vec<FieldError>) {
    for (field, prefixes, detail, required) in [
        (
            "specReplicasPath",
            &[".spec."][..],
            "should be a json path under .spec",
            true,
        ),
        (
            "statusReplicasPath",
            &[".status."][..],
            "should be a json path under .status",
            true,
        ),
        (
            "labelSelectorPath",
            &[".spec.", ".status."][..],
            "should be a json path under either .spec or .status",
            false,
        ),
    ] {
        let (path, at) = (text(scale, field), format!("{at}.scale.{field}"));
        if path.is_empty() && required {
            found.push(FieldError::required(at, ""));
        } else if path.is_empty() {
        } else if !path.starts_with('.') {
            found.push(FieldError::invalid(
                at,
                path,
                "must be a simple json path starting with .",
            ));
        } else if !prefixes.iter().any(|prefix| path.starts_with(prefix)) {
            found.push(FieldError::invalid(at, path, detail));
        }
    }
}

fn check_column(column: &Node, at: &str, found: &mut Vec<FieldError>) {
    let one_of = |list: &str, word: &str| list.split(',').any(|known| known == word);
    if text(column, "name").is_empty() {
        found.push(FieldError::required(format!("{at}.name"), ""));
    }
    let kind = text(column, "type");
    if !one_of(COLUMN_TYPES, kind) {
        let (field, detail) = (format!("{at}.type"), format!("must be one of {COLUMN_TYPES}"));
        found.push(if kind.is_empty() {
            FieldError::required(field, detail)
        } else {
            FieldError::invalid(field, kind, detail)
        });
    }
    let format = text(column, "format");
    if !format.is_empty() && !one_of(COLUMN_FORMATS, format) {
        let detail = format!("must be one of {COLUMN_FORMATS}");
        found.push(FieldError::invalid(format!("{at}.format"), format, detail));
    }
    let path = text(column, "jsonPath");
    if path.is_empty() {
        found.push(FieldError::required(format!("{at}.JSONPath"), ""));
    } else if !path.starts_with('.') {
        let detail = "must be a simple json path starting with .";
        found.push(FieldError::invalid(format!("{at}.JSONPath"), path, detail));
    }
}

fn selectable(fields: &[Value], root: &Node, at: &str, found: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{at}[{index}].jsonPath");
        let path = field.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
        if path.is_empty() {
            found.push(FieldError::required(at, ""));
            continue;
        }
        let schema = match field_schema(root, path) {
            Some(schema) if path.starts_with('.') && !path.contains('[') => schema,
            _ => {
                let why = if path.contains('[') {
                    "array notation is not allowed".to_owned()
                } else if path.starts_with('.') {
                    "does not refer to a valid field".to_owned()
                } else {
                    format!(
                        "expected [ or . but got: {}",
                        path.split('.').next().unwrap_or_default()
                    )
                };
                found.push(FieldError::invalid(
                    at,
                    path,
                    format!("is an invalid path: {why}"),
                ));
                continue;
            }
        };
        if path.starts_with(".metadata") {
            found.push(FieldError::invalid(
                at.as_str(),
                path,
                "must not point to fields in metadata",
            ));
        }
        if !matches!(text(schema, "type"), "string" | "boolean" | "integer") {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            found.push(FieldError::invalid(at.as_str(), path, detail));
        }
        if seen.contains(&path) {
            found.push(FieldError {
                kind: FieldErrorKind::Duplicate,
                field: at,
                value: Some(path.into()),
                detail: String::new(),
            });
        } else {
            seen.push(path);
        }
    }
    if seen.len() > MAX_SELECTABLE {
        found.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: at.to_owned(),
            value: Some(seen.len().into()),
            detail: format!("must have at most {MAX_SELECTABLE} items"),
        });
    }
}
