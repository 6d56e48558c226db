//! Watches: what comes, in which order, how they begin and how they end (behaviours 90 to 100).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    cases,
    client::{Ask, SOON, Stream},
    session::{MERGE_PATCH, Session},
};

cases![
    a_watch_tells_every_later_change_once,
    a_watch_without_a_version_begins_with_what_is_there,
    a_watch_from_a_forgotten_version_ends_with_an_error,
    a_watch_ends_when_it_was_told_to,
    an_object_that_leaves_a_selection_is_deleted_from_it,
    bookmarks_carry_a_version_only,
    a_streamed_list_ends_with_a_bookmark,
    options_of_a_watch_are_checked,
    a_deletion_carries_the_last_state_and_its_own_version,
    a_watch_of_one_object_is_quiet_about_others,
];

async fn version(session: &Session) -> String {
    session
        .quietly(Ask::new("GET", &session.gadgets("")))
        .await
        .version()
        .to_owned()
}

fn number(event: &Value) -> u64 {
    event["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

async fn change(session: &Session, name: &str, patch: Value) {
    let ask = Ask::new("PATCH", &session.gadgets(&format!("/{name}"))).body(MERGE_PATCH, patch.to_string());
    session.quietly(ask).await.is(200);
}

// Behaviour 90.
async fn a_watch_tells_every_later_change_once(session: &Session) {
    session.given("before", json!({})).await;
    let from = version(session).await;
    session.given("a", json!({ "count": 1 })).await;
    change(session, "a", json!({ "spec": { "count": 2 } })).await;
    let mut watch = session
        .watch(&session.gadgets(&format!("?watch=true&resourceVersion={from}")))
        .await;
    change(session, "a", json!({ "spec": { "count": 3 } })).await;
    session
        .quietly(Ask::new("DELETE", &session.gadgets("/a")))
        .await
        .is(200);
    session.given("b", json!({})).await;
    let mut last = from.parse().unwrap();
    for expected in ["ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED"] {
        let event = session.event(&mut watch).await;
        assert_eq!(event["type"], expected);
        assert!(number(&event) > last);
        last = number(&event);
    }
    assert!(watch.silent(Duration::from_millis(300)).await);
}

// Behaviour 91.
async fn a_watch_without_a_version_begins_with_what_is_there(session: &Session) {
    session.given("a", json!({})).await;
    session.given("b", json!({})).await;
    // A cache of a real server may be a moment behind for version 0.
    session
        .quietly(Ask::new("GET", &session.gadgets("")))
        .await
        .is(200);
    for query in ["?watch=true", "?watch=true&resourceVersion=0"] {
        let mut watch = session.watch(&session.gadgets(query)).await;
        let mut names = [session.event(&mut watch).await, session.event(&mut watch).await];
        names.iter().for_each(|event| assert_eq!(event["type"], "ADDED"));
        names.sort_by_key(|event| event["object"]["metadata"]["name"].to_string());
        assert_eq!(names[0]["object"]["metadata"]["name"], "a");
        change(
            session,
            "a",
            json!({ "metadata": { "annotations": { "q": query } } }),
        )
        .await;
        assert_eq!(session.event(&mut watch).await["type"], "MODIFIED");
    }
}

// Behaviour 92.
async fn a_watch_from_a_forgotten_version_ends_with_an_error(session: &Session) {
    let mut watch = session
        .watch(&session.gadgets("?watch=true&resourceVersion=1"))
        .await;
    let event = session.event(&mut watch).await;
    assert_eq!(event["type"], "ERROR");
    assert_eq!(
        (
            &event["object"]["code"],
            &event["object"]["reason"],
            &event["object"]["kind"]
        ),
        (&json!(410), &json!("Expired"), &json!("Status"))
    );
    assert_eq!(watch.next(SOON).await, None);
}

// Behaviour 93.
async fn a_watch_ends_when_it_was_told_to(session: &Session) {
    let from = version(session).await;
    let began = Instant::now();
    let mut watch = session
        .watch(&session.gadgets(&format!("?watch=true&resourceVersion={from}&timeoutSeconds=1")))
        .await;
    assert_eq!(watch.next(SOON).await, None);
    assert!(began.elapsed() >= Duration::from_millis(900));
}

// Behaviour 94.
async fn an_object_that_leaves_a_selection_is_deleted_from_it(session: &Session) {
    session.given("a", json!({ "size": "small" })).await;
    let from = version(session).await;
    let path = |selector: &str| session.gadgets(&format!("?watch=true&resourceVersion={from}&{selector}"));
    let mut labels = session.watch(&path("labelSelector=color%3Dred")).await;
    let mut fields = session.watch(&path("fieldSelector=spec.size%3Dbig")).await;
    change(
        session,
        "a",
        json!({ "metadata": { "labels": { "color": "red" } } }),
    )
    .await;
    change(session, "a", json!({ "spec": { "size": "big" } })).await;
    change(session, "a", json!({ "spec": { "count": 1 } })).await;
    change(
        session,
        "a",
        json!({ "metadata": { "labels": { "color": "blue" } } }),
    )
    .await;
    change(session, "a", json!({ "spec": { "size": "small" } })).await;
    change(
        session,
        "a",
        json!({ "metadata": { "labels": { "color": "red" } } }),
    )
    .await;
    for expected in ["ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED"] {
        assert_eq!(session.event(&mut labels).await["type"], expected);
    }
    for expected in ["ADDED", "MODIFIED", "MODIFIED", "DELETED"] {
        assert_eq!(session.event(&mut fields).await["type"], expected);
    }
}

// Behaviour 95: one comes before the end, too.
async fn bookmarks_carry_a_version_only(session: &Session) {
    session.given("a", json!({})).await;
    let from = version(session).await;
    let query = format!("?watch=true&resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=4");
    let mut watch = session.watch(&session.gadgets(&query)).await;
    session.given("b", json!({})).await;
    let mut bookmark = None;
    while let Some(event) = watch.next(SOON).await {
        if event["type"] == "BOOKMARK" {
            bookmark = Some(event);
        }
    }
    let bookmark = bookmark.expect("a bookmark before the end");
    let object = bookmark["object"].as_object().unwrap();
    assert_eq!(object.get("kind"), Some(&json!("Gadget")));
    assert!(number(&bookmark) >= from.parse().unwrap());
    assert_eq!(object.get("spec"), None);
    assert_eq!(object["metadata"].get("name"), None);
    assert_eq!(object["metadata"].get("annotations"), None);
}

async fn streamed(session: &Session, watch: &mut Stream, expected: &[&str]) -> u64 {
    let mut names = Vec::new();
    let mut last = 0;
    loop {
        let event = watch.next(SOON).await.expect("the watch goes on");
        if event["type"] == "BOOKMARK" {
            assert_eq!(
                event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
                "true"
            );
            assert!(number(&event) >= last);
            session.note("bookmark", &event);
            names.sort();
            assert_eq!(names, expected);
            return number(&event);
        }
        assert_eq!(event["type"], "ADDED");
        last = last.max(number(&event));
        names.push(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
    }
}

/// The next event that is none: they come when the server likes.
async fn after_bookmarks(watch: &mut Stream) -> Value {
    loop {
        let event = watch.next(SOON).await.expect("the watch goes on");
        if event["type"] != "BOOKMARK" {
            return event;
        }
    }
}

// Behaviour 96.
async fn a_streamed_list_ends_with_a_bookmark(session: &Session) {
    const QUERY: &str =
        "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut empty = session.watch(&session.gadgets(QUERY)).await;
    streamed(session, &mut empty, &[]).await;
    session.given("a", json!({})).await;
    session.given("b", json!({})).await;
    let added = after_bookmarks(&mut empty).await;
    assert_eq!(
        (&added["type"], &added["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("a"))
    );
    let from = version(session).await;
    for more in [
        "",
        "&resourceVersion=",
        "&resourceVersion=0",
        &format!("&resourceVersion={from}"),
    ] {
        let mut watch = session.watch(&session.gadgets(&format!("{QUERY}{more}"))).await;
        streamed(session, &mut watch, &["a", "b"]).await;
        change(
            session,
            "a",
            json!({ "metadata": { "annotations": { "q": more } } }),
        )
        .await;
        let event = after_bookmarks(&mut watch).await;
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["name"]),
            (&json!("MODIFIED"), &json!("a"))
        );
    }
    let maps = session.core(&format!("configmaps{QUERY}&labelSelector=none"));
    let mut watch = session.watch(&maps).await;
    streamed(session, &mut watch, &[]).await;
}

// Behaviour 97.
async fn options_of_a_watch_are_checked(session: &Session) {
    for query in [
        "watch=true&sendInitialEvents=true",
        "watch=true&resourceVersionMatch=NotOlderThan",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
        "watch=true&sendInitialEvents=false&resourceVersionMatch=Exact",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    ] {
        session
            .get(&session.gadgets(&format!("?{query}")))
            .await
            .refuses(422, "Invalid");
    }
    // kube-apiserver says 500, which is its own mistake.
    assert!(
        session
            .quietly(Ask::new(
                "GET",
                &session.gadgets("?watch=true&resourceVersion=abc")
            ))
            .await
            .code
            >= 400
    );
    session
        .get(&session.gadgets("?watch=true&labelSelector=a+in+b"))
        .await
        .is(400);
    session
        .get(&session.gadgets("?watch=true&fieldSelector=no.field%3Da"))
        .await
        .is(400);
}

// Behaviour 98.
async fn a_deletion_carries_the_last_state_and_its_own_version(session: &Session) {
    let made = session.given("a", json!({ "count": 7 })).await;
    let before: u64 = made["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let mut watch = session
        .watch(&session.gadgets(&format!("?watch=true&resourceVersion={before}")))
        .await;
    session
        .quietly(Ask::new("DELETE", &session.gadgets("/a")))
        .await
        .is(200);
    let event = session.event(&mut watch).await;
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["spec"]["count"], 7);
    assert!(number(&event) > before);
}

// Behaviour 88, for a watch.
async fn a_watch_of_one_object_is_quiet_about_others(session: &Session) {
    session.given("a", json!({})).await;
    session.given("b", json!({})).await;
    let query = format!(
        "?watch=true&resourceVersion={}&fieldSelector=metadata.name%3Db",
        version(session).await
    );
    let mut watch = session.watch(&session.gadgets(&query)).await;
    change(session, "a", json!({ "spec": { "count": 1 } })).await;
    change(session, "b", json!({ "spec": { "count": 2 } })).await;
    assert_eq!(session.event(&mut watch).await["object"]["metadata"]["name"], "b");
}
