//! What a holder has, as it answers: one shelf for each load of the parcel, with everything about its files but their bytes.
//! Digests are under the parcel's key. A holder may be of an older or newer build than the operator: fields are only
//! ever added. Written by `cli` inside the holder; read by `execute`, and compared by [`super::check`].

use serde::{Deserialize, Serialize};

use crate::seal::Digest;

/// The answer to one parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// One for each load, in the order of the parcel.
    pub shelves: Vec<Shelf>,
}

/// A directory of the holder after a load was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Its absolute path in the holder, as in the load.
    pub directory: String,
    /// Whether it is on a tmpfs.
    pub tmpfs: bool,
    /// What is current: the generation that was placed last. None if there is none, or its directory is gone.
    pub generation: Option<String>,
    /// The generation that its users were told of.
    pub told: Option<String>,
    /// Whose the directory is.
    pub user: User,
    /// The permissions of the directory, such as `0o700`.
    pub mode: u32,
    /// The files of the current generation that the directory's links lead to, sorted by path.
    pub files: Vec<SeenFile>,
    /// How many things are there that no delivery made. A holder of an older build does not count them.
    #[serde(default)]
    pub strangers: u64,
}

/// An owner, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// Below the directory, with `/`.
    pub path: String,
    /// Its permissions, such as `0o400`.
    pub mode: u32,
    /// The user whose it is.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes. Part of the secret, as the bytes are: for comparison only, never to be shown.
    pub size: u64,
    /// Keyed digest of path and bytes.
    pub digest: Digest,
}
