//! Objects and writes of them: what is sent, by how many at once, and how long each took until it was acknowledged.
//! Owns the bodies, which are the same for every server. Called by the measurements.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use futures::future::try_join_all;
use hyper::Method;
use serde_json::json;

use crate::client::{Access, Http};

/// Where things are.
pub const CONFIG_MAPS: &str = "/api/v1/namespaces/bench/configmaps";
pub const WIDGETS: &str = "/apis/bench.supercargo.test/v1/namespaces/bench/widgets";

/// A ConfigMap of about 1 KB.
pub fn config_map(name: &str, version: usize) -> Bytes {
    let filler = "0123456789abcdef".repeat(56);
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "data": {"version": version.to_string(), "filler": filler},
    })
    .to_string()
    .into()
}

/// A custom object of about 1 KB.
pub fn widget(name: &str, version: usize) -> Bytes {
    let parts: Vec<_> = (0..12)
        .map(|n| json!({"name": format!("part-{n}"), "image": "registry.example/team/image:1.2.3", "replicas": n}))
        .collect();
    json!({
        "apiVersion": "bench.supercargo.test/v1", "kind": "Widget", "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"version": version.to_string(), "parts": parts},
    })
    .to_string()
    .into()
}

/// The namespace, and the kind of the custom objects: a list map, defaults, bounds and one CEL rule.
pub async fn prepare(access: &Access) -> Result<()> {
    let mut connection = access.connect(Http::One).await?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}});
    connection
        .post("/api/v1/namespaces", namespace.to_string().into())
        .await?;
    let part = json!({
        "type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "maxLength": 63}, "image": {"type": "string", "maxLength": 255},
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
        },
    });
    let schema = json!({
        "type": "object", "properties": {"spec": {
            "type": "object", "properties": {
                "version": {"type": "string", "maxLength": 32},
                "parts": {"type": "array", "maxItems": 32, "items": part, "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"]},
            },
            "x-kubernetes-validations": [{"rule": "size(self.parts) > 0", "message": "a widget has parts"}],
        }},
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.bench.supercargo.test"},
        "spec": {
            "group": "bench.supercargo.test", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    connection.post(path, definition.to_string().into()).await?;
    while connection.get(WIDGETS).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Writes `count` ConfigMaps named `PREFIX-N`, 32 at a time.
pub async fn fill(access: &Access, prefix: &str, count: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    try_join_all((0..32).map(|_| {
        let (access, next) = (access.clone(), Arc::clone(&next));
        async move {
            let mut connection = access.connect(Http::One).await?;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return anyhow::Ok(());
                }
                connection
                    .post(CONFIG_MAPS, config_map(&format!("{prefix}-{n}"), 0))
                    .await?;
            }
        }
    }))
    .await?;
    Ok(())
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// New objects.
    Create,
    /// One object per writer, again and again.
    Update,
}

/// What came of it.
#[derive(Default, Clone)]
pub struct Outcome {
    /// Acknowledged writes per second.
    pub rate: f64,
    /// How long each took, sorted.
    pub took: Vec<Duration>,
}

/// So many writers, each with a connection of its own and one write at a time, for so long. `round` keeps names apart.
pub async fn write(
    access: &Access,
    what: Write,
    custom: bool,
    writers: usize,
    time: Duration,
    round: &str,
) -> Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    let body = if custom { widget } else { config_map };
    let path = if custom { WIDGETS } else { CONFIG_MAPS };
    let mut connections = Vec::new();
    for n in 0..writers {
        let mut connection = access.connect(Http::One).await?;
        if what == Write::Update {
            let made = connection.post(path, body(&format!("{round}-{n}"), 0)).await?;
            let made: serde_json::Value = serde_json::from_slice(&made)?;
            connections.push((
                connection,
                made["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ));
        } else {
            connections.push((connection, String::new()));
        }
    }
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(n, (mut connection, mut version))| {
            let stop = Arc::clone(&stop);
            let round = round.to_owned();
            tokio::spawn(async move {
                let mut took = Vec::new();
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    at += 1;
                    let from;
                    match what {
                        Write::Create => {
                            let body = body(&format!("{round}-{n}-{at}"), at);
                            from = Instant::now();
                            connection.post(path, body).await?;
                        }
                        Write::Update => {
                            let mut object: serde_json::Value =
                                serde_json::from_slice(&body(&format!("{round}-{n}"), at))?;
                            object["metadata"]["resourceVersion"] = version.clone().into();
                            let path = format!("{path}/{round}-{n}");
                            from = Instant::now();
                            let answer = connection
                                .call(Method::PUT, &path, "application/json", object.to_string().into())
                                .await?;
                            took.push(from.elapsed());
                            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
                            version = answer["metadata"]["resourceVersion"]
                                .as_str()
                                .unwrap_or_default()
                                .to_owned();
                            continue;
                        }
                    }
                    took.push(from.elapsed());
                }
                anyhow::Ok(took)
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut outcome = Outcome::default();
    for task in tasks {
        outcome.took.extend(task.await??);
    }
    outcome.rate = outcome.took.len() as f64 / started.elapsed().as_secs_f64();
    outcome.took.sort();
    Ok(outcome)
}
