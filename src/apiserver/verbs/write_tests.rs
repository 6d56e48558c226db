//! Tests of create, update, patch, apply, scale and delete through `respond`, on the in-memory store. The words are those
//! that a real API server answered with.

use futures::future::join_all;
use serde_json::{Value, json};

use super::fixture::{
    APPLY, CONFIG_MAPS, JSON, JSON_PATCH, LEASES, MERGE, NAMESPACES, STRATEGIC, Server, WIDGETS, config_map,
    widget,
};

fn at(path: &str, rest: &str) -> String {
    format!("{path}/{rest}")
}

#[tokio::test]
async fn a_create_is_stamped_by_the_server() {
    let server = Server::new().await;
    let mut body = widget("w", &json!({"host": "h"}));
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    body["metadata"]["generation"] = 7.into();
    body["metadata"]["selfLink"] = "/x".into();
    let made = server.post(WIDGETS, &body).await.is(201);
    assert_eq!(made.meta("uid").len(), 36);
    assert_eq!(made.meta("creationTimestamp"), "2026-01-02T03:04:05Z");
    assert_eq!(made.meta("namespace"), "a");
    assert_eq!(made.body["metadata"]["generation"], 1);
    assert_eq!(made.body["metadata"]["managedFields"][0]["manager"], "test");
    for field in ["deletionTimestamp", "selfLink"] {
        assert!(made.body["metadata"].get(field).is_none(), "{field}");
    }
    assert_eq!(
        made.body["spec"],
        json!({"host": "h", "size": 3}),
        "defaults are filled in"
    );
    assert_eq!(server.get(&at(WIDGETS, "w")).await.is(200).body, made.body);
}

#[tokio::test]
async fn a_status_that_is_a_subresource_is_dropped_at_creation() {
    let server = Server::new().await;
    let mut body = widget("w", &json!({}));
    body["status"] = json!({"ready": true});
    let made = server.post(WIDGETS, &body).await.is(201);
    assert!(made.body.get("status").is_none());
}

#[tokio::test]
async fn a_name_is_there_once() {
    let server = Server::new().await;
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let refused = server.post(CONFIG_MAPS, &config_map("c")).await.is(409);
    assert_eq!(refused.body["reason"], "AlreadyExists");
    assert_eq!(refused.message(), "configmaps \"c\" already exists");
    assert_eq!(
        refused.body["details"],
        json!({"name": "c", "kind": "configmaps"})
    );
}

#[tokio::test]
async fn a_namespace_has_to_be_there_and_to_stay() {
    let server = Server::new().await;
    let missing = server
        .post("/api/v1/namespaces/nope/configmaps", &config_map("c"))
        .await
        .is(404);
    assert_eq!(missing.message(), "namespaces \"nope\" not found");
    assert_eq!(missing.body["details"]["kind"], "namespaces");
    server.delete(&at(NAMESPACES, "a"), &Value::Null).await.is(200);
    let refused = server.post(CONFIG_MAPS, &config_map("c")).await.is(403);
    assert_eq!(refused.causes(), [("NamespaceTerminating", "metadata.namespace")]);
    assert_eq!(
        refused.message(),
        "configmaps \"c\" is forbidden: unable to create new content in namespace a because it is being terminated"
    );
}

#[tokio::test]
async fn bodies_that_do_not_fit_the_url_are_refused() {
    let server = Server::new().await;
    let mut other = widget("w", &json!({}));
    other["metadata"]["namespace"] = "b".into();
    let refused = server.post(WIDGETS, &other).await.is(400);
    assert_eq!(
        refused.message(),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let mut other = widget("w", &json!({}));
    other["kind"] = "Wid".into();
    let refused = server.post(WIDGETS, &other).await.is(422);
    assert_eq!(
        refused.message(),
        "Wid.example.com \"w\" is invalid: kind: Invalid value: \"Wid\": must be Widget"
    );
    assert_eq!(refused.causes(), [("FieldValueInvalid", "kind")]);
    let mut other = widget("w", &json!({}));
    other["apiVersion"] = "example.com/v2".into();
    let refused = server.post(WIDGETS, &other).await.is(400);
    assert_eq!(
        refused.message(),
        "the API version in the data (example.com/v2) does not match the expected API version (example.com/v1)"
    );
    server
        .post(WIDGETS, &json!({"metadata": {"name": "w"}}))
        .await
        .is(400);
    server
        .post(
            CONFIG_MAPS,
            &json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "w"}}),
        )
        .await
        .is(400);
    for body in ["", "{", "[1]", "3", "\u{0}"] {
        server
            .ask("POST", WIDGETS, &[("content-type", JSON)], body)
            .await
            .is(400);
    }
    server
        .ask("POST", WIDGETS, &[("content-type", "text/plain")], "x")
        .await
        .is(415);
    let mut other = widget("w", &json!({}));
    other["metadata"]["resourceVersion"] = "5".into();
    let refused = server.post(WIDGETS, &other).await.is(400);
    assert_eq!(
        refused.message(),
        "resourceVersion should not be set on objects to be created"
    );
    other["metadata"]["resourceVersion"] = "0".into();
    server.post(WIDGETS, &other).await.is(201);
}

#[tokio::test]
async fn a_body_without_a_content_type_is_json_and_yaml_is_read() {
    let server = Server::new().await;
    server
        .ask("POST", CONFIG_MAPS, &[], &config_map("j").to_string())
        .await
        .is(201);
    let yaml = "metadata:\n  name: yaml\ndata: {a: b}\n";
    server
        .ask("POST", CONFIG_MAPS, &[("content-type", "application/yaml")], yaml)
        .await
        .is(201);
}

#[tokio::test]
async fn a_name_is_required_or_generated() {
    let server = Server::new().await;
    let refused = server.post(CONFIG_MAPS, &json!({"metadata": {}})).await.is(422);
    assert_eq!(refused.causes(), [("FieldValueRequired", "metadata.name")]);
    let made = server
        .post(CONFIG_MAPS, &json!({"metadata": {"generateName": "gen-"}}))
        .await
        .is(201);
    assert_eq!(made.meta("generateName"), "gen-");
    assert_eq!(made.meta("name").len(), 9);
    assert!(made.meta("name").starts_with("gen-"));
    let refused = server.post(CONFIG_MAPS, &config_map("No_Name")).await.is(422);
    assert_eq!(refused.causes(), [("FieldValueInvalid", "metadata.name")]);
}

#[tokio::test]
async fn unknown_fields_are_warned_about_refused_or_ignored() {
    let server = Server::new().await;
    let mut body = widget("w", &json!({"foo": 1}));
    body["metadata"]["zork"] = 1.into();
    body["bar"] = 2.into();
    let strict = server
        .post(&format!("{WIDGETS}?fieldValidation=Strict"), &body)
        .await
        .is(400);
    assert_eq!(strict.body["reason"], "BadRequest");
    assert_eq!(
        strict.message(),
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \
         \"metadata.zork\", unknown field \"bar\", unknown field \"spec.foo\""
    );
    let made = server.post(WIDGETS, &body).await.is(201);
    assert!(
        made.warnings
            .contains(&r#"299 - "unknown field \"spec.foo\"""#.to_owned()),
        "{:?}",
        made.warnings
    );
    assert_eq!(made.warnings.len(), 3);
    assert_eq!(made.body["spec"], json!({"size": 3}), "they are not kept");
    let patch = json!({"spec": {"foo": 1}});
    let quiet = server
        .patch(&format!("{WIDGETS}/w?fieldValidation=Ignore"), MERGE, &patch)
        .await
        .is(200);
    assert!(quiet.warnings.is_empty());
    let refused = server
        .patch(&format!("{WIDGETS}/w?fieldValidation=Strict"), MERGE, &patch)
        .await
        .is(422);
    assert_eq!(refused.causes(), [("FieldValueInvalid", "patch")]);
    assert!(
        refused
            .message()
            .contains("strict decoding error: unknown field \"spec.foo\"")
    );
    let twice = r#"{"metadata":{"name":"d"},"data":{"a":"b","a":"c"}}"#;
    let refused = server
        .ask(
            "POST",
            &format!("{CONFIG_MAPS}?fieldValidation=Strict"),
            &[],
            twice,
        )
        .await
        .is(400);
    assert!(
        refused.message().contains("duplicate field \"data.a\""),
        "{}",
        refused.message()
    );
    server
        .post(&format!("{WIDGETS}?fieldValidation=Bogus"), &body)
        .await
        .is(422);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let server = Server::new().await;
    let before = server.api.store.revision();
    let made = server
        .post(&format!("{WIDGETS}?dryRun=All"), &widget("w", &json!({})))
        .await
        .is(201);
    assert_eq!(made.meta("resourceVersion"), "");
    assert_eq!(made.meta("uid").len(), 36);
    assert_eq!(made.body["metadata"]["generation"], 1);
    server.get(&at(WIDGETS, "w")).await.is(404);
    assert_eq!(server.api.store.revision(), before);
    let real = server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let path = format!("{WIDGETS}/w?dryRun=All");
    let patched = server
        .patch(&path, MERGE, &json!({"spec": {"host": "x"}}))
        .await
        .is(200);
    assert_eq!(patched.meta("resourceVersion"), real.meta("resourceVersion"));
    assert_eq!(patched.body["metadata"]["generation"], 2);
    server
        .post(&format!("{WIDGETS}?dryRun=All"), &widget("w", &json!({})))
        .await
        .is(409);
    server.delete(&path, &Value::Null).await.is(200);
    assert_eq!(server.get(&at(WIDGETS, "w")).await.is(200).body, real.body);
    server
        .post(&format!("{WIDGETS}?dryRun=foo"), &widget("x", &json!({})))
        .await
        .is(422);
}

#[tokio::test]
async fn a_finalizer_without_a_domain_is_remarked_upon_once_and_of_custom_kinds_only() {
    let server = Server::new().await;
    let remarks = |warnings: &[String]| {
        let about = |text: &&String| text.contains("prefer a domain-qualified finalizer name");
        warnings.iter().filter(about).count()
    };
    let mut body = widget("w", &json!({}));
    body["metadata"]["finalizers"] = json!(["abc"]);
    let made = server.post(WIDGETS, &body).await;
    assert_eq!(remarks(&made.warnings), 1, "{} {:?}", made.text, made.warnings);
    let mut body = config_map("c");
    body["metadata"]["finalizers"] = json!(["abc"]);
    let made = server.post(CONFIG_MAPS, &body).await;
    assert_eq!(remarks(&made.warnings), 0, "{} {:?}", made.text, made.warnings);
}

#[tokio::test]
async fn findings_of_the_schema_are_causes() {
    let server = Server::new().await;
    let refused = server
        .post(WIDGETS, &widget("w", &json!({"size": -1, "host": 3})))
        .await
        .is(422);
    assert_eq!(refused.body["details"]["kind"], "Widget");
    assert_eq!(refused.causes().len(), 2, "{}", refused.text);
    let mut body = config_map("c");
    body["data"]["n"] = 1.into();
    server.post(CONFIG_MAPS, &body).await.is(400);
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    server
        .patch(&at(CONFIG_MAPS, "c"), MERGE, &json!({"data": {"n": 1}}))
        .await
        .is(422);
}

#[tokio::test]
async fn an_update_from_an_older_version_conflicts() {
    let server = Server::new().await;
    let made = server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let mut body = made.body.clone();
    body["spec"]["host"] = "x".into();
    let put = server.put(&at(WIDGETS, "w"), &body).await.is(200);
    assert!(put.version() > made.version());
    assert_eq!(put.body["metadata"]["generation"], 2);
    let refused = server.put(&at(WIDGETS, "w"), &body).await.is(409);
    assert_eq!(
        refused.message(),
        "Operation cannot be fulfilled on widgets.example.com \"w\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    let stale = json!({"metadata": {"resourceVersion": made.meta("resourceVersion")}});
    server.patch(&at(WIDGETS, "w"), MERGE, &stale).await.is(409);
    server
        .patch(
            &at(WIDGETS, "w"),
            MERGE,
            &json!({"metadata": {"resourceVersion": "foo"}}),
        )
        .await
        .is(400);
}

#[tokio::test]
async fn a_custom_resource_is_not_replaced_without_a_version_and_a_config_map_is() {
    let server = Server::new().await;
    server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    for path in [at(WIDGETS, "w"), at(WIDGETS, "w/status")] {
        let refused = server.put(&path, &widget("w", &json!({}))).await.is(422);
        assert_eq!(
            refused.message(),
            "widgets.example.com \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for \
             an update"
        );
        assert_eq!(refused.body["details"]["kind"], "widgets");
    }
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    server
        .put(
            &at(CONFIG_MAPS, "c"),
            &json!({"metadata": {"name": "c"}, "data": {"x": "y"}}),
        )
        .await
        .is(200);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_write() {
    let server = Server::new().await;
    let made = server
        .post(WIDGETS, &widget("w", &json!({"host": "h"})))
        .await
        .is(201);
    let before = server.api.store.revision();
    server.clock.advance(jiff::SignedDuration::from_secs(60));
    let put = server.put(&at(WIDGETS, "w"), &made.body).await.is(200);
    assert_eq!(put.body, made.body);
    let patched = server
        .patch(&at(WIDGETS, "w"), MERGE, &json!({"spec": {"host": "h"}}))
        .await
        .is(200);
    assert_eq!(patched.body, made.body);
    let path = format!("{WIDGETS}/w?fieldManager=m");
    let apply = widget("w", &json!({"host": "h"}));
    server.patch(&path, APPLY, &apply).await.is(200);
    let first = server.patch(&path, APPLY, &apply).await.is(200);
    server.clock.advance(jiff::SignedDuration::from_secs(60));
    let second = server.patch(&path, APPLY, &apply).await.is(200);
    assert_eq!(first.body, second.body);
    assert!(
        server.api.store.revision() <= before + 1,
        "only taking ownership is a write"
    );
}

#[tokio::test]
async fn identity_cannot_be_changed() {
    let server = Server::new().await;
    server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let mut other = widget("v", &json!({}));
    let refused = server.put(&at(WIDGETS, "w"), &other).await.is(400);
    assert_eq!(
        refused.message(),
        "the name of the object (v) does not match the name on the URL (w)"
    );
    other["metadata"] = json!({});
    let refused = server.put(&at(WIDGETS, "w"), &other).await.is(400);
    assert_eq!(
        refused.message(),
        "the name of the object (w based on URL) was undeterminable: name must be provided"
    );
    other["metadata"] = json!({"name": "w", "uid": "other", "resourceVersion": "1"});
    server.put(&at(WIDGETS, "w"), &other).await.is(409);
    server
        .put(&at(WIDGETS, "missing"), &widget("missing", &json!({})))
        .await
        .is(404);
    for (patch, code) in [
        (json!({"metadata": {"name": "v"}}), 400),
        (json!({"metadata": {"namespace": "v"}}), 400),
        (json!({"metadata": {"uid": "v"}}), 422),
        (
            json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}),
            422,
        ),
        (json!({"metadata": {"deletionGracePeriodSeconds": 5}}), 422),
        (json!({"kind": "Other"}), 422),
        (json!({"kind": null}), 422),
        (json!({"apiVersion": "example.com/v2"}), 422),
        (
            json!({"metadata": {"creationTimestamp": null, "generation": 9}}),
            200,
        ),
    ] {
        let answer = server.patch(&at(WIDGETS, "w"), MERGE, &patch).await.is(code);
        if code == 200 {
            assert_eq!(answer.body["metadata"]["generation"], 1);
            assert_eq!(answer.meta("creationTimestamp"), "2026-01-02T03:04:05Z");
        }
    }
}

#[tokio::test]
async fn a_lease_is_created_by_a_put() {
    let server = Server::new().await;
    let made = server
        .put(
            &at(LEASES, "l"),
            &json!({"metadata": {"name": "l", "resourceVersion": "1"}}),
        )
        .await;
    assert_eq!(made.is(201).meta("namespace"), "a");
    server
        .put(&at(LEASES, "k"), &json!({"metadata": {"name": "k", "uid": "x"}}))
        .await
        .is(409);
    server
        .put(
            "/apis/coordination.k8s.io/v1/namespaces/nope/leases/l",
            &json!({"metadata": {"name": "l"}}),
        )
        .await
        .is(404);
}

#[tokio::test]
async fn generation_counts_what_is_outside_metadata_and_status() {
    let server = Server::new().await;
    server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let path = at(WIDGETS, "w");
    for (patch, generation) in [
        (json!({"metadata": {"labels": {"a": "b"}}}), 1),
        (json!({"status": {"ready": true}}), 1),
        (json!({"spec": {"host": "x"}}), 2),
        (json!({"metadata": {"generation": 40}}), 2),
    ] {
        let answer = server.patch(&path, MERGE, &patch).await.is(200);
        assert_eq!(answer.body["metadata"]["generation"], generation, "{patch}");
        assert!(answer.body.get("status").is_none());
    }
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let answer = server
        .patch(&at(CONFIG_MAPS, "c"), MERGE, &json!({"data": {"x": "y"}}))
        .await
        .is(200);
    assert!(answer.body["metadata"].get("generation").is_none());
}

#[tokio::test]
async fn the_status_endpoint_changes_status_alone() {
    let server = Server::new().await;
    server
        .post(WIDGETS, &widget("w", &json!({"host": "h"})))
        .await
        .is(201);
    let path = at(WIDGETS, "w/status");
    let patch = json!({
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["x.y/z"]},
        "spec": {"host": "other"}, "status": {"ready": true},
    });
    let answer = server.patch(&path, MERGE, &patch).await.is(200);
    assert_eq!(answer.body["status"], json!({"ready": true}));
    assert_eq!(answer.body["spec"]["host"], "h");
    for field in ["labels", "annotations", "finalizers"] {
        assert!(answer.body["metadata"].get(field).is_none(), "{field}");
    }
    assert_eq!(answer.body["metadata"]["generation"], 1);
    let managers = answer.body["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers.iter().any(|entry| entry["subresource"] == "status"),
        "{managers:?}"
    );
    let mut body = answer.body.clone();
    body["status"] = json!({"ready": false});
    body["spec"] = json!({});
    let put = server.put(&path, &body).await.is(200);
    assert_eq!(
        (&put.body["status"], &put.body["spec"]["host"]),
        (&json!({"ready": false}), &json!("h"))
    );
    let mut main = put.body.clone();
    main["status"] = json!({"ready": true});
    let kept = server.put(&at(WIDGETS, "w"), &main).await.is(200);
    assert_eq!(kept.body["status"], json!({"ready": false}));
    assert_eq!(
        server.get(&path).await.is(200).body["status"],
        json!({"ready": false})
    );
}

#[tokio::test]
async fn patches_are_of_the_types_that_the_kind_takes() {
    let server = Server::new().await;
    server
        .post(WIDGETS, &widget("w", &json!({"host": "h", "list": ["a"]})))
        .await
        .is(201);
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let path = at(WIDGETS, "w");
    let answer = server
        .patch(&path, MERGE, &json!({"spec": {"host": null, "list": ["b"]}}))
        .await
        .is(200);
    assert_eq!(answer.body["spec"], json!({"list": ["b"], "size": 3}));
    let test = json!([{"op": "test", "path": "/spec/size", "value": 4}, {"op": "remove", "path": "/spec"}]);
    let before = server.get(&path).await.body;
    assert_eq!(
        server.patch(&path, JSON_PATCH, &test).await.is(422).body["reason"],
        "Invalid"
    );
    assert_eq!(server.get(&path).await.body, before);
    let add = json!([{"op": "add", "path": "/spec/host", "value": "j"}]);
    assert_eq!(
        server.patch(&path, JSON_PATCH, &add).await.is(200).body["spec"]["host"],
        "j"
    );
    let nothing_left = json!([{"op": "remove", "path": "/metadata"}]);
    server.patch(&path, JSON_PATCH, &nothing_left).await.is(400);
    let number = json!([{"op": "replace", "path": "", "value": 3}]);
    server.patch(&path, JSON_PATCH, &number).await.is(422);
    for (path, kind) in [(&path, STRATEGIC), (&path, JSON), (&at(CONFIG_MAPS, "c"), JSON)] {
        let refused = server.patch(path, kind, &json!({})).await.is(415);
        assert_eq!(refused.body["reason"], "UnsupportedMediaType");
    }
    server
        .patch(&at(WIDGETS, "missing"), MERGE, &json!({}))
        .await
        .is(404);
    let refused = server
        .patch(&format!("{path}?force=true"), MERGE, &json!({}))
        .await
        .is(422);
    assert_eq!(refused.causes(), [("FieldValueForbidden", "force")]);
    let long = format!("{path}?fieldManager={}", "x".repeat(129));
    server.patch(&long, MERGE, &json!({})).await.is(422);
    for body in ["", "{", "[]"] {
        server
            .ask("PATCH", &path, &[("content-type", MERGE)], body)
            .await
            .is(400);
    }
}

#[tokio::test]
async fn apply_creates_and_then_changes() {
    let server = Server::new().await;
    let path = format!("{WIDGETS}/w?fieldManager=m");
    let mut body = widget("w", &json!({"host": "h"}));
    body["status"] = json!({"ready": true});
    let made = server.patch(&path, APPLY, &body).await.is(201);
    assert!(made.body.get("status").is_none());
    let entry = &made.body["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["operation"], &entry["fieldsV1"]),
        (&json!("Apply"), &json!({"f:spec": {"f:host": {}}}))
    );
    assert_eq!(made.body["spec"], json!({"host": "h", "size": 3}));
    let same = server.patch(&path, APPLY, &body).await.is(200);
    assert_eq!(same.body, made.body);
    let other = format!("{WIDGETS}/w?fieldManager=n");
    let refused = server
        .patch(&other, APPLY, &widget("w", &json!({"host": "i"})))
        .await
        .is(409);
    assert_eq!(refused.causes(), [("FieldManagerConflict", ".spec.host")]);
    let forced = format!("{other}&force=true");
    let taken = server
        .patch(&forced, APPLY, &widget("w", &json!({"host": "i"})))
        .await
        .is(200);
    assert_eq!(taken.body["spec"]["host"], "i");
    let dry = format!("{WIDGETS}/x?fieldManager=m&dryRun=All");
    let dry = server.patch(&dry, APPLY, &widget("x", &json!({}))).await.is(201);
    assert_eq!(dry.meta("resourceVersion"), "");
}

#[tokio::test]
async fn apply_is_strict_about_what_it_is_about() {
    let server = Server::new().await;
    server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let path = format!("{WIDGETS}/w?fieldManager=m");
    let refused = server
        .patch(&at(WIDGETS, "w"), APPLY, &widget("w", &json!({})))
        .await
        .is(422);
    assert_eq!(refused.causes(), [("FieldValueRequired", "fieldManager")]);
    let mut managed = widget("w", &json!({}));
    managed["metadata"]["managedFields"] = json!([]);
    let refused = server.patch(&path, APPLY, &managed).await.is(400);
    assert_eq!(refused.message(), "metadata.managedFields must be nil");
    let mut stale = widget("w", &json!({}));
    stale["metadata"]["resourceVersion"] = "1".into();
    server.patch(&path, APPLY, &stale).await.is(409);
    let refused = server.patch(&path, APPLY, &widget("v", &json!({}))).await.is(400);
    assert_eq!(
        refused.message(),
        "the name of the object (v) does not match the name on the URL (w)"
    );
    server
        .patch(
            &format!("{WIDGETS}/x?fieldManager=m"),
            APPLY,
            &widget("v", &json!({})),
        )
        .await
        .is(400);
    let mut other = widget("x", &json!({}));
    other["metadata"]["uid"] = "u".into();
    server
        .patch(&format!("{WIDGETS}/x?fieldManager=m"), APPLY, &other)
        .await
        .is(409);
    for (body, said) in [
        (json!({}), "invalid object type: /, Kind="),
        (
            json!({"apiVersion": "v1", "kind": "Widget"}),
            "invalid object type: /v1, Kind=Widget",
        ),
    ] {
        assert_eq!(server.patch(&path, APPLY, &body).await.is(400).message(), said);
    }
}

#[tokio::test]
async fn apply_to_status_changes_status_alone_and_yaml_is_applied() {
    let server = Server::new().await;
    server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let path = format!("{WIDGETS}/w?fieldManager=m");
    let status = format!("{WIDGETS}/missing/status?fieldManager=m");
    server
        .patch(&status, APPLY, &widget("missing", &json!({})))
        .await
        .is(404);
    let mut applied = widget("w", &json!({"host": "no"}));
    applied["status"] = json!({"ready": true});
    let answer = server
        .patch(&format!("{WIDGETS}/w/status?fieldManager=m"), APPLY, &applied)
        .await
        .is(200);
    assert_eq!(
        (&answer.body["status"], answer.body["spec"].get("host")),
        (&json!({"ready": true}), None)
    );
    let yaml = "# ours\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {host: yaml}\n";
    let answer = server
        .ask("PATCH", &path, &[("content-type", APPLY)], yaml)
        .await
        .is(200);
    assert_eq!(answer.body["spec"]["host"], "yaml");
    server
        .patch(
            "/apis/example.com/v1/namespaces/nope/widgets/w?fieldManager=m",
            APPLY,
            &widget("w", &json!({})),
        )
        .await
        .is(404);
}

#[tokio::test]
async fn scale_maps_to_the_paths_of_the_kind() {
    let server = Server::new().await;
    server
        .post(WIDGETS, &widget("w", &json!({"replicas": 2})))
        .await
        .is(201);
    let status = json!({"status": {"replicas": 1, "selector": "app=w"}});
    server
        .patch(&at(WIDGETS, "w/status"), MERGE, &status)
        .await
        .is(200);
    let path = at(WIDGETS, "w/scale");
    let scale = server.get(&path).await.is(200);
    assert_eq!(
        (&scale.body["kind"], &scale.body["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(scale.body["spec"], json!({"replicas": 2}));
    assert_eq!(scale.body["status"], json!({"replicas": 1, "selector": "app=w"}));
    let scaled = server
        .patch(&path, MERGE, &json!({"spec": {"replicas": 5}}))
        .await
        .is(200);
    assert_eq!(scaled.body["spec"], json!({"replicas": 5}));
    let object = server.get(&at(WIDGETS, "w")).await;
    assert_eq!(
        (
            &object.body["spec"]["replicas"],
            &object.body["metadata"]["generation"]
        ),
        (&json!(5), &json!(2))
    );
    let mut body = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 7}});
    assert_eq!(
        server.put(&path, &body).await.is(200).body["spec"],
        json!({"replicas": 7})
    );
    body["metadata"]["resourceVersion"] = "1".into();
    server.put(&path, &body).await.is(409);
    body["metadata"] = json!({"name": "v"});
    server.put(&path, &body).await.is(400);
    let refused = server
        .patch(&path, MERGE, &json!({"spec": {"replicas": -5}}))
        .await
        .is(422);
    assert_eq!(
        refused.message(),
        "Widget.example.com \"w\" is invalid: .spec.replicas: Invalid value: -5: should be a non-negative integer"
    );
    server
        .patch(&path, MERGE, &json!({"spec": {"replicas": "a"}}))
        .await
        .is(422);
    server.get(&at(WIDGETS, "missing/scale")).await.is(404);
    server.ask("DELETE", &path, &[], "").await.is(405);
}

#[tokio::test]
async fn a_deletion_is_told_with_the_uid() {
    let server = Server::new().await;
    let made = server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let gone = server.delete(&at(WIDGETS, "w"), &Value::Null).await.is(200);
    assert_eq!(
        gone.body,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": "w", "group": "example.com", "kind": "widgets", "uid": made.meta("uid")},
        })
    );
    server.get(&at(WIDGETS, "w")).await.is(404);
    server.delete(&at(WIDGETS, "w"), &Value::Null).await.is(404);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let server = Server::new().await;
    let mut body = widget("w", &json!({}));
    body["metadata"]["finalizers"] = json!(["a.b/c"]);
    server.post(WIDGETS, &body).await.is(201);
    let path = at(WIDGETS, "w");
    let waiting = server.delete(&path, &Value::Null).await.is(200);
    assert_eq!(waiting.meta("deletionTimestamp"), "2026-01-02T03:04:05Z");
    assert_eq!(waiting.body["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(waiting.body["metadata"]["generation"], 2);
    assert_eq!(
        server.delete(&path, &Value::Null).await.is(200).body,
        waiting.body
    );
    let refused = server
        .patch(
            &path,
            MERGE,
            &json!({"metadata": {"finalizers": ["a.b/c", "x.y/z"]}}),
        )
        .await
        .is(422);
    assert_eq!(refused.causes(), [("FieldValueForbidden", "metadata.finalizers")]);
    let spec = server
        .patch(&path, MERGE, &json!({"spec": {"host": "x"}}))
        .await
        .is(200);
    assert_eq!(spec.body["metadata"]["generation"], 3);
    let refused = server.post(WIDGETS, &widget("w", &json!({}))).await.is(409);
    assert_eq!(
        refused.message(),
        "object is being deleted: widgets.example.com \"w\" already exists"
    );
    let dry = format!("{path}?dryRun=All");
    server
        .patch(&dry, MERGE, &json!({"metadata": {"finalizers": null}}))
        .await
        .is(200);
    server.get(&path).await.is(200);
    let last = server
        .patch(&path, MERGE, &json!({"metadata": {"finalizers": null}}))
        .await
        .is(200);
    assert_eq!(last.meta("resourceVersion"), spec.meta("resourceVersion"));
    server.get(&path).await.is(404);
}

#[tokio::test]
async fn propagation_becomes_a_finalizer() {
    let server = Server::new().await;
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
        let path = at(CONFIG_MAPS, "c");
        let waiting = server
            .delete(&path, &json!({"propagationPolicy": policy}))
            .await
            .is(200);
        assert_eq!(waiting.body["metadata"]["finalizers"], json!([finalizer]));
        server
            .delete(&path, &json!({"propagationPolicy": "Background"}))
            .await
            .is(200);
        server.get(&path).await.is(404);
    }
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let refused = server
        .delete(&at(CONFIG_MAPS, "c"), &json!({"propagationPolicy": "foo"}))
        .await
        .is(422);
    assert_eq!(
        refused.causes(),
        [("FieldValueNotSupported", "propagationPolicy")]
    );
    server
        .ask("DELETE", &at(CONFIG_MAPS, "c"), &[("content-type", JSON)], "[")
        .await
        .is(400);
    server
        .ask("DELETE", &at(CONFIG_MAPS, "c?propagationPolicy=Orphan"), &[], "")
        .await
        .is(200);
    assert_eq!(
        server.get(&at(CONFIG_MAPS, "c")).await.body["metadata"]["finalizers"],
        json!(["orphan"])
    );
}

#[tokio::test]
async fn a_deletion_can_be_conditional() {
    let server = Server::new().await;
    let made = server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let path = at(CONFIG_MAPS, "c");
    for preconditions in [json!({"uid": "foo"}), json!({"resourceVersion": "1"})] {
        let refused = server
            .delete(&path, &json!({"preconditions": preconditions}))
            .await
            .is(409);
        assert_eq!(refused.body["details"]["kind"], "ConfigMap");
    }
    let both = json!({"uid": made.meta("uid"), "resourceVersion": made.meta("resourceVersion")});
    server
        .delete(&path, &json!({"preconditions": both}))
        .await
        .is(200);
}

#[tokio::test]
async fn a_namespace_stays_until_it_is_finalized() {
    let server = Server::new().await;
    let path = at(NAMESPACES, "a");
    let waiting = server.delete(&path, &Value::Null).await.is(200);
    assert_eq!(waiting.body["status"]["phase"], "Terminating");
    assert!(!waiting.meta("deletionTimestamp").is_empty());
    server.delete(&path, &Value::Null).await.is(200);
    server.get(&at(&path, "finalize")).await.is(405);
    let body = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"finalizers": []}});
    let done = server.put(&at(&path, "finalize"), &body).await.is(200);
    assert_eq!(done.body["status"]["phase"], "Terminating");
    server.get(&path).await.is(404);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::new().await;
    for (name, label) in [("x", "1"), ("y", "1"), ("z", "2")] {
        let mut body = config_map(name);
        body["metadata"]["labels"] = json!({"l": label});
        server.post(CONFIG_MAPS, &body).await.is(201);
    }
    let path = format!("{CONFIG_MAPS}?labelSelector=l%3D1");
    let dry = server
        .ask("DELETE", &format!("{path}&dryRun=All"), &[], "")
        .await
        .is(200);
    assert_eq!(dry.names(), ["x", "y"]);
    let gone = server.ask("DELETE", &path, &[], "").await.is(200);
    assert_eq!(
        (gone.names(), &gone.body["kind"]),
        (vec!["x", "y"], &json!("ConfigMapList"))
    );
    assert_eq!(server.get(CONFIG_MAPS).await.names(), ["z"]);
}

#[tokio::test]
async fn a_review_is_answered_and_not_stored() {
    let server = Server::new().await;
    let before = server.api.store.revision();
    let path = "/apis/authorization.k8s.io/v1/reviews";
    let answer = server.post(path, &json!({"spec": {"a": "b"}})).await.is(201);
    assert_eq!(answer.body["status"]["user"], "tester");
    assert_eq!(answer.body["kind"], "Review");
    assert_eq!(server.api.store.revision(), before);
    server.get(path).await.is(405);
}

#[tokio::test]
async fn a_served_version_differs_from_the_stored_one_in_its_name_only() {
    let server = Server::new().await;
    let made = server.post(WIDGETS, &widget("w", &json!({}))).await.is(201);
    let path = "/apis/example.com/v2/namespaces/a/widgets/w";
    let newer = server.get(path).await.is(200);
    assert_eq!(newer.body["apiVersion"], "example.com/v2");
    assert_eq!(
        (newer.meta("uid"), newer.version()),
        (made.meta("uid"), made.version())
    );
    server
        .patch(path, MERGE, &json!({"spec": {"host": "x"}}))
        .await
        .is(200);
    assert_eq!(
        server.get(&at(WIDGETS, "w")).await.body["apiVersion"],
        "example.com/v1"
    );
    let listed = server.get("/apis/example.com/v2/widgets").await.is(200);
    assert_eq!(listed.body["items"][0]["apiVersion"], "example.com/v2");
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_answered_as_the_two_servers_do() {
    let server = Server::new().await;
    for path in [
        "/apis/example.com/v1/nope",
        "/apis/example.com/v9/widgets",
        "/apis/nope.example.com/v1/widgets",
        "/apis/example.com/v1/widgets/foo",
    ] {
        let answer = server.get(path).await.is(404);
        assert_eq!(answer.text, "404 page not found\n", "{path}");
    }
    for path in [
        "/api/v1/nope",
        "/apis/coordination.k8s.io/v9/leases",
        "/api/v1/configmaps/foo",
        "/api/v1/namespaces/a/configmaps/c/status",
    ] {
        let answer = server.get(path).await.is(404);
        assert_eq!(
            answer.message(),
            "the server could not find the requested resource",
            "{path}"
        );
    }
    for (method, path) in [
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("PUT", NAMESPACES),
        ("POST", "/api/v1/namespaces/a"),
        ("OPTIONS", CONFIG_MAPS),
        ("HEAD", CONFIG_MAPS),
    ] {
        let answer = server.ask(method, path, &[], "{}").await.is(405);
        assert_eq!(
            answer.message(),
            "the server does not allow this method on the requested resource"
        );
    }
    assert_eq!(
        server.ask("PUT", WIDGETS, &[], "{}").await.is(400).message(),
        "name must be provided"
    );
    let refused = server
        .ask("POST", &at(WIDGETS, "w/status"), &[], "{}")
        .await
        .is(405);
    assert_eq!(
        refused.message(),
        "create is not supported on resources of kind \"widgets.example.com\""
    );
    let missing = server.get(&at(WIDGETS, "w")).await.is(404);
    assert_eq!(missing.message(), "widgets.example.com \"w\" not found");
    assert_eq!(
        missing.body["details"],
        json!({"name": "w", "group": "example.com", "kind": "widgets"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_patches_at_once_all_take_effect() {
    let server = Server::new().await;
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    let patches = (0..100).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let patch = json!({"data": {format!("k{n}"): "v"}});
            server.patch(&at(CONFIG_MAPS, "c"), MERGE, &patch).await.is(200);
        })
    });
    for done in join_all(patches).await {
        done.unwrap();
    }
    let data = server.get(&at(CONFIG_MAPS, "c")).await.body["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_applies_to_a_free_name_one_creates_and_the_others_change() {
    let server = Server::new().await;
    let applies = (0..20).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let path = format!("{CONFIG_MAPS}/c?fieldManager=m{n}");
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {format!("k{n}"): "v"}});
            server.patch(&path, APPLY, &body).await.code
        })
    });
    let codes: Vec<u16> = join_all(applies)
        .await
        .into_iter()
        .map(|code| code.unwrap())
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 201).count(), 1, "{codes:?}");
    let data = server.get(&at(CONFIG_MAPS, "c")).await.body["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 20);
}
