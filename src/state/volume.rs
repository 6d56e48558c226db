//! A named volume, wanted and seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A local volume that should exist, or does: the engine keeps nothing else about it that we decide on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name; deterministic.
    pub name: String,
    /// Labels that say whose it is.
    pub labels: BTreeMap<String, String>,
}
