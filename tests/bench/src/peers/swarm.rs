//! Swarm: one manager on an engine of its own, with a root, a socket and a bridge of its own, since a swarm changes the
//! engine that it is on. That engine leaves the host's packet filter alone. Owns its start and its end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{
    engine::{Engine, Events, PATIENCE, between, now},
    server::end_with_parent,
    subject::{COMMAND, IMAGE},
};

/// The bridge of the second engine, which no other program makes.
const BRIDGE: &str = "scbench0";

/// The engine and its swarm.
pub struct Swarm {
    child: Child,
    dir: PathBuf,
    socket: PathBuf,
    events: Events,
    /// Whether the host had the bridge of all swarms before.
    had_gateway: bool,
}

impl Swarm {
    /// Starts an engine, brings the image into it, and makes the swarm.
    pub async fn start(dockerd: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let had_gateway = Path::new("/sys/class/net/docker_gwbridge").exists();
        if had_gateway {
            bail!("docker_gwbridge exists: another swarm is on this host");
        }
        run("ip", &["link", "add", BRIDGE, "type", "bridge"]).await?;
        run("ip", &["addr", "add", "10.219.255.1/24", "dev", BRIDGE]).await?;
        run("ip", &["link", "set", BRIDGE, "up"]).await?;
        let socket = dir.join("docker.sock");
        let log = fs::File::create(dir.join("dockerd.log"))?;
        let mut command = std::process::Command::new(dockerd);
        let at = |name: &str| dir.join(name).display().to_string();
        command
            .args([
                "--data-root",
                &at("root"),
                "--exec-root",
                &at("exec"),
                "--pidfile",
                &at("pid"),
            ])
            .args([
                "--host",
                &format!("unix://{}", socket.display()),
                "--bridge",
                BRIDGE,
            ])
            .args(["--default-address-pool", "base=10.219.0.0/17,size=24"])
            .args(["--iptables=false", "--ip-masq=false", "--userland-proxy=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        end_with_parent(&mut command);
        let child = command.spawn().context("dockerd does not start")?;
        let engine = Engine::at(&socket);
        let given_up = Instant::now() + PATIENCE;
        while engine.call(hyper::Method::GET, "/_ping", None).await.is_err() {
            if Instant::now() > given_up {
                let mut child = child;
                _ = child.kill();
                _ = child.wait();
                bail!("the second engine does not answer");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let made = Self {
            child,
            dir: dir.to_owned(),
            events: engine.events().await?,
            socket,
            had_gateway,
        };
        if let Err(why) = made.prepare().await {
            made.end().await;
            return Err(why);
        }
        Ok(made)
    }

    async fn prepare(&self) -> Result<()> {
        let image = self.dir.join("image.tar");
        let image = image.display().to_string();
        run("docker", &["save", "-o", &image, IMAGE]).await?;
        self.docker(&["load", "-i", &image]).await?;
        self.docker(&[
            "swarm",
            "init",
            "--advertise-addr",
            "127.0.0.1",
            "--listen-addr",
            "127.0.0.1:23770",
        ])
        .await?;
        fs::write(self.dir.join("token"), "correct horse battery staple")?;
        Ok(())
    }

    async fn docker(&self, args: &[&str]) -> Result<()> {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        finish(command.args(args)).await
    }

    async fn started(&self, from: i64, prefix: &str, count: usize) -> Result<Vec<crate::engine::Event>> {
        let wanted = |e: &crate::engine::Event| {
            let service = e.about.get("com.docker.swarm.service.name");
            e.action == "start" && service.is_some_and(|name| name.starts_with(prefix))
        };
        self.events.wait(from, count, PATIENCE, wanted).await
    }

    /// `service create -d` of a service with a secret, until it runs.
    pub async fn one(&self, n: usize) -> Result<f64> {
        let name = format!("one-{n}");
        let token = self.dir.join("token").display().to_string();
        self.docker(&["secret", "create", &name, &token]).await?;
        let from = now();
        self.docker(&[
            "service",
            "create",
            "-d",
            "--no-resolve-image",
            "--name",
            &name,
            "--secret",
            &name,
            "--stop-grace-period",
            "1s",
            IMAGE,
            COMMAND[0],
            COMMAND[1],
        ])
        .await?;
        let found = self.started(from, &name, 1).await?;
        Ok(between(from, found.last().map_or(from, |e| e.at)))
    }

    /// `docker kill` of what `one` started, until its replacement runs.
    pub async fn kill(&self, n: usize) -> Result<f64> {
        let name = format!("one-{n}");
        let found = self.started(0, &name, 1).await?;
        let id = &found.first().context("it has not started")?.id;
        let from = now();
        Engine::at(&self.socket).kill(id).await?;
        let found = self.started(from, &name, 1).await?;
        Ok(between(from, found.last().map_or(from, |e| e.at)))
    }

    /// `stack deploy` of so many services with a secret each, until the last one runs.
    pub async fn many(&self, count: usize) -> Result<f64> {
        let text = format!("version: \"3.8\"\n{}", super::project(count, "bridge"));
        let file = self.dir.join("stack.yaml");
        fs::write(&file, text)?;
        let file = file.display().to_string();
        let from = now();
        self.docker(&["stack", "deploy", "--resolve-image", "never", "-c", &file, "many"])
            .await?;
        let found = self.started(from, "many_", count).await?;
        let took = between(from, found.last().map_or(from, |e| e.at));
        self.docker(&["stack", "rm", "many"]).await?;
        Ok(took)
    }

    /// Ends the engine; nothing of it stays.
    pub async fn end(mut self) {
        _ = self.docker(&["swarm", "leave", "--force"]).await;
        _ = Engine::at(&self.socket).remove_all().await;
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        // SAFETY: a signal to a child that was not waited for, so that the number is still its.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        _ = self.child.wait();
        for mount in fs::read_to_string("/proc/mounts")
            .unwrap_or_default()
            .lines()
            .rev()
        {
            let path = mount.split(' ').nth(1).unwrap_or_default();
            if Path::new(path).starts_with(&self.dir) {
                _ = run("umount", &["-l", path]).await;
            }
        }
        _ = run("ip", &["link", "del", BRIDGE]).await;
        if !self.had_gateway {
            _ = run("ip", &["link", "del", "docker_gwbridge"]).await;
        }
        _ = fs::remove_dir_all(&self.dir);
    }
}

async fn run(program: &str, args: &[&str]) -> Result<()> {
    finish(Command::new(program).args(args)).await
}

async fn finish(command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output().await?;
    if !said.status.success() {
        bail!("{}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}
