//! Ring: its server on the floor's engine, through a socket that counts requests, asked over its own HTTP API as its client
//! asks it; its timings are its defaults. Owns its process, its directory and what it made.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
};

use crate::{
    engine::{self, Engine, Event, Events, PATIENCE, between, now},
    server::{end_with_parent, status},
    subject::{COMMAND, IMAGE, cpu},
    table::median,
};

const NAMESPACE: &str = "bench";
/// On each container: the id of the deployment.
const LABEL: &str = "ring_deployment";
/// It looks every ten seconds, so a missing secret has been seen after this.
const SEEN: Duration = Duration::from_secs(12);

/// The program, and where its stores are.
pub struct Place {
    program: PathBuf,
    engine: Engine,
    dir: PathBuf,
    /// As it says itself.
    pub version: String,
}

impl Place {
    /// It has to answer with its version.
    pub fn new(program: &Path, engine: &Engine, dir: &Path) -> Result<Self> {
        let said = Command::new(program).arg("--version").output()?;
        if !said.status.success() {
            bail!("{} does not run", program.display());
        }
        Ok(Self {
            program: program.to_owned(),
            engine: engine.clone(),
            dir: dir.to_owned(),
            version: String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        })
    }
}

/// The server and who may ask it. It asks the engine about everything all the time, so none runs while others are measured.
pub struct Ring {
    child: Child,
    port: u16,
    token: String,
    engine: Engine,
    asked: Arc<AtomicUsize>,
}

/// So many deployments at once, and what it costs while nothing happens to them.
pub struct Fifty {
    /// Until the last one runs, in milliseconds.
    pub at_once: f64,
    /// To the engine, a minute.
    pub requests: f64,
    /// Seconds of a processor, a minute.
    pub processor: f64,
    /// In MB.
    pub resident: f64,
}

impl Ring {
    /// Starts it with a store of its own, of that name.
    pub async fn start(place: &Place, name: &str) -> Result<Self> {
        let (engine, dir) = (&place.engine, &place.dir.join(name));
        fs::create_dir_all(dir)?;
        let socket = dir.join("docker.sock");
        let asked = counting(&socket, &engine.socket)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = format!(
            "[contexts.default]\ncurrent = true\nhost = \"127.0.0.1\"\napi.scheme = \"http\"\napi.port = {port}\nuser.salt = \"bench\"\n\n\
             [server.runtime.docker]\nenabled = true\nhost = \"unix://{}\"\n",
            socket.display()
        );
        fs::write(dir.join("config.toml"), config)?;
        let log = fs::File::create(dir.join("log"))?;
        let mut command = Command::new(&place.program);
        command
            .args(["server", "start"])
            .current_dir(dir)
            .env("HOME", dir)
            .env("RING_CONFIG_DIR", dir)
            .env("RING_DATABASE_PATH", dir.join("ring.db"))
            .env("RING_SECRET_KEY", Base64::encode_string(&[7; 32]))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        end_with_parent(&mut command);
        let mut ring = Self {
            child: command.spawn()?,
            port,
            token: String::new(),
            engine: engine.clone(),
            asked,
        };
        let given_up = Instant::now() + Duration::from_secs(30);
        while ring.call(Method::GET, "/healthz", None).await.is_err() {
            if Instant::now() > given_up {
                bail!(
                    "it does not answer: {}",
                    fs::read_to_string(dir.join("log"))?.trim()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let account = json!({"username": "admin", "password": "changeme"});
        let said = ring.call(Method::POST, "/login", Some(account)).await?;
        said["token"]
            .as_str()
            .context("no token")?
            .clone_into(&mut ring.token);
        let namespace = json!({"name": NAMESPACE});
        ring.call(Method::POST, "/namespaces", Some(namespace)).await?;
        Ok(ring)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let bearer = format!("Bearer {}", self.token);
        engine::ask(stream, method, path, &[("authorization", &bearer)], body).await
    }

    async fn secret(&self, name: &str) -> Result<()> {
        let secret = json!({"namespace": NAMESPACE, "name": name, "value": "correct horse battery staple"});
        self.call(Method::POST, "/secrets", Some(secret)).await.map(drop)
    }

    /// Its id.
    async fn deploy(&self, name: &str) -> Result<String> {
        let deployment = json!({
            "name": name, "namespace": NAMESPACE, "runtime": "docker", "image": IMAGE, "replicas": 1,
            "command": COMMAND, "config": {"image_pull_policy": "Never"},
            "environment": {"TOKEN": {"secretRef": name}},
        });
        let made = self.call(Method::POST, "/deployments", Some(deployment)).await?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    async fn started(&self, events: &Events, from: i64, id: &str) -> Result<Event> {
        let is_it = |e: &Event| e.action == "start" && e.has(LABEL, id);
        let found = events.wait(from, 1, PATIENCE, is_it).await?;
        found.into_iter().next().context("no start")
    }

    /// From the request to the start, and from the kill of that container to its replacement, each in milliseconds.
    pub async fn one(&self, n: usize, events: &Events) -> Result<(f64, f64)> {
        let name = format!("one-{n}");
        self.secret(&name).await?;
        let from = now();
        let id = self.deploy(&name).await?;
        let start = self.started(events, from, &id).await?;
        let apply = between(from, start.at);
        // It says that one runs after three quarters of a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let from = now();
        self.engine.kill(&start.id).await?;
        let again = self.started(events, from, &id).await?;
        Ok((apply, between(from, again.at)))
    }

    /// From the request that makes the secret which a deployment waits for.
    pub async fn waits(&self, n: usize, events: &Events) -> Result<f64> {
        let name = format!("waits-{n}");
        let id = self.deploy(&name).await?;
        tokio::time::sleep(SEEN).await;
        let from = now();
        self.secret(&name).await?;
        Ok(between(from, self.started(events, from, &id).await?.at))
    }

    /// So many at once, until the last one runs, in milliseconds; they run on.
    async fn many(&self, count: usize, events: &Events) -> Result<f64> {
        let names: Vec<String> = (0..count).map(|n| format!("many-{n}")).collect();
        for name in &names {
            self.secret(name).await?;
        }
        let from = now();
        let mut ids = Vec::new();
        for name in &names {
            ids.push(self.deploy(name).await?);
        }
        let is_one = |e: &Event| e.action == "start" && ids.iter().any(|id| e.has(LABEL, id));
        let found = events.wait(from, count, 3 * PATIENCE, is_one).await?;
        Ok(between(from, found.last().context("no start")?.at))
    }

    async fn fifty(&self, count: usize, seconds: u64, events: &Events) -> Result<Fifty> {
        let at_once = self.many(count, events).await?;
        tokio::time::sleep(Duration::from_secs(15)).await;
        let pid = self.child.id();
        let (asked, used) = (self.asked.load(Ordering::Relaxed), cpu(pid)?);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let minutes = seconds as f64 / 60.0;
        Ok(Fifty {
            at_once,
            requests: (self.asked.load(Ordering::Relaxed) - asked) as f64 / minutes,
            processor: (cpu(pid)? - used) / minutes,
            resident: status(pid, "VmRSS")? as f64 * 1_024e-6,
        })
    }

    /// It and all that it made is removed.
    pub async fn end(mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if let Err(why) = self.engine.remove_labelled(LABEL).await {
            eprintln!("what Ring made is left: {why:#}");
        }
        _ = self
            .engine
            .call(Method::DELETE, &format!("/networks/ring_{NAMESPACE}"), None)
            .await;
    }
}

impl Fifty {
    /// With a server of its own, which is gone afterwards.
    pub async fn of(place: &Place, count: usize, seconds: u64, events: &Events) -> Result<Self> {
        let ring = Ring::start(place, "fifty").await?;
        let measured = ring.fifty(count, seconds, events).await;
        ring.end().await;
        measured
    }
}

/// A socket before the engine's that counts the requests that go through it, on whatever connection.
fn counting(path: &Path, engine: &Path) -> Result<Arc<AtomicUsize>> {
    let listener = UnixListener::bind(path)?;
    let (asked, engine) = (Arc::new(AtomicUsize::new(0)), engine.to_owned());
    let shared = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = UnixStream::connect(&engine).await else {
                continue;
            };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let asked = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut some = vec![0_u8; 16 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut some).await {
                    let part = some.get(..read).unwrap_or_default();
                    let heads = part.windows(11).filter(|w| *w == b" HTTP/1.1\r\n").count();
                    asked.fetch_add(heads, Ordering::Relaxed);
                    if to_server.write_all(part).await.is_err() {
                        return;
                    }
                }
            });
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        }
    });
    Ok(asked)
}

/// What its rounds took, in milliseconds.
#[derive(Debug, Default)]
pub struct Took {
    apply: Vec<f64>,
    kill: Vec<f64>,
    secret: Vec<f64>,
}

impl Took {
    /// One round more.
    pub async fn round(&mut self, ring: &Ring, n: usize, events: &Events) -> Result<()> {
        let (apply, kill) = ring.one(n, events).await?;
        self.apply.push(apply);
        self.kill.push(kill);
        self.secret.push(ring.waits(n, events).await?);
        Ok(())
    }

    /// Medians of apply, kill and missing secret.
    pub fn medians(&self) -> [f64; 3] {
        [&self.apply, &self.kill, &self.secret].map(|values| median(values))
    }
}
