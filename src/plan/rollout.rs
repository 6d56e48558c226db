//! Which containers stay, which go and which come: places, revisions, and the order in which one gives way to another.
//! One replica at a time is in transition; the next one waits until this one is available. What is blocked (unresolved
//! secret, invalid object, pause) creates nothing and takes nothing away; restarts and scale go on all the same.

use std::collections::BTreeMap;

use super::{
    Chain, Hold, Inputs, Why,
    heal::{self, Verdict},
};
use crate::{
    api::keys::label,
    state::{
        container::RunState,
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
    /// Containers that make room for a new one, once everything is prepared for that one.
    pub yielding: Vec<&'a Replica>,
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

type Places<'a> = BTreeMap<u32, Place<'a>>;

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
    let places = sort_into_places(desired, observed, &mut decision);
    mend(desired, &places, inputs, &mut decision);
    let settled = succeed(desired, &places, inputs, &mut decision);
    let missing = places.values().any(|p| p.current.is_none());
    match &desired.template {
        Template::Blocked(why) => {
            if missing {
                decision.holds.push(Hold::Blocked { why: *why });
            }
        }
        // A new replica of the old template cannot be made, as nothing but its containers remembers it: it waits too.
        Template::Known(_) if desired.paused && places.values().any(|p| p.old.is_some()) => {
            decision.holds.push(Hold::Paused);
        }
        Template::Known(_) => match desired.rollout {
            Rollout::Surge => one_by_one(&places, settled, Order::NewFirst, &mut decision),
            Rollout::StopFirst => one_by_one(&places, settled, Order::OldFirst, &mut decision),
            Rollout::Recreate => recreate(&places, &mut decision),
        },
    }
    decision.chains.retain(|chain| !chain.is_empty());
    decision
}

/// Gives each wanted place its containers, and retires what has no place: surplus replicas, duplicates, lesser old ones.
fn sort_into_places<'a>(
    desired: &Desired,
    observed: &'a Observed,
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
    // While something does not resolve, two revisions may look alike; none of them is surplus.
    let certain = matches!(desired.template, Template::Known(_));
    for replica in &observed.replicas {
        let Some(place) = places.get_mut(&replica.slot) else {
            decision.chains.push(heal::retire(desired, replica, surplus));
            continue;
        };
        let current = is_current(desired, replica);
        let (seat, why) = if current {
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
        if let Some(loser) = loser
            && (certain || !current)
        {
            decision.chains.push(heal::retire(desired, loser, why));
        }
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

/// Mends what stays: the current container of each place, and the old one while it has no successor.
fn mend(desired: &Desired, places: &Places<'_>, inputs: &Inputs, decision: &mut Decision<'_>) {
    let replaceable = matches!(desired.template, Template::Known(_)) && !desired.paused;
    for (slot, place) in places {
        let (replica, wanted) = match (place.current, place.old) {
            (Some(current), _) => (current, desired.container(*slot).ok()),
            // What never ran serves nobody, and a start that fails must not keep its successor from coming.
            (None, Some(old)) if replaceable && old.view.state == RunState::Created => continue,
            (None, Some(old)) => (old, None),
            (None, None) => continue,
        };
        let wanted = wanted.map(|mut spec| {
            // Adopted from another fingerprint root: its revision and so its name stay what they were.
            if spec.labels.get(label::REVISION) != replica.view.labels.get(label::REVISION) {
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

/// Old containers go once their successor is available. Answers whether every successor is, and has succeeded.
fn succeed(desired: &Desired, places: &Places<'_>, inputs: &Inputs, decision: &mut Decision<'_>) -> bool {
    let mut settled = true;
    for (slot, place) in places {
        let Some(current) = place.current else { continue };
        if !current.is_available(desired.min_ready_seconds, inputs.now) {
            settled = false;
            let until = current
                .is_ready()
                .then(|| current.available_at(desired.min_ready_seconds))
                .flatten();
            decision.holds.push(Hold::Waiting { slot: *slot, until });
        } else if let Some(old) = place.old {
            settled = false;
            decision.chains.push(heal::retire(desired, old, Why::Replaced));
        }
    }
    settled
}

enum Order {
    NewFirst,
    OldFirst,
}

/// Fills empty places at once; then takes the places in turn, those first whose container does not serve anyway.
fn one_by_one<'a>(places: &Places<'a>, settled: bool, order: Order, decision: &mut Decision<'a>) {
    decision.create = empty(places);
    if !settled || !decision.create.is_empty() {
        return;
    }
    let next = places
        .iter()
        .filter(|(_, place)| place.current.is_none())
        .filter_map(|(slot, place)| Some((*slot, place.old?)))
        .min_by_key(|(slot, old)| (old.is_ready(), *slot));
    let Some((slot, old)) = next else { return };
    match order {
        Order::NewFirst => decision.create.push(slot),
        Order::OldFirst => decision.yielding.push(old),
    }
}

/// Takes all old ones away, then fills every place.
fn recreate<'a>(places: &Places<'a>, decision: &mut Decision<'a>) {
    decision.yielding = places.values().filter_map(|p| p.old).collect();
    if decision.yielding.is_empty() {
        decision.create = empty(places);
    }
}

fn empty(places: &Places<'_>) -> Vec<u32> {
    places
        .iter()
        .filter(|(_, p)| p.current.is_none() && p.old.is_none())
        .map(|(slot, _)| *slot)
        .collect()
}
