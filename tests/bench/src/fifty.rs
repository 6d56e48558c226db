//! Fifty deployments at once, applying them again, and the host at rest with them: how long, how many calls, how much
//! time and memory. Owns the order; the fifty stay for the two measurements after the first.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    engine::{Events, between, now},
    floor::{AT_ONCE, Floor},
    peers::{Peers, ring::Fifty},
    subject::{COMMAND, Subject, deployment},
    table::{Row, Target, Unit, median, none},
};

const COUNT: usize = 50;
const NAMESPACE: &str = "fifty";
/// Connections over which the fifty are sent.
const SENDERS: usize = 4;

/// Seals and sends so many secrets, named as the deployments that will use them.
pub async fn secrets(subject: &Subject, namespace: &str, names: &[String]) -> Result<()> {
    let mut connection = subject.connect().await?;
    for some in names.chunks(2) {
        let sealed = some.iter().map(|name| subject.seal(namespace, name));
        for manifest in futures::future::try_join_all(sealed).await? {
            subject.put_secret(&mut connection, namespace, &manifest).await?;
        }
    }
    Ok(())
}

/// Sends deployments over a few connections.
pub async fn send(subject: &Subject, all: &[(String, serde_json::Value)]) -> Result<()> {
    let share = all.len().div_ceil(SENDERS).max(1);
    futures::future::try_join_all(all.chunks(share).map(|some| async move {
        let mut connection = subject.connect().await?;
        for (namespace, manifest) in some {
            subject.apply(&mut connection, namespace, manifest).await?;
        }
        anyhow::Ok(())
    }))
    .await
    .map(drop)
}

/// From the first request until the last of the starts, in milliseconds.
async fn at_once(subject: &Subject, events: &Events) -> Result<f64> {
    let namespace = NAMESPACE;
    subject.namespace(namespace, events).await?;
    let names: Vec<String> = (0..COUNT).map(|n| format!("many-{n}")).collect();
    secrets(subject, namespace, &names).await?;
    subject.proxy.quiet(Duration::from_millis(500)).await;
    let manifests: Vec<_> = names
        .iter()
        .map(|name| (namespace.to_owned(), deployment(name, 1, Some(name))))
        .collect();
    let (mark, begun, from) = (subject.proxy.mark(), Instant::now(), now());
    send(subject, &manifests).await?;
    let started = events
        .wait(from, COUNT, crate::engine::PATIENCE, |e| {
            e.action == "start" && subject.is_ours(e)
        })
        .await?;
    let took = between(from, started.last().context("no start")?.at);
    let calls = subject.proxy.since(mark);
    eprintln!(
        "{COUNT} at once: {took:.0} ms, {} calls ({} of them act), {} at once at most",
        calls.len(),
        calls.iter().filter(|call| call.acts()).count(),
        subject.proxy.most_at_once()
    );
    if std::env::var_os("BENCH_CALLS").is_some() {
        eprintln!("{}", subject.proxy.log(mark, begun));
    }
    for name in &names {
        subject.settled(namespace, name).await?;
    }
    Ok(took)
}

/// What Ring's fifty took and cost, or why that is unknown.
pub type Theirs = Result<Fifty, String>;

/// Fifty at once, beside the floor and the peers. Answers with the operator of the last round, whose fifty run on.
pub async fn start(
    begin: impl AsyncFn(&str) -> Result<Subject>,
    events: &Events,
    floor: &Floor,
    peers: &Peers,
    seconds: u64,
) -> Result<(Subject, Theirs, Vec<Row>)> {
    let command = json!(COMMAND);
    let (mut ours, mut four) = (Vec::new(), Vec::new());
    let (_, sequential) = floor.many(COUNT, 1, &command).await?;
    floor.clear().await?;
    let theirs = match &peers.ring {
        Ok(place) => Fifty::of(place, COUNT, seconds, events)
            .await
            .map_err(|why| format!("not measured: {why:#}")),
        Err(why) => Err(why.clone()),
    };
    // The first and the last of the rounds are the floor's, so that what the machine does meanwhile hits both.
    four.push(floor.many(COUNT, AT_ONCE, &command).await?.1);
    floor.clear().await?;
    let subject = begin("fifty-0").await?;
    ours.push(at_once(&subject, events).await?);
    subject.end().await?;
    four.push(floor.many(COUNT, AT_ONCE, &command).await?.1);
    floor.clear().await?;
    let subject = begin("fifty-1").await?;
    ours.push(at_once(&subject, events).await?);
    four.push(floor.many(COUNT, AT_ONCE, &command).await?.1);
    floor.clear().await?;
    eprintln!("floor one by one {sequential:.0}, four at a time {four:.0?}, ours {ours:.0?}");
    let compose = match &peers.compose {
        Ok(compose) => Ok(compose.many(COUNT, events).await? / 1e3),
        Err(why) => Err(why.clone()),
    };
    let swarm = match &peers.swarm {
        Ok(swarm) => Ok(swarm.many(COUNT).await? / 1e3),
        Err(why) => Err(why.clone()),
    };
    let ring = theirs
        .as_ref()
        .map(|theirs| theirs.at_once / 1e3)
        .map_err(Clone::clone);
    let rows = vec![
        Row {
            what: format!("{COUNT} deployments at once, until the last one runs; floor four at a time"),
            unit: Unit::Seconds,
            value: median(&ours) / 1e3,
            floor: Some(median(&four) / 1e3),
            target: Target::FloorTimes(1.1),
            peers: [compose, swarm, ring],
            behind: "The engine is busy all the time in both; the operator's share is its own processor time and what it reads of the engine beside the starts, on the same processors.",
        },
        Row {
            floor: None,
            ..Row::plain(
                "- the floor one by one",
                Unit::Seconds,
                sequential / 1e3,
                Target::None,
                "",
            )
        },
    ];
    Ok((subject, theirs, rows))
}

/// Applies again what runs, unchanged: calls that change something.
pub async fn again(subject: &Subject) -> Result<Row> {
    subject.proxy.quiet(Duration::from_secs(2)).await;
    let mark = subject.proxy.mark();
    let manifests: Vec<_> = (0..COUNT)
        .map(|n| format!("many-{n}"))
        .map(|name| (NAMESPACE.to_owned(), deployment(&name, 1, Some(&name))))
        .collect();
    send(subject, &manifests).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    subject.proxy.quiet(Duration::from_secs(1)).await;
    let acts = subject.proxy.since(mark).into_iter().filter(|call| call.acts());
    let acts: Vec<String> = acts.map(|call| call.line).collect();
    eprintln!("applied again: {acts:?}");
    let row = Row::plain(
        "applying 50 again unchanged: calls that change anything",
        Unit::Count,
        acts.len() as f64,
        Target::AtMost(0.0),
        "It is a fault: nothing that is unchanged may be touched.",
    );
    Ok(Row {
        floor: Some(0.0),
        ..row
    })
}

/// What it costs while nothing happens.
pub async fn idle(subject: &Subject, seconds: u64, theirs: &Theirs) -> Result<Vec<Row>> {
    // The next list of all containers looks at each that has changed; from then on nothing has.
    let mark = subject.proxy.mark();
    let given_up = Instant::now() + crate::engine::PATIENCE;
    let listed = |subject: &Subject| {
        let calls = subject.proxy.since(mark);
        calls
            .iter()
            .any(|call| call.line.starts_with("GET /containers/json"))
    };
    while !listed(subject) && Instant::now() < given_up {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    subject.proxy.quiet(Duration::from_secs(3)).await;
    let (mark, cpu) = (subject.proxy.mark(), subject.cpu()?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let minutes = seconds as f64 / 60.0;
    let calls = subject.proxy.since(mark);
    let cpu = (subject.cpu()? - cpu) / minutes;
    for call in &calls {
        eprintln!("idle: {}", call.line);
    }
    let requests = calls.len() as f64 / minutes;
    let resident = subject.memory("VmRSS")? * 1.048_576;
    let ring = |row: Row, of: fn(&Fifty) -> f64| Row {
        peers: [
            none("-"),
            none("-"),
            theirs.as_ref().map(of).map_err(Clone::clone),
        ],
        ..row
    };
    Ok(vec![
        ring(
            Row::plain(
                "idle, 50 deployments: requests to the engine",
                Unit::Requests,
                requests,
                Target::AtMost(5.0),
                "A full look at the host each minute and questions whether a silent engine is there.",
            ),
            |theirs| theirs.requests,
        ),
        ring(
            Row::plain(
                "idle, 50 deployments: processor time",
                Unit::Processor,
                cpu,
                Target::AtMost(0.1),
                "The reads of that look, and timers of the API server.",
            ),
            |theirs| theirs.processor,
        ),
        ring(
            Row::plain(
                "idle, 50 deployments: resident, `standalone`",
                Unit::Megabytes,
                resident,
                Target::AtMost(40.0),
                "After fifty starts at once the allocator keeps pages that were needed then; what is in use is the store's memory, the watches' copies and the program itself.",
            ),
            |theirs| theirs.resident,
        ),
    ])
}
