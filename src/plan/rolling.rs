//! How many places of a rolling update move at a time, and which: at most `surge` containers more than wanted, at most
//! `unavailable` fewer that serve, counted as Kubernetes' Deployment controller does (`rolling.go`): a new one that does
//! not serve uses up the budget, so that a broken revision stops where it is and takes nothing with it. Pure counting;
//! what a move is made of is decided by `rollout` and `leave`.

use super::{
    Inputs, Why,
    rollout::{Place, Places, is_alive},
};
use crate::state::{
    desired::{Budget, Desired},
    observed::Replica,
};

/// What moves now.
#[derive(Debug, Default)]
pub(super) struct Moves<'a> {
    /// Places that get a new container.
    pub(super) create: Vec<u32>,
    /// Old containers whose successor serves, or that must not be beside it.
    pub(super) succeeded: Vec<&'a Replica>,
    /// Old containers that go before their successor comes.
    pub(super) yielding: Vec<(&'a Replica, Why)>,
}

/// The figures that moves are limited by.
struct Count {
    /// Containers that exist and have not been told to end.
    total: i64,
    /// Those of them that no name leads to any more as their successor serves: all but told to end. What Kubernetes deletes
    /// does not count from then on either.
    leaving: i64,
    /// Those of them that serve.
    available: i64,
    /// New ones that do not serve.
    new_unavailable: i64,
}

/// Decides what moves now.
pub(super) fn moves<'a>(
    desired: &Desired,
    budget: Budget,
    places: &Places<'a>,
    inputs: &Inputs,
) -> Moves<'a> {
    let serves = |replica: &Replica| replica.is_available(desired.min_ready_seconds, inputs.now);
    let ends = |replica: &Replica| inputs.ending.contains(&replica.view.id);
    let leaves = |replica: &Replica| inputs.out_of_service.contains_key(&replica.view.id);
    let count = Count::of(places, &serves, &ends, &leaves);
    let wanted = i64::from(desired.replicas);
    let mut moves = Moves {
        create: empty(places, budget, &ends),
        ..Moves::default()
    };
    let unfilled = i64::try_from(moves.create.len()).unwrap_or(i64::MAX);
    if !budget.exclusive {
        // Nobody's successor waits for the end of one that no name leads to; and no more leave at a time than move at a
        // time, or a quick image would have all of them twice on the host.
        let leaving = count
            .leaving
            .min(i64::from(budget.surge.saturating_add(budget.unavailable)));
        let room = wanted + i64::from(budget.surge) - (count.total - leaving) - unfilled;
        let beside = pending(places, &ends).into_iter().map(|(slot, _)| slot);
        moves
            .create
            .extend(beside.take(usize::try_from(room).unwrap_or_default()));
    }
    let least = wanted - i64::from(budget.unavailable);
    let mut down = count.total - least - count.new_unavailable;
    let mut spare = count.available - least;
    for place in places.values() {
        let (Some(current), Some(old)) = (place.current, place.old) else {
            continue;
        };
        // What has ended already takes nothing away.
        let going = ends(old) || !is_alive(old);
        let free = !serves(old) || spare > 0;
        if budget.exclusive
            || (going && serves(current))
            || ends(old)
            || (serves(current) && down > 0 && free)
        {
            moves.succeeded.push(old);
            if !going {
                down -= 1;
                spare -= i64::from(serves(old));
            }
        }
    }
    // What surges replaces does not go first: it has a successor coming.
    let beside: Vec<u32> = moves.create.clone();
    for (slot, old) in pending(places, &|_| false) {
        let going = ends(old);
        if beside.contains(&slot) && !going {
            continue;
        }
        let free = !serves(old) || spare > 0;
        if going || (down > 0 && free) {
            moves.yielding.push((old, Why::Replaced));
            if !going {
                down -= 1;
                spare -= i64::from(serves(old));
            }
        }
    }
    moves
}

impl Count {
    fn of(
        places: &Places<'_>,
        serves: &dyn Fn(&Replica) -> bool,
        ends: &dyn Fn(&Replica) -> bool,
        leaves: &dyn Fn(&Replica) -> bool,
    ) -> Self {
        let mut count = Self {
            total: 0,
            leaving: 0,
            available: 0,
            new_unavailable: 0,
        };
        for place in places.values() {
            if let Some(current) = place.current {
                count.total += 1;
                count.available += i64::from(serves(current));
                count.new_unavailable += i64::from(!serves(current));
            }
            // Ended and replaced: nobody waits for it.
            let beside = |old: &Replica| place.current.is_none() || is_alive(old);
            if let Some(old) = place.old.filter(|old| !ends(old) && beside(old)) {
                count.total += 1;
                count.leaving += i64::from(place.current.is_some() && leaves(old));
                count.available += i64::from(serves(old));
            }
        }
        count
    }
}

/// Places without a container that stays: they are filled at once, whatever the budget says, since somebody is missing.
fn empty(places: &Places<'_>, budget: Budget, ends: &dyn Fn(&Replica) -> bool) -> Vec<u32> {
    let vacant = |place: &Place<'_>| match place.old {
        None => true,
        // Told to end, and not gone: beside it, unless the two cannot be.
        Some(old) => ends(old) && !budget.exclusive && is_alive(old),
    };
    places
        .iter()
        .filter(|(_, place)| place.current.is_none() && vacant(place))
        .map(|(slot, _)| *slot)
        .collect()
}

/// Places that have only an old container, those first whose container does not serve anyway.
fn pending<'a>(places: &Places<'a>, ends: &dyn Fn(&Replica) -> bool) -> Vec<(u32, &'a Replica)> {
    let mut pending: Vec<_> = places
        .iter()
        .filter(|(_, place)| place.current.is_none())
        .filter_map(|(slot, place)| Some((*slot, place.old?)))
        .filter(|(_, old)| !ends(old))
        .collect();
    pending.sort_by_key(|(slot, old)| (old.is_ready(), *slot));
    pending
}
