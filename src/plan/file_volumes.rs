//! Which volumes of the engine hold the files that are wanted, what holds them, and how a container gets them: names,
//! shapes and labels as functions of what is wanted and of whose the files are. Decides nothing about what is done when.
//! Called by [`super::files`] and [`super::file_sights`].

use std::collections::{BTreeMap, BTreeSet};

use super::{file_action::FileAction, file_sights};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerSpec, Limits, Mount, MountSource},
        desired::Desired,
        files::{FileUser, FileVolume, Holder, OnChange, on_host},
        names,
        observed::Observed,
        owner::namespace_labels,
        protected,
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

/// How volumes with files are kept in memory. It is part of their names and of no revision: who has volumes of another
/// kind keeps them until it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping<'a> {
    /// By the engine, on a tmpfs each, which may be kept out of swap. An engine that is restarted under containers that run on
    /// has forgotten who uses its volumes (20.10): whoever mounts one next gets another, empty tmpfs, and the engine takes
    /// that away from under it again. No use of such a volume can be trusted, so that the next round of them has other names.
    Engine { noswap: bool, round: u32 },
    /// By the operator, below this directory of the host.
    Host(&'a str),
}

impl<'a> Keeping<'a> {
    /// As new volumes are. With protected variables among them they are the engine's, whatever directory of the host there
    /// is: the program that sets them comes into a container from a volume that the engine fills as it makes the holder, and
    /// that a holder verifies at each delivery.
    pub(super) fn new_ones(desired: &Desired, observed: &'a Observed) -> Self {
        let host = observed.files.host.as_deref();
        let host = host.filter(|_| !is_protected(desired));
        host.map_or(Self::of_engine(observed), Keeping::Host)
    }

    fn of_engine(observed: &Observed) -> Self {
        Self::Engine {
            noswap: observed.files.noswap,
            round: round(observed),
        }
    }

    /// As those may be that came before the operator had a directory of the host, or before the deployment's variables
    /// were protected.
    pub(super) fn earlier(desired: &Desired, observed: &'a Observed) -> Option<Self> {
        let host = observed.files.host.as_deref()?;
        Some(if is_protected(desired) {
            Self::Host(host)
        } else {
            Self::of_engine(observed)
        })
    }

    /// As those of the engine may be that came with another kernel, or in an earlier round. Nobody can be sure to mount them.
    pub(super) fn outdated(observed: &'a Observed) -> Vec<Self> {
        let holders = observed.files.holders.iter().map(|held| held.round);
        let rounds: BTreeSet<u32> = holders.chain([round(observed)]).collect();
        let kinds = rounds
            .into_iter()
            .flat_map(|round| [true, false].map(|noswap| Self::Engine { noswap, round }));
        kinds.filter(|kind| *kind != Self::of_engine(observed)).collect()
    }
}

/// The round that new volumes are of: the latest, or the next if its volumes have been found to be two things at once.
fn round(observed: &Observed) -> u32 {
    let after = |held: &Holder| {
        let split = file_sights::is_split(observed, held);
        held.round.saturating_add(u32::from(split))
    };
    observed.files.holders.iter().map(after).max().unwrap_or_default()
}

/// Whether variables are among a deployment's files.
fn is_protected(desired: &Desired) -> bool {
    desired.files().iter().any(|file| file.entry == protected::ENTRY)
}

/// The wanted volumes with files, on the engine.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) volumes: BTreeMap<String, (&'a FileVolume, Volume)>,
}

impl<'a> Wanted<'a> {
    /// For files of this user. Protected variables are never kept in a directory of the host: see [`Keeping::new_ones`].
    pub(super) fn by(desired: &'a Desired, user: FileUser, keeping: Keeping<'_>) -> Self {
        let on_host = matches!(keeping, Keeping::Host(_));
        let kept_so = |file: &&FileVolume| !(on_host && file.entry == protected::ENTRY);
        let files = desired.files().iter().filter(kept_so).map(|file| {
            let volume = volume(desired, file, user, keeping);
            (volume.name.clone(), (file, volume))
        });
        Self {
            volumes: files.collect(),
        }
    }

    /// For a container that is to be made; `None` while nothing is wanted, or nobody knows yet whose the files are.
    pub(super) fn new_ones(desired: &'a Desired, observed: &Observed) -> Option<(FileUser, Self)> {
        Self::of_kind(desired, observed, Keeping::new_ones(desired, observed))
    }

    /// The same, kept so.
    pub(super) fn of_kind(
        desired: &'a Desired,
        observed: &Observed,
        keeping: Keeping<'_>,
    ) -> Option<(FileUser, Self)> {
        let user = observed.files.user.filter(|_| !desired.files().is_empty())?;
        Some((user, Self::by(desired, user, keeping)))
    }

    /// For those that are there as well: an image is asked whose they are when a container is to be made, not before. And
    /// what is known of the kernel, and where the operator keeps them, may have changed since they came.
    pub(super) fn all(desired: &'a Desired, observed: &Observed) -> Self {
        let kinds = Keeping::outdated(observed).into_iter();
        let kinds = kinds.chain([Keeping::new_ones(desired, observed)]);
        let kinds = kinds.chain(Keeping::earlier(desired, observed));
        Self {
            volumes: kinds
                .flat_map(|keeping| Self::for_users(desired, observed, keeping).volumes)
                .collect(),
        }
    }

    /// For everybody who may own files here.
    pub(super) fn for_users(desired: &'a Desired, observed: &Observed, keeping: Keeping<'_>) -> Self {
        let holders = observed.files.holders.iter().map(|held| held.user);
        let users: BTreeSet<FileUser> = holders.chain(observed.files.user).collect();
        let volumes = users
            .into_iter()
            .flat_map(|user| Self::by(desired, user, keeping).volumes);
        Self {
            volumes: volumes.collect(),
        }
    }

    fn record_path(&self, desired: &Desired, root: &str) -> String {
        format!("{root}/{}.volumes", self.plain_name(desired))
    }

    /// The name of what holds them.
    pub(super) fn holder_name(&self, desired: &Desired, keeping: Keeping<'_>) -> String {
        match keeping {
            Keeping::Engine { .. } => self.plain_name(desired),
            Keeping::Host(root) => self.record_path(desired, root),
        }
    }

    fn plain_name(&self, desired: &Desired) -> String {
        let parts: Vec<&str> = ["holder"]
            .into_iter()
            .chain(self.volumes.keys().map(String::as_str))
            .collect();
        names::files(&desired.owner, &parts)
    }

    /// Which volume of the engine is which of the pod.
    pub(super) fn holds(&self) -> BTreeMap<String, String> {
        let volumes = self.volumes.iter();
        volumes
            .map(|(name, (file, _))| (name.clone(), file.entry.clone()))
            .collect()
    }
}

/// The volume of the engine that a volume of the pod stands in.
fn volume(desired: &Desired, file: &FileVolume, user: FileUser, keeping: Keeping<'_>) -> Volume {
    let (noswap, round) = match keeping {
        Keeping::Engine { noswap, round } => (noswap, round),
        Keeping::Host(_) => (false, 0),
    };
    let round = if round == 0 {
        String::new()
    } else {
        format!("r{round}")
    };
    let (whose, mode) = (
        user.to_string(),
        format!("{:o}{}{round}", file.mode, if noswap { "" } else { "s" }),
    );
    // The old ones must never see a value for which they are to be replaced.
    let apart = match file.on_change {
        OnChange::Restart => file.generation(),
        OnChange::Update | OnChange::Signal(_) => String::new(),
    };
    let what = [file.entry.as_str(), &file.definition, &whose, &mode, &apart];
    let name = names::files(&desired.owner, &what);
    Volume {
        name: match keeping {
            Keeping::Engine { .. } => name,
            Keeping::Host(root) => format!("{root}/{name}"),
        },
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

pub(super) fn labels(desired: &Desired) -> BTreeMap<String, String> {
    let owner = &desired.owner;
    let mut labels = namespace_labels(&owner.instance, &owner.namespace);
    labels.insert(label::HOLDS_FOR.to_owned(), owner.uid.clone());
    labels.insert(label::HOLDER.to_owned(), owner.name.clone());
    labels
}

/// The volume with the program that starts what has protected variables: of the version of the image that its holder is made
/// of. A container has that of its holder, so that an upgrade changes nothing for those that run.
fn program(desired: &Desired) -> String {
    names::program(&desired.owner.instance, &desired.agent.version)
}

/// A container that does nothing, with these volumes: of the operator's own image, of whoever is to own the files.
pub(super) fn holder(desired: &Desired, user: FileUser, round: u32, wanted: &Wanted<'_>) -> ContainerSpec {
    let volumes = wanted.volumes.iter();
    let mut labels = labels(desired);
    labels.insert(
        label::HOLDS.to_owned(),
        serde_json::to_string(&wanted.holds()).unwrap_or_default(),
    );
    labels.insert(label::FILE_USER.to_owned(), user.to_string());
    if round > 0 {
        labels.insert(label::ROUND.to_owned(), round.to_string());
    }
    let mount = |(name, (file, _)): (&String, &(&FileVolume, Volume))| Mount {
        target: Holder::directory(name, &file.entry),
        read_only: false,
        source: MountSource::Files(name.clone()),
    };
    let program = is_protected(desired).then(|| program(desired));
    if let Some(program) = &program {
        labels.insert(label::PROGRAM.to_owned(), program.clone());
    }
    // The engine fills it from the image when the first holder is made; from then on nobody can write it.
    let program = program.map(|volume| Mount {
        target: protected::SOURCE_DIRECTORY.to_owned(),
        read_only: true,
        source: MountSource::Volume(volume),
    });
    ContainerSpec {
        name: wanted.plain_name(desired),
        image: desired.agent.image.clone(),
        entrypoint: Some(["/supercargo", "hold"].map(str::to_owned).to_vec()),
        user: Some(user.to_string()),
        mounts: volumes.clone().map(mount).chain(program).collect(),
        restarts: true,
        limits: Limits {
            memory: Some(volumes.fold(MEMORY, |all, _| all.saturating_add_unsigned(SIZE))),
            nano_cpus: None,
        },
        ..bare(labels)
    }
}

/// A container that is made to ask the engine something and never started.
pub(super) fn question(desired: &Desired, image: &str, what: &[&str]) -> ContainerSpec {
    let mut labels = labels(desired);
    labels.insert(label::HOLDS.to_owned(), "{}".to_owned());
    ContainerSpec {
        name: names::files(&desired.owner, what),
        image: image.to_owned(),
        entrypoint: Some(vec!["/nothing".to_owned()]),
        ..bare(labels)
    }
}

/// The record that holds these volumes, in this directory of the host.
pub(super) fn record(desired: &Desired, user: FileUser, wanted: &Wanted<'_>, root: &str) -> FileAction {
    let mut labels = labels(desired);
    labels.insert(label::FILE_USER.to_owned(), user.to_string());
    FileAction::EnsureRecord {
        path: wanted.record_path(desired, root),
        labels,
        holds: wanted.holds(),
        volumes: wanted
            .volumes
            .values()
            .map(|(_, volume)| volume.clone())
            .collect(),
        spec: Box::new(question(desired, &desired.agent.image, &["host"])),
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
                mount.source = if on_host(name) {
                    MountSource::HostPath(name.clone())
                } else {
                    MountSource::Files(name.clone())
                };
                mount.read_only = true;
            }
        }
    }
    if is_protected(desired) {
        let name = wanted.plain_name(desired);
        let held = observed.files.holders.iter().find(|held| held.name == name);
        let program = held.map_or_else(|| program(desired), |held| held.program.clone());
        let files = &observed.files;
        let template = (spec.entrypoint.as_deref(), spec.cmd.as_deref());
        spec.entrypoint = protected::entrypoint(template, (&files.entrypoint, &files.cmd));
        spec.cmd = None;
        spec.mounts.push(protected::program_mount(&program));
    }
    spec.labels.insert(
        label::FILES.to_owned(),
        serde_json::to_string(&label).unwrap_or_default(),
    );
}
