//! Volumes of files as the API server, the guard and the resolution see them: what cannot be is refused by both in the same
//! words, what is missing holds and is told by its place, and a secret of a volume is in use.

use serde_json::{Value, json};
use supercargo::api::{Policy, validate};

use super::bench::{Bench, SECRETS, container, web};

fn with(volumes: Value, more: Value) -> Value {
    let mut object = web(1);
    object["spec"]["template"]["spec"]["volumes"] = volumes;
    for (key, value) in more.as_object().unwrap() {
        container(&mut object)[key] = value.clone();
    }
    object
}

fn with_secret_files(more: Value) -> Value {
    let mut secret = json!({ "secretName": "db" });
    for (key, value) in more.as_object().unwrap() {
        secret[key] = value.clone();
    }
    with(json!([{ "name": "db", "secret": secret }]), json!({}))
}

fn unresolved(bench: &Bench) -> bool {
    bench
        .condition("web", "SecretsResolved")
        .is_some_and(|(status, reason, _)| status == "False" && reason == "SecretResolutionError")
}

/// Deployments that cannot be, and for each where and why.
fn refused() -> [(Value, &'static str); 8] {
    let db = json!([{ "name": "db", "secret": { "secretName": "db" } }]);
    let env = |variable: Value| json!({ "env": [variable] });
    let file = json!({ "volume": "db", "key": "k" });
    let volume = |volume: Value| with(json!([volume]), json!({}));
    [
        (
            volume(json!({ "name": "a", "secret": { "secretName": "a", "signal": "SIGHUP" } })),
            "secret.signal: ! is sent only with onChange Signal",
        ),
        (
            volume(
                json!({ "name": "a", "configMap": { "name": "a", "onChange": "Update", "signal": "SIGHUP" } }),
            ),
            "configMap.signal: ! is sent only with onChange Signal",
        ),
        (
            volume(json!({ "name": "a", "projected": { "onChange": "Restart", "signal": "SIGHUP" } })),
            "projected.signal: ! is sent only with onChange Signal",
        ),
        (
            volume(json!({ "name": "a", "projected": { "sources": [{}] } })),
            "projected.sources[0]: ! must have exactly one of secret and configMap",
        ),
        (
            volume(json!({ "name": "a", "projected": { "sources": [{ "downwardAPI": {} }] } })),
            "projected.sources[0].downwardAPI: ! downwardAPI is not supported",
        ),
        (
            volume(
                json!({ "name": "a", "secret": { "secretName": "a", "items": [{ "key": "a", "path": "a", "user": 5 }] } }),
            ),
            "secret.items[0].user: ! user is not supported",
        ),
        (
            with(
                db.clone(),
                env(json!({ "name": "F", "value": "x", "fileRef": file })),
            ),
            "env[0].fileRef: ! stands besides value or valueFrom",
        ),
        (
            with(
                db.clone(),
                json!({ "volumeMounts": [{ "name": "db", "mountPath": "/x", "subPath": "k" }] }),
            ),
            "volumeMounts[0].subPath: ! subPath is not supported: a single file would never change",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_api_server_and_the_guard_refuse_the_same_volumes_in_the_same_words() {
    let bench = Bench::still();
    for (object, words) in refused() {
        let (place, words) = words.split_once(" ! ").unwrap();
        let told = bench.cluster.refusal("dockerdeployments", &object);
        assert!(
            told.contains(place) && told.contains(words),
            "{place} {words}: {told}"
        );
        let told = validate(&object, &Policy::default()).unwrap_err();
        assert!(
            told.iter()
                .any(|v| format!("{}:", v.path).ends_with(place) && v.message.contains(words)),
            "{place} {words}: {told:#?}"
        );
    }
    // The API server cannot name the variable: it looks from the pod.
    let file = json!({ "volume": "nope", "key": "k" });
    let nowhere = with(json!([]), json!({ "env": [{ "name": "F", "fileRef": file }] }));
    let told = bench.cluster.refusal("dockerdeployments", &nowhere);
    assert!(
        told.contains("a fileRef names no secret, configMap or projected volume"),
        "{told}"
    );
    for wrong in [
        json!({ "defaultMode": 512 }),
        json!({ "onChange": "Signal", "signal": "SIGKILL" }),
        json!({ "onChange": "Never" }),
    ] {
        let object = with_secret_files(wrong);
        assert!(!bench.cluster.refusal("dockerdeployments", &object).is_empty());
        assert!(validate(&object, &Policy::default()).is_err(), "{object}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_of_a_volume_makes_nothing_and_is_told_by_its_place_until_it_appears() {
    let bench = Bench::running();
    bench.apply(with_secret_files(
        json!({ "items": [{ "key": "password", "path": "pw" }] }),
    ));
    bench.eventually("told", unresolved).await;
    let (_, _, message) = bench.condition("web", "SecretsResolved").unwrap();
    assert!(
        message.contains(
            "SecretNotFound: DockerSecret shop/db, referenced by spec.template.spec.volumes[0].secret;"
        ),
        "{message}"
    );
    bench.always(30, "nothing", |b| b.of("web").is_empty()).await;
    bench.seal("db", &[("other", b"x")]);
    bench
        .eventually("the key is told", |b| {
            let told = b.condition("web", "SecretsResolved");
            told.is_some_and(|(.., message)| {
                message.contains("KeyNotFound") && message.contains("secret.items[0]")
            })
        })
        .await;
    bench.seal("db", &[("password", b"hunter2")]);
    bench
        .eventually("it resolves", |b| {
            b.status("web")["secrets"][0]["form"] == "File"
                && b.status("web")["secrets"][0]["key"] == "password"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_a_volume_is_in_use() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.apply(with_secret_files(json!({})));
    bench
        .eventually("a finalizer", |b| {
            !b.cluster.get(SECRETS, "shop", "db").unwrap()["metadata"]["finalizers"].is_null()
        })
        .await;
    bench.cluster.remove(SECRETS, "shop", "db");
    bench
        .always(30, "there", |b| b.cluster.get(SECRETS, "shop", "db").is_some())
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_path_of_a_file_is_in_the_environment() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"hunter2")]);
    let mut object = with_secret_files(json!({}));
    container(&mut object)["env"] =
        json!([{ "name": "PASSWORD_FILE", "fileRef": { "volume": "db", "key": "password" } }]);
    bench.apply(object);
    let path = supercargo::engine::fake::Fake::digest(b"/run/secrets/db/password");
    bench
        .eventually("the path", |b| b.env("web", "PASSWORD_FILE") == [path.clone()])
        .await;
    bench
        .eventually("the file to be counted as delivered", |b| {
            let delivered = "supercargo_secret_deliveries_total{form=\"file\",outcome=\"ok\"} 1";
            b.scrape().contains(delivered)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn files_that_are_mounted_without_read_only_are_no_reason_to_stop_the_old_instance_first() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"hunter2")]);
    let mut object = with_secret_files(json!({}));
    container(&mut object)["volumeMounts"] = json!([{ "name": "db", "mountPath": "/db", "readOnly": false }]);
    bench.settle(object).await;
    bench.edit("web", |o| {
        o["spec"]["minReadySeconds"] = json!(10);
        container(o)["args"] = json!(["new"]);
    });
    bench
        .within(10, "the next one beside it", |b| b.live("web") == 2)
        .await;
    bench.ready("web").await;
}
