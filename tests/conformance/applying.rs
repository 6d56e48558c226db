//! Server-side apply: who owns what, conflicts, and what disappears (behaviours 51 to 68).

use serde_json::{Value, json};

use crate::{
    cases,
    client::{Answer, Ask},
    session::{APPLY, JSON_PATCH, MERGE_PATCH, Session},
};

cases![
    an_apply_creates_and_owns_what_it_says,
    the_same_apply_again_changes_nothing,
    another_value_of_another_manager_conflicts,
    force_takes_what_others_own,
    what_its_only_applier_drops_is_removed,
    items_of_two_managers_merge_and_atomic_lists_conflict,
    an_apply_needs_a_manager_and_a_fitting_body,
    an_apply_to_a_stale_version_conflicts,
    a_dry_run_of_an_apply_changes_nothing,
    a_status_is_applied_through_its_own_endpoint,
    managed_fields_can_be_cleared,
    a_client_side_apply_can_become_a_server_side_one,
    an_apply_through_another_version_keeps_ownership,
    an_apply_is_yaml,
    an_unknown_field_cannot_be_applied,
    built_in_kinds_are_applied_by_their_keys,
];

fn managers(answer: &Answer) -> Vec<Value> {
    answer.body["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn fields(answer: &Answer, manager: &str) -> Value {
    managers(answer)
        .iter()
        .find(|one| one["manager"] == manager)
        .map_or(Value::Null, |one| one["fieldsV1"].clone())
}

// Behaviour 51.
async fn an_apply_creates_and_owns_what_it_says(session: &Session) {
    let spec = json!({ "count": 1, "parts": [{ "name": "A", "value": "x" }], "tags": ["t"], "plain": ["p"], "labels": { "l": "1" } });
    let mut gadget = session.gadget("a", spec);
    gadget["metadata"]["labels"] = json!({ "x": "y" });
    let answer = session.apply(&session.gadgets("/a"), "m1", &gadget).await.is(201);
    let expected = json!({
        "f:metadata": { "f:labels": { "f:x": {} } },
        "f:spec": {
            "f:count": {},
            "f:labels": { "f:l": {} },
            "f:parts": { "k:{\"name\":\"A\"}": { ".": {}, "f:name": {}, "f:value": {} } },
            "f:plain": {},
            "f:tags": { "v:\"t\"": {} },
        },
    });
    assert_eq!(managers(&answer).len(), 1);
    assert_eq!(managers(&answer)[0]["operation"], "Apply");
    assert_eq!(fields(&answer, "m1"), expected);
    assert_eq!(answer.body["spec"]["size"], "small");
}

// Behaviour 52.
async fn the_same_apply_again_changes_nothing(session: &Session) {
    let gadget = session.gadget("a", json!({ "count": 1 }));
    session.apply(&session.gadgets("/a"), "m1", &gadget).await.is(201);
    let first = session.apply(&session.gadgets("/a"), "m1", &gadget).await.is(200);
    let again = session.apply(&session.gadgets("/a"), "m1", &gadget).await.is(200);
    assert_eq!(first.version(), again.version());
    assert_eq!(managers(&first), managers(&again));
}

// Behaviour 53.
async fn another_value_of_another_manager_conflicts(session: &Session) {
    let path = session.gadgets("/a");
    session
        .apply(
            &path,
            "m1",
            &session.gadget("a", json!({ "count": 1, "note": "x" })),
        )
        .await
        .is(201);
    let other = session.gadget("a", json!({ "count": 2, "note": "y" }));
    let ask = Ask::new("PATCH", &format!("{path}?fieldManager=m2")).body(APPLY, other.to_string());
    let answer = session.send_to_the_word(ask).await.refuses(409, "Conflict");
    let causes = answer.body["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2);
    assert!(
        causes
            .iter()
            .all(|cause| cause["reason"] == "FieldManagerConflict")
    );
    assert_eq!(causes[0]["message"], "conflict with \"m1\"");
    let same = session.gadget("a", json!({ "count": 1 }));
    session.apply(&path, "m2", &same).await.is(200);
    session
        .patch(
            MERGE_PATCH,
            &format!("{path}?fieldManager=m3"),
            &json!({ "spec": { "size": "big" } }),
        )
        .await
        .is(200);
    session
        .apply(
            &path,
            "m2",
            &session.gadget("a", json!({ "count": 1, "size": "small" })),
        )
        .await
        .refuses(409, "Conflict");
}

// Behaviour 54.
async fn force_takes_what_others_own(session: &Session) {
    let path = session.gadgets("/a");
    session
        .apply(
            &path,
            "m1",
            &session.gadget("a", json!({ "count": 1, "note": "x" })),
        )
        .await
        .is(201);
    let answer = session
        .apply(
            &format!("{path}?force=true"),
            "m2",
            &session.gadget("a", json!({ "count": 2 })),
        )
        .await
        .is(200);
    assert_eq!(answer.body["spec"]["count"], 2);
    assert_eq!(fields(&answer, "m1"), json!({ "f:spec": { "f:note": {} } }));
    assert_eq!(fields(&answer, "m2"), json!({ "f:spec": { "f:count": {} } }));
}

// Behaviour 55.
async fn what_its_only_applier_drops_is_removed(session: &Session) {
    let path = session.gadgets("/a");
    session
        .apply(
            &path,
            "m1",
            &session.gadget("a", json!({ "count": 1, "note": "x", "size": "big" })),
        )
        .await
        .is(201);
    session
        .apply(&path, "m2", &session.gadget("a", json!({ "note": "x" })))
        .await
        .is(200);
    let answer = session
        .apply(&path, "m1", &session.gadget("a", json!({})))
        .await
        .is(200);
    assert_eq!(answer.body["spec"], json!({ "note": "x", "size": "small" }));
}

// Behaviour 56.
async fn items_of_two_managers_merge_and_atomic_lists_conflict(session: &Session) {
    let path = session.gadgets("/a");
    let spec = |name: &str| json!({ "parts": [{ "name": name, "value": name }], "tags": [name] });
    session
        .apply(&path, "m1", &session.gadget("a", spec("a")))
        .await
        .is(201);
    let answer = session
        .apply(&path, "m2", &session.gadget("a", spec("b")))
        .await
        .is(200);
    assert_eq!(answer.body["spec"]["parts"].as_array().unwrap().len(), 2);
    assert_eq!(answer.body["spec"]["tags"].as_array().unwrap().len(), 2);
    let answer = session
        .apply(&path, "m1", &session.gadget("a", json!({})))
        .await
        .is(200);
    assert_eq!(
        answer.body["spec"]["parts"],
        json!([{ "name": "b", "value": "b" }])
    );
    session
        .apply(&path, "m3", &session.gadget("a", json!({ "plain": ["a"] })))
        .await
        .is(200);
    let answer = session
        .apply(&path, "m4", &session.gadget("a", json!({ "plain": ["b"] })))
        .await;
    answer
        .refuses(409, "Conflict")
        .because("FieldManagerConflict", ".spec.plain");
}

// Behaviours 57, 58 and 60.
async fn an_apply_needs_a_manager_and_a_fitting_body(session: &Session) {
    let path = session.gadgets("/a");
    let gadget = session.gadget("a", json!({}));
    session
        .patch(APPLY, &path, &gadget)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueRequired", "fieldManager");
    let mut managed = gadget.clone();
    managed["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
    let ask = Ask::new("PATCH", &format!("{path}?fieldManager=m")).body(APPLY, managed.to_string());
    session.send_to_the_word(ask).await.refuses(400, "BadRequest");
    session.apply(&session.gadgets("/b"), "m", &gadget).await.is(400);
    let mut kindless = gadget.clone();
    kindless.as_object_mut().unwrap().remove("kind");
    session.apply(&path, "m", &kindless).await.is(400);
    let mut other = gadget;
    other["apiVersion"] = "example.dev/v1".into();
    session.apply(&path, "m", &other).await.is(400);
    session
        .send(Ask::new("PATCH", &format!("{path}?fieldManager=m")).body(APPLY, "["))
        .await
        .is(400);
}

// Behaviour 59.
async fn an_apply_to_a_stale_version_conflicts(session: &Session) {
    let made = session.given("a", json!({})).await;
    session
        .patch(
            MERGE_PATCH,
            &session.gadgets("/a"),
            &json!({ "spec": { "count": 1 } }),
        )
        .await
        .is(200);
    let mut stale = session.gadget("a", json!({ "note": "x" }));
    stale["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    session
        .apply(&session.gadgets("/a"), "m", &stale)
        .await
        .refuses(409, "Conflict");
    let mut gone = session.gadget("none", json!({}));
    gone["metadata"]["uid"] = made["metadata"]["uid"].clone();
    session
        .apply(&session.gadgets("/none"), "m", &gone)
        .await
        .refuses(409, "Conflict");
}

// Behaviour 62.
async fn a_dry_run_of_an_apply_changes_nothing(session: &Session) {
    let path = session.gadgets("/a");
    let dry = format!("{path}?dryRun=All&force=true");
    let answer = session
        .apply(&dry, "m", &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(201);
    assert_eq!(answer.body["metadata"].get("resourceVersion"), None);
    session.get(&path).await.is(404);
    let made = session
        .apply(&path, "m", &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(201);
    let answer = session
        .apply(&dry, "m", &session.gadget("a", json!({ "count": 2 })))
        .await
        .is(200);
    assert_eq!(answer.version(), made.version());
    assert_eq!(answer.body["metadata"]["generation"], 2);
    assert_eq!(session.get(&path).await.body["spec"]["count"], 1);
}

// Behaviours 63 and 64.
async fn a_status_is_applied_through_its_own_endpoint(session: &Session) {
    let mut gadget = session.gadget("a", json!({ "count": 1 }));
    gadget["status"] = json!({ "ready": true });
    session
        .apply(&session.gadgets("/a/status"), "c", &gadget)
        .await
        .refuses(404, "NotFound");
    let made = session.apply(&session.gadgets("/a"), "m", &gadget).await.is(201);
    assert_eq!(made.body.get("status"), None);
    assert_eq!(fields(&made, "m").get("f:status"), None);
    let answer = session
        .apply(&session.gadgets("/a/status"), "c", &gadget)
        .await
        .is(200);
    assert_eq!(answer.body["status"], json!({ "ready": true }));
    let entry = managers(&answer)
        .into_iter()
        .find(|one| one["manager"] == "c")
        .unwrap();
    assert_eq!(entry["subresource"], "status");
    assert_eq!(entry["fieldsV1"], json!({ "f:status": { "f:ready": {} } }));
}

// Behaviour 65.
async fn managed_fields_can_be_cleared(session: &Session) {
    session.given("a", json!({ "count": 1 })).await;
    let path = session.gadgets("/a");
    let cleared = session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "managedFields": [{}] } }),
        )
        .await
        .is(200);
    assert!(managers(&cleared).is_empty());
    let answer = session
        .apply(&path, "m", &session.gadget("a", json!({ "note": "x" })))
        .await
        .is(200);
    assert!(
        managers(&answer)
            .iter()
            .any(|one| one["manager"] == "before-first-apply"),
        "{:?}",
        managers(&answer)
    );
    let wrong = json!({ "metadata": { "managedFields": [{ "manager": "x", "operation": "Bogus" }] } });
    session.patch(MERGE_PATCH, &path, &wrong).await.is(200);
}

// Behaviour 66.
async fn a_client_side_apply_can_become_a_server_side_one(session: &Session) {
    let path = session.gadgets("/a");
    let mut gadget = session.gadget("a", json!({ "count": 1, "note": "x" }));
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    gadget["metadata"]["annotations"] = json!({ annotation: "{}" });
    session
        .post(
            &format!("{}?fieldManager=kubectl-client-side-apply", session.gadgets("")),
            &gadget,
        )
        .await
        .is(201);
    let plain = session.gadget("a", json!({ "count": 1, "note": "x" }));
    let second = session
        .apply(&format!("{path}?force=false"), "kubectl", &plain)
        .await
        .is(200);
    let mut last = session.gadget("a", json!({}));
    last.as_object_mut().unwrap().remove("spec");
    // The server itself has brought the annotation up to date.
    last["metadata"]["annotations"] = second.body["metadata"]["annotations"].clone();
    let third = session.apply(&path, "kubectl-last-applied", &last).await.is(200);
    let kept: Vec<_> = managers(&third)
        .into_iter()
        .filter(|one| one["manager"] != "kubectl-client-side-apply")
        .collect();
    let patch = json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": kept },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": third.version() },
    ]);
    session.patch(JSON_PATCH, &path, &patch).await.is(200);
    let answer = session
        .apply(&path, "kubectl", &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(200);
    assert_eq!(answer.body["spec"], json!({ "count": 1, "size": "small" }));
    assert!(
        managers(&answer)
            .iter()
            .any(|one| one["manager"] == "kubectl" && one["operation"] == "Apply")
    );
}

// Behaviour 67.
async fn an_apply_through_another_version_keeps_ownership(session: &Session) {
    session
        .apply(
            &session.gadgets("/a"),
            "m",
            &session.gadget("a", json!({ "count": 1, "note": "x" })),
        )
        .await
        .is(201);
    let mut beta = session.gadget("a", json!({ "count": 1 }));
    beta["apiVersion"] = format!("{}/v1beta1", session.group).into();
    let path = session.gadgets("/a").replace("/v1/", "/v1beta1/");
    let answer = session.apply(&path, "m", &beta).await.is(200);
    assert_eq!(answer.body["spec"].get("note"), None);
    assert_eq!(managers(&answer)[0]["apiVersion"], beta["apiVersion"]);
}

// Behaviour 68.
async fn an_apply_is_yaml(session: &Session) {
    let path = format!("{}?fieldManager=m", session.gadgets("/a"));
    let yaml = format!(
        "# Comment\napiVersion: {}/v1\nkind: Gadget\nmetadata:\n  name: a\nspec:\n  note: &n hello\n  labels:\n    x: *n\n",
        session.group
    );
    let answer = session
        .send(Ask::new("PATCH", &path).body(APPLY, yaml.clone()))
        .await
        .is(201);
    assert_eq!(answer.body["spec"]["labels"]["x"], "hello");
    let two = format!("{yaml}---\n{yaml}");
    session.send(Ask::new("PATCH", &path).body(APPLY, two)).await;
}

// Behaviour 61.
async fn an_unknown_field_cannot_be_applied(session: &Session) {
    let answer = session
        .apply(
            &session.gadgets("/a"),
            "m",
            &session.gadget("a", json!({ "nothing": 1 })),
        )
        .await;
    assert!(answer.code >= 400, "{}", answer.body);
    assert!(
        answer.body["message"]
            .as_str()
            .unwrap()
            .contains("field not declared in schema"),
        "{}",
        answer.body
    );
    let twice = session.gadget("a", json!({ "parts": [{ "name": "a" }, { "name": "a" }] }));
    assert!(session.apply(&session.gadgets("/a"), "m", &twice).await.code >= 400);
    session.get(&session.gadgets("/a")).await.is(404);
}

// Behaviours 51 and 56, for built-in kinds.
async fn built_in_kinds_are_applied_by_their_keys(session: &Session) {
    let map = session.config_map("a", json!({ "a": "1" }));
    let answer = session
        .apply(&session.core("configmaps/a"), "m1", &map)
        .await
        .is(201);
    assert_eq!(fields(&answer, "m1"), json!({ "f:data": { "f:a": {} } }));
    let answer = session
        .apply(
            &session.core("configmaps/a"),
            "m2",
            &session.config_map("a", json!({ "b": "2" })),
        )
        .await
        .is(200);
    assert_eq!(answer.body["data"], json!({ "a": "1", "b": "2" }));
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "stringData": { "a": "x" } });
    let answer = session
        .apply(&session.core("secrets/a"), "m1", &secret)
        .await
        .is(201);
    assert_eq!(answer.body["data"], json!({ "a": "eA==" }));
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "a" }, "spec": { "holderIdentity": "me", "leaseDurationSeconds": 5 } });
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/a",
        session.namespace
    );
    session.apply(&path, "m1", &lease).await.is(201);
}
