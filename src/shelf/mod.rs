//! Files in a directory on a tmpfs: carries out one load there and says what is there afterwards. What to do is decided by
//! `delivery::place`; here are the calls to the file system, in an order in which a kill between any two leaves the
//! old files or the new ones, and a full file system leaves the old ones. Nothing is written where it could reach a disk.
//! Blocks. Called by `cli`'s `deliver` inside a holder, and by `execute` in a directory of the host, which [`host`] keeps.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown, symlink},
    path::Path,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    delivery::{
        parcel::{self, Load, Order},
        place::{self, Standing},
        receipt::{Shelf, User},
    },
    seal::DigestKey,
};

mod fault;
pub mod host;
mod seen;

use fault::Context;
pub use fault::Fault;

type Result<T> = std::result::Result<T, Fault>;

/// How long a generation is kept after it was replaced, when somebody looks: a reader that has opened it is done by then.
const READ_BY_THEN: SignedDuration = SignedDuration::from_secs(60);
/// How long a delivery waits for another in the same directory. Bounded, because whoever can read a directory can lock it.
const TURN: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);
const TMPFS: u64 = 0x0102_1994;

/// Does what `load` says, at the time `now`, and answers with what is in its directory then; digests are under `key`. A
/// directory that is not on a tmpfs is answered as such, and nothing in it is changed. What is made belongs to `owner`; to
/// whoever calls where that is absent.
///
/// # Errors
/// The directory, the file and what the system said, without any bytes of it. The files that were current still are.
pub fn carry_out(load: &Load, key: &DigestKey, now: Timestamp, owner: Option<User>) -> Result<Shelf> {
    let at = Path::new(&load.directory);
    // Held until this returns: two deliveries never mix, and none is looked at half done.
    let directory = lock(at, TURN).with_context(|| format!("cannot lock {}", load.directory))?;
    let tmpfs = is_tmpfs(&directory).with_context(|| format!("cannot look at {}", load.directory))?;
    if tmpfs {
        let standing = read(at)?;
        match &load.order {
            Order::Place { generation, files } => place(at, &standing, generation, files, owner),
            Order::Look => collect(at, &standing, now),
            Order::Told { generation } => tell(at, generation),
        }
        .with_context(|| format!("in {}", load.directory))?;
    }
    let standing = read(at)?;
    let found = directory
        .metadata()
        .with_context(|| format!("cannot look at {}", load.directory))?;
    Ok(Shelf {
        directory: load.directory.clone(),
        tmpfs,
        generation: standing.current().map(|(generation, _)| generation.to_owned()),
        told: standing.link(place::TOLD).map(str::to_owned),
        user: User {
            uid: found.uid(),
            gid: found.gid(),
        },
        mode: found.mode() & 0o7777,
        files: seen::seen(at, &standing, key).with_context(|| format!("in {}", load.directory))?,
        strangers: seen::strangers(at, &standing).with_context(|| format!("in {}", load.directory))?,
    })
}

fn lock(directory: &Path, turn: Duration) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(directory)?;
    let mut waited = Duration::ZERO;
    loop {
        match opened.try_lock() {
            Ok(()) => return Ok(opened),
            Err(TryLockError::WouldBlock) if waited < turn => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another delivery does not end; try again"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn is_tmpfs(directory: &File) -> io::Result<bool> {
    let found = rustix::fs::fstatfs(directory)?;
    Ok(u64::try_from(found.f_type) == Ok(TMPFS))
}

/// Names that are not UTF-8 are nobody's here.
fn read(directory: &Path) -> Result<Standing> {
    let entries = || -> io::Result<_> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let link = if entry.file_type()?.is_symlink() {
                Some(fs::read_link(entry.path())?.to_string_lossy().into_owned())
            } else {
                None
            };
            if let Ok(name) = entry.file_name().into_string() {
                found.insert(name, link);
            }
        }
        Ok(Standing(found))
    };
    entries().with_context(|| format!("cannot read {}", directory.display()))
}

fn place(
    at: &Path,
    standing: &Standing,
    generation: &str,
    files: &[parcel::File],
    owner: Option<User>,
) -> Result<()> {
    let links = place::links(files);
    for name in standing.left_over() {
        remove(at, name)?;
    }
    let number = standing.next();
    let missing = standing.missing(&links);
    let (unfinished, finished) = (place::unfinished(number), place::directory(generation, number));
    // A directory that somebody made in the place of the link; an exchange goes over anything else.
    if standing.0.contains_key(place::DATA) && standing.link(place::DATA).is_none() {
        remove(at, place::DATA)?;
    }
    if let Err(error) = prepare(at, &unfinished, files, owner)
        .and_then(|()| prepare_links(at, &missing, &finished))
        .and_then(|()| exchange(at, &unfinished, &finished))
    {
        // What does not go now goes with the next delivery.
        for name in [place::NEXT_LINKS, place::NEXT_DATA, &unfinished, &finished] {
            let _ = remove(at, name);
        }
        return Err(error);
    }
    // From here on the new files are current, and nothing needs space.
    for name in missing {
        // What somebody put in its place; over a link or a file the new one is moved.
        if at.join(name).symlink_metadata().is_ok_and(|found| found.is_dir()) {
            remove(at, name)?;
        }
        let made = at.join(place::NEXT_LINKS).join(name);
        fs::rename(made, at.join(name)).with_context(|| format!("cannot make the link {name}"))?;
    }
    remove(at, place::NEXT_LINKS)?;
    for name in standing.stale(&links) {
        remove(at, name)?;
    }
    let standing = read(at)?;
    for name in standing.outlived().into_iter().chain(standing.strangers()) {
        remove(at, name)?;
    }
    Ok(())
}

/// Writes all files into a directory that no link leads to.
fn prepare(at: &Path, unfinished: &str, files: &[parcel::File], owner: Option<User>) -> Result<()> {
    let root = at.join(unfinished);
    for (path, mode) in place::directories(files) {
        make_directory(&root.join(path), mode, owner)
            .with_context(|| format!("cannot make the directory {path:?}"))?;
    }
    for file in files {
        write(&root.join(&file.path), file, owner)
            .with_context(|| format!("cannot write file {}", file.path))?;
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32, owner: Option<User>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // Whatever the umask is. Who gives it away has no say in its mode afterwards.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    owner.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}

fn write(path: &Path, file: &parcel::File, owner: Option<User>) -> io::Result<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    opened.write_all(file.bytes.expose())?;
    opened.set_permissions(Permissions::from_mode(file.mode))?;
    owner.map_or(Ok(()), |user| fchown(&opened, Some(user.uid), Some(user.gid)))
}

/// Makes what the exchange and the moment after it need.
fn prepare_links(at: &Path, missing: &[&str], finished: &str) -> Result<()> {
    let beside = at.join(place::NEXT_LINKS);
    let make = || -> io::Result<()> {
        symlink(finished, at.join(place::NEXT_DATA))?;
        make_directory(&beside, 0o700, None)?;
        missing
            .iter()
            .try_for_each(|name| symlink(place::target(name), beside.join(name)))
    };
    make().context("cannot make the links")
}

fn exchange(at: &Path, unfinished: &str, finished: &str) -> Result<()> {
    fs::rename(at.join(unfinished), at.join(finished))
        .and_then(|()| fs::rename(at.join(place::NEXT_DATA), at.join(place::DATA)))
        .context("cannot make the new files current")
}

/// Removes what a killed delivery left, and generations that were replaced some time ago.
fn collect(at: &Path, standing: &Standing, now: Timestamp) -> Result<()> {
    for name in standing.left_over() {
        remove(at, name)?;
    }
    for (name, later) in standing.replaced() {
        let made = fs::metadata(at.join(later)).and_then(|found| found.modified());
        let made = made.with_context(|| format!("cannot look at {later}"))?;
        let made = Timestamp::try_from(made).with_context(|| format!("{later} has no time"))?;
        if now.duration_since(made) >= READ_BY_THEN {
            remove(at, name)?;
        }
    }
    Ok(())
}

fn tell(at: &Path, generation: &str) -> Result<()> {
    remove(at, place::NEXT_TOLD)?;
    symlink(generation, at.join(place::NEXT_TOLD))
        .and_then(|()| fs::rename(at.join(place::NEXT_TOLD), at.join(place::TOLD)))
        .context("cannot note what was told")
}

/// Removes a link, or a directory with all that is in it. What is not there is removed.
fn remove(at: &Path, name: &str) -> Result<()> {
    let path = at.join(name);
    let removed = match fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
        Ok(_) => fs::remove_file(&path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {name}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
