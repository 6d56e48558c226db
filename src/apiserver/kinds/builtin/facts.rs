//! What Kubernetes' published modules say about each built-in type: fields, protobuf numbers, when Go's encoder leaves a
//! field out, defaults, list and map types. Owns the form of `facts.json` (written by `tests/scripts/builtin-facts`).
//! Holds no description. Read by the neighbours, which make OpenAPI, schemas, and the protobuf decoder of it.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// A type that has a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// `group/version/kind`, the core group empty.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Its JSON is not an object of its fields.
    pub special: Option<Special>,
    /// In the order in which they are published.
    #[serde(default)]
    pub required: Vec<String>,
    /// Extensions of the type.
    #[serde(default)]
    pub x: Map<String, Value>,
    /// By JSON name.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
}

/// A field of a type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    /// The protobuf number; 0 for what protobuf does not carry.
    #[serde(default)]
    pub number: u32,
    /// What it holds.
    #[serde(rename = "type")]
    pub of: Type,
    /// What becomes of its zero value.
    pub zero: Zero,
    /// As published.
    pub default: Option<Value>,
    /// The only values, as published.
    #[serde(default, rename = "enum")]
    pub one_of: Vec<Value>,
    /// Extensions of the field.
    #[serde(default)]
    pub x: Map<String, Value>,
}

/// What Go's JSON encoder makes of a zero value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Zero {
    /// It is written: `""`, `0`, `false`, `{}`; `null` for a time, a list, a map or a pointer.
    Value,
    /// It is left out.
    Omit,
    /// It is written, and absent is left out.
    Pointer,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    String,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// A list of strings, in protobuf a message that holds them.
    Extra,
    /// A type that has a name.
    Of(String),
    List(Box<Self>),
    /// With strings as keys.
    Map(Box<Self>),
}

/// A JSON form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Special {
    /// RFC 3339, seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// An object of any content.
    Raw,
    /// Any JSON.
    Json,
    /// A JSON schema or a list of them.
    PropsOrArray,
    /// A JSON schema or a boolean.
    PropsOrBool,
    /// A JSON schema or a list of strings.
    PropsOrStrings,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        if let Some(items) = text.strip_prefix("[]") {
            return Some(Self::List(Box::new(Self::parse(items)?)));
        }
        if let Some(values) = text.strip_prefix("map:") {
            return Some(Self::Map(Box::new(Self::parse(values)?)));
        }
        Some(match text {
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "bool" => Self::Bool,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "double" => Self::Double,
            "extra" => Self::Extra,
            name if name.starts_with("io.k8s.") => Self::Of(name.to_owned()),
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("no type: {text}")))
    }
}

/// All types, by name. Empty only if `facts.json` is not what a test holds it to be.
pub(super) fn facts() -> &'static BTreeMap<String, Definition> {
    static FACTS: OnceLock<BTreeMap<String, Definition>> = OnceLock::new();
    FACTS.get_or_init(|| serde_json::from_str(TEXT).unwrap_or_default())
}

const TEXT: &str = include_str!("facts.json");

/// One type by name.
pub(super) fn named(name: &str) -> Option<&'static Definition> {
    facts().get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types_of(field: &Type) -> Option<&str> {
        match field {
            Type::Of(name) => Some(name),
            Type::List(items) | Type::Map(items) => types_of(items),
            _ => None,
        }
    }

    #[test]
    fn the_facts_are_readable_and_every_type_they_name_is_there() {
        let facts: BTreeMap<String, Definition> = serde_json::from_str(TEXT).unwrap();
        assert!(facts.len() > 50);
        for (name, definition) in &facts {
            for (field, of) in &definition.fields {
                if let Some(known) = types_of(&of.of) {
                    assert!(facts.contains_key(known), "{name}.{field}: {known}");
                }
            }
        }
    }

    #[test]
    fn no_two_fields_of_a_type_have_one_protobuf_number() {
        for (name, definition) in facts() {
            let mut numbers: Vec<u32> = definition.fields.values().map(|field| field.number).collect();
            numbers.retain(|number| *number != 0);
            let all = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{name}");
        }
    }
}
