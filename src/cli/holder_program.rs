//! Whether the volume with the program, which the engine filled from our image and which containers start through, holds this
//! very program: an engine that was killed while it copied leaves a part of it, and copies no second time. Reads only.
//! Called by [`super::holder`] in each delivery.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// How much is compared at once, in bytes.
const PIECE: usize = 256 << 10;

/// Whether `directory` has this program, or is not there at all.
///
/// # Errors
/// When either cannot be read.
pub(super) fn is_whole(directory: &Path) -> io::Result<bool> {
    if !directory.exists() {
        return Ok(true);
    }
    match File::open(directory.join("supercargo")) {
        Ok(copy) => same(File::open("/proc/self/exe")?, copy),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn same(mut one: File, mut other: File) -> io::Result<bool> {
    let (a, b) = (one.metadata()?, other.metadata()?);
    // Outside of a volume it is this file under a second name.
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Ok(true);
    }
    if a.len() != b.len() || b.mode() & 0o111 == 0 {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let read = one.read(&mut left)?;
        let (Some(left), Some(right)) = (left.get(..read), right.get_mut(..read)) else {
            return Ok(false);
        };
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(right)?;
        if left != right {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_this_program_when_every_byte_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            is_whole(&dir.path().join("none")).unwrap(),
            "not a holder of variables"
        );
        assert!(!is_whole(dir.path()).unwrap(), "nothing was copied");
        let copy = dir.path().join("supercargo");
        std::fs::copy("/proc/self/exe", &copy).unwrap();
        assert!(is_whole(dir.path()).unwrap());
        let file = File::options().write(true).open(&copy).unwrap();
        let length = file.metadata().unwrap().len();
        std::os::unix::fs::FileExt::write_all_at(&file, b"another", length - 7).unwrap();
        assert!(!is_whole(dir.path()).unwrap(), "its end is another one's");
        file.set_len(length / 2).unwrap();
        assert!(!is_whole(dir.path()).unwrap(), "half of it");
    }
}
