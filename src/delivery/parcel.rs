//! What goes into a holder: a key for digests, and loads, each an order for one directory. The bytes of a parcel are its wire
//! format: magic, version, length of the whole, key, loads; numbers big-endian, texts and contents with their length before them.
//! Reading is total and refuses everything that is cut, too large or could leave its directory; what it says of
//! bytes that it refuses is where and why, never what they are. Written by `execute`, read by `cli` inside the holder.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::wire::{Reader, Writer};
use crate::seal::{DigestKey, Plaintext};

/// Bytes of all files of one load.
pub const MAX_LOAD_BYTES: usize = 1024 * 1024;
/// Files of one load.
pub const MAX_FILES: usize = 4096;
/// Loads of one parcel.
pub const MAX_LOADS: usize = 256;
/// Bytes of a parcel on the wire: it stands in the holder's memory twice while it is unpacked.
pub const MAX_PARCEL_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a file's path, and its components. The holder has one directory open for each.
pub const MAX_PATH_BYTES: usize = 1024;
/// See [`MAX_PATH_BYTES`].
pub const MAX_PATH_DEPTH: usize = 32;
/// Bytes of one component of a path: what file systems have.
pub const MAX_NAME_BYTES: usize = 255;
/// Bytes of a generation's name.
pub const MAX_GENERATION_BYTES: usize = 128;
/// Bytes from the start of a parcel up to the length of the whole, including it.
pub const HEADER_BYTES: usize = MAGIC.len() + 5;

const MAGIC: &[u8; 8] = b"scparcel";
const VERSION: u8 = 1;
const PLACE: u8 = 1;
const LOOK: u8 = 2;
const TOLD: u8 = 3;

/// What one `deliver` is to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The key of the digests in the receipt.
    pub key: DigestKey,
    /// Carried out in this order, up to the first that fails.
    pub loads: Vec<Load>,
}

/// An order for one directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Load {
    /// Its absolute path in the holder.
    pub directory: String,
    /// What to do there.
    pub order: Order,
}

/// What to do in a directory. Each is answered with what is there afterwards.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Make these files the current ones, all in one moment.
    Place {
        /// The name of this state of the files: 1 to 128 letters, digits, `-` and `_`, and not `new`.
        generation: String,
        /// All files that there are to be.
        files: Vec<File>,
    },
    /// Change nothing that is current; remove what nobody can still be reading.
    Look,
    /// Write down that the users of the directory know of this generation.
    Told {
        /// Its name.
        generation: String,
    },
}

/// A file to be placed.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Below the directory, with `/`; at most 1024 bytes in 32 components, none of which begins with `..`.
    pub path: String,
    /// Its permissions, such as `0o400`: its owner can read it, and nothing beyond `0o777`.
    pub mode: u32,
    /// What stands in it.
    pub bytes: Plaintext,
}

/// Why bytes are no parcel, or a parcel is out of its bounds. Loads and files are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin with something else.
    #[error("not a parcel: it begins with something else")]
    Foreign,
    /// A version that this build does not read.
    #[error("a parcel of version {0}, and this build reads version 1: replace the holder")]
    Version(u8),
    /// Ended before its end.
    #[error("the parcel is cut: less arrived than it says it has; send it again")]
    Cut,
    /// Not the length that it says.
    #[error("the parcel does not have the length that it says; send it again")]
    Length,
    /// More than a holder takes at once.
    #[error("the parcel is larger than 4 MiB or has more than 256 loads: send its loads in several")]
    TooLarge,
    /// Something about a load.
    #[error("load {load} of the parcel: {what}")]
    Load {
        /// Its number.
        load: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Something about a file.
    #[error("file {file} of load {load} of the parcel: {what}")]
    File {
        /// The number of its load.
        load: usize,
        /// Its number.
        file: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Parcel {
    /// The wire format. A parcel that [`Parcel::check`] refuses gives bytes that [`Parcel::read`] refuses.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let length = self.length();
        let mut out = Writer::new(length);
        out.raw(MAGIC);
        out.u8(VERSION);
        out.u32(length);
        out.raw(self.key.as_bytes());
        out.u16(self.loads.len());
        for load in &self.loads {
            out.short(&load.directory);
            match &load.order {
                Order::Place { generation, files } => {
                    out.u8(PLACE);
                    out.short(generation);
                    out.u16(files.len());
                    for file in files {
                        out.short(&file.path);
                        out.u16(usize::try_from(file.mode).unwrap_or(usize::MAX));
                        out.u32(file.bytes.len());
                        out.raw(file.bytes.expose());
                    }
                }
                Order::Look => out.u8(LOOK),
                Order::Told { generation } => {
                    out.u8(TOLD);
                    out.short(generation);
                }
            }
        }
        out.finish()
    }

    /// Reads what [`Parcel::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// [`Malformed`]: where, and what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk().ok_or(Malformed::Cut)?;
        let announced = Self::announced(header)?;
        if bytes.len() < announced {
            return Err(Malformed::Cut);
        }
        if bytes.len() > announced {
            return Err(Malformed::Length);
        }
        let mut from = Reader::new(bytes.get(HEADER_BYTES..).ok_or(Malformed::Cut)?);
        let parcel = read_body(&mut from)?;
        if !from.is_empty() {
            return Err(Malformed::Length);
        }
        parcel.check()?;
        Ok(parcel)
    }

    /// How many bytes the whole parcel has that begins with `header`, at most [`MAX_PARCEL_BYTES`]: who reads a stream needs
    /// to wait for no more, since not every way into a container can shut one direction.
    ///
    /// # Errors
    /// `Foreign`, `Version`, `Length`, `TooLarge`.
    pub fn announced(header: &[u8; HEADER_BYTES]) -> Result<usize, Malformed> {
        let mut from = Reader::new(header);
        if from.take(MAGIC.len())? != MAGIC {
            return Err(Malformed::Foreign);
        }
        let version = from.u8()?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let length = from.u32()?;
        if length < HEADER_BYTES {
            return Err(Malformed::Length);
        }
        if length > MAX_PARCEL_BYTES {
            return Err(Malformed::TooLarge);
        }
        Ok(length)
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn length(&self) -> usize {
        HEADER_BYTES + self.key.as_bytes().len() + 2 + self.loads.iter().map(Load::length).sum::<usize>()
    }

    /// Whether a holder takes it. [`Parcel::read`] has asked already.
    ///
    /// # Errors
    /// `TooLarge`, `Load`, `File`.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.length() > MAX_PARCEL_BYTES || self.loads.len() > MAX_LOADS {
            return Err(Malformed::TooLarge);
        }
        let mut loads = self.loads.iter().enumerate();
        loads.try_for_each(|(at, load)| load.check(at))
    }
}

impl Load {
    /// Bytes on the wire.
    #[must_use]
    pub fn length(&self) -> usize {
        let order = match &self.order {
            Order::Place { generation, files } => {
                let files = files.iter().map(|file| 8 + file.path.len() + file.bytes.len());
                4 + generation.len() + files.sum::<usize>()
            }
            Order::Look => 0,
            Order::Told { generation } => 2 + generation.len(),
        };
        3 + self.directory.len() + order
    }

    fn check(&self, load: usize) -> Result<(), Malformed> {
        let refuse = |what| Err(Malformed::Load { load, what });
        if !is_directory(&self.directory) {
            return refuse("its directory is not an absolute path without empty, `.` and `..` components");
        }
        match &self.order {
            Order::Look => Ok(()),
            Order::Place { generation, .. } | Order::Told { generation } if !is_generation(generation) => {
                refuse("its generation is not 1 to 128 letters, digits, `-` and `_`, or is `new`")
            }
            Order::Told { .. } => Ok(()),
            Order::Place { files, .. } => {
                if files.len() > MAX_FILES {
                    return refuse("it has more than 4096 files");
                }
                if files.iter().map(|file| file.bytes.len()).sum::<usize>() > MAX_LOAD_BYTES {
                    return refuse("its files have more than 1 MiB together");
                }
                check_files(load, files)
            }
        }
    }
}

fn check_files(load: usize, files: &[File]) -> Result<(), Malformed> {
    let mut paths = BTreeSet::new();
    for (at, file) in files.iter().enumerate() {
        let what = if let Some(what) = wrong_path(&file.path) {
            what
        } else if file.mode > 0o777 {
            "its mode has more than permissions: 0777 at most"
        } else if file.mode & 0o400 == 0 {
            "its mode does not let its owner read it, who is its only user: at least 0400"
        } else if !paths.insert(file.path.as_str()) {
            "another file has the same path"
        } else {
            continue;
        };
        return Err(Malformed::File { load, file: at, what });
    }
    for (at, file) in files.iter().enumerate() {
        let above = file
            .path
            .match_indices('/')
            .filter_map(|(end, _)| file.path.get(..end));
        if above.into_iter().any(|directory| paths.contains(directory)) {
            return Err(Malformed::File {
                load,
                file: at,
                what: "it is below another file",
            });
        }
    }
    Ok(())
}

fn wrong_path(path: &str) -> Option<&'static str> {
    if path.len() > MAX_PATH_BYTES || path.split('/').count() > MAX_PATH_DEPTH {
        return Some("its path is longer than 1024 bytes or 32 components");
    }
    path.split('/').find_map(|name| {
        if name.is_empty() || name == "." {
            Some("its path is absolute, or has a component that is empty or `.`")
        } else if name.starts_with("..") {
            Some("a component of its path begins with `..`")
        } else if name.len() > MAX_NAME_BYTES {
            Some("a component of its path is longer than 255 bytes")
        } else if name.contains('\0') {
            Some("its path has a NUL byte")
        } else {
            None
        }
    })
}

fn is_directory(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && !path.contains('\0')
        && path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|name| !matches!(name, "" | "." | "..")))
}

/// `new` is what an unfinished generation is called.
fn is_generation(name: &str) -> bool {
    (1..=MAX_GENERATION_BYTES).contains(&name.len())
        && name != "new"
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn read_body(from: &mut Reader<'_>) -> Result<Parcel, Malformed> {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(from.take(32)?);
    let count = from.u16()?;
    if count > MAX_LOADS {
        return Err(Malformed::TooLarge);
    }
    let mut loads = Vec::with_capacity(count);
    for load in 0..count {
        let refuse = |what| Malformed::Load { load, what };
        let text = |text: Option<String>| text.ok_or(refuse("a name in it is not UTF-8"));
        let directory = text(from.short()?)?;
        let order = match from.u8()? {
            PLACE => Order::Place {
                generation: text(from.short()?)?,
                files: read_files(load, from)?,
            },
            LOOK => Order::Look,
            TOLD => Order::Told {
                generation: text(from.short()?)?,
            },
            _ => {
                return Err(refuse(
                    "an order that this build does not know: replace the holder",
                ));
            }
        };
        loads.push(Load { directory, order });
    }
    Ok(Parcel {
        key: DigestKey::from_bytes(key),
        loads,
    })
}

fn read_files(load: usize, from: &mut Reader<'_>) -> Result<Vec<File>, Malformed> {
    let count = from.u16()?;
    if count > MAX_FILES {
        return Err(Malformed::Load {
            load,
            what: "it has more than 4096 files",
        });
    }
    let mut files = Vec::with_capacity(count);
    for file in 0..count {
        let path = from.short()?.ok_or(Malformed::File {
            load,
            file,
            what: "its path is not UTF-8",
        })?;
        let mode = u32::try_from(from.u16()?).unwrap_or(u32::MAX);
        let length = from.u32()?;
        let bytes = Plaintext::new(from.take(length)?.to_vec());
        files.push(File { path, mode, bytes });
    }
    Ok(files)
}

#[cfg(test)]
#[path = "parcel_tests.rs"]
mod tests;
