//! Which volumes of the engine hold the files that are wanted, what holds them, and how a container gets them: names,
//! shapes and labels as functions of what is wanted and of whose the files are. Decides nothing about what is done when.
//! Called by [`super::files`] and [`super::file_sights`].

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::keys::label,
    state::{
        container::{ContainerSpec, Limits, Mount, MountSource},
        desired::Desired,
        files::{FileUser, FileVolume, Holder, OnChange},
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

/// The wanted volumes with files, on the engine.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) volumes: BTreeMap<String, (&'a FileVolume, Volume)>,
}

impl<'a> Wanted<'a> {
    /// For files of this user, kept out of swap or not.
    pub(super) fn by(desired: &'a Desired, user: FileUser, noswap: bool) -> Self {
        let files = desired.files().iter().map(|file| {
            let volume = volume(desired, file, user, noswap);
            (volume.name.clone(), (file, volume))
        });
        Self {
            volumes: files.collect(),
        }
    }

    /// For a container that is to be made; `None` while nothing is wanted, or nobody knows yet whose the files are.
    pub(super) fn new_ones(desired: &'a Desired, observed: &Observed) -> Option<(FileUser, Self)> {
        let user = observed.files.user.filter(|_| !desired.files().is_empty())?;
        Some((user, Self::by(desired, user, observed.files.noswap)))
    }

    /// For those that are there as well: an image is asked whose they are when a container is to be made, not before. And
    /// what is known of the kernel may have changed since they came.
    pub(super) fn all(desired: &'a Desired, observed: &Observed) -> Self {
        let noswap = observed.files.noswap;
        let Self { mut volumes } = Self::for_users(desired, observed, !noswap);
        volumes.extend(Self::for_users(desired, observed, noswap).volumes);
        Self { volumes }
    }

    /// For everybody who may own files here, kept out of swap or not.
    pub(super) fn for_users(desired: &'a Desired, observed: &Observed, noswap: bool) -> Self {
        let holders = observed.files.holders.iter().map(|held| held.user);
        let users: BTreeSet<FileUser> = holders.chain(observed.files.user).collect();
        let volumes = users
            .into_iter()
            .flat_map(|user| Self::by(desired, user, noswap).volumes);
        Self {
            volumes: volumes.collect(),
        }
    }

    /// Whether variables are among them.
    fn is_protected(&self) -> bool {
        let mut files = self.volumes.values();
        files.any(|(file, _)| file.entry == protected::ENTRY)
    }

    pub(super) fn holder_name(&self, desired: &Desired) -> String {
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
pub(super) fn holder(desired: &Desired, user: FileUser, wanted: &Wanted<'_>) -> ContainerSpec {
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
    let program = wanted.is_protected().then(|| program(desired));
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
        name: wanted.holder_name(desired),
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

/// A container with no rights, no network and little memory.
pub(super) fn bare(labels: BTreeMap<String, String>) -> ContainerSpec {
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
                mount.source = MountSource::Files(name.clone());
                mount.read_only = true;
            }
        }
    }
    if wanted.is_protected() {
        let name = wanted.holder_name(desired);
        let held = observed.files.holders.iter().find(|held| held.view.name == name);
        let program = held.map_or_else(|| program(desired), |h| h.view.label(label::PROGRAM).to_owned());
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
