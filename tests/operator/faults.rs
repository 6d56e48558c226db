//! Engines and API servers that go away, pulls that fail, stops that take long.

use serde_json::json;

use super::bench::{Bench, SECRETS, container, named, web};

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_for_70_seconds_damages_no_status() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    let before = bench.status("web");
    bench.fake.disconnect();
    bench
        .always(25, "nothing is said", |b| b.status("web") == before)
        .await;
    bench
        .within(10, "told", |b| {
            b.condition("web", "HostReachable")
                .is_some_and(|c| c.0 == "False")
        })
        .await;
    bench
        .always(40, "counts stay", |b| {
            b.status("web")["readyReplicas"] == 2 && b.is_ready("web")
        })
        .await;
    assert_eq!(bench.told("HostUnreachable"), 1);
    bench.fake.reconnect();
    bench
        .within(5, "well again", |b| {
            b.is_ready("web") && b.condition("web", "HostReachable").is_none_or(|c| c.0 == "True")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_absent_at_the_start_is_waited_for() {
    let bench = Bench::running();
    bench.fake.disconnect();
    bench.apply(web(1));
    bench
        .eventually("acknowledged", |b| b.condition("web", "Reconciling").is_some())
        .await;
    bench.fake.reconnect();
    bench.within(5, "it runs", |b| b.live("web") == 1).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_goes_away_and_watches_that_expire_lose_nothing() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    bench.cluster.expire_watches();
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.ready("web").await;
    bench.cluster.go_away();
    bench.fake.kill(&bench.ids("web")[0]);
    bench
        .within(5, "restarted without it", |b| b.live("web") == 2)
        .await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(3));
    bench.always(60, "two", |b| b.live("web") == 2).await;
    bench.cluster.come_back();
    bench.ready("web").await;
    assert_eq!(bench.live("web"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_is_told_and_tried_again() {
    let bench = Bench::running();
    let mut object = web(1);
    container(&mut object)["image"] = json!("reg.test/app:1");
    bench.apply(object);
    bench.eventually("told", |b| b.told("ImagePullError") == 1).await;
    bench.fake.add_registry_image("reg.test/app:1", None);
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_corrected_pull_credential_is_tried_at_once() {
    let bench = Bench::running();
    bench
        .fake
        .add_registry_image("reg.test/app:1", Some(("me", b"pw")));
    let credential = |auth: &str| {
        let config = format!(r#"{{"auths":{{"reg.test":{{"auth":"{auth}"}}}}}}"#);
        let mut secret = bench.sealed("reg", &[(".dockerconfigjson", config.as_bytes())]);
        secret["spec"]["type"] = json!("kubernetes.io/dockerconfigjson");
        secret
    };
    bench.cluster.put(SECRETS, credential("bWU6d3Jvbmc="));
    let mut object = web(1);
    container(&mut object)["image"] = json!("reg.test/app:1");
    object["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{ "name": "reg" }]);
    bench.apply(object);
    bench.eventually("told", |b| b.told("ImagePullError") == 1).await;
    bench.cluster.put(SECRETS, credential("bWU6cHc="));
    bench
        .within(5, "long before the back-off of ten seconds", |b| {
            b.live("web") == 1
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_stop_delays_nobody_else() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    bench.fake.ignore_term(&bench.ids("web")[0]);
    bench.delete("web");
    bench.apply(named("api", 3));
    bench
        .within(5, "the other one runs", |b| b.live("api") == 3)
        .await;
    bench.eventually("gone", |b| b.deployment("web").is_null()).await;
}
