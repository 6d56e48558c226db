//! OpenAPI as clients use it: over kinds made here, with a few definitions, without a server.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::{
    apiserver::{
        discovery::samples::{built_in, kind, kinds},
        kinds::{Definition, Kind, Scale},
    },
    clock::System,
};

static DEFINITIONS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let meta = |word: &str| format!("{}{word}", definitions::META);
    let secret = "io.k8s.api.core.v1.Secret";
    BTreeMap::from([
        (
            meta("ObjectMeta"),
            json!({ "type": "object", "properties": {
            "name": { "type": "string", "default": "" },
            "creationTimestamp": { "default": {}, "allOf": [{ "$ref": format!("#/components/schemas/{}", meta("Time")) }] },
        } }),
        ),
        (meta("Time"), json!({ "type": "string", "format": "date-time" })),
        (meta("Unused"), json!({ "type": "string" })),
        (meta("Patch"), json!({ "type": "object" })),
        (
            "io.k8s.Quantity".to_owned(),
            json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
        ),
        (
            secret.to_owned(),
            json!({
                "type": "object",
                "properties": {
                    "metadata": { "default": {}, "description": "M.", "allOf": [definitions::reference(&meta("ObjectMeta"))] },
                    "size": definitions::reference("io.k8s.Quantity"),
                },
                "x-kubernetes-group-version-kind": [{ "group": "", "version": "v1", "kind": "Secret" }],
            }),
        ),
    ])
});

fn widget(schema: Value) -> Kind {
    Kind {
        definition: Definition::Custom(Arc::new(schema)),
        status: true,
        selectable: vec![".spec.size".to_owned()],
        scale: Some(Scale {
            spec_replicas: String::new(),
            status_replicas: String::new(),
            label_selector: None,
        }),
        ..kind("example.dev", "v1", "Widget", "widgets")
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A widget.",
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string", "description": "theirs" },
            "metadata": { "type": "object", "properties": { "name": { "maxLength": 3, "type": "string" } } },
            "spec": {
                "type": "object",
                "required": ["size", "name"],
                "properties": {
                    "name": { "type": "string", "default": "", "nullable": false, "enum": ["", "a"] },
                    "size": { "type": "string", "nullable": true, "minLength": 1 },
                    "port": { "x-kubernetes-int-or-string": true },
                    "free": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": { "a": { "type": "string" } },
                    },
                    "inner": { "type": "object", "x-kubernetes-embedded-resource": true },
                    "nulls": { "type": "array", "nullable": true, "items": { "type": "string" } },
                    "map": { "type": "object", "additionalProperties": { "type": "integer", "nullable": true } },
                    "any": { "type": "object", "additionalProperties": true },
                    "one": { "type": "string", "oneOf": [{ "pattern": "a" }, { "pattern": "b" }], "not": { "enum": ["c"] } },
                    "list": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                        "items": { "type": "object", "required": ["k"], "properties": { "k": { "type": "string" } } },
                    },
                    "count": { "type": "integer", "minimum": 0, "maximum": 10, "format": "int32", "default": 1 },
                },
            },
        },
    })
}

fn some() -> Kinds {
    kinds([
        widget(schema()),
        built_in("", "v1", "Secret", "secrets", "io.k8s.api.core.v1.Secret"),
    ])
}

fn documents() -> Documents {
    Documents::new(&DEFINITIONS, String::new(), Arc::new(System))
}

fn ask(path: &str, query: &str, accept: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, accept.parse().unwrap());
    respond(&some(), &documents(), path, query, &headers).unwrap()
}

fn bytes(answer: Response) -> Vec<u8> {
    futures::executor::block_on(answer.into_body().collect())
        .unwrap()
        .to_bytes()
        .to_vec()
}

fn json_of(path: &str) -> Value {
    serde_json::from_slice(&bytes(ask(path, "", "application/json"))).unwrap()
}

/// Every `$ref` of a document, as JSON pointers into it.
fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "$ref" => into.push(text.trim_start_matches('#').to_owned()),
            value => references(value, into),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves_and_nothing_unused_is_published() {
    for path in [
        "/openapi/v2",
        "/openapi/v3/api/v1",
        "/openapi/v3/apis/example.dev/v1",
    ] {
        let document = json_of(path);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            assert!(document.pointer(&reference).is_some(), "{path}: {reference}");
        }
        let definitions = document
            .pointer("/definitions")
            .or(document.pointer("/components/schemas"))
            .unwrap();
        assert_eq!(definitions.get(format!("{}Unused", definitions::META)), None);
    }
}

#[test]
fn no_kind_has_two_definitions() {
    let document = json_of("/openapi/v2");
    let mut seen = std::collections::BTreeSet::new();
    for definition in document["definitions"].as_object().unwrap().values() {
        for gvk in definition["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(seen.insert(gvk.to_string()), "{gvk}");
        }
    }
    assert!(seen.len() >= 3, "{seen:?}");
}

#[test]
fn a_custom_resource_is_published_as_written_with_what_every_object_has() {
    let document = json_of("/openapi/v3/apis/example.dev/v1");
    let own = &document["components"]["schemas"]["dev.example.v1.Widget"];
    assert_eq!(own["description"], "A widget.");
    assert_eq!(own["required"], json!(["spec"]));
    assert_eq!(
        own["x-kubernetes-group-version-kind"],
        json!([{ "group": "example.dev", "version": "v1", "kind": "Widget" }])
    );
    assert_eq!(
        own["x-kubernetes-selectable-fields"],
        json!([{ "fieldPath": "spec.size" }])
    );
    assert_ne!(own["properties"]["apiVersion"]["description"], "theirs");
    let metadata = &own["properties"]["metadata"]["allOf"][0]["$ref"];
    assert_eq!(
        metadata,
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    let spec = &own["properties"]["spec"]["properties"];
    assert_eq!(
        spec["port"],
        json!({ "x-kubernetes-int-or-string": true, "anyOf": [{ "type": "integer" }, { "type": "string" }] })
    );
    assert_eq!(
        spec["name"],
        json!({ "type": "string", "default": "", "enum": ["", "a"] })
    );
    assert_eq!(spec["size"]["nullable"], true);
    assert_eq!(spec["inner"]["required"], json!(["kind", "apiVersion"]));
    assert_eq!(
        spec["inner"]["properties"]["metadata"]["allOf"][0]["$ref"],
        *metadata
    );
    assert_eq!(spec["list"], schema()["properties"]["spec"]["properties"]["list"]);
    assert_eq!(spec["one"], schema()["properties"]["spec"]["properties"]["one"]);
    let list = &document["components"]["schemas"]["dev.example.v1.WidgetList"];
    assert_eq!(
        list["properties"]["items"]["items"]["$ref"],
        "#/components/schemas/dev.example.v1.Widget"
    );
}

#[test]
fn version_2_leaves_out_what_it_cannot_say() {
    let document = json_of("/openapi/v2");
    let own = &document["definitions"]["dev.example.v1.Widget"];
    assert_eq!(
        own["properties"]["metadata"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert!(own["properties"]["metadata"]["description"].is_string());
    let spec = &own["properties"]["spec"];
    assert_eq!(
        spec["required"],
        json!(["name"]),
        "a field that may be null is not asked for"
    );
    let expected = json!({
        "name": { "type": "string", "enum": ["", "a"] },
        "size": { "minLength": 1 },
        "port": { "x-kubernetes-int-or-string": true },
        "free": { "x-kubernetes-preserve-unknown-fields": true },
        "nulls": {},
        "map": { "type": "object", "additionalProperties": {} },
        "any": { "type": "object", "additionalProperties": true },
        "one": { "type": "string" },
        "count": { "type": "integer", "minimum": 0, "maximum": 10, "format": "int32" },
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&spec["properties"][name], expected, "{name}");
    }
    assert_eq!(
        spec["properties"]["list"],
        schema()["properties"]["spec"]["properties"]["list"]
    );
    let secret = &document["definitions"]["io.k8s.api.core.v1.Secret"]["properties"]["metadata"];
    assert_eq!(
        secret,
        &json!({ "description": "M.", "$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" })
    );
    assert_eq!(
        document["definitions"]["io.k8s.Quantity"],
        json!({ "type": "string" })
    );
}

#[test]
fn an_open_custom_resource_lists_no_field_in_version_2() {
    let open = widget(
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": { "a": {} } }),
    );
    let document = two::document(&kinds([open]), &DEFINITIONS);
    let own = &document["definitions"]["dev.example.v1.Widget"];
    assert_eq!(own.get("properties"), None);
    assert_eq!(own["type"], "object");
    assert!(own["x-kubernetes-group-version-kind"].is_array());
}

#[test]
fn a_patch_says_what_it_takes_in_both_versions() {
    let path = "/apis/example.dev/v1/namespaces/{namespace}/widgets/{name}";
    for document in ["/openapi/v2", "/openapi/v3/apis/example.dev/v1"] {
        let document = json_of(document);
        for path in [path.to_owned(), format!("{path}/status"), format!("{path}/scale")] {
            let patch = &document["paths"][&path]["patch"];
            let query: Vec<_> = patch["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|p| p["in"] == "query")
                .collect();
            let names: Vec<_> = query
                .iter()
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(
                names,
                ["dryRun", "fieldManager", "fieldValidation", "force"],
                "{path}"
            );
            let gvk = json!({ "group": "example.dev", "version": "v1", "kind": "Widget" });
            assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
            assert_eq!(patch["x-kubernetes-action"], "patch");
        }
    }
}

#[test]
fn operations_are_those_that_are_served_and_each_has_a_name_of_its_own() {
    let terminating = Kind {
        verbs: &["delete", "deletecollection", "get", "list", "watch"],
        ..kind("a.dev", "v1", "A", "as")
    };
    let review = Kind {
        verbs: &["create"],
        namespaced: false,
        ..built_in("authorization.k8s.io", "v1", "Review", "reviews", "x")
    };
    let document = two::document(&kinds([terminating, review, widget(schema())]), &DEFINITIONS);
    let methods = |path: &str| -> Vec<&str> {
        document["paths"][path]
            .as_object()
            .map(|item| item.keys().map(String::as_str).collect())
            .unwrap_or_default()
    };
    assert_eq!(
        methods("/apis/a.dev/v1/namespaces/{namespace}/as"),
        ["delete", "get", "parameters"]
    );
    assert_eq!(methods("/apis/a.dev/v1/as"), ["get", "parameters"]);
    assert_eq!(
        methods("/apis/a.dev/v1/namespaces/{namespace}/as/{name}"),
        ["delete", "get", "parameters"]
    );
    assert_eq!(
        methods("/apis/authorization.k8s.io/v1/reviews"),
        ["parameters", "post"]
    );
    assert_eq!(methods("/apis/authorization.k8s.io/v1/reviews/{name}"), [""; 0]);
    let mut names = std::collections::BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item
            .as_object()
            .unwrap()
            .values()
            .filter(|value| value.is_object())
        {
            assert!(
                names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{operation}"
            );
        }
    }
    assert!(
        names.contains("readExampleDevV1NamespacedWidgetScale"),
        "{names:?}"
    );
    assert!(
        names.contains("listExampleDevV1WidgetForAllNamespaces"),
        "{names:?}"
    );
    assert!(names.contains("createAuthorizationV1Review"), "{names:?}");
}

#[test]
fn the_index_leads_to_documents_that_may_be_kept_for_ever() {
    let index = json_of("/openapi/v3");
    let entries: Vec<_> = index["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(entries, ["api/v1", "apis/example.dev/v1"]);
    let place = index["paths"]["apis/example.dev/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let (path, query) = place.split_once('?').unwrap();
    let right = ask(path, query, "application/json");
    assert_eq!(right.status(), 200);
    assert_eq!(right.headers()[header::CACHE_CONTROL], "public, immutable");
    assert!(
        right.headers()[header::EXPIRES]
            .to_str()
            .unwrap()
            .ends_with(" GMT")
    );
    let wrong = ask(path, "hash=ABC", "*/*");
    assert_eq!(wrong.status(), 301);
    assert_eq!(wrong.headers()[header::LOCATION], place);
    let none = ask(path, "timeout=32s", "*/*");
    assert_eq!(none.status(), 200);
    assert_eq!(none.headers().get(header::CACHE_CONTROL), None);
    assert!(none.headers().contains_key(header::ETAG));
    for path in [
        "/openapi/v3/apis/example.dev/v9",
        "/openapi/v3/",
        "/openapi/v3/api",
        "/openapi/v3/apis//v1",
        "/openapi/v3/api/a/v1",
    ] {
        assert_eq!(ask(path, "", "*/*").status(), 404, "{path}");
    }
    assert!(respond(&some(), &documents(), "/openapi", "", &HeaderMap::new()).is_none());
}

#[test]
fn clients_get_the_first_form_that_they_take() {
    let three = "/openapi/v3/apis/example.dev/v1";
    for (path, accept, expected) in [
        ("/openapi/v2", "*/*", Some(JSON)),
        (
            "/openapi/v2",
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            Some(PROTOBUF),
        ),
        (
            "/openapi/v2",
            "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
            Some(PROTOBUF),
        ),
        ("/openapi/v2", "text/html, application/json;q=0.1", Some(JSON)),
        ("/openapi/v2", "application/yaml", None),
        (
            three,
            "application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json",
            Some(JSON),
        ),
        (
            three,
            "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
            None,
        ),
        ("/openapi/v3", "text/html", Some(JSON)),
    ] {
        let answer = ask(path, "", accept);
        let content_type = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap());
        assert_eq!(
            (answer.status().as_u16(), content_type),
            (if expected.is_some() { 200 } else { 406 }, expected),
            "{path} {accept}"
        );
    }
}

#[test]
fn both_forms_of_version_2_have_one_tag() {
    let tag = |accept| ask("/openapi/v2", "", accept).headers()[header::ETAG].clone();
    assert_eq!(
        tag("application/json"),
        tag("application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    );
}

#[test]
fn protobuf_carries_names_schemas_and_extensions() {
    let document = json!({ "swagger": "2.0", "definitions": { "N": { "type": "object", "x-a": [1], "additionalProperties": false } } });
    let schema = b"\xaa\x01\x02\x10\x00\xb2\x01\x08\x0a\x06object\xfa\x01\x0c\x0a\x03x-a\x12\x05\x12\x03[1]";
    let found = gnostic::encode(&document);
    assert!(
        found.windows(schema.len()).any(|window| window == schema),
        "{found:?}"
    );
    assert!(found.ends_with(b"\x0a\x032.0"));
}
