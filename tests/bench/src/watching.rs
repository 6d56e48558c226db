//! Watches: how long a change takes to reach many watchers, and what one that reads nothing costs the writers.
//! Owns the streams. Called by the order of measurements in `main`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use http_body_util::BodyExt;
use hyper::{Method, Response, body::Incoming};
use tokio::sync::mpsc;

use crate::{
    client::{Access, Connection, Http},
    load::{self, CONFIG_MAPS, Outcome, Write},
};

/// Streams of one connection: clients share one among their watches, and servers allow 100 to 250.
const STREAMS: usize = 100;

async fn watch(connection: &mut Connection, query: &str) -> Result<Response<Incoming>> {
    let list = connection.get(&format!("{CONFIG_MAPS}?limit=1")).await?;
    let list: serde_json::Value = serde_json::from_slice(&list)?;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}{query}");
    connection.send(Method::GET, &path, "", bytes::Bytes::new()).await
}

/// The time from sending a write until each of `watchers` has read the event, for each of `changes`; sorted.
pub async fn fan_out(access: &Access, watchers: usize, changes: usize) -> Result<Vec<Duration>> {
    let mut writer = access.connect(Http::One).await?;
    let made = writer.post(CONFIG_MAPS, load::config_map("watched", 0)).await;
    made.context("the watched object")?;
    let (told, mut heard) = mpsc::unbounded_channel::<(usize, Instant)>();
    let told = Arc::new(told);
    let mut connections = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..watchers.div_ceil(STREAMS) {
        let mut connection = access.connect(Http::Two).await?;
        for _ in 0..STREAMS.min(watchers - tasks.len()) {
            let mut stream = watch(&mut connection, "&fieldSelector=metadata.name%3Dwatched")
                .await?
                .into_body();
            let told = Arc::clone(&told);
            tasks.push(tokio::spawn(async move {
                let mut open = Vec::new();
                let mut seen = 0;
                while let Some(Ok(frame)) = stream.frame().await {
                    open.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    // One event is one line.
                    while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                        let now = Instant::now();
                        seen += 1;
                        _ = told.send((seen, now));
                        open.drain(..=end);
                    }
                }
            }));
        }
        connections.push(connection);
    }
    let mut took = Vec::new();
    for change in 1..=changes {
        let path = format!("{CONFIG_MAPS}/watched");
        let from = Instant::now();
        writer
            .call(
                Method::PUT,
                &path,
                "application/json",
                load::config_map("watched", change),
            )
            .await?;
        let mut missing = watchers;
        while missing > 0 {
            let next = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await;
            let (number, at) = next
                .with_context(|| format!("{missing} watchers heard nothing"))?
                .context("ended")?;
            if number == change {
                took.push(at - from);
                missing -= 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        task.abort();
    }
    took.sort();
    Ok(took)
}

/// Sixteen writers beside a watcher that reads nothing.
pub async fn beside_a_slow_one(access: &Access, time: Duration, round: &str) -> Result<Outcome> {
    let mut connection = access.connect(Http::One).await?;
    let unread = watch(&mut connection, "").await?;
    let outcome = load::write(access, Write::Create, false, 16, time, round).await?;
    drop(unread);
    Ok(outcome)
}
