//! All that the agent has been told, and what it has found out since: deployments, their members, the ladder of each.
//! Decides which addresses a name has, which questions are to be put and when, and what is said about a member. Pure: no
//! sockets, no clock. Held by `desk`, where orders, answers to probes and lookups meet.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    ladder::{Ladder, Met},
    protocol::{Member, Word},
};
use crate::state::{
    container::ContainerId,
    probe::{Check, Role},
};

/// A run of a container with one set of probes. With other probes it has another number, so that the answer to what is no
/// longer asked is recognized.
pub type Number = u64;

/// What time it is: of day, which may jump, and since the agent began, which does not.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Of day.
    pub wall: Timestamp,
    /// Since the beginning.
    pub steady: Duration,
}

/// What a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A deployment's, with the addresses of those that may be named; perhaps none.
    Ours(Vec<IpAddr>),
    /// Perhaps a deployment's: not all has been told yet.
    NotYet,
    /// Somebody else's.
    Foreign,
}

/// A question to put now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// To whom: the replica's own address.
    pub address: IpAddr,
    /// What.
    pub check: Check,
    /// How long an answer may take.
    pub patience: Duration,
}

/// One run that is watched.
#[derive(Debug)]
struct Run {
    deployment: String,
    container: ContainerId,
    started_at: Timestamp,
    address: IpAddr,
    serving: bool,
    gate: bool,
    ladder: Ladder,
    /// Its age...
    age: Duration,
    /// ...when it was met, on the steady clock.
    met: Duration,
}

impl Run {
    /// The time at which it has this age; past ones are all alike.
    fn time(&self, age: Duration) -> Duration {
        self.met + age.saturating_sub(self.age)
    }

    fn age_at(&self, steady: Duration) -> Duration {
        self.age + steady.saturating_sub(self.met)
    }

    fn takes(&mut self, member: &Member) {
        self.address = member.address;
        self.serving = member.serving;
        self.gate = member.gate;
    }
}

/// See the file's header.
#[derive(Debug)]
pub struct Roster {
    namespace: String,
    /// Of each deployment its runs, of each run its number.
    deployments: BTreeMap<String, BTreeMap<(ContainerId, Timestamp), Number>>,
    runs: BTreeMap<Number, Run>,
    last: Number,
    /// Whether all deployments have been named once.
    complete: bool,
}

impl Roster {
    /// Knows nothing yet, and that this is so.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_ascii_lowercase(),
            deployments: BTreeMap::new(),
            runs: BTreeMap::new(),
            last: 0,
            complete: false,
        }
    }

    /// The namespace whose names these are.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// All that is to be known about a deployment, in the place of what was. A run that is known keeps what has been found
    /// out about it. Answers with the numbers of those that are watched no longer.
    pub fn set(&mut self, deployment: &str, members: Vec<Member>, now: Moment) -> Vec<Number> {
        let deployment = deployment.to_ascii_lowercase();
        let mut before = self.deployments.remove(&deployment).unwrap_or_default();
        let mut after = BTreeMap::new();
        let mut gone = Vec::new();
        for member in members {
            let key = (member.container.clone(), member.started_at);
            let known = before.remove(&key).or_else(|| after.remove(&key));
            let known = known.and_then(|number| Some((number, self.runs.remove(&number)?)));
            let (number, run) = match known {
                Some((number, mut run)) if *run.ladder.probes() == member.probes => {
                    run.takes(&member);
                    (number, run)
                }
                Some((number, mut run)) => {
                    gone.push(number);
                    run.takes(&member);
                    let met = Met {
                        age: run.age_at(now.steady),
                        phase: phase(&member.container),
                    };
                    run.ladder = run.ladder.with(member.probes, member.started_at, met);
                    (self.number(), run)
                }
                None => (self.number(), met(&deployment, member, now)),
            };
            self.runs.insert(number, run);
            after.insert(key, number);
        }
        self.deployments.insert(deployment, after);
        for number in before.into_values() {
            self.runs.remove(&number);
            gone.push(number);
        }
        gone
    }

    /// These are all deployments. Answers with the numbers of those that are watched no longer.
    pub fn only(&mut self, deployments: &BTreeSet<String>) -> Vec<Number> {
        self.complete = true;
        let kept: BTreeSet<String> = deployments.iter().map(|d| d.to_ascii_lowercase()).collect();
        let mut gone = Vec::new();
        self.deployments.retain(|deployment, runs| {
            let stays = kept.contains(deployment);
            if !stays {
                gone.extend(runs.values());
            }
            stays
        });
        for number in &gone {
            self.runs.remove(number);
        }
        gone
    }

    /// The runs of a deployment.
    pub fn runs_of(&self, deployment: &str) -> impl Iterator<Item = Number> {
        let found = self.deployments.get(&deployment.to_ascii_lowercase());
        found.into_iter().flat_map(|runs| runs.values().copied())
    }

    /// Whether this run is still watched under this number.
    #[must_use]
    pub fn has(&self, number: Number) -> bool {
        self.runs.contains_key(&number)
    }

    /// What a name is that was looked up; in lower case, without a dot at its end.
    #[must_use]
    pub fn find(&self, name: &str) -> Found {
        let short = self.without_suffix(name);
        let known = self.deployments.get(name);
        match (known.or_else(|| self.deployments.get(short?)), short) {
            (Some(runs), _) => Found::Ours(self.addresses(runs.values())),
            (None, Some(_)) if !self.complete => Found::NotYet,
            (None, None) if !self.complete && !name.is_empty() && !name.contains('.') => Found::NotYet,
            (None, _) => Found::Foreign,
        }
    }

    /// `web` of `web.shop`, `web.shop.svc` and `web.shop.svc.cluster.local` in the namespace `shop`.
    fn without_suffix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let name = name
            .strip_suffix(".cluster.local")
            .map_or(Some(name), |rest| rest.ends_with(".svc").then_some(rest))?;
        let name = name.strip_suffix(".svc").unwrap_or(name);
        name.strip_suffix(&self.namespace)?.strip_suffix('.')
    }

    fn addresses<'a>(&self, runs: impl Iterator<Item = &'a Number>) -> Vec<IpAddr> {
        let named: BTreeSet<IpAddr> = runs
            .filter_map(|number| self.runs.get(number))
            .filter(|run| run.serving && run.gate && run.ladder.health().ready)
            .map(|run| run.address)
            .collect();
        named.into_iter().collect()
    }

    /// When this question is to be put next, on the steady clock; none while it is not to be put at all.
    #[must_use]
    pub fn due(&self, number: Number, role: Role) -> Option<Duration> {
        let run = self.runs.get(&number)?;
        run.ladder.due(role).map(|age| run.time(age))
    }

    /// The question, if it is to be put.
    #[must_use]
    pub fn question(&self, number: Number, role: Role) -> Option<Question> {
        self.due(number, role)?;
        let run = self.runs.get(&number)?;
        let probe = run.ladder.probes().get(role)?;
        Some(Question {
            address: run.address,
            check: probe.check.clone(),
            patience: Duration::from_secs(probe.timeout_seconds.max(1).into()),
        })
    }

    /// Takes the answer to a question put at `asked` on the steady clock; true if it changes what is known.
    pub fn told(
        &mut self,
        number: Number,
        role: Role,
        asked: Duration,
        answer: Result<(), String>,
        wall: Timestamp,
    ) -> bool {
        let Some(run) = self.runs.get_mut(&number) else {
            return false;
        };
        let age = run.age_at(asked);
        run.ladder.told(role, age, answer, wall)
    }

    /// What is said about a run.
    #[must_use]
    pub fn word(&self, number: Number) -> Option<Word> {
        let run = self.runs.get(&number)?;
        Some(Word::Health {
            deployment: run.deployment.clone(),
            container: run.container.clone(),
            started_at: run.started_at,
            health: run.ladder.health().clone(),
        })
    }

    fn number(&mut self) -> Number {
        self.last += 1;
        self.last
    }
}

/// A run that is new here. A start in the future is a clock that was set back since, and the run has just begun.
fn met(deployment: &str, member: Member, now: Moment) -> Run {
    let age = Duration::try_from(now.wall.duration_since(member.started_at)).unwrap_or_default();
    let met = Met {
        age,
        phase: phase(&member.container),
    };
    Run {
        deployment: deployment.to_owned(),
        address: member.address,
        serving: member.serving,
        gate: member.gate,
        ladder: Ladder::new(member.probes, member.started_at, &member.known, met),
        container: member.container,
        started_at: member.started_at,
        age,
        met: now.steady,
    }
}

/// The same for the same container always, and spread evenly: FNV-1a, whose last bytes are then carried into all others.
fn phase(container: &ContainerId) -> u32 {
    let bytes = container.as_str().bytes();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ hash >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
