//! What became of one action: vocabulary of the plan, so that whoever reads it need not know who acted.
//! Built by `execute`; read by `status` (what people are told) and `controllers` (when to look again).

use std::time::Duration;

use super::{Action, Why, file_action::FileAction};
use crate::state::{container::ContainerId, fault};

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// It goes on without us; its end wakes the next reconcile.
    UnderWay,
    /// An earlier reconcile began it, and it goes on.
    Joined,
    /// Its precondition no longer holds; the next plan knows better.
    Skipped(Skipped),
    /// The name belongs to a container that is not ours. It was not touched.
    Foreign {
        /// The container that holds the name.
        id: ContainerId,
    },
    /// The engine refused or could not be asked.
    Failed(fault::Error),
}

/// Why an action was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// The container is gone.
    Gone,
    /// The container is another deployment's, another revision's or nobody's.
    NotOurs,
    /// It runs already.
    Running,
}

/// One action and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The action's verb.
    pub verb: &'static str,
    /// What it was done to.
    pub subject: String,
    /// The revision concerned, empty where there is none.
    pub revision: String,
    /// Why.
    pub why: Why,
    /// The image, for pulls and creations.
    pub image: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    pub(crate) fn of(action: &Action, outcome: Outcome, took: Duration) -> Self {
        let (image, revision) = match action {
            Action::Pull { image, .. } => (Some(image.clone()), String::new()),
            Action::Create { spec, .. } => {
                let revision = spec
                    .labels
                    .get(crate::api::keys::label::REVISION)
                    .cloned()
                    .unwrap_or_default();
                (Some(spec.image.clone()), revision)
            }
            Action::Files(FileAction::Deliver { loads, .. }) => {
                let generations: Vec<&str> = loads.iter().map(|load| load.generation.as_str()).collect();
                (None, generations.join(","))
            }
            other => (
                None,
                other.target().map(|t| t.revision.clone()).unwrap_or_default(),
            ),
        };
        let (verb, why) = (action.verb(), action.why());
        Self {
            verb,
            subject: action.subject().to_owned(),
            revision,
            why,
            image,
            outcome,
            took,
        }
    }

    /// Whether the chain must end here.
    #[must_use]
    pub fn ends_chain(&self) -> bool {
        match self.outcome {
            Outcome::Done | Outcome::Skipped(Skipped::Running) => false,
            Outcome::UnderWay
            | Outcome::Joined
            | Outcome::Skipped(Skipped::Gone | Skipped::NotOurs)
            | Outcome::Foreign { .. }
            | Outcome::Failed(_) => true,
        }
    }
}
