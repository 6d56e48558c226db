//! Discovery as clients see it: over kinds made here, without a server.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{
    samples::{built_in, kind, kinds},
    *,
};
use crate::{
    apiserver::kinds::{Kind, Scale, VERBS},
    clock::System,
};

fn some() -> Kinds {
    let widget = Kind {
        short_names: vec!["wd".to_owned()],
        categories: vec!["all".to_owned()],
        status: true,
        scale: Some(Scale {
            spec_replicas: ".spec.replicas".to_owned(),
            status_replicas: ".status.replicas".to_owned(),
            label_selector: None,
        }),
        ..kind("example.dev", "v1", "Widget", "widgets")
    };
    let alpha = Kind {
        storage_version: widget.version.clone(),
        ..kind("example.dev", "v1alpha1", "Widget", "widgets")
    };
    let namespace = Kind {
        namespaced: false,
        status: true,
        ..built_in("", "v1", "Namespace", "namespaces", "x")
    };
    kinds([
        alpha,
        widget,
        kind("example.dev", "v1beta2", "Thing", "things"),
        built_in("events.k8s.io", "v1", "Event", "events", "x"),
        namespace,
        built_in("", "v1", "Secret", "secrets", "x"),
        built_in("", "v1", "ServiceAccount", "serviceaccounts", "x"),
        Kind {
            verbs: &["create"],
            ..built_in("authorization.k8s.io", "v1", "Review", "reviews", "x")
        },
    ])
}

fn documents() -> Documents {
    static NONE: BTreeMap<String, Value> = BTreeMap::new();
    Documents::new(&NONE, "127.0.0.1:6443".to_owned(), Arc::new(System))
}

fn accepting(accept: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, accept.parse().unwrap());
    headers
}

fn body(answer: Response) -> Value {
    let collected = futures::executor::block_on(answer.into_body().collect()).unwrap();
    serde_json::from_slice(&collected.to_bytes()).unwrap_or_default()
}

fn get(path: &str, accept: &str) -> (u16, String, Value) {
    let answer = respond(&some(), &documents(), path, &accepting(accept)).unwrap();
    let content_type = answer.headers()[header::CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    (answer.status().as_u16(), content_type, body(answer))
}

#[test]
fn the_root_lists_paths_that_lead_somewhere() {
    let (code, _, body) = get("/", "*/*");
    assert_eq!(code, 200);
    let paths: Vec<&str> = body["paths"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    assert!(paths.is_sorted());
    for path in [
        "/api/v1",
        "/apis/example.dev",
        "/apis/example.dev/v1alpha1",
        "/livez",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    for path in paths.iter().filter(|path| path.starts_with("/api")) {
        assert_eq!(get(path, "*/*").0, 200, "{path}");
    }
}

#[test]
fn the_aggregated_form_goes_to_those_who_prefer_it() {
    const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const BETA: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    for (accept, aggregated) in [
        (V2.to_owned(), true),
        (format!("{V2},{BETA},application/json"), true),
        (format!("{BETA},{V2};profile=nopeer,application/json"), true),
        (format!("{BETA},application/json"), false),
        (format!("application/json,{V2}"), false),
        (format!("{V2};q=0.5,application/json"), false),
        (BETA.to_owned(), false),
        ("*/*".to_owned(), false),
        ("text/html".to_owned(), false),
        ("application/vnd.kubernetes.protobuf".to_owned(), false),
        (V2.replace("json", "vnd.kubernetes.protobuf"), false),
    ] {
        for (path, legacy) in [
            ("/api", "APIVersions"),
            ("/apis", "APIGroupList"),
            ("/apis/", "APIGroupList"),
        ] {
            let (code, content_type, body) = get(path, &accept);
            let expected = if aggregated {
                (AGGREGATED, "APIGroupDiscoveryList")
            } else {
                ("application/json", legacy)
            };
            assert_eq!(
                (code, content_type.as_str(), body["kind"].as_str().unwrap()),
                (200, expected.0, expected.1),
                "{accept}"
            );
        }
    }
}

#[test]
fn groups_say_which_version_they_prefer() {
    let (_, _, apis) = get("/apis", "application/json");
    let names: Vec<_> = apis["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["events.k8s.io", "authorization.k8s.io", "example.dev"]);
    let ours = &apis["groups"][2];
    let versions: Vec<_> = ours["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["v1", "v1beta2", "v1alpha1"]);
    assert_eq!(
        ours["preferredVersion"],
        json!({ "groupVersion": "example.dev/v1", "version": "v1" })
    );
    let (_, _, mut group) = get("/apis/example.dev", "application/json");
    assert_eq!(group["kind"].take(), "APIGroup");
    assert_eq!(group["apiVersion"].take(), "v1");
    assert_eq!(group["versions"], ours["versions"]);
}

#[test]
fn the_core_group_says_where_the_server_is() {
    let (_, _, api) = get("/api", "application/json");
    let expected = json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443" }],
    });
    assert_eq!(api, expected);
}

#[test]
fn resources_are_listed_with_what_is_below_their_objects() {
    let (_, _, list) = get("/apis/example.dev/v1", "application/json");
    let below = |name: &str, more: Value| {
        let mut entry = json!({
            "name": name, "singularName": "", "namespaced": true, "kind": "Widget", "verbs": ["get", "patch", "update"],
        });
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entry
    };
    let expected = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "example.dev/v1",
        "resources": [
            {
                "name": "widgets", "singularName": "widget", "namespaced": true, "kind": "Widget", "verbs": VERBS,
                "shortNames": ["wd"], "categories": ["all"], "storageVersionHash": "dGliDuVrUiQ=",
            },
            below("widgets/status", json!({})),
            below("widgets/scale", json!({ "group": "autoscaling", "version": "v1", "kind": "Scale" })),
        ],
    });
    assert_eq!(list, expected);
    let (_, _, alpha) = get("/apis/example.dev/v1alpha1/", "application/json");
    assert_eq!(alpha["resources"][0]["storageVersionHash"], "dGliDuVrUiQ=");
    assert_eq!(alpha["resources"].as_array().unwrap().len(), 1);
}

#[test]
fn built_in_subresources_are_those_of_the_api_server() {
    let (_, _, core) = get("/api/v1", "application/json");
    let entries: Vec<_> = core["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap(),
                entry["kind"].as_str().unwrap(),
                entry["verbs"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(
        entries,
        [
            ("namespaces", "Namespace", 8),
            ("namespaces/finalize", "Namespace", 1),
            ("namespaces/status", "Namespace", 3),
            ("secrets", "Secret", 8),
            ("serviceaccounts", "ServiceAccount", 8),
        ]
    );
    // What kube-apiserver answers for the same kind.
    assert_eq!(core["resources"][3]["storageVersionHash"], "S6u1pOWzb84=");
    let (_, _, reviews) = get("/apis/authorization.k8s.io/v1", "application/json");
    assert_eq!(reviews["resources"][0].get("storageVersionHash"), None);
}

#[test]
fn the_aggregated_form_says_the_same() {
    let (_, _, apis) = get("/apis", AGGREGATED);
    assert_eq!(apis["items"][2]["metadata"]["name"], "example.dev");
    let version = &apis["items"][2]["versions"][0];
    let own = |kind: &str| json!({ "group": "example.dev", "version": "v1", "kind": kind });
    let expected = json!({
        "version": "v1",
        "freshness": "Current",
        "resources": [{
            "resource": "widgets", "responseKind": own("Widget"), "scope": "Namespaced", "singularResource": "widget",
            "verbs": VERBS, "shortNames": ["wd"], "categories": ["all"],
            "subresources": [
                { "subresource": "status", "responseKind": own("Widget"), "verbs": ["get", "patch", "update"] },
                {
                    "subresource": "scale", "verbs": ["get", "patch", "update"],
                    "responseKind": { "group": "autoscaling", "version": "v1", "kind": "Scale" },
                },
            ],
        }],
    });
    assert_eq!(version, &expected);
    let (_, _, api) = get("/api", AGGREGATED);
    assert_eq!(api["items"][0]["metadata"], json!({}));
    assert_eq!(api["items"][0]["versions"][0]["resources"][0]["scope"], "Cluster");
    assert_eq!(api["items"].as_array().unwrap().len(), 1);
}

#[test]
fn the_aggregated_form_is_tagged_and_the_tag_follows_the_kinds() {
    let documents = documents();
    let first = respond(&some(), &documents, "/apis", &accepting(AGGREGATED)).unwrap();
    assert_eq!(first.headers()[header::VARY], "Accept");
    let mut again = accepting(AGGREGATED);
    again.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
    assert_eq!(
        respond(&some(), &documents, "/apis", &again).unwrap().status(),
        304
    );
    let more = Kinds::new([Arc::new(kind("example.dev", "v1", "Other", "others"))], 2);
    let changed = respond(&more, &documents, "/apis", &again).unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()[header::ETAG], first.headers()[header::ETAG]);
}

#[test]
fn what_is_not_served_is_not_found() {
    for path in [
        "/apis/nothing.dev",
        "/apis/example.dev/v9",
        "/apis/nothing.dev/v1",
        "/apis//v1",
    ] {
        let (code, content_type, _) = get(path, "application/json");
        assert_eq!(
            (code, content_type.as_str()),
            (404, "text/plain; charset=utf-8"),
            "{path}"
        );
    }
    for path in ["/api/v2", "/apis/events.k8s.io/v9"] {
        let (code, _, body) = get(path, "application/json");
        assert_eq!((code, &body["reason"]), (404, &json!("NotFound")), "{path}");
    }
    for path in [
        "/apis/example.dev/v1/widgets",
        "/api/v1/secrets",
        "/healthz",
        "/versions",
        "/apisx",
    ] {
        assert!(
            respond(&some(), &documents(), path, &HeaderMap::new()).is_none(),
            "{path}"
        );
    }
}

#[test]
fn the_version_is_one_that_clients_can_compare() {
    let (_, _, version) = get("/version", "*/*");
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&json!("1"), &json!("37"))
    );
    assert_eq!(version["gitVersion"], "v1.37.0+supercargo");
    assert!(version.as_object().unwrap().values().all(Value::is_string));
}
