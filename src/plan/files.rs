//! Delivered files: which volumes are needed, who holds them, what is to be written, and whether the containers see it.
//! No container starts before what it mounts has been delivered and read back; a value that cannot be found out takes
//! nothing away. A volume without a user is on its way out with its holder. Decides; `execute` does.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Chain, Hold, Target, Why,
    file_action::{FileAction, Load, Place, Sight},
    heal::target,
    rollout::is_alive,
};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerId, ContainerSpec, Limits, Mount, MountSource, RunState},
        desired::{Desired, Template},
        files::{FileUser, FileVolume, Holder, OnChange, UserLookup, mounts},
        names,
        observed::{Observed, Replica},
        owner::namespace_labels,
        volume::{Memory, Volume},
    },
};

/// Bounds of a volume: four generations of a mebibyte, or of some two thousand small files, which take a page each. Only
/// what is used takes memory.
const SIZE: u64 = 32 << 20;
const INODES: u64 = 32 << 10;
/// What a holder needs without its files, which count as its memory too; a bound for the case of a mistake.
const MEMORY: i64 = 32 << 20;
const PIDS: i64 = 16;

/// The wanted volumes with files, on the engine.
#[derive(Debug)]
struct Wanted<'a> {
    volumes: BTreeMap<String, (&'a FileVolume, Volume)>,
}

impl<'a> Wanted<'a> {
    /// For files of this user, kept out of swap or not.
    fn by(desired: &'a Desired, user: FileUser, noswap: bool) -> Self {
        let files = desired.files().iter().map(|file| {
            let volume = volume(desired, file, user, noswap);
            (volume.name.clone(), (file, volume))
        });
        Self {
            volumes: files.collect(),
        }
    }

    /// For a container that is to be made; `None` while nothing is wanted, or nobody knows yet whose the files are.
    fn new_ones(desired: &'a Desired, observed: &Observed) -> Option<(FileUser, Self)> {
        let user = observed.files.user.filter(|_| !desired.files().is_empty())?;
        Some((user, Self::by(desired, user, observed.files.noswap)))
    }

    /// For those that are there as well: an image is asked whose they are when a container is to be made, not before. And
    /// what is known of the kernel may have changed since they came.
    fn all(desired: &'a Desired, observed: &Observed) -> Self {
        let noswap = observed.files.noswap;
        let Self { mut volumes } = Self::for_users(desired, observed, !noswap);
        volumes.extend(Self::for_users(desired, observed, noswap).volumes);
        Self { volumes }
    }

    fn for_users(desired: &'a Desired, observed: &Observed, noswap: bool) -> Self {
        let holders = observed.files.holders.iter().map(|held| held.user);
        let users: BTreeSet<FileUser> = holders.chain(observed.files.user).collect();
        let volumes = users
            .into_iter()
            .flat_map(|user| Self::by(desired, user, noswap).volumes);
        Self {
            volumes: volumes.collect(),
        }
    }

    fn holder_name(&self, desired: &Desired) -> String {
        let parts: Vec<&str> = ["holder"]
            .into_iter()
            .chain(self.volumes.keys().map(String::as_str))
            .collect();
        names::files(&desired.owner, &parts)
    }
}

/// The volume of the engine that a volume of the pod stands in.
fn volume(desired: &Desired, file: &FileVolume, user: FileUser, noswap: bool) -> Volume {
    let (whose, mode) = (
        user.to_string(),
        format!("{:o}{}", file.mode, if noswap { "" } else { "s" }),
    );
    // The old ones must never see a value for which they are to be replaced.
    let apart = match file.on_change {
        OnChange::Restart => file.generation(),
        OnChange::Update | OnChange::Signal(_) => String::new(),
    };
    let what = [file.entry.as_str(), &file.definition, &whose, &mode, &apart];
    Volume {
        name: names::files(&desired.owner, &what),
        labels: labels(desired),
        memory: Some(Memory {
            size: SIZE,
            inodes: INODES,
            user,
            mode: file.mode,
            noswap,
        }),
    }
}

fn labels(desired: &Desired) -> BTreeMap<String, String> {
    let owner = &desired.owner;
    let mut labels = namespace_labels(&owner.instance, &owner.namespace);
    labels.insert(label::HOLDS_FOR.to_owned(), owner.uid.clone());
    labels.insert(label::HOLDER.to_owned(), owner.name.clone());
    labels
}

/// A container that does nothing, with these volumes: of the operator's own image, of whoever is to own the files.
fn holder(desired: &Desired, user: FileUser, wanted: &Wanted<'_>) -> ContainerSpec {
    let volumes = wanted.volumes.iter();
    let holds: BTreeMap<&str, &str> = volumes
        .clone()
        .map(|(name, (file, _))| (name.as_str(), file.entry.as_str()))
        .collect();
    let mut labels = labels(desired);
    labels.insert(
        label::HOLDS.to_owned(),
        serde_json::to_string(&holds).unwrap_or_default(),
    );
    labels.insert(label::FILE_USER.to_owned(), user.to_string());
    let mount = |(name, (file, _)): (&String, &(&FileVolume, Volume))| Mount {
        target: Holder::directory(&file.entry),
        read_only: false,
        source: MountSource::Files(name.clone()),
    };
    ContainerSpec {
        name: wanted.holder_name(desired),
        image: desired.agent.image.clone(),
        entrypoint: Some(["/supercargo", "hold"].map(str::to_owned).to_vec()),
        user: Some(user.to_string()),
        mounts: volumes.clone().map(mount).collect(),
        restarts: true,
        limits: Limits {
            memory: Some(volumes.fold(MEMORY, |all, _| all.saturating_add_unsigned(SIZE))),
            nano_cpus: None,
        },
        ..bare(labels)
    }
}

/// A container with no rights, no network and little memory.
fn bare(labels: BTreeMap<String, String>) -> ContainerSpec {
    ContainerSpec {
        name: String::new(),
        image: String::new(),
        entrypoint: None,
        cmd: None,
        working_dir: None,
        env: Vec::new(),
        labels,
        hostname: None,
        user: None,
        read_only_rootfs: true,
        no_new_privileges: true,
        privileged: false,
        cap_add: Vec::new(),
        cap_drop: vec!["ALL".to_owned()],
        limits: Limits {
            memory: Some(MEMORY),
            nano_cpus: None,
        },
        pids: Some(PIDS),
        ports: Vec::new(),
        mounts: Vec::new(),
        network: None,
        dns: Vec::new(),
        restarts: false,
        stop_timeout: 1,
    }
}

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
        let mut labels = labels(desired);
        labels.insert(label::HOLDS.to_owned(), "{}".to_owned());
        let spec = ContainerSpec {
            name: names::files(&desired.owner, &["user", &lookup.image, &lookup.user]),
            image,
            entrypoint: Some(vec!["/nothing".to_owned()]),
            ..bare(labels)
        };
        Action::Files(FileAction::FindUser {
            lookup: lookup.clone(),
            spec: Box::new(spec),
        })
    };
    let chain = observed.files.lookup.iter().map(find).collect();
    Some((chain, Hold::Delivering))
}

/// Puts the volumes of the engine where a spec names those of the pod, and says on a label which they are.
pub(super) fn place(desired: &Desired, observed: &Observed, spec: &mut ContainerSpec) {
    let Some((_, wanted)) = Wanted::new_ones(desired, observed) else {
        return;
    };
    let mut label: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, (file, _)) in &wanted.volumes {
        label.insert(name, file.targets.iter().map(String::as_str).collect());
        for mount in &mut spec.mounts {
            if mount.source == MountSource::Files(file.entry.clone()) {
                mount.source = MountSource::Files(name.clone());
                mount.read_only = true;
            }
        }
    }
    spec.labels.insert(
        label::FILES.to_owned(),
        serde_json::to_string(&label).unwrap_or_default(),
    );
}

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
    let name = new_ones.as_ref().map(|(_, wanted)| wanted.holder_name(desired));
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
            creating: creating && name.as_ref() == Some(&held.view.name),
        };
        let chain = work.chain(held);
        if work.creating {
            files.first.push(chain);
        } else {
            files.beside.push(chain);
        }
    }
    files
        .beside
        .extend(gone.into_iter().map(|held| retire(held, &kept, &in_use)));
    let missing = in_use.iter().any(|volume| !kept.contains(volume.as_str()));
    match (&new_ones, name) {
        (Some((user, wanted)), Some(name)) if observed.files.holders.iter().all(|h| h.view.name != name) => {
            let used = wanted.volumes.keys().any(|volume| in_use.contains(volume));
            if creating {
                files.first.push(make(desired, observed, (*user, wanted), true));
            } else if used && missing && desired.replicas > 0 {
                files.beside.push(make(desired, observed, (*user, wanted), false));
            }
        }
        (None, _) if missing && desired.replicas > 0 => {
            files
                .beside
                .extend(unknown(desired, observed).map(|(chain, _)| chain));
        }
        _ => {}
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
        let now = Wanted::by(desired, held.user, observed.files.noswap);
        let current = held.volumes.keys().all(|volume| now.volumes.contains_key(volume));
        desired.replicas > 0 && !held.volumes.is_empty() && (blocked || (users && current))
    };
    held.volumes.keys().any(|volume| in_use.contains(volume)) || wanted()
}

/// Makes the holder of what is wanted. Bytes are written for a container that is to come; what stands there for those that
/// run already, if something does, is looked at first.
fn make(
    desired: &Desired,
    observed: &Observed,
    (user, wanted): (FileUser, &Wanted<'_>),
    creating: bool,
) -> Chain {
    let spec = holder(desired, user, wanted);
    let name = spec.name.clone();
    let mut chain: Chain = wanted
        .volumes
        .values()
        .map(|(_, volume)| Action::EnsureVolume {
            volume: volume.clone(),
        })
        .collect();
    chain.push(Action::Files(FileAction::EnsureHolder { spec: Box::new(spec) }));
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
                    directory: Holder::directory(&file.entry),
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
        directory: Holder::directory(&file.entry),
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
        match held.view.state {
            RunState::Running => {}
            RunState::Created | RunState::Exited => chain.push(Action::Files(FileAction::StartHolder {
                id: held.view.id.clone(),
                name: held.view.name.clone(),
            })),
            RunState::Paused | RunState::Dead => return vec![remove(held, Why::Broken)],
            RunState::Removing | RunState::Restarting => return chain,
        }
        // A container that came later than its holder and does not see its files has got another tmpfs (20.10 with live
        // restore): the holder has to come to the new one.
        if held.runs() && self.astray_since(held) {
            return vec![remove(held, Why::FilesLost)];
        }
        let (mut loads, mut places) = (Vec::new(), Vec::new());
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
                    directory: Holder::directory(entry),
                }),
                (Some(_), _) => {}
            }
        }
        let holder = held.view.name.clone();
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

    /// Whether a container sees nothing of what this holder has written although it started later than the holder.
    fn astray_since(&self, held: &Holder) -> bool {
        let later = |r: &&Replica| r.view.started_at > held.view.started_at;
        let mut replicas = self.observed.replicas.iter().filter(later);
        replicas.any(|r| astray(self.observed, &r.view.id).any(|volume| held.volumes.contains_key(volume)))
    }
}

/// The volumes of which a container was found not to see what stands there.
fn astray<'a>(observed: &'a Observed, id: &ContainerId) -> impl Iterator<Item = &'a String> {
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

/// Whether only another container in its place would see its files. One that does not run gets volumes as the kernel now
/// knows them: those that it has it may not be able to mount any more.
pub(super) fn is_lost(desired: &Desired, observed: &Observed, replica: &Replica) -> bool {
    if !is_alive(replica) {
        let other = Wanted::for_users(desired, observed, !observed.files.noswap);
        let mut volumes = mounts(&replica.view).into_keys();
        return volumes.any(|volume| other.volumes.contains_key(&volume));
    }
    astray(observed, &replica.view.id).any(|volume| {
        let held = |h: &&Holder| h.volumes.contains_key(volume) && h.runs();
        let mut holders = observed.files.holders.iter().filter(held);
        holders.any(|h| h.view.started_at >= replica.view.started_at)
    })
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

fn remove(held: &Holder, why: Why) -> Action {
    Action::Files(FileAction::RemoveHolder {
        id: held.view.id.clone(),
        name: held.view.name.clone(),
        why,
    })
}

/// A holder goes, and with it the volumes that nobody else has.
fn retire(held: &Holder, kept: &BTreeSet<&str>, in_use: &BTreeSet<String>) -> Chain {
    if held.view.state == RunState::Removing {
        return Chain::new();
    }
    let free = |volume: &&String| !kept.contains(volume.as_str()) && !in_use.contains(*volume);
    let volumes: Vec<String> = held.volumes.keys().filter(free).cloned().collect();
    let mut chain = vec![remove(held, Why::NeededNoMore)];
    if !volumes.is_empty() {
        chain.push(Action::Files(FileAction::RemoveVolumes { volumes }));
    }
    chain
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
        let holder = observed.files.holders.iter().find(|h| h.view.id == found.holder);
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
                holder: holder.view.name.clone(),
                place: Place {
                    volume: name.clone(),
                    directory: Holder::directory(&file.entry),
                },
                generation,
            }));
            chains.push(chain);
        }
    }
    chains
}

/// Looks whether the containers that run see what stands in their volumes, once for each change.
fn confirms(desired: &Desired, observed: &Observed) -> Vec<Chain> {
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
