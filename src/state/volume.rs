//! A named volume, wanted and seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::FileUser;

/// A local volume that should exist, or does: the engine keeps nothing else about it that we decide on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name; deterministic.
    pub name: String,
    /// Labels that say whose it is.
    pub labels: BTreeMap<String, String>,
    /// On a tmpfs of this shape; on the host's disk when absent. Not read back from an engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// A tmpfs: bounds of what it may hold, and whose it is. All are options of its mount and cannot change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Bytes at most.
    pub size: u64,
    /// Files, directories and links at most.
    pub inodes: u64,
    /// Whose its root directory is.
    pub user: FileUser,
    /// Permissions of its root directory, such as `0o700`.
    pub mode: u32,
    /// Whether it is kept out of swap; kernels know that from 6.4 on.
    pub noswap: bool,
}
