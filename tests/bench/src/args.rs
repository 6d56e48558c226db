//! What the program is told: which programs are measured, where the page goes, and which parts are wanted.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{peers::Found, plane, server::Program};

/// The parts of the table of deployments.
pub const DEPLOYMENTS: [&str; 9] = [
    "starts", "files", "rotation", "values", "fifty", "rollout", "probes", "crowd", "thousand",
];

/// See the file's header.
pub struct Args {
    pub ours: Program,
    /// The other API server, or why there is none.
    pub peer: Result<Program, &'static str>,
    pub peer_name: String,
    pub peers: Found,
    pub kubectl: PathBuf,
    pub dir: PathBuf,
    pub out: Option<PathBuf>,
    /// Only these parts are measured; all when empty.
    pub only: Vec<String>,
    /// How many deployments are applied at once in the last part.
    pub deployments: usize,
    /// How many containers are under management in the part before.
    pub managed: usize,
    /// Rounds of single starts.
    pub rounds: usize,
    /// How long the host is looked at while nothing happens.
    pub idle: u64,
    pub verbose: bool,
}

impl Args {
    /// From the command line.
    pub fn read() -> Result<Self> {
        let absent = |what: &str| Err(format!("not on this machine: {what}"));
        let mut args = Self {
            ours: Program::Ours("supercargo".into()),
            peer: Err("not measured: no peer was given"),
            peer_name: "none".to_owned(),
            peers: Found {
                compose: absent("no program was given"),
                swarm: absent("no dockerd was given"),
                ring: absent("no program was given"),
            },
            kubectl: "kubectl".into(),
            dir: std::env::temp_dir().join(format!("supercargo-bench-{}", std::process::id())),
            out: None,
            only: Vec::new(),
            deployments: 1_000,
            managed: 300,
            rounds: 10,
            idle: 150,
            verbose: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(flag) = given.next() {
            let mut value = || given.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--program" => args.ours = Program::Ours(value()?.into()),
                "--peer" => args.peer = Ok(Program::Peer(value()?.into())),
                "--peer-name" => args.peer_name = value()?,
                "--compose" => args.peers.compose = Ok(value()?.into()),
                "--swarm" => args.peers.swarm = Ok(value()?.into()),
                "--ring" => args.peers.ring = Ok(value()?.into()),
                "--no-compose" => args.peers.compose = Err(value()?),
                "--no-swarm" => args.peers.swarm = Err(value()?),
                "--no-ring" => args.peers.ring = Err(value()?),
                "--kubectl" => args.kubectl = value()?.into(),
                "--write" => args.out = Some(value()?.into()),
                "--only" => args.only.push(value()?),
                "--deployments" => args.deployments = value()?.parse()?,
                "--managed" => args.managed = value()?.parse()?,
                "--rounds" => args.rounds = value()?.parse()?,
                "--idle" => args.idle = value()?.parse()?,
                "--calls" => args.verbose = true,
                _ => bail!(
                    "{flag} is unknown: --program, --peer, --peer-name, --compose, --swarm, --ring, --no-compose, --no-swarm, \
                     --no-ring, --kubectl, --write, --deployments, --managed, --rounds, --idle, --calls, --only ({}, {})",
                    DEPLOYMENTS.join(", "),
                    plane::PARTS.join(", ")
                ),
            }
        }
        let known = |part: &String| DEPLOYMENTS.iter().chain(&plane::PARTS).any(|known| known == part);
        if let Some(part) = args.only.iter().find(|part| !known(part)) {
            bail!(
                "--only {part} is none of {}, {}",
                DEPLOYMENTS.join(", "),
                plane::PARTS.join(", ")
            );
        }
        Ok(args)
    }

    /// Whether a part is to be measured.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}
