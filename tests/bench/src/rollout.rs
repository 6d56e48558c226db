//! A rollout of twenty replicas with a readiness probe, beside the same thing done by hand over the engine's API: waves as
//! large as the surge, each made, asked until it answers, and then as many old ones stopped. Owns both orders.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    engine::{Events, PATIENCE, between, now},
    floor::{AT_ONCE, Floor, answers, each},
    subject::{Subject, deployment},
    table::{Row, Target, Unit, median},
};

const REPLICAS: usize = 20;
const SURGE: usize = 5;
const PORT: u16 = 8080;
const PATH: &str = "/version";
const NAMESPACE: &str = "rollout";

/// A server that ends at once when it is told to.
fn command() -> Value {
    json!([
        "sh",
        "-c",
        format!("trap 'exit 0' TERM; httpd -f -p {PORT} -h /etc & wait")
    ])
}

/// By hand: the time from the first call until the last old one has ended, in milliseconds.
async fn by_hand(floor: &Floor, events: &Events) -> Result<f64> {
    let (mut old, _) = floor.many(REPLICAS, AT_ONCE, &command()).await?;
    let all_old = old.clone();
    let from = now();
    while !old.is_empty() {
        let leaving: Vec<String> = old.drain(..SURGE.min(old.len())).collect();
        let (new, _) = floor.many(leaving.len(), AT_ONCE, &command()).await?;
        futures::future::try_join_all(new.iter().map(|id| async move {
            let address = floor.engine.address(id).await?;
            answers(&address, PORT, PATH).await
        }))
        .await?;
        each(leaving, |id| {
            let engine = floor.engine.clone();
            async move {
                engine
                    .call(Method::POST, &format!("/containers/{id}/stop?t=5"), None)
                    .await?;
                engine
                    .call(Method::DELETE, &format!("/containers/{id}?v=1"), None)
                    .await
                    .map(drop)
            }
        })
        .await?;
    }
    let at = ended(events, from, &all_old).await?;
    floor.clear().await?;
    Ok(between(from, at))
}

async fn ended(events: &Events, from: i64, ids: &[String]) -> Result<i64> {
    let patience = 4 * PATIENCE;
    let found = events
        .wait(from, ids.len(), patience, |e| {
            e.action == "die" && ids.contains(&e.id)
        })
        .await?;
    Ok(found.last().context("none ended")?.at)
}

fn manifest(version: usize) -> Value {
    let mut manifest = deployment("web", REPLICAS, None);
    manifest["spec"]["strategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": 0}});
    let pod = &mut manifest["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = json!(5);
    let container = &mut pod["containers"][0];
    container["command"] = command();
    container["env"] = json!([{"name": "VERSION", "value": version.to_string()}]);
    container["readinessProbe"] = json!({"httpGet": {"path": PATH, "port": PORT}, "periodSeconds": 1});
    manifest
}

/// Ours: from the request until the last old one has ended.
async fn by_us(subject: &Subject, events: &Events, version: usize) -> Result<f64> {
    let mut connection = subject.connect().await?;
    let old = events.since(0, |e| e.action == "start" && subject.is_of(e, "web"));
    let old: Vec<String> = old.iter().rev().take(REPLICAS).map(|e| e.id.clone()).collect();
    let from = now();
    subject
        .apply(&mut connection, NAMESPACE, &manifest(version))
        .await?;
    let at = ended(events, from, &old).await?;
    subject.settled(NAMESPACE, "web").await?;
    subject.proxy.quiet(Duration::from_secs(1)).await;
    Ok(between(from, at))
}

/// The row.
pub async fn run(subject: &Subject, events: &Events, floor: &Floor) -> Result<Vec<Row>> {
    subject.namespace(NAMESPACE, events).await?;
    let mut connection = subject.connect().await?;
    subject.apply(&mut connection, NAMESPACE, &manifest(0)).await?;
    subject.settled(NAMESPACE, "web").await?;
    subject.proxy.quiet(Duration::from_secs(1)).await;
    let (mut hand, mut ours) = (Vec::new(), Vec::new());
    for version in 1..=2 {
        hand.push(by_hand(floor, events).await?);
        ours.push(by_us(subject, events, version).await?);
    }
    eprintln!("rollout: by hand {hand:.0?}, ours {ours:.0?}");
    Ok(vec![Row {
        floor: Some(median(&hand) / 1e3),
        ..Row::plain(
            "rollout of 20 replicas with readiness probes, maxSurge 5, maxUnavailable 0; floor: the same waves by hand",
            Unit::Seconds,
            median(&ours) / 1e3,
            Target::FloorTimes(1.2),
            "Before an old replica is stopped it is taken out of the names and left alone for half a second, so that nobody who has just looked it up is refused; by hand nobody waits for that.",
        )
    }])
}
