//! Reads back the files of a directory's current generation: permissions, owners, sizes and keyed digests.
//! Only files that the directory's links lead to count, since nobody else finds the others. Called by [`super::carry_out`].

use std::{
    fs::{self, DirEntry, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use zeroize::Zeroizing;

use super::{Result, fault::Context};
use crate::{
    delivery::{parcel::MAX_LOAD_BYTES, place::Standing, receipt::SeenFile},
    seal::DigestKey,
};

/// The files, sorted by path. Neither a link nor anything else that is no file is among them.
///
/// # Errors
/// The path, and what the system said.
pub(super) fn seen(at: &Path, standing: &Standing, key: &DigestKey) -> Result<Vec<SeenFile>> {
    let Some((_, current)) = standing.current() else {
        return Ok(Vec::new());
    };
    let root = at.join(current);
    let mut files = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(directory) = pending.pop() {
        let entries: io::Result<Vec<DirEntry>> =
            fs::read_dir(root.join(&directory)).and_then(Iterator::collect);
        for entry in entries.with_context(|| format!("cannot read the directory {directory:?}"))? {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let top = directory.is_empty();
            if top && !standing.leads_to_data(&name) {
                continue;
            }
            let path = if top { name } else { format!("{directory}/{name}") };
            let kind = entry
                .file_type()
                .with_context(|| format!("cannot look at {path}"))?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                files.push(look(&root, &path, key).with_context(|| format!("cannot read file {path}"))?);
            }
        }
    }
    files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// How many things are there that no delivery made: in the directory, and in the current generation without a link.
///
/// # Errors
/// What the system said.
pub(super) fn strangers(at: &Path, standing: &Standing) -> Result<u64> {
    let mut count = standing.strangers().len();
    if let Some((_, current)) = standing.current() {
        for entry in fs::read_dir(at.join(current)).context("cannot read what is there")? {
            let name = entry
                .context("cannot read what is there")?
                .file_name()
                .into_string();
            count += usize::from(!name.is_ok_and(|name| standing.leads_to_data(&name)));
        }
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

fn look(root: &Path, path: &str, key: &DigestKey) -> io::Result<SeenFile> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(root.join(path));
    let file = match opened {
        // Somebody else's by now: whose it is tells enough, and what stands in it nobody here can say.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let found = fs::symlink_metadata(root.join(path))?;
            return Ok(SeenFile {
                path: path.to_owned(),
                mode: found.mode() & 0o7777,
                uid: found.uid(),
                gid: found.gid(),
                size: found.len(),
                digest: key.digest("", b""),
            });
        }
        other => other?,
    };
    let found = file.metadata()?;
    // A larger one was not placed: its digest is of another length, whatever else it is of.
    let limit = u64::try_from(MAX_LOAD_BYTES + 1).unwrap_or(u64::MAX);
    // One byte more than the file has, so that reading its end does not grow the buffer and leave a copy.
    let capacity = usize::try_from(found.len().min(limit)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(SeenFile {
        path: path.to_owned(),
        mode: found.mode() & 0o7777,
        uid: found.uid(),
        gid: found.gid(),
        size: found.len(),
        digest: key.digest(path, &bytes),
    })
}
