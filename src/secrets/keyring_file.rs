//! Owns the ring's file: read only when nobody else could, written whole or not at all.
//! Mode 0600, owner the running user; a new file never replaces one, a change is a rename, both are synced.
//! It holds no ring in memory and watches nothing. Called by `cli` and by standalone's start.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::keyring::KeyringError;
use super::keyring_process::effective_uid;
use crate::seal::Ring;

const PRIVATE: u32 = 0o600;
const OTHERS: u32 = 0o077;
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the ring at `path`.
///
/// # Errors
/// `Missing`, `Unreadable`, `NotAFile`, `ForeignOwner`, `TooOpen`, `Foreign`; all name the path and the next step.
pub fn read(path: &Path) -> Result<Ring, KeyringError> {
    let unreadable = |source| KeyringError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
    {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(KeyringError::Missing {
                path: path.to_owned(),
            });
        }
        Err(e) => return Err(unreadable(e)),
    };
    let size = check(path, &file)?;
    // One byte more than the file has, so that reading its end does not grow the buffer and leave a copy.
    let mut text = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
    Read::take(&mut file, MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    Ring::from_text(&text).map_err(|source| KeyringError::Foreign {
        place: path.display().to_string(),
        source,
    })
}

/// Writes a first ring to `path`, which must not exist.
///
/// # Errors
/// `Exists`, `Unwritable`.
pub fn create(path: &Path, ring: &Ring) -> Result<(), KeyringError> {
    let half = write_beside(path, ring)?;
    // A hard link refuses to replace, where a rename would.
    let linked = fs::hard_link(&half, path);
    let _ = fs::remove_file(&half);
    match linked {
        Ok(()) => sync_directory(path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(KeyringError::Exists {
            path: path.to_owned(),
        }),
        Err(source) => Err(KeyringError::Unwritable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Replaces the ring at `path`: afterwards there is the old one or the new one, never half of either.
///
/// # Errors
/// `Unwritable`; the old file is untouched then.
pub fn replace(path: &Path, ring: &Ring) -> Result<(), KeyringError> {
    let half = write_beside(path, ring)?;
    fs::rename(&half, path).map_err(|source| {
        let _ = fs::remove_file(&half);
        KeyringError::Unwritable {
            path: path.to_owned(),
            source,
        }
    })?;
    sync_directory(path)
}

/// Changes the ring at `path` under a lock, so that of two changes at once neither is lost. Nothing is written when `change`
/// fails or changes nothing. A path that is a link leads to the file that is replaced.
///
/// # Errors
/// Those of [`read`], [`KeyringError::Unwritable`], and what `change` returns.
pub fn update<T, E: From<KeyringError>>(
    path: &Path,
    change: impl FnOnce(&mut Ring) -> Result<T, E>,
) -> Result<(Ring, T), E> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _held = lock(path)?;
    let mut ring = read(path)?;
    let before = ring.to_text();
    let outcome = change(&mut ring)?;
    if *ring.to_text() != *before {
        replace(path, &ring)?;
    }
    Ok((ring, outcome))
}

/// Waits for the lock on the file that stands at `path`. The kernel lets go of it when the process ends.
fn lock(path: &Path) -> Result<File, KeyringError> {
    let unreadable = |source| KeyringError::Unreadable {
        path: path.to_owned(),
        source,
    };
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        let Ok(file) = opened else {
            // `read` says it better.
            return read(path).and_then(|_| File::open(path).map_err(unreadable));
        };
        file.lock().map_err(unreadable)?;
        let held = file.metadata().map_err(unreadable)?;
        // Whoever held it before may have put another file in its place.
        match fs::metadata(path) {
            Ok(found) if (found.dev(), found.ino()) != (held.dev(), held.ino()) => {}
            Ok(_) | Err(_) => return Ok(file),
        }
    }
}

/// Checks the opened file, not the path, so that nothing can be swapped in between. Returns its size in bytes.
fn check(path: &Path, file: &File) -> Result<usize, KeyringError> {
    let found = file.metadata().map_err(|source| KeyringError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let path = path.to_owned();
    if !found.is_file() {
        return Err(KeyringError::NotAFile { path });
    }
    let (owner, me) = (found.uid(), effective_uid());
    if owner != me {
        return Err(KeyringError::ForeignOwner { path, owner, me });
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyringError::TooOpen { path, mode });
    }
    Ok(usize::try_from(found.len().min(MAX_BYTES)).unwrap_or(0))
}

fn write_beside(path: &Path, ring: &Ring) -> Result<PathBuf, KeyringError> {
    let unwritable = |source| KeyringError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let name = path
        .file_name()
        .ok_or_else(|| unwritable(io::ErrorKind::InvalidInput.into()))?;
    let mut half_name = OsString::from(".");
    half_name.push(name);
    half_name.push(format!(".{}.half", std::process::id()));
    let half = path.with_file_name(half_name);
    // Left over from a process that had our id and was killed.
    let _ = fs::remove_file(&half);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&half)
        .map_err(unwritable)?;
    let written = file.write_all(&ring.to_text()).and_then(|()| file.sync_all());
    written.map_err(|source| {
        let _ = fs::remove_file(&half);
        unwritable(source)
    })?;
    Ok(half)
}

pub(super) fn sync_directory(path: &Path) -> Result<(), KeyringError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)
        .and_then(|d| d.sync_all())
        .map_err(|source| KeyringError::Unwritable {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::seal::SystemEntropy;

    fn ring() -> Ring {
        Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_created_ring_reads_back_is_private_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, ring) = (dir.path().join("ring"), ring());
        create(&path, &ring).unwrap();
        assert_eq!(read(&path).unwrap(), ring);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn creating_never_replaces_and_replacing_does() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old, new) = (dir.path().join("ring"), ring(), ring());
        create(&path, &old).unwrap();
        assert!(matches!(create(&path, &new), Err(KeyringError::Exists { .. })));
        assert_eq!(read(&path).unwrap(), old);
        replace(&path, &new).unwrap();
        assert_eq!(read(&path).unwrap(), new);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn changes_at_once_are_all_kept_and_leave_nothing_beside_the_ring() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        create(&path, &ring()).unwrap();
        let renew = || {
            update(&path, |ring| {
                let kid = ring
                    .renew(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy)
                    .unwrap();
                ring.promote(kid).unwrap();
                Ok::<_, KeyringError>(kid)
            })
            .unwrap()
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| drop(renew())));
            }
        });
        assert_eq!(read(&path).unwrap().members().count(), 21);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_refused_change_and_one_that_changes_nothing_write_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        create(&path, &ring()).unwrap();
        let inode = || fs::metadata(&path).unwrap().ino();
        let before = inode();
        let refused = update(&path, |ring| {
            ring.set_cluster_scope(true);
            Err::<(), _>(KeyringError::NoSuchDataKey)
        });
        assert!(matches!(refused, Err(KeyringError::NoSuchDataKey)));
        update(&path, |_| Ok::<_, KeyringError>(())).unwrap();
        assert_eq!(inode(), before);
        assert!(!read(&path).unwrap().allows_cluster_scope());
    }

    #[test]
    fn a_change_through_a_link_changes_the_file_that_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("ring"), dir.path().join("link"));
        create(&path, &ring()).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        update(&link, |ring| {
            ring.set_cluster_scope(true);
            Ok::<_, KeyringError>(())
        })
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(read(&path).unwrap().allows_cluster_scope());
    }

    #[test]
    fn every_mode_that_lets_others_in_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        create(&path, &ring()).unwrap();
        for bits in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            let err = read(&path).unwrap_err();
            assert!(
                matches!(err, KeyringError::TooOpen { mode, .. } if mode == bits),
                "{err}"
            );
            assert!(err.to_string().contains("chmod 600") && err.to_string().contains("/ring"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).is_ok(), "stricter than needed is fine");
    }

    #[test]
    fn missing_foreign_and_strange_files_have_their_own_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        assert!(matches!(read(&path), Err(KeyringError::Missing { .. })));
        assert!(matches!(read(dir.path()), Err(KeyringError::NotAFile { .. })));
        fs::write(&path, b"-----BEGIN PRIVATE KEY-----\nhunter2\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let err = read(&path).unwrap_err();
        assert!(matches!(err, KeyringError::Foreign { .. }) && !format!("{err} {err:?}").contains("hunter2"));
        fs::write(&path, vec![b'x'; 2 * 1024 * 1024]).unwrap();
        assert!(matches!(read(&path), Err(KeyringError::Foreign { .. })));
        fs::write(&path, b"").unwrap();
        assert!(matches!(read(&path), Err(KeyringError::Foreign { .. })));
        let nowhere = dir.path().join("no/such/ring");
        assert!(matches!(
            create(&nowhere, &ring()),
            Err(KeyringError::Unwritable { .. })
        ));
        let under = path.join("below");
        assert!(
            matches!(read(&under), Err(KeyringError::Unreadable { .. })),
            "a path through a file"
        );
    }

    #[test]
    fn somebody_elses_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        create(&path, &ring()).unwrap();
        // Only root can give a file away; anybody else meets a file of root's that is readable by nobody else.
        let given = std::os::unix::fs::chown(&path, Some(effective_uid() + 1), None).is_ok();
        if given {
            assert!(matches!(read(&path), Err(KeyringError::ForeignOwner { .. })));
        } else {
            assert!(read(Path::new("/etc/passwd")).is_err());
        }
    }
}
