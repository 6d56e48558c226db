//! The CRDs: generated files are current, and their schemas keep the rules that clients and GitOps tools need.
//! `SUPERCARGO_GENERATE=1` rewrites the files instead of comparing them; `make generate` sets it.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use supercargo::api::crd;

/// Calls `see` with every schema below `schema`, and its path.
fn walk(schema: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    see(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), see);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(child) = schema.get(key) {
            walk(child, &format!("{path}{suffix}"), see);
        }
    }
}

fn documents() -> Vec<Value> {
    let crds = crd::crds().expect("crds");
    crds.iter()
        .map(|crd| serde_json::to_value(crd).expect("json"))
        .collect()
}

fn faults(fault: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents() {
        let kind = document["spec"]["names"]["kind"]
            .as_str()
            .expect("kind")
            .to_owned();
        let schema = &document["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(schema, &kind, &mut |path, schema| {
            if fault(path, schema) {
                found.push(path.to_owned());
            }
        });
    }
    found
}

/// The definition as Helm is to have it: what is installed stays when the release goes, and every object with it.
fn kept(text: &str) -> String {
    let keep = "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n";
    let kept = text.replacen("\nmetadata:\n", keep, 1);
    assert!(
        kept != text && !kept.contains("{{"),
        "a template of Helm's would read it otherwise"
    );
    kept
}

#[test]
fn generated_files_are_current() {
    for (name, text) in crd::files().expect("files") {
        let (chart, kept) = ("charts/supercargo-crds/templates", kept(&text));
        for (folder, text) in [("crds", text), (chart, kept)] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
            if std::env::var_os("SUPERCARGO_GENERATE").is_some() {
                std::fs::write(&file, &text).expect("write");
            }
            let stored = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                stored == text,
                "{folder}/{name} is not what src/api says: run `make generate` and commit the result"
            );
        }
    }
}

#[test]
fn each_definition_is_told_by_a_checksum_of_its_own() {
    let names: Vec<_> = crd::crds()
        .expect("crds")
        .into_iter()
        .map(|crd| crd.metadata.name)
        .collect();
    let told: Vec<_> = crd::CHECKSUMS
        .iter()
        .map(|(name, _)| Some((*name).to_owned()))
        .collect();
    assert_eq!(told, names);
    assert_ne!(crd::CHECKSUMS[0].1, crd::CHECKSUMS[1].1);
}

#[test]
fn the_yaml_says_what_the_types_say() {
    for ((_, text), crd) in crd::files()
        .expect("files")
        .iter()
        .zip(crd::crds().expect("crds"))
    {
        let parsed: CustomResourceDefinition = serde_saphyr::from_str(text).expect("yaml");
        assert_eq!(parsed, crd);
    }
}

#[test]
fn every_field_is_described() {
    let undescribed = faults(|path, schema| {
        let standard = [".apiVersion", ".kind", ".metadata"];
        let at_root = path.matches('.').count() == 1 && standard.iter().any(|name| path.ends_with(name));
        let is_element = path.ends_with("[]") || path.ends_with("{}");
        !at_root && !is_element && schema.get("description").is_none()
    });
    assert_eq!(undescribed, Vec::<String>::new());
}

#[test]
fn everything_that_can_grow_has_a_maximum() {
    let unbounded = faults(|_, schema| {
        let lacks = |key: &str| schema.get(key).is_none();
        match schema["type"].as_str() {
            Some("string") => lacks("maxLength") && lacks("enum"),
            Some("array") => lacks("maxItems"),
            Some("object") => !lacks("additionalProperties") && lacks("maxProperties"),
            Some(_) => false,
            None => lacks("maxLength"),
        }
    });
    let standard = |path: &String| {
        !path.ends_with("DockerDeployment.metadata") && !path.ends_with("DockerSecret.metadata")
    };
    assert_eq!(
        unbounded.into_iter().filter(standard).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[test]
fn lists_say_how_they_merge() {
    assert_eq!(
        faults(|_, schema| schema["type"] == "array" && schema.get("x-kubernetes-list-type").is_none()),
        Vec::<String>::new()
    );
}

#[test]
fn list_items_have_no_defaults_and_only_two_defaults_exist() {
    assert_eq!(
        faults(|_, schema| schema.get("default").is_some()),
        [
            "DockerDeployment.spec.replicas",
            "DockerDeployment.status",
            "DockerSecret.status"
        ]
    );
}

#[test]
fn no_error_of_a_secret_repeats_a_value() {
    assert_eq!(
        faults(|path, schema| path.starts_with("DockerSecret.spec") && schema.get("pattern").is_some()),
        Vec::<String>::new()
    );
}

#[test]
fn schemas_are_structural() {
    let faulty = faults(|path, schema| {
        let keys = [
            "$ref",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "nullable",
            "title",
            "definitions",
        ];
        let typed = schema.get("type").is_some() || schema.get("x-kubernetes-int-or-string").is_some();
        let nullable_is_wanted = path.ends_with(".template.metadata.creationTimestamp");
        !typed
            || keys
                .iter()
                .any(|key| schema.get(key).is_some() && !(*key == "nullable" && nullable_is_wanted))
    });
    assert_eq!(faulty, Vec::<String>::new());
}

#[test]
fn there_is_no_falsy_noise() {
    fn falsy(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Null | Value::Bool(false) => found.push(path.to_owned()),
            Value::String(text) if text.is_empty() => found.push(path.to_owned()),
            Value::Array(items) if items.is_empty() => found.push(path.to_owned()),
            Value::Object(map) if map.is_empty() => found.push(path.to_owned()),
            Value::Array(items) => items.iter().for_each(|item| falsy(item, path, found)),
            Value::Object(map) => map
                .iter()
                .for_each(|(key, value)| falsy(value, &format!("{path}/{key}"), found)),
            Value::Bool(true) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    for document in documents() {
        assert!(document.get("status").is_none());
        falsy(&document, "", &mut found);
    }
    found.retain(|path| !path.ends_with("/subresources/status"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_keeps_unknown_fields_is_always_refused() {
    let mut kept = 0;
    for document in documents() {
        let schema = &document["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(schema, "", &mut |path, parent| {
            for (name, property) in parent["properties"].as_object().into_iter().flatten() {
                let keeps = |schema: &Value| schema["x-kubernetes-preserve-unknown-fields"] == true;
                if !keeps(property) && !keeps(&property["items"]) {
                    continue;
                }
                kept += 1;
                let none = format!("!has(self.{name})");
                let empty = format!("{none} || size(self.{name}) == 0");
                let refused = parent["x-kubernetes-validations"]
                    .as_array()
                    .is_some_and(|rules| {
                        rules
                            .iter()
                            .any(|rule| rule["rule"] == none || rule["rule"] == empty)
                    });
                assert!(refused, "{path}.{name} would be stored");
            }
        });
    }
    assert!(kept > 50, "{kept}");
}

#[test]
fn columns_names_and_subresources_are_as_promised() {
    for document in documents() {
        let version = &document["spec"]["versions"][0];
        let columns = version["additionalPrinterColumns"].as_array().expect("columns");
        assert!(
            columns
                .iter()
                .filter(|column| column.get("priority").is_none())
                .count()
                <= 6
        );
        assert!(version["subresources"].get("status").is_some());
    }
    let [deployment, secret] = &documents()[..] else {
        panic!("two documents")
    };
    assert_eq!(deployment["spec"]["names"]["shortNames"][0], "ddep");
    assert_eq!(secret["spec"]["names"]["shortNames"][0], "dsec");
    assert_eq!(
        deployment["spec"]["names"]["categories"],
        serde_json::json!(["supercargo", "all"])
    );
    let scale = &deployment["spec"]["versions"][0]["subresources"]["scale"];
    assert_eq!(scale["labelSelectorPath"], ".status.selector");
}
