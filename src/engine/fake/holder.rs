//! Volumes of the fake engine that files are delivered into, and the program `deliver` that a container with such volumes
//! can run: it answers a parcel as the real one does. What is in memory lives while a running container has it mounted.
//! A test breaks a delivery by [`Breakage`]. Shows what was delivered by digest, never its bytes. Part of `world`'s rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use futures::{StreamExt, channel::mpsc};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, DuplexStream};
use zeroize::Zeroizing;

use super::{
    Fake,
    world::{World, digest, is_up},
};
use crate::{
    delivery::{
        parcel::{self, File, Load, Order, Parcel},
        place,
        receipt::{Receipt, SeenFile, Shelf, User},
    },
    engine::{Kind, LogChunk, Session},
    seal::DigestKey,
    state::{
        container::{ContainerId, ContainerSpec, Mount, MountSource},
        files::FileUser,
        protected,
        volume::{Memory, Volume},
    },
};

/// What is run in a holder for each delivery.
const DELIVER: [&str; 2] = ["/supercargo", "deliver"];
/// Generations that `deliver` keeps: the current one and two before it.
const KEPT: usize = 3;
/// How long it keeps one that was replaced, when it looks.
const READ_BY_THEN: SignedDuration = SignedDuration::from_secs(60);
/// Entries in a volume besides generations and links to files: its root, the links to what is current and told, and what
/// they are made from.
const OWN: usize = 5;
/// Bytes that a file takes in whole.
const PAGE: u64 = 4096;
/// The first kernel that knows `noswap`.
const NOSWAP: (u32, u32) = (6, 4);

/// How deliveries go wrong from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// The program ends before it has done anything: its output ends without a receipt.
    CutOff,
    /// The program does what it is told, and its output ends without a receipt.
    Lost,
    /// The program fails: a message on standard error, and nothing has changed.
    Fails,
    /// The digest of the first file is that of other bytes.
    WrongDigest,
    /// The first file is another user's.
    WrongOwner,
    /// The program in the holder's own volume is another one: a message on standard error, and nothing has changed.
    OtherProgram,
    /// The directory is not on a tmpfs, so nothing is put there.
    NotMemory,
    /// The holder has other memory than those who read the volume, as after a restart of 20.10 with live-restore: they
    /// see nothing of what is delivered.
    Astray,
}

/// What was delivered into a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The current generation.
    pub generation: Option<String>,
    /// The one that users were told of.
    pub told: Option<String>,
    /// Permissions and digest ([`Fake::digest`]) of each of its files, by path.
    pub files: BTreeMap<String, (u32, String)>,
}

/// The content of a volume.
#[derive(Default)]
pub(super) struct Content {
    /// Names of generations have it, so that none comes twice.
    number: u64,
    pub(super) generation: Option<String>,
    told: Option<String>,
    pub(super) files: Vec<File>,
    /// The generations that are kept, the newest last.
    kept: Vec<Kept>,
    astray: bool,
    /// What somebody else put there.
    pub(super) strangers: u64,
    /// Files whose link somebody replaced.
    pub(super) hidden: BTreeSet<String>,
}

/// What a generation takes.
struct Kept {
    made: Timestamp,
    bytes: u64,
    /// Files and directories.
    entries: usize,
}

impl Kept {
    fn of(files: &[File], made: Timestamp) -> Self {
        let lengths = files
            .iter()
            .map(|file| u64::try_from(file.bytes.len()).unwrap_or(u64::MAX));
        Self {
            made,
            bytes: lengths.map(|length| length.div_ceil(PAGE) * PAGE).sum(),
            entries: files.len() + place::directories(files).len(),
        }
    }
}

impl Content {
    fn take(
        &mut self,
        generation: &str,
        files: Vec<File>,
        room: &Memory,
        now: Timestamp,
    ) -> Result<(), String> {
        let new = Kept::of(&files, now);
        // While it is written all that was kept is there, too.
        let all = || self.kept.iter().chain([&new]);
        let mut links = place::links(&files);
        links.extend(place::links(&self.files));
        let entries = OWN + links.len() + all().map(|kept| kept.entries).sum::<usize>();
        let is_full = all().map(|kept| kept.bytes).sum::<u64>() > room.size
            || u64::try_from(entries).is_ok_and(|entries| entries > room.inodes);
        if is_full {
            return Err("No space left on device (os error 28)".to_owned());
        }
        self.kept.push(new);
        let surplus = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..surplus);
        self.number += 1;
        self.generation = Some(generation.to_owned());
        self.files = files;
        self.strangers = 0;
        self.hidden.clear();
        Ok(())
    }

    pub(super) fn generations(&self) -> usize {
        self.kept.len()
    }

    /// Lets go of what was replaced some time ago.
    fn collect(&mut self, now: Timestamp) {
        let replaced = self.kept.iter().skip(1).map(|later| later.made);
        let surplus = replaced
            .take_while(|made| now.duration_since(*made) >= READ_BY_THEN)
            .count();
        self.kept.drain(..surplus);
    }

    fn seen(&self, key: &DigestKey, owner: User) -> Vec<SeenFile> {
        let seen = |file: &File| SeenFile {
            path: file.path.clone(),
            mode: file.mode,
            uid: owner.uid,
            gid: owner.gid,
            size: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
            digest: key.digest(&file.path, file.bytes.expose()),
        };
        let current = self.files.iter().filter(|_| self.generation.is_some());
        let linked = current.filter(|file| !self.hidden.contains(&file.path));
        let mut files: Vec<_> = linked.map(seen).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    pub(super) fn delivered(&self) -> Delivered {
        let shown = |file: &File| (file.path.clone(), (file.mode, digest(file.bytes.expose())));
        Delivered {
            generation: self.generation.clone(),
            told: self.told.clone(),
            files: self.files.iter().map(shown).collect(),
        }
    }

    /// Where a link in the root of the volume leads, mounted at this path.
    fn leads(&self, mounted: &str, name: &str) -> Option<String> {
        let current = || Some(place::directory(self.generation.as_deref()?, self.number));
        match name {
            place::DATA => current(),
            place::TOLD => self.told.clone(),
            _ if place::links(&self.files).contains(name) => Some(format!("{mounted}/{}/{name}", current()?)),
            _ => None,
        }
    }
}

/// The volume that is mounted.
pub(super) fn volume_of(mount: &Mount) -> Option<&str> {
    match &mount.source {
        MountSource::Volume(name) | MountSource::Files(name) => Some(name),
        MountSource::HostPath(_) | MountSource::Anonymous | MountSource::Tmpfs(_) => None,
    }
}

/// By number; root where there is none, as a fake image has no users.
fn user_of(spec: &ContainerSpec) -> User {
    let user = spec.user.as_deref().unwrap_or_default();
    let (uid, gid) = user.split_once(':').unwrap_or((user, ""));
    User {
        uid: uid.parse().unwrap_or_default(),
        gid: gid.parse().unwrap_or_default(),
    }
}

impl World {
    /// Makes the volumes of a container that there are none of: on the disk, as nobody says otherwise.
    pub(super) fn make_volumes(&mut self, spec: &ContainerSpec) {
        for name in spec.mounts.iter().filter_map(volume_of) {
            let volume = Volume {
                name: name.to_owned(),
                labels: BTreeMap::new(),
                memory: None,
            };
            self.volumes.entry(name.to_owned()).or_insert(volume);
        }
    }

    /// Whether a running container has the volume mounted.
    fn is_mounted(&self, name: &str) -> bool {
        let mounts = |spec: &ContainerSpec| spec.mounts.iter().any(|mount| volume_of(mount) == Some(name));
        let mut running = self.containers.values().filter(|c| is_up(c.view.state));
        running.any(|c| mounts(&c.spec))
    }

    /// What keeps the volumes of a container from being mounted.
    pub(super) fn can_mount(&self, spec: &ContainerSpec) -> Result<(), (Kind, String)> {
        let volumes = spec.mounts.iter().filter_map(volume_of);
        for volume in volumes.filter_map(|name| self.volumes.get(name)) {
            let Some(memory) = volume.memory.as_ref().filter(|_| !self.is_mounted(&volume.name)) else {
                continue;
            };
            // The largest number is nobody's.
            if memory.user.uid == u32::MAX
                || memory.user.gid == u32::MAX
                || memory.noswap && self.kernel_version() < NOSWAP
            {
                let message = format!(
                    "error while mounting volume '{}': failed to mount local volume: invalid argument",
                    volume.name
                );
                return Err((Kind::MountRefused, message));
            }
        }
        Ok(())
    }

    fn kernel_version(&self) -> (u32, u32) {
        let mut numbers = self.kernel.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or_default();
        (next(), next())
    }

    /// Forgets what was in memory of volumes that nobody has mounted any more.
    pub(super) fn unmount(&mut self) {
        let gone: Vec<String> = self
            .contents
            .keys()
            .filter(|name| {
                let on_disk = self.volumes.get(*name).is_some_and(|v| v.memory.is_none());
                !on_disk && !self.is_mounted(name)
            })
            .cloned()
            .collect();
        gone.iter().for_each(|name| {
            self.contents.remove(name);
        });
    }

    /// A writer that starts comes to the memory of those who read, in which nothing stands that went astray.
    pub(super) fn remount(&mut self, id: &ContainerId) {
        let mounts = self.containers.get(id).map(|c| c.spec.mounts.as_slice());
        let writable = mounts.into_iter().flatten().filter(|mount| !mount.read_only);
        for name in writable.filter_map(volume_of) {
            if self.contents.get(name).is_some_and(|content| content.astray) {
                self.contents.remove(name);
            }
        }
    }

    /// The mount that a path is in, and what is left of the path.
    pub(super) fn mounted<'a>(&'a self, id: &ContainerId, path: &'a str) -> Option<(&'a Mount, &'a str)> {
        let mounts = &self.containers.get(id)?.spec.mounts;
        let within = |mount: &'a Mount| {
            let rest = path.strip_prefix(mount.target.as_str())?.strip_prefix('/')?;
            Some((mount, rest))
        };
        mounts
            .iter()
            .filter_map(within)
            .max_by_key(|(mount, _)| mount.target.len())
    }

    /// What a path of this host is called that a path in a container leads to; None for one that is in no such mount.
    pub(super) fn host_path(&self, id: &ContainerId, path: &str) -> Option<PathBuf> {
        let (mount, rest) = self.mounted(id, path)?;
        match &mount.source {
            MountSource::HostPath(source) => Some(Path::new(source).join(rest)),
            MountSource::Volume(_)
            | MountSource::Files(_)
            | MountSource::Anonymous
            | MountSource::Tmpfs(_) => None,
        }
    }

    /// Where a link leads that is in a volume; None for a path that is in none.
    pub(super) fn delivered_link(&self, id: &ContainerId, path: &str) -> Option<Option<String>> {
        let (mount, name) = self.mounted(id, path)?;
        let content = self.contents.get(volume_of(mount)?);
        // A holder writes and everybody else reads.
        let visible = content.filter(|content| !(content.astray && mount.read_only));
        Some(visible.and_then(|content| content.leads(&mount.target, name)))
    }

    fn carry_out(&mut self, id: &ContainerId, parcel: Parcel) -> Result<Receipt, String> {
        let key = parcel.key;
        let mut shelves = Vec::with_capacity(parcel.loads.len());
        for load in parcel.loads {
            let directory = load.directory.clone();
            let shelf = self.place(id, &key, load);
            shelves.push(shelf.map_err(|message| format!("in {directory}: {message}"))?);
        }
        Ok(Receipt { shelves })
    }

    fn place(&mut self, id: &ContainerId, key: &DigestKey, load: Load) -> Result<Shelf, String> {
        let spec = self
            .containers
            .get(id)
            .map(|c| c.spec.clone())
            .ok_or("no container")?;
        let mount = spec.mounts.iter().find(|mount| mount.target == load.directory);
        let (mount, name) = mount
            .and_then(|mount| Some((mount, volume_of(mount)?)))
            .ok_or("No such file or directory (os error 2)")?;
        let volume = self.volumes.get(name).ok_or("no volume")?;
        let writer = user_of(&spec);
        let memory = volume.memory.clone();
        let (owner, mode) = memory
            .as_ref()
            .map_or((User { uid: 0, gid: 0 }, 0o755), |memory| {
                let FileUser { uid, gid } = memory.user;
                (User { uid, gid }, memory.mode)
            });
        let memory = memory.filter(|_| self.breakage != Some(Breakage::NotMemory));
        let astray = self.breakage == Some(Breakage::Astray);
        let now = self.now;
        let content = self.contents.entry(name.to_owned()).or_default();
        // Without capabilities root is nobody special.
        if writer.uid != owner.uid && mode & 0o005 != 0o005 {
            return Err("Permission denied (os error 13)".to_owned());
        }
        match (load.order, &memory) {
            // Nothing is put where it could reach a disk.
            (_, None) => {}
            (Order::Look, Some(_)) => content.collect(now),
            (Order::Place { .. } | Order::Told { .. }, _) if mount.read_only => {
                return Err("Read-only file system (os error 30)".to_owned());
            }
            (Order::Place { .. } | Order::Told { .. }, _) if writer.uid != owner.uid => {
                return Err("Permission denied (os error 13)".to_owned());
            }
            (Order::Place { generation, files }, Some(room)) => {
                content.take(&generation, files, room, now)?;
                content.astray = astray;
            }
            (Order::Told { generation }, Some(_)) => content.told = Some(generation),
        }
        Ok(Shelf {
            directory: load.directory,
            tmpfs: memory.is_some(),
            generation: content.generation.clone(),
            told: content.told.clone(),
            user: owner,
            mode,
            files: content.seen(key, writer),
            strangers: content.strangers,
        })
    }

    /// What `deliver` writes when it has read all of this.
    fn answer(&mut self, id: &ContainerId, bytes: &[u8]) -> Option<LogChunk> {
        let failed = |message: String| Some(LogChunk::Stderr(format!("error: {message}\n").into()));
        let parcel = match Parcel::read(bytes) {
            Ok(parcel) => parcel,
            Err(malformed) => return failed(malformed.to_string()),
        };
        let breakage = self.breakage;
        match breakage {
            Some(Breakage::CutOff) => return None,
            Some(Breakage::Fails) => return failed("Input/output error (os error 5)".to_owned()),
            Some(Breakage::OtherProgram) => return failed(protected::BROKEN.to_owned()),
            _ => {}
        }
        let other = parcel.key.digest("", b"");
        let mut receipt = match self.carry_out(id, parcel) {
            Ok(receipt) => receipt,
            Err(message) => return failed(message),
        };
        for shelf in &mut receipt.shelves {
            let first = shelf.files.first_mut();
            match (breakage, first) {
                (Some(Breakage::Lost), _) => return None,
                (Some(Breakage::WrongDigest), Some(file)) => file.digest = other,
                (Some(Breakage::WrongOwner), Some(file)) => file.uid += 1,
                _ => {}
            }
        }
        let json = serde_json::to_vec(&receipt).ok()?;
        Some(LogChunk::Stdout(json.into()))
    }
}

impl Fake {
    /// Whether this is the command of a delivery, in a container that files can be delivered to.
    pub(super) fn delivers(&self, spec: &ContainerSpec, command: &[String]) -> bool {
        command == DELIVER && spec.mounts.iter().any(|mount| volume_of(mount).is_some())
    }

    /// Starts `deliver` in a running container.
    pub(super) fn deliver(&self, id: &ContainerId, world: &mut World) -> Session {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (to, output) = mpsc::unbounded();
        let (fake, of) = (self.clone(), id.clone());
        let task = tokio::spawn(async move {
            let bytes = whole_parcel(far).await;
            // Asked in one step, so that nobody sees half of it.
            let chunk = fake.inside().answer(&of, &bytes);
            if let Some(chunk) = chunk {
                let _ = to.unbounded_send(Ok(chunk));
            }
        });
        world.sessions.push((id.clone(), task.abort_handle()));
        Session {
            output: output.boxed(),
            input: Box::pin(near),
        }
    }
}

/// Reads as much as the parcel says that it has, or to the end of the input.
async fn whole_parcel(mut input: DuplexStream) -> Zeroizing<Vec<u8>> {
    let mut header = [0; parcel::HEADER_BYTES];
    let Ok(_) = input.read_exact(&mut header).await else {
        return Zeroizing::default();
    };
    let length = Parcel::announced(&header).unwrap_or(header.len());
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend_from_slice(&header);
    let rest = u64::try_from(length.saturating_sub(header.len())).unwrap_or_default();
    let _ = input.take(rest).read_to_end(&mut bytes).await;
    bytes
}
