//! What containers see of their files: the look after each start and each change, who sees another tmpfs than its holder,
//! and the gate before a start. Decides; `execute` looks. Called by [`super::files`], `plan` and `rollout`.

use jiff::SignedDuration;

use super::{
    Action, Chain, Hold, Target,
    file_action::{FileAction, Sight},
    file_volumes::{Keeping, Wanted},
    heal::target,
    rollout::is_alive,
};
use crate::state::{
    container::{ContainerId, RunState},
    desired::Desired,
    files::{FileVolume, Holder, mounts, on_host},
    observed::{Observed, Replica},
};

/// So long what was made because of a split stays before the next.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What a new container should see, right after its start.
pub(super) fn confirm_new(desired: &Desired, observed: &Observed, name: &str) -> Option<Action> {
    let (_, wanted) = Wanted::new_ones(desired, observed)?;
    let sights = wanted.volumes.iter().flat_map(|(volume, (file, _))| {
        let generation = file.generation();
        file.targets.iter().map(move |at| Sight {
            volume: volume.clone(),
            target: at.clone(),
            generation: generation.clone(),
        })
    });
    Some(confirm(None, name, sights.collect()))
}

fn confirm(target: Option<Target>, name: &str, sights: Vec<Sight>) -> Action {
    Action::Files(FileAction::Confirm {
        target,
        name: name.to_owned(),
        sights,
    })
}

/// The volumes of which a container was found not to see what stands there.
pub(super) fn astray<'a>(observed: &'a Observed, id: &ContainerId) -> impl Iterator<Item = &'a String> {
    let shown = observed.files.shown.get(id);
    shown
        .into_iter()
        .flat_map(|shown| &shown.volumes)
        .filter(|(volume, (generation, sees))| {
            let now = observed.files.delivered.get(*volume);
            !sees && now.is_some_and(|now| now.generation.as_ref() == Some(generation))
        })
        .map(|(volume, _)| volume)
}

/// Whether a volume is two things at once: a container sees nothing of what this holder has written although it started later
/// than the holder, or seems to, since the engine does not know any more what it has mounted where. Another record would name
/// the same directories of the host; those who see others are replaced.
///
/// What was made anew for that reason and is so again, is given a while: an engine that is wrong about every volume must not
/// have its containers replaced all the time. The look that follows each delivery comes back to it.
pub(super) fn is_split(observed: &Observed, held: &Holder) -> bool {
    let age = held.started_at.map(|at| observed.files.now.duration_since(at));
    if held.round > 0 && age.is_none_or(|age| age < AGAIN) {
        return false;
    }
    let later = |r: &&Replica| r.view.started_at > held.started_at;
    let mut replicas = observed.replicas.iter().filter(later);
    !on_host(&held.name)
        && held.runs()
        && replicas.any(|r| astray(observed, &r.view.id).any(|volume| held.volumes.contains_key(volume)))
}

/// Whether only another container in its place would see its files. One that does not run gets volumes as new ones are:
/// those that it has it may not be able to mount any more, or would find empty. One whose volumes are in a directory of the host that
/// is not the operator's any more would never see another value.
pub(super) fn is_lost(desired: &Desired, observed: &Observed, replica: &Replica) -> bool {
    let mut volumes = mounts(&replica.view).into_keys();
    if volumes.any(|volume| is_elsewhere(observed, &volume)) {
        return true;
    }
    if !is_alive(replica) {
        let outdated = |volume: String| {
            let mut kinds = Keeping::outdated(observed).into_iter();
            kinds.any(|kind| {
                Wanted::for_users(desired, observed, kind)
                    .volumes
                    .contains_key(&volume)
            })
        };
        return mounts(&replica.view).into_keys().any(outdated);
    }
    let gone = |h: &Holder| {
        let run = h.blind.get(&replica.view.id);
        run.is_some() && run == replica.view.started_at.as_ref()
    };
    if observed.files.holders.iter().any(gone) {
        return true;
    }
    astray(observed, &replica.view.id).any(|volume| {
        let held = |h: &&Holder| h.volumes.contains_key(volume) && h.runs();
        let mut holders = observed.files.holders.iter().filter(held);
        holders.any(|h| on_host(volume) || h.started_at >= replica.view.started_at || is_split(observed, h))
    })
}

/// Whether a volume is in a directory of the host that is not the operator's.
fn is_elsewhere(observed: &Observed, volume: &str) -> bool {
    let within = |root: &String| {
        let rest = volume.strip_prefix(root.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    on_host(volume) && !observed.files.host.as_ref().is_some_and(within)
}

/// The containers that run and were found not to see what stands in their volumes.
pub fn blind(observed: &Observed) -> impl Iterator<Item = &Replica> {
    let replicas = observed.replicas.iter();
    replicas.filter(|replica| astray(observed, &replica.view.id).next().is_some())
}

/// Whether a container was found to see all files that are wanted, as they are now. True where there are none.
#[must_use]
pub fn sees_all(desired: &Desired, observed: &Observed, replica: &Replica) -> bool {
    let wanted = Wanted::all(desired, observed);
    let (shown, mounted) = (observed.files.shown.get(&replica.view.id), mounts(&replica.view));
    let sees = |file: &FileVolume| {
        let mut volumes = wanted.volumes.iter();
        let own = volumes.find(|(name, (of, _))| of.entry == file.entry && mounted.contains_key(*name));
        let found = own.and_then(|(name, _)| shown?.volumes.get(name));
        found == Some(&(file.generation(), true))
    };
    desired.files().iter().all(sees)
}

/// Looks whether the containers that run see what stands in their volumes, once for each change.
pub(super) fn confirms(desired: &Desired, observed: &Observed) -> Vec<Chain> {
    let running = |r: &&Replica| r.view.state == RunState::Running;
    let chain = |r: &Replica| {
        let sights = sights(observed, r)?;
        let shown = observed.files.shown.get(&r.view.id);
        let known = |s: &Sight| {
            let found = shown.and_then(|shown| shown.volumes.get(&s.volume));
            found.is_some_and(|(generation, _)| *generation == s.generation)
        };
        let unknown = sights.iter().any(|s| !known(s));
        unknown.then(|| vec![confirm(Some(target(desired, r)), &r.view.name, sights)])
    };
    observed
        .replicas
        .iter()
        .filter(running)
        .filter_map(chain)
        .collect()
}

/// What a container should see of its volumes; `None` when it has none, or when what stands in one is not known.
fn sights(observed: &Observed, replica: &Replica) -> Option<Vec<Sight>> {
    let mut sights = Vec::new();
    for (volume, targets) in mounts(&replica.view) {
        let generation = observed.files.delivered.get(&volume)?.generation.clone()?;
        sights.extend(targets.into_iter().map(|target| Sight {
            volume: volume.clone(),
            target,
            generation: generation.clone(),
        }));
    }
    (!sights.is_empty()).then_some(sights)
}

/// Holds the start of every existing container whose files are not known to be there, and looks at those that start.
pub(super) fn gate(desired: &Desired, observed: &Observed, chains: &mut [Chain], holds: &mut Vec<Hold>) {
    let wanted = Wanted::all(desired, observed);
    for chain in chains {
        let Some(at) = chain.iter().position(|a| matches!(a, Action::Start { .. })) else {
            continue;
        };
        let id = chain.get(at).and_then(Action::target).map(|target| &target.id);
        let Some(replica) = observed.replicas.iter().find(|r| Some(&r.view.id) == id) else {
            continue;
        };
        let volumes = mounts(&replica.view);
        if volumes.is_empty() {
            continue;
        }
        if let Some(sights) = sights(observed, replica) {
            let name = replica.view.name.as_str();
            chain.insert(at + 1, confirm(Some(target(desired, replica)), name, sights));
            continue;
        }
        chain.truncate(at);
        let comes = |volume: &String| {
            let held = |h: &Holder| h.volumes.contains_key(volume);
            let known = observed.files.delivered.get(volume);
            wanted.volumes.contains_key(volume)
                || (known.is_none() && observed.files.holders.iter().any(held))
                || known.is_some_and(|found| found.generation.is_some())
        };
        holds.push(if volumes.keys().all(comes) {
            Hold::Delivering
        } else {
            Hold::FilesLost { slot: replica.slot }
        });
    }
}
