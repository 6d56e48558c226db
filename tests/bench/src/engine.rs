//! A client of the Docker Engine API that knows nothing of the operator: a connection per call over the unix socket, and
//! the engine's own stream of events, whose `timeNano` is the end of every measurement. Owns no order of calls.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::watch,
};

/// How long anything may take before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Nanoseconds since 1970, as the engine stamps its events.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Milliseconds between two such stamps.
pub fn between(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let text = body.map(Value::to_string).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "engine");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    Ok(sender
        .send_request(request.body(Full::new(Bytes::from(text)))?)
        .await?)
}

/// One call on a connection of its own, with JSON in and out; `Null` for an empty answer.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Result<Value> {
    let shown = format!("{method} {path}");
    let answer = send(stream, method, path, headers, body.as_ref()).await?;
    let code = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    if !code.is_success() && code.as_u16() != 304 {
        bail!("{shown}: {code}: {}", String::from_utf8_lossy(&bytes).trim());
    }
    Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// One engine.
#[derive(Clone)]
pub struct Engine {
    pub socket: PathBuf,
}

impl Engine {
    /// The one that `DOCKER_HOST` names, else the usual one.
    pub fn find() -> Result<Self> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let path = host.strip_prefix("unix://");
        let path = path.with_context(|| format!("DOCKER_HOST={host} is no unix socket"))?;
        Ok(Self { socket: path.into() })
    }

    pub fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    async fn connect(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket).await;
        stream.with_context(|| format!("{} does not answer", self.socket.display()))
    }

    /// One call; `Null` for an empty answer. "It is so already" is a success.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        ask(self.connect().await?, method, path, &[], body).await
    }

    /// Creates a container; its id.
    pub async fn create(&self, name: &str, body: Value) -> Result<String> {
        let made = self
            .call(
                Method::POST,
                &format!("/containers/create?name={name}"),
                Some(body),
            )
            .await?;
        Ok(made["Id"].as_str().context("no id")?.to_owned())
    }

    pub async fn start(&self, id: &str) -> Result<()> {
        self.call(Method::POST, &format!("/containers/{id}/start"), None)
            .await
            .map(drop)
    }

    pub async fn kill(&self, id: &str) -> Result<()> {
        self.call(Method::POST, &format!("/containers/{id}/kill"), None)
            .await
            .map(drop)
    }

    /// Removes everything with a label, four at a time.
    pub async fn remove_labelled(&self, label: &str) -> Result<()> {
        let mut ids = self.labelled(label).await?;
        let mut tasks = tokio::task::JoinSet::new();
        while !ids.is_empty() || !tasks.is_empty() {
            while let Some(id) = (tasks.len() < 4).then(|| ids.pop()).flatten() {
                let engine = self.clone();
                tasks.spawn(async move {
                    let path = format!("/containers/{id}?force=1&v=1");
                    // Somebody else may be removing it.
                    _ = engine.call(Method::DELETE, &path, None).await;
                });
            }
            tasks.join_next().await;
        }
        let networks = self
            .call(Method::GET, &format!("/networks?filters={}", filter(label)), None)
            .await?;
        for network in networks.as_array().into_iter().flatten() {
            let id = network["Id"].as_str().unwrap_or_default();
            _ = self.call(Method::DELETE, &format!("/networks/{id}"), None).await;
        }
        let volumes = self
            .call(Method::GET, &format!("/volumes?filters={}", filter(label)), None)
            .await?;
        for volume in volumes["Volumes"].as_array().into_iter().flatten() {
            let name = volume["Name"].as_str().unwrap_or_default();
            _ = self.call(Method::DELETE, &format!("/volumes/{name}"), None).await;
        }
        Ok(())
    }

    /// Removes all containers: of an engine of our own only.
    pub async fn remove_all(&self) -> Result<()> {
        let found = self.call(Method::GET, "/containers/json?all=1", None).await?;
        for container in found.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            _ = self
                .call(Method::DELETE, &format!("/containers/{id}?force=1&v=1"), None)
                .await;
        }
        Ok(())
    }

    /// The ids of containers with a label, in whatever state.
    pub async fn labelled(&self, label: &str) -> Result<Vec<String>> {
        let path = format!("/containers/json?all=1&filters={}", filter(label));
        let found = self.call(Method::GET, &path, None).await?;
        let found = found.as_array().into_iter().flatten();
        Ok(found
            .filter_map(|c| c["Id"].as_str().map(str::to_owned))
            .collect())
    }

    /// The address of a container on its network.
    pub async fn address(&self, id: &str) -> Result<String> {
        let seen = self
            .call(Method::GET, &format!("/containers/{id}/json"), None)
            .await?;
        let networks = seen["NetworkSettings"]["Networks"].as_object();
        let mut places = networks.into_iter().flat_map(serde_json::Map::values);
        let address = places.find_map(|place| place["IPAddress"].as_str());
        Ok(address.context("it has no address")?.to_owned())
    }

    /// Follows what happens to containers from now on.
    pub async fn events(&self) -> Result<Events> {
        let filter = quoted(r#"{"type":["container"],"event":["start","die"]}"#);
        let path = format!("/events?filters={filter}");
        let answer = send(self.connect().await?, Method::GET, &path, &[], None).await?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (told, count) = watch::channel(0);
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut body = answer.into_body();
            let mut open = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                open.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = open.drain(..=end).collect();
                    if let Some(event) = Event::read(&line) {
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        kept.push(event);
                        told.send_replace(kept.len());
                    }
                }
            }
        });
        Ok(Events { seen, count })
    }
}

fn filter(label: &str) -> String {
    quoted(&format!(r#"{{"label":["{label}"]}}"#))
}

fn quoted(text: &str) -> String {
    form(text.as_bytes())
}

fn form(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Something that happened to a container.
#[derive(Debug, Clone)]
pub struct Event {
    pub action: String,
    pub id: String,
    /// The engine's stamp.
    pub at: i64,
    /// Its labels, and what the engine adds.
    pub about: BTreeMap<String, String>,
}

impl Event {
    fn read(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let about = value["Actor"]["Attributes"].as_object()?.iter();
        Some(Self {
            action: value["Action"].as_str()?.to_owned(),
            id: value["Actor"]["ID"].as_str()?.to_owned(),
            at: value["timeNano"].as_i64()?,
            about: about
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        })
    }

    /// Whether it has this label.
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.about.get(key).is_some_and(|found| found == value)
    }
}

/// All events since the beginning of a measurement.
#[derive(Clone)]
pub struct Events {
    seen: Arc<Mutex<Vec<Event>>>,
    count: watch::Receiver<usize>,
}

impl Events {
    /// Waits for `count` events after `since` that are wanted; the last of them by the engine's stamp, and all.
    pub async fn wait(
        &self,
        since: i64,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let mut changes = self.count.clone();
        let found = async {
            loop {
                changes.mark_unchanged();
                let mut found = self.since(since, &wanted);
                if found.len() >= count {
                    found.sort_by_key(|event| event.at);
                    found.truncate(count);
                    return anyhow::Ok(found);
                }
                changes.changed().await.context("the engine's events ended")?;
            }
        };
        match tokio::time::timeout(patience, found).await {
            Ok(found) => found,
            Err(_) => bail!(
                "{} of {count} events in {} s",
                self.since(since, &wanted).len(),
                patience.as_secs()
            ),
        }
    }

    /// What has come until now.
    pub fn since(&self, since: i64, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seen.iter().filter(|event| event.at >= since && wanted(event));
        found.cloned().collect()
    }

    /// The stamp of the first one that is wanted.
    pub async fn first(&self, since: i64, wanted: impl Fn(&Event) -> bool) -> Result<i64> {
        let found = self.wait(since, 1, PATIENCE, wanted).await?;
        Ok(found.first().map_or(since, |event| event.at))
    }
}
