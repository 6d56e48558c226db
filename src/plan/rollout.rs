//! Which containers stay, which go and which come: places, revisions, and the order in which one gives way to another.
//! One replica at a time is in transition; the next one waits until this one is available. What is blocked (unresolved
//! secret, invalid object, pause) creates nothing and takes nothing away; restarts and scale go on all the same.

use std::collections::BTreeMap;

use super::{
    Action, Chain, Hold, Inputs, Plan, Pull, Why,
    heal::{self, Verdict},
    subnet,
};
use crate::state::{
    container::RunState,
    desired::{Desired, PullPolicy, Rollout, Template},
    network::NetworkSpec,
    observed::{Observed, Replica},
    owner::namespace_labels,
};

/// What was decided about containers.
#[derive(Debug, Default)]
pub struct Decision {
    /// Chains for existing containers.
    pub chains: Vec<Chain>,
    /// Places that get a new container now.
    pub create: Vec<u32>,
    /// What waits.
    pub holds: Vec<Hold>,
}

/// The containers of one place.
#[derive(Debug, Default)]
struct Place<'a> {
    /// The one of the wanted revision.
    current: Option<&'a Replica>,
    /// The best one of another revision.
    old: Option<&'a Replica>,
}

/// Whether a container is of the wanted revision. While something does not resolve, what a container was given stands
/// in for what is wanted; while the object does not parse, every container is as good as another.
fn is_current(desired: &Desired, replica: &Replica) -> bool {
    let Some(hash) = &desired.template_hash else { return true };
    replica.template_hash == *hash
        && desired.fingerprints.as_ref().is_none_or(|wanted| replica.fingerprints.satisfies(wanted))
}

/// Decides about all containers.
#[must_use]
pub fn decide(desired: &Desired, observed: &Observed, inputs: &Inputs) -> Decision {
    let mut decision = Decision::default();
    let places = sort_into_places(desired, observed, &mut decision);
    let blocked = match &desired.template {
        Template::Blocked(why) => Some(Hold::Blocked { why: *why }),
        Template::Known(_) if desired.paused && places.values().any(|p| p.old.is_some()) => Some(Hold::Paused),
        Template::Known(_) => None,
    };
    mend(desired, &places, inputs, &mut decision);
    if let Some(hold) = blocked {
        if places.values().any(|p| p.current.is_none()) {
            decision.holds.push(hold);
        }
        retire_old_beside_current(desired, &places, inputs, &mut decision);
        return decision;
    }
    match desired.rollout {
        Rollout::Surge => surge(desired, &places, inputs, &mut decision),
        Rollout::StopFirst => stop_first(desired, &places, inputs, &mut decision),
        Rollout::Recreate => recreate(desired, &places, &mut decision),
    }
    decision
}

/// Gives each wanted place its containers, and retires what has no place: surplus replicas, duplicates, lesser old ones.
fn sort_into_places<'a>(
    desired: &Desired,
    observed: &'a Observed,
    decision: &mut Decision,
) -> BTreeMap<u32, Place<'a>> {
    let mut places: BTreeMap<u32, Place<'a>> = (0..desired.replicas).map(|slot| (slot, Place::default())).collect();
    let surplus = if desired.replicas == 0 { Why::Deleted } else { Why::ScaledDown };
    for replica in &observed.replicas {
        let Some(place) = places.get_mut(&replica.slot) else {
            decision.chains.push(heal::retire(desired, replica, surplus));
            continue;
        };
        let current = is_current(desired, replica);
        let (seat, why) =
            if current { (&mut place.current, Why::Duplicate) } else { (&mut place.old, Why::Replaced) };
        let loser = match *seat {
            Some(held) if rank(held) <= rank(replica) => Some(replica),
            Some(held) => {
                *seat = Some(replica);
                Some(held)
            }
            None => {
                *seat = Some(replica);
                None
            }
        };
        if let Some(loser) = loser {
            decision.chains.push(heal::retire(desired, loser, why));
        }
    }
    decision.chains.retain(|chain| !chain.is_empty());
    places
}

/// Lower is better: running first, then what can be started.
fn rank(replica: &Replica) -> u8 {
    match replica.view.state {
        RunState::Running => 0,
        RunState::Paused => 1,
        RunState::Restarting => 2,
        RunState::Exited => 3,
        RunState::Created => 4,
        RunState::Dead | RunState::Removing => 5,
    }
}

/// Mends what stays: the current container of each place, and the old one while it has no successor.
fn mend(desired: &Desired, places: &BTreeMap<u32, Place<'_>>, inputs: &Inputs, decision: &mut Decision) {
    for (slot, place) in places {
        let (replica, wanted) = match (place.current, place.old) {
            (Some(current), _) => (current, desired.container(*slot).ok()),
            (None, Some(old)) => (old, None),
            (None, None) => continue,
        };
        // A container from another fingerprint root keeps its name; only what differs in substance is mended.
        let wanted = wanted.map(|mut spec| {
            if replica.fingerprints.root != spec.labels.get(ROOT).map_or("", String::as_str) {
                spec.name.clone_from(&replica.view.name);
            }
            spec
        });
        match heal::heal(desired, replica, wanted.as_ref(), inputs) {
            Verdict::Fine | Verdict::Wait(None) => {}
            Verdict::Mend(chain) => decision.chains.push(chain),
            Verdict::Wait(Some(hold)) => decision.holds.push(hold),
        }
    }
}

const ROOT: &str = crate::api::keys::label::FINGERPRINT_ROOT;

/// Old containers go once their successor is available; true when all of a place's successors are.
fn retire_old_beside_current(
    desired: &Desired,
    places: &BTreeMap<u32, Place<'_>>,
    inputs: &Inputs,
    decision: &mut Decision,
) -> bool {
    let mut settled = true;
    for (slot, place) in places {
        let Some(current) = place.current else { continue };
        if !current.is_available(desired.min_ready_seconds, inputs.now) {
            settled = false;
            let until = current.is_ready().then(|| current.available_at(desired.min_ready_seconds)).flatten();
            decision.holds.push(Hold::Waiting { slot: *slot, until });
        } else if let Some(old) = place.old {
            settled = false;
            decision.chains.push(heal::retire(desired, old, Why::Replaced));
        }
    }
    decision.chains.retain(|chain| !chain.is_empty());
    settled
}

/// The place whose turn it is: those whose container does not serve anyway come first.
fn next<'a>(places: &BTreeMap<u32, Place<'a>>) -> Option<(u32, &'a Replica)> {
    places
        .iter()
        .filter(|(_, place)| place.current.is_none())
        .filter_map(|(slot, place)| Some((*slot, place.old?)))
        .min_by_key(|(slot, old)| (old.is_ready(), *slot))
}

fn empty(places: &BTreeMap<u32, Place<'_>>) -> Vec<u32> {
    places.iter().filter(|(_, p)| p.current.is_none() && p.old.is_none()).map(|(slot, _)| *slot).collect()
}

fn surge(desired: &Desired, places: &BTreeMap<u32, Place<'_>>, inputs: &Inputs, decision: &mut Decision) {
    decision.create = empty(places);
    let settled = retire_old_beside_current(desired, places, inputs, decision);
    if settled
        && decision.create.is_empty()
        && let Some((slot, _)) = next(places)
    {
        decision.create.push(slot);
    }
}

fn stop_first(desired: &Desired, places: &BTreeMap<u32, Place<'_>>, inputs: &Inputs, decision: &mut Decision) {
    decision.create = empty(places);
    let settled = retire_old_beside_current(desired, places, inputs, decision);
    if !settled || !decision.create.is_empty() {
        return;
    }
    let Some((slot, old)) = next(places) else { return };
    // The image comes before anything is taken away.
    let mut plan = Plan::default();
    if !fetched(desired, inputs, inputs_image(desired), &mut plan) {
        decision.create.push(slot);
        return;
    }
    drop_mending(old, decision);
    decision.chains.push(heal::retire(desired, old, Why::Replaced));
    decision.holds.push(Hold::Draining);
}

fn recreate(desired: &Desired, places: &BTreeMap<u32, Place<'_>>, decision: &mut Decision) {
    let old: Vec<&Replica> = places.values().filter_map(|p| p.old).collect();
    if old.is_empty() {
        decision.create = empty(places);
        return;
    }
    for replica in old {
        drop_mending(replica, decision);
        decision.chains.push(heal::retire(desired, replica, Why::Replaced));
    }
    decision.chains.retain(|chain| !chain.is_empty());
    decision.holds.push(Hold::Draining);
}

/// What is about to go is not mended first.
fn drop_mending(replica: &Replica, decision: &mut Decision) {
    decision.chains.retain(|chain| !chain.iter().any(|a| a.target().is_some_and(|t| t.id == replica.view.id)));
    decision.holds.retain(|hold| !matches!(hold, Hold::BackOff { slot, .. } if *slot == replica.slot));
}

