//! Other shapes of the same objects: tables, metadata alone, YAML, scale (behaviours 101 to 105).

use serde_json::{Value, json};

use crate::{
    cases,
    client::Ask,
    session::{MERGE_PATCH, Session},
};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

cases![
    a_table_has_the_columns_of_the_definition,
    a_table_of_one_object_and_a_watched_one,
    metadata_can_be_asked_for_alone,
    yaml_and_indentation_are_served,
    a_scale_maps_to_the_replicas,
    built_in_kinds_have_tables_of_their_own,
];

/// Without the age, which a moment may change.
fn steady(table: &Value) -> Value {
    let mut table = table.clone();
    let columns = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
    for row in table["rows"].as_array_mut().into_iter().flatten() {
        for (at, column) in columns.iter().enumerate() {
            if column["name"] == "Age" {
                assert!(row["cells"][at].is_string(), "an age is a text: {row}");
                row["cells"][at] = "age".into();
            }
        }
    }
    table
}

async fn table(session: &Session, path: &str) -> Value {
    let answer = session.quietly(Ask::new("GET", path).accept(TABLE)).await.is(200);
    assert_eq!(answer.body["kind"], "Table", "{}", answer.body);
    let table = steady(&answer.body);
    session.note(&format!("table {}", path.rsplit('/').next().unwrap()), &table);
    table
}

// Behaviour 101.
async fn a_table_has_the_columns_of_the_definition(session: &Session) {
    session.given("a", json!({ "count": 3 })).await;
    session.given("b", json!({})).await;
    let found = table(session, &session.gadgets("")).await;
    let columns: Vec<_> = found["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].clone())
        .collect();
    assert_eq!(columns, ["Name", "Size", "Count", "Ready", "Age"]);
    assert_eq!(found["rows"][0]["cells"][2], 3);
    assert_eq!(found["rows"][1]["cells"][2], Value::Null);
    assert_eq!(found["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let none = table(session, &session.gadgets("?includeObject=None")).await;
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let whole = table(session, &session.gadgets("?includeObject=Object")).await;
    assert_eq!(whole["rows"][0]["object"]["kind"], "Gadget");
    session
        .send(Ask::new("GET", &session.gadgets("?includeObject=Bogus")).accept(TABLE))
        .await;
    table(session, &session.gadgets("?limit=1")).await;
    table(session, &session.gadgets("?labelSelector=none")).await;
}

// Behaviour 102.
async fn a_table_of_one_object_and_a_watched_one(session: &Session) {
    session.given("a", json!({ "count": 3 })).await;
    let one = table(session, &session.gadgets("/a")).await;
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
    let from = session
        .quietly(Ask::new("GET", &session.gadgets("")))
        .await
        .version()
        .to_owned();
    let path = session.gadgets(&format!("?watch=true&resourceVersion={from}"));
    let stream = session
        .server
        .admin
        .stream(&Ask::new("GET", &path).accept("application/json;as=Table;v=v1;g=meta.k8s.io"))
        .await;
    let mut stream = stream.unwrap_or_else(|answer| panic!("{}", answer.body));
    for name in ["b", "c"] {
        session.given(name, json!({})).await;
    }
    for first in [true, false] {
        let event = stream.next(crate::client::SOON).await.unwrap();
        assert_eq!(event["object"]["kind"], "Table");
        assert_eq!(
            event["object"]["columnDefinitions"]
                .as_array()
                .is_some_and(|columns| !columns.is_empty()),
            first
        );
        assert_eq!(event["object"]["rows"].as_array().unwrap().len(), 1);
    }
    session
        .send(Ask::new("GET", &session.gadgets("/none")).accept(TABLE))
        .await
        .refuses(404, "NotFound");
}

// Behaviour 103.
async fn metadata_can_be_asked_for_alone(session: &Session) {
    session.given("a", json!({ "count": 3 })).await;
    let one = session
        .send(Ask::new("GET", &session.gadgets("/a")).accept(METADATA))
        .await
        .is(200);
    assert_eq!(
        (&one.body["kind"], &one.body["apiVersion"]),
        (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(one.body.get("spec"), None);
    let list = session
        .send(Ask::new("GET", &session.gadgets("")).accept(METADATA_LIST))
        .await
        .is(200);
    assert_eq!(list.body["kind"], "PartialObjectMetadataList");
    let path = session.gadgets(&format!("?watch=true&resourceVersion={}", list.version()));
    let stream = session
        .server
        .admin
        .stream(&Ask::new("GET", &path).accept(METADATA))
        .await;
    let mut stream = stream.unwrap_or_else(|answer| panic!("{}", answer.body));
    session.given("b", json!({})).await;
    assert_eq!(
        session.event(&mut stream).await["object"]["kind"],
        "PartialObjectMetadata"
    );
    session
        .send(Ask::new("GET", &session.core("configmaps?labelSelector=none")).accept(METADATA_LIST))
        .await
        .is(200);
}

// Behaviour 104.
async fn yaml_and_indentation_are_served(session: &Session) {
    session.given("a", json!({ "count": 3, "note": "yes" })).await;
    let yaml = session
        .quietly(Ask::new("GET", &session.gadgets("/a")).accept("application/yaml"))
        .await
        .is(200);
    session.note("type", &yaml.header("content-type").into());
    let parsed: Value = serde_saphyr::from_str(&String::from_utf8_lossy(&yaml.raw)).unwrap();
    session.note("yaml", &parsed);
    assert_eq!(parsed["spec"]["count"], 3);
    let pretty = session
        .quietly(Ask::new("GET", &session.gadgets("/a?pretty=true")))
        .await
        .is(200);
    assert!(String::from_utf8_lossy(&pretty.raw).starts_with("{\n  \""));
    let missing = session
        .quietly(Ask::new("GET", &session.gadgets("/none")).accept("application/yaml"))
        .await
        .is(404);
    session.note("type of an error", &missing.header("content-type").into());
}

// Behaviour 105.
async fn a_scale_maps_to_the_replicas(session: &Session) {
    session.given("a", json!({ "replicas": 2 })).await;
    let status = json!({ "status": { "replicas": 1, "selector": "a=b" } });
    session
        .patch(MERGE_PATCH, &session.gadgets("/a/status"), &status)
        .await
        .is(200);
    let path = session.gadgets("/a/scale");
    let scale = session.get(&path).await.is(200);
    assert_eq!(
        (&scale.body["kind"], &scale.body["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(scale.body["spec"]["replicas"], 2);
    assert_eq!(scale.body["status"], json!({ "replicas": 1, "selector": "a=b" }));
    let patched = session
        .patch(MERGE_PATCH, &path, &json!({ "spec": { "replicas": 3 } }))
        .await
        .is(200);
    assert_eq!(patched.body["spec"]["replicas"], 3);
    let gadget = session.get(&session.gadgets("/a")).await;
    assert_eq!(
        (
            &gadget.body["spec"]["replicas"],
            &gadget.body["metadata"]["generation"]
        ),
        (&json!(3), &json!(2))
    );
    let mut whole = patched.body.clone();
    whole["spec"]["replicas"] = 4.into();
    session.put(&path, &whole).await.is(200);
    session
        .put(&path, &{
            whole["spec"]["replicas"] = json!(-1);
            whole["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("resourceVersion");
            whole
        })
        .await
        .refuses(422, "Invalid");
    session
        .get(&session.gadgets("/none/scale"))
        .await
        .refuses(404, "NotFound");
    session
        .patch(MERGE_PATCH, &session.gadgets("/none/scale"), &json!({}))
        .await
        .refuses(404, "NotFound");
}

// Behaviour 101, for built-in kinds.
async fn built_in_kinds_have_tables_of_their_own(session: &Session) {
    session
        .post(
            &session.core("configmaps"),
            &session.config_map("a", json!({ "k": "v", "l": "w" })),
        )
        .await
        .is(201);
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "data": { "k": "dg==" } });
    session.post(&session.core("secrets"), &secret).await.is(201);
    session
        .post(
            &session.core("serviceaccounts"),
            &json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "a" } }),
        )
        .await
        .is(201);
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "a" }, "spec": { "holderIdentity": "me" } });
    let leases = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
        session.namespace
    );
    session.post(&leases, &lease).await.is(201);
    for path in [
        session.core("configmaps/a"),
        session.core("secrets/a"),
        session.core("serviceaccounts/a"),
        format!("{leases}/a"),
        format!("/api/v1/namespaces/{}", session.namespace),
        format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.{}",
            session.group
        ),
    ] {
        let answer = session
            .quietly(Ask::new("GET", &path).accept(TABLE))
            .await
            .is(200);
        let found = steady(&answer.body);
        let columns: Vec<_> = found["columnDefinitions"]
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
        let mut cells = found["rows"][0]["cells"].clone();
        crate::session::mask(&mut cells);
        session.note("cells", &cells);
    }
}
