//! Many containers: how soon a change is acted upon among three hundred, and as many deployments as the run is told to,
//! applied at once, with the bound of what the engine is asked at the same time. Owns the order of both.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::{
    engine::{Events, PATIENCE, between, now},
    fifty::{secrets, send},
    floor::{AT_ONCE, Floor},
    proxy::engine_time,
    subject::{COMMAND, Subject, deployment},
    table::{Row, Target, Unit, quantile},
};

/// Deployments that these are spread over; a namespace has three.
const PARTS: usize = 6;
const CHANGES: usize = 100;
/// A namespace's network is a /24.
const PER_NAMESPACE: usize = 200;

/// So many containers under management, and a hundred changes, one after the other.
pub async fn change(subject: &Subject, events: &Events, managed: usize) -> Result<Vec<Row>> {
    let mut connection = subject.connect().await?;
    let from = now();
    for part in 0..PARTS {
        let namespace = format!("crowd-{}", part / 3);
        if part % 3 == 0 {
            subject.namespace(&namespace, events).await?;
        }
        let manifest = deployment(&format!("part-{part}"), managed / PARTS, None);
        subject.apply(&mut connection, &namespace, &manifest).await?;
    }
    let wanted = |e: &crate::engine::Event| e.action == "start" && subject.is_ours(e);
    events.wait(from, managed, 6 * PATIENCE, wanted).await?;
    subject.namespace("changes", events).await?;
    subject.proxy.quiet(Duration::from_secs(5)).await;
    let (mut took, mut own) = (Vec::new(), Vec::new());
    for n in 0..CHANGES {
        let manifest = deployment("first", n + 2, None);
        let (mark, begun, from) = (subject.proxy.mark(), Instant::now(), now());
        subject.apply(&mut connection, "changes", &manifest).await?;
        events
            .first(from, |e| e.action == "start" && subject.is_of(e, "first"))
            .await?;
        let calls = subject.proxy.since(mark);
        let Some(first) = calls.iter().find(|call| call.acts()) else {
            bail!("it started without a call");
        };
        let all = first.began - begun;
        took.push(all.as_secs_f64() * 1e3);
        own.push((all.saturating_sub(engine_time(&calls, begun, first.began))).as_secs_f64() * 1e3);
        subject.settled("changes", "first").await?;
        subject.proxy.quiet(Duration::from_millis(100)).await;
    }
    eprintln!("change among {managed}: {took:.1?}, besides engine time {own:.1?}");
    let resident = subject.memory("VmRSS")? * 1.048_576;
    Ok(vec![
        Row::plain(
            &format!(
                "{managed} containers under management: from a change to the first call that acts, median"
            ),
            Unit::Milliseconds,
            quantile(&took, 0.5),
            Target::None,
            "",
        ),
        Row::plain(
            "- 99th percentile of 100 changes",
            Unit::Milliseconds,
            quantile(&took, 0.99),
            Target::None,
            "",
        ),
        Row::plain(
            "- the same besides engine time, 99th percentile",
            Unit::Milliseconds,
            quantile(&own, 0.99),
            Target::AtMost(50.0),
            "The operator and what it measures share two processors with an engine that is still at work on the change before.",
        ),
        Row::plain(
            "- resident, `standalone`",
            Unit::Megabytes,
            resident,
            Target::AtMost(80.0),
            "The views of containers, and what the allocator keeps after four hundred starts.",
        ),
    ])
}

/// So many deployments applied at once, beside so many containers made by hand.
pub async fn thousand(
    begin: impl AsyncFn(&str) -> Result<Subject>,
    events: &Events,
    floor: &Floor,
    count: usize,
) -> Result<Vec<Row>> {
    let (_, by_hand) = floor.many(count, AT_ONCE, &json!(COMMAND)).await?;
    eprintln!("{count} by hand: {by_hand:.0} ms");
    floor.clear().await?;
    let subject = begin("thousand").await?;
    let mut manifests = Vec::new();
    for part in 0..count.div_ceil(PER_NAMESPACE) {
        let namespace = format!("thousand-{part}");
        subject.namespace(&namespace, events).await?;
        let some = PER_NAMESPACE.min(count - part * PER_NAMESPACE);
        let names: Vec<String> = (0..some).map(|n| format!("one-{n}")).collect();
        secrets(&subject, &namespace, &names).await?;
        manifests.extend(
            names
                .iter()
                .map(|name| (namespace.clone(), deployment(name, 1, Some(name)))),
        );
    }
    subject.proxy.quiet(Duration::from_secs(2)).await;
    let before = subject.memory("VmRSS")?;
    let (mark, from) = (subject.proxy.mark(), now());
    send(&subject, &manifests).await?;
    let sent = between(from, now());
    let wanted = |e: &crate::engine::Event| e.action == "start" && subject.is_ours(e);
    let started = events.wait(from, count, 12 * PATIENCE, wanted).await?;
    let ours = between(from, started.last().context("no start")?.at);
    let calls = subject.proxy.since(mark).len();
    let most = subject.proxy.most_at_once();
    let peak = subject.memory("VmHWM")? * 1.048_576;
    eprintln!(
        "{count} at once: sent in {sent:.0} ms, {ours:.0} ms, {calls} calls, {most} at once, resident before {before:.0}, peak {peak:.0}"
    );
    subject.end().await?;
    Ok(vec![
        Row {
            floor: Some(by_hand / 1e3),
            ..Row::plain(
                &format!("{count} deployments applied at once, until the last one runs"),
                Unit::Seconds,
                ours / 1e3,
                Target::FloorTimes(1.2),
                "As with fifty, and the engine itself becomes slower with each container that it has.",
            )
        },
        Row::plain(
            "- connections to the engine at the same time, at most",
            Unit::Count,
            most as f64,
            Target::AtMost(24.0),
            "Four calls that change something and eight that read are the bound; connections that are being closed count, too.",
        ),
        Row::plain(
            "- resident at its peak, `standalone`",
            Unit::Megabytes,
            peak,
            Target::None,
            "",
        ),
    ])
}
