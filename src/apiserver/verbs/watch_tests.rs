//! Tests of watches through `respond`: what is sent first, what follows, and how a watch ends.

use std::{collections::BTreeMap, time::Duration};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fixture::{CONFIG_MAPS, MERGE, METADATA, Server, TABLE, WIDGETS, config_map, widget};
use crate::apiserver::{object, response::Body};

/// A watch as a client has it.
struct Client {
    body: Body,
}

impl Client {
    async fn open(server: &Server, query: &str) -> Self {
        Self::shaped(server, query, "application/json").await
    }

    async fn shaped(server: &Server, query: &str, accept: &str) -> Self {
        let path = format!("{WIDGETS}?watch=true{query}");
        let response = server.call("GET", &path, &[("accept", accept)], "").await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
        }
    }

    async fn next(&mut self) -> Option<Value> {
        let frame = self.body.frame().await?.unwrap().into_data().unwrap();
        assert!(frame.ends_with(b"\n"), "a frame is a line");
        Some(serde_json::from_slice(&frame).unwrap())
    }

    /// Type, name and version of the next event.
    async fn event(&mut self) -> (String, String, String) {
        let event = timeout(Duration::from_secs(20), self.next())
            .await
            .unwrap()
            .unwrap();
        (
            event["type"].as_str().unwrap().to_owned(),
            object::name(&event["object"]).to_owned(),
            object::resource_version(&event["object"]).to_owned(),
        )
    }

    async fn what(&mut self) -> (String, String) {
        let (what, name, _) = self.event().await;
        (what, name)
    }
}

fn said(what: &str, name: &str) -> (String, String) {
    (what.to_owned(), name.to_owned())
}

async fn labelled(server: &Server, name: &str, label: &str) {
    let mut body = widget(name, &json!({}));
    body["metadata"]["labels"] = json!({"l": label});
    server.post(WIDGETS, &body).await.is(201);
}

#[tokio::test]
async fn without_a_version_what_is_there_comes_first() {
    let server = Server::new().await;
    labelled(&server, "w", "1").await;
    for query in ["", "&resourceVersion=0"] {
        let mut client = Client::open(&server, query).await;
        assert_eq!(client.what().await, said("ADDED", "w"));
    }
    let mut client = Client::open(&server, "").await;
    client.next().await;
    labelled(&server, "v", "1").await;
    assert_eq!(client.what().await, said("ADDED", "v"));
}

#[tokio::test]
async fn from_a_version_on_every_change_comes_once_and_in_order() {
    let server = Server::new().await;
    let start = server.get(WIDGETS).await.version();
    labelled(&server, "w", "1").await;
    let changed = server
        .patch(&format!("{WIDGETS}/w"), MERGE, &json!({"spec": {"host": "x"}}))
        .await
        .version();
    let mut client = Client::open(&server, &format!("&resourceVersion={start}")).await;
    assert_eq!(client.what().await, said("ADDED", "w"));
    assert_eq!(
        client.event().await,
        ("MODIFIED".into(), "w".into(), changed.to_string())
    );
    server.delete(&format!("{WIDGETS}/w"), &Value::Null).await.is(200);
    let now = server.api.store.revision();
    let event = client.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(object::resource_version(&event["object"]), now.to_string());
    assert_eq!(event["object"]["spec"]["host"], "x", "the last state");
}

#[tokio::test]
async fn entering_and_leaving_a_selection_is_coming_and_going() {
    let server = Server::new().await;
    labelled(&server, "w", "1").await;
    let start = server.get(WIDGETS).await.version();
    let mut client = Client::open(&server, &format!("&labelSelector=l%3D2&resourceVersion={start}")).await;
    let path = format!("{WIDGETS}/w");
    server
        .patch(&path, MERGE, &json!({"metadata": {"labels": {"l": "2"}}}))
        .await
        .is(200);
    assert_eq!(client.what().await, said("ADDED", "w"));
    server
        .patch(&path, MERGE, &json!({"spec": {"host": "x"}}))
        .await
        .is(200);
    assert_eq!(client.what().await, said("MODIFIED", "w"));
    let left = server
        .patch(&path, MERGE, &json!({"metadata": {"labels": {"l": "1"}}}))
        .await
        .version();
    let event = client.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["labels"]["l"]),
        (&json!("DELETED"), &json!("2"))
    );
    assert_eq!(object::resource_version(&event["object"]), left.to_string());
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark_that_says_so() {
    let server = Server::new().await;
    let streaming = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut empty = Client::open(&server, streaming).await;
    let mark = empty.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(
        mark["object"],
        json!({
            "kind": "Widget", "apiVersion": "example.com/v1",
            "metadata": {
                "resourceVersion": server.api.store.revision().to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        })
    );
    labelled(&server, "w", "1").await;
    assert_eq!(empty.what().await, said("ADDED", "w"));
    for version in ["", "&resourceVersion=0", "&resourceVersion=2"] {
        let mut client = Client::open(&server, &format!("{streaming}{version}")).await;
        assert_eq!(client.what().await, said("ADDED", "w"));
        assert_eq!(client.what().await, said("BOOKMARK", ""));
    }
    let mut none = Client::open(
        &server,
        "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
    )
    .await;
    labelled(&server, "v", "1").await;
    assert_eq!(none.what().await, said("ADDED", "v"));
}

#[tokio::test]
async fn options_of_a_watch_are_judged() {
    let server = Server::new().await;
    for (query, code) in [
        ("sendInitialEvents=true", 422),
        ("resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersion=abc", 400),
        ("fieldSelector=foo%3Dbar", 400),
    ] {
        server
            .get(&format!("{WIDGETS}?watch=true&{query}"))
            .await
            .is(code);
    }
    server
        .get_as(&format!("{WIDGETS}?watch=true"), "application/yaml")
        .await
        .is(406);
}

#[tokio::test]
async fn a_version_that_is_not_there_is_an_error_event_and_the_end() {
    let server = Server::new().await;
    let mut client = Client::open(&server, "&resourceVersion=99999999").await;
    let event = client.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(event["object"]["kind"], "Status");
    assert!(client.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_its_time_is_over_and_marks_that_before() {
    let server = Server::new().await;
    let mut client = Client::open(&server, "&timeoutSeconds=2&resourceVersion=2").await;
    assert!(client.next().await.is_none());
    let mut client = Client::open(
        &server,
        "&timeoutSeconds=200&allowWatchBookmarks=true&resourceVersion=3",
    )
    .await;
    let mut marks = 0;
    while let Some(event) = client.next().await {
        assert_eq!(event["type"], "BOOKMARK");
        let fields: Vec<&String> = event["object"]["metadata"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["resourceVersion"]);
        marks += 1;
    }
    assert!((4..=5).contains(&marks), "{marks}");
}

#[tokio::test]
async fn a_table_is_watched_with_its_columns_in_the_first_event_only() {
    let server = Server::new().await;
    labelled(&server, "w", "1").await;
    labelled(&server, "v", "1").await;
    let mut client = Client::shaped(&server, "", TABLE).await;
    let (first, second) = (client.next().await.unwrap(), client.next().await.unwrap());
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert!(second["object"]["columnDefinitions"].is_null());
    assert_eq!(second["object"]["rows"][0]["cells"][0], "w");
    let mut client = Client::shaped(&server, "", METADATA).await;
    assert_eq!(
        client.next().await.unwrap()["object"]["kind"],
        "PartialObjectMetadata"
    );
}

#[tokio::test]
async fn a_watch_ends_with_its_kind() {
    let server = Server::new().await;
    let mut client = Client::open(&server, "").await;
    server
        .api
        .kinds
        .store(std::sync::Arc::new(crate::apiserver::kinds::Kinds::new([], 2)));
    let key = crate::apiserver::names::Key::new(
        &crate::apiserver::names::GroupResource::new("example.com", "widgets"),
        "a",
        "w",
    );
    server
        .api
        .store
        .create(key, widget("w", &json!({})))
        .await
        .unwrap();
    assert!(client.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_and_a_watch_from_it_end_with_the_set_of_the_server() {
    let server = Server::new().await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let server = server.clone();
            tokio::spawn(async move {
                for n in 0..40 {
                    let name = format!("w{writer}-{}", n % 10);
                    let path = format!("{WIDGETS}/{name}");
                    match n % 4 {
                        3 => _ = server.delete(&path, &Value::Null).await,
                        _ if server.get(&path).await.code == 404 => {
                            server.post(WIDGETS, &widget(&name, &json!({}))).await.is(201);
                        }
                        _ => _ = server.patch(&path, MERGE, &json!({"spec": {"size": n}})).await,
                    }
                }
            })
        })
        .collect();
    let list = server.get(WIDGETS).await.is(200);
    let mut known: BTreeMap<String, String> = list.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                object::name(item).to_owned(),
                object::resource_version(item).to_owned(),
            )
        })
        .collect();
    let mut last = list.version();
    let mut client = Client::open(&server, &format!("&resourceVersion={last}")).await;
    for writer in writers {
        writer.await.unwrap();
    }
    server.post(WIDGETS, &widget("z-last", &json!({}))).await.is(201);
    loop {
        let (what, name, version) = client.event().await;
        assert!(version.parse::<u64>().unwrap() > last, "in order, each once");
        last = version.parse().unwrap();
        match &*what {
            "ADDED" => assert!(known.insert(name.clone(), version).is_none(), "{name} was there"),
            "MODIFIED" => assert!(
                known.insert(name.clone(), version).is_some(),
                "{name} was not there"
            ),
            _ => assert!(known.remove(&name).is_some(), "{name} was not there"),
        }
        if name == "z-last" {
            break;
        }
    }
    let end = server.get(WIDGETS).await;
    let expected: BTreeMap<String, String> = end.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                object::name(item).to_owned(),
                object::resource_version(item).to_owned(),
            )
        })
        .collect();
    assert_eq!(known, expected);
}

#[tokio::test]
async fn a_thousand_watchers_see_a_change_and_none_of_another_kind() {
    let server = Server::new().await;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(Client::open(&server, "&resourceVersion=3").await);
    }
    server.post(CONFIG_MAPS, &config_map("c")).await.is(201);
    labelled(&server, "w", "1").await;
    for client in &mut clients {
        assert_eq!(client.what().await, said("ADDED", "w"));
    }
}
