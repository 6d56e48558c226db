//! What is published of the built-in types: their OpenAPI v3 schemas, as a Kubernetes API server publishes them. Structure
//! and extensions come from the facts; descriptions come at run time from the types of `k8s-openapi`, never from here.
//! Read by whoever answers `/openapi/v3` and `/openapi/v2`; made at the first call.

use std::{collections::BTreeMap, sync::OnceLock};

use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        authentication::v1::SelfSubjectReview,
        authorization::v1::{
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        },
        autoscaling::v1::Scale,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Event, Namespace, Secret, ServiceAccount},
        events::v1::Event as NewEvent,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{
        APIGroup, APIGroupList, APIResourceList, APIVersions, DeleteOptions, ListMeta, Patch, Status,
        WatchEvent,
    },
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::facts::{Definition, Field, Special, Type, facts};

const PREFIX: &str = "#/components/schemas/";

/// The component schemas of every built-in type that is served or published, by name
/// (`io.k8s.api.core.v1.ConfigMap`). References are `#/components/schemas/<name>`, and all of them are here.
/// `DeleteOptions` and `WatchEvent` are kinds of every group: an OpenAPI v3 document keeps of their
/// `x-kubernetes-group-version-kind` the core group's and its own, OpenAPI v2 keeps all.
#[must_use]
pub fn definitions() -> &'static BTreeMap<String, Value> {
    static DEFINITIONS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    DEFINITIONS.get_or_init(|| {
        let described = described();
        facts()
            .iter()
            .map(|(name, definition)| {
                let words = Words::of(name, &described);
                (name.clone(), publish(definition, &words))
            })
            .collect()
    })
}

/// The schemas of `k8s-openapi`, by name.
fn described() -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    include::<(ConfigMap, Event, Namespace, Secret, ServiceAccount)>(&mut generator);
    include::<(
        NewEvent,
        Lease,
        Scale,
        ControllerRevision,
        CustomResourceDefinition,
    )>(&mut generator);
    include::<(SelfSubjectReview, LocalSubjectAccessReview)>(&mut generator);
    include::<(
        SelfSubjectAccessReview,
        SelfSubjectRulesReview,
        SubjectAccessReview,
    )>(&mut generator);
    include::<(APIGroup, APIGroupList, APIResourceList, APIVersions)>(&mut generator);
    include::<(DeleteOptions, ListMeta, Patch, Status, WatchEvent<ConfigMap>)>(&mut generator);
    generator.take_definitions(false)
}

fn include<T: JsonSchema>(generator: &mut SchemaGenerator) {
    let _reference = generator.subschema_for::<T>();
}

/// Where the descriptions of one type come from.
struct Words<'a> {
    known: Option<&'a Value>,
    /// Of a list: the kind it lists, and a type that has `apiVersion` and `kind`.
    listed: Option<(&'a str, Option<&'a Value>)>,
}

impl<'a> Words<'a> {
    fn of(name: &'a str, described: &'a Map<String, Value>) -> Self {
        let known = described.get(name);
        // `k8s-openapi` has one generic list, without a schema.
        let listed = name
            .strip_suffix("List")
            .filter(|_| known.is_none())
            .map(|item| (item.rsplit('.').next().unwrap_or(item), described.get(item)));
        Self { known, listed }
    }

    fn whole(&self) -> Option<Value> {
        match (self.known, self.listed) {
            (Some(known), _) => known.get("description").cloned(),
            (None, Some((kind, _))) => Some(format!("A list of objects of kind {kind}.").into()),
            (None, None) => None,
        }
    }

    fn field(&self, field: &str) -> Option<Value> {
        let of = |known: &Value| known["properties"][field].get("description").cloned();
        match (self.known, self.listed) {
            // Of a watch event the upstream type says what the object is, and the field has no words.
            (Some(known), _) => of(known).or_else(|| {
                (field == "object").then(|| "The object after the change; of an error, a Status.".into())
            }),
            (None, Some((kind, item))) => match field {
                "items" => Some(format!("The objects, each of kind {kind}.").into()),
                "metadata" => Some("The revision of the list, and where it goes on.".into()),
                _ => item.and_then(of),
            },
            (None, None) => None,
        }
    }
}

fn publish(definition: &Definition, words: &Words<'_>) -> Value {
    let mut schema = match definition.special {
        Some(Special::Time | Special::MicroTime) => json!({"type": "string", "format": "date-time"}),
        Some(Special::Json | Special::PropsOrArray | Special::PropsOrBool | Special::PropsOrStrings) => {
            json!({})
        }
        Some(Special::Raw) | None => json!({"type": "object"}),
    };
    if let Some(words) = words.whole() {
        schema["description"] = words;
    }
    if !definition.required.is_empty() {
        schema["required"] = definition.required.clone().into();
    }
    if definition.special.is_none() && !definition.fields.is_empty() {
        let properties: Map<String, Value> = definition
            .fields
            .iter()
            .map(|(name, field)| (name.clone(), publish_field(field, words.field(name))))
            .collect();
        schema["properties"] = properties.into();
    }
    for (key, value) in &definition.x {
        schema[key] = value.clone();
    }
    let kinds: Vec<Value> = definition.kinds.iter().filter_map(|kind| gvk(kind)).collect();
    if !kinds.is_empty() {
        schema["x-kubernetes-group-version-kind"] = kinds.into();
    }
    schema
}

fn publish_field(field: &Field, description: Option<Value>) -> Value {
    let mut schema = publish_type(&field.of);
    let alone = description.is_none() && field.default.is_none() && field.x.is_empty();
    if matches!(field.of, Type::Of(_)) && !alone {
        // OpenAPI 3.0 ignores what stands beside a `$ref`.
        schema = json!({"allOf": [schema]});
    }
    if let Some(description) = description {
        schema["description"] = description;
    }
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    if !field.one_of.is_empty() {
        schema["enum"] = field.one_of.clone().into();
    }
    for (key, value) in &field.x {
        schema[key] = value.clone();
    }
    schema
}

fn publish_type(of: &Type) -> Value {
    match of {
        Type::String => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int32 => json!({"type": "integer", "format": "int32"}),
        Type::Int64 => json!({"type": "integer", "format": "int64"}),
        Type::Double => json!({"type": "number", "format": "double"}),
        Type::Extra => json!({"type": "array", "items": {"type": "string"}}),
        Type::Of(name) => json!({"$ref": format!("{PREFIX}{name}")}),
        Type::List(items) => json!({"type": "array", "items": publish_type(items)}),
        Type::Map(values) => json!({"type": "object", "additionalProperties": publish_type(values)}),
    }
}

fn gvk(text: &str) -> Option<Value> {
    let mut parts = text.split('/');
    let (group, version, kind) = (parts.next()?, parts.next()?, parts.next()?);
    Some(json!({"group": group, "version": version, "kind": kind}))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn visit(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(map) => {
                see(map);
                map.values().for_each(|child| visit(child, see));
            }
            Value::Array(items) => items.iter().for_each(|child| visit(child, see)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_definition() {
        let mut references = 0;
        for definition in definitions().values() {
            visit(definition, &mut |map| {
                if let Some(to) = map.get("$ref").and_then(Value::as_str) {
                    references += 1;
                    assert!(definitions().contains_key(&to[PREFIX.len()..]), "{to}");
                }
            });
        }
        assert!(references > 100, "{references}");
    }

    #[test]
    fn no_kind_is_in_two_definitions() {
        let mut seen = BTreeSet::new();
        for definition in definitions().values() {
            for gvk in definition["x-kubernetes-group-version-kind"]
                .as_array()
                .into_iter()
                .flatten()
            {
                assert!(seen.insert(gvk.to_string()), "{gvk}");
            }
        }
        assert!(seen.contains(&json!({"group": "", "version": "v1", "kind": "Secret"}).to_string()));
    }

    #[test]
    fn every_definition_and_every_property_of_a_kind_says_what_it_is() {
        for (name, definition) in definitions() {
            assert!(definition["description"].is_string(), "{name}");
            if definition.get("x-kubernetes-group-version-kind").is_some() {
                for (field, schema) in definition["properties"].as_object().unwrap() {
                    assert!(
                        schema["description"].is_string() || field == "type",
                        "{name}.{field}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_stands_beside_a_reference_is_kept_by_all_of() {
        let metadata = &definitions()["io.k8s.api.core.v1.ConfigMap"]["properties"]["metadata"];
        assert_eq!(metadata["default"], json!({}));
        assert_eq!(
            metadata["allOf"],
            json!([{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}])
        );
    }

    #[test]
    fn list_and_map_types_and_merge_keys_are_published() {
        let meta = &definitions()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"];
        assert_eq!(
            meta["ownerReferences"]["x-kubernetes-list-map-keys"],
            json!(["uid"])
        );
        assert_eq!(meta["ownerReferences"]["x-kubernetes-patch-merge-key"], "uid");
        assert_eq!(meta["finalizers"]["x-kubernetes-list-type"], "set");
        let reference = &definitions()["io.k8s.api.core.v1.ObjectReference"];
        assert_eq!(reference["x-kubernetes-map-type"], "atomic");
    }
}
