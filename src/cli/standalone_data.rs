//! The data directory of standalone: where it is when nobody says, that it is one user's and one process's, and what is
//! in it. Owns paths and the lock; the content of each file is its own room's. Called by `standalone` and `doctor`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::Failure;
use crate::{apiserver::serve::private_file, secrets::effective_uid};

/// Where a root's services keep their state.
const SYSTEM: &str = "/var/lib/supercargo";

/// The directory, and what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataDir(pub(super) PathBuf);

/// Held as long as the process may write. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "it is the lock")] File);

/// The XDG base directories, which have no flag of that name.
fn environment(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(PathBuf::from(value)).filter(|path| path.is_absolute())
}

impl DataDir {
    /// The given one, else `/var/lib/supercargo` for root, else below the XDG state directory.
    pub(super) fn choose(given: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(path) = given {
            return Ok(Self(path));
        }
        if effective_uid() == 0 {
            return Ok(Self(PathBuf::from(SYSTEM)));
        }
        let state = environment("XDG_STATE_HOME")
            .or_else(|| environment("HOME").map(|home| home.join(".local/state")))
            .ok_or_else(|| Failure::Usage("HOME is not set; give --data-dir".to_owned()))?;
        Ok(Self(state.join("supercargo")))
    }

    /// The key ring.
    pub(super) fn keyring(&self) -> PathBuf {
        self.0.join("keyring")
    }

    /// Certificates.
    pub(super) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The admin's kubeconfig.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// Everything that was written through the API.
    pub(super) fn store(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes the directory if need be, looks that it is ours alone, and takes it for this process.
    pub(super) fn hold(&self) -> Result<Held, Failure> {
        private_file::directory(&self.0, effective_uid())?;
        let path = self.lock();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(in_use(&self.0)),
            Err(TryLockError::Error(error)) => Err(anyhow::Error::from(error)
                .context(format!("{} cannot be locked", path.display()))
                .into()),
        }
    }

    /// Whether a process has it; nothing is made.
    pub(super) fn is_held(&self) -> bool {
        let opened = OpenOptions::new().write(true).open(self.lock());
        opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

fn in_use(path: &Path) -> Failure {
    Failure::Failed(anyhow::anyhow!(
        "{} is used by another supercargo already; stop that one, or give this one a --data-dir of its own",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn said(failure: &Failure) -> String {
        match failure {
            Failure::Usage(text) => text.clone(),
            Failure::Failed(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_second_process_is_told_and_the_lock_ends_with_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir(dir.path().join("a/b"));
        assert!(!data.is_held());
        let held = data.hold().unwrap();
        assert!(data.is_held());
        assert!(said(&data.hold().unwrap_err()).contains("is used by another supercargo already"));
        drop(held);
        assert!(!data.is_held());
        data.hold().unwrap();
    }

    #[test]
    fn a_directory_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(said(&DataDir(path).hold().unwrap_err()).contains("chmod 0700"));
    }
}
