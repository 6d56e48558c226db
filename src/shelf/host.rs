//! A directory of the host on a tmpfs that the operator keeps itself: `DIR/<instance>/<volume>/` with files, and beside
//! them one record for each set of volumes, which says whose they are, as labels do on a volume of the engine. A record
//! is written before and goes after its directories, so that whatever a kill leaves has an owner; what no record names is
//! somebody else's. Owns what the directory must be like. Blocks. Called by `execute` and `cli`.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Component, Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fault, Result, fault::Context, is_tmpfs, read, remove};
use crate::delivery::receipt::User;

/// What becomes a record, and what a look at the directory is tried with. No name of ours begins so.
const UNFINISHED: &str = ".new-";
/// The longest record, in bytes.
const LONGEST: u64 = 1 << 20;
/// Somebody else, to whom a file is given on trial.
const NOBODY: u32 = 65534;

/// A set of volumes that belong together, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Labels, as on a volume of the engine.
    pub labels: BTreeMap<String, String>,
    /// Which directory, by its path, is which volume of the pod.
    pub volumes: BTreeMap<String, String>,
    /// What the directories are like.
    pub directories: Vec<Directory>,
    /// Containers, in the run that began then, that have mounted a directory which is gone: they do not come to the one that
    /// was made in its place.
    #[serde(default)]
    pub blind: BTreeMap<String, Timestamp>,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path, which names the set.
    pub path: String,
    /// When it was written.
    pub made_at: Timestamp,
    /// What it says.
    pub record: Record,
    /// The current generation in each directory that is there, by path.
    pub standing: BTreeMap<String, Option<String>>,
}

/// A directory for the files of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Its path.
    pub path: String,
    /// Whose it is.
    pub user: User,
    /// Its permissions, such as `0o755`.
    pub mode: u32,
}

/// See the file's header. Holds nothing open: what is there is looked at each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDirectory(PathBuf);

impl HostDirectory {
    /// Takes a directory that is fit for it: see [`Self::verify`]. Also tries whether files can be given to others.
    ///
    /// # Errors
    /// What is wrong with the directory, and what to do.
    pub fn open(path: &Path) -> Result<Self> {
        let found = Self(path.to_owned());
        found.verify()?;
        found
            .try_giving()
            .with_context(|| {
                format!(
                    "files in {} cannot be given to the users of containers; the operator must be root there, with the \
                     capabilities CHOWN and DAC_OVERRIDE",
                    path.display()
                )
            })
            .map(|()| found)
    }

    /// Takes a directory for looks alone: see [`Self::verify`].
    ///
    /// # Errors
    /// What is wrong with the directory, and what to do.
    pub fn reading(path: &Path) -> Result<Self> {
        let found = Self(path.to_owned());
        found.verify().map(|()| found)
    }

    /// Looks whether it is absolute, no link and below none, ours, closed to everybody else, and on a tmpfs.
    ///
    /// # Errors
    /// What it is not, and what to do.
    pub fn verify(&self) -> Result<()> {
        let path = &self.0;
        let wrong = |what: &str| Err(Fault::new(format!("{} {what}", path.display())));
        let mut parts = path.components();
        let plain = path.is_absolute()
            && parts.next() == Some(Component::RootDir)
            && parts.all(|part| matches!(part, Component::Normal(_)))
            && path != Path::new("/")
            && path.to_str().is_some_and(|text| !text.ends_with('/'));
        if !plain {
            return wrong("is not an absolute path without `..` and without `/` at its end; write it so");
        }
        let next = "make it: mount -t tmpfs -o noswap,nosuid,nodev,noexec,mode=0700,size=256m tmpfs";
        let real = fs::canonicalize(path).with_context(|| {
            format!(
                "{} cannot be looked at; {next} {}",
                path.display(),
                path.display()
            )
        })?;
        if real != *path {
            return wrong(&format!(
                "leads through a symbolic link; write where it leads: {}",
                real.display()
            ));
        }
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)
            .with_context(|| format!("{} is no directory that can be opened", path.display()))?;
        let tmpfs = is_tmpfs(&opened).with_context(|| format!("cannot look at {}", path.display()))?;
        if !tmpfs {
            return wrong(&format!(
                "is not on a tmpfs, so that values would reach a disk; {next} {}, or name a directory below /run",
                path.display()
            ));
        }
        let found = opened
            .metadata()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        if found.mode() & 0o7777 != 0o700 {
            return wrong(&format!(
                "is open to others; close it: chmod 0700 {}",
                path.display()
            ));
        }
        // Asked of a file, because /proc/self is root's of a process that cannot be dumped.
        let own = self
            .own_uid()
            .with_context(|| format!("cannot write into {}", path.display()))?;
        if found.uid() != own {
            return wrong(&format!(
                "belongs to another user; give it: chown {own} {}",
                path.display()
            ));
        }
        Ok(())
    }

    fn trial(&self) -> PathBuf {
        let thread = std::thread::current().id();
        self.0
            .join(format!("{UNFINISHED}{}-{thread:?}", std::process::id()))
    }

    /// As whom this process writes.
    fn own_uid(&self) -> io::Result<u32> {
        let path = self.trial();
        let made = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        let uid = made.metadata()?.uid();
        fs::remove_file(path)?;
        Ok(uid)
    }

    /// Gives a file to somebody else, closed to everybody, and reads it, as each delivery does.
    fn try_giving(&self) -> io::Result<()> {
        let path = self.trial();
        let tried = || {
            let mut made = File::create(&path)?;
            made.write_all(b"1")?;
            made.set_permissions(Permissions::from_mode(0o400))?;
            chown(&path, Some(NOBODY), Some(NOBODY))?;
            fs::read(&path).map(|_| ())
        };
        let tried = tried();
        match fs::remove_file(&path) {
            Err(error) if tried.is_ok() => Err(error),
            _ => tried,
        }
    }

    /// Whether the directory was mounted so that nothing in it is swapped; not, where the system does not tell.
    #[must_use]
    pub fn is_out_of_swap(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mountinfo");
        mounts.is_ok_and(|mounts| has_noswap(&mounts, &self.0))
    }

    /// Where the volumes of a control plane are.
    #[must_use]
    pub fn root(&self, instance: &str) -> String {
        format!("{}/{instance}", self.0.display())
    }

    /// The records below `root` whose names begin so, which are the files there. A file that is no record is left out, and nobody touches it.
    ///
    /// # Errors
    /// What cannot be read. A root that is not there has none.
    pub fn records(&self, root: &str, prefix: &str) -> Result<Vec<Found>> {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {root}")),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {root}"))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && name.starts_with(prefix) && !name.starts_with(UNFINISHED) {
                found.extend(look(root, &name)?);
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Which of these are not there.
    #[must_use]
    pub fn missing(&self, directories: &[Directory]) -> Vec<String> {
        let missing = |directory: &&Directory| !Path::new(&directory.path).is_dir();
        let paths = directories.iter().filter(missing);
        paths.map(|directory| directory.path.clone()).collect()
    }

    /// Writes a record below `root` unless it is there, then makes its directories where they are not.
    ///
    /// # Errors
    /// [`Self::verify`]'s, and what cannot be made.
    pub fn keep(&self, root: &str, path: &str, record: &Record) -> Result<()> {
        self.verify()?;
        closed(Path::new(root)).with_context(|| format!("cannot make {root}"))?;
        let name = child(root, path)?;
        if look(root, name)?.is_none_or(|there| there.record != *record) {
            let text = serde_json::to_vec(record).with_context(|| format!("cannot write {path}"))?;
            let unfinished = Path::new(root).join(format!("{UNFINISHED}{name}"));
            fs::write(&unfinished, text)
                .and_then(|()| fs::rename(&unfinished, path))
                .with_context(|| format!("cannot write {path}"))?;
        }
        for directory in &record.directories {
            child(root, &directory.path)?;
            make(directory).with_context(|| format!("cannot make {}", directory.path))?;
        }
        Ok(())
    }

    /// Removes directories below `root` with all that is in them. What is not there is removed.
    ///
    /// # Errors
    /// What cannot be removed.
    pub fn remove_directories<'a>(
        &self,
        root: &str,
        paths: impl IntoIterator<Item = &'a String>,
    ) -> Result<()> {
        paths
            .into_iter()
            .try_for_each(|path| remove(Path::new(root), child(root, path)?))
    }

    /// Removes a record below `root`, and the root with the last one.
    ///
    /// # Errors
    /// What cannot be removed.
    pub fn remove_record(&self, root: &str, path: &str) -> Result<()> {
        remove(Path::new(root), child(root, path)?)?;
        // While anything else is in it, it stays.
        let _ = fs::remove_dir(root);
        Ok(())
    }

    /// Puts a text where the engine can be asked for it, in a directory of its own below `root`; answers with that.
    ///
    /// # Errors
    /// [`Self::verify`]'s, and what cannot be made.
    pub fn leave_sign(&self, root: &str, name: &str, text: &[u8]) -> Result<String> {
        self.verify()?;
        let path = format!("{root}/{UNFINISHED}{name}");
        closed(Path::new(root))
            .and_then(|()| closed(Path::new(&path)))
            .and_then(|()| fs::write(format!("{path}/{SIGN}"), text))
            .with_context(|| format!("cannot make {path}"))?;
        Ok(path)
    }

    /// Takes it away again.
    pub fn remove_sign(&self, root: &str, name: &str) {
        // What does not go now goes with the next one.
        let _ = remove(Path::new(root), &format!("{UNFINISHED}{name}"));
        let _ = fs::remove_dir(root);
    }
}

/// The file of [`HostDirectory::leave_sign`].
pub const SIGN: &str = "sign";

/// The name of something right below `root`: nothing else is ever made or removed.
fn child<'a>(root: &str, path: &'a str) -> Result<&'a str> {
    let name = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    name.filter(|name| !name.is_empty() && !name.contains('/') && !matches!(*name, "." | ".."))
        .ok_or_else(|| Fault::new(format!("{path} is not right below {root}")))
}

/// Makes a directory of our own unless it is there.
fn closed(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() {
                Ok(())
            } else {
                Err(error)
            }
        }
        made => made,
    }
}

fn make(directory: &Directory) -> io::Result<()> {
    let path = Path::new(&directory.path);
    closed(path)?;
    let Directory { user, mode, .. } = directory;
    let found = fs::symlink_metadata(path)?;
    // Who has given it away may not change its mode any more, and need not.
    if found.mode() & 0o7777 != *mode {
        fs::set_permissions(path, Permissions::from_mode(*mode))?;
    }
    if (found.uid(), found.gid()) != (user.uid, user.gid) {
        chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

/// Reads one record; none where there is none.
fn look(root: &str, name: &str) -> Result<Option<Found>> {
    let path = format!("{root}/{name}");
    let read_it = || -> io::Result<(Timestamp, Vec<u8>)> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)?;
        let made_at = Timestamp::try_from(file.metadata()?.modified()?).map_err(io::Error::other)?;
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text)?;
        Ok((made_at, text))
    };
    let (made_at, text) = match read_it() {
        Ok(found) => found,
        // Gone meanwhile, or never there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
    };
    let Ok(record) = serde_json::from_slice::<Record>(&text) else {
        return Ok(None);
    };
    let mut standing = BTreeMap::new();
    for directory in record.volumes.keys() {
        if child(root, directory).is_ok() && Path::new(directory).is_dir() {
            let current = read(Path::new(directory))?
                .current()
                .map(|(name, _)| name.to_owned());
            standing.insert(directory.clone(), current);
        }
    }
    Ok(Some(Found {
        path,
        made_at,
        record,
        standing,
    }))
}

/// Whether what `path` is on has the option, by a text like that of `/proc/self/mountinfo`. Of two mounts at one place the
/// later one is seen.
fn has_noswap(mounts: &str, path: &Path) -> bool {
    let place = |line: &str| line.split(' ').nth(4).map(|at| at.replace("\\040", " "));
    let above = |line: &&str| place(line).is_some_and(|at| path.starts_with(at));
    let nearest = mounts
        .lines()
        .filter(above)
        .max_by_key(|line| place(line).map(|at| at.len()));
    let options = nearest.and_then(|line| line.rsplit(' ').next());
    options.is_some_and(|options| options.split(',').any(|option| option == "noswap"))
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
