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

use crate::state::{
    container::ContainerId,
    desired::Desired,
    observed::{Observed, Replica},
};

pub mod action;
pub mod heal;
pub mod history;
pub mod outcome;
pub mod prepare;
pub mod restart;
pub mod rollout;
pub mod subnet;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulator;

pub use action::{Action, Chain, Hold, Plan, Target, Why};
use prepare::Prepared;

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
    let decision = rollout::decide(desired, observed, inputs);
    let mut plan = Plan {
        stages: Vec::new(),
        holds: decision.holds,
    };
    let mut ensure = Vec::new();
    let mut chains = decision.chains;
    let mut created = Vec::new();
    if !decision.create.is_empty() || !decision.yielding.is_empty() {
        match prepare::prepare(desired, observed, inputs) {
            Prepared::NotYet { chain, hold } => {
                chains.push(chain);
                plan.holds.push(hold);
            }
            Prepared::After(needed) => {
                ensure = needed;
                make_room(desired, &decision.yielding, &mut chains, &mut plan.holds);
                created = decision
                    .create
                    .iter()
                    .filter_map(|slot| create(desired, *slot))
                    .collect();
            }
        }
    }
    let again = network_again(desired, observed, inputs, &mut chains);
    if !ensure
        .iter()
        .flatten()
        .any(|a| matches!(a, Action::EnsureNetwork { .. }))
    {
        ensure.extend(again);
    }
    chains.retain(|chain| !chain.is_empty());
    // New ones beside what is mended: a container that cannot be started must not keep its successor from coming.
    chains.extend(created);
    plan.stages.extend(
        [ensure, chains, last(desired, observed)]
            .into_iter()
            .filter(|stage| !stage.is_empty()),
    );
    plan
}

/// Somebody removed the network while no container of it ran: it comes back before the first one starts.
fn network_again(
    desired: &Desired,
    observed: &Observed,
    inputs: &Inputs,
    chains: &mut [Chain],
) -> Vec<Chain> {
    let needs = |action: &Action| matches!(action, Action::Start { .. } | Action::Connect { .. });
    if !chains.iter().flatten().any(needs) {
        return Vec::new();
    }
    let Some(Ok(ensure)) = prepare::network(desired, observed, inputs) else {
        return Vec::new();
    };
    for chain in chains.iter_mut() {
        let Some(at) = chain.iter().position(|a| matches!(a, Action::Start { .. })) else {
            continue;
        };
        let id = chain.get(at).and_then(Action::target).map(|target| &target.id);
        let replica = observed.replicas.iter().find(|r| Some(&r.view.id) == id);
        if let Some(replica) = replica.filter(|_| !chain.iter().any(|a| matches!(a, Action::Connect { .. })))
        {
            let rejoin = heal::rejoin(desired, replica);
            chain.splice(at..at, rejoin);
        }
    }
    vec![vec![ensure]]
}

/// Retires what yields; it is not mended first.
fn make_room(
    desired: &Desired,
    yielding: &[(&Replica, Why)],
    chains: &mut Vec<Chain>,
    holds: &mut Vec<Hold>,
) {
    for (replica, why) in yielding {
        chains.retain(|chain| {
            !chain
                .iter()
                .any(|a| a.target().is_some_and(|t| t.id == replica.view.id))
        });
        holds.retain(|hold| !matches!(hold, Hold::BackOff { slot, .. } if *slot == replica.slot));
        chains.push(heal::retire(desired, replica, *why));
    }
    if !yielding.is_empty() {
        holds.push(Hold::Draining);
    }
}

fn create(desired: &Desired, slot: u32) -> Option<Chain> {
    let spec = desired.container(slot).ok()?;
    let name = spec.name.clone();
    let create = Action::Create {
        slot,
        spec: Box::new(spec),
        why: Why::Missing,
    };
    Some(vec![create, Action::StartCreated { name }])
}

/// The namespace's network goes with its last container.
fn last(desired: &Desired, observed: &Observed) -> Vec<Chain> {
    match &observed.network {
        Some(network)
            if desired.replicas == 0 && observed.replicas.is_empty() && observed.neighbours == 0 =>
        {
            vec![vec![Action::RemoveNetwork {
                id: network.id.clone(),
                name: network.name.clone(),
            }]]
        }
        Some(_) | None => Vec::new(),
    }
}
