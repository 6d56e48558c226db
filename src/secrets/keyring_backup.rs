//! Owns a backup's file: written once, synced and read back before anybody counts on it, and read with a bound. It is
//! sealed, and kept from others all the same. What is in it is `seal`'s. Called by `cli keys`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::keyring::KeyringError;
use crate::seal::Backup;

/// Longer than the longest backup: an envelope, and a line for each key.
const MAX_BYTES: u64 = 1024 * 1024;

/// Writes a backup to `path`, which must not exist, and reads it back from there.
///
/// # Errors
/// `Exists`, `Unwritable`, and those of [`read`].
pub fn create(path: &Path, text: &str) -> Result<Backup, KeyringError> {
    let unwritable = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyringError::Exists {
            path: path.to_owned(),
        },
        _ => KeyringError::Unwritable {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(unwritable)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(path);
        unwritable(error)
    })?;
    super::keyring_file::sync_directory(path)?;
    read(path)
}

/// Reads the backup at `path`.
///
/// # Errors
/// `Unreadable`, `Foreign`.
pub fn read(path: &Path) -> Result<Backup, KeyringError> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(|source| KeyringError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    Backup::from_text(&text).map_err(|source| KeyringError::BadBackup {
        path: path.to_owned(),
        source,
    })
}
