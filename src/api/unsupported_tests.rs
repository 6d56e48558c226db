//! Tests of [`super`]: its tables against the fields that Kubernetes itself publishes for `apps/v1` Deployments, so that
//! a field which a newer Kubernetes adds is found here and not by a user.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::super::fields::{Shape, TABLES, Treatment};
use super::find;

/// The definitions of `apps/v1` Deployment, by name.
fn kubernetes() -> BTreeMap<String, Value> {
    let schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Deployment>()
        .to_value();
    let definitions = schema
        .get("definitions")
        .and_then(Value::as_object)
        .expect("definitions");
    definitions
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_of_kubernetes(treatment: Treatment) -> bool {
    !matches!(treatment, Treatment::Ours | Treatment::ToCome(..))
}

#[test]
fn every_field_of_kubernetes_is_decided_and_no_other() {
    let kubernetes = kubernetes();
    for table in TABLES.iter().filter(|table| !table.definition.is_empty()) {
        let properties = kubernetes[table.definition]["properties"]
            .as_object()
            .expect(table.definition);
        let theirs: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let decided: BTreeSet<&str> = table
            .fields
            .iter()
            .filter(|f| is_of_kubernetes(f.treatment))
            .map(|f| f.name)
            .collect();
        assert_eq!(
            theirs, decided,
            "{} ({}): decide every field in fields.rs",
            table.at, table.definition
        );
    }
}

#[test]
fn every_object_that_is_acted_upon_has_a_table() {
    let kubernetes = kubernetes();
    let tables: BTreeMap<&str, &str> = TABLES.iter().map(|table| (table.at, table.definition)).collect();
    for table in TABLES.iter().filter(|table| !table.definition.is_empty()) {
        for field in table.fields {
            if !matches!(field.treatment, Treatment::Used | Treatment::Nested) {
                continue;
            }
            let property = &kubernetes[table.definition]["properties"][field.name];
            let (suffix, target) = match property.get("items") {
                Some(items) => ("[]", definition(items)),
                None => ("", definition(property)),
            };
            let Some(target) = target.filter(|name| kubernetes[name]["properties"].is_object()) else {
                continue;
            };
            let at = format!("{}.{}{suffix}", table.at, field.name);
            assert_eq!(
                tables.get(at.as_str()),
                Some(&target.as_str()),
                "{at} needs a table"
            );
        }
    }
}

fn definition(property: &Value) -> Option<String> {
    let direct = property.get("$ref");
    let wrapped = || {
        ["allOf", "anyOf"]
            .iter()
            .find_map(|key| property.get(key)?.get(0)?.get("$ref"))
    };
    let reference = direct.or_else(wrapped)?.as_str()?;
    Some(reference.trim_start_matches("#/definitions/").to_owned())
}

#[test]
fn shapes_are_those_of_kubernetes() {
    let kubernetes = kubernetes();
    for table in TABLES.iter().filter(|table| !table.definition.is_empty()) {
        for field in table.fields {
            let (Treatment::Ignored(shape) | Treatment::Only(shape, ..) | Treatment::Refused(shape, _)) =
                field.treatment
            else {
                continue;
            };
            let property = &kubernetes[table.definition]["properties"][field.name];
            assert_eq!(
                shape,
                shape_of(property, &kubernetes),
                "{}.{}: {property}",
                table.at,
                field.name
            );
        }
    }
}

fn shape_of(property: &Value, kubernetes: &BTreeMap<String, Value>) -> Shape {
    let type_of = |value: &Value| match &value["type"] {
        Value::Array(types) => types[0].as_str().unwrap_or_default().to_owned(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    if let Some(name) = definition(property) {
        return if kubernetes[&name]["type"] == "string" {
            Shape::Text
        } else {
            Shape::Object
        };
    }
    match type_of(property).as_str() {
        "boolean" => Shape::Bool,
        "integer" => Shape::Int,
        "string" => Shape::Text,
        "array" => match type_of(&property["items"]).as_str() {
            "string" => Shape::Texts,
            "integer" => Shape::Ints,
            _ => Shape::Objects,
        },
        _ if property["additionalProperties"]["type"] == "string" => Shape::Map,
        _ => Shape::Quantities,
    }
}

fn deployment(pod: Value) -> Value {
    let mut pod = pod;
    if pod.get("containers").is_none() {
        pod["containers"] = json!([{ "name": "web", "image": "nginx" }]);
    }
    json!({ "spec": { "template": { "spec": pod } } })
}

fn paths(object: &Value) -> Vec<String> {
    find(object).into_iter().map(|violation| violation.path).collect()
}

#[test]
fn three_unsupported_fields_are_all_named() {
    let object = deployment(json!({
        "affinity": {},
        "serviceAccountName": "robot",
        "securityContext": { "runAsNonRoot": true },
    }));
    assert_eq!(
        paths(&object),
        [
            "spec.template.spec.affinity",
            "spec.template.spec.securityContext.runAsNonRoot",
            "spec.template.spec.serviceAccountName",
        ]
    );
    assert_eq!(
        find(&object)[0].to_string(),
        "spec.template.spec.affinity: affinity is not supported: nothing is scheduled here, the Docker host is given: remove it"
    );
}

#[test]
fn harmless_values_are_accepted() {
    let object = deployment(json!({
        "schedulerName": "default-scheduler",
        "dnsPolicy": "ClusterFirst",
        "hostNetwork": false,
        "securityContext": {},
        "tolerations": [],
        "nodeSelector": {},
        "affinity": null,
        "automountServiceAccountToken": false,
        "os": { "name": "linux" },
        "enableServiceLinks": true,
        "containers": [{ "name": "web", "image": "nginx", "terminationMessagePath": "/dev/termination-log",
            "securityContext": { "runAsNonRoot": false }, "volumeMounts": [{ "name": "x", "mountPath": "/x", "subPath": "" }] }],
    }));
    assert_eq!(find(&object), []);
}

#[test]
fn other_values_of_harmless_fields_are_refused() {
    let object = deployment(
        json!({ "hostNetwork": true, "dnsPolicy": "None", "tolerations": [{}], "os": {"name": "windows"} }),
    );
    assert_eq!(paths(&object).len(), 4);
    assert!(find(&object)[1].message.contains("supported only as false"));
}

#[test]
fn the_container_of_a_list_is_named_by_its_index() {
    let object = deployment(json!({ "containers": [{}, { "lifecycle": { "preStop": {} } }] }));
    assert_eq!(paths(&object), ["spec.template.spec.containers[1].lifecycle"]);
}

#[test]
fn a_misspelt_field_is_named() {
    let object = deployment(json!({ "containers": [{ "name": "web", "imgae": "nginx" }] }));
    assert_eq!(paths(&object), ["spec.template.spec.containers[0].imgae"]);
}
