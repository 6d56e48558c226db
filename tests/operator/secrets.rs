//! Secrets on their way into containers: found, missing, rotated, taken away; the key ring.

use serde_json::{Value, json};
use supercargo::engine::fake::Fake;

use super::bench::{Bench, SECRETS, container, with_secret};

fn unresolved(bench: &Bench) -> bool {
    bench
        .condition("web", "SecretsResolved")
        .is_some_and(|(status, reason, _)| status == "False" && reason == "SecretResolutionError")
}

#[tokio::test(start_paused = true)]
async fn a_sealed_secret_is_in_the_environment_of_every_replica() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"hunter2")]);
    bench.settle(with_secret(2)).await;
    assert_eq!(bench.env("web", "PASSWORD"), vec![Fake::digest(b"hunter2"); 2]);
    let secrets = &bench.status("web")["secrets"];
    assert_eq!(
        (&secrets[0]["name"], &secrets[0]["loaded"]),
        (&json!("db"), &json!(2))
    );
    let handed_over = "supercargo_secret_deliveries_total{form=\"env\",outcome=\"ok\"} 2";
    assert!(bench.scrape().contains(handed_over), "{}", bench.scrape());
    let everything = format!(
        "{:?} {:?} {:?}",
        bench.cluster.all("dockerdeployments"),
        bench.cluster.all("events"),
        bench.fake.world()
    );
    assert!(!everything.contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_makes_nothing_and_is_told_until_it_appears() {
    let bench = Bench::running();
    bench.apply(with_secret(2));
    bench.eventually("told", unresolved).await;
    let (status, reason, message) = bench.condition("web", "Ready").unwrap();
    assert_eq!((&*status, &*reason), ("False", "SecretResolutionError"));
    assert!(
        message.contains("SecretNotFound") && message.contains("shop/db"),
        "{message}"
    );
    bench.always(30, "nothing", |b| b.of("web").is_empty()).await;
    assert_eq!(bench.told("SecretResolutionError"), 1);
    let event = bench
        .cluster
        .all("events")
        .into_iter()
        .find(|e| e["reason"] == "SecretResolutionError")
        .unwrap();
    assert_eq!(
        (
            &event["type"],
            &event["related"]["name"],
            &event["regarding"]["name"]
        ),
        (&json!("Warning"), &json!("db"), &json!("web"))
    );
    bench.seal("db", &[("password", b"one")]);
    bench.within(2, "two run", |b| b.live("web") == 2).await;
    bench.ready("web").await;
    assert_eq!(bench.told("SecretsResolved"), 1);
}

#[tokio::test(start_paused = true)]
async fn every_failing_reference_is_named_at_once() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    let mut object = with_secret(1);
    container(&mut object)["env"] = json!([
        { "name": "A", "valueFrom": { "secretKeyRef": { "name": "db", "key": "nokey" } } },
        { "name": "B", "valueFrom": { "secretKeyRef": { "name": "absent", "key": "k" } } },
    ]);
    bench.apply(object);
    bench.eventually("told", unresolved).await;
    let (_, _, message) = bench.condition("web", "SecretsResolved").unwrap();
    for words in [
        "KeyNotFound",
        "nokey",
        "SecretNotFound",
        "absent",
        "env[0]",
        "env[1]",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(bench.told("SecretResolutionError"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_taken_away_stops_nothing_and_restarts_go_on_in_place() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(2)).await;
    let before = bench.ids("web");
    bench.cluster.edit(SECRETS, "shop", "db", |o| {
        o["metadata"]["annotations"]["supercargo.dev/force-delete"] = json!("true");
    });
    bench.cluster.remove(SECRETS, "shop", "db");
    bench.eventually("told", unresolved).await;
    bench.fake.forget_calls();
    bench.always(30, "both run", |b| b.live("web") == 2).await;
    assert_eq!(bench.fake.calls(), []);
    bench.fake.kill(&before[1]);
    bench.within(2, "started again", |b| b.live("web") == 2).await;
    assert_eq!(bench.ids("web"), before);
    // One that is gone altogether cannot be made again, and the other one stays.
    bench.fake.remove_by_hand(&before[1]);
    bench.always(30, "one runs", |b| b.live("web") == 1).await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(1));
    bench
        .eventually("seen", |b| b.status("web")["observedGeneration"] == 2)
        .await;
    bench.seal("db", &[("password", b"one")]);
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), before[..1]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_use_is_not_deleted_before_its_users() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(1)).await;
    bench
        .eventually("a finalizer", |b| {
            !b.cluster.get(SECRETS, "shop", "db").unwrap()["metadata"]["finalizers"].is_null()
        })
        .await;
    bench.cluster.remove(SECRETS, "shop", "db");
    bench
        .always(60, "there", |b| b.cluster.get(SECRETS, "shop", "db").is_some())
        .await;
    assert!(
        bench
            .events()
            .iter()
            .any(|(_, note)| note.contains("in use by web"))
    );
    bench.delete("web");
    bench
        .eventually("both are gone", |b| {
            b.cluster.get(SECRETS, "shop", "db").is_none() && b.deployment("web").is_null()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_rolls_one_at_a_time_and_the_same_value_rolls_nothing() {
    let bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(3)).await;
    bench.fake.forget_calls();
    bench.seal("db", &[("password", b"one")]);
    bench.always(30, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    bench.seal("db", &[("password", b"two")]);
    bench
        .within(60, "all have it", |b| {
            assert!(b.rolls_one_at_a_time("web"), "{}", b.live("web"));
            b.env("web", "PASSWORD") == vec![Fake::digest(b"two"); 3]
        })
        .await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_immutable_secret_keeps_its_values_and_stays_immutable() {
    let bench = Bench::still();
    let first = bench.sealed("db", &[("password", b"one")]);
    let written = |sealed: &Value, immutable: bool| {
        let mut object = sealed.clone();
        object["spec"]["immutable"] = json!(immutable);
        object
    };
    bench.cluster.put(SECRETS, written(&first, false));
    let second = bench.sealed("db", &[("password", b"two")]);
    bench.cluster.put(SECRETS, written(&second, true));
    for (object, words) in [
        (
            written(&first, true),
            "is immutable: make a secret with another name",
        ),
        (written(&second, false), "is immutable once true"),
        (second.clone(), "is immutable once true"),
    ] {
        let told = bench.cluster.refusal(SECRETS, &object);
        assert!(told.contains(words), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_key_ring_everything_sealed_holds_and_begins_when_it_appears() {
    let mut bench = Bench::still();
    bench.lose_ring();
    bench.seal("db", &[("password", b"one")]);
    bench.start();
    bench.apply(with_secret(1));
    bench.eventually("told", unresolved).await;
    let (_, _, message) = bench.condition("web", "SecretsResolved").unwrap();
    assert!(message.contains("KeyRingUnavailable"), "{message}");
    bench.always(20, "nothing", |b| b.of("web").is_empty()).await;
    bench.restore_ring();
    bench.within(3, "it runs", |b| b.live("web") == 1).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_operator_never_says_that_a_secret_is_missing() {
    let mut bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(1)).await;
    bench.kill().await;
    bench.start();
    bench
        .always(30, "resolved", |b| {
            b.is_ready("web") && b.told("SecretResolutionError") == 0
        })
        .await;
}

fn with_config() -> Value {
    let mut object = super::bench::web(1);
    container(&mut object)["env"] =
        json!([{ "name": "LEVEL", "valueFrom": { "configMapKeyRef": { "name": "app", "key": "level" } } }]);
    object
}

fn config(level: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app", "namespace": "shop" },
        "data": { "level": level } })
}

fn of_config_maps(bench: &Bench) -> Vec<String> {
    let mut reads = bench.cluster.reads();
    reads.retain(|path| path.ends_with("/configmaps"));
    reads
}

#[tokio::test(start_paused = true)]
async fn config_maps_are_read_where_one_is_named_and_nowhere_else() {
    let bench = Bench::running();
    bench.settle(super::bench::web(1)).await;
    let before = of_config_maps(&bench);
    assert!(
        before.iter().all(|path| path.contains("/supercargo-system/")),
        "but the public keys: {before:?}"
    );
    bench.cluster.put("configmaps", config("info"));
    bench.settle(with_config()).await;
    let after = of_config_maps(&bench);
    assert!(
        after.contains(&"/api/v1/namespaces/shop/configmaps".to_owned()),
        "{after:?}"
    );
    assert!(!after.contains(&"/api/v1/configmaps".to_owned()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn config_maps_that_cannot_be_read_are_not_missing_and_are_looked_at_again() {
    let bench = Bench::running();
    bench.cluster.put("configmaps", config("info"));
    bench.cluster.make_unreadable(Some("/namespaces/shop/configmaps"));
    bench.apply(with_config());
    let why = |b: &Bench| {
        b.condition("web", "Ready")
            .map_or_else(String::new, |(.., why)| why)
    };
    bench
        .eventually("told why", |b| {
            why(b).contains("has not been able to list ConfigMaps")
        })
        .await;
    bench.cluster.make_unreadable(None);
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_config_map_is_resolved_and_its_change_rolls() {
    let bench = Bench::running();
    bench.apply(with_config());
    bench
        .eventually("told", |b| {
            b.condition("web", "Ready")
                .is_some_and(|(_, reason, _)| reason == "ConfigResolutionError")
        })
        .await;
    bench.cluster.put("configmaps", config("info"));
    bench.ready("web").await;
    bench.cluster.put("configmaps", config("debug"));
    bench
        .eventually("the new value", |b| {
            b.env("web", "LEVEL") == [Fake::digest(b"debug")]
        })
        .await;
}
