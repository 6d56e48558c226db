//! Decisions: desired and observed in, a plan out. Synchronous, total and deterministic: the same two states give the
//! same plan in whatever order the engine listed them, and a plan that has been carried out gives an empty one.
//! Does nothing and knows no engine; `execute` does. Called by `controllers` (step 5) and by `supercargo plan`.
//!
//! A replica's life, seen from here:
//! ```text
//! (missing) --create--> created --start--> running --(its process ends)--> exited --start, after a back-off--> running
//!                          old revision: running --stop--> exited --remove--> (gone)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::state::{
    container::ContainerId,
    desired::Desired,
    observed::{Observed, Replica},
};

pub mod action;
pub mod agent;
pub mod file_action;
pub mod file_sights;
mod file_volumes;
pub mod files;
pub mod heal;
pub mod history;
pub mod hold;
pub mod leave;
pub mod outcome;
pub mod prepare;
pub mod restart;
mod rolling;
pub mod rollout;
pub mod subnet;

#[cfg(test)]
mod files_tests;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rolling_tests;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod simulator_files;

pub use action::{Action, Chain, Plan, Target, Why};
pub use hold::Hold;
use prepare::Prepared;
use rollout::Decision;

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
    /// Containers that no name leads to any more, and since when; the agent has said so.
    pub out_of_service: BTreeMap<ContainerId, Timestamp>,
    /// Containers that have been told to end, and have not yet.
    pub ending: BTreeSet<ContainerId>,
}

impl Inputs {
    /// At this time, with nothing remembered and nothing under way.
    #[must_use]
    pub fn at(now: Timestamp, pool: subnet::Cidr) -> Self {
        Self {
            now,
            restarts: BTreeMap::new(),
            pull: Pull::NotAsked,
            pool,
            out_of_service: BTreeMap::new(),
            ending: BTreeSet::new(),
        }
    }
}

/// Decides what to do now.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, inputs: &Inputs) -> Plan {
    let mut decision = rollout::decide(desired, observed, inputs);
    let mut ensure = Vec::new();
    let mut created = Vec::new();
    let files;
    if !decision.create.is_empty() || !decision.yielding.is_empty() {
        match prepare::prepare(desired, observed, inputs) {
            Prepared::NotYet { chain, hold } => {
                decision.chains.push(chain);
                decision.holds.push(hold);
                files = files::keep(desired, observed, false);
            }
            Prepared::After(needed) => {
                ensure = needed;
                files = files::keep(desired, observed, true);
                make_room(desired, observed, inputs, &mut decision);
                created.clone_from(&decision.create);
            }
        }
    } else {
        files = files::keep(desired, observed, false);
    }
    ensure.extend(files.first);
    let mut chains = decision.chains;
    file_sights::gate(desired, observed, &mut chains, &mut decision.holds);
    chains.extend(files.beside);
    let again = network_again(desired, observed, inputs, &mut chains);
    if network_of(&ensure).is_none() {
        ensure.extend(again);
    }
    let subnet = network_of(&ensure).or_else(|| observed.network.as_ref()?.subnets.first().cloned());
    chains.retain(|chain| !chain.is_empty());
    if let Some(subnet) = subnet.as_deref().filter(|_| desired.replicas > 0) {
        let needed = !created.is_empty() || !observed.replicas.is_empty();
        chains.extend(agent::ensure(desired, observed, subnet).filter(|_| needed));
    }
    // New ones beside what is mended: a container that cannot be started must not keep its successor from coming.
    let create = |slot: &u32| create(desired, observed, *slot, subnet.as_deref());
    chains.extend(created.iter().filter_map(create));
    Plan {
        stages: [ensure, chains, last(desired, observed)]
            .into_iter()
            .filter(|stage| !stage.is_empty())
            .collect(),
        holds: decision.holds,
        withdrawn: decision.withdrawn,
    }
}

/// The subnet of the network that is to be made.
fn network_of(ensure: &[Chain]) -> Option<String> {
    ensure.iter().flatten().find_map(|action| match action {
        Action::EnsureNetwork { network } => Some(network.subnet.clone()),
        _ => None,
    })
}

/// Somebody removed the network while no container of it ran: it comes back before the first one starts. What remembers
/// one that is gone is put on its successor.
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
    let ensure = match prepare::network(desired, observed, inputs) {
        Some(Err(_)) => return Vec::new(),
        Some(Ok(ensure)) => Some(ensure),
        None => None,
    };
    let stays = |replica: &&Replica| ensure.is_some() || observed.stranded.contains(&replica.view.id);
    for chain in chains.iter_mut() {
        let Some(at) = chain.iter().position(|a| matches!(a, Action::Start { .. })) else {
            continue;
        };
        let id = chain.get(at).and_then(Action::target).map(|target| &target.id);
        let replica = observed
            .replicas
            .iter()
            .filter(stays)
            .find(|r| Some(&r.view.id) == id);
        if let Some(replica) = replica.filter(|_| !chain.iter().any(|a| matches!(a, Action::Connect { .. })))
        {
            let rejoin = heal::rejoin(desired, replica);
            chain.splice(at..at, rejoin);
        }
    }
    ensure.map(|ensure| vec![vec![ensure]]).unwrap_or_default()
}

/// Retires what yields; it is not mended first.
fn make_room(desired: &Desired, observed: &Observed, inputs: &Inputs, decision: &mut Decision<'_>) {
    let yielding = std::mem::take(&mut decision.yielding);
    if yielding.is_empty() {
        return;
    }
    for (replica, why) in yielding {
        decision.chains.retain(|chain| {
            !chain
                .iter()
                .any(|a| a.target().is_some_and(|t| t.id == replica.view.id))
        });
        decision
            .holds
            .retain(|hold| !matches!(hold, Hold::BackOff { slot, .. } if *slot == replica.slot));
        leave::leave(desired, observed, inputs, (replica, why), decision);
    }
    decision.holds.push(Hold::Draining);
}

fn create(desired: &Desired, observed: &Observed, slot: u32, subnet: Option<&str>) -> Option<Chain> {
    let mut spec = desired.container(slot).ok()?;
    file_volumes::place(desired, observed, &mut spec);
    if let Some(agent) = subnet.and_then(agent::address) {
        // Twice: the engine's resolver asks each entry once, so that an agent which is being restarted is asked again
        // before somebody who does not know our names denies one (20.10).
        spec.dns = std::iter::repeat_n(agent.into(), 2)
            .chain(desired.dns.iter().copied())
            .collect();
    }
    let name = spec.name.clone();
    let confirm = file_sights::confirm_new(desired, observed, &name);
    let create = Action::Create {
        slot,
        spec: Box::new(spec),
        why: Why::Missing,
    };
    let start = Action::StartCreated { name };
    Some([create, start].into_iter().chain(confirm).collect())
}

/// The namespace's network goes with its last container, and its agent before it.
fn last(desired: &Desired, observed: &Observed) -> Vec<Chain> {
    if desired.replicas > 0 || !observed.replicas.is_empty() || observed.neighbours > 0 {
        return Vec::new();
    }
    let agent = observed.agent.as_ref().map(|agent| Action::RemoveAgent {
        id: agent.id.clone(),
        name: agent.name.clone(),
        why: Why::NeededNoMore,
    });
    let network = observed.network.as_ref().map(|network| Action::RemoveNetwork {
        id: network.id.clone(),
        name: network.name.clone(),
    });
    let chain: Chain = agent.into_iter().chain(network).collect();
    if chain.is_empty() { Vec::new() } else { vec![chain] }
}
