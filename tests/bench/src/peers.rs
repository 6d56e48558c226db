//! Others who run containers on one host, measured in the same run where the machine has them; else the word that stands
//! in their column. Owns which there are; each is driven in a file of its own.

use std::{fmt::Write as _, path::PathBuf};

use crate::{
    floor::Floor,
    subject::{COMMAND, IMAGE},
};

pub mod compose;
pub mod ring;
pub mod swarm;

/// How each can be reached, as the script found it: a program, or why there is none.
pub struct Found {
    pub compose: Result<PathBuf, String>,
    pub swarm: Result<PathBuf, String>,
    pub ring: Result<PathBuf, String>,
}

/// A project file of so many services, each with a secret from the file `token` beside it, on a network that is there.
fn project(services: usize, network: &str) -> String {
    let mut text = "services:\n".to_owned();
    for n in 0..services {
        _ = writeln!(
            text,
            "  app-{n}:\n    image: {IMAGE}\n    command: {COMMAND:?}\n    stop_grace_period: 1s\n    secrets: [token-{n}]\n    networks: [there]"
        );
    }
    text.push_str("secrets:\n");
    for n in 0..services {
        _ = writeln!(text, "  token-{n}:\n    file: ./token");
    }
    text + &format!("networks:\n  there:\n    external: true\n    name: {network}\n")
}

/// The peers of this run.
pub struct Peers {
    pub compose: Result<compose::Compose, String>,
    pub swarm: Result<swarm::Swarm, String>,
    pub ring: Result<ring::Place, String>,
}

impl Peers {
    /// Those that are there.
    pub async fn meet(found: &Found, floor: &Floor, dir: &std::path::Path) -> Self {
        let compose = match &found.compose {
            Ok(program) => compose::Compose::new(program, floor, &dir.join("compose"))
                .await
                .map_err(|why| format!("not measured: {why:#}")),
            Err(why) => Err(why.clone()),
        };
        let ring = match &found.ring {
            Ok(program) => ring::Place::new(program, &floor.engine, &dir.join("ring"))
                .map_err(|why| format!("not measured: {why:#}")),
            Err(why) => Err(why.clone()),
        };
        let swarm = match &found.swarm {
            Ok(dockerd) => swarm::Swarm::start(dockerd, &dir.join("swarm"))
                .await
                .map_err(|why| format!("not measured: {why:#}")),
            Err(why) => Err(why.clone()),
        };
        for (name, why) in [
            ("Compose", compose.as_ref().err()),
            ("Swarm", swarm.as_ref().err()),
            ("Ring", ring.as_ref().err()),
        ] {
            if let Some(why) = why {
                eprintln!("{name}: {why}");
            }
        }
        Self { compose, swarm, ring }
    }

    /// What they left is removed.
    pub async fn end(self) {
        if let Ok(compose) = self.compose {
            compose.end().await;
        }
        if let Ok(swarm) = self.swarm {
            swarm.end().await;
        }
    }

    /// What each is, for the head of the page.
    pub fn names(&self) -> [String; 3] {
        [
            self.compose
                .as_ref()
                .map_or_else(Clone::clone, |c| c.version.clone()),
            self.swarm.as_ref().map_or_else(Clone::clone, |_| {
                "one manager on an engine of its own, of the same version".to_owned()
            }),
            self.ring
                .as_ref()
                .map_or_else(Clone::clone, |ring| ring.version.clone()),
        ]
    }
}
