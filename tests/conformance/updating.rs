//! Updates and patches: conflicts, no-ops, generations, the status subresource, and the kinds of patch
//! (behaviours 33 to 50).

use serde_json::json;

use crate::{
    cases,
    client::Ask,
    session::{APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC, Session},
};

cases![
    a_stale_update_conflicts,
    a_custom_resource_is_not_updated_without_a_version,
    an_update_without_effect_writes_nothing,
    an_update_of_something_else_is_refused,
    a_generation_counts_changes_of_the_spec,
    status_is_changed_through_its_own_endpoint_only,
    a_merge_patch_deletes_by_null_and_replaces_lists,
    a_json_patch_that_does_not_fit_changes_nothing,
    a_strategic_patch_is_for_built_in_kinds,
    other_patch_types_are_refused,
    a_patch_with_a_stale_version_conflicts,
    a_patch_of_what_is_not_there_or_of_its_identity_is_refused,
    options_of_a_patch_are_checked,
    a_transition_rule_says_why,
    what_may_not_change_does_not,
    a_patch_is_validated_strictly_when_asked,
    concurrent_patches_all_take_effect,
];

// Behaviour 33.
async fn a_stale_update_conflicts(session: &Session) {
    let old = session.given("a", json!({ "count": 1 })).await;
    let mut new = old.clone();
    new["spec"]["count"] = 2.into();
    session.put(&session.gadgets("/a"), &new).await.is(200);
    new["spec"]["count"] = 3.into();
    let answer = session
        .send_to_the_word(Ask::new("PUT", &session.gadgets("/a")).json(&new))
        .await;
    let answer = answer.refuses(409, "Conflict");
    assert!(
        answer.body["message"]
            .as_str()
            .unwrap()
            .contains("the object has been modified")
    );
    assert_eq!(session.get(&session.gadgets("/a")).await.body["spec"]["count"], 2);
}

// Behaviours 34 and 40.
async fn a_custom_resource_is_not_updated_without_a_version(session: &Session) {
    session.given("a", json!({})).await;
    let bare = session.gadget("a", json!({ "count": 2 }));
    session
        .put(&session.gadgets("/a"), &bare)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.resourceVersion");
    session
        .put(&session.gadgets("/a/status"), &bare)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.resourceVersion");
    let map = session.config_map("a", json!({ "k": "1" }));
    session.post(&session.core("configmaps"), &map).await.is(201);
    session
        .put(
            &session.core("configmaps/a"),
            &session.config_map("a", json!({ "k": "2" })),
        )
        .await
        .is(200);
}

// Behaviour 35.
async fn an_update_without_effect_writes_nothing(session: &Session) {
    session.given("a", json!({ "count": 1 })).await;
    let path = session.gadgets("/a");
    // The first write of another manager is a change of `managedFields`.
    let first = session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 1 } }))
        .await
        .is(200);
    let mut watch = session
        .watch(&format!(
            "{}?watch=true&resourceVersion={}",
            session.gadgets(""),
            first.version()
        ))
        .await;
    let patched = session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 1 } }))
        .await
        .is(200);
    assert_eq!(patched.version(), first.version());
    let put = session.put(&path, &patched.body).await.is(200);
    assert_eq!(put.version(), first.version());
    let map = session
        .post(
            &session.core("configmaps"),
            &session.config_map("a", json!({ "k": "v" })),
        )
        .await
        .is(201);
    let again = session
        .put(&session.core("configmaps/a"), &map.body)
        .await
        .is(200);
    assert_eq!(again.version(), map.version());
    session.given("b", json!({})).await;
    assert_eq!(session.event(&mut watch).await["object"]["metadata"]["name"], "b");
}

// Behaviour 36.
async fn an_update_of_something_else_is_refused(session: &Session) {
    let old = session.given("a", json!({})).await;
    let mut other = old.clone();
    other["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    session
        .put(&session.gadgets("/a"), &other)
        .await
        .refuses(409, "Conflict");
    let mut renamed = old.clone();
    renamed["metadata"]["name"] = "b".into();
    session
        .put(&session.gadgets("/a"), &renamed)
        .await
        .refuses(400, "BadRequest");
    let mut missing = old;
    missing["metadata"]["name"] = "none".into();
    session
        .put(&session.gadgets("/none"), &missing)
        .await
        .refuses(404, "NotFound");
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "l" }, "spec": { "holderIdentity": "me" } });
    let leases = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/l",
        session.namespace
    );
    session.put(&leases, &lease).await.is(201);
    session
        .put(&leases, &lease)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "metadata.resourceVersion");
}

// Behaviour 37.
async fn a_generation_counts_changes_of_the_spec(session: &Session) {
    session.given("a", json!({ "count": 1 })).await;
    let path = session.gadgets("/a");
    let generation = |body: &serde_json::Value| body["metadata"]["generation"].as_i64().unwrap();
    let labelled = session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "labels": { "a": "b" } } }),
        )
        .await
        .is(200);
    assert_eq!(generation(&labelled.body), 1);
    let changed = session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 2 } }))
        .await
        .is(200);
    assert_eq!(generation(&changed.body), 2);
    let claimed = session
        .patch(MERGE_PATCH, &path, &json!({ "metadata": { "generation": 99 } }))
        .await
        .is(200);
    assert_eq!(generation(&claimed.body), 2);
    let map = session
        .post(&session.core("configmaps"), &session.config_map("a", json!({})))
        .await
        .is(201);
    assert_eq!(map.body["metadata"].get("generation"), None);
}

// Behaviours 38 and 39.
async fn status_is_changed_through_its_own_endpoint_only(session: &Session) {
    let made = session.given("a", json!({ "count": 1 })).await;
    let path = session.gadgets("/a");
    let ignored = session
        .patch(MERGE_PATCH, &path, &json!({ "status": { "ready": true } }))
        .await
        .is(200);
    assert_eq!(ignored.body.get("status"), None);
    assert_eq!(ignored.body["metadata"]["generation"], 1);
    let status = format!("{path}/status?fieldManager=controller");
    let body = json!({ "metadata": { "labels": { "x": "y" }, "annotations": { "x": "y" } }, "spec": { "count": 5 }, "status": { "ready": true } });
    let patched = session.patch(MERGE_PATCH, &status, &body).await.is(200);
    assert_eq!(patched.body["status"], json!({ "ready": true }));
    assert_eq!(patched.body["spec"], made["spec"]);
    assert_eq!(patched.body["metadata"].get("labels"), None);
    assert_eq!(patched.body["metadata"]["generation"], 1);
    let managers = patched.body["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers
            .iter()
            .any(|one| one["manager"] == "controller" && one["subresource"] == "status")
    );
    let mut whole = patched.body.clone();
    whole["status"] = json!({ "ready": false, "replicas": 3 });
    whole["spec"]["count"] = 7.into();
    whole["metadata"]["labels"] = json!({ "x": "z" });
    let put = session.put(&status, &whole).await.is(200);
    assert_eq!(put.body["spec"], made["spec"]);
    assert_eq!(put.body["status"]["replicas"], 3);
    session.get(&format!("{path}/status")).await.is(200);
    let mut main = put.body.clone();
    main["status"] = json!({});
    main["spec"]["count"] = 2.into();
    let kept = session.put(&path, &main).await.is(200);
    assert_eq!(kept.body["status"]["replicas"], 3);
}

// Behaviour 41.
async fn a_merge_patch_deletes_by_null_and_replaces_lists(session: &Session) {
    session
        .given(
            "a",
            json!({ "count": 1, "note": "x", "plain": ["a", "b"], "labels": { "a": "1", "b": "2" } }),
        )
        .await;
    let patch =
        json!({ "spec": { "note": null, "size": null, "plain": ["c"], "labels": { "a": null, "c": "3" } } });
    let answer = session
        .patch(MERGE_PATCH, &session.gadgets("/a"), &patch)
        .await
        .is(200);
    assert_eq!(
        answer.body["spec"],
        json!({ "count": 1, "size": "small", "plain": ["c"], "labels": { "b": "2", "c": "3" } })
    );
    session
        .send(Ask::new("PATCH", &session.gadgets("/a")).body(MERGE_PATCH, "{"))
        .await
        .is(400);
    session
        .send(Ask::new("PATCH", &session.gadgets("/a")).body(MERGE_PATCH, "[]"))
        .await
        .is(400);
}

// Behaviour 42.
async fn a_json_patch_that_does_not_fit_changes_nothing(session: &Session) {
    let made = session.given("a", json!({ "count": 1, "plain": ["a"] })).await;
    let path = session.gadgets("/a");
    let test = json!([{ "op": "replace", "path": "/spec/count", "value": 5 }, { "op": "test", "path": "/spec/count", "value": 1 }]);
    session
        .patch(JSON_PATCH, &path, &test)
        .await
        .refuses(422, "Invalid");
    for patch in [
        json!([{ "op": "remove", "path": "/spec/none" }]),
        json!([{ "op": "replace", "path": "/spec/none/deep", "value": 1 }]),
        json!([{ "op": "add", "path": "/spec/plain/9", "value": "x" }]),
        json!([{ "op": "bogus", "path": "/spec/count" }]),
    ] {
        session.patch(JSON_PATCH, &path, &patch).await.is(422);
    }
    session
        .patch(JSON_PATCH, &path, &json!({ "spec": {} }))
        .await
        .is(400);
    let unchanged = session.get(&path).await;
    assert_eq!(
        unchanged.version(),
        made["metadata"]["resourceVersion"].as_str().unwrap()
    );
    let good = json!([
        { "op": "test", "path": "/spec/count", "value": 1 },
        { "op": "add", "path": "/spec/plain/-", "value": "b" },
        { "op": "add", "path": "/metadata/labels", "value": { "a/b": "c" } },
        { "op": "replace", "path": "/metadata/labels/a~1b", "value": "d" },
    ]);
    let answer = session.patch(JSON_PATCH, &path, &good).await.is(200);
    assert_eq!(answer.body["spec"]["plain"], json!(["a", "b"]));
}

// Behaviour 43.
async fn a_strategic_patch_is_for_built_in_kinds(session: &Session) {
    session.given("a", json!({})).await;
    let refused = Ask::new("PATCH", &session.gadgets("/a")).body(STRATEGIC, "{}");
    session
        .send_to_the_word(refused)
        .await
        .refuses(415, "UnsupportedMediaType");
    session
        .post(
            &session.core("configmaps"),
            &session.config_map("a", json!({ "a": "1", "b": "2" })),
        )
        .await
        .is(201);
    let patch = json!({ "data": { "a": null, "c": "3" }, "metadata": { "finalizers": ["example.dev/x"] } });
    let answer = session
        .patch(STRATEGIC, &session.core("configmaps/a"), &patch)
        .await
        .is(200);
    assert_eq!(answer.body["data"], json!({ "b": "2", "c": "3" }));
    let more = json!({ "metadata": { "finalizers": ["example.dev/y"] } });
    let answer = session
        .patch(STRATEGIC, &session.core("configmaps/a"), &more)
        .await
        .is(200);
    assert_eq!(answer.body["metadata"]["finalizers"].as_array().unwrap().len(), 2);
    let less =
        json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["example.dev/x", "example.dev/y"] } });
    session
        .patch(STRATEGIC, &session.core("configmaps/a"), &less)
        .await
        .is(200);
    let replaced = json!({ "data": { "$patch": "replace", "z": "1" } });
    let answer = session
        .patch(STRATEGIC, &session.core("configmaps/a"), &replaced)
        .await
        .is(200);
    assert_eq!(answer.body["data"], json!({ "z": "1" }));
}

// Behaviour 44.
async fn other_patch_types_are_refused(session: &Session) {
    session.given("a", json!({})).await;
    for content_type in ["application/json", "text/plain", "application/yaml"] {
        let ask = Ask::new("PATCH", &session.gadgets("/a")).body(content_type, "{}");
        session.send(ask).await.refuses(415, "UnsupportedMediaType");
    }
}

// Behaviour 45.
async fn a_patch_with_a_stale_version_conflicts(session: &Session) {
    let made = session.given("a", json!({})).await;
    let path = session.gadgets("/a");
    session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 1 } }))
        .await
        .is(200);
    let stale = json!({ "metadata": { "resourceVersion": made["metadata"]["resourceVersion"] }, "spec": { "count": 2 } });
    session
        .patch(MERGE_PATCH, &path, &stale)
        .await
        .refuses(409, "Conflict");
    session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "count": 3 } }))
        .await
        .is(200);
}

// Behaviour 46.
async fn a_patch_of_what_is_not_there_or_of_its_identity_is_refused(session: &Session) {
    session
        .patch(MERGE_PATCH, &session.gadgets("/none"), &json!({}))
        .await
        .refuses(404, "NotFound");
    session
        .patch(JSON_PATCH, &session.gadgets("/none"), &json!([]))
        .await
        .refuses(404, "NotFound");
    session.given("a", json!({})).await;
    let path = session.gadgets("/a");
    session
        .patch(MERGE_PATCH, &path, &json!({ "metadata": { "name": "b" } }))
        .await
        .is(400);
    session
        .patch(MERGE_PATCH, &path, &json!({ "kind": "Other" }))
        .await;
    session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "uid": "00000000-0000-0000-0000-000000000000" } }),
        )
        .await;
    session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "namespace": "other" } }),
        )
        .await;
    session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "creationTimestamp": null } }),
        )
        .await
        .is(200);
}

// Behaviour 47.
async fn options_of_a_patch_are_checked(session: &Session) {
    session.given("a", json!({})).await;
    let path = |query: &str| format!("{}?{query}", session.gadgets("/a"));
    session
        .patch(MERGE_PATCH, &path("force=true"), &json!({}))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueForbidden", "force");
    let long = format!("fieldManager={}", "x".repeat(129));
    session
        .patch(MERGE_PATCH, &path(&long), &json!({}))
        .await
        .refuses(422, "Invalid");
    session
        .patch(MERGE_PATCH, &path("fieldValidation=No"), &json!({}))
        .await
        .refuses(422, "Invalid");
    session
        .patch(MERGE_PATCH, &path("dryRun=No"), &json!({}))
        .await
        .refuses(422, "Invalid");
    session.patch(MERGE_PATCH, &path("force=maybe"), &json!({})).await;
    session
        .patch(APPLY, &path("force=true"), &session.gadget("a", json!({})))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueRequired", "fieldManager");
}

// Behaviour 48.
async fn a_transition_rule_says_why(session: &Session) {
    session.given("a", json!({ "fixed": "x" })).await;
    let patch = Ask::new("PATCH", &session.gadgets("/a"))
        .body(MERGE_PATCH, json!({ "spec": { "fixed": "y" } }).to_string());
    let answer = session
        .send_to_the_word(patch)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "spec.fixed");
    assert!(
        answer.body["message"]
            .as_str()
            .unwrap()
            .contains("fixed is immutable")
    );
}

// Behaviour 49.
async fn what_may_not_change_does_not(session: &Session) {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "data": { "a": "YQ==" }, "immutable": true });
    session.post(&session.core("secrets"), &secret).await.is(201);
    let path = session.core("secrets/a");
    session
        .patch(MERGE_PATCH, &path, &json!({ "type": "example.dev/other" }))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "type");
    session
        .patch(MERGE_PATCH, &path, &json!({ "data": { "a": "Yg==" } }))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueForbidden", "data");
    session
        .patch(MERGE_PATCH, &path, &json!({ "immutable": false }))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueForbidden", "immutable");
    session
        .patch(
            MERGE_PATCH,
            &path,
            &json!({ "metadata": { "labels": { "a": "b" } } }),
        )
        .await
        .is(200);
}

// Behaviour 50.
async fn a_patch_is_validated_strictly_when_asked(session: &Session) {
    session.given("a", json!({})).await;
    let path = format!("{}?fieldValidation=Strict", session.gadgets("/a"));
    let answer = session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "x": 1 } }))
        .await;
    assert_eq!(answer.code, 422);
    let warned = session
        .patch(
            MERGE_PATCH,
            &session.gadgets("/a"),
            &json!({ "spec": { "x": 1 } }),
        )
        .await
        .is(200);
    assert!(warned.headers.contains_key("warning"));
}

// Behaviour 45: the server tries again for a client that named no version.
async fn concurrent_patches_all_take_effect(session: &Session) {
    session.given("a", json!({})).await;
    let patches = (0..4).map(|n| {
        let body = json!({ "spec": { "labels": { format!("k{n}"): "v" } } });
        let ask = Ask::new("PATCH", &session.gadgets("/a")).body(MERGE_PATCH, body.to_string());
        async move { session.quietly(ask).await.code }
    });
    let mut all: Vec<std::pin::Pin<Box<dyn Future<Output = u16> + Send + '_>>> = Vec::new();
    for patch in patches {
        all.push(Box::pin(patch));
    }
    for code in futures::future::join_all(all).await {
        assert_eq!(code, 200);
    }
    let labels = session
        .quietly(Ask::new("GET", &session.gadgets("/a")))
        .await
        .body["spec"]["labels"]
        .clone();
    assert_eq!(labels.as_object().unwrap().len(), 4);
}
