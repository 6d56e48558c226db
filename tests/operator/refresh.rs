//! The annotation `supercargo.dev/reconcile-at`: what is taken for known is looked at again, and a value asks once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use supercargo::engine::Op;

use super::bench::{Bench, NS, SECRETS, container, web};

const ASK: &str = "supercargo.dev/reconcile-at";

fn with_files() -> Value {
    let mut object = web(1);
    object["spec"]["template"]["spec"]["volumes"] = json!([
        { "name": "db", "projected": { "sources": [{ "secret": { "name": "db" } }] } },
    ]);
    container(&mut object)["volumeMounts"] = json!([{ "name": "db", "mountPath": "/db" }]);
    object
}

/// The volume of its files.
fn volume(bench: &Bench) -> String {
    let label = bench.of("web")[0].label("supercargo.dev/files").to_owned();
    let mounts: BTreeMap<String, Value> = serde_json::from_str(&label).unwrap();
    mounts.into_keys().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn files_that_nobody_knows_to_be_gone_come_back_when_somebody_asks() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_files()).await;
    let volume = volume(&bench);
    assert!(bench.fake.delivered(&volume).is_some());
    bench.fake.empty_volume(&volume);
    bench.annotate("web", "example.com/other", "1");
    bench
        .always(20, "nobody looks", |b| b.fake.delivered(&volume).is_none())
        .await;
    bench.annotate("web", ASK, "1");
    bench
        .within(5, "they are back", |b| b.fake.delivered(&volume).is_some())
        .await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_value_asks_once_and_changes_nothing_where_all_is_well() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_files()).await;
    let before = bench.ids("web");
    let asked = |b: &Bench| b.fake.count(Op::Exec);
    bench.fake.forget_calls();
    bench.annotate("web", ASK, "1");
    bench.within(5, "the holder is asked", |b| asked(b) > 0).await;
    bench.always(10, "ready", |b| b.is_ready("web")).await;
    bench.fake.forget_calls();
    bench.annotate("web", "example.com/other", "1");
    bench.always(10, "not again", |b| asked(b) == 0).await;
    bench.annotate("web", ASK, "2");
    bench.within(5, "again", |b| asked(b) > 0).await;
    bench.always(10, "ready", |b| b.is_ready("web")).await;
    for op in [Op::CreateContainer, Op::StartContainer, Op::StopContainer] {
        assert_eq!(bench.fake.count(op), 0, "{op:?}");
    }
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_secret_in_its_files_is_told_as_its_user_and_goes_with_the_reference() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_files()).await;
    let users = |b: &Bench| b.cluster.get(SECRETS, NS, "db").unwrap()["status"]["usedBy"].clone();
    let web = json!([{ "kind": "DockerDeployment", "namespace": "shop", "name": "web" }]);
    bench.eventually("a user", |b| users(b) == web).await;
    bench.edit("web", |o| {
        o["spec"]["template"]["spec"]["volumes"] = json!([]);
        container(o)["volumeMounts"] = json!([]);
    });
    bench.eventually("nobody", |b| users(b).is_null()).await;
}
