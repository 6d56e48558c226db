//! An image as the engine holds it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What decisions need of a local image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageView {
    /// Its id, `sha256:...`.
    pub id: String,
    /// `repository@sha256:...` for each registry that it came from.
    pub repo_digests: Vec<String>,
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// Its command.
    pub cmd: Vec<String>,
    /// Its user as written in it: empty (root), `uid`, `uid:gid`, or names.
    pub user: String,
}

/// One name of a local image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageTag {
    /// The name, with its tag.
    pub reference: String,
    /// When the image was made.
    pub created: Timestamp,
}
