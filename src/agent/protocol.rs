//! What operator and agent tell each other: one JSON object a line in both directions. Levels, not edges: an order holds
//! everything that is to be known about a deployment, and repeating one changes nothing, so that whoever lost the stream
//! says it all again. Owns the words; the agent's side is [`super::session`], the operator's is in `controllers`.

use std::{collections::BTreeSet, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::{
    container::ContainerId,
    probe::{Health, Probes},
};

/// The version of these words. An agent of another version is replaced.
pub const VERSION: u32 = 1;
/// The abstract unix socket at which an agent is spoken to. Its network namespace is its own, and so is the name.
pub const SOCKET: &str = "supercargo-agent";
/// No line is longer; a longer one ends the session.
pub const LONGEST_LINE: usize = 4 << 20;

/// One run of a container of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The container.
    pub container: ContainerId,
    /// When this run of it began: another run is asked from the beginning.
    pub started_at: Timestamp,
    /// Its address on the namespace's network.
    pub address: IpAddr,
    /// Whether it may be named at all; false while it is taken out of service before it is stopped.
    pub serving: bool,
    /// What others have found who ask what the agent cannot (commands in the container): false keeps it from being ready.
    pub gate: bool,
    /// What is asked. Contains no command.
    #[serde(default)]
    pub probes: Probes,
    /// What was known before, from which an agent goes on that does not know this run yet.
    pub known: Health,
}

/// What the operator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "order")]
pub enum Order {
    /// All that is to be known about one deployment. Answered with [`Word::Applied`].
    Set {
        /// Its name, by which it is looked up.
        deployment: String,
        /// A number that comes back.
        sequence: u64,
        /// Its running containers.
        members: Vec<Member>,
    },
    /// These are all deployments; others are forgotten, and their names are nobody's.
    Only {
        /// Their names.
        deployments: BTreeSet<String>,
    },
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "word")]
pub enum Word {
    /// The first line of every session.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The namespace whose names it answers for.
        namespace: String,
    },
    /// An order has taken effect: from now on no answer names what it took out of service.
    Applied {
        /// The deployment.
        deployment: String,
        /// The number of the order.
        sequence: u64,
    },
    /// What is known about a container. Said of every member after each [`Order::Set`] that brings it to this session
    /// first, and whenever it changes.
    Health {
        /// The deployment.
        deployment: String,
        /// The container.
        container: ContainerId,
        /// Which run of it.
        started_at: Timestamp,
        /// What is known.
        health: Health,
    },
    /// An order could not be understood; nothing changed.
    Refused {
        /// Why.
        message: String,
    },
}
