//! What is in the fake engine, in a form that two runs can be compared by: sorted, by name, without ids, times and
//! addresses, which depend on the way there. Called by tests only.

use std::collections::{BTreeMap, BTreeSet};

use super::{Delivered, Fake};
use crate::state::container::{ContainerSpec, Limits, RunState};

/// Everything in an engine that another way to the same end would leave alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// By name.
    pub containers: BTreeMap<String, ContainerSnapshot>,
    /// Subnets and labels by name, without `bridge`.
    pub networks: BTreeMap<String, (Vec<String>, BTreeMap<String, String>)>,
    /// Labels by name.
    pub volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// What was delivered into volumes, by the volume's name.
    pub delivered: BTreeMap<String, Delivered>,
    /// References of local images.
    pub images: BTreeSet<String>,
}

/// One container in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSnapshot {
    /// What it was made from, under the name and with the labels of that time.
    pub spec: ContainerSpec,
    /// What it is doing.
    pub state: RunState,
    /// The exit code, if it has ended.
    pub exit_code: Option<i64>,
    /// Limits in force.
    pub limits: Limits,
    /// Whether swap is bounded.
    pub swap_bounded: bool,
    /// The engine's restart policy.
    pub restart_policy: String,
    /// Aliases by network.
    pub networks: BTreeMap<String, Vec<String>>,
    /// Digest of each variable's value, by name.
    pub env: BTreeMap<String, String>,
}

impl Fake {
    /// What is in it now.
    #[must_use]
    pub fn world(&self) -> Snapshot {
        let world = self.inside();
        let container = |c: &super::world::Container| ContainerSnapshot {
            spec: c.spec.clone(),
            state: c.view.state,
            exit_code: c.view.exit.as_ref().map(|exit| exit.code),
            limits: c.view.limits,
            swap_bounded: c.view.swap_bounded,
            restart_policy: c.view.restart_policy.clone(),
            networks: c
                .view
                .networks
                .iter()
                .map(|(name, place)| (name.clone(), place.aliases.clone()))
                .collect(),
            env: c.env.clone(),
        };
        let own = world
            .networks
            .values()
            .filter(|network| network.view.name != "bridge");
        Snapshot {
            containers: world
                .containers
                .values()
                .map(|c| (c.view.name.clone(), container(c)))
                .collect(),
            networks: own
                .map(|n| {
                    (
                        n.view.name.clone(),
                        (n.view.subnets.clone(), n.view.labels.clone()),
                    )
                })
                .collect(),
            volumes: world
                .volumes
                .values()
                .map(|v| (v.name.clone(), v.labels.clone()))
                .collect(),
            delivered: world
                .contents
                .iter()
                .map(|(name, content)| (name.clone(), content.delivered()))
                .collect(),
            images: world.registry.references(),
        }
    }
}
