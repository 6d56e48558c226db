//! Deletion: finalizers, preconditions, propagation to dependents, collections and namespaces (behaviours 69 to 82).

use serde_json::{Value, json};

use crate::{
    cases,
    client::Ask,
    session::{MERGE_PATCH, Session},
};

cases![
    a_deleted_object_is_gone,
    a_finalizer_holds_a_deleted_object,
    what_is_being_deleted_takes_no_new_finalizer,
    a_finalizer_of_a_built_in_object_says_whose_it_is,
    preconditions_of_a_deletion_hold,
    options_of_a_deletion_are_checked,
    foreground_waits_for_dependents,
    orphans_stay,
    dependents_go_in_the_background,
    dependents_of_nobody_go,
    a_collection_is_deleted_by_selector,
    a_deleted_namespace_takes_everything_with_it,
    a_new_namespace_has_what_every_namespace_has,
];

// Behaviour 69.
async fn a_deleted_object_is_gone(session: &Session) {
    let made = session.given("a", json!({})).await;
    let answer = session.delete(&session.gadgets("/a")).await.is(200);
    assert_eq!(
        (&answer.body["kind"], &answer.body["status"]),
        (&json!("Status"), &json!("Success"))
    );
    assert_eq!(answer.body["details"]["uid"], made["metadata"]["uid"]);
    session.get(&session.gadgets("/a")).await.refuses(404, "NotFound");
    session
        .delete(&session.gadgets("/a"))
        .await
        .refuses(404, "NotFound");
    session
        .post(&session.core("configmaps"), &session.config_map("a", json!({})))
        .await
        .is(201);
    session.delete(&session.core("configmaps/a")).await.is(200);
}

async fn held(session: &Session, name: &str) -> Value {
    let mut gadget = session.gadget(name, json!({}));
    gadget["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    session.post(&session.gadgets(""), &gadget).await.is(201).body
}

// Behaviours 70 and 71.
async fn a_finalizer_holds_a_deleted_object(session: &Session) {
    let made = held(session, "a").await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = session
        .watch(&format!(
            "{}?watch=true&resourceVersion={version}",
            session.gadgets("")
        ))
        .await;
    let answer = session.delete(&session.gadgets("/a")).await.is(200);
    assert!(answer.body["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(answer.body["metadata"]["generation"], 2);
    session.delete(&session.gadgets("/a")).await.is(200);
    session.get(&session.gadgets("/a")).await.is(200);
    let freed = session
        .patch(
            MERGE_PATCH,
            &session.gadgets("/a"),
            &json!({ "metadata": { "finalizers": [] } }),
        )
        .await
        .is(200);
    session.get(&session.gadgets("/a")).await.is(404);
    assert_eq!(session.event(&mut watch).await["type"], "MODIFIED");
    let gone = session.event(&mut watch).await;
    assert_eq!(gone["type"], "DELETED");
    // The event tells of the deletion, which is later than what the patch answered with.
    let number = |value: &Value| {
        value["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(number(&gone["object"]) >= number(&freed.body));
}

// Behaviour 72.
async fn what_is_being_deleted_takes_no_new_finalizer(session: &Session) {
    held(session, "a").await;
    let path = session.gadgets("/a");
    session.delete(&path).await.is(200);
    let more = json!({ "metadata": { "finalizers": ["example.dev/hold", "example.dev/more"] } });
    session
        .patch(MERGE_PATCH, &path, &more)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueForbidden", "metadata.finalizers");
    session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 3 } }))
        .await
        .is(200);
    session
        .post(&session.gadgets(""), &session.gadget("a", json!({})))
        .await
        .refuses(409, "AlreadyExists");
    session
        .patch(MERGE_PATCH, &path, &json!({ "metadata": { "finalizers": null } }))
        .await
        .is(200);
}

// Behaviour 72.
async fn a_finalizer_of_a_built_in_object_says_whose_it_is(session: &Session) {
    let mut map = session.config_map("a", json!({}));
    map["metadata"]["finalizers"] = json!(["example.dev/hold", "hold"]);
    session
        .post(&session.core("configmaps"), &map)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.finalizers[1]");
    map["metadata"]["finalizers"] = json!(["orphan"]);
    session.post(&session.core("configmaps"), &map).await.is(201);
    let path = session.core("configmaps/a");
    let hold = json!({ "metadata": { "finalizers": ["hold"] } });
    session
        .patch(MERGE_PATCH, &path, &hold)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.finalizers[0]");
    session
        .patch(MERGE_PATCH, &path, &json!({ "metadata": { "finalizers": null } }))
        .await
        .is(200);
    let mut gadget = session.gadget("a", json!({}));
    gadget["metadata"]["finalizers"] = json!(["hold"]);
    session.post(&session.gadgets(""), &gadget).await.is(201);
    session
        .patch(
            MERGE_PATCH,
            &session.gadgets("/a"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await
        .is(200);
}

// Behaviour 73.
async fn preconditions_of_a_deletion_hold(session: &Session) {
    let made = session.given("a", json!({})).await;
    let with = |preconditions: Value| {
        let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions });
        Ask::new("DELETE", &session.gadgets("/a")).json(&body)
    };
    session
        .send(with(json!({ "uid": "00000000-0000-0000-0000-000000000000" })))
        .await
        .refuses(409, "Conflict");
    session
        .send(with(json!({ "resourceVersion": "1" })))
        .await
        .refuses(409, "Conflict");
    let metadata = &made["metadata"];
    session
        .send(with(
            json!({ "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"] }),
        ))
        .await
        .is(200);
}

// Behaviour 74.
async fn options_of_a_deletion_are_checked(session: &Session) {
    session.given("a", json!({})).await;
    let path = session.gadgets("/a");
    session
        .delete(&format!("{path}?propagationPolicy=Bogus"))
        .await
        .refuses(422, "Invalid");
    session
        .delete(&format!("{path}?dryRun=Bogus"))
        .await
        .refuses(422, "Invalid");
    session.delete(&format!("{path}?dryRun=All")).await.is(200);
    session.get(&path).await.is(200);
    session
        .send(Ask::new("DELETE", &path).body("application/json", "{"))
        .await
        .is(400);
    session
        .send(Ask::new("DELETE", &path).body("application/json", "[]"))
        .await
        .is(400);
    let both = json!({ "propagationPolicy": "Background", "orphanDependents": true });
    session
        .send(Ask::new("DELETE", &path).json(&both))
        .await
        .refuses(422, "Invalid");
    session
        .send(Ask::new("DELETE", &path).json(&json!({ "gracePeriodSeconds": 0 })))
        .await
        .is(200);
}

fn owned(session: &Session, name: &str, owner: &Value, blocks: bool) -> Value {
    let mut map = session.config_map(name, json!({}));
    map["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
    }]);
    map
}

async fn gone(session: &Session, path: &str) {
    session
        .until("the object to be gone", path, |answer| answer.code == 404)
        .await;
}

// Behaviour 75.
async fn foreground_waits_for_dependents(session: &Session) {
    let owner = session.given("a", json!({})).await;
    let mut map = owned(session, "d", &owner, true);
    map["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    session.post(&session.core("configmaps"), &map).await.is(201);
    // The garbage collector has to know of the dependent before the owner goes.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let answer = session
        .delete(&format!("{}?propagationPolicy=Foreground", session.gadgets("/a")))
        .await
        .is(200);
    assert_eq!(
        answer.body["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let waiting = |answer: &crate::client::Answer| answer.body["metadata"]["deletionTimestamp"].is_string();
    session
        .until(
            "the dependent to be deleted",
            &session.core("configmaps/d"),
            waiting,
        )
        .await;
    session.get(&session.gadgets("/a")).await.is(200);
    session
        .patch(
            MERGE_PATCH,
            &session.core("configmaps/d"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await
        .is(200);
    gone(session, &session.gadgets("/a")).await;
    gone(session, &session.core("configmaps/d")).await;
}

// Behaviour 76.
async fn orphans_stay(session: &Session) {
    let owner = session.given("a", json!({})).await;
    session
        .post(&session.core("configmaps"), &owned(session, "d", &owner, false))
        .await
        .is(201);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let answer = session
        .delete(&format!("{}?propagationPolicy=Orphan", session.gadgets("/a")))
        .await
        .is(200);
    assert_eq!(answer.body["metadata"]["finalizers"], json!(["orphan"]));
    gone(session, &session.gadgets("/a")).await;
    let left = session.get(&session.core("configmaps/d")).await.is(200);
    assert_eq!(left.body["metadata"].get("ownerReferences"), None);
}

// Behaviour 77.
async fn dependents_go_in_the_background(session: &Session) {
    let owner = session.given("a", json!({})).await;
    session
        .post(&session.core("configmaps"), &owned(session, "d", &owner, true))
        .await
        .is(201);
    let dependent = session
        .quietly(Ask::new("GET", &session.core("configmaps/d")))
        .await
        .body;
    session
        .post(&session.core("secrets"), &{
            let mut secret = owned(session, "s", &dependent, false);
            secret["kind"] = "Secret".into();
            secret["metadata"]["ownerReferences"][0]["apiVersion"] = "v1".into();
            secret["metadata"]["ownerReferences"][0]["kind"] = "ConfigMap".into();
            secret
        })
        .await
        .is(201);
    session
        .send(Ask::new("DELETE", &session.gadgets("/a")).json(&json!({ "propagationPolicy": "Background" })))
        .await
        .is(200);
    gone(session, &session.core("configmaps/d")).await;
    gone(session, &session.core("secrets/s")).await;
}

// Behaviour 78.
async fn dependents_of_nobody_go(session: &Session) {
    let mut owner = session.gadget("nobody", json!({}));
    owner["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into();
    session
        .post(&session.core("configmaps"), &owned(session, "d", &owner, false))
        .await
        .is(201);
    gone(session, &session.core("configmaps/d")).await;
    owner["metadata"]["uid"] = "".into();
    let answer = session
        .post(&session.core("configmaps"), &owned(session, "e", &owner, false))
        .await;
    answer
        .refuses(422, "Invalid")
        .because("FieldValueRequired", "metadata.ownerReferences[0].uid");
}

// Behaviour 79.
async fn a_collection_is_deleted_by_selector(session: &Session) {
    for (name, color) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        let mut gadget = session.gadget(name, json!({}));
        gadget["metadata"]["labels"] = json!({ "color": color });
        session
            .quietly(Ask::new("POST", &session.gadgets("")).json(&gadget))
            .await
            .is(201);
    }
    let answer = session
        .delete(&format!("{}?labelSelector=color%3Dred", session.gadgets("")))
        .await
        .is(200);
    assert_eq!(answer.body["kind"], "GadgetList");
    let left = session.get(&session.gadgets("")).await.is(200);
    assert_eq!(left.body["items"].as_array().unwrap().len(), 1);
    session.delete(&session.core("secrets")).await.is(200);
}

// Behaviour 80.
async fn a_deleted_namespace_takes_everything_with_it(session: &Session) {
    let name = format!("{}-deleted", session.namespace);
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    session.post("/api/v1/namespaces", &namespace).await.is(201);
    let path = format!("/api/v1/namespaces/{name}");
    let within = |path: String| path.replace(&format!("/{}/", session.namespace), &format!("/{name}/"));
    let mut blocked = session.gadget("held", json!({}));
    blocked["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    session.post(&within(session.gadgets("")), &blocked).await.is(201);
    session
        .post(
            &within(session.core("configmaps")),
            &session.config_map("a", json!({})),
        )
        .await
        .is(201);
    let answer = session.delete(&path).await.is(200);
    assert_eq!(answer.body["status"]["phase"], "Terminating");
    let refused = session
        .post(
            &within(session.core("configmaps")),
            &session.config_map("b", json!({})),
        )
        .await;
    refused
        .refuses(403, "Forbidden")
        .because("NamespaceTerminating", "metadata.namespace");
    gone(session, &within(session.core("configmaps/a"))).await;
    let told = |answer: &crate::client::Answer| {
        let all = answer.body["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter()
            .any(|one| one["type"] == "NamespaceFinalizersRemaining" && one["status"] == "True")
    };
    let found = session.until("the conditions", &path, told).await.body;
    let mut conditions: Vec<_> = found["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["type"], one["status"], one["reason"]]))
        .collect();
    conditions.sort_by_key(Value::to_string);
    session.note("conditions", &conditions.into());
    let freed = json!({ "metadata": { "finalizers": null } });
    session
        .patch(MERGE_PATCH, &within(session.gadgets("/held")), &freed)
        .await
        .is(200);
    gone(session, &path).await;
}

// Behaviour 82.
async fn a_new_namespace_has_what_every_namespace_has(session: &Session) {
    let answer = session
        .get(&format!("/api/v1/namespaces/{}", session.namespace))
        .await
        .is(200);
    assert_eq!(
        answer.body["metadata"]["labels"]["kubernetes.io/metadata.name"],
        session.namespace
    );
    assert_eq!(answer.body["status"]["phase"], "Active");
    assert_eq!(answer.body["spec"]["finalizers"], json!(["kubernetes"]));
    session
        .until(
            "the service account",
            &session.core("serviceaccounts/default"),
            |answer| answer.code == 200,
        )
        .await;
    let root = session
        .until(
            "the authority",
            &session.core("configmaps/kube-root-ca.crt"),
            |answer| answer.code == 200,
        )
        .await;
    assert!(
        root.body["data"]["ca.crt"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    for name in ["default", "kube-system", "kube-public"] {
        session
            .quietly(Ask::new("GET", &format!("/api/v1/namespaces/{name}")))
            .await
            .is(200);
    }
    session.delete("/api/v1/namespaces/kube-system").await.is(403);
}
