//! Secrets with dates: told before and after they end, by a condition, an event and a metric; use stops where that is asked
//! for, and only for new containers; no clock makes it flap.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use supercargo::clock::Clock;
use tokio::time::sleep;

use super::bench::{Bench, NS, SECRETS, condition, with_secret};

const DAY: i64 = 86_400;

/// The time so many seconds from now, as it is written in a manifest.
fn in_seconds(bench: &Bench, seconds: i64) -> Value {
    let whole = bench.clock.now().as_second();
    let at = jiff::Timestamp::from_second(whole).unwrap() + SignedDuration::from_secs(seconds);
    json!(at.to_string())
}

/// Seals `db` with these fields of its spec.
fn seal(bench: &Bench, spec: Value) {
    let mut object = bench.sealed("db", &[("password", b"one")]);
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    bench.cluster.put(SECRETS, object);
}

fn told(bench: &Bench) -> Option<(String, String)> {
    let secret = bench.cluster.get(SECRETS, NS, "db").unwrap_or_default();
    condition(&secret, "ExpiringSoon").map(|(status, reason, _)| (status, reason))
}

fn is_told(bench: &Bench, status: &str, reason: &str) -> bool {
    told(bench) == Some((status.to_owned(), reason.to_owned()))
}

fn expired(bench: &Bench) -> bool {
    let unresolved = bench.condition("web", "SecretsResolved");
    unresolved
        .is_some_and(|(status, _, why)| status == "False" && why.contains("Expired: DockerSecret shop/db"))
}

/// Makes the operator look at the secret.
fn look(bench: &Bench, word: &str) {
    bench.cluster.edit(SECRETS, NS, "db", |o| {
        o["metadata"]["annotations"]["example.com/look"] = json!(word);
    });
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_two_weeks_ahead_and_when_it_has_come_and_stops_nothing_by_itself() {
    let bench = Bench::running();
    seal(&bench, json!({ "notAfter": in_seconds(&bench, 14 * DAY + 60) }));
    bench.settle(with_secret(1)).await;
    assert!(is_told(&bench, "False", "SecretsResolved"), "{:?}", told(&bench));
    assert_eq!(bench.told("SecretExpiring"), 0);
    bench
        .within(62, "near", |b| is_told(b, "True", "SecretExpiring"))
        .await;
    bench
        .eventually("an event", |b| b.told("SecretExpiring") == 1)
        .await;

    seal(&bench, json!({ "notAfter": in_seconds(&bench, 30) }));
    bench
        .within(32, "passed", |b| is_told(b, "True", "SecretExpired"))
        .await;
    bench
        .eventually("an event", |b| b.told("SecretExpired") == 1)
        .await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.within(10, "a new one", |b| b.live("web") == 2).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_due_is_told_and_one_whose_dates_are_gone_is_not() {
    let bench = Bench::running();
    seal(&bench, json!({ "rotateAfter": in_seconds(&bench, 10) }));
    bench
        .within(5, "not yet", |b| is_told(b, "False", "SecretsResolved"))
        .await;
    bench
        .within(12, "due", |b| is_told(b, "True", "SecretExpiring"))
        .await;
    seal(&bench, json!({}));
    bench.within(2, "nothing is said", |b| told(b).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn use_stops_for_new_containers_only_until_a_later_date_is_set() {
    let bench = Bench::running();
    let spec = |seconds| json!({ "notAfter": in_seconds(&bench, seconds), "stopUse": true });
    seal(&bench, spec(60));
    bench.settle(with_secret(2)).await;
    let before = bench.ids("web");
    bench.fake.forget_calls();
    bench.within(65, "held", expired).await;
    bench
        .always(30, "both run", |b| b.ids("web") == before && b.live("web") == 2)
        .await;
    bench.fake.kill(&before[1]);
    bench
        .within(2, "started again in place", |b| b.live("web") == 2)
        .await;
    assert_eq!(bench.ids("web"), before);
    bench.edit("web", |o| o["spec"]["replicas"] = json!(3));
    bench.always(30, "no third one", |b| b.ids("web") == before).await;
    seal(&bench, spec(30 * DAY));
    bench.within(5, "the third one", |b| b.live("web") == 3).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_with_a_value_whose_use_has_stopped() {
    let bench = Bench::running();
    seal(
        &bench,
        json!({ "notAfter": in_seconds(&bench, -DAY), "stopUse": true }),
    );
    bench.apply(with_secret(1));
    bench.eventually("held", expired).await;
    bench.always(20, "nothing", |b| b.of("web").is_empty()).await;
    seal(&bench, json!({ "notAfter": in_seconds(&bench, -DAY) }));
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_to_and_fro_by_an_hour_makes_nothing_flap() {
    let bench = Bench::running();
    seal(
        &bench,
        json!({ "notAfter": in_seconds(&bench, 1_800), "stopUse": true }),
    );
    bench.settle(with_secret(1)).await;
    bench.clock.jump(3_600);
    look(&bench, "ahead");
    bench
        .within(5, "ended", |b| is_told(b, "True", "SecretExpired"))
        .await;
    bench.within(5, "held", expired).await;
    for round in 0..6 {
        bench.clock.jump(if round % 2 == 0 { -3_600 } else { 3_600 });
        look(&bench, &round.to_string());
        bench.annotate("web", "example.com/look", &round.to_string());
        bench
            .always(20, "as it was", |b| {
                is_told(b, "True", "SecretExpired") && expired(b) && b.live("web") == 1
            })
            .await;
    }
    assert_eq!(bench.told("SecretExpired"), 1);
    bench.clock.jump(-4 * DAY);
    look(&bench, "days back");
    bench
        .within(5, "taken back", |b| is_told(b, "True", "SecretExpiring"))
        .await;
    bench.within(5, "resolved", |b| !expired(b)).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_is_noticed_within_a_day_and_a_reminder_comes_once_a_day() {
    let bench = Bench::running();
    seal(&bench, json!({ "notAfter": in_seconds(&bench, 100 * DAY) }));
    bench
        .eventually("looked at", |b| is_told(b, "False", "SecretsResolved"))
        .await;
    bench.clock.jump(100 * DAY);
    sleep(Duration::from_secs(DAY.unsigned_abs() + 60)).await;
    assert!(is_told(&bench, "True", "SecretExpired"), "{:?}", told(&bench));
    let series = |bench: &Bench| {
        let events = bench.cluster.all("events");
        let event = events.iter().find(|e| e["reason"] == "SecretExpired").cloned();
        event.unwrap()["series"]["count"].clone()
    };
    assert_eq!(series(&bench), Value::Null);
    for word in ["a", "b", "c"] {
        look(&bench, word);
        sleep(Duration::from_secs(3 * 3_600)).await;
    }
    assert_eq!(series(&bench), Value::Null, "not more often than once a day");
    sleep(Duration::from_secs(DAY.unsigned_abs())).await;
    assert_eq!(bench.told("SecretExpired"), 1, "one event, counted");
    assert!(series(&bench).as_i64().unwrap() >= 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_each_secret_is_a_metric_while_there_is_one() {
    let bench = Bench::running();
    let end = bench.clock.now().as_second() + 30 * DAY;
    seal(&bench, json!({ "notAfter": in_seconds(&bench, 30 * DAY) }));
    bench.seal("other", &[("password", b"one")]);
    let line =
        format!("supercargo_secret_not_after_timestamp_seconds{{namespace=\"shop\",name=\"db\"}} {end}");
    let has = |b: &Bench| b.scrape().lines().any(|l| l == line);
    bench.eventually("told", has).await;
    assert!(!bench.scrape().contains("name=\"other\""));
    bench.cluster.remove(SECRETS, NS, "db");
    bench
        .eventually("gone", |b| !b.scrape().contains("not_after_timestamp_seconds{"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn dates_that_say_nothing_are_refused_with_their_field() {
    let bench = Bench::running();
    for (spec, words) in [
        (json!({ "stopUse": true }), "spec.stopUse"),
        (json!({ "notAfter": "soon" }), "spec.notAfter"),
        (
            json!({ "notAfter": "9999-12-31T23:59:59-19:00" }),
            "spec.notAfter",
        ),
        (
            json!({ "rotateAfter": "2030-01-01T00:00:00+99:99" }),
            "rotateAfter is not a time",
        ),
    ] {
        let mut object = bench.sealed("db", &[("password", b"one")]);
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        let told = bench.cluster.refusal(SECRETS, &object);
        assert!(told.contains(words), "{spec}: {told}");
    }
}
