//! The custom resource that all cases use, and the cases about definitions of custom resources themselves.
//! Every run has an API group of its own, so that runs do not meet.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    cases,
    client::{Ask, SOON},
    session::{MERGE_PATCH, Server, Session},
};

pub const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

cases![
    a_definition_is_served_once_it_is_established,
    a_definition_is_checked,
    a_changed_schema_holds_for_the_next_request,
    a_new_default_shows_in_what_is_stored_already,
    an_object_is_the_same_in_every_served_version,
    a_deleted_definition_takes_its_objects_with_it,
    old_faults_of_an_object_do_not_stand_in_the_way_of_other_changes,
];

/// The schema of a gadget.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A gadget.",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": { "type": "string", "default": "small", "enum": ["small", "big"] },
                    "count": { "type": "integer", "minimum": 0, "maximum": 10 },
                    "note": { "type": "string", "pattern": "^[a-z ]*$", "maxLength": 20 },
                    "replicas": { "type": "integer" },
                    "fixed": {
                        "type": "string",
                        "x-kubernetes-validations": [{ "rule": "self == oldSelf", "message": "fixed is immutable" }],
                    },
                    "inner": { "type": "object", "required": ["a"], "properties": { "a": { "type": "string" }, "b": { "type": "string" } } },
                    "parts": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object", "required": ["name"],
                            "properties": { "name": { "type": "string" }, "value": { "type": "string" } },
                        },
                    },
                    "tags": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
                    "plain": { "type": "array", "items": { "type": "string" } },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "ready": { "type": "boolean" },
                    "replicas": { "type": "integer" },
                    "selector": { "type": "string" },
                },
            },
        },
    })
}

/// A definition with these names and versions.
fn definition(group: &str, plural: &str, kind: &str, versions: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
            "versions": versions,
        },
    })
}

fn version(name: &str, storage: bool, schema: Value) -> Value {
    json!({ "name": name, "served": true, "storage": storage, "schema": { "openAPIV3Schema": schema } })
}

/// Makes gadgets known to a server.
pub async fn define(server: &Server, group: &str) {
    let mut versions = vec![version("v1", true, schema()), version("v1beta1", false, schema())];
    for version in &mut versions {
        version["subresources"] = json!({
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        });
        version["additionalPrinterColumns"] = json!([
            { "name": "Size", "type": "string", "jsonPath": ".spec.size" },
            { "name": "Count", "type": "integer", "jsonPath": ".spec.count", "description": "How many." },
            { "name": "Ready", "type": "boolean", "jsonPath": ".status.ready", "priority": 1 },
            { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
        ]);
        version["selectableFields"] = json!([{ "jsonPath": ".spec.size" }]);
    }
    let mut crd = definition(group, "gadgets", "Gadget", versions.into());
    crd["spec"]["names"]["shortNames"] = json!(["gad"]);
    crd["spec"]["names"]["categories"] = json!(["all"]);
    let answer = server.admin.send(&Ask::new("POST", CRDS).json(&crd)).await;
    // One server that is both sides has it already.
    assert!(
        [201, 409].contains(&answer.code),
        "{}: {}",
        server.name,
        answer.body
    );
    let end = Instant::now() + SOON;
    // Discovery and OpenAPI of a real server follow a little later.
    for path in [
        format!("/apis/{group}/v1/gadgets"),
        format!("/apis/{group}/v1"),
        format!("/openapi/v3/apis/{group}/v1"),
    ] {
        while server.admin.send(&Ask::new("GET", &path)).await.code != 200 {
            assert!(Instant::now() < end, "{}: {path} is not there", server.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub async fn remove(server: &Server, group: &str) {
    server
        .admin
        .send(&Ask::new("DELETE", &format!("{CRDS}/gadgets.{group}")))
        .await;
}

/// A group that no other case uses.
fn own(session: &Session) -> String {
    format!("{}.example.dev", session.namespace)
}

async fn established(session: &Session, name: &str) -> Value {
    let so = |body: &Value| {
        let conditions = body["status"]["conditions"].as_array();
        conditions.is_some_and(|all| {
            all.iter()
                .any(|one| one["type"] == "Established" && one["status"] == "True")
        })
    };
    session
        .until(
            "Established",
            &format!("{CRDS}/{name}"),
            |answer| so(&answer.body),
        )
        .await
        .body
}

/// The conditions in one order, without times and texts.
fn conditions(body: &Value) -> Value {
    let all = body["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut all: Vec<_> = all
        .iter()
        .map(|one| json!([one["type"], one["status"], one["reason"]]))
        .collect();
    all.sort_by_key(Value::to_string);
    all.into()
}

// Behaviour 113.
async fn a_definition_is_served_once_it_is_established(session: &Session) {
    let group = own(session);
    let crd = definition(
        &group,
        "toys",
        "Toy",
        json!([version("v1", true, json!({ "type": "object" }))]),
    );
    session.post(CRDS, &crd).await.is(201);
    let found = established(session, &format!("toys.{group}")).await;
    session.note("conditions", &conditions(&found));
    session.note("accepted names", &found["status"]["acceptedNames"]);
    assert_eq!(found["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(found["spec"]["conversion"], json!({ "strategy": "None" }));
    let toys = format!("/apis/{group}/v1/namespaces/{}/toys", session.namespace);
    session
        .until("the resource", &toys, |answer| answer.code == 200)
        .await;
    let toy = json!({ "apiVersion": format!("{group}/v1"), "kind": "Toy", "metadata": { "name": "a" } });
    session.post(&toys, &toy).await.is(201);
    session.delete(&format!("{CRDS}/toys.{group}")).await.is(200);
}

// Behaviour 114.
async fn a_definition_is_checked(session: &Session) {
    let group = own(session);
    let toys = |schema: Value| definition(&group, "toys", "Toy", json!([version("v1", true, schema)]));
    let mut misnamed = toys(json!({ "type": "object" }));
    misnamed["metadata"]["name"] = "other".into();
    session
        .post(CRDS, &misnamed)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.name");
    let loose =
        json!({ "type": "object", "properties": { "a": { "properties": { "b": { "type": "string" } } } } });
    session.post(CRDS, &toys(loose)).await.refuses(422, "Invalid");
    let mut two = toys(json!({ "type": "object" }));
    two["spec"]["versions"] = json!([
        version("v1", true, json!({ "type": "object" })),
        version("v2", true, json!({ "type": "object" }))
    ]);
    session.post(CRDS, &two).await.refuses(422, "Invalid");
    let mut clash = definition(
        &group,
        "others",
        "Toy",
        json!([version("v1", true, json!({ "type": "object" }))]),
    );
    session
        .post(CRDS, &toys(json!({ "type": "object" })))
        .await
        .is(201);
    established(session, &format!("toys.{group}")).await;
    clash["spec"]["names"]["listKind"] = "OtherList".into();
    session.post(CRDS, &clash).await.is(201);
    let refused = |body: &Value| {
        conditions(body)
            .to_string()
            .contains(r#"["NamesAccepted","False""#)
    };
    let path = format!("{CRDS}/others.{group}");
    let found = session
        .until("the clash", &path, |answer| refused(&answer.body))
        .await
        .body;
    session.note("clash", &conditions(&found));
    session
        .quietly(Ask::new("DELETE", &format!("{CRDS}/toys.{group}")))
        .await;
    session
        .quietly(Ask::new("DELETE", &format!("{CRDS}/others.{group}")))
        .await;
}

// Behaviour 115.
async fn a_changed_schema_holds_for_the_next_request(session: &Session) {
    let group = own(session);
    let schema = |maximum: i64| json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": { "n": { "type": "integer", "maximum": maximum } } } } });
    let crd = definition(&group, "toys", "Toy", json!([version("v1", true, schema(5))]));
    session.post(CRDS, &crd).await.is(201);
    established(session, &format!("toys.{group}")).await;
    let toys = format!("/apis/{group}/v1/namespaces/{}/toys", session.namespace);
    session
        .until("the resource", &toys, |answer| answer.code == 200)
        .await;
    let toy = |name: &str, n: i64| json!({ "apiVersion": format!("{group}/v1"), "kind": "Toy", "metadata": { "name": name }, "spec": { "n": n } });
    session
        .post(&toys, &toy("a", 9))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "spec.n");
    let path = format!("{CRDS}/toys.{group}");
    let wider = json!({ "spec": { "versions": [version("v1", true, schema(10))] } });
    session.patch(MERGE_PATCH, &path, &wider).await.is(200);
    let end = Instant::now() + SOON;
    while session
        .quietly(Ask::new("POST", &toys).json(&toy("a", 9)))
        .await
        .code
        != 201
    {
        assert!(Instant::now() < end, "the new schema does not hold");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    session.get(&format!("{toys}/a")).await.is(200);
    session.delete(&path).await.is(200);
}

// Behaviour 115.
async fn a_new_default_shows_in_what_is_stored_already(session: &Session) {
    let group = own(session);
    let schema = |n: Value| json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": { "n": n } } } });
    let plain = schema(json!({ "type": "integer" }));
    let crd = definition(&group, "toys", "Toy", json!([version("v1", true, plain)]));
    session.quietly(Ask::new("POST", CRDS).json(&crd)).await.is(201);
    established(session, &format!("toys.{group}")).await;
    let toys = format!("/apis/{group}/v1/namespaces/{}/toys", session.namespace);
    session
        .until("the resource", &toys, |answer| answer.code == 200)
        .await;
    let toy = json!({ "apiVersion": format!("{group}/v1"), "kind": "Toy", "metadata": { "name": "a" }, "spec": {} });
    let made = session.post(&toys, &toy).await.is(201);
    let path = format!("{CRDS}/toys.{group}");
    let filled = schema(json!({ "type": "integer", "default": 7 }));
    let change = json!({ "spec": { "versions": [version("v1", true, filled)] } });
    let patch = Ask::new("PATCH", &path).body(MERGE_PATCH, change.to_string());
    session.quietly(patch).await.is(200);
    let one = format!("{toys}/a");
    session
        .until("the default", &one, |answer| answer.body["spec"]["n"] == 7)
        .await;
    let read = session.get(&one).await.is(200);
    assert_eq!(read.version(), made.version(), "nothing is written");
    let list = session.get(&toys).await.is(200);
    assert_eq!(list.body["items"][0]["spec"]["n"], 7);
    session
        .patch(
            MERGE_PATCH,
            &one,
            &json!({ "metadata": { "labels": { "a": "b" } } }),
        )
        .await
        .is(200);
    session.quietly(Ask::new("DELETE", &path)).await.is(200);
}

// Behaviour 115.
async fn old_faults_of_an_object_do_not_stand_in_the_way_of_other_changes(session: &Session) {
    let group = own(session);
    let schema = |maximum: i64| {
        json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": {
            "n": { "type": "integer", "maximum": maximum }, "m": { "type": "integer" },
        } } } })
    };
    session
        .post(
            CRDS,
            &definition(&group, "toys", "Toy", json!([version("v1", true, schema(10))])),
        )
        .await
        .is(201);
    established(session, &format!("toys.{group}")).await;
    let toys = format!("/apis/{group}/v1/namespaces/{}/toys", session.namespace);
    session
        .until("the resource", &toys, |answer| answer.code == 200)
        .await;
    let toy = |name: &str| json!({ "apiVersion": format!("{group}/v1"), "kind": "Toy", "metadata": { "name": name }, "spec": { "n": 9 } });
    session.post(&toys, &toy("a")).await.is(201);
    let path = format!("{CRDS}/toys.{group}");
    let narrower = json!({ "spec": { "versions": [version("v1", true, schema(5))] } });
    session.patch(MERGE_PATCH, &path, &narrower).await.is(200);
    let end = Instant::now() + SOON;
    while session
        .quietly(Ask::new("POST", &format!("{toys}?dryRun=All")).json(&toy("b")))
        .await
        .code
        != 422
    {
        assert!(Instant::now() < end, "the new schema does not hold");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let one = format!("{toys}/a");
    session.get(&one).await.is(200);
    session
        .patch(MERGE_PATCH, &one, &json!({ "spec": { "m": 1 } }))
        .await
        .is(200);
    session
        .patch(MERGE_PATCH, &one, &json!({ "spec": { "n": 8 } }))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "spec.n");
    session.delete(&path).await.is(200);
}

// Behaviour 116.
async fn an_object_is_the_same_in_every_served_version(session: &Session) {
    session
        .post(&session.gadgets(""), &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(201);
    let one = session.get(&session.gadgets("/a")).await.is(200);
    let other = session
        .get(&session.gadgets("/a").replace("/v1/", "/v1beta1/"))
        .await
        .is(200);
    assert_eq!(one.body["metadata"]["uid"], other.body["metadata"]["uid"]);
    assert_eq!(one.version(), other.version());
    assert_eq!(other.body["apiVersion"], format!("{}/v1beta1", session.group));
    let list = session
        .get(&session.gadgets("").replace("/v1/", "/v1beta1/"))
        .await
        .is(200);
    assert_eq!(list.body["items"][0]["apiVersion"], other.body["apiVersion"]);
}

// Behaviour 81.
async fn a_deleted_definition_takes_its_objects_with_it(session: &Session) {
    let group = own(session);
    let crd = definition(
        &group,
        "toys",
        "Toy",
        json!([version("v1", true, json!({ "type": "object" }))]),
    );
    session.post(CRDS, &crd).await.is(201);
    established(session, &format!("toys.{group}")).await;
    let toys = format!("/apis/{group}/v1/namespaces/{}/toys", session.namespace);
    session
        .until("the resource", &toys, |answer| answer.code == 200)
        .await;
    let toy = |name: &str| {
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "Toy", "metadata": { "name": name, "finalizers": ["example.dev/hold"] },
        })
    };
    session.post(&toys, &toy("held")).await.is(201);
    let path = format!("{CRDS}/toys.{group}");
    let deleted = session.delete(&path).await.is(200);
    assert_eq!(
        deleted.body["metadata"]["finalizers"],
        json!(["customresourcecleanup.apiextensions.k8s.io"])
    );
    session
        .until("the object to be deleted", &format!("{toys}/held"), |answer| {
            answer.body["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    let refused = session.post(&toys, &toy("late")).await;
    assert!([403, 405].contains(&refused.code), "{}", refused.body);
    session
        .patch(
            MERGE_PATCH,
            &format!("{toys}/held"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    session
        .until("the definition to be gone", &path, |answer| answer.code == 404)
        .await;
    session
        .until("the resource to be gone", &toys, |answer| answer.code == 404)
        .await;
    session
        .until("discovery to follow", &format!("/apis/{group}/v1"), |answer| {
            answer.code == 404
        })
        .await;
}
