//! Docker Compose: a project a measurement, on the floor's network, with a secret from a file. Owns its files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::{
    engine::{Events, PATIENCE, between, now},
    floor::Floor,
};

/// The program, and where its projects are.
pub struct Compose {
    program: PathBuf,
    dir: PathBuf,
    network: String,
    socket: PathBuf,
    /// As it says itself.
    pub version: String,
}

impl Compose {
    /// It has to answer with its version.
    pub async fn new(program: &Path, floor: &Floor, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let said = Command::new(program).arg("version").output().await?;
        if !said.status.success() {
            bail!("{} does not run", program.display());
        }
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        fs::write(dir.join("token"), "correct horse battery staple")?;
        Ok(Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            network: floor.network().to_owned(),
            socket: floor.engine.socket.clone(),
            version,
        })
    }

    fn file(&self, project: &str, services: usize) -> Result<PathBuf> {
        let text = super::project(services, &self.network);
        let file = self.dir.join(format!("{project}.yaml"));
        fs::write(&file, text)?;
        Ok(file)
    }

    async fn compose(&self, project: &str, verb: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .env("HOME", &self.dir)
            .arg("--file")
            .arg(self.dir.join(format!("{project}.yaml")))
            .args(["--project-name", project])
            .args(verb)
            .stdin(Stdio::null());
        let said = command.output().await?;
        if !said.status.success() {
            bail!("{verb:?}: {}", String::from_utf8_lossy(&said.stderr).trim());
        }
        Ok(())
    }

    async fn up(&self, project: &str, services: usize, events: &Events) -> Result<f64> {
        self.file(project, services)?;
        let from = now();
        self.compose(project, &["up", "-d"]).await?;
        let started = events
            .wait(from, services, PATIENCE, |e| {
                e.action == "start" && e.has("com.docker.compose.project", project)
            })
            .await?;
        let took = between(from, started.last().map_or(from, |e| e.at));
        self.compose(project, &["down", "--timeout", "0"]).await?;
        Ok(took)
    }

    fn project(&self, name: &str) -> String {
        format!("supercargo-bench-{}-{name}", std::process::id())
    }

    /// `up -d` of a project with one service, until it runs.
    pub async fn one(&self, n: usize, events: &Events) -> Result<f64> {
        self.up(&self.project(&format!("one-{n}")), 1, events).await
    }

    /// `up -d` of a project with so many services, until the last one runs.
    pub async fn many(&self, count: usize, events: &Events) -> Result<f64> {
        self.up(&self.project("many"), count, events).await
    }

    /// Each measurement has removed its own.
    pub async fn end(self) {}
}
