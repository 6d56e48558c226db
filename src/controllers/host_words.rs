//! What [`super::host`] says: whom a container belongs to, whom to wake, which agents there are, and since when the engine is
//! away. Data alone.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::keys::label,
    engine::{self, Kind, Op},
    state::container::RunState,
};

/// The object that a container belongs to or holds files for, as its labels say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Namespace of the deployment.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Subject {
    pub(super) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            namespace: labels.get(label::NAMESPACE)?.clone(),
            name: labels
                .get(label::DEPLOYMENT)
                .or_else(|| labels.get(label::HOLDER))?
                .clone(),
        })
    }
}

/// Whom to wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeUp {
    /// One object.
    One(Subject),
    /// All of a namespace: its agent is gone.
    Namespace(String),
    /// All: the engine went away or came back.
    All,
}

/// An agent as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAgent {
    /// The namespace that it answers for.
    pub namespace: String,
    /// What it was made from.
    pub version: String,
    /// Whether it runs.
    pub runs: bool,
}

/// The engine is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Docker Engine has not answered since {since}: {why}")]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// The same on a clock that nobody sets.
    pub began: tokio::time::Instant,
    /// What the last try said.
    pub why: String,
}

/// The word of a state in metrics.
pub(super) fn state_word(state: RunState) -> &'static str {
    use RunState as S;
    match state {
        S::Created => "created",
        S::Running => "running",
        S::Paused => "paused",
        S::Restarting => "restarting",
        S::Removing => "removing",
        S::Exited => "exited",
        S::Dead => "dead",
    }
}

/// The stream of events has ended, which is as good as the engine's absence.
pub(super) fn ended() -> engine::Error {
    engine::Error {
        op: Op::Events,
        subject: String::new(),
        kind: Kind::Unreachable,
        message: "the engine closed its stream of events".to_owned(),
    }
}
