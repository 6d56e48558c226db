//! Discovery, OpenAPI, versions, and what is answered where nothing is (behaviours 1 to 13).

use serde_json::{Value, json};

use crate::{cases, client::Ask, session::Session};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

cases![
    discovery_comes_in_one_answer_or_in_the_plain_form,
    groups_say_which_version_is_preferred,
    a_version_lists_its_resources_and_what_is_below_them,
    aggregated_discovery_is_known_by_its_tag,
    openapi_2_comes_in_protobuf,
    openapi_2_is_consistent,
    openapi_3_lists_every_version,
    openapi_3_says_what_a_patch_takes,
    openapi_3_documents_are_addressed_by_hash,
    the_version_can_be_compared,
    what_is_not_there_is_not_found,
    what_a_client_cannot_read_is_not_acceptable,
];

/// Code and content type of an answer whose body may differ.
fn form(session: &Session, what: &str, answer: &crate::client::Answer) {
    session.note(what, &json!([answer.code, answer.header("content-type")]));
}

// Behaviour 1.
async fn discovery_comes_in_one_answer_or_in_the_plain_form(session: &Session) {
    for (path, plain) in [("/apis", "APIGroupList"), ("/api", "APIVersions")] {
        let accept = format!(
            "{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
        );
        let answer = session
            .quietly(Ask::new("GET", path).accept(&accept))
            .await
            .is(200);
        form(session, path, &answer);
        if answer.header("content-type") == AGGREGATED {
            assert_eq!(answer.body["kind"], "APIGroupDiscoveryList");
            assert_eq!(answer.body["apiVersion"], "apidiscovery.k8s.io/v2");
        } else {
            assert_eq!(answer.body["kind"], plain);
        }
    }
    let answer = session
        .quietly(Ask::new("GET", "/apis").accept(AGGREGATED))
        .await
        .is(200);
    let ours = answer.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["metadata"]["name"] == session.group);
    let mut versions = ours.expect("our group")["versions"].clone();
    // A real server may say so for a moment after a change of any group.
    versions
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|version| version["freshness"] = Value::Null);
    session.note("our group", &versions);
}

// Behaviour 2.
async fn groups_say_which_version_is_preferred(session: &Session) {
    let answer = session
        .quietly(Ask::new("GET", "/apis").accept("application/json"))
        .await
        .is(200);
    form(session, "/apis", &answer);
    assert_eq!(answer.body["kind"], "APIGroupList");
    for group in answer.body["groups"].as_array().unwrap() {
        assert!(group["preferredVersion"]["version"].is_string(), "{group}");
    }
    session.get(&format!("/apis/{}", session.group)).await.is(200);
}

// Behaviour 3.
async fn a_version_lists_its_resources_and_what_is_below_them(session: &Session) {
    let answer = session.get(&format!("/apis/{}/v1", session.group)).await.is(200);
    let names: Vec<_> = answer.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["gadgets", "gadgets/status", "gadgets/scale"]);
    let core = session.quietly(Ask::new("GET", "/api/v1")).await.is(200);
    for name in [
        "configmaps",
        "secrets",
        "namespaces",
        "namespaces/finalize",
        "namespaces/status",
        "serviceaccounts",
        "events",
    ] {
        let found = core.body["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        session.note(name, found.unwrap_or(&Value::Null));
    }
}

// Behaviour 4.
async fn aggregated_discovery_is_known_by_its_tag(session: &Session) {
    // Others define and remove resources meanwhile: the tag of an unchanged moment is asked for again.
    for attempt in 0.. {
        let first = session
            .quietly(Ask::new("GET", "/apis").accept(AGGREGATED))
            .await
            .is(200);
        assert_eq!(first.header("vary"), "Accept");
        let again = Ask::new("GET", "/apis")
            .accept(AGGREGATED)
            .header("if-none-match", first.header("etag"));
        let answer = session.quietly(again).await;
        if answer.code == 304 {
            assert!(answer.raw.is_empty());
            break;
        }
        assert!(attempt < 50, "never 304");
    }
    let other = Ask::new("GET", "/apis")
        .accept(AGGREGATED)
        .header("if-none-match", "\"other\"");
    session.quietly(other).await.is(200);
}

// Behaviour 5.
async fn openapi_2_comes_in_protobuf(session: &Session) {
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let answer = session
        .quietly(Ask::new("GET", "/openapi/v2").accept(accept))
        .await
        .is(200);
    form(session, "/openapi/v2", &answer);
    assert_eq!(
        answer.header("content-type"),
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    // `swagger`, field 1: "2.0".
    assert!(answer.raw.windows(5).any(|window| window == b"\x0a\x032.0"));
    assert!(answer.raw.windows(8).any(|window| window == b"ObjectMe"));
}

fn references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "$ref" => into.push(text),
            value => references(value, into),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

// Behaviour 6.
async fn openapi_2_is_consistent(session: &Session) {
    let reversed: Vec<_> = session.group.rsplit('.').collect();
    let name = format!("{}.v1.Gadget", reversed.join("."));
    let path = "/openapi/v2";
    let answer = session
        .until("our definition", path, |answer| {
            answer.body["definitions"].get(&name).is_some()
        })
        .await;
    let mut found = Vec::new();
    references(&answer.body, &mut found);
    for reference in found {
        assert!(
            answer.body.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
    let mut seen = std::collections::BTreeSet::new();
    for definition in answer.body["definitions"].as_object().unwrap().values() {
        for gvk in definition["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(seen.insert(gvk.to_string()), "{gvk} twice");
        }
    }
    let ours = &answer.body["definitions"][&name];
    session.note("spec", &ours["properties"]["spec"]);
    session.note("kind", &ours["x-kubernetes-group-version-kind"]);
    session.note(
        "fields",
        &ours["properties"].as_object().unwrap().keys().cloned().collect(),
    );
    form(
        session,
        "html",
        &session.quietly(Ask::new("GET", path).accept("text/html")).await,
    );
}

// Behaviour 7.
async fn openapi_3_lists_every_version(session: &Session) {
    let entry = format!("apis/{}/v1", session.group);
    let index = session
        .until("our entry", "/openapi/v3", |answer| {
            answer.body["paths"].get(&entry).is_some()
        })
        .await;
    for entry in ["api/v1", "apis/coordination.k8s.io/v1", entry.as_str()] {
        let place = index.body["paths"][entry]["serverRelativeURL"].as_str().unwrap();
        assert!(
            place.starts_with(&format!("/openapi/v3/{entry}?hash=")),
            "{place}"
        );
        session.quietly(Ask::new("GET", place)).await.is(200);
    }
}

// Behaviour 8.
async fn openapi_3_says_what_a_patch_takes(session: &Session) {
    let path = format!("/openapi/v3/apis/{}/v1", session.group);
    let answer = session
        .until("our document", &path, |answer| answer.code == 200)
        .await;
    let item = format!(
        "/apis/{}/v1/namespaces/{{namespace}}/gadgets/{{name}}",
        session.group
    );
    let patch = &answer.body["paths"][&item]["patch"];
    let parameters = patch["parameters"].as_array().unwrap();
    let mut names: Vec<_> = parameters
        .iter()
        .map(|one| json!([one["name"], one["in"], one["schema"]["type"]]))
        .collect();
    names.sort_by_key(Value::to_string);
    session.note("parameters", &names.into());
    session.note("kind", &patch["x-kubernetes-group-version-kind"]);
    session.note(
        "takes",
        &patch["requestBody"]["content"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect(),
    );
    let mut found = Vec::new();
    references(&answer.body, &mut found);
    for reference in found {
        assert!(
            answer.body.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
    let reversed: Vec<_> = session.group.rsplit('.').collect();
    let own = &answer.body["components"]["schemas"][format!("{}.v1.Gadget", reversed.join("."))];
    session.note("spec", &own["properties"]["spec"]);
    session.note("selectable", &own["x-kubernetes-selectable-fields"]);
}

// Behaviour 9.
async fn openapi_3_documents_are_addressed_by_hash(session: &Session) {
    let path = format!("/openapi/v3/apis/{}/v1", session.group);
    session
        .until("our document", &path, |answer| answer.code == 200)
        .await;
    let wrong = session
        .quietly(Ask::new("GET", &format!("{path}?hash=ABC")))
        .await
        .is(301);
    let place = wrong.header("location").to_owned();
    assert!(place.starts_with(&format!("{path}?hash=")), "{place}");
    let right = session.quietly(Ask::new("GET", &place)).await.is(200);
    form(session, "right", &right);
    session.note(
        "caching",
        &json!([
            right.header("cache-control"),
            right.header("vary"),
            right.headers.contains_key("expires")
        ]),
    );
    let known = Ask::new("GET", &place).header("if-none-match", right.header("etag"));
    session.quietly(known).await.is(304);
    let protobuf = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json;q=0.5";
    session
        .quietly(Ask::new("GET", &path).accept(protobuf))
        .await
        .is(200);
    form(
        session,
        "html",
        &session.quietly(Ask::new("GET", &path).accept("text/html")).await,
    );
    form(
        session,
        "nothing",
        &session
            .quietly(Ask::new("GET", &path.replace("/v1", "/v9")))
            .await,
    );
}

// Behaviour 10.
async fn the_version_can_be_compared(session: &Session) {
    let answer = session.quietly(Ask::new("GET", "/version")).await.is(200);
    session.note("version", &json!([answer.body["major"], answer.body["minor"]]));
    let git = answer.body["gitVersion"].as_str().unwrap();
    let numbers = git.strip_prefix('v').unwrap().split('+').next().unwrap();
    assert!(
        numbers.split('.').count() == 3 && numbers.split('.').all(|part| part.parse::<u32>().is_ok()),
        "{git}"
    );
}

// Behaviour 11.
async fn what_is_not_there_is_not_found(session: &Session) {
    for path in [
        "/apis/nothing.example.dev/v1/things".to_owned(),
        session.gadgets("").replace("gadgets", "things"),
        "/nothing".to_owned(),
    ] {
        let answer = session.get(&path).await.is(404);
        session.note("text", &String::from_utf8_lossy(&answer.raw).into());
    }
    session
        .get(&session.gadgets("/none"))
        .await
        .refuses(404, "NotFound");
    session
        .send_to_the_word(Ask::new("GET", &session.core("configmaps/none")))
        .await
        .refuses(404, "NotFound");
    session
        .delete(&session.core("secrets/none"))
        .await
        .refuses(404, "NotFound");
}

// Behaviours 12 and 13.
async fn what_a_client_cannot_read_is_not_acceptable(session: &Session) {
    session.given("a", json!({})).await;
    let path = session.gadgets("/a");
    // The refusal itself may come in protobuf.
    session
        .quietly(Ask::new("GET", &path).accept("application/vnd.kubernetes.protobuf"))
        .await
        .is(406);
    for accept in [
        "application/vnd.kubernetes.protobuf,application/json",
        "application/vnd.kubernetes.protobuf, */*",
    ] {
        session.send(Ask::new("GET", &path).accept(accept)).await.is(200);
    }
    session
        .send(Ask::new("GET", &path).accept("text/html"))
        .await
        .refuses(406, "NotAcceptable");
    session
        .send(Ask::new("GET", &session.core("configmaps")).accept("text/html"))
        .await
        .refuses(406, "NotAcceptable");
}
