//! Secrets that are used in another namespace: with the consent of the secret, which can be given and taken back, and seen by
//! both sides. The secret is in `bank`, who uses it in `shop`.

use serde_json::{Value, json};
use supercargo::engine::fake::Fake;

use super::bench::{Bench, NS, SECRETS, container, with_secret};

fn across(replicas: u32) -> Value {
    let mut object = with_secret(replicas);
    container(&mut object)["env"][0]["valueFrom"]["secretKeyRef"]["namespace"] = json!("bank");
    object
}

fn seal(bench: &Bench, value: &[u8], namespaces: &[&str]) {
    let mut secret = bench.sealed_in("bank", "db", &[("password", value)]);
    if !namespaces.is_empty() {
        secret["spec"]["allowedConsumers"] = json!({ "namespaces": namespaces });
    }
    bench.cluster.put(SECRETS, secret);
}

fn consent(bench: &Bench, allowed: Value) {
    bench.cluster.edit(SECRETS, "bank", "db", |o| {
        o["spec"]["allowedConsumers"] = allowed;
    });
}

fn unresolved(bench: &Bench, words: &str) -> bool {
    bench
        .condition("web", "SecretsResolved")
        .is_some_and(|(status, _, message)| status == "False" && message.contains(words))
}

fn used_by(bench: &Bench) -> String {
    let secret = bench.cluster.get(SECRETS, "bank", "db").unwrap_or(Value::Null);
    let users = secret["status"]["usedBy"].as_array().cloned().unwrap_or_default();
    let text = |user: &Value, field: &str| user[field].as_str().unwrap_or_default().to_owned();
    let users = users
        .iter()
        .map(|u| format!("{}/{}", text(u, "namespace"), text(u, "name")));
    users.collect::<Vec<_>>().join(" ")
}

fn has_finalizer(bench: &Bench) -> bool {
    let secret = bench.cluster.get(SECRETS, "bank", "db").unwrap();
    secret["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
}

#[tokio::test(start_paused = true)]
async fn consent_lets_another_namespace_begin_at_once_and_a_rotation_rolls_it() {
    let bench = Bench::running();
    seal(&bench, b"one", &[]);
    bench.apply(across(2));
    bench
        .eventually("told", |b| unresolved(b, "ConsentMissing: DockerSecret bank/db"))
        .await;
    bench.always(10, "nothing", |b| b.of("web").is_empty()).await;
    assert_eq!((used_by(&bench), has_finalizer(&bench)), (String::new(), false));
    let told = bench.cluster.all("events");
    let event = told
        .iter()
        .find(|e| e["reason"] == "SecretResolutionError")
        .unwrap();
    assert_eq!(
        (&event["related"]["namespace"], &event["related"]["name"]),
        (&json!("bank"), &json!("db"))
    );

    consent(&bench, json!({ "namespaces": ["mail", "shop"] }));
    bench.within(2, "two run", |b| b.live("web") == 2).await;
    bench.ready("web").await;
    assert_eq!(bench.env("web", "PASSWORD"), vec![Fake::digest(b"one"); 2]);
    bench.eventually("used", |b| used_by(b) == "shop/web").await;
    assert_eq!(bench.status("web")["secrets"][0]["namespace"], "bank");

    seal(&bench, b"two", &["shop"]);
    bench
        .within(60, "all have it", |b| {
            b.env("web", "PASSWORD") == vec![Fake::digest(b"two"); 2]
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn consent_that_is_taken_back_stops_nothing_and_makes_nothing_new() {
    let bench = Bench::running();
    seal(&bench, b"one", &["shop"]);
    bench.settle(across(2)).await;
    bench.eventually("used", |b| used_by(b) == "shop/web").await;
    let before = bench.ids("web");

    consent(&bench, json!({ "namespaces": ["mail"] }));
    bench.within(2, "told", |b| unresolved(b, "ConsentMissing")).await;
    bench
        .eventually("no use of it", |b| used_by(b).is_empty() && !has_finalizer(b))
        .await;
    bench.fake.kill(&before[0]);
    bench
        .within(2, "started again in place", |b| b.live("web") == 2)
        .await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(3));
    bench
        .always(30, "the two", |b| b.ids("web") == before && b.live("web") <= 2)
        .await;

    consent(&bench, json!({ "namespaces": ["shop"], "names": ["other"] }));
    bench
        .eventually("told", |b| unresolved(b, "ConsumerNotAllowed"))
        .await;
    consent(&bench, json!({ "namespaces": ["shop"], "names": ["web"] }));
    bench.ready("web").await;
    assert_eq!(bench.ids("web")[..2], before, "nothing rolled");
    assert_eq!(bench.live("web"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_secret_waits_for_its_users_elsewhere_before_it_goes_but_not_for_those_without_consent() {
    let bench = Bench::running();
    seal(&bench, b"one", &["shop"]);
    bench.settle(across(1)).await;
    bench.eventually("a finalizer", has_finalizer).await;
    bench.cluster.remove(SECRETS, "bank", "db");
    bench
        .always(60, "there", |b| b.cluster.get(SECRETS, "bank", "db").is_some())
        .await;
    let told = bench.events();
    assert!(
        told.iter().any(|(_, note)| note.contains("in use by shop/web")),
        "{told:?}"
    );
    consent(&bench, Value::Null);
    bench
        .eventually("gone", |b| b.cluster.get(SECRETS, "bank", "db").is_none())
        .await;
    assert_eq!(bench.live("web"), 1);
    // One that is gone and one that does not consent are one answer.
    let (_, _, gone) = bench.condition("web", "SecretsResolved").unwrap();
    seal(&bench, b"one", &[]);
    bench
        .always(10, "the same", |b| {
            b.condition("web", "SecretsResolved").unwrap().2 == gone
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_does_not_watch_the_other_namespace_names_its_flag() {
    let mut bench = Bench::still();
    bench.namespaces = vec![NS.to_owned()];
    bench.start();
    seal(&bench, b"one", &["shop"]);
    bench.apply(across(1));
    bench
        .eventually("told", |b| {
            unresolved(b, "AccessDenied") && unresolved(b, "--namespace bank")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_are_watched_one_by_one_use_each_others_secrets() {
    let mut bench = Bench::still();
    bench.namespaces = vec![NS.to_owned(), "bank".to_owned()];
    seal(&bench, b"one", &[]);
    bench.start();
    bench.apply(across(1));
    bench
        .eventually("told", |b| unresolved(b, "ConsentMissing"))
        .await;
    consent(&bench, json!({ "namespaces": ["shop"] }));
    bench.within(2, "it runs", |b| b.live("web") == 1).await;
    bench
        .eventually("used", |b| used_by(b) == "shop/web" && has_finalizer(b))
        .await;
    bench.delete("web");
    bench
        .eventually("no use of it", |b| used_by(b).is_empty() && !has_finalizer(b))
        .await;
}
