//! Whether a holder has what it was sent: one load against the shelf that answers it. What differs is named, how is not:
//! neither bytes nor sizes nor digests, and no text that came out of the holder. Called by `execute`.

use std::collections::BTreeMap;

use super::{
    parcel::{File, Load, Order},
    receipt::{SeenFile, Shelf},
};
use crate::seal::DigestKey;

/// In what a shelf is not as its load. Paths are those of the load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unlike {
    /// The answer to something else.
    #[error("the answer is about another directory")]
    Directory,
    /// Whatever is written there may reach a disk.
    #[error("the directory is not on a tmpfs")]
    NotTmpfs,
    /// Other files, or none, are current.
    #[error("the files that were placed are not the current ones")]
    Generation,
    /// Not written down as told.
    #[error("the generation is not noted as told")]
    Told,
    /// Not there, or no link leads to it.
    #[error("file {path} is missing")]
    Missing {
        /// Its path below the directory.
        path: String,
    },
    /// There, and not sent. Its name is the holder's and is not repeated.
    #[error("there is a file that was not placed")]
    Unexpected,
    /// Cut or appended to.
    #[error("file {path} has another size")]
    Size {
        /// Its path below the directory.
        path: String,
    },
    /// Other permissions.
    #[error("file {path} has another mode")]
    Mode {
        /// Its path below the directory.
        path: String,
    },
    /// Somebody else's, or another group's.
    #[error("file {path} has another owner")]
    Owner {
        /// Its path below the directory.
        path: String,
    },
    /// Other bytes of the same number.
    #[error("file {path} has another content")]
    Content {
        /// Its path below the directory.
        path: String,
    },
}

impl Unlike {
    /// The property that differs, in one word, for metrics.
    #[must_use]
    pub const fn property(&self) -> &'static str {
        match self {
            Self::Directory | Self::NotTmpfs => "directory",
            Self::Generation | Self::Told => "generation",
            Self::Missing { .. } => "missing",
            Self::Unexpected => "unexpected",
            Self::Size { .. } => "size",
            Self::Mode { .. } => "mode",
            Self::Owner { .. } => "owner",
            Self::Content { .. } => "content",
        }
    }
}

/// Compares `shelf`, from a receipt for a parcel with `key`, with what `load` was to achieve for the user `uid`:`gid`.
///
/// # Errors
/// The first difference: the directory's own, then the files' in the order of the load.
pub fn check(load: &Load, key: &DigestKey, uid: u32, gid: u32, shelf: &Shelf) -> Result<(), Unlike> {
    if shelf.directory != load.directory {
        return Err(Unlike::Directory);
    }
    if !shelf.tmpfs {
        return Err(Unlike::NotTmpfs);
    }
    match &load.order {
        Order::Look => Ok(()),
        Order::Told { generation } if shelf.told.as_ref() == Some(generation) => Ok(()),
        Order::Told { .. } => Err(Unlike::Told),
        Order::Place { generation, .. } if shelf.generation.as_ref() != Some(generation) => {
            Err(Unlike::Generation)
        }
        Order::Place { files, .. } => {
            let mut seen: BTreeMap<&str, &SeenFile> = shelf
                .files
                .iter()
                .map(|file| (file.path.as_str(), file))
                .collect();
            if seen.len() != shelf.files.len() {
                return Err(Unlike::Unexpected);
            }
            for file in files {
                check_file(file, key, uid, gid, seen.remove(file.path.as_str()))?;
            }
            if seen.is_empty() && shelf.strangers == 0 {
                Ok(())
            } else {
                Err(Unlike::Unexpected)
            }
        }
    }
}

fn check_file(
    file: &File,
    key: &DigestKey,
    uid: u32,
    gid: u32,
    seen: Option<&SeenFile>,
) -> Result<(), Unlike> {
    let path = file.path.clone();
    let Some(seen) = seen else {
        return Err(Unlike::Missing { path });
    };
    if u64::try_from(file.bytes.len()) != Ok(seen.size) {
        return Err(Unlike::Size { path });
    }
    if seen.mode != file.mode {
        return Err(Unlike::Mode { path });
    }
    if (seen.uid, seen.gid) != (uid, gid) {
        return Err(Unlike::Owner { path });
    }
    if seen.digest != key.digest(&file.path, file.bytes.expose()) {
        return Err(Unlike::Content { path });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use zeroize::Zeroizing;

    use super::*;
    use crate::{delivery::receipt::User, seal::Plaintext};

    const FILES: [(&str, &[u8]); 2] = [("a", b"hunter2"), ("tls/key", b"hunter3")];

    fn key() -> DigestKey {
        DigestKey::from_bytes(Zeroizing::new([5; 32]))
    }

    fn load() -> Load {
        let file = |(path, bytes): (&str, &[u8])| File {
            path: path.to_owned(),
            mode: 0o400,
            bytes: Plaintext::new(bytes.to_vec()),
        };
        Load {
            directory: "/run/v".to_owned(),
            order: Order::Place {
                generation: "g2".to_owned(),
                files: FILES.map(file).into(),
            },
        }
    }

    fn seen(path: &str, bytes: &[u8]) -> SeenFile {
        SeenFile {
            path: path.to_owned(),
            mode: 0o400,
            uid: 1000,
            gid: 1001,
            size: bytes.len() as u64,
            digest: key().digest(path, bytes),
        }
    }

    fn shelf() -> Shelf {
        Shelf {
            directory: "/run/v".to_owned(),
            tmpfs: true,
            generation: Some("g2".to_owned()),
            told: Some("g1".to_owned()),
            user: User { uid: 1000, gid: 1001 },
            mode: 0o700,
            files: FILES.map(|(path, bytes)| seen(path, bytes)).into(),
            strangers: 0,
        }
    }

    /// What is said of a shelf that was changed.
    fn after(change: impl FnOnce(&mut Shelf)) -> Result<(), Unlike> {
        let mut shelf = shelf();
        change(&mut shelf);
        check(&load(), &key(), 1000, 1001, &shelf)
    }

    #[test]
    fn a_shelf_is_like_its_load_in_whatever_order_its_files_are() {
        assert_eq!(after(|_| ()), Ok(()));
        assert_eq!(after(|shelf| shelf.files.reverse()), Ok(()));
    }

    #[test]
    fn every_difference_has_its_own_words_and_none_says_what_a_file_is() {
        let path = || "tls/key".to_owned();
        let cases = [
            (after(|s| s.directory.push('x')), Unlike::Directory),
            (after(|s| s.tmpfs = false), Unlike::NotTmpfs),
            (after(|s| s.generation = None), Unlike::Generation),
            (
                after(|s| s.generation = Some("g1".to_owned())),
                Unlike::Generation,
            ),
            (after(|s| drop(s.files.pop())), Unlike::Missing { path: path() }),
            (
                after(|s| s.files[1].path.push('x')),
                Unlike::Missing { path: path() },
            ),
            (after(|s| s.files.push(seen("more", b""))), Unlike::Unexpected),
            (after(|s| s.files.push(s.files[1].clone())), Unlike::Unexpected),
            (after(|s| s.strangers = 1), Unlike::Unexpected),
            (after(|s| s.files[1].size += 1), Unlike::Size { path: path() }),
            (after(|s| s.files[1].mode = 0o440), Unlike::Mode { path: path() }),
            (after(|s| s.files[1].uid = 0), Unlike::Owner { path: path() }),
            (after(|s| s.files[1].gid = 0), Unlike::Owner { path: path() }),
            (
                after(|s| s.files[1].digest = key().digest("tls/key", b"hunter4")),
                Unlike::Content { path: path() },
            ),
            (
                after(|s| s.files[1].digest = key().digest("a", b"hunter3")),
                Unlike::Content { path: path() },
            ),
        ];
        let mut words = BTreeSet::new();
        for (found, wanted) in cases {
            let text = wanted.to_string();
            assert_eq!(found, Err(wanted));
            assert!(
                !text.contains("hunter") && !text.contains(char::is_numeric),
                "{text}"
            );
            words.insert(text);
        }
        assert_eq!(words.len(), 9);
    }

    #[test]
    fn a_digest_under_another_key_is_another_content() {
        let other = DigestKey::from_bytes(Zeroizing::new([6; 32]));
        let found = check(&load(), &other, 1000, 1001, &shelf());
        assert_eq!(found, Err(Unlike::Content { path: "a".to_owned() }));
    }

    #[test]
    fn a_look_needs_a_tmpfs_and_a_note_needs_to_be_there() {
        let ask = |order, tmpfs| {
            let load = Load {
                directory: "/run/v".to_owned(),
                order,
            };
            check(&load, &key(), 1000, 1001, &Shelf { tmpfs, ..shelf() })
        };
        let told = |generation: &str| Order::Told {
            generation: generation.to_owned(),
        };
        assert_eq!(ask(Order::Look, true), Ok(()));
        assert_eq!(ask(Order::Look, false), Err(Unlike::NotTmpfs));
        assert_eq!(ask(told("g1"), true), Ok(()));
        assert_eq!(ask(told("g2"), true), Err(Unlike::Told));
    }
}
