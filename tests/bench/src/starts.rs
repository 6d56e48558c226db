//! How soon one container runs: applied, killed, or waiting for a secret, each beside the floor and the peers, one after
//! the other in the same round, so that a busy moment of the machine hits all of them. Owns the order of a round.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::{
    engine::{Engine, Events, between, now},
    floor::Floor,
    peers::{
        Peers,
        ring::{self, Ring},
    },
    subject::{Subject, deployment},
    table::{Cell, Row, Target, Unit, median, none},
};

/// What one kind of start took, round by round, in milliseconds.
#[derive(Default)]
struct Took {
    floor: Vec<f64>,
    apply: Vec<f64>,
    kubectl: Vec<f64>,
    die: Vec<f64>,
    kill: Vec<f64>,
    secret: Vec<f64>,
    compose: Vec<f64>,
    swarm: Vec<f64>,
    swarm_kill: Vec<f64>,
    ring: ring::Took,
}

/// What the rounds need.
pub struct Rounds<'a> {
    pub subject: &'a Subject,
    pub engine: &'a Engine,
    pub events: &'a Events,
    pub floor: &'a Floor,
    pub peers: &'a Peers,
    pub kubectl: &'a Path,
    pub dir: PathBuf,
    /// Whether the calls of each round are shown.
    pub verbose: bool,
}

const NAMESPACE: &str = "starts";

impl Rounds<'_> {
    /// So many rounds; the rows.
    pub async fn run(&self, rounds: usize) -> Result<Vec<Row>> {
        let first = self.subject.namespace(NAMESPACE, self.events).await?;
        eprintln!("the first deployment of a namespace: {first:.0} ms");
        let mut took = Took::default();
        for n in 0..rounds {
            took.floor.push(self.floor.one().await?);
            took.apply.push(self.apply(n).await?);
            took.kubectl.push(self.kubectl(n).await?);
            let (die, start) = self.kill(n).await?;
            took.die.push(die);
            took.kill.push(start);
            took.secret.push(self.secret(n).await?);
            if let Ok(compose) = &self.peers.compose {
                took.compose.push(compose.one(n, self.events).await?);
            }
            if let Ok(swarm) = &self.peers.swarm {
                took.swarm.push(swarm.one(n).await?);
                // Its replacement takes six seconds: a few are enough for a median.
                if n < 4 {
                    took.swarm_kill.push(swarm.kill(n).await?);
                }
            }
            took.floor.push(self.floor.one().await?);
        }
        // After the others, since it asks the engine about everything it runs; few, since it looks every ten seconds.
        if let Ok(place) = &self.peers.ring {
            let ring = Ring::start(place, "starts").await?;
            for n in 0..rounds.min(6) {
                took.ring.round(&ring, n, self.events).await?;
            }
            ring.end().await;
        }
        eprintln!(
            "floor {:.0?}\napply {:.0?}\nkubectl {:.0?}\ndie {:.0?}\nkill {:.0?}\nsecret {:.0?}\ncompose {:.0?}\nswarm {:.0?} {:.0?}\nring {:.0?}",
            took.floor,
            took.apply,
            took.kubectl,
            took.die,
            took.kill,
            took.secret,
            took.compose,
            took.swarm,
            took.swarm_kill,
            took.ring
        );
        Ok(self.rows(&took, first))
    }

    fn rows(&self, took: &Took, first: f64) -> Vec<Row> {
        let floor = Some(median(&took.floor));
        let row = |what: &str, value: &[f64], target, peers, behind| Row {
            what: what.to_owned(),
            unit: Unit::Milliseconds,
            value: median(value),
            floor,
            target,
            peers,
            behind,
        };
        let compose = || {
            self.peers
                .compose
                .as_ref()
                .map(|_| median(&took.compose))
                .map_err(Clone::clone)
        };
        let swarm = |values: &[f64]| {
            self.peers
                .swarm
                .as_ref()
                .map(|_| median(values))
                .map_err(Clone::clone)
        };
        let ring = |value: f64| -> Cell { self.peers.ring.as_ref().map(|_| value).map_err(Clone::clone) };
        let [ring_apply, ring_kill, ring_secret] = took.ring.medians().map(ring);
        let here = |cell: Cell, word: &str| if cell.is_ok() { none(word) } else { cell };
        vec![
            row(
                "apply -> running, one secret, median",
                &took.apply,
                Target::FloorPlus(50.0),
                [none("-"), none("-"), ring_apply],
                "Between the request and the engine's first call are two durable writes (the object, our finalizer), two watches and two reads of the engine; what is above that is the engine's, which is busy with what the operator reads beside the start.",
            ),
            row(
                "- from `kubectl apply` (its own start and discovery included); from the peers' client",
                &took.kubectl,
                Target::None,
                [compose(), swarm(&took.swarm), none("-")],
                "",
            ),
            row(
                "kill -> replacement, first crash, median",
                &took.kill,
                Target::FloorPlus(100.0),
                [here(compose(), "never"), swarm(&took.swarm_kill), ring_kill],
                "The time begins before the kill, and the engine tells of the end of a container only when it has taken down its network (the row below); the start in its place is the floor's.",
            ),
            row(
                "- of it the engine's: from the kill to its event `die`",
                &took.die,
                Target::None,
                crate::table::nobody(),
                "",
            ),
            row(
                "missing secret created -> running, median",
                &took.secret,
                Target::FloorPlus(50.0),
                [
                    here(compose(), "never"),
                    here(swarm(&took.swarm), "never"),
                    ring_secret,
                ],
                "As apply -> running, with the secret's watch in place of the deployment's.",
            ),
            Row::plain(
                "first deployment of a namespace, whose network and agent are made, too",
                Unit::Milliseconds,
                first,
                Target::None,
                "",
            ),
        ]
    }

    /// From the request until the start.
    async fn apply(&self, n: usize) -> Result<f64> {
        let name = format!("apply-{n}");
        let mut connection = self.subject.connect().await?;
        let secret = self.subject.seal(NAMESPACE, &name).await?;
        self.subject
            .put_secret(&mut connection, NAMESPACE, &secret)
            .await?;
        self.quiet().await;
        let manifest = deployment(&name, 1, Some(&name));
        let (mark, begun, from) = (self.subject.proxy.mark(), Instant::now(), now());
        self.subject.apply(&mut connection, NAMESPACE, &manifest).await?;
        let at = self.started(from, &name).await?;
        self.settled(&name, mark, begun).await?;
        Ok(between(from, at))
    }

    /// The same from kubectl's start, with the secret in the same file.
    async fn kubectl(&self, n: usize) -> Result<f64> {
        let name = format!("kubectl-{n}");
        let secret = self.subject.seal(NAMESPACE, &name).await?;
        let file = self.dir.join(format!("{name}.yaml"));
        std::fs::write(
            &file,
            format!("{secret}\n---\n{}\n", deployment(&name, 1, Some(&name))),
        )?;
        self.quiet().await;
        let from = now();
        let mut command = Command::new(self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.subject.server.kubeconfig())
            .arg("--cache-dir")
            // Discovery is part of what a person waits for.
            .arg(self.dir.join(format!("discovery-{n}")))
            .args(["-n", NAMESPACE, "apply", "-f"])
            .arg(&file)
            .stdout(Stdio::null());
        if !command.status().await?.success() {
            bail!("kubectl apply failed");
        }
        let at = self.started(from, &name).await?;
        self.subject.settled(NAMESPACE, &name).await?;
        Ok(between(from, at))
    }

    /// From the kill of what `apply` started, until its end and until its replacement.
    async fn kill(&self, n: usize) -> Result<(f64, f64)> {
        let name = format!("apply-{n}");
        let labels = self
            .events
            .since(0, |e| e.action == "start" && self.subject.is_of(e, &name));
        let Some(event) = labels.last() else {
            bail!("{name} has not started")
        };
        self.quiet().await;
        let (mark, begun, from) = (self.subject.proxy.mark(), Instant::now(), now());
        self.engine.kill(&event.id).await?;
        let die = self
            .events
            .first(from, |e| e.action == "die" && self.subject.is_of(e, &name))
            .await?;
        let at = self.started(from, &name).await?;
        self.settled(&name, mark, begun).await?;
        Ok((between(from, die), between(from, at)))
    }

    /// From the request that makes the secret which a deployment waits for.
    async fn secret(&self, n: usize) -> Result<f64> {
        let name = format!("waits-{n}");
        let mut connection = self.subject.connect().await?;
        let secret = self.subject.seal(NAMESPACE, &name).await?;
        self.subject
            .apply(&mut connection, NAMESPACE, &deployment(&name, 1, Some(&name)))
            .await?;
        self.subject
            .condition(NAMESPACE, &name, "SecretsResolved", "False")
            .await?;
        self.quiet().await;
        let (mark, begun, from) = (self.subject.proxy.mark(), Instant::now(), now());
        self.subject
            .put_secret(&mut connection, NAMESPACE, &secret)
            .await?;
        let at = self.started(from, &name).await?;
        self.settled(&name, mark, begun).await?;
        Ok(between(from, at))
    }

    async fn started(&self, from: i64, name: &str) -> Result<i64> {
        self.events
            .first(from, |e| e.action == "start" && self.subject.is_of(e, name))
            .await
    }

    async fn settled(&self, name: &str, mark: usize, begun: Instant) -> Result<()> {
        self.subject.settled(NAMESPACE, name).await?;
        self.quiet().await;
        if self.verbose {
            eprintln!("{name}\n{}", self.subject.proxy.log(mark, begun));
        }
        Ok(())
    }

    async fn quiet(&self) {
        self.subject.proxy.quiet(Duration::from_millis(250)).await;
    }
}
