//! The schemas of built-in kinds: what `prune`, `apply` and `patch` go by. Owns how a [`Schema`] is made of the facts.
//! They say nothing about values: what a type can hold is `typed`'s, and what is valid is each kind's rules'.
//! Made once per kind, at the start.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::facts::{Field, Special, Type, named};
use crate::apiserver::schema::{Additional, ListType, Schema, Type as Json};

/// Makes schemas; each definition once.
#[derive(Debug, Default)]
pub(super) struct Maker {
    made: BTreeMap<String, Arc<Schema>>,
}

impl Maker {
    /// The schema of a definition. One that is not known allows everything, and so does a JSON schema, which has no end.
    pub fn of(&mut self, name: &str) -> Arc<Schema> {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        let schema = Arc::new(self.make(name));
        self.made.insert(name.to_owned(), schema.clone());
        schema
    }

    fn make(&mut self, name: &str) -> Schema {
        let anything = Schema {
            preserve_unknown: true,
            ..Schema::default()
        };
        let Some(definition) = named(name) else {
            return anything;
        };
        match definition.special {
            Some(Special::Time | Special::MicroTime) => return plain(Json::String),
            // Of one owner as a whole: nothing says what is in it.
            Some(Special::Raw) => {
                return Schema {
                    atomic_map: true,
                    ..anything
                };
            }
            Some(_) => return anything,
            None if name.ends_with(".JSONSchemaProps") => {
                return Schema {
                    kind: Some(Json::Object),
                    ..anything
                };
            }
            None => {}
        }
        let properties = definition
            .fields
            .iter()
            .map(|(name, field)| (name.clone(), self.field(field)))
            .collect();
        Schema {
            properties,
            atomic_map: text(&definition.x, "x-kubernetes-map-type") == "atomic",
            ..plain(Json::Object)
        }
    }

    fn field(&mut self, field: &Field) -> Arc<Schema> {
        let made = self.typed(&field.of);
        if field.x.is_empty() {
            return made;
        }
        let mut schema = (*made).clone();
        schema.list = match text(&field.x, "x-kubernetes-list-type") {
            "set" => ListType::Set,
            "map" => ListType::Map(texts(&field.x, "x-kubernetes-list-map-keys")),
            _ => ListType::Atomic,
        };
        schema.atomic_map |= text(&field.x, "x-kubernetes-map-type") == "atomic";
        let strategy = text(&field.x, "x-kubernetes-patch-strategy");
        schema.merge_patch = strategy.split(',').any(|part| part == "merge");
        schema.retain_keys = strategy.split(',').any(|part| part == "retainKeys");
        schema.merge_key = field
            .x
            .get("x-kubernetes-patch-merge-key")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        Arc::new(schema)
    }

    fn typed(&mut self, of: &Type) -> Arc<Schema> {
        Arc::new(match of {
            Type::Of(name) => return self.of(name),
            Type::String | Type::Bytes => plain(Json::String),
            Type::Bool => plain(Json::Boolean),
            Type::Int32 | Type::Int64 => plain(Json::Integer),
            Type::Double => plain(Json::Number),
            Type::Extra => Schema {
                items: Some(Arc::new(plain(Json::String))),
                ..plain(Json::Array)
            },
            Type::List(items) => Schema {
                items: Some(self.typed(items)),
                ..plain(Json::Array)
            },
            Type::Map(values) => Schema {
                additional: Some(Additional::Of(self.typed(values))),
                ..plain(Json::Object)
            },
        })
    }
}

/// `null` is allowed: Go takes it for absent.
fn plain(kind: Json) -> Schema {
    Schema {
        kind: Some(kind),
        nullable: true,
        ..Schema::default()
    }
}

fn text<'a>(x: &'a Map<String, Value>, key: &str) -> &'a str {
    x.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts(x: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = x.get(key).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_keys_and_list_types_are_there() {
        let account = Maker::default().of("io.k8s.api.core.v1.ServiceAccount");
        let secrets = &account.properties["secrets"];
        assert_eq!(secrets.list, ListType::Map(vec!["name".to_owned()]));
        assert_eq!(secrets.merge_key.as_deref(), Some("name"));
        assert!(secrets.merge_patch);
        assert!(secrets.items.as_ref().unwrap().atomic_map);
        let finalizers = &account.properties["metadata"].properties["finalizers"];
        assert_eq!(finalizers.list, ListType::Set);
        assert!(finalizers.merge_patch);
    }

    #[test]
    fn raw_data_has_one_owner_as_a_whole() {
        let revision = Maker::default().of("io.k8s.api.apps.v1.ControllerRevision");
        let data = &revision.properties["data"];
        assert!(data.atomic_map && data.preserve_unknown);
    }

    #[test]
    fn every_definition_has_a_schema_and_a_schema_in_a_crd_is_left_alone() {
        let mut maker = Maker::default();
        for name in super::super::facts::facts().keys() {
            maker.of(name);
        }
        let crd =
            maker.of("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition");
        let version = crd.properties["spec"].properties["versions"]
            .items
            .clone()
            .unwrap();
        let schema = &version.properties["schema"].properties["openAPIV3Schema"];
        assert!(schema.preserve_unknown && schema.properties.is_empty());
    }
}
