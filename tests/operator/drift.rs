//! Delivered files that somebody changes behind the operator's back: found by digest, told, and written again; and a control
//! plane at rest that compares and writes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use supercargo::engine::fake::{Breakage, Tamper};
use tokio::time::sleep;

use super::{
    bench::{Bench, DEPLOYMENTS, NS},
    files::{is_delivered, with_files},
};

const SECRET: &str = "hunter2";

async fn settled_every(seconds: u64) -> Bench {
    let mut bench = Bench::still();
    bench.files_check_interval = Duration::from_secs(seconds);
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(2, &json!({}))).await;
    bench.eventually("delivered", |b| is_delivered(b, SECRET)).await;
    bench
}

fn is_told(bench: &Bench) -> bool {
    let told = bench.condition("web", "SecretsDelivered");
    told.is_some_and(|(status, ..)| status == "True")
}

fn events(bench: &Bench) -> Vec<Value> {
    let mut events = bench.cluster.all("events");
    events.retain(|e| e["reason"] == "SecretDeliveryError");
    events
}

fn drifts(bench: &Bench, property: &str) -> bool {
    let line = format!("supercargo_secret_file_drifts_total{{property=\"{property}\"}} 1");
    bench.scrape().contains(&line)
}

#[tokio::test(start_paused = true)]
async fn whatever_somebody_changes_is_found_told_and_written_again() {
    let cases = [
        (Tamper::Byte, "content", "file password has another content"),
        (Tamper::Mode, "mode", "file password has another mode"),
        (Tamper::Extra, "unexpected", "a file that was not placed"),
        (Tamper::Data, "generation", "are not the current ones"),
        (Tamper::Link, "missing", "file password is missing"),
    ];
    for (how, property, words) in cases {
        let bench = settled_every(600).await;
        // The look that follows the first delivery is over.
        sleep(Duration::from_secs(120)).await;
        assert!(events(&bench).is_empty());
        let containers = bench.fake.containers();
        bench.fake.tamper(how);
        bench.within(700, "found", |b| drifts(b, property)).await;
        bench
            .eventually("written again", |b| is_delivered(b, SECRET))
            .await;
        let told = events(&bench);
        assert!(
            told.iter().any(|e| e["note"].as_str().unwrap().contains(words)),
            "{told:?}"
        );
        assert!(told.iter().all(|e| e["type"] == "Warning"));
        assert!(!format!("{told:?}").contains(SECRET));
        let ids = |all: &[supercargo::state::container::ContainerView]| {
            all.iter()
                .map(|c| (c.id.clone(), c.started_at))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&containers),
            ids(&bench.fake.containers()),
            "nothing is restarted"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn asked_to_reconcile_it_compares_at_once() {
    let bench = settled_every(0).await;
    sleep(Duration::from_secs(120)).await;
    bench.fake.tamper(Tamper::Byte);
    sleep(Duration::from_secs(3600)).await;
    assert!(!is_delivered(&bench, SECRET), "never, when the interval is 0");
    bench.cluster.edit(DEPLOYMENTS, NS, "web", |o| {
        o["metadata"]["annotations"]["supercargo.dev/reconcile-at"] = json!("now");
    });
    bench
        .within(20, "written again", |b| is_delivered(b, SECRET))
        .await;
    assert!(drifts(&bench, "content"));
}

#[tokio::test(start_paused = true)]
async fn when_all_is_as_it_was_delivered_nothing_is_written() {
    let bench = settled_every(600).await;
    sleep(Duration::from_secs(120)).await;
    let before = (
        bench.cluster.all(DEPLOYMENTS),
        bench.cluster.all("events"),
        bench.fake.world().delivered,
    );
    let deliveries = bench.scrape().matches("secret_deliveries_total").count();
    sleep(Duration::from_secs(2000)).await;
    let after = (
        bench.cluster.all(DEPLOYMENTS),
        bench.cluster.all("events"),
        bench.fake.world().delivered,
    );
    assert_eq!(before, after);
    assert_eq!(
        bench.scrape().matches("secret_deliveries_total").count(),
        deliveries
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_that_does_not_resolve_now_takes_nothing_away() {
    let bench = settled_every(600).await;
    sleep(Duration::from_secs(120)).await;
    bench.lose_ring();
    sleep(Duration::from_secs(5)).await;
    let before = bench.fake.world().delivered;
    bench.fake.tamper(Tamper::Extra);
    sleep(Duration::from_secs(1500)).await;
    assert_eq!(before, bench.fake.world().delivered);
    bench.restore_ring();
    bench.within(700, "found", |b| drifts(b, "unexpected")).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_change_replaced_is_collected_within_two_minutes() {
    let bench = settled_every(0).await;
    bench.seal("db", &[("password", b"next")]);
    bench.eventually("new", |b| is_delivered(b, "next")).await;
    let volumes: Vec<String> = bench.fake.world().delivered.into_keys().collect();
    let most = |b: &Bench| volumes.iter().map(|v| b.fake.generations(v)).max();
    assert_eq!(most(&bench), Some(2), "whoever reads it now reads on");
    bench.within(120, "collected", |b| most(b) == Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_answer_is_told_and_asked_again() {
    let bench = settled_every(600).await;
    sleep(Duration::from_secs(120)).await;
    bench.fake.break_delivery(Some(Breakage::CutOff));
    bench.within(700, "told", |b| !events(b).is_empty()).await;
    bench.fake.break_delivery(None);
    bench.eventually("well again", |b| is_delivered(b, SECRET)).await;
}

#[tokio::test(start_paused = true)]
async fn the_audit_file_tells_which_container_and_which_file_got_which_value() {
    let mut bench = Bench::still();
    bench.audit_log = Some(bench.dir.path().join("audit"));
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes()), ("user", b"hunter3")]);
    let mut object = with_files(1, &json!({ "items": [{ "key": "password", "path": "pass" }] }));
    object["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "USER", "valueFrom": { "secretKeyRef": { "name": "db", "key": "user" } } }]);
    bench.settle(object).await;
    bench.eventually("seen", is_told).await;
    bench.stop().await;
    let text = std::fs::read_to_string(bench.audit_log.as_ref().unwrap()).unwrap();
    assert!(!text.contains("hunter"));
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told = |form: &str| {
        let of_form = |l: &&Value| l["form"] == form && l["outcome"] == "delivered";
        lines.iter().find(of_form).unwrap().clone()
    };
    let (file, env) = (told("File"), told("Env (inspectable)"));
    assert_eq!(
        [&file["secret"], &file["key"], &file["file"]],
        ["db", "password", "pass"]
    );
    assert_eq!(file["kid"].as_str().unwrap().len(), 16);
    let volumes = bench.fake.world().delivered;
    assert!(volumes.contains_key(file["volume"].as_str().unwrap()));
    assert_eq!([&env["secret"], &env["key"]], ["db", "user"]);
    assert_ne!(env["fingerprint"], file["fingerprint"]);
    assert!(env["container"].as_str().unwrap().contains("web"));
    assert_eq!(lines.len(), 3, "{text}");
}

#[tokio::test(start_paused = true)]
async fn where_files_may_be_swapped_the_condition_says_so() {
    for (kernel, is_said) in [("6.12.0", false), ("5.15.0-91-generic", true)] {
        let mut bench = Bench::still();
        bench.fake.set_kernel(kernel);
        bench.start();
        bench.seal("db", &[("password", SECRET.as_bytes())]);
        bench.settle(with_files(1, &json!({}))).await;
        bench.eventually("delivered", is_told).await;
        let (_, reason, message) = bench.condition("web", "SecretsDelivered").unwrap();
        assert_eq!(reason, "SecretsDelivered");
        assert_eq!(
            message.contains("cannot keep them out of swap"),
            is_said,
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_a_delivery_takes_is_measured_by_its_form() {
    let bench = settled_every(600).await;
    let text = bench.scrape();
    assert!(
        text.contains("supercargo_secret_delivery_duration_seconds_count{form=\"file\"} 1"),
        "{text}"
    );
}
