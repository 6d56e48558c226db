//! What can be done to an engine, as data. An action carries everything that its execution needs, its precondition
//! included, so that `execute` has no meaningful choice left. Serializable, because it holds slots and never plaintext.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{file_action::FileAction, hold::Hold};
use crate::state::{
    container::{ContainerId, ContainerSpec, Limits},
    desired::PullPolicy,
    network::NetworkSpec,
    volume::Volume,
};

/// A container that an action is about, with what must still be true of it right before the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The engine's id: another container under the same name is another target.
    pub id: ContainerId,
    /// Its name when it was seen, for people.
    pub name: String,
    /// The revision on its label, which must still be there.
    pub revision: String,
    /// The owner on its label, which must still be there.
    pub owner_uid: String,
}

/// Why an action is taken; one word in logs and plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// A replica is missing.
    Missing,
    /// Another revision is wanted.
    Replaced,
    /// Fewer replicas are wanted.
    ScaledDown,
    /// The deployment is being deleted.
    Deleted,
    /// Two containers hold one place.
    Duplicate,
    /// The engine half removed it.
    Broken,
    /// Its process ended.
    Exited,
    /// It was made and never started.
    NeverStarted,
    /// Somebody froze it.
    PausedByHand,
    /// Somebody renamed it.
    Renamed,
    /// Somebody changed its limits or restart policy.
    LimitsChanged,
    /// Somebody changed its networks.
    NetworksChanged,
    /// The engine lost the network that it is on.
    NetworkLost,
    /// The first container of the namespace needs it.
    NeededFirst,
    /// The last container of the namespace has gone.
    NeededNoMore,
    /// The image must be fetched first.
    ImageNeeded,
    /// A probe says that it does not work.
    Unhealthy,
    /// It was made by another version.
    Outdated,
    /// What stands in its files is not what is wanted.
    FilesChanged,
    /// Nobody knows what stands in its files.
    FilesUnknown,
    /// Its files are gone.
    FilesLost,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// Makes the namespace's network unless it exists.
    EnsureNetwork {
        /// The network.
        network: NetworkSpec,
    },
    /// Makes the namespace's agent unless it exists, with its image, and starts it unless it runs.
    EnsureAgent {
        /// The container.
        spec: Box<ContainerSpec>,
    },
    /// Removes the namespace's agent, running or not.
    RemoveAgent {
        /// The engine's id.
        id: ContainerId,
        /// Its name, for people.
        name: String,
        /// Why.
        why: Why,
    },
    /// Something about delivered files.
    Files(FileAction),
    /// Makes a data volume unless it exists.
    EnsureVolume {
        /// The volume.
        volume: Volume,
    },
    /// Fetches an image; watched, not waited for.
    Pull {
        /// The reference.
        image: String,
        /// Why it is fetched although it may be present.
        policy: PullPolicy,
    },
    /// Makes a container. Its name must be free.
    Create {
        /// Its place.
        slot: u32,
        /// The container.
        spec: Box<ContainerSpec>,
        /// Why.
        why: Why,
    },
    /// Starts the container that the action before it in the chain made.
    StartCreated {
        /// Its name.
        name: String,
    },
    /// Starts an existing container, which must not be running.
    Start {
        /// The container.
        target: Target,
        /// Why.
        why: Why,
    },
    /// Thaws it.
    Unpause {
        /// The container.
        target: Target,
        /// Why.
        why: Why,
    },
    /// Gives it its name back.
    Rename {
        /// The container.
        target: Target,
        /// Its name.
        to: String,
    },
    /// Sets limits and restart policy again.
    Update {
        /// The container.
        target: Target,
        /// The limits.
        limits: Limits,
    },
    /// Puts it back on its network.
    Connect {
        /// The container.
        target: Target,
        /// The network's name.
        network: String,
        /// Its names there.
        aliases: Vec<String>,
    },
    /// Takes it off a network.
    Disconnect {
        /// The container.
        target: Target,
        /// The network's name.
        network: String,
    },
    /// Asks it to end; watched, not waited for: its end wakes the next reconcile.
    Stop {
        /// The container.
        target: Target,
        /// Seconds until it is killed.
        grace_seconds: i64,
        /// Why.
        why: Why,
    },
    /// Removes it, which must not be running.
    Remove {
        /// The container.
        target: Target,
        /// Why.
        why: Why,
    },
    /// Removes the namespace's network, which must have no endpoints.
    RemoveNetwork {
        /// The engine's id.
        id: String,
        /// Its name, for people.
        name: String,
    },
}

impl Action {
    /// The word for logs, such as `create`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Files(files) => files.verb(),
            Self::EnsureNetwork { .. } => "ensure-network",
            Self::EnsureAgent { .. } => "ensure-agent",
            Self::RemoveAgent { .. } => "remove-agent",
            Self::EnsureVolume { .. } => "ensure-volume",
            Self::Pull { .. } => "pull",
            Self::Create { .. } => "create",
            Self::StartCreated { .. } | Self::Start { .. } => "start",
            Self::Unpause { .. } => "unpause",
            Self::Rename { .. } => "rename",
            Self::Update { .. } => "update",
            Self::Connect { .. } => "connect",
            Self::Disconnect { .. } => "disconnect",
            Self::Stop { .. } => "stop",
            Self::Remove { .. } => "remove",
            Self::RemoveNetwork { .. } => "remove-network",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Files(files) => files.subject(),
            Self::EnsureNetwork { network } => &network.name,
            Self::EnsureVolume { volume } => &volume.name,
            Self::Pull { image, .. } => image,
            Self::Create { spec, .. } | Self::EnsureAgent { spec } => &spec.name,
            Self::StartCreated { name } => name,
            Self::Start { target, .. }
            | Self::Unpause { target, .. }
            | Self::Rename { target, .. }
            | Self::Update { target, .. }
            | Self::Connect { target, .. }
            | Self::Disconnect { target, .. }
            | Self::Stop { target, .. }
            | Self::Remove { target, .. } => &target.name,
            Self::RemoveNetwork { name, .. } | Self::RemoveAgent { name, .. } => name,
        }
    }

    /// Why it is done.
    #[must_use]
    pub fn why(&self) -> Why {
        match self {
            Self::EnsureNetwork { .. } | Self::EnsureVolume { .. } | Self::EnsureAgent { .. } => {
                Why::NeededFirst
            }
            Self::Files(files) => files.why(),
            Self::Pull { .. } => Why::ImageNeeded,
            Self::StartCreated { .. } => Why::Missing,
            Self::Create { why, .. }
            | Self::Start { why, .. }
            | Self::Unpause { why, .. }
            | Self::Stop { why, .. }
            | Self::RemoveAgent { why, .. }
            | Self::Remove { why, .. } => *why,
            Self::Rename { .. } => Why::Renamed,
            Self::Update { .. } => Why::LimitsChanged,
            Self::Connect { .. } | Self::Disconnect { .. } => Why::NetworksChanged,
            Self::RemoveNetwork { .. } => Why::NeededNoMore,
        }
    }

    /// The existing container that it is about.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Start { target, .. }
            | Self::Unpause { target, .. }
            | Self::Rename { target, .. }
            | Self::Update { target, .. }
            | Self::Connect { target, .. }
            | Self::Disconnect { target, .. }
            | Self::Stop { target, .. }
            | Self::Remove { target, .. } => Some(target),
            Self::Files(files) => files.target(),
            Self::EnsureNetwork { .. }
            | Self::EnsureAgent { .. }
            | Self::RemoveAgent { .. }
            | Self::EnsureVolume { .. }
            | Self::Pull { .. }
            | Self::Create { .. }
            | Self::StartCreated { .. }
            | Self::RemoveNetwork { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.verb(), self.subject(), self.why())
    }
}

/// Actions that must follow each other; a failed one ends its chain.
pub type Chain = Vec<Action>;

/// What to do now, in stages: the chains of a stage are independent, and a stage begins when the one before it has
/// ended without a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The stages.
    pub stages: Vec<Vec<Chain>>,
    /// What is wanted and not done now.
    pub holds: Vec<Hold>,
    /// Containers that the deployment's name must not lead to any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withdrawn: BTreeSet<ContainerId>,
}

impl Plan {
    /// All actions, in order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flatten().flatten()
    }

    /// Whether there is nothing to do (though something may be held).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions().next().is_none()
    }

    /// Whether it makes a container or writes or compares files, so that bytes are needed.
    #[must_use]
    pub fn needs_bytes(&self) -> bool {
        let needs = |a: &Action| {
            matches!(
                a,
                Action::Create { .. } | Action::Files(FileAction::Deliver { .. } | FileAction::Check { .. })
            )
        };
        self.actions().any(needs)
    }

    /// Whether it makes a network, whose subnet must not be chosen twice.
    #[must_use]
    pub fn makes_network(&self) -> bool {
        self.actions().any(|a| matches!(a, Action::EnsureNetwork { .. }))
    }

    /// Whether all that it does is to make containers and to start some: what is around them stays as it is.
    #[must_use]
    pub fn only_starts(&self) -> bool {
        self.actions().all(|a| {
            matches!(
                a,
                Action::Create { .. }
                    | Action::StartCreated { .. }
                    | Action::Start { .. }
                    | Action::Files(FileAction::Confirm { .. })
            )
        })
    }

    /// When to look again although nothing happens.
    #[must_use]
    pub fn look_again_at(&self) -> Option<Timestamp> {
        self.holds.iter().filter_map(Hold::until).min()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() && self.holds.is_empty() {
            return f.write_str("nothing to do\n");
        }
        for action in self.actions() {
            writeln!(f, "{action}")?;
        }
        for hold in &self.holds {
            writeln!(f, "{hold}")?;
        }
        Ok(())
    }
}
