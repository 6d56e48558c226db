//! The key ring while the operator runs, in a file and in a Secret: every change of it is seen, and none of them touches
//! the engine.

use serde_json::{Value, json};
use supercargo::{
    seal::{Backup, Context, Kid, Plaintext, Ring, ScopeKind, SystemEntropy, seal},
    secrets::{keyring, keyring_file},
};

use super::bench::{Bench, SECRETS, with_secret};

/// An operator whose ring is in a file, or in its Secret.
fn running(in_secret: bool) -> Bench {
    let mut bench = Bench::still();
    if in_secret {
        bench.keep_ring_in_secret();
    }
    bench.start();
    bench
}

fn change(bench: &Bench, change: impl Fn(&mut Ring) -> Kid) -> Kid {
    if !bench.ring_is_in_secret {
        let changed = keyring_file::update(&bench.ring_path(), |ring| {
            Ok::<_, keyring::KeyringError>(change(ring))
        });
        return changed.unwrap().1;
    }
    let mut found = None;
    bench.cluster.edit(
        "secrets",
        "supercargo-system",
        keyring::KEYRING_SECRET,
        |secret| {
            let data = serde_json::from_value(secret["data"].clone()).unwrap();
            let mut ring = keyring::from_secret_data(&data).unwrap();
            found = Some(change(&mut ring));
            secret["data"] = serde_json::to_value(keyring::to_secret_data(&ring)).unwrap();
        },
    );
    found.unwrap()
}

fn published(bench: &Bench) -> Value {
    let map = bench
        .cluster
        .get("configmaps", "supercargo-system", "supercargo-public-keys");
    map.unwrap_or_default()["data"].clone()
}

fn names(keys: &Value, under: &str, kid: Kid) -> bool {
    keys[under]
        .as_str()
        .is_some_and(|text| text.contains(&kid.to_string()))
}

fn condition_of_secret(bench: &Bench, kind: &str) -> (String, String) {
    let secret = bench.cluster.get(SECRETS, "shop", "db").unwrap_or_default();
    let conditions = secret["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = conditions
        .iter()
        .find(|c| c["type"] == kind)
        .cloned()
        .unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"))
}

#[tokio::test(start_paused = true)]
async fn renewal_promotion_and_backup_are_seen_and_cost_the_engine_nothing() {
    for in_secret in [false, true] {
        let bench = running(in_secret);
        bench.seal("db", &[("password", b"one")]);
        bench.settle(with_secret(2)).await;
        let (before, first) = (bench.ids("web"), bench.ring.primary());
        bench
            .eventually("published", |b| names(&published(b), "primary", first))
            .await;
        bench.fake.forget_calls();

        let at = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        let second = change(&bench, |ring| ring.renew(at, &mut SystemEntropy).unwrap());
        bench
            .within(5, "pending", |b| names(&published(b), "pending", second))
            .await;
        change(&bench, |ring| {
            ring.mark_backed_up(&[second], at);
            ring.promote(second).unwrap();
            second
        });
        bench
            .within(5, "promoted", |b| {
                let keys = published(b);
                names(&keys, "primary", second) && names(&keys, "decrypt-only", first)
            })
            .await;
        bench
            .eventually("an older key", |b| {
                let (status, message) = condition_of_secret(b, "KeyCurrent");
                status == "False" && message.contains("password") && message.contains(&second.to_string())
            })
            .await;
        reseal(&bench, "one", second);
        bench
            .eventually("current", |b| condition_of_secret(b, "KeyCurrent").0 == "True")
            .await;
        bench.always(30, "ready", |b| b.is_ready("web")).await;
        assert_eq!((bench.ids("web"), bench.fake.calls()), (before, vec![]));
    }
}

/// Puts `db` there as `supercargo reseal` would write it: the same value, sealed to another key.
fn reseal(bench: &Bench, value: &str, kid: Kid) {
    let ring = read(bench);
    let context = Context::at(ScopeKind::Strict, "shop", "db", "password").unwrap();
    let value = Plaintext::new(value.as_bytes().to_vec());
    let to = ring.member(kid).unwrap().public();
    let envelope = seal(to, &context, &value, &mut SystemEntropy).unwrap();
    bench.cluster.edit(SECRETS, "shop", "db", |secret| {
        secret["spec"]["encryptedData"]["password"] = json!(envelope.to_string());
    });
}

fn read(bench: &Bench) -> Ring {
    if !bench.ring_is_in_secret {
        return keyring_file::read(&bench.ring_path()).unwrap();
    }
    let secret = bench
        .cluster
        .get("secrets", "supercargo-system", keyring::KEYRING_SECRET);
    let data = serde_json::from_value(secret.unwrap()["data"].clone()).unwrap();
    keyring::from_secret_data(&data).unwrap()
}

#[tokio::test(start_paused = true)]
async fn values_are_counted_by_key_and_keys_have_an_age() {
    let bench = running(false);
    bench.seal("db", &[("password", b"one"), ("user", b"two")]);
    let (first, at) = (bench.ring.primary(), bench.ring.member(bench.ring.primary()));
    let made = at.unwrap().created();
    let has = |line: String| move |b: &Bench| b.scrape().lines().any(|l| l == line);
    let values = |kid: Kid, state: &str, count: u32| {
        has(format!(
            "supercargo_secret_values{{kid=\"{kid}\",state=\"{state}\"}} {count}"
        ))
    };
    bench.eventually("two", values(first, "primary", 2)).await;
    assert!(
        !bench.scrape().contains("backup_age_seconds{"),
        "there is no backup"
    );

    let second = change(&bench, |ring| {
        let kid = ring.renew(made, &mut SystemEntropy).unwrap();
        ring.mark_backed_up(&[kid], made);
        ring.promote(kid).unwrap();
        kid
    });
    bench
        .within(5, "the older", values(first, "decrypt-only", 2))
        .await;
    assert!(values(second, "primary", 0)(&bench));
    for kind in ["key", "backup"] {
        let name = format!("supercargo_keyring_{kind}_age_seconds{{kid=\"{second}\"}} ");
        let scraped = bench.scrape();
        let age = scraped.lines().find_map(|l| l.strip_prefix(&name)).unwrap();
        assert!((0..3_600).contains(&age.parse::<i64>().unwrap()), "{kind} {age}");
    }
    reseal(&bench, "one", second);
    bench
        .eventually("one left", values(first, "decrypt-only", 1))
        .await;
    assert!(values(second, "primary", 1)(&bench));
    bench.cluster.remove(SECRETS, "shop", "db");
    bench.eventually("none", values(first, "decrypt-only", 0)).await;
    bench.lose_ring();
    bench.seal("db", &[("password", b"one")]);
    bench.eventually("unknown", values(first, "unknown", 1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_primary_key_is_told_by_one_event() {
    let bench = running(false);
    bench
        .always(60, "not yet", |b| b.told("KeyRenewalDue") == 0)
        .await;
    bench.clock.jump(91 * 86_400);
    bench
        .within(2 * 3_600, "told", |b| b.told("KeyRenewalDue") == 1)
        .await;
    let events = bench.cluster.all("events");
    let event = events.iter().find(|e| e["reason"] == "KeyRenewalDue").unwrap();
    assert_eq!(
        (&event["type"], &event["regarding"]["name"]),
        (&json!("Warning"), &json!("supercargo-public-keys"))
    );
    assert!(event["note"].as_str().unwrap().contains("keys renew"));
}

#[tokio::test(start_paused = true)]
async fn a_value_in_any_watched_namespace_holds_a_first_ring() {
    let mut bench = Bench::still();
    bench.ring_is_in_secret = true;
    bench.namespaces = vec!["other".to_owned(), "shop".to_owned()];
    bench.seal("db", &[("password", b"one")]);
    bench.start();
    bench
        .always(60, "none", |b| {
            b.cluster
                .get("secrets", "supercargo-system", keyring::KEYRING_SECRET)
                .is_none()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_opens_nothing_and_stops_nothing() {
    for in_secret in [false, true] {
        let bench = running(in_secret);
        bench.seal("db", &[("password", b"one")]);
        bench.settle(with_secret(1)).await;
        let (before, first) = (bench.ids("web"), bench.ring.primary());
        change(&bench, |ring| {
            let at = jiff::Timestamp::from_second(1_790_000_000).unwrap();
            let kid = ring.renew(at, &mut SystemEntropy).unwrap();
            ring.promote(kid).unwrap();
            ring.revoke(first).unwrap();
            kid
        });
        bench
            .within(5, "revoked", |b| {
                let told = b.condition("web", "SecretsResolved");
                told.is_some_and(|(status, _, why)| {
                    status == "False" && why.contains("KeyRevoked") && why.contains(&first.to_string())
                })
            })
            .await;
        bench
            .eventually("on the secret, too", |b| {
                condition_of_secret(b, "Valid").1.contains("KeyRevoked")
            })
            .await;
        bench
            .always(30, "it runs", |b| b.ids("web") == before && b.live("web") == 1)
            .await;
        assert!(!names(&published(&bench), "decrypt-only", first));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ring_restored_from_its_backup_opens_what_waited_and_rolls_nothing() {
    let mut bench = running(true);
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(2)).await;
    let before = bench.ids("web");
    let at = jiff::Timestamp::from_second(1_790_000_000).unwrap();
    let recovery = Ring::generate(at, &mut SystemEntropy).unwrap();
    let to = recovery.member(recovery.primary()).unwrap().public();
    let backup = Backup::seal(&bench.ring, to, at, &mut SystemEntropy).unwrap();

    bench
        .cluster
        .remove("secrets", "supercargo-system", keyring::KEYRING_SECRET);
    bench
        .eventually("held", |b| {
            b.condition("web", "SecretsResolved")
                .is_some_and(|(status, _, why)| status == "False" && why.contains("KeyRingUnavailable"))
        })
        .await;
    // No restart makes another ring while values name the lost one.
    bench.kill().await;
    bench.start();
    bench
        .always(60, "no ring", |b| {
            let ring = b
                .cluster
                .get("secrets", "supercargo-system", keyring::KEYRING_SECRET);
            ring.is_none() && b.live("web") == 2
        })
        .await;
    bench.fake.forget_calls();
    let restored = Backup::from_text(backup.as_bytes())
        .unwrap()
        .open(&recovery)
        .unwrap();
    let value = Plaintext::new(b"one".to_vec());
    assert_eq!(
        restored.fingerprint("shop", &value),
        bench.ring.fingerprint("shop", &value)
    );
    bench.cluster.put("secrets", ring_secret(&restored));
    bench
        .within(5, "resolved", |b| {
            b.condition("web", "SecretsResolved")
                .is_some_and(|(status, ..)| status == "True")
        })
        .await;
    bench.always(30, "ready", |b| b.is_ready("web")).await;
    assert_eq!((bench.ids("web"), bench.fake.calls()), (before, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_first_ring_is_made_only_where_nothing_is_sealed_or_by_who_says_so() {
    let ring = |b: &Bench| {
        b.cluster
            .get("secrets", "supercargo-system", keyring::KEYRING_SECRET)
    };
    let mut bench = Bench::still();
    bench.ring_is_in_secret = true;
    bench.start();
    bench.within(10, "made", |b| ring(b).is_some()).await;

    let mut bench = Bench::still();
    bench.ring_is_in_secret = true;
    bench.seal("db", &[("password", b"one")]);
    bench.start();
    bench.always(60, "none", |b| ring(b).is_none()).await;
    bench.stop().await;
    bench.new_cluster = true;
    bench.start();
    bench.within(10, "made", |b| ring(b).is_some()).await;
}

fn ring_secret(ring: &Ring) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": keyring::KEYRING_SECRET, "namespace": "supercargo-system" },
        "type": keyring::KEYRING_SECRET_TYPE, "data": keyring::to_secret_data(ring) })
}

impl Bench {
    fn keep_ring_in_secret(&mut self) {
        self.ring_is_in_secret = true;
        self.cluster.put("secrets", ring_secret(&self.ring));
    }
}
