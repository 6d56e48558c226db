//! The product under measurement on a real engine: `standalone` with a proxy before Docker, its namespaces, secrets and
//! deployments. Owns what is sent to the API and what is read of `/proc`; what is measured is decided by the callers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    client::{Access, Connection, Http},
    engine::{Engine, PATIENCE},
    proxy::Proxy,
    server::{Program, Server},
};

/// What all containers here are made of and do, ours and the others'.
pub const IMAGE: &str = "supercargo-test/busybox:1";
pub const COMMAND: [&str; 2] = ["sleep", "100000000"];

const LABEL: &str = "supercargo.dev/instance";
const GROUP: &str = "/apis/supercargo.dev/v1alpha1";

/// See the file's header.
pub struct Subject {
    pub server: Server,
    pub proxy: Proxy,
    pub instance: String,
    dir: PathBuf,
    program: PathBuf,
    engine: Engine,
}

impl Subject {
    /// Starts one with a store of its own, and with more flags.
    pub async fn start(program: &Program, dir: &Path, engine: &Engine, more: &[String]) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let instance = fs::read_to_string("/proc/sys/kernel/random/uuid")?
            .trim()
            .to_owned();
        let proxy = Proxy::start(dir.join("docker.sock"), &engine.socket)?;
        let docker = format!("unix://{}", proxy.path.display());
        // A pool of its own: other control planes on this host choose theirs at the same time.
        let flags = ["--docker-host", &docker, "--network-pool", "10.217.0.0/16"];
        let flags = [&flags.map(str::to_owned), more].concat();
        let mut server = Server::with(program, dir.to_owned(), &instance, flags)?;
        server.start().await?;
        let made = Self {
            server,
            proxy,
            instance,
            dir: dir.to_owned(),
            program: program.path().to_owned(),
            engine: engine.clone(),
        };
        made.wait_for_keys().await?;
        Ok(made)
    }

    async fn wait_for_keys(&self) -> Result<()> {
        let given_up = Instant::now() + PATIENCE;
        loop {
            let mut command = self.command();
            let said = command.args(["keys", "public"]).output().await?;
            if said.status.success() {
                fs::write(self.dir.join(".supercargo-keys"), said.stdout)?;
                return Ok(());
            }
            if Instant::now() > given_up {
                bail!(
                    "there are no public keys: {}",
                    String::from_utf8_lossy(&said.stderr)
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.dir)
            .env("KUBECONFIG", self.server.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Ends it and removes all that it made.
    pub async fn end(mut self) -> Result<()> {
        self.server.stop()?;
        self.engine
            .remove_labelled(&format!("{LABEL}={}", self.instance))
            .await
    }

    pub async fn connect(&self) -> Result<Connection> {
        let access: Access = self.server.access()?;
        access.connect(Http::One).await
    }

    /// Whether a container is one of this run.
    pub fn is_of(&self, event: &crate::engine::Event, deployment: &str) -> bool {
        event.has(LABEL, &self.instance) && event.has("supercargo.dev/deployment", deployment)
    }

    /// Whether it is any of this run's, and no agent.
    pub fn is_ours(&self, event: &crate::engine::Event) -> bool {
        event.has(LABEL, &self.instance) && event.about.contains_key("supercargo.dev/deployment")
    }

    /// A namespace with its network and agent: both are there once the first deployment runs. Answers how long that took,
    /// in milliseconds.
    pub async fn namespace(&self, name: &str, events: &crate::engine::Events) -> Result<f64> {
        let mut connection = self.connect().await?;
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        connection
            .post("/api/v1/namespaces", body.to_string().into())
            .await?;
        let from = crate::engine::now();
        self.apply(&mut connection, name, &deployment("first", 1, None))
            .await?;
        let at = events
            .first(from, |e| {
                e.action == "start" && self.is_of(e, "first") && e.has("supercargo.dev/namespace", name)
            })
            .await?;
        self.settled(name, "first").await?;
        self.proxy.quiet(Duration::from_millis(700)).await;
        Ok(crate::engine::between(from, at))
    }

    /// The manifest of a sealed secret with one key, `token`.
    pub async fn seal(&self, namespace: &str, name: &str) -> Result<String> {
        let mut command = self.command();
        command.args(["seal", "--name", name, "--namespace", namespace, "--key", "token"]);
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(b"correct horse battery staple").await?;
        drop(stdin);
        let said = child.wait_with_output().await?;
        if !said.status.success() {
            bail!("seal: {}", String::from_utf8_lossy(&said.stderr));
        }
        Ok(String::from_utf8(said.stdout)?)
    }

    /// The manifest of a sealed secret with these values, which are nobody's.
    pub async fn seal_files(&self, namespace: &str, name: &str, values: &[(&str, &str)]) -> Result<String> {
        let mut command = self.command();
        command.args(["seal", "--name", name, "--namespace", namespace]);
        for (key, value) in values {
            let path = self.dir.join(format!("value-{key}"));
            fs::write(&path, value)?;
            command
                .arg("--from-file")
                .arg(format!("{key}={}", path.display()));
        }
        let said = command.output().await?;
        if !said.status.success() {
            bail!("seal: {}", String::from_utf8_lossy(&said.stderr));
        }
        Ok(String::from_utf8(said.stdout)?)
    }

    /// Sends a sealed secret.
    pub async fn put_secret(
        &self,
        connection: &mut Connection,
        namespace: &str,
        manifest: &str,
    ) -> Result<()> {
        let path = format!("{GROUP}/namespaces/{namespace}/dockersecrets");
        let body = Bytes::from(manifest.to_owned());
        connection
            .call(Method::POST, &path, "application/yaml", body)
            .await
            .map(drop)
    }

    /// Server-side apply of a deployment, as `kubectl apply --server-side` does it.
    pub async fn apply(&self, connection: &mut Connection, namespace: &str, manifest: &Value) -> Result<()> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let path =
            format!("{GROUP}/namespaces/{namespace}/dockerdeployments/{name}?fieldManager=bench&force=true");
        let body = Bytes::from(manifest.to_string());
        connection
            .call(Method::PATCH, &path, "application/apply-patch+yaml", body)
            .await
            .map(drop)
    }

    /// A deployment as it is.
    pub async fn get(&self, connection: &mut Connection, namespace: &str, name: &str) -> Result<Value> {
        let path = format!("{GROUP}/namespaces/{namespace}/dockerdeployments/{name}");
        Ok(serde_json::from_slice(&connection.get(&path).await?)?)
    }

    /// Waits until a condition is what it should be, of the present generation.
    pub async fn condition(&self, namespace: &str, name: &str, kind: &str, status: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        let given_up = Instant::now() + 4 * PATIENCE;
        loop {
            let object = self.get(&mut connection, namespace, name).await?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            let conditions = object["status"]["conditions"].as_array();
            let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
            if current && found.is_some_and(|c| c["status"] == status) {
                return Ok(());
            }
            if Instant::now() > given_up {
                bail!("{namespace}/{name} is not {kind}={status}: {}", object["status"]);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it is Ready.
    pub async fn settled(&self, namespace: &str, name: &str) -> Result<()> {
        self.condition(namespace, name, "Ready", "True").await
    }

    /// Processor time of the process until now, in seconds.
    pub fn cpu(&self) -> Result<f64> {
        cpu(self.server.pid()?)
    }

    /// Resident memory in MiB; `VmHWM` for the most that it ever was.
    pub fn memory(&self, field: &str) -> Result<f64> {
        Ok(self.server.status(field)? as f64 / 1024.0)
    }
}

/// Processor time of a process until now, in seconds.
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(')').context("no stat")?.1;
    let field = |n: usize| rest.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok());
    let (user, system) = (field(11).context("utime")?, field(12).context("stime")?);
    Ok((user + system) / 100.0)
}

/// A deployment, with one value of a secret where there is one.
pub fn deployment(name: &str, replicas: usize, secret: Option<&str>) -> Value {
    let env: Vec<Value> = secret
        .map(|secret| json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}}))
        .into_iter()
        .collect();
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "app", "image": IMAGE, "command": COMMAND, "env": env}],
        }}},
    })
}
