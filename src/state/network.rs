//! A network of ours, wanted and seen, and a container's place on it. Choosing a subnet is `plan`'s.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

/// A bridge network that should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    /// Its name; deterministic.
    pub name: String,
    /// Its subnet in CIDR form, from our own pool: the engine's pools end at about 30 networks.
    pub subnet: String,
    /// Labels that say whose it is.
    pub labels: BTreeMap<String, String>,
}

/// A network as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkView {
    /// The engine's id: 64 hex digits.
    pub id: String,
    /// Its name; two networks may carry the same.
    pub name: String,
    /// Its subnets in CIDR form.
    pub subnets: Vec<String>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
}

/// A container's wish to be on a network under some names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkJoin {
    /// The network's name.
    pub name: String,
    /// Names that other containers on it find this one by.
    pub aliases: Vec<String>,
    /// Its address there; the next free one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}
