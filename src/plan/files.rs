//! Delivered files: which volumes are needed, who holds them, and what is to be written.
//! No container starts before what it mounts has been delivered and read back; a value that cannot be found out takes
//! nothing away. A volume without a user is on its way out with its holder. Decides; `execute` does.

use std::collections::BTreeSet;

use super::{
    Action, Chain, Hold, Why,
    file_action::{FileAction, Load, Place},
    file_sights::{confirms, is_split},
    file_volumes::{Keeping, Wanted, holder, question, record},
    heal::target,
};
use crate::state::{
    container::RunState,
    desired::{Desired, Template},
    files::{FileUser, FileVolume, Holder, OnChange, UserLookup, mounts, on_host},
    observed::{Observed, Replica},
};

/// What must be known before a container with files can be made; `None` when it is.
pub(super) fn unknown(desired: &Desired, observed: &Observed) -> Option<(Chain, Hold)> {
    if desired.files().is_empty() || observed.files.user.is_some() {
        return None;
    }
    let find = |lookup: &UserLookup| {
        let image = match &desired.template {
            Template::Known(prototype) => prototype.spec.image.clone(),
            Template::Blocked(_) => String::new(),
        };
        let spec = question(desired, &image, &["user", &lookup.image, &lookup.user]);
        Action::Files(FileAction::FindUser {
            lookup: lookup.clone(),
            spec: Box::new(spec),
        })
    };
    let chain = observed.files.lookup.iter().map(find).collect();
    Some((chain, Hold::Delivering))
}

/// What is done about files now.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// What must have happened before a new container is made.
    pub(super) first: Vec<Chain>,
    /// What can happen beside everything else.
    pub(super) beside: Vec<Chain>,
}

/// Decides about the holders and what they hold. `creating` says whether a container is to be made in this plan.
pub(super) fn keep(desired: &Desired, observed: &Observed, creating: bool) -> Files {
    let in_use: BTreeSet<String> = observed
        .replicas
        .iter()
        .flat_map(|r| mounts(&r.view).into_keys())
        .collect();
    let (all, new_ones) = (
        Wanted::all(desired, observed),
        Wanted::new_ones(desired, observed),
    );
    let keeping = Keeping::new_ones(desired, observed);
    let name = new_ones
        .as_ref()
        .map(|(_, wanted)| wanted.holder_name(desired, keeping));
    let mut files = Files::default();
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    let mut gone: Vec<&Holder> = Vec::new();
    for held in &observed.files.holders {
        if !is_kept(desired, observed, held, &in_use) {
            gone.push(held);
            continue;
        }
        kept.extend(held.volumes.keys().map(String::as_str));
        // What goes needs nothing any more.
        if desired.deleting {
            continue;
        }
        let work = Work {
            observed,
            wanted: &all,
            in_use: &in_use,
            creating: creating && name.as_ref() == Some(&held.name),
        };
        let chain = work.chain(held);
        if work.creating {
            files.first.push(chain);
        } else {
            files.beside.push(chain);
        }
    }
    files.beside.extend(retire(&gone, &kept, &in_use));
    let missing = in_use.iter().any(|volume| !kept.contains(volume.as_str()));
    match (&new_ones, name) {
        (Some(set), Some(name)) if observed.files.holders.iter().all(|h| h.name != name) => {
            let used = set.1.volumes.keys().any(|volume| in_use.contains(volume));
            // What it was seen by goes with the container: from then on the holder of the next round says it.
            let split = observed.files.holders.iter().any(|h| is_split(observed, h));
            if creating {
                files.first.push(make(desired, observed, set, (keeping, true)));
            } else if (split || (used && missing)) && desired.replicas > 0 {
                files.beside.push(make(desired, observed, set, (keeping, false)));
            }
        }
        (None, _) if missing && desired.replicas > 0 => {
            files
                .beside
                .extend(unknown(desired, observed).map(|(chain, _)| chain));
        }
        _ => {}
    }
    if missing && desired.replicas > 0 {
        files.beside.extend(make_earlier(desired, observed, &in_use));
    }
    files.beside.extend(tell(desired, observed, &all));
    files.beside.extend(confirms(desired, observed));
    for chains in [&mut files.first, &mut files.beside] {
        chains.retain(|chain| !chain.is_empty());
    }
    files
}

/// Whether a holder stays: somebody has what it holds, or would get it. While nobody knows what is wanted, nothing goes.
fn is_kept(desired: &Desired, observed: &Observed, held: &Holder, in_use: &BTreeSet<String>) -> bool {
    let wanted = || {
        let blocked = matches!(desired.template, Template::Blocked(_));
        let users = observed.files.user.is_none_or(|user| user == held.user);
        let now = Wanted::by(desired, held.user, Keeping::new_ones(desired, observed));
        let current = held.volumes.keys().all(|volume| now.volumes.contains_key(volume));
        desired.replicas > 0 && !held.volumes.is_empty() && (blocked || (users && current))
    };
    held.volumes.keys().any(|volume| in_use.contains(volume)) || wanted()
}

/// Makes anew what those need whose volumes are of the other kind: see [`Keeping::earlier`].
fn make_earlier(desired: &Desired, observed: &Observed, in_use: &BTreeSet<String>) -> Option<Chain> {
    let keeping = Keeping::earlier(desired, observed)?;
    let set = Wanted::of_kind(desired, observed, keeping)?;
    let name = set.1.holder_name(desired, keeping);
    let used = set.1.volumes.keys().any(|volume| in_use.contains(volume));
    let there = observed.files.holders.iter().any(|held| held.name == name);
    (used && !there).then(|| make(desired, observed, &set, (keeping, false)))
}

/// Makes the holder of what is wanted. Bytes are written for a container that is to come; what stands there for those that
/// run already, if something does, is looked at first.
fn make(
    desired: &Desired,
    observed: &Observed,
    (user, wanted): &(FileUser, Wanted<'_>),
    (keeping, creating): (Keeping<'_>, bool),
) -> Chain {
    let (user, name) = (*user, wanted.holder_name(desired, keeping));
    let mut chain = match keeping {
        Keeping::Host(root) => vec![Action::Files(record(desired, user, wanted, root))],
        Keeping::Engine { round, .. } => {
            let volumes = wanted.volumes.values().map(|(_, volume)| volume.clone());
            let ensure = volumes.map(|volume| Action::EnsureVolume { volume });
            let spec = Box::new(holder(desired, user, round, wanted));
            ensure
                .chain([Action::Files(FileAction::EnsureHolder { spec })])
                .collect()
        }
    };
    let volumes = wanted.volumes.iter();
    chain.push(Action::Files(if creating {
        FileAction::Deliver {
            holder: name,
            user,
            loads: volumes
                .map(|(_, (file, volume))| load(observed, file, &volume.name))
                .collect(),
            why: Why::NeededFirst,
        }
    } else {
        FileAction::Look {
            holder: name,
            places: volumes
                .map(|(volume, (file, _))| Place {
                    volume: volume.clone(),
                    directory: Holder::directory(volume, &file.entry),
                })
                .collect(),
        }
    }));
    chain
}

fn load(observed: &Observed, file: &FileVolume, volume: &str) -> Load {
    let reads = |r: &Replica| r.view.state == RunState::Running && mounts(&r.view).contains_key(volume);
    Load {
        volume: volume.to_owned(),
        directory: Holder::directory(volume, &file.entry),
        generation: file.generation(),
        files: file.files.clone(),
        quiet: !observed.replicas.iter().any(reads),
    }
}

/// What is to be done through one holder.
struct Work<'a> {
    observed: &'a Observed,
    wanted: &'a Wanted<'a>,
    in_use: &'a BTreeSet<String>,
    creating: bool,
}

impl Work<'_> {
    fn chain(&self, held: &Holder) -> Chain {
        let mut chain = Chain::new();
        match held.state {
            RunState::Running => {}
            RunState::Created | RunState::Exited => chain.push(Action::Files(FileAction::StartHolder {
                id: held.id.clone(),
                name: held.name.clone(),
            })),
            RunState::Paused | RunState::Dead => return vec![remove(held, Why::Broken)],
            RunState::Removing | RunState::Restarting => return chain,
        }
        let (mut loads, mut places, mut checks) = (Vec::new(), Vec::new(), Vec::new());
        for (volume, entry) in &held.volumes {
            let wanted = self.wanted.volumes.get(volume);
            let needed = self.in_use.contains(volume) || (self.creating && wanted.is_some());
            if !needed {
                continue;
            }
            let found = self.observed.files.delivered.get(volume).filter(|_| held.runs());
            match (found, wanted) {
                (Some(found), Some((file, _))) if found.generation != Some(file.generation()) => {
                    loads.push(load(self.observed, file, volume));
                }
                (None, Some((file, _))) if self.creating => loads.push(load(self.observed, file, volume)),
                (None, _) => places.push(Place {
                    volume: volume.clone(),
                    directory: Holder::directory(volume, entry),
                }),
                (Some(_), Some((file, _))) => checks.push(load(self.observed, file, volume)),
                (Some(_), None) => {}
            }
        }
        let holder = held.name.clone();
        // What is known to be something else is not compared first.
        if self.observed.files.check && !checks.is_empty() && places.is_empty() && loads.is_empty() {
            chain.push(Action::Files(FileAction::Check {
                holder: holder.clone(),
                user: held.user,
                loads: checks,
            }));
        }
        if !places.is_empty() {
            chain.push(Action::Files(FileAction::Look {
                holder: holder.clone(),
                places,
            }));
        }
        if !loads.is_empty() {
            chain.push(Action::Files(FileAction::Deliver {
                holder,
                user: held.user,
                loads,
                why: if self.creating {
                    Why::NeededFirst
                } else {
                    Why::FilesChanged
                },
            }));
        }
        chain
    }
}

fn remove(held: &Holder, why: Why) -> Action {
    Action::Files(FileAction::RemoveHolder {
        id: held.id.clone(),
        name: held.name.clone(),
        why,
    })
}

/// Holders go one after the other, and with each the volumes that nobody else has: with the last of those who share one, as
/// a volume that a holder has mounted cannot go.
pub(super) fn retire(gone: &[&Holder], kept: &BTreeSet<&str>, in_use: &BTreeSet<String>) -> Vec<Chain> {
    let mut gone: Vec<&Holder> = gone
        .iter()
        .copied()
        .filter(|held| held.state != RunState::Removing)
        .collect();
    let mut chains = Vec::new();
    let mut engines = Chain::new();
    while !gone.is_empty() {
        let held = gone.remove(0);
        let free = |volume: &&String| {
            let later = gone.iter().any(|other| other.volumes.contains_key(*volume));
            !kept.contains(volume.as_str()) && !in_use.contains(*volume) && !later
        };
        let volumes: Vec<String> = held.volumes.keys().filter(free).cloned().collect();
        let volumes = (!volumes.is_empty()).then_some(Action::Files(FileAction::RemoveVolumes { volumes }));
        let holder = remove(held, Why::NeededNoMore);
        if on_host(&held.name) {
            // A directory that no record names would have no owner.
            chains.push(volumes.into_iter().chain([holder]).collect());
        } else {
            engines.extend([holder].into_iter().chain(volumes));
        }
    }
    chains.push(engines);
    chains
}

/// Tells those who want to be told that their files have changed.
fn tell(desired: &Desired, observed: &Observed, wanted: &Wanted<'_>) -> Vec<Chain> {
    let mut chains = Vec::new();
    for (name, (file, _)) in &wanted.volumes {
        let OnChange::Signal(signal) = &file.on_change else {
            continue;
        };
        let generation = file.generation();
        let Some(found) = observed.files.delivered.get(name) else {
            continue;
        };
        let holder = observed.files.holders.iter().find(|h| h.id == found.holder);
        if found.generation.as_ref() != Some(&generation) || found.told.as_ref() == Some(&generation) {
            continue;
        }
        let reads = |r: &&Replica| r.view.state == RunState::Running && mounts(&r.view).contains_key(name);
        let mut chain: Chain = observed
            .replicas
            .iter()
            .filter(reads)
            .map(|r| {
                Action::Files(FileAction::Signal {
                    target: target(desired, r),
                    signal: signal.clone(),
                })
            })
            .collect();
        if let Some(holder) = holder {
            chain.push(Action::Files(FileAction::NoteTold {
                holder: holder.name.clone(),
                place: Place {
                    volume: name.clone(),
                    directory: Holder::directory(name, &file.entry),
                },
                generation,
            }));
            chains.push(chain);
        }
    }
    chains
}
