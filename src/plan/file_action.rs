//! What can be done about delivered files, as data: a part of [`super::Action`], with the same rules. Holds slots and
//! generations and never bytes. Decided by [`super::files`], done by `execute`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Target, Why};
use crate::state::{
    container::{ContainerId, ContainerSpec},
    files::{FileSlot, FileUser, UserLookup},
    volume::Volume,
};

/// What is to stand in one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// The volume of the engine.
    pub volume: String,
    /// Where its holder has it.
    pub directory: String,
    /// The name of what is to stand there.
    pub generation: String,
    /// The files.
    pub files: Vec<FileSlot>,
    /// Whether nobody need be told of it, because nobody reads it yet.
    pub quiet: bool,
}

/// A volume and where its holder has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The volume of the engine.
    pub volume: String,
    /// Where its holder has it.
    pub directory: String,
}

/// What a container should see of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    /// The volume of the engine.
    pub volume: String,
    /// Where the container has it.
    pub target: String,
    /// What should stand there.
    pub generation: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "file")]
pub enum FileAction {
    /// Finds out the numbers of a user in the image's own lists.
    FindUser {
        /// Which user of which image.
        lookup: UserLookup,
        /// A container that is made for that, never started, and removed.
        spec: Box<ContainerSpec>,
    },
    /// Makes a holder unless it exists, with its image, and starts it unless it runs.
    EnsureHolder {
        /// The container.
        spec: Box<ContainerSpec>,
    },
    /// Makes volumes in a directory of the host, unless they are there, and the record that holds them. Before the first
    /// one the engine is asked whether that directory is of its host.
    EnsureRecord {
        /// The record's path.
        path: String,
        /// What it says: whose the volumes are.
        labels: BTreeMap<String, String>,
        /// Which volume is which of the pod.
        holds: BTreeMap<String, String>,
        /// The volumes, by their paths.
        volumes: Vec<Volume>,
        /// A container that is made to ask the engine, never started, and removed.
        spec: Box<ContainerSpec>,
    },
    /// Starts a holder that exists.
    StartHolder {
        /// The engine's id.
        id: ContainerId,
        /// Its name, for people.
        name: String,
    },
    /// Removes a holder, running or not, or a record.
    RemoveHolder {
        /// The engine's id.
        id: ContainerId,
        /// Its name, for people.
        name: String,
        /// Why.
        why: Why,
    },
    /// Removes volumes that nobody mounts any more.
    RemoveVolumes {
        /// Their names.
        volumes: Vec<String>,
    },
    /// Writes files and reads them back.
    Deliver {
        /// The holder's name.
        holder: String,
        /// Whose the files are.
        user: FileUser,
        /// What is written where.
        loads: Vec<Load>,
        /// Why.
        why: Why,
    },
    /// Looks at what stands there.
    Look {
        /// The holder's name.
        holder: String,
        /// Where to look.
        places: Vec<Place>,
    },
    /// Compares what stands there with what is to stand there, and changes nothing.
    Check {
        /// The holder's name.
        holder: String,
        /// Whose the files are.
        user: FileUser,
        /// What is to stand where.
        loads: Vec<Load>,
    },
    /// Looks whether a container sees what has been delivered.
    Confirm {
        /// The container; absent for the one that the action before it in the chain made.
        target: Option<Target>,
        /// Its name, for people.
        name: String,
        /// What it should see.
        sights: Vec<Sight>,
    },
    /// Tells a container that its files have changed.
    Signal {
        /// The container.
        target: Target,
        /// The signal.
        signal: String,
    },
    /// Notes that the containers have been told.
    NoteTold {
        /// The holder's name.
        holder: String,
        /// The volume.
        place: Place,
        /// Of what.
        generation: String,
    },
}

impl FileAction {
    /// The word for logs.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::FindUser { .. } => "find-user",
            Self::EnsureHolder { .. } => "ensure-holder",
            Self::EnsureRecord { .. } => "ensure-record",
            Self::StartHolder { .. } => "start-holder",
            Self::RemoveHolder { .. } => "remove-holder",
            Self::RemoveVolumes { .. } => "remove-volumes",
            Self::Deliver { .. } => "deliver",
            Self::Look { .. } => "look",
            Self::Check { .. } => "check",
            Self::Confirm { .. } => "confirm",
            Self::Signal { .. } => "signal",
            Self::NoteTold { .. } => "note-told",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::FindUser { lookup, .. } => &lookup.image,
            Self::EnsureHolder { spec } => &spec.name,
            Self::EnsureRecord { path, .. } => path,
            Self::StartHolder { name, .. } | Self::RemoveHolder { name, .. } | Self::Confirm { name, .. } => {
                name
            }
            Self::RemoveVolumes { volumes } => volumes.first().map_or("", String::as_str),
            Self::Deliver { holder, .. }
            | Self::Look { holder, .. }
            | Self::Check { holder, .. }
            | Self::NoteTold { holder, .. } => holder,
            Self::Signal { target, .. } => &target.name,
        }
    }

    /// Why it is done.
    #[must_use]
    pub fn why(&self) -> Why {
        match self {
            Self::RemoveHolder { why, .. } | Self::Deliver { why, .. } => *why,
            Self::FindUser { .. }
            | Self::EnsureHolder { .. }
            | Self::EnsureRecord { .. }
            | Self::StartHolder { .. } => Why::NeededFirst,
            Self::RemoveVolumes { .. } => Why::NeededNoMore,
            Self::Look { .. } | Self::Check { .. } | Self::Confirm { .. } => Why::FilesUnknown,
            Self::Signal { .. } | Self::NoteTold { .. } => Why::FilesChanged,
        }
    }

    /// The existing container that it is about.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Signal { target, .. } => Some(target),
            Self::Confirm { target, .. } => target.as_ref(),
            Self::FindUser { .. }
            | Self::EnsureHolder { .. }
            | Self::EnsureRecord { .. }
            | Self::StartHolder { .. }
            | Self::RemoveHolder { .. }
            | Self::RemoveVolumes { .. }
            | Self::Deliver { .. }
            | Self::Look { .. }
            | Self::Check { .. }
            | Self::NoteTold { .. } => None,
        }
    }
}
