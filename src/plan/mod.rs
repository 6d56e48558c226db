//! Decisions: desired and observed in, a plan out. Synchronous, total and deterministic: the same two states give the
//! same plan in whatever order the engine listed them, and a plan that has been carried out gives an empty one.
//! Does nothing and knows no engine; `execute` does. Called by `controllers` (step 5) and by `supercargo plan`.
//!
//! A replica's life, seen from here:
//! ```text
//! (missing) --create--> created --start--> running --(its process ends)--> exited --start, after a back-off--> running
//!                          old revision: running --stop--> exited --remove--> (gone)
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::state::{container::ContainerId, desired::Desired, observed::Observed};

pub mod action;
pub mod heal;
pub mod restart;
pub mod rollout;
pub mod subnet;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod properties;

pub use action::{Action, Chain, Hold, Plan, Target, Why};

/// How far the fetching of the wanted image is, as far as this process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// Nobody has asked.
    #[default]
    NotAsked,
    /// Under way.
    Running,
    /// Done, for the containers that are to be made now.
    Done,
    /// Failed; to be tried again at the given time.
    Failed(Timestamp),
}

/// What a decision needs besides the two states.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The time.
    pub now: Timestamp,
    /// What is remembered of each container's restarts; a missing one means zero.
    pub restarts: BTreeMap<ContainerId, restart::Restarts>,
    /// How far the pull is.
    pub pull: Pull,
    /// Where networks get their subnets from.
    pub pool: subnet::Cidr,
}

/// Decides what to do now.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, inputs: &Inputs) -> Plan {
    let verdict = rollout::decide(desired, observed, inputs);
    let mut plan = Plan { stages: Vec::new(), holds: verdict.holds };

    let mut creating = verdict.create;
    if !creating.is_empty() {
        let ready = rollout::prepare(desired, observed, inputs, &mut plan);
        if !ready {
            creating.clear();
        }
    }
    let mut chains = verdict.chains;
    for slot in creating {
        if let Ok(spec) = desired.container(slot) {
            let name = spec.name.clone();
            let create = Action::Create { slot, spec: Box::new(spec), why: Why::Missing };
            chains.push(vec![create, Action::StartCreated { name }]);
        }
    }
    if !chains.is_empty() {
        plan.stages.push(chains);
    }
    if let Some(network) = &observed.network
        && desired.replicas == 0
        && observed.replicas.is_empty()
        && observed.neighbours == 0
    {
        let remove = Action::RemoveNetwork { id: network.id.clone(), name: network.name.clone() };
        plan.stages.push(vec![vec![remove]]);
    }
    plan
}
