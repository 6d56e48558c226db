//! The one table of every field of a Kubernetes Deployment: acted upon, harmless, or refused by name.
//! Owns what is said about each field; the schema, the CEL rules (`crd.rs`) and the walk over an object (`unsupported.rs`) follow it.
//! A test holds it complete against the schema of `apps/v1`: a field that Kubernetes gains breaks the build until it is decided here.

mod files;
mod pod;
mod probe;
mod tables;

pub use tables::TABLES;

/// The fields of one object in the tree.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Where the object is: property names joined by `.`, `[]` after a list.
    pub at: &'static str,
    /// The Kubernetes definition that it mirrors; empty for an object of ours.
    pub definition: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field and what is done about it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// JSON name.
    pub name: &'static str,
    /// What is done about it.
    pub treatment: Treatment,
}

/// What is done about a field.
#[derive(Debug, Clone, Copy)]
pub enum Treatment {
    /// Acted upon; its schema comes from the Rust type.
    Used,
    /// Acted upon and not a field of Kubernetes; its schema comes from the Rust type.
    Ours,
    /// An object that has a table of its own and no Rust type, because nothing in it is acted upon.
    Nested,
    /// Accepted in any value, without effect.
    Ignored(Shape),
    /// Accepted in these values, which are what happens anyway; refused in any other.
    Only(Shape, &'static [Literal], &'static str),
    /// Refused; the text is the next step. An empty list or map is no use of the field and is accepted.
    Refused(Shape, &'static str),
    /// Refused like `Refused`, and not a field of Kubernetes but one of ours that is still to come.
    ToCome(Shape, &'static str),
}

/// The JSON form of a field that has no Rust type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A boolean.
    Bool,
    /// An integer.
    Int,
    /// A string.
    Text,
    /// An object of any content.
    Object,
    /// A list of objects.
    Objects,
    /// A list of strings.
    Texts,
    /// A list of integers.
    Ints,
    /// A map to strings.
    Map,
    /// A map to quantities.
    Quantities,
}

/// A value that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal {
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(&'static str),
    /// An integer.
    Int(i64),
}

const fn f(name: &'static str, treatment: Treatment) -> Field {
    Field { name, treatment }
}

impl Table {
    /// The field of this name, if it is known.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

use Treatment::{Ignored, Nested, Only, Ours, Refused, ToCome, Used};

impl Field {
    /// Whether the field is a map, which may be empty without being used.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(
            self.treatment,
            Refused(Shape::Map | Shape::Quantities, _) | ToCome(Shape::Map | Shape::Quantities, _)
        )
    }

    /// Why the field is refused, with the next step; `None` if it is accepted in every value.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let name = self.name;
        match self.treatment {
            Used | Ours | Nested | Ignored(_) => None,
            Only(_, accepted, next) => {
                let values: Vec<String> = accepted
                    .iter()
                    .map(Literal::to_string)
                    .filter(|value| value != "\"\"")
                    .collect();
                Some(match values.as_slice() {
                    [] => format!("{name} is not supported: {next}"),
                    values => format!("{name} is supported only as {}: {next}", values.join(" or ")),
                })
            }
            Refused(_, next) => Some(format!("{name} is not supported: {next}")),
            ToCome(_, next) => Some(format!("{name} is not supported yet: {next}")),
        }
    }
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text("") => f.write_str("\"\""),
            Self::Text(value) => f.write_str(value),
        }
    }
}
