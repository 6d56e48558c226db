//! Creating objects: what the server sets, what it refuses, in which encodings, and what a dry run is
//! (behaviours 14 to 32).

use serde_json::{Value, json};

use crate::{
    cases,
    client::Ask,
    protobuf::{envelope, field, metadata, number},
    session::Session,
};

cases![
    a_created_object_has_what_the_server_sets,
    status_is_not_created_through_the_main_endpoint,
    a_name_that_is_taken_is_refused,
    a_missing_namespace_is_not_found,
    a_body_that_contradicts_the_path_is_refused,
    a_body_may_come_without_a_type_or_as_yaml,
    typed_clients_may_post_protobuf,
    bad_names_and_labels_are_refused,
    a_name_is_needed_or_generated,
    violations_of_the_schema_are_all_named,
    defaults_are_set_and_unknown_fields_dropped,
    strict_validation_refuses_unknown_and_duplicate_fields,
    lenient_validation_warns,
    a_dry_run_creates_nothing,
    an_unqualified_finalizer_is_warned_of,
    too_much_data_is_refused,
    a_secret_merges_its_texts_into_its_data,
];

// Behaviour 14.
async fn a_created_object_has_what_the_server_sets(session: &Session) {
    let path = format!("{}?fieldManager=tester", session.gadgets(""));
    let mut gadget = session.gadget("a", json!({ "count": 1 }));
    gadget["metadata"]["generation"] = 7.into();
    gadget["metadata"]["uid"] = "mine".into();
    gadget["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    let answer = session.post(&path, &gadget).await.is(201);
    let metadata = &answer.body["metadata"];
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(answer.version().parse::<u64>().unwrap() > 1);
    assert_eq!(metadata["generation"], 1);
    assert!(
        !metadata["creationTimestamp"]
            .as_str()
            .unwrap()
            .starts_with("2001")
    );
    assert_eq!(metadata["managedFields"][0]["manager"], "tester");
    assert_eq!(metadata["managedFields"][0]["operation"], "Update");
    session.get(&session.gadgets("/a")).await.is(200);
    session
        .post(
            &session.core("configmaps"),
            &session.config_map("a", json!({ "k": "v" })),
        )
        .await
        .is(201);
}

// Behaviour 15.
async fn status_is_not_created_through_the_main_endpoint(session: &Session) {
    let mut gadget = session.gadget("a", json!({}));
    gadget["status"] = json!({ "ready": true });
    let answer = session.post(&session.gadgets(""), &gadget).await.is(201);
    assert_eq!(answer.body.get("status"), None);
}

// Behaviour 16.
async fn a_name_that_is_taken_is_refused(session: &Session) {
    session
        .post(&session.gadgets(""), &session.gadget("a", json!({})))
        .await
        .is(201);
    let again = Ask::new("POST", &session.gadgets("")).json(&session.gadget("a", json!({ "count": 2 })));
    session
        .send_to_the_word(again)
        .await
        .refuses(409, "AlreadyExists");
    session
        .post(&session.core("configmaps"), &session.config_map("a", json!({})))
        .await
        .is(201);
    session
        .post(&session.core("configmaps"), &session.config_map("a", json!({})))
        .await
        .refuses(409, "AlreadyExists");
}

// Behaviour 17.
async fn a_missing_namespace_is_not_found(session: &Session) {
    let path = session.gadgets("").replace(&session.namespace, "nowhere-at-all");
    let answer = session
        .send_to_the_word(Ask::new("POST", &path).json(&session.gadget("a", json!({}))))
        .await;
    assert_eq!(
        answer.refuses(404, "NotFound").body["details"]["kind"],
        "namespaces"
    );
    let path = "/api/v1/namespaces/nowhere-at-all/configmaps";
    session
        .post(path, &session.config_map("a", json!({})))
        .await
        .refuses(404, "NotFound");
    session.get(path).await.is(200);
}

// Behaviour 18.
async fn a_body_that_contradicts_the_path_is_refused(session: &Session) {
    let mut elsewhere = session.gadget("a", json!({}));
    elsewhere["metadata"]["namespace"] = "elsewhere".into();
    session
        .post(&session.gadgets(""), &elsewhere)
        .await
        .refuses(400, "BadRequest");
    let mut other = session.gadget("a", json!({}));
    other["kind"] = "Other".into();
    session
        .post(&session.gadgets(""), &other)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "kind");
    let mut kindless = session.gadget("a", json!({}));
    kindless.as_object_mut().unwrap().remove("kind");
    session
        .post(&session.gadgets(""), &kindless)
        .await
        .refuses(400, "BadRequest");
    let broken = Ask::new("POST", &session.gadgets("")).body("application/json", "{\"a\": ");
    session.send(broken).await.refuses(400, "BadRequest");
    for body in ["[]", "null", "1", "", "{}"] {
        session
            .send(Ask::new("POST", &session.gadgets("")).body("application/json", body))
            .await
            .is(400);
        session
            .send(Ask::new("POST", &session.core("configmaps")).body("application/json", body))
            .await;
    }
}

// Behaviour 19.
async fn a_body_may_come_without_a_type_or_as_yaml(session: &Session) {
    let path = session.gadgets("");
    let text = |name: &str| session.gadget(name, json!({})).to_string();
    session
        .send(Ask::new("POST", &path).body("", text("a")))
        .await
        .is(201);
    session
        .send(Ask::new("POST", &path).body("application/yaml", text("b")))
        .await
        .is(201);
    let yaml = format!(
        "# A comment.\napiVersion: {}/v1\nkind: Gadget\nmetadata:\n  name: c\nspec:\n  count: 3\n",
        session.group
    );
    session
        .send(Ask::new("POST", &path).body("application/yaml", yaml))
        .await
        .is(201);
    session
        .send(Ask::new("POST", &path).body("text/plain", text("d")))
        .await
        .refuses(415, "UnsupportedMediaType");
    session
        .send(Ask::new("POST", &path).body("application/cbor", text("d")))
        .await
        .refuses(415, "UnsupportedMediaType");
    session
        .send(Ask::new("POST", &path).body("application/json; charset=utf-8", text("e")))
        .await
        .is(201);
}

// Behaviour 20.
async fn typed_clients_may_post_protobuf(session: &Session) {
    let post = |path: String, body: Vec<u8>| {
        let ask = Ask::new("POST", &path).body("application/vnd.kubernetes.protobuf", body);
        session.send(ask.accept("application/vnd.kubernetes.protobuf;q=0.1,application/json"))
    };
    let data = field(2, [field(1, "k"), field(2, "v")].concat());
    let map = envelope("v1", "ConfigMap", &[metadata("a"), data.clone()]);
    assert_eq!(
        post(session.core("configmaps"), map).await.is(201).body["data"],
        json!({ "k": "v" })
    );
    let secret = envelope("v1", "Secret", &[metadata("a"), data, field(3, "Opaque")]);
    assert_eq!(
        post(session.core("secrets"), secret).await.is(201).body["data"],
        json!({ "k": "dg==" })
    );
    let account = envelope("v1", "ServiceAccount", &[metadata("a")]);
    post(session.core("serviceaccounts"), account).await.is(201);
    let name = format!("{}-proto", session.namespace);
    post(
        "/api/v1/namespaces".to_owned(),
        envelope("v1", "Namespace", &[metadata(&name)]),
    )
    .await
    .is(201);
    session
        .quietly(Ask::new("DELETE", &format!("/api/v1/namespaces/{name}")))
        .await;
    let spec = field(2, [field(1, "me"), number(2, 15)].concat());
    let lease = envelope("coordination.k8s.io/v1", "Lease", &[metadata("a"), spec]);
    let leases = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
        session.namespace
    );
    assert_eq!(
        post(leases, lease).await.is(201).body["spec"]["leaseDurationSeconds"],
        15
    );
    let involved = field(
        2,
        [field(1, "ConfigMap"), field(2, &session.namespace), field(3, "a")].concat(),
    );
    let event = envelope(
        "v1",
        "Event",
        &[
            metadata("a"),
            involved,
            field(3, "Because"),
            field(4, "of it"),
            field(9, "Normal"),
        ],
    );
    post(session.core("events"), event).await.is(201);
    let attributes = field(1, [field(2, "list"), field(5, "secrets")].concat());
    let review = envelope(
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        &[field(2, attributes)],
    );
    let answer = post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
        review,
    )
    .await
    .is(201);
    assert_eq!(answer.body["status"]["allowed"], true);
    // Not for a custom resource: kube-apiserver 1.37.1 breaks off the connection there.
    for broken in [&b"k8s\0\xff\xff\xff"[..], b"nonsense", b"k8s\0"] {
        post(session.core("configmaps"), broken.to_vec()).await.is(400);
    }
}

// Behaviour 21.
async fn bad_names_and_labels_are_refused(session: &Session) {
    for name in ["A_b", "-a", "a..b", &"a".repeat(254)] {
        let answer = session
            .post(&session.gadgets(""), &session.gadget(name, json!({})))
            .await;
        answer
            .refuses(422, "Invalid")
            .because("FieldValueInvalid", "metadata.name");
    }
    for labels in [
        json!({ "a": "b c" }),
        json!({ "a b": "c" }),
        json!({ "a": "b".repeat(64) }),
    ] {
        let mut gadget = session.gadget("a", json!({}));
        gadget["metadata"]["labels"] = labels;
        session
            .post(&session.gadgets(""), &gadget)
            .await
            .refuses(422, "Invalid")
            .because("FieldValueInvalid", "metadata.labels");
    }
    let mut gadget = session.gadget("a", json!({}));
    gadget["metadata"]["annotations"] = json!({ "a": "b".repeat(262_145) });
    session
        .post(&session.gadgets(""), &gadget)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueTooLong", "metadata.annotations");
}

// Behaviours 22 and 23.
async fn a_name_is_needed_or_generated(session: &Session) {
    let mut nameless = session.gadget("", json!({}));
    nameless["metadata"] = json!({});
    let answer = session.post(&session.gadgets(""), &nameless).await;
    answer
        .refuses(422, "Invalid")
        .because("FieldValueRequired", "metadata.name");
    nameless["metadata"] = json!({ "generateName": "gen-" });
    let answer = session.post(&session.gadgets(""), &nameless).await.is(201);
    let name = answer.body["metadata"]["name"].as_str().unwrap();
    let suffix = name.strip_prefix("gen-").unwrap();
    assert!(
        suffix.len() == 5
            && suffix
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
        "{name}"
    );
    assert_eq!(answer.body["metadata"]["generateName"], "gen-");
}

// Behaviour 24.
async fn violations_of_the_schema_are_all_named(session: &Session) {
    for (spec, reason, field) in [
        (json!({ "count": "many" }), "FieldValueTypeInvalid", "spec.count"),
        (json!({ "count": 11 }), "FieldValueInvalid", "spec.count"),
        (json!({ "count": -1 }), "FieldValueInvalid", "spec.count"),
        (json!({ "size": "huge" }), "FieldValueNotSupported", "spec.size"),
        (json!({ "inner": {} }), "FieldValueRequired", "spec.inner.a"),
        (json!({ "note": "NO" }), "FieldValueInvalid", "spec.note"),
        (
            json!({ "parts": [{ "name": "a" }, { "name": "a" }] }),
            "FieldValueDuplicate",
            "spec.parts[1]",
        ),
        (
            json!({ "tags": ["a", "a"] }),
            "FieldValueDuplicate",
            "spec.tags[1]",
        ),
        (json!({ "plain": "a" }), "FieldValueTypeInvalid", "spec.plain"),
        (
            json!({ "labels": { "a": 1 } }),
            "FieldValueTypeInvalid",
            "spec.labels.a",
        ),
        (
            json!({ "parts": [{ "value": "a" }] }),
            "FieldValueRequired",
            "spec.parts[0].name",
        ),
    ] {
        let answer = session
            .post(&session.gadgets(""), &session.gadget("a", spec))
            .await;
        answer.refuses(422, "Invalid").because(reason, field);
    }
    let all = json!({ "count": 11, "size": "huge", "inner": { "b": "x" }, "note": "A note that is far too long to be one" });
    session
        .post(&session.gadgets(""), &session.gadget("a", all))
        .await
        .refuses(422, "Invalid");
    session
        .post(&session.gadgets(""), &session.gadget("a", json!("text")))
        .await
        .refuses(422, "Invalid");
}

// Behaviour 25.
async fn defaults_are_set_and_unknown_fields_dropped(session: &Session) {
    let spec =
        json!({ "unknown": 1, "inner": { "a": "x", "c": 1 }, "parts": [{ "name": "p", "more": true }] });
    let mut gadget = session.gadget("a", spec);
    gadget["more"] = json!({ "a": 1 });
    let answer = session
        .post(
            &format!("{}?fieldValidation=Ignore", session.gadgets("")),
            &gadget,
        )
        .await
        .is(201);
    assert_eq!(
        answer.body["spec"],
        json!({ "size": "small", "inner": { "a": "x" }, "parts": [{ "name": "p" }] })
    );
    assert_eq!(answer.body.get("more"), None);
    session.get(&session.gadgets("/a")).await.is(200);
}

// Behaviour 26.
async fn strict_validation_refuses_unknown_and_duplicate_fields(session: &Session) {
    let strict = format!("{}?fieldValidation=Strict", session.gadgets(""));
    let mut bodies = Vec::new();
    bodies.push(session.gadget("a", json!({ "x": 1 })));
    bodies.push(session.gadget(
        "a",
        json!({ "inner": { "a": "b", "y": 1 }, "parts": [{ "name": "n", "z": 1 }] }),
    ));
    let mut root = session.gadget("a", json!({}));
    root["extra"] = 1.into();
    bodies.push(root);
    let mut meta = session.gadget("a", json!({}));
    meta["metadata"]["extra"] = 1.into();
    bodies.push(meta);
    for body in bodies {
        let answer = session
            .send_to_the_word(Ask::new("POST", &strict).json(&body))
            .await
            .refuses(400, "BadRequest");
        assert!(
            answer.body["message"].as_str().unwrap().contains("unknown field"),
            "{}",
            answer.body
        );
    }
    let twice = session
        .gadget("a", json!({}))
        .to_string()
        .replace("\"spec\":{}", "\"spec\":{\"count\":1,\"count\":2}");
    let answer = session
        .send_to_the_word(Ask::new("POST", &strict).body("application/json", twice))
        .await;
    assert!(
        answer.refuses(400, "BadRequest").body["message"]
            .as_str()
            .unwrap()
            .contains("duplicate field")
    );
    let map =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "dta": { "a": "b" } });
    let path = format!("{}?fieldValidation=Strict", session.core("configmaps"));
    session
        .send_to_the_word(Ask::new("POST", &path).json(&map))
        .await
        .refuses(400, "BadRequest");
    session
        .post(&strict, &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(201);
}

// Behaviour 27.
async fn lenient_validation_warns(session: &Session) {
    let path = |more: &str| format!("{}{more}", session.gadgets(""));
    let body = |name: &str| session.gadget(name, json!({ "x": 1 }));
    for (name, query, warns) in [
        ("a", "", true),
        ("b", "?fieldValidation=Warn", true),
        ("c", "?fieldValidation=Ignore", false),
    ] {
        let answer = session.post(&path(query), &body(name)).await.is(201);
        assert_eq!(answer.headers.contains_key("warning"), warns, "{query}");
        if warns {
            assert_eq!(answer.header("warning"), "299 - \"unknown field \\\"spec.x\\\"\"");
        }
    }
    session
        .post(&path("?fieldValidation=Bogus"), &body("d"))
        .await
        .refuses(422, "Invalid");
    let twice = session
        .gadget("e", json!({}))
        .to_string()
        .replace("\"spec\":{}", "\"spec\":{\"count\":1,\"count\":2}");
    let answer = session
        .send(Ask::new("POST", &path("")).body("application/json", twice))
        .await
        .is(201);
    assert_eq!(answer.body["spec"]["count"], 2);
}

// Behaviours 28 and 29.
async fn a_dry_run_creates_nothing(session: &Session) {
    let list = session.quietly(Ask::new("GET", &session.gadgets(""))).await;
    let version = list.version();
    let mut watch = session
        .watch(&format!(
            "{}?watch=true&resourceVersion={version}",
            session.gadgets("")
        ))
        .await;
    let path = format!("{}?dryRun=All", session.gadgets(""));
    let answer = session
        .post(&path, &session.gadget("a", json!({ "count": 1 })))
        .await
        .is(201);
    let metadata = &answer.body["metadata"];
    assert!(metadata["uid"].is_string() && metadata["creationTimestamp"].is_string());
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata.get("resourceVersion"), None);
    session.get(&session.gadgets("/a")).await.is(404);
    let map = format!("{}?dryRun=All", session.core("configmaps"));
    session
        .post(&map, &session.config_map("a", json!({})))
        .await
        .is(201);
    session
        .post(&path, &session.gadget("a", json!({ "count": 99 })))
        .await
        .refuses(422, "Invalid");
    let bogus = format!("{}?dryRun=foo", session.gadgets(""));
    session
        .post(&bogus, &session.gadget("a", json!({})))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueNotSupported", "dryRun");
    session.given("b", json!({})).await;
    // The first event is of the object that was made, so that there was none before.
    assert_eq!(session.event(&mut watch).await["object"]["metadata"]["name"], "b");
}

// Behaviour 30.
async fn an_unqualified_finalizer_is_warned_of(session: &Session) {
    let mut gadget = session.gadget("a", json!({}));
    gadget["metadata"]["finalizers"] = json!(["hold"]);
    let answer = session.post(&session.gadgets(""), &gadget).await.is(201);
    assert!(answer.headers.contains_key("warning"));
    let free = json!({ "metadata": { "finalizers": null } });
    session
        .patch(crate::session::MERGE_PATCH, &session.gadgets("/a"), &free)
        .await
        .is(200);
}

// Behaviour 31.
async fn too_much_data_is_refused(session: &Session) {
    let much = session.config_map("a", json!({ "k": "x".repeat(1_048_577) }));
    session
        .post(&session.core("configmaps"), &much)
        .await
        .refuses(422, "Invalid")
        .because("FieldValueTooLong", "[]");
    let body = session.config_map("a", json!({ "k": "x".repeat(3 * 1_048_576 + 10) }));
    session
        .post(&session.core("configmaps"), &body)
        .await
        .refuses(413, "RequestEntityTooLarge");
}

// Behaviour 32.
async fn a_secret_merges_its_texts_into_its_data(session: &Session) {
    let secret = |name: &str, more: Value| {
        let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
        secret
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        secret
    };
    let path = session.core("secrets");
    let both = secret(
        "a",
        json!({ "data": { "a": "YQ==", "b": "Yg==" }, "stringData": { "b": "x", "c": "y" } }),
    );
    let answer = session.post(&path, &both).await.is(201);
    assert_eq!(
        answer.body["data"],
        json!({ "a": "YQ==", "b": "eA==", "c": "eQ==" })
    );
    assert_eq!(answer.body.get("stringData"), None);
    assert_eq!(answer.body["type"], "Opaque");
    session
        .post(&path, &secret("b", json!({ "data": { "a": "!!" } })))
        .await
        .refuses(400, "BadRequest");
    session
        .post(&path, &secret("c", json!({ "data": { "a b": "YQ==" } })))
        .await
        .refuses(422, "Invalid");
    session
        .post(&path, &secret("d", json!({ "type": "kubernetes.io/tls" })))
        .await
        .refuses(422, "Invalid");
}
