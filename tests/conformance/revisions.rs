//! Controller revisions (`apps/v1`), in which the history of rollouts is kept: their data stays, their number changes, and
//! they go with the object whose history they are.

use serde_json::{Value, json};

use crate::{
    cases,
    client::Ask,
    protobuf::{envelope, field, metadata, number},
    session::{JSON_PATCH, MERGE_PATCH, STRATEGIC, Session},
};

cases![
    a_controller_revision_keeps_its_data,
    the_data_of_a_controller_revision_is_an_object,
    a_controller_revision_is_patched_and_applied,
    controller_revisions_are_listed_as_a_table_and_by_label,
    controller_revisions_go_with_their_controller,
    a_typed_client_makes_controller_revisions,
    controller_revisions_are_described,
];

fn path(session: &Session, rest: &str) -> String {
    format!(
        "/apis/apps/v1/namespaces/{}/controllerrevisions{rest}",
        session.namespace
    )
}

fn revision(name: &str, number: i64, data: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": { "name": name, "labels": { "app": "web" } }, "revision": number, "data": data,
    })
}

fn template(image: &str) -> Value {
    json!({ "spec": { "template": { "$patch": "replace", "spec": { "containers": [{ "name": "c", "image": image }] } } } })
}

async fn a_controller_revision_keeps_its_data(session: &Session) {
    let made = session
        .post(&path(session, ""), &revision("a", 1, template("x:1")))
        .await
        .is(201);
    assert_eq!(made.body["metadata"].get("generation"), None);
    session
        .post(&path(session, ""), &revision("a", 1, template("x:1")))
        .await
        .refuses(409, "AlreadyExists");
    session
        .put(&path(session, "/a"), &revision("a", 7, template("x:1")))
        .await
        .is(200);
    let mut stale = revision("a", 8, template("x:1"));
    stale["metadata"]["resourceVersion"] = made.version().into();
    session
        .put(&path(session, "/a"), &stale)
        .await
        .refuses(409, "Conflict");
    session
        .put(&path(session, "/a"), &revision("a", 7, template("x:2")))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "data");
    session
        .put(&path(session, "/a"), &revision("a", -1, template("x:1")))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueInvalid", "revision");
    session
        .put(&path(session, "/none"), &revision("none", 1, template("x:1")))
        .await
        .refuses(404, "NotFound");
    session.get(&path(session, "/a")).await.is(200);
    session.delete(&path(session, "/a")).await.is(200);
    session.get(&path(session, "/a")).await.refuses(404, "NotFound");
}

async fn the_data_of_a_controller_revision_is_an_object(session: &Session) {
    for data in [json!(null), json!([1]), json!("x"), json!(5)] {
        session
            .send_to_the_word(Ask::new("POST", &path(session, "")).json(&revision("a", 1, data)))
            .await
            .refuses(422, "Invalid")
            .because("FieldValueRequired", "data");
    }
    let mut none = revision("a", -2, json!({}));
    none.as_object_mut().unwrap().remove("data");
    session
        .send_to_the_word(Ask::new("POST", &path(session, "")).json(&none))
        .await
        .refuses(422, "Invalid");
    session
        .post(&path(session, ""), &revision("A_b", 1, json!({})))
        .await
        .refuses(422, "Invalid");
    session
        .post(&path(session, ""), &revision("a", 0, json!({})))
        .await
        .is(201);
    let mut text = revision("b", 0, json!({}));
    text["revision"] = "1".into();
    session
        .post(&path(session, ""), &text)
        .await
        .refuses(400, "BadRequest");
}

async fn a_controller_revision_is_patched_and_applied(session: &Session) {
    session
        .post(&path(session, ""), &revision("a", 1, template("x:1")))
        .await
        .is(201);
    for (kind, body) in [
        (MERGE_PATCH, json!({ "revision": 2 })),
        (
            STRATEGIC,
            json!({ "revision": 3, "metadata": { "annotations": { "kubernetes.io/change-cause": "why" } } }),
        ),
        (
            JSON_PATCH,
            json!([{ "op": "replace", "path": "/revision", "value": 4 }]),
        ),
    ] {
        session.patch(kind, &path(session, "/a"), &body).await.is(200);
    }
    for (kind, body) in [
        (MERGE_PATCH, json!({ "data": { "spec": { "more": 1 } } })),
        (JSON_PATCH, json!([{ "op": "remove", "path": "/data/spec" }])),
    ] {
        session
            .patch(kind, &path(session, "/a"), &body)
            .await
            .refuses(422, "Invalid");
    }
    session
        .apply(&path(session, "/b"), "m1", &revision("b", 1, template("x:1")))
        .await
        .is(201);
    session
        .apply(&path(session, "/b"), "m1", &revision("b", 2, template("x:1")))
        .await
        .is(200);
    session
        .apply(&path(session, "/b"), "m2", &revision("b", 3, template("x:1")))
        .await
        .refuses(409, "Conflict");
}

async fn controller_revisions_are_listed_as_a_table_and_by_label(session: &Session) {
    let owner = session.given("web", json!({})).await;
    let mut owned = revision("a", 3, template("x:1"));
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "web", "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]);
    session.post(&path(session, ""), &owned).await.is(201);
    session
        .post(&path(session, ""), &revision("b", 1, json!({})))
        .await
        .is(201);
    for rest in ["/a", "/b"] {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let answer = session
            .quietly(Ask::new("GET", &path(session, rest)).accept(table))
            .await
            .is(200);
        let columns: Vec<_> = answer.body["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| {
                json!([
                    column["name"],
                    column["type"],
                    column["format"],
                    column["priority"]
                ])
            })
            .collect();
        session.note("columns", &columns.into());
        session.note(
            "cells",
            &answer.body["rows"][0]["cells"].as_array().unwrap()[..3].into(),
        );
    }
    for (label, found) in [("app%3Dweb", 2), ("app%3Dother", 0)] {
        let list = session
            .quietly(Ask::new(
                "GET",
                &path(session, &format!("?labelSelector={label}")),
            ))
            .await
            .is(200);
        assert_eq!(list.body["items"].as_array().unwrap().len(), found);
        session.note("kind", &list.body["kind"]);
    }
}

async fn controller_revisions_go_with_their_controller(session: &Session) {
    let owner = session.given("web", json!({})).await;
    let mut owned = revision("a", 3, template("x:1"));
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "web", "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    }]);
    session.post(&path(session, ""), &owned).await.is(201);
    session.delete(&session.gadgets("/web")).await.is(200);
    session
        .until("the revision to be gone", &path(session, "/a"), |answer| {
            answer.code == 404
        })
        .await;
}

async fn a_typed_client_makes_controller_revisions(session: &Session) {
    let data = field(2, field(1, r#"{"spec":{"b":1,"a":[null]}}"#));
    let body = envelope(
        "apps/v1",
        "ControllerRevision",
        &[metadata("a"), data, number(3, 9)],
    );
    let made = session
        .send(Ask::new("POST", &path(session, "")).body("application/vnd.kubernetes.protobuf", body))
        .await
        .is(201);
    assert_eq!(
        (&made.body["revision"], &made.body["data"]),
        (&json!(9), &json!({ "spec": { "b": 1, "a": [null] } }))
    );
    let body = envelope("apps/v1", "ControllerRevision", &[metadata("b")]);
    session
        .send(Ask::new("POST", &path(session, "")).body("application/vnd.kubernetes.protobuf", body))
        .await
        .refuses(422, "Invalid");
}

/// Of the group only this kind is served.
async fn controller_revisions_are_described(session: &Session) {
    let list = session.quietly(Ask::new("GET", "/apis/apps/v1")).await.is(200);
    let of = |found: &Value| {
        let resources = found["resources"].as_array().unwrap();
        let mut ours = resources.iter().filter(|one| one["kind"] == "ControllerRevision");
        let mut one = ours.next().cloned().unwrap();
        one.as_object_mut().unwrap().remove("storageVersionHash");
        assert!(ours.next().is_none());
        one
    };
    session.note("resource", &of(&list.body));
    let group = session.quietly(Ask::new("GET", "/apis/apps")).await.is(200);
    session.note("group", &group.body);
    let schemas = session
        .quietly(Ask::new("GET", "/openapi/v3/apis/apps/v1"))
        .await
        .is(200);
    let mut schema = schemas.body["components"]["schemas"]["io.k8s.api.apps.v1.ControllerRevision"].clone();
    strip(&mut schema);
    session.note("schema", &schema);
}

/// Without descriptions.
fn strip(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        map.remove("description");
        map.values_mut().for_each(strip);
    }
    if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(strip);
    }
}
