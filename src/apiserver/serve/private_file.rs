//! Files and directories that are one user's: read only when nobody else could have changed or read them, written whole
//! or not at all. Owns modes, owners and the rename; knows no content. The user's id comes from the caller, since asking
//! the system for it is `unsafe`. Called by `pki`, and by `cli` for the data directory.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

const OTHERS: u32 = 0o077;
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file or directory is not used. Every text names the path and the next step.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{} cannot be {what}; check its directory's permissions and free space", .path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// `read`, `written`, `made`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A directory where a file should be, or the other way round.
    #[error("{} is not {expected}; move it away or give another data directory", .path.display())]
    WrongType {
        /// The path.
        path: PathBuf,
        /// `a regular file`, `a directory`.
        expected: &'static str,
    },
    /// Others may read or write it.
    #[error("{} has mode {mode:04o}, so that others may read or change it; run `chmod {wanted} {}`, and if others could log in here, make what it holds anew", .path.display(), .path.display())]
    TooOpen {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What it should be.
        wanted: &'static str,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, this program runs as user {me}; run `chown {me}` on it, or run as user {owner}", .path.display())]
    ForeignOwner {
        /// The path.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
        /// Our effective uid.
        me: u32,
    },
}

fn system(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::System { path, what, source }
}

fn private(path: &Path, found: &fs::Metadata, me: u32, wanted: &'static str) -> Result<(), FileError> {
    let (path, owner, mode) = (path.to_owned(), found.uid(), found.mode() & 0o7777);
    if owner != me {
        return Err(FileError::ForeignOwner { path, owner, me });
    }
    if mode & OTHERS != 0 {
        return Err(FileError::TooOpen { path, mode, wanted });
    }
    Ok(())
}

/// Makes the directory (and what is above it) with mode 0700 if it is not there; answers whether it was made.
///
/// # Errors
/// It cannot be made, is none, or is not the user's alone.
pub fn directory(path: &Path, me: u32) -> Result<bool, FileError> {
    let made = match fs::metadata(path) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(path).map_err(system(path, "made"))?;
            true
        }
        Err(error) => return Err(system(path, "read")(error)),
    };
    check_directory(path, me)?;
    Ok(made)
}

/// Looks whether a directory is the user's alone.
///
/// # Errors
/// It cannot be read, is none, or is not the user's alone.
pub fn check_directory(path: &Path, me: u32) -> Result<(), FileError> {
    let found = fs::metadata(path).map_err(system(path, "read"))?;
    if !found.is_dir() {
        return Err(FileError::WrongType {
            path: path.to_owned(),
            expected: "a directory",
        });
    }
    private(path, &found, me, "0700")
}

/// The content of a private file; `None` when there is none.
///
/// # Errors
/// It cannot be read, is no file, or is not the user's alone.
pub fn read(path: &Path, me: u32) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    // Without it, opening a pipe would wait for its other end.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(system(path, "read")(error)),
    };
    // The opened file is looked at, not the path, so that nothing can be swapped in between.
    let found = file.metadata().map_err(system(path, "read"))?;
    if !found.is_file() {
        return Err(FileError::WrongType {
            path: path.to_owned(),
            expected: "a regular file",
        });
    }
    private(path, &found, me, "0600")?;
    let size = usize::try_from(found.len().min(MAX_BYTES)).unwrap_or(0);
    let mut content = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
    file.take(MAX_BYTES)
        .read_to_end(&mut content)
        .map_err(system(path, "read"))?;
    Ok(Some(content))
}

/// Writes a file of mode 0600: afterwards there is the old one or the new one, and it survives a power cut.
///
/// # Errors
/// It cannot be written; the old file is untouched then.
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let half = path.with_file_name(format!(".{name}.{}.half", std::process::id()));
    let written = write_half(&half, content).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        let _nothing_more_to_do = fs::remove_file(&half);
    }
    written.map_err(system(path, "written"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(system(path, "written"))
}

fn write_half(half: &Path, content: &[u8]) -> io::Result<()> {
    // Left over from a process that had our id and was killed.
    let _absent_is_fine = fs::remove_file(half);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(half)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn me(dir: &Path) -> u32 {
        fs::metadata(dir).unwrap().uid()
    }

    #[test]
    fn what_is_written_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let me = me(dir.path());
        assert!(read(&path, me).unwrap().is_none());
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(&**read(&path, me).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no half is left");
    }

    #[test]
    fn what_others_could_read_or_own_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let me = me(dir.path());
        write(&path, b"one").unwrap();
        for bits in [0o640, 0o604, 0o620, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            assert!(
                matches!(read(&path, me), Err(FileError::TooOpen { .. })),
                "{bits:o}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read(&path, me + 1), Err(FileError::ForeignOwner { .. })));
        assert!(matches!(read(dir.path(), me), Err(FileError::WrongType { .. })));
    }

    #[test]
    fn a_directory_is_made_private_and_an_open_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let me = me(dir.path());
        let inner = dir.path().join("a/b");
        assert!(directory(&inner, me).unwrap());
        assert!(!directory(&inner, me).unwrap());
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o7777, 0o700);
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            directory(&inner, me),
            Err(FileError::TooOpen { wanted: "0700", .. })
        ));
        write(&dir.path().join("file"), b"").unwrap();
        assert!(matches!(
            directory(&dir.path().join("file"), me),
            Err(FileError::WrongType { .. })
        ));
    }
}
