//! What it costs to start with secrets as files: the same deployment without and with them, one after the other in the same
//! round, with a holder and, on a second operator, with a tmpfs of the host. Owns the order of a round.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    engine::{Engine, Events, between, now},
    server::Program,
    subject::{Subject, deployment},
    table::{Row, Target, Unit, median},
};

const NAMESPACE: &str = "files";
const SECRET: &str = "token";

/// A tmpfs of this run, which goes with it.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(path: std::path::PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path)?;
        let said = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=0700,size=64m", "tmpfs"])
            .arg(&path)
            .status()?;
        ensure!(said.success(), "a tmpfs cannot be mounted: {said}");
        Ok(Self(path))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

/// A deployment, with the secret as a file.
pub fn with_files(name: &str, replicas: usize, secret: &str) -> Value {
    let mut manifest = deployment(name, replicas, None);
    manifest["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "files", "secret": {"secretName": secret}}]);
    manifest
}

struct One<'a> {
    subject: &'a Subject,
    events: &'a Events,
}

impl One<'_> {
    async fn prepare(&self) -> Result<()> {
        self.subject.namespace(NAMESPACE, self.events).await?;
        let manifest = self.subject.seal(NAMESPACE, SECRET).await?;
        let mut connection = self.subject.connect().await?;
        self.subject
            .put_secret(&mut connection, NAMESPACE, &manifest)
            .await
    }

    /// Milliseconds from the request until the container runs.
    async fn start(&self, manifest: &Value) -> Result<f64> {
        let name = manifest["metadata"]["name"].as_str().context("no name")?;
        let mut connection = self.subject.connect().await?;
        let from = now();
        self.subject.apply(&mut connection, NAMESPACE, manifest).await?;
        let at = self.events.first(from, |event| {
            event.action == "start"
                && self.subject.is_of(event, name)
                && event.has("supercargo.dev/replica", "0")
        });
        let took = between(from, at.await?);
        self.subject.settled(NAMESPACE, name).await?;
        self.subject
            .proxy
            .quiet(std::time::Duration::from_millis(300))
            .await;
        Ok(took)
    }
}

/// The rows, of so many rounds.
pub async fn run(
    program: &Program,
    dir: &Path,
    engine: &Engine,
    events: &Events,
    rounds: usize,
) -> Result<Vec<Row>> {
    let tmpfs = Tmpfs::mount(dir.join("files-tmpfs"))?;
    let flag = ["--host-tmpfs".to_owned(), tmpfs.0.display().to_string()];
    let held = Subject::start(program, &dir.join("files-held"), engine, &[]).await?;
    let host = Subject::start(program, &dir.join("files-host"), engine, &flag).await?;
    let measured = measure(&held, &host, events, rounds).await;
    held.end().await?;
    host.end().await?;
    measured
}

async fn measure(held: &Subject, host: &Subject, events: &Events, rounds: usize) -> Result<Vec<Row>> {
    let (held, host) = (
        One {
            subject: held,
            events,
        },
        One {
            subject: host,
            events,
        },
    );
    held.prepare().await?;
    host.prepare().await?;
    let [
        mut held_without,
        mut held_with,
        mut host_without,
        mut host_with,
        mut protected,
    ] = [const { Vec::new() }; 5];
    for n in 0..rounds {
        held_without.push(
            held.start(&deployment(&format!("without-{n}"), 1, Some(SECRET)))
                .await?,
        );
        held_with.push(held.start(&with_files(&format!("with-{n}"), 1, SECRET)).await?);
        host_without.push(
            host.start(&deployment(&format!("without-{n}"), 1, Some(SECRET)))
                .await?,
        );
        host_with.push(host.start(&with_files(&format!("with-{n}"), 1, SECRET)).await?);
        let mut shielded = deployment(&format!("protected-{n}"), 1, Some(SECRET));
        shielded["spec"]["secretEnv"] = json!("Protected");
        protected.push(host.start(&shielded).await?);
    }
    eprintln!(
        "held {held_without:.0?} {held_with:.0?}\nhost {host_without:.0?} {host_with:.0?}\nprotected {protected:.0?}"
    );
    let row = |what: &str, with: &[f64], without: &[f64], target, behind| {
        let mut row = Row::plain(what, Unit::Milliseconds, median(with), target, behind);
        row.floor = Some(median(without));
        row
    };
    Ok(vec![
        row(
            "apply -> running, a secret as a file, its holder included; floor: the same with a variable",
            &held_with,
            &held_without,
            Target::FloorTimes(1.6),
            "A holder is a container more, and its start is most of what one costs.",
        ),
        row(
            "- with `--host-tmpfs`",
            &host_with,
            &host_without,
            Target::FloorTimes(1.1),
            "The container is made, started and looked through as always; a bind mount is more than none.",
        ),
        row(
            "- as a protected variable, with `--host-tmpfs`",
            &protected,
            &host_without,
            Target::None,
            "",
        ),
    ])
}
