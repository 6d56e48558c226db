//! Lists: pages, versions and selectors (behaviours 83 to 89), and how they are asked for wrongly.

use serde_json::json;

use crate::{
    cases,
    client::Ask,
    session::{MERGE_PATCH, Session},
};

cases![
    a_list_has_its_items_and_a_version,
    pages_show_everything_once_as_it_was,
    a_bad_page_token_is_refused,
    bad_options_of_a_list_are_refused,
    a_version_of_the_future_is_waited_for_and_refused,
    labels_and_fields_select,
    events_secrets_and_namespaces_are_selected_by_their_fields,
    an_event_is_the_same_in_both_groups,
];

async fn colored(session: &Session) {
    for (name, color, size) in [
        ("a", "red", "small"),
        ("b", "blue", "big"),
        ("c", "red", "big"),
        ("d", "", "small"),
    ] {
        let mut gadget = session.gadget(name, json!({ "size": size }));
        if !color.is_empty() {
            gadget["metadata"]["labels"] = json!({ "color": color });
        }
        session
            .quietly(Ask::new("POST", &session.gadgets("")).json(&gadget))
            .await
            .is(201);
    }
}

// Behaviour 83.
async fn a_list_has_its_items_and_a_version(session: &Session) {
    let empty = session.get(&session.gadgets("")).await.is(200);
    assert_eq!(empty.body["items"], json!([]));
    colored(session).await;
    let list = session.get(&session.gadgets("")).await.is(200);
    assert!(list.version().parse::<u64>().unwrap() > 1);
    let items = list.body["items"].as_array().unwrap();
    assert!(
        items
            .iter()
            .all(|item| item["kind"] == "Gadget" && item["apiVersion"] == list.body["apiVersion"])
    );
    let all = session
        .quietly(Ask::new("GET", &format!("/apis/{}/v1/gadgets", session.group)))
        .await
        .is(200);
    assert!(all.body["items"].as_array().unwrap().len() >= 4);
    session
        .get(&session.core("configmaps?fieldSelector=metadata.name%3Dnone"))
        .await
        .is(200);
    session.get(&session.gadgets("?resourceVersion=0")).await.is(200);
    let exact = format!("?resourceVersion={}&resourceVersionMatch=Exact", list.version());
    session
        .quietly(Ask::new("DELETE", &session.gadgets("/a")))
        .await
        .is(200);
    let then = session.get(&session.gadgets(&exact)).await.is(200);
    assert_eq!(then.body["items"].as_array().unwrap().len(), 4);
}

// Behaviour 84.
async fn pages_show_everything_once_as_it_was(session: &Session) {
    colored(session).await;
    let first = session.get(&session.gadgets("?limit=2")).await.is(200);
    assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 2);
    session
        .quietly(Ask::new("DELETE", &session.gadgets("/d")))
        .await
        .is(200);
    session.given("e", json!({})).await;
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let second = session
        .get(&session.gadgets(&format!("?limit=2&continue={token}")))
        .await
        .is(200);
    let names: Vec<_> = second.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["c", "d"]);
    assert_eq!(second.version(), first.version());
    assert_eq!(
        second.body["metadata"]["continue"].as_str().unwrap_or_default(),
        ""
    );
    session
        .get(&session.gadgets("?limit=1&labelSelector=color%3Dred"))
        .await
        .is(200);
    session.get(&session.gadgets("?limit=100")).await.is(200);
}

// Behaviour 85.
async fn a_bad_page_token_is_refused(session: &Session) {
    colored(session).await;
    session
        .get(&session.gadgets("?limit=1&continue=garbage"))
        .await
        .refuses(400, "BadRequest");
    session
        .get(&session.gadgets("?limit=1&continue=%C3%A4"))
        .await
        .refuses(400, "BadRequest");
    let first = session
        .quietly(Ask::new("GET", &session.gadgets("?limit=1")))
        .await;
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let both = format!("?limit=1&continue={token}&resourceVersion={}", first.version());
    session.get(&session.gadgets(&both)).await.is(400);
}

// Behaviour 86.
async fn bad_options_of_a_list_are_refused(session: &Session) {
    session
        .get(&session.gadgets("?resourceVersion=abc"))
        .await
        .is(400);
    session
        .get(&session.gadgets("?resourceVersionMatch=Exact"))
        .await
        .refuses(422, "Invalid")
        .because("FieldValueForbidden", "resourceVersionMatch");
    session
        .get(&session.gadgets("?sendInitialEvents=true"))
        .await
        .refuses(422, "Invalid");
    session
        .get(&session.gadgets("?resourceVersion=0&resourceVersionMatch=Exact"))
        .await
        .refuses(422, "Invalid");
    session
        .get(&session.gadgets("?resourceVersion=1&resourceVersionMatch=Bogus"))
        .await
        .refuses(422, "Invalid");
    session.get(&session.gadgets("?limit=abc")).await.is(400);
    session.get(&session.gadgets("?limit=-1")).await;
}

// Behaviour 87.
async fn a_version_of_the_future_is_waited_for_and_refused(session: &Session) {
    session.given("a", json!({})).await;
    let path = session.gadgets("?resourceVersion=999999999999");
    let answer = session
        .get(&path)
        .await
        .refuses(504, "Timeout")
        .because("ResourceVersionTooLarge", "");
    assert_eq!(answer.body["details"]["retryAfterSeconds"], 1);
    session
        .get(&session.gadgets("/a?resourceVersion=999999999999"))
        .await
        .refuses(504, "Timeout");
}

// Behaviour 88.
async fn labels_and_fields_select(session: &Session) {
    colored(session).await;
    for (query, expected) in [
        ("labelSelector=color%3Dred", "ac"),
        ("labelSelector=color%3D%3Dred", "ac"),
        ("labelSelector=color%21%3Dred", "bd"),
        ("labelSelector=color+in+%28red%2Cblue%29", "abc"),
        ("labelSelector=color+notin+%28red%29", "bd"),
        ("labelSelector=color", "abc"),
        ("labelSelector=%21color", "d"),
        ("labelSelector=color%3Dred%2Ccolor%3Dblue", ""),
        ("fieldSelector=metadata.name%3Da", "a"),
        ("fieldSelector=metadata.name%21%3Da", "bcd"),
        ("fieldSelector=spec.size%3Dbig", "bc"),
        ("fieldSelector=spec.size%3Dbig&labelSelector=color%3Dred", "c"),
        ("fieldSelector=", "abcd"),
    ] {
        let answer = session.get(&session.gadgets(&format!("?{query}"))).await.is(200);
        let names: String = answer.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str())
            .collect();
        assert_eq!(names, expected, "{query}");
    }
    let namespace = format!("?fieldSelector=metadata.namespace%3D{}", session.namespace);
    assert_eq!(
        session.get(&session.gadgets(&namespace)).await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    session
        .get(&session.gadgets("?fieldSelector=spec.count%3D1"))
        .await
        .refuses(400, "BadRequest");
    session
        .get(&session.gadgets("?fieldSelector=nonsense"))
        .await
        .is(400);
    session
        .get(&session.gadgets("?labelSelector=%3D%3D%3D"))
        .await
        .is(400);
    session
        .get(&session.gadgets("?labelSelector=a+in+b"))
        .await
        .is(400);
}

fn event(session: &Session, name: &str, of: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": name },
        "involvedObject": { "kind": "Gadget", "namespace": session.namespace, "name": of, "uid": "u-1", "apiVersion": "example.dev/v1" },
        "reason": "Because", "message": "text", "type": "Warning", "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "source": { "component": "tester" },
    })
}

// Behaviour 89.
async fn events_secrets_and_namespaces_are_selected_by_their_fields(session: &Session) {
    session
        .post(&session.core("events"), &event(session, "e1", "a"))
        .await
        .is(201);
    session
        .post(&session.core("events"), &event(session, "e2", "b"))
        .await
        .is(201);
    for (selector, count) in [
        ("involvedObject.name%3Da", 1),
        ("involvedObject.kind%3DGadget", 2),
        ("involvedObject.uid%3Du-1", 2),
        ("involvedObject.apiVersion%3Dexample.dev%2Fv1", 2),
        ("reason%3DOther", 0),
        ("type%3DWarning%2CinvolvedObject.name%3Db", 1),
    ] {
        let answer = session
            .get(&session.core(&format!("events?fieldSelector={selector}")))
            .await
            .is(200);
        assert_eq!(
            answer.body["items"].as_array().unwrap().len(),
            count,
            "{selector}"
        );
    }
    session
        .get(&session.core("events?fieldSelector=count%3D1"))
        .await
        .is(400);
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "type": "example.dev/x" });
    session.post(&session.core("secrets"), &secret).await.is(201);
    assert_eq!(
        session
            .get(&session.core("secrets?fieldSelector=type%3Dexample.dev%2Fx"))
            .await
            .body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let active = format!(
        "/api/v1/namespaces?fieldSelector=status.phase%3DActive%2Cmetadata.name%3D{}",
        session.namespace
    );
    assert_eq!(
        session.get(&active).await.body["items"].as_array().unwrap().len(),
        1
    );
}

// Behaviours 117 and 118.
async fn an_event_is_the_same_in_both_groups(session: &Session) {
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", session.namespace);
    let new = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "n" },
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.dev/tester", "reportingInstance": "one",
        "action": "Doing", "reason": "Because", "type": "Normal", "note": "text",
        "regarding": { "kind": "Gadget", "namespace": session.namespace, "name": "a", "apiVersion": "example.dev/v1" },
    });
    session.post(&events, &new).await.is(201);
    let old = session.get(&session.core("events/n")).await.is(200);
    assert_eq!(
        (&old.body["message"], &old.body["involvedObject"]["name"]),
        (&json!("text"), &json!("a"))
    );
    let series = json!({ "series": { "count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z" } });
    session
        .patch(MERGE_PATCH, &format!("{events}/n"), &series)
        .await
        .is(200);
    assert_eq!(
        session.get(&session.core("events/n")).await.body["series"]["count"],
        2
    );
    session
        .post(&session.core("events"), &event(session, "o", "a"))
        .await
        .is(201);
    assert_eq!(
        session.get(&format!("{events}/o")).await.is(200).body["note"],
        "text"
    );
    for (field, value) in [
        ("eventTime", json!(null)),
        ("reportingController", json!("")),
        ("type", json!("Odd")),
        ("action", json!("")),
    ] {
        let mut bad = new.clone();
        bad["metadata"]["name"] = "bad".into();
        bad[field] = value;
        session.post(&events, &bad).await.is(422);
    }
}
