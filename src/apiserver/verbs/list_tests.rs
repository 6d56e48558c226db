//! Tests of lists through `respond`: pages, revisions, selectors, shapes and languages.

use serde_json::{Value, json};

use super::{
    fixture::{CONFIG_MAPS, METADATA, NAMESPACES, Server, TABLE, WIDGETS, config_map, widget},
    token::Token,
};

async fn with_widgets(count: usize) -> Server {
    let server = Server::new().await;
    for n in 0..count {
        let mut body = widget(&format!("w{n}"), &json!({"host": format!("h{}", n % 2)}));
        body["metadata"]["labels"] = json!({"n": n.to_string()});
        server.post(WIDGETS, &body).await.is(201);
    }
    server
}

#[tokio::test]
async fn a_list_says_what_it_is_and_of_when() {
    let server = with_widgets(2).await;
    let list = server.get(WIDGETS).await.is(200);
    assert_eq!(
        (&list.body["kind"], &list.body["apiVersion"]),
        (&json!("WidgetList"), &json!("example.com/v1"))
    );
    assert_eq!(list.names(), ["w0", "w1"]);
    assert_eq!(list.version(), server.api.store.revision());
    assert_eq!(list.body["items"][0]["kind"], "Widget");
    let empty = server
        .get("/apis/example.com/v1/namespaces/nope/widgets")
        .await
        .is(200);
    assert_eq!(empty.body["items"], json!([]));
    assert_eq!(
        server.get("/apis/example.com/v1/widgets").await.names(),
        ["w0", "w1"]
    );
}

#[tokio::test]
async fn pages_are_of_one_moment_whatever_is_written_meanwhile() {
    let server = with_widgets(5).await;
    let first = server.get(&format!("{WIDGETS}?limit=2")).await.is(200);
    assert_eq!(first.names(), ["w0", "w1"]);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 3);
    server.post(WIDGETS, &widget("w2a", &json!({}))).await.is(201);
    server
        .delete(&format!("{WIDGETS}/w3"), &Value::Null)
        .await
        .is(200);
    let mut seen = Vec::new();
    let mut token = first.meta("continue").to_owned();
    while !token.is_empty() {
        let page = server
            .get(&format!("{WIDGETS}?limit=2&continue={token}"))
            .await
            .is(200);
        assert_eq!(page.version(), first.version());
        seen.extend(page.names().into_iter().map(str::to_owned));
        token = page.meta("continue").to_owned();
    }
    assert_eq!(seen, ["w2", "w3", "w4"]);
}

#[tokio::test]
async fn what_remains_is_not_counted_with_a_selector() {
    let server = with_widgets(5).await;
    let page = server
        .get(&format!("{WIDGETS}?limit=2&labelSelector=n!%3D0"))
        .await
        .is(200);
    assert_eq!(page.names(), ["w1", "w2"]);
    assert!(page.body["metadata"].get("remainingItemCount").is_none());
    let token = page.meta("continue");
    let rest = server
        .get(&format!("{WIDGETS}?labelSelector=n!%3D0&continue={token}"))
        .await
        .is(200);
    assert_eq!(rest.names(), ["w3", "w4"]);
    assert_eq!(rest.meta("continue"), "");
}

#[tokio::test]
async fn a_token_that_is_none_is_400_and_goes_with_no_version() {
    let server = with_widgets(3).await;
    server.get(&format!("{WIDGETS}?continue=garbage")).await.is(400);
    let foreign = Token {
        revision: Some(u64::from(u32::MAX)),
        after: ("default".into(), "a".into()),
    };
    let path = format!("{WIDGETS}?continue={}", foreign.encode());
    let gone = server.get(&path).await.is(410);
    assert_ne!(
        gone.meta("continue"),
        "",
        "from a store that is gone: the list can go on without it"
    );
    let page = server.get(&format!("{WIDGETS}?limit=1")).await.is(200);
    let token = page.meta("continue");
    let refused = server
        .get(&format!("{WIDGETS}?continue={token}&resourceVersion=5"))
        .await
        .is(400);
    assert_eq!(
        refused.message(),
        "specifying resource version is not allowed when using continue"
    );
}

#[tokio::test]
async fn versions_are_read_as_the_options_say() {
    let server = with_widgets(3).await;
    let now = server.api.store.revision();
    for (query, code) in [
        ("resourceVersion=abc".to_owned(), 400),
        ("resourceVersion=-1".to_owned(), 400),
        ("resourceVersion=0".to_owned(), 200),
        (format!("resourceVersion={}", now - 1), 200),
        (format!("resourceVersion={}", now + 1000), 504),
        (
            format!("resourceVersion={}&resourceVersionMatch=Exact", now + 1000),
            504,
        ),
        ("resourceVersionMatch=Exact".to_owned(), 422),
        ("resourceVersion=0&resourceVersionMatch=Exact".to_owned(), 422),
        ("sendInitialEvents=true".to_owned(), 422),
        ("limit=foo".to_owned(), 400),
    ] {
        server.get(&format!("{WIDGETS}?{query}")).await.is(code);
    }
    let exact = format!("{WIDGETS}?resourceVersion={}&resourceVersionMatch=Exact", now - 1);
    assert_eq!(server.get(&exact).await.is(200).names(), ["w0", "w1"]);
    let newer = format!(
        "{WIDGETS}?resourceVersion={}&resourceVersionMatch=NotOlderThan&limit=1",
        now - 1
    );
    assert_eq!(server.get(&newer).await.is(200).version(), now);
    let future = server
        .get(&format!("{WIDGETS}/w0?resourceVersion={}", now + 1000))
        .await
        .is(504);
    assert_eq!(future.causes(), [("ResourceVersionTooLarge", "")]);
    assert_eq!(future.body["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let server = with_widgets(4).await;
    for (query, names) in [
        ("labelSelector=n%3D1", vec!["w1"]),
        ("labelSelector=n+in+(1,2)", vec!["w1", "w2"]),
        ("labelSelector=!n", vec![]),
        ("fieldSelector=metadata.name%3Dw3", vec!["w3"]),
        ("fieldSelector=metadata.namespace%3Db", vec![]),
        ("fieldSelector=spec.host%3Dh1", vec!["w1", "w3"]),
        ("fieldSelector=spec.host!%3Dh1,metadata.name!%3Dw0", vec!["w2"]),
    ] {
        assert_eq!(
            server.get(&format!("{WIDGETS}?{query}")).await.is(200).names(),
            names,
            "{query}"
        );
    }
    let refused = server
        .get(&format!("{WIDGETS}?fieldSelector=foo%3Dbar"))
        .await
        .is(400);
    assert_eq!(refused.message(), "field label not supported: foo");
    let refused = server
        .get(&format!("{CONFIG_MAPS}?fieldSelector=data.a%3Db"))
        .await
        .is(400);
    assert_eq!(
        refused.message(),
        "\"data.a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    server
        .get(&format!("{WIDGETS}?labelSelector=a%3D%3D%3Db"))
        .await
        .is(400);
}

#[tokio::test]
async fn a_list_and_an_object_can_be_a_table_or_metadata() {
    let server = with_widgets(2).await;
    let table = server.get_as(WIDGETS, TABLE).await.is(200);
    assert_eq!(
        (&table.body["kind"], &table.body["rows"][1]["cells"][0]),
        (&json!("Table"), &json!("w1"))
    );
    assert_eq!(table.body["columnDefinitions"][1]["name"], "Host");
    assert_eq!(table.body["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let bare = server
        .get_as(&format!("{WIDGETS}?includeObject=None"), TABLE)
        .await
        .is(200);
    assert!(bare.body["rows"][0]["object"].is_null());
    server
        .get_as(&format!("{WIDGETS}?includeObject=foo"), TABLE)
        .await
        .is(400);
    let one = server.get_as(&format!("{WIDGETS}/w0"), TABLE).await.is(200);
    assert_eq!(one.body["rows"].as_array().unwrap().len(), 1);
    let meta = server.get_as(&format!("{WIDGETS}/w0"), METADATA).await.is(200);
    assert_eq!(meta.body["apiVersion"], "meta.k8s.io/v1");
    assert!(meta.body.get("spec").is_none());
    let list = METADATA.replace("Metadata;", "MetadataList;");
    let list = server.get_as(WIDGETS, &list).await.is(200);
    assert_eq!(list.body["kind"], "PartialObjectMetadataList");
    assert_eq!(list.body["items"][0]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn answers_can_be_yaml_or_indented() {
    let server = with_widgets(1).await;
    let yaml = server
        .get_as(&format!("{WIDGETS}/w0"), "application/yaml")
        .await
        .is(200);
    assert!(yaml.text.contains("kind: Widget"), "{}", yaml.text);
    let list = server.get_as(WIDGETS, "application/yaml").await.is(200);
    assert!(list.text.contains("kind: WidgetList"), "{}", list.text);
    let missing = server
        .get_as(&format!("{WIDGETS}/nope"), "application/yaml")
        .await
        .is(404);
    assert!(missing.text.contains("reason: NotFound"), "{}", missing.text);
    let pretty = server.get(&format!("{WIDGETS}?pretty=true")).await.is(200);
    assert!(pretty.text.contains("\n  \"items\": ["), "{}", pretty.text);
    server.get_as(WIDGETS, "text/html").await.is(406);
}

#[tokio::test]
async fn a_large_list_is_whole_although_it_goes_in_chunks() {
    let server = Server::new().await;
    for n in 0..60 {
        let mut body = config_map(&format!("c{n:02}"));
        body["data"]["a"] = "x".repeat(4000).into();
        server.post(CONFIG_MAPS, &body).await.is(201);
    }
    let response = server.call("GET", CONFIG_MAPS, &[], "").await;
    let mut body = response.into_body();
    let mut chunks = 0;
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        assert!(frame.unwrap().data_ref().unwrap().len() < 200_000);
        chunks += 1;
    }
    assert!(chunks > 2, "{chunks}");
    let list = server.get(CONFIG_MAPS).await.is(200);
    assert_eq!(list.names().len(), 60);
    assert_eq!(server.get(NAMESPACES).await.names(), ["a"]);
}

/// Remembers as little as it can.
fn forgetful() -> crate::apiserver::store::Options {
    crate::apiserver::store::Options {
        window: crate::apiserver::store::Window {
            events: 1,
            age: std::time::Duration::ZERO,
            bytes: 1,
        },
        ..Default::default()
    }
}

#[tokio::test]
async fn an_expired_token_comes_back_with_one_that_goes_on() {
    let server = Server::with(forgetful()).await;
    for n in 0..4 {
        server
            .post(CONFIG_MAPS, &config_map(&format!("c{n}")))
            .await
            .is(201);
    }
    let page = server.get(&format!("{CONFIG_MAPS}?limit=2")).await.is(200);
    for n in 0..50 {
        let body = json!({"metadata": {"name": "c3"}, "data": {"n": n.to_string()}});
        server.put(&format!("{CONFIG_MAPS}/c3"), &body).await.is(200);
    }
    let path = format!("{CONFIG_MAPS}?limit=1&continue={}", page.meta("continue"));
    let gone = server.get(&path).await.is(410);
    assert_eq!(gone.body["reason"], "Expired");
    let path = format!("{CONFIG_MAPS}?limit=1&continue={}", gone.meta("continue"));
    let rest = server.get(&path).await.is(200);
    assert_eq!(rest.names(), ["c2"]);
    assert_eq!(rest.version(), server.api.store.revision());
    let old = format!(
        "{CONFIG_MAPS}?resourceVersion={}&resourceVersionMatch=Exact",
        page.version()
    );
    let gone = server.get(&old).await.is(410);
    assert_eq!(
        gone.message(),
        "The resourceVersion for the provided list is too old."
    );
    let watch = format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", page.version());
    let error = server.get(&watch).await.is(200);
    assert_eq!(
        (&error.body["type"], &error.body["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(error.body["object"]["reason"], "Expired");
}
