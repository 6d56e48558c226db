//! How the merge sees a schema: every value is a leaf, a list or a map, and each of the last two is whole or has parts.
//! Owns that view and what is deduced where a schema is open; holds no value. `metadata` is that of every kind.
//! As upstream derives it from OpenAPI (`kube-openapi/pkg/schemaconv`). Used by every walk over values of this folder.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::apiserver::schema::{Additional, ListType, Schema, Type, object_meta};

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Typed<'a> {
    /// A whole object: `apiVersion`, `kind`, `metadata` and what the schema says.
    Object(&'a Schema, Unknown),
    /// `metadata` of an object.
    Metadata,
    /// What the schema says.
    Node(&'a Schema, Unknown),
    /// Open: maps have parts, lists are whole.
    Deduced,
    /// Open: maps and lists are whole.
    Whole,
}

/// What becomes of fields that a struct does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are not declared.
    Refused,
    /// They are deduced: some schema above says `x-kubernetes-preserve-unknown-fields`.
    Kept,
}

/// A type together with the form that a value has.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'a> {
    /// A scalar of this type; `None` for any scalar.
    Leaf(Option<Type>),
    /// A list.
    List(List<'a>),
    /// A map or a struct.
    Map(Map<'a>),
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// How it merges.
    pub kind: &'a ListType,
    /// The type of its items.
    pub item: Typed<'a>,
}

/// A map or a struct.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    /// Owned and replaced as a whole.
    pub whole: bool,
    of: Typed<'a>,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its type.
    pub typed: Typed<'a>,
    /// It is a field of a struct, not a key of a map.
    pub declared: bool,
}

static ATOMIC: ListType = ListType::Atomic;

impl<'a> Typed<'a> {
    /// The type of whole objects of a schema.
    #[must_use]
    pub fn object(schema: &'a Schema) -> Self {
        Self::Object(schema, Unknown::Refused.or(schema))
    }

    fn child(schema: &'a Schema, unknown: Unknown) -> Self {
        let unknown = unknown.or(schema);
        if schema.embedded_resource {
            Self::Object(schema, unknown)
        } else {
            Self::Node(schema, unknown)
        }
    }

    fn schema(self) -> Option<&'a Schema> {
        match self {
            Self::Object(schema, _) | Self::Node(schema, _) => Some(schema),
            Self::Metadata => Some(&METADATA),
            Self::Deduced | Self::Whole => None,
        }
    }

    /// The form of `value`. Where the type is open, null takes the form of a map, as upstream has it.
    #[must_use]
    pub fn shape(self, value: &Value) -> Shape<'a> {
        match self.schema().and_then(|schema| schema.kind) {
            Some(Type::Object) => Shape::Map(self.map()),
            Some(Type::Array) => Shape::List(self.list()),
            Some(scalar @ (Type::Boolean | Type::Integer | Type::Number)) => Shape::Leaf(Some(scalar)),
            Some(Type::String) => Shape::Leaf(self.schema().and_then(plain_string)),
            Some(Type::IntOrString) | None => match value {
                Value::Array(_) => Shape::List(self.list()),
                Value::Object(_) | Value::Null => Shape::Map(self.map()),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => Shape::Leaf(None),
            },
        }
    }

    /// Whether two values of this type have one form; where the type is open they may not.
    #[must_use]
    pub fn same_form(self, a: &Value, b: &Value) -> bool {
        const fn form(value: &Value) -> u8 {
            match value {
                Value::Null => 0,
                Value::Array(_) => 1,
                Value::Object(_) => 2,
                Value::Bool(_) | Value::Number(_) | Value::String(_) => 3,
            }
        }
        let open = matches!(
            self.schema().and_then(|schema| schema.kind),
            None | Some(Type::IntOrString)
        );
        !open || form(a) == form(b)
    }

    /// The map this type can be, whatever the value.
    #[must_use]
    pub fn map(self) -> Map<'a> {
        let whole = match self {
            Self::Whole => true,
            Self::Deduced => false,
            _ => self.schema().is_some_and(|schema| schema.atomic_map),
        };
        Map { whole, of: self }
    }

    /// The list this type can be, whatever the value.
    #[must_use]
    pub fn list(self) -> List<'a> {
        let Some(schema) = self.schema() else {
            return List {
                kind: &ATOMIC,
                item: Typed::Whole,
            };
        };
        List {
            kind: &schema.list,
            item: schema
                .items
                .as_deref()
                .map_or(Typed::Whole, |items| Self::child(items, self.unknown())),
        }
    }

    /// Whether every value of this type is owned as a whole, and is no scalar.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.schema().is_some_and(|schema| match schema.kind {
            Some(Type::Array) => schema.list == ListType::Atomic,
            Some(Type::Object) => schema.atomic_map,
            _ => false,
        })
    }

    const fn unknown(self) -> Unknown {
        match self {
            Self::Object(_, unknown) | Self::Node(_, unknown) => unknown,
            Self::Metadata => Unknown::Refused,
            Self::Deduced | Self::Whole => Unknown::Kept,
        }
    }

    /// What a field of this struct is when it is absent.
    #[must_use]
    pub fn default_of(self, field: &str) -> Option<&'a Value> {
        self.schema()?.properties.get(field)?.default.as_ref()
    }
}

impl<'a> Map<'a> {
    /// The type at `name`; `None` when it is not declared.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Field<'a>> {
        let declared = |typed| {
            Some(Field {
                typed,
                declared: true,
            })
        };
        let key = |typed| {
            Some(Field {
                typed,
                declared: false,
            })
        };
        if let Typed::Object(..) = self.of {
            match name {
                "metadata" => return declared(Typed::Metadata),
                "apiVersion" | "kind" => return declared(Typed::Node(&STRING, Unknown::Refused)),
                _ => {}
            }
        }
        let Some(schema) = self.of.schema() else {
            return key(self.of);
        };
        let unknown = self.of.unknown();
        if let Some(property) = schema.properties.get(name) {
            return declared(Typed::child(property, unknown));
        }
        match &schema.additional {
            Some(Additional::Of(value)) => key(Typed::child(value, unknown)),
            Some(Additional::Any) => key(Typed::Deduced),
            None if unknown == Unknown::Kept => key(Typed::Deduced),
            None if schema.properties.is_empty() && matches!(self.of, Typed::Node(..)) => key(Typed::Deduced),
            None => None,
        }
    }

    /// The type at `name`, deduced when it is not declared: for values that a schema has already been asked about.
    #[must_use]
    pub fn field_or_deduced(self, name: &str) -> Field<'a> {
        self.field(name).unwrap_or(Field {
            typed: Typed::Deduced,
            declared: false,
        })
    }

    /// `metadata.managedFields` says who owns what; it is no content, and nobody owns it.
    #[must_use]
    pub fn passes_over(self, name: &str) -> bool {
        matches!(self.of, Typed::Metadata) && name == "managedFields"
    }
}

impl Unknown {
    const fn or(self, schema: &Schema) -> Self {
        if schema.preserve_unknown { Self::Kept } else { self }
    }
}

/// Strings with a format take any scalar, as upstream's conversion has it; `byte` is the one exception.
fn plain_string(schema: &Schema) -> Option<Type> {
    let format = schema.rules.as_ref().and_then(|rules| rules.format.as_deref());
    matches!(format, None | Some("" | "byte")).then_some(Type::String)
}

static STRING: LazyLock<Schema> = LazyLock::new(|| Schema {
    kind: Some(Type::String),
    ..Schema::default()
});

static METADATA: LazyLock<Arc<Schema>> = LazyLock::new(object_meta);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::testing::schema;

    #[test]
    fn metadata_is_seen_the_same_way_whatever_a_crd_says_about_it() {
        let root = schema(&json!({"type": "object", "properties": {"metadata": {"type": "object"}}}));
        let metadata = Typed::object(&root).map().field("metadata").unwrap().typed.map();
        assert!(metadata.field("nonsense").is_none());
        assert!(metadata.field("labels").unwrap().declared);
        let owners = metadata.field("ownerReferences").unwrap().typed.list();
        assert_eq!(*owners.kind, ListType::Map(vec!["uid".to_owned()]));
        assert!(owners.item.map().whole);
        assert!(metadata.passes_over("managedFields") && !metadata.passes_over("labels"));
    }

    #[test]
    fn what_is_below_preserve_unknown_fields_is_deduced_all_the_way_down() {
        let root = schema(&json!({"type": "object", "properties": {"spec": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}},
        }}}));
        let spec = Typed::object(&root).map().field("spec").unwrap().typed.map();
        assert!(matches!(spec.field("x").unwrap().typed, Typed::Deduced));
        let known = spec.field("known").unwrap().typed.map();
        assert!(!known.field("b").unwrap().declared);
        assert!(Typed::object(&root).map().field("other").is_none());
    }

    #[test]
    fn an_object_without_properties_is_free_and_one_with_properties_is_not() {
        let free = schema(&json!({"type": "object"}));
        let bound = schema(&json!({"type": "object", "properties": {"a": {"type": "string"}}}));
        assert!(Typed::child(&free, Unknown::Refused).map().field("x").is_some());
        assert!(Typed::child(&bound, Unknown::Refused).map().field("x").is_none());
        assert!(Typed::object(&free).map().field("x").is_none());
    }

    #[test]
    fn an_open_type_takes_the_form_of_the_value() {
        let open = Schema::default();
        let typed = Typed::child(&open, Unknown::Refused);
        assert!(matches!(typed.shape(&json!(1)), Shape::Leaf(None)));
        assert!(matches!(typed.shape(&json!([])), Shape::List(_)));
        assert!(matches!(typed.shape(&json!(null)), Shape::Map(_)));
        assert!(!typed.same_form(&json!(1), &json!({})) && typed.same_form(&json!(1), &json!("a")));
        assert!(Typed::Deduced.map().field("a").is_some() && !Typed::Deduced.map().whole);
        assert!(Typed::Whole.map().whole);
    }
}
