//! The floor: what the engine itself needs, asked by this program with nothing between. The same image, the same command
//! and a user network, so that what is above it is ours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

use crate::{
    engine::{Engine, Events, PATIENCE, between, now},
    subject::{COMMAND, IMAGE},
};

/// How many at once where there is a choice: more starts no more a second on two processors.
pub const AT_ONCE: usize = 4;

/// Containers on networks of this run.
#[derive(Clone)]
pub struct Floor {
    pub engine: Engine,
    events: Events,
    label: String,
    next: Arc<AtomicUsize>,
    networks: Vec<String>,
}

impl Floor {
    /// With so many networks, of which each takes a thousand containers.
    pub async fn new(engine: &Engine, events: &Events, networks: usize) -> Result<Self> {
        let word = format!("{}-{}", std::process::id(), now() % 1_000_000);
        let mut made = Self {
            engine: engine.clone(),
            events: events.clone(),
            label: word.clone(),
            next: Arc::default(),
            networks: Vec::new(),
        };
        for n in 0..networks {
            let name = format!("supercargo-bench-{word}-{n}");
            let body = json!({
                "Name": name, "CheckDuplicate": true, "Labels": {"supercargo-bench": word},
                "IPAM": {"Config": [{"Subnet": format!("10.218.{}.0/22", n * 4)}]},
            });
            engine.call(Method::POST, "/networks/create", Some(body)).await?;
            made.networks.push(name);
        }
        Ok(made)
    }

    /// Its networks, for those who join them.
    pub fn network(&self) -> &str {
        self.networks.first().map_or("bridge", String::as_str)
    }

    fn body(&self, n: usize, command: &Value) -> Value {
        let network = &self.networks[n % self.networks.len()];
        json!({
            "Image": IMAGE, "Cmd": command, "Env": ["TOKEN=correct horse battery staple"],
            "Labels": {"supercargo-bench": self.label},
            "HostConfig": {"NetworkMode": network},
            "NetworkingConfig": {"EndpointsConfig": {network: {}}},
        })
    }

    /// One container; its id.
    pub async fn run(&self, command: &Value) -> Result<String> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("supercargo-bench-{}-{n}", self.label);
        let id = self.engine.create(&name, self.body(n, command)).await?;
        self.engine.start(&id).await?;
        Ok(id)
    }

    /// Create and start of one, until the engine says that it started.
    pub async fn one(&self) -> Result<f64> {
        let from = now();
        let id = self.run(&json!(COMMAND)).await?;
        let at = self
            .events
            .first(from, |e| e.action == "start" && e.id == id)
            .await?;
        Ok(between(from, at))
    }

    /// So many, some at a time; the ids and the time until the last start, in milliseconds.
    pub async fn many(&self, count: usize, at_once: usize, command: &Value) -> Result<(Vec<String>, f64)> {
        let from = now();
        let mut tasks = tokio::task::JoinSet::new();
        let left = Arc::new(AtomicUsize::new(count));
        for _ in 0..at_once.min(count) {
            let (this, left, command) = (self.clone(), Arc::clone(&left), command.clone());
            tasks.spawn(async move {
                let mut ids = Vec::new();
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_ok()
                {
                    ids.push(this.run(&command).await?);
                }
                anyhow::Ok(ids)
            });
        }
        let mut ids = Vec::new();
        while let Some(done) = tasks.join_next().await {
            ids.extend(done??);
        }
        let label = self.label.clone();
        let started = self
            .events
            .wait(from, count, PATIENCE, |e| {
                e.action == "start" && e.has("supercargo-bench", &label)
            })
            .await?;
        Ok((ids, between(from, started.last().map_or(from, |e| e.at))))
    }

    /// Removes the containers, and keeps the networks.
    pub async fn clear(&self) -> Result<()> {
        let ids = self
            .engine
            .labelled(&format!("supercargo-bench={}", self.label))
            .await?;
        each(ids, |id| {
            let engine = self.engine.clone();
            async move {
                let path = format!("/containers/{id}?force=1&v=1");
                engine.call(Method::DELETE, &path, None).await.map(drop)
            }
        })
        .await
    }

    /// Removes everything.
    pub async fn end(&self) -> Result<()> {
        self.engine
            .remove_labelled(&format!("supercargo-bench={}", self.label))
            .await
    }
}

/// Does something with each, four at a time.
pub async fn each<T, F>(mut all: Vec<T>, act: impl Fn(T) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    while !all.is_empty() || !tasks.is_empty() {
        while let Some(one) = (tasks.len() < AT_ONCE).then(|| all.pop()).flatten() {
            tasks.spawn(act(one));
        }
        if let Some(done) = tasks.join_next().await {
            done??;
        }
    }
    Ok(())
}

/// Waits until a GET is answered with 200.
pub async fn answers(address: &str, port: u16, path: &str) -> Result<()> {
    let given_up = Instant::now() + PATIENCE;
    while Instant::now() < given_up {
        if let Ok(mut stream) = TcpStream::connect((address, port)).await {
            let asked = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
            let mut answer = [0_u8; 64];
            if stream.write_all(asked.as_bytes()).await.is_ok()
                && stream.read(&mut answer).await.is_ok()
                && answer.starts_with(b"HTTP/1.0 200") | answer.starts_with(b"HTTP/1.1 200")
            {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{address}:{port} does not answer")
}
