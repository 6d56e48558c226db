//! From the answers to a container's probes to what is known about it ([`Health`]): thresholds, the delay before the first
//! question, the startup probe that holds the two others back, and how soon to ask again. Pure: whoever asks (the agent
//! over the network, `controllers` by commands) says what the answer was and when the question was put. Times are ages of
//! the run on a clock that does not jump; only [`Health::ready_since`] is a time of day.

use std::time::Duration;

use jiff::Timestamp;

use crate::state::probe::{Health, Probe, Probes, Role};

/// How soon a container that has never said yes is asked again at first.
const SOONEST: Duration = Duration::from_millis(100);
/// While it has never said yes, the next question comes after this part of the time since the first one, so that being
/// ready is noticed late by no more than that part. The kubelet waits a whole period, which in a rollout is a period per
/// replica.
const PATIENCE: u32 = 8;

/// When its observer came to know a run.
#[derive(Debug, Clone, Copy)]
pub struct Met {
    /// The age of the run then.
    pub age: Duration,
    /// Where in a period the questions to a run that is settled begin, so that a thousand do not come at once.
    pub phase: u32,
}

/// What one probe has said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rung {
    /// The age at which the next question is to be put.
    due: Duration,
    /// The age at which the first was put.
    first: Option<Duration>,
    /// Whether it has ever said yes.
    proven: bool,
    /// Yes in a row.
    yes: u32,
    /// No in a row, of which there is one a period at most, however often it is asked.
    no: u32,
    /// The age to which the last of these belongs.
    counted: Duration,
}

/// What is known about one run of a container, and what to ask it next.
#[derive(Debug, Clone)]
pub struct Ladder {
    probes: Probes,
    /// By role; of a role without a probe it means nothing.
    rungs: [Rung; 3],
    health: Health,
}

impl Ladder {
    /// Begins with what was known before; [`Health::beginning`] where that is nothing.
    #[must_use]
    pub fn new(probes: Probes, started_at: Timestamp, known: &Health, met: Met) -> Self {
        let started = known.started || probes.startup.is_none();
        let ready = started && (known.ready || probes.readiness.is_none());
        let health = Health {
            started,
            ready,
            ready_since: ready.then(|| known.ready_since.unwrap_or(started_at)),
            alive: known.alive,
            message: if ready && known.alive {
                String::new()
            } else {
                known.message.clone()
            },
        };
        let rungs = Role::ALL.map(|role| {
            let probe = probes.get(role);
            probe.map_or_else(Rung::default, |probe| first_rung(role, probe, &health, met))
        });
        Self {
            probes,
            rungs,
            health,
        }
    }

    /// Goes on with other probes from what is known now; a probe that stays keeps what it has counted.
    #[must_use]
    pub fn with(&self, probes: Probes, started_at: Timestamp, met: Met) -> Self {
        let mut next = Self::new(probes, started_at, &self.health, met);
        for role in Role::ALL {
            if next.probes.get(role) == self.probes.get(role) {
                next.rungs[role as usize] = self.rungs[role as usize];
            }
        }
        next
    }

    /// What is asked.
    #[must_use]
    pub const fn probes(&self) -> &Probes {
        &self.probes
    }

    /// What is known.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// The age of the run at which this question is to be put next; none while it is not to be put at all.
    #[must_use]
    pub fn due(&self, role: Role) -> Option<Duration> {
        let asked = match role {
            Role::Startup => self.health.alive && !self.health.started,
            Role::Readiness => self.health.started,
            Role::Liveness => self.health.alive && self.health.started,
        };
        self.probes.get(role).filter(|_| asked)?;
        Some(self.rungs[role as usize].due)
    }

    /// Takes the answer to a question that was put at this age; true if something is known now that was not before.
    /// Answers to questions that are not to be put, such as a late one to the startup probe, are nobody's.
    pub fn told(&mut self, role: Role, asked: Duration, answer: Result<(), String>, now: Timestamp) -> bool {
        let (Some(_), Some(probe)) = (self.due(role), self.probes.get(role)) else {
            return false;
        };
        let rung = &mut self.rungs[role as usize];
        let verdict = match &answer {
            Ok(()) => rung.said_yes(asked, probe),
            Err(_) => rung.said_no(role, asked, probe),
        };
        match answer {
            _ if !verdict => false,
            Ok(()) => self.passed(role, asked, now),
            Err(why) => self.failed(role, &why),
        }
    }

    fn passed(&mut self, role: Role, asked: Duration, now: Timestamp) -> bool {
        match role {
            Role::Liveness => false,
            Role::Startup => {
                self.health.started = true;
                for rung in &mut self.rungs {
                    rung.due = rung.due.max(asked);
                }
                if self.probes.readiness.is_none() {
                    self.becomes_ready(now);
                }
                true
            }
            Role::Readiness => self.becomes_ready(now),
        }
    }

    fn becomes_ready(&mut self, now: Timestamp) -> bool {
        if self.health.ready {
            return false;
        }
        self.health.ready = true;
        self.health.ready_since = Some(now);
        if self.health.alive {
            self.health.message.clear();
        }
        true
    }

    /// Called when its threshold has just been reached, so that the first reason stays and is news once.
    fn failed(&mut self, role: Role, why: &str) -> bool {
        let message = format!("{} probe: {why}", role.as_str());
        let news = match role {
            Role::Startup | Role::Liveness => std::mem::take(&mut self.health.alive),
            Role::Readiness => {
                self.health.ready_since = None;
                std::mem::take(&mut self.health.ready)
            }
        };
        // Why it is to be restarted says more than why it is not ready.
        if role == Role::Readiness && !self.health.alive || self.health.message == message {
            return news;
        }
        self.health.message = message;
        true
    }
}

impl Rung {
    /// True if there have been enough of them now.
    fn said_yes(&mut self, asked: Duration, probe: &Probe) -> bool {
        self.first.get_or_insert(asked);
        self.proven = true;
        self.no = 0;
        self.yes = self.yes.saturating_add(1);
        self.due = asked + period(probe);
        self.yes >= probe.success_threshold
    }

    /// True if with this one there are just enough of them.
    fn said_no(&mut self, role: Role, asked: Duration, probe: &Probe) -> bool {
        let first = *self.first.get_or_insert(asked);
        let period = period(probe);
        let early = !self.proven && role != Role::Liveness;
        let soon = (asked.saturating_sub(first) / PATIENCE).clamp(SOONEST, period);
        self.due = asked + if early { soon } else { period };
        self.yes = 0;
        if self.no == 0 {
            self.counted = asked;
        } else if early && asked < self.counted + period {
            return false;
        } else {
            self.counted += period;
        }
        self.no = self.no.saturating_add(1);
        self.no == probe.failure_threshold.max(1)
    }
}

fn period(probe: &Probe) -> Duration {
    Duration::from_secs(probe.period_seconds.max(1).into())
}

fn first_rung(role: Role, probe: &Probe, health: &Health, met: Met) -> Rung {
    let delay = Duration::from_secs(probe.initial_delay_seconds.into());
    let period = period(probe);
    let proven = match role {
        Role::Startup => health.started,
        Role::Readiness => health.ready,
        Role::Liveness => health.started && met.age > delay + period,
    };
    Rung {
        due: if proven && met.age > delay {
            met.age + period.mul_f64(f64::from(met.phase) / f64::from(u32::MAX))
        } else {
            delay
        },
        proven,
        ..Rung::default()
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
