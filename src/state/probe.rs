//! Probes and what they found: how a container is asked whether it has started, is ready and is alive
//! ([`Probes`]), and the answer so far ([`Health`]). Nouns only: asking is the agent's (`agent`) and, for commands inside
//! a container, the controllers'; what follows from an answer is decided by `plan`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How one question is put.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Check {
    /// `GET path`; a status from 200 to 399 is a yes. Redirects are not followed. Only ever sent to the replica's own
    /// address, whatever the host header says.
    Http {
        /// Whether TLS is spoken; certificates are not verified, as the kubelet does.
        tls: bool,
        /// 1 to 65535.
        port: u16,
        /// With a leading slash, query included.
        path: String,
        /// Headers in order; `Host` among them replaces the default one, which is `address:port`.
        headers: Vec<(String, String)>,
    },
    /// A connection that is accepted is a yes.
    Tcp {
        /// 1 to 65535.
        port: u16,
    },
    /// A command inside the container; exit code 0 is a yes. Never sent to the agent.
    Exec {
        /// The command and its arguments, without a shell.
        command: Vec<String>,
    },
}

/// One probe, with its figures as in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The question.
    pub check: Check,
    /// Seconds after the start of the container before the first question.
    pub initial_delay_seconds: u32,
    /// Seconds from one question to the next; at least 1.
    pub period_seconds: u32,
    /// Seconds until a question without an answer counts as a no; at least 1.
    pub timeout_seconds: u32,
    /// How many yes in a row after a no; at least 1, and 1 for startup and liveness.
    pub success_threshold: u32,
    /// How many no in a row after a yes; at least 1.
    pub failure_threshold: u32,
}

/// The probes of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// While it has not said yes, the two others are not asked; when it fails, the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// While it says no, the container is not among its deployment's names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// When it fails, the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Seconds between the stop signal and the kill where a probe demands a restart and says so itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grace_seconds: BTreeMap<Role, i64>,
}

/// Which of the three probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Has it started?
    Startup,
    /// May it be sent traffic?
    Readiness,
    /// Does it still work?
    Liveness,
}

impl Role {
    /// All three, in the order in which they matter.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// The word in messages, such as `startup`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

impl Probes {
    /// The probe of this role.
    #[must_use]
    pub const fn get(&self, role: Role) -> Option<&Probe> {
        match role {
            Role::Startup => self.startup.as_ref(),
            Role::Readiness => self.readiness.as_ref(),
            Role::Liveness => self.liveness.as_ref(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.startup.is_none() && self.readiness.is_none() && self.liveness.is_none()
    }
}

/// What the probes have found about one run of a container. It changes only when a threshold is crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether it has started: its startup probe has said yes, or it has none.
    pub started: bool,
    /// Whether it may be sent traffic: it has started, and its readiness probe says yes or it has none.
    pub ready: bool,
    /// Since when it has been ready without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    /// False once its startup or liveness probe has failed: it is to be restarted. Never true again in this run.
    pub alive: bool,
    /// Why not, such as `readiness probe: GET /ready answered 503`; empty while everything is well or not known yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Health {
    /// What two observers know who asked different things: yes is what both say.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let ready = self.ready && other.ready;
        Self {
            started: self.started && other.started,
            ready,
            ready_since: self.ready_since.max(other.ready_since).filter(|_| ready),
            alive: self.alive && other.alive,
            message: if self.message.is_empty() {
                other.message.clone()
            } else {
                self.message.clone()
            },
        }
    }

    /// What is said otherwise now: which probe, and whether it says yes.
    #[must_use]
    pub fn changes_to(&self, now: &Self) -> Vec<(Role, bool)> {
        let mut changes = Vec::new();
        if now.started && !self.started {
            changes.push((Role::Startup, true));
        }
        if now.ready != self.ready {
            changes.push((Role::Readiness, now.ready));
        }
        if self.alive && !now.alive {
            let role = if now.started {
                Role::Liveness
            } else {
                Role::Startup
            };
            changes.push((role, false));
        }
        changes
    }

    /// Of a container whose run has just begun: not asked yet.
    #[must_use]
    pub fn beginning(probes: &Probes, started_at: Option<Timestamp>) -> Self {
        let started = probes.startup.is_none();
        let ready = started && probes.readiness.is_none();
        Self {
            started,
            ready,
            ready_since: started_at.filter(|_| ready),
            alive: true,
            message: String::new(),
        }
    }
}
