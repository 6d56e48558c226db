//! Structural schemas: what a field may be, and what is done to an object by them: prune, default, validate.
//! Owns the type and its parsing from `openAPIV3Schema`; built-in types use the same type. Pure.
//! Read by `verbs` (prune, default, validate), `apply` (list and map types) and `patch` (merge keys).

mod cel;
mod correlate;
mod default;
mod default_rules;
mod descend;
mod embedded;
mod format;
mod lists;
mod numbers;
mod object_meta;
mod openapi;
mod openapi_lists;
mod parse;
mod prune;
mod rules;
mod structural;
mod validate;
mod values;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub use cel::Program;
pub use default::{default, defaults};
pub use format::is_known as known_format;
pub use object_meta::object_meta;
pub use openapi::find as field_schema;
pub use parse::{parse, read};
pub use prune::prune;
pub use rules::{Bounds, Pattern};
pub use validate::{validate, validate_further};

/// One node of a structural schema. Absent facets are empty or `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// The JSON type; `None` where the schema leaves it open.
    pub kind: Option<Type>,
    /// `null` is allowed.
    pub nullable: bool,
    /// Known fields of an object.
    pub properties: BTreeMap<String, Arc<Schema>>,
    /// The schema of every other field.
    pub additional: Option<Additional>,
    /// The schema of the items of an array.
    pub items: Option<Arc<Schema>>,
    /// Names that must be there.
    pub required: Vec<String>,
    /// Filled in when absent.
    pub default: Option<Value>,
    /// How a list merges.
    pub list: ListType,
    /// A map or struct that is replaced as a whole (`x-kubernetes-map-type: atomic`).
    pub atomic_map: bool,
    /// Unknown fields stay (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// A whole object with its own `apiVersion`, `kind` and `metadata`.
    pub embedded_resource: bool,
    /// What values may be; boxed because most nodes have none.
    pub rules: Option<Box<Rules>>,
    /// `x-kubernetes-patch-merge-key`: the key by which a strategic merge patch merges this list.
    pub merge_key: Option<String>,
    /// `x-kubernetes-patch-strategy` contains `merge`.
    pub merge_patch: bool,
    /// `x-kubernetes-patch-strategy` contains `retainKeys`.
    pub retain_keys: bool,
    /// This node or one below it has CEL rules.
    pub has_cel: bool,
}

/// A JSON type of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

impl Type {
    /// Its name in a finding.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

/// `additionalProperties`.
#[derive(Debug, Clone, PartialEq)]
pub enum Additional {
    /// `true`: anything.
    Any,
    /// The schema of every value.
    Of(Arc<Schema>),
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced as a whole: the default.
    #[default]
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects, merged by these keys.
    Map(Vec<String>),
}

/// Constraints on values (OpenAPI v3) and CEL rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// `enum`.
    pub one_of_values: Vec<Value>,
    /// `format`.
    pub format: Option<String>,
    /// `pattern`.
    pub pattern: Option<Pattern>,
    /// Bounds on numbers and sizes.
    pub bounds: Bounds,
    /// `allOf`.
    pub all_of: Vec<Schema>,
    /// `anyOf`.
    pub any_of: Vec<Schema>,
    /// `oneOf`.
    pub one_of: Vec<Schema>,
    /// `not`.
    pub not: Option<Schema>,
    /// `x-kubernetes-validations`.
    pub cel: Option<Program>,
}

impl Schema {
    /// The child at `field` of an object: the property, or the schema of every other field.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<&Arc<Self>> {
        self.properties.get(field).or(match &self.additional {
            Some(Additional::Of(schema)) => Some(schema),
            Some(Additional::Any) | None => None,
        })
    }
}

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod recorded_tests;
