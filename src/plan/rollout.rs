//! Which containers stay, which go and which come: places, revisions, and the order in which one gives way to another.
//! How many at a time is `rolling`'s. What is blocked (unresolved secret, invalid object, pause) creates nothing and takes
//! nothing away; restarts and scale go on all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Chain, Hold, Inputs, Why, file_sights,
    heal::{self, Verdict},
    leave, rolling,
};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerId, ContainerSpec, RunState},
        desired::{Desired, Rollout, Template},
        observed::{Observed, Replica},
    },
};

/// What was decided about containers.
#[derive(Debug, Default)]
pub struct Decision<'a> {
    /// Chains for existing containers.
    pub chains: Vec<Chain>,
    /// Places that get a new container, once everything is prepared for it.
    pub create: Vec<u32>,
    /// Containers that make room for a new one, and why, once everything is prepared for that one.
    pub yielding: Vec<(&'a Replica, Why)>,
    /// What waits.
    pub holds: Vec<Hold>,
    /// What no name may lead to any more.
    pub withdrawn: BTreeSet<ContainerId>,
}

/// The containers of one place.
#[derive(Debug, Default)]
pub(super) struct Place<'a> {
    /// The one of the wanted revision.
    pub(super) current: Option<&'a Replica>,
    /// The best one of another revision.
    pub(super) old: Option<&'a Replica>,
    /// The others, which go.
    lesser: Vec<(&'a Replica, Why)>,
}

pub(super) type Places<'a> = BTreeMap<u32, Place<'a>>;

/// Whether a container is of the wanted revision. While something does not resolve, what a container was given stands
/// in for what is wanted; while the object does not parse, every container is as good as another.
#[must_use]
pub fn is_current(desired: &Desired, replica: &Replica) -> bool {
    let Some(hash) = &desired.template_hash else {
        return true;
    };
    replica.template_hash == *hash
        && desired
            .fingerprints
            .as_ref()
            .is_none_or(|wanted| replica.fingerprints.satisfies(wanted))
}

/// Decides about all containers.
#[must_use]
pub fn decide<'a>(desired: &Desired, observed: &'a Observed, inputs: &Inputs) -> Decision<'a> {
    let mut decision = Decision::default();
    let places = sort_into_places(desired, observed, inputs, &mut decision);
    let outgrown = mend(desired, observed, &places, inputs, &mut decision);
    let available = wait(desired, &places, inputs, &mut decision);
    if let Template::Blocked(why) = &desired.template {
        if places.values().any(|p| p.current.is_none()) {
            decision.holds.push(Hold::Blocked { why: *why });
        }
        return decision;
    }
    if desired.paused && places.values().any(|p| p.old.is_some()) {
        // A new replica of the old template cannot be made, as nothing but its containers remembers it: it waits too.
        decision.holds.push(Hold::Paused);
        return decision;
    }
    for (replica, why) in places.values().flat_map(|p| &p.lesser) {
        leave::leave(desired, observed, inputs, (replica, *why), &mut decision);
    }
    let mut settled = available;
    match desired.rollout {
        Rollout::Rolling(budget) => {
            settled &= places.values().all(|p| p.old.is_none());
            let moves = rolling::moves(desired, budget, &places, inputs);
            decision.create = moves.create;
            decision.yielding = moves.yielding;
            for old in moves.succeeded {
                leave::leave(desired, observed, inputs, (old, Why::Replaced), &mut decision);
            }
        }
        Rollout::Recreate => {
            settled &= succeed(desired, observed, &places, inputs, &mut decision);
            recreate(desired, observed, &places, &mut decision);
        }
    }
    if decision.create.is_empty() && decision.yielding.is_empty() {
        renew(&outgrown, settled, &mut decision);
    }
    decision
}

/// Gives each wanted place its containers, and retires surplus replicas, which have no place.
fn sort_into_places<'a>(
    desired: &Desired,
    observed: &'a Observed,
    inputs: &Inputs,
    decision: &mut Decision<'a>,
) -> Places<'a> {
    let mut places: Places<'a> = (0..desired.replicas)
        .map(|slot| (slot, Place::default()))
        .collect();
    let surplus = if desired.deleting {
        Why::Deleted
    } else {
        Why::ScaledDown
    };
    for replica in &observed.replicas {
        let Some(place) = places.get_mut(&replica.slot) else {
            leave::leave(desired, observed, inputs, (replica, surplus), decision);
            continue;
        };
        let (seat, why) = if is_current(desired, replica) {
            (&mut place.current, Why::Duplicate)
        } else {
            (&mut place.old, Why::Replaced)
        };
        let loser = match *seat {
            Some(held) if rank(held) <= rank(replica) => Some(replica),
            held => {
                *seat = Some(replica);
                held
            }
        };
        place.lesser.extend(loser.map(|loser| (loser, why)));
    }
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

/// Whether it has a process.
pub(super) fn is_alive(replica: &Replica) -> bool {
    match replica.view.state {
        RunState::Running | RunState::Paused | RunState::Restarting => true,
        RunState::Created | RunState::Exited | RunState::Dead | RunState::Removing => false,
    }
}

/// Mends what stays: the current container of each place, and the old one while its successor does not serve. Answers
/// with those that can only be made anew, and why.
fn mend<'a>(
    desired: &Desired,
    observed: &Observed,
    places: &Places<'a>,
    inputs: &Inputs,
    decision: &mut Decision<'a>,
) -> Vec<(&'a Replica, Why)> {
    let mut outgrown = Vec::new();
    for (slot, place) in places {
        if let Some(current) = place.current
            && !waits_for_room(desired, observed, place)
        {
            let wanted = wanted(desired, observed, *slot, current);
            let limits = |spec: &ContainerSpec| heal::outgrown(spec, &current.view);
            // Restarted where it is, it would ask an agent for names that has another address now.
            if observed.stranded.contains(&current.view.id) {
                outgrown.push((current, Why::NetworkLost));
            } else if file_sights::is_lost(desired, observed, current) {
                outgrown.push((current, Why::FilesLost));
            } else if wanted.as_ref().is_some_and(limits) {
                outgrown.push((current, Why::LimitsChanged));
            }
            mend_one(desired, current, wanted.as_ref(), inputs, decision);
        }
        let served = place
            .current
            .is_some_and(|c| c.is_available(desired.min_ready_seconds, inputs.now));
        let shared = place.current.is_some() && desired.rollout.is_exclusive();
        if let Some(old) = place.old.filter(|_| !served && !shared) {
            mend_one(desired, old, None, inputs, decision);
        }
    }
    outgrown
}

/// What an existing container should be.
fn wanted(desired: &Desired, observed: &Observed, slot: u32, replica: &Replica) -> Option<ContainerSpec> {
    let mut spec = desired.container(slot).ok()?;
    // Adopted from another fingerprint root: its revision and so its name stay what they were.
    if spec.labels.get(label::REVISION) != replica.view.labels.get(label::REVISION) {
        spec.name.clone_from(&replica.view.name);
    }
    // Two names that were exchanged by hand: neither can have its own before one lets go.
    let taken = |r: &Replica| r.view.name == spec.name && r.view.id != replica.view.id;
    if observed.replicas.iter().any(taken) {
        spec.name = format!("{}_{}", spec.name, replica.view.id.short());
    }
    Some(spec)
}

fn mend_one(
    desired: &Desired,
    replica: &Replica,
    wanted: Option<&ContainerSpec>,
    inputs: &Inputs,
    decision: &mut Decision<'_>,
) {
    // What is half removed serves nobody, but while nothing can replace it, nothing is taken away.
    let blocked = matches!(desired.template, Template::Blocked(_));
    if blocked && replica.view.state == RunState::Dead {
        return;
    }
    match heal::heal(desired, replica, wanted, inputs) {
        Verdict::Fine | Verdict::Wait(None) => {}
        Verdict::Mend(chain) => decision.chains.push(chain),
        Verdict::Wait(Some(hold)) => decision.holds.push(hold),
    }
}

/// Whether a current container may not start yet, because an old one that it must not run beside is still alive.
fn waits_for_room(desired: &Desired, observed: &Observed, place: &Place<'_>) -> bool {
    if matches!(desired.template, Template::Blocked(_)) || place.current.is_some_and(is_alive) {
        return false;
    }
    match desired.rollout {
        Rollout::Rolling(budget) => budget.exclusive && place.old.is_some_and(is_alive),
        Rollout::Recreate => any_old_alive(desired, observed),
    }
}

fn any_old_alive(desired: &Desired, observed: &Observed) -> bool {
    observed
        .replicas
        .iter()
        .any(|r| is_alive(r) && !is_current(desired, r))
}

/// Says which current containers are not available yet; answers whether all are.
fn wait(desired: &Desired, places: &Places<'_>, inputs: &Inputs, decision: &mut Decision<'_>) -> bool {
    let mut all = true;
    for (slot, place) in places {
        let Some(current) = place.current else { continue };
        if current.is_available(desired.min_ready_seconds, inputs.now) {
            continue;
        }
        all = false;
        let until = current
            .is_ready()
            .then(|| current.available_at(desired.min_ready_seconds))
            .flatten();
        decision.holds.push(Hold::Waiting { slot: *slot, until });
    }
    all
}

/// Old containers go at once where a current one is there: the two must not run side by side. Answers whether there are
/// none such.
fn succeed(
    desired: &Desired,
    observed: &Observed,
    places: &Places<'_>,
    inputs: &Inputs,
    decision: &mut Decision<'_>,
) -> bool {
    let mut none = true;
    for place in places.values() {
        let (Some(_), Some(old)) = (place.current, place.old) else {
            continue;
        };
        none = false;
        leave::leave(desired, observed, inputs, (old, Why::Replaced), decision);
    }
    none
}

/// Takes all old ones away, then fills every place; an old one without a place counts as well.
fn recreate<'a>(desired: &Desired, observed: &Observed, places: &Places<'a>, decision: &mut Decision<'a>) {
    let old = |p: &Place<'a>| p.old.filter(|_| p.current.is_none());
    decision.yielding = places
        .values()
        .filter_map(old)
        .map(|old| (old, Why::Replaced))
        .collect();
    if !decision.yielding.is_empty() {
        return;
    }
    if any_old_alive(desired, observed) {
        decision.holds.push(Hold::Draining);
    } else {
        decision.create = empty(places);
    }
}

/// One container at a time makes room for itself; those that do not serve anyway need not wait for the others.
fn renew<'a>(outgrown: &[(&'a Replica, Why)], settled: bool, decision: &mut Decision<'a>) {
    let (serve, idle): (Vec<_>, Vec<_>) = outgrown.iter().copied().partition(|(r, _)| r.is_ready());
    decision.yielding = if idle.is_empty() && settled {
        serve.into_iter().take(1).collect()
    } else {
        idle
    };
}

fn empty(places: &Places<'_>) -> Vec<u32> {
    places
        .iter()
        .filter(|(_, p)| p.current.is_none() && p.old.is_none())
        .map(|(slot, _)| *slot)
        .collect()
}
