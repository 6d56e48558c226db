//! Files that a deployment is given: what stands in each of its volumes, for whom, and what has been delivered. Holds
//! slots and fingerprints, never bytes. Made by `secrets` and [`super::build`]; read by `plan`, `execute` and `status`.

use serde::{Deserialize, Serialize};

use super::container::SlotId;

/// Whose a file is, by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileUser {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl std::fmt::Display for FileUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// The files of one volume of the pod, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFiles {
    /// The volume's name in the pod.
    pub volume: String,
    /// Its files, sorted by path.
    pub files: Vec<FileSlot>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSlot {
    /// Below the volume's root, with `/`.
    pub path: String,
    /// Its permissions, such as `0o400`.
    pub mode: u32,
    /// The bytes that belong into it.
    pub slot: SlotId,
    /// Keyed fingerprint of them.
    pub fingerprint: String,
}
