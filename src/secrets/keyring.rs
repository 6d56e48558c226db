//! Owns the ring at rest: its names, what a core Secret carries, what may happen at start, and all of its errors.
//! Files are `keyring_file`, public keys `keyring_public`, memory rules `keyring_process`; the ring itself is `seal`.
//! It watches nothing: the shells do, and call these functions. Called by `secrets`, `controllers` and `cli`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use k8s_openapi::ByteString;
use zeroize::Zeroize;

use crate::seal::{self, Kid, Ring};

/// The Secret of the operator's namespace that holds the ring in a cluster.
pub const KEYRING_SECRET: &str = "supercargo-keyring";
/// The key under that Secret's `data`.
pub const KEYRING_SECRET_KEY: &str = "keyring";
/// The type of that Secret.
pub const KEYRING_SECRET_TYPE: &str = "supercargo.dev/keyring";
/// The operator's namespace, unless told otherwise.
pub const OPERATOR_NAMESPACE: &str = "supercargo-system";

/// Why the ring or the public keys are not there. Every one means: hold, and say so; never mint a ring instead.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No such file.
    #[error("there is no key ring at {}; restore it from its backup, or make the first one with `supercargo keys init --keyring {}`", .path.display(), .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the key ring {} cannot be read; run as its owner, or correct the path", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a regular file.
    #[error("{} is not a regular file; give the path of a key ring", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others may read or write it.
    #[error("the key ring {} has mode {mode:04o}: others may read or change it; run `chmod 600` on it, and if others could log in here, renew the key", .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else's file.
    #[error("the key ring {} belongs to user {owner}, this program runs as user {me}; run `chown {me}` on it, or run as user {owner}", .path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
        /// Our effective uid.
        me: u32,
    },
    /// The content is not a ring.
    #[error("{place} holds no key ring of ours; restore it from its backup")]
    Foreign {
        /// The file or Secret.
        place: String,
        /// The line and what is wrong with it, never what stands there.
        source: seal::Error,
    },
    /// The file is no backup.
    #[error("{} cannot be restored from", .path.display())]
    BadBackup {
        /// The file.
        path: PathBuf,
        /// The line and what is wrong with it.
        source: seal::Error,
    },
    /// The Secret lacks the key.
    #[error("the Secret {KEYRING_SECRET} has no data key {KEYRING_SECRET_KEY:?}; restore it from its backup")]
    NoSuchDataKey,
    /// A ring is there already.
    #[error("there is already a file at {}; it is left alone: move it away first if a new ring is really wanted", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written. The old one, if any, is untouched.
    #[error("the key ring {} cannot be written; check the directory's permissions and free space", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A ring could not be made.
    #[error("no key ring was made")]
    NotMade {
        /// The random source failed.
        source: seal::NoEntropy,
    },
    /// The public keys are not what this program writes.
    #[error(
        "{place}, line {line}, holds no public key; write one scpub1... to a line (`supercargo keys public`)"
    )]
    BadPublicKey {
        /// The file or the ConfigMap's key.
        place: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: seal::Error,
    },
    /// A public key stands twice.
    #[error("{place}, line {line}: key {kid} stands above already; remove one of the lines")]
    TwicePublicKey {
        /// The file or the ConfigMap's key.
        place: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        kid: Kid,
    },
    /// No public key at all.
    #[error("{place} names no public key; fill it with `supercargo keys public`")]
    NoPublicKey {
        /// The file or ConfigMap.
        place: String,
    },
}

/// The data of the Secret [`KEYRING_SECRET`]. The bytes are wiped by nobody: call [`wipe`] after use.
#[must_use]
pub fn to_secret_data(ring: &Ring) -> BTreeMap<String, ByteString> {
    BTreeMap::from([(KEYRING_SECRET_KEY.to_owned(), ByteString(ring.to_text().to_vec()))])
}

/// The ring in the data of the Secret [`KEYRING_SECRET`].
///
/// # Errors
/// [`KeyringError::NoSuchDataKey`], [`KeyringError::Foreign`].
pub fn from_secret_data(data: &BTreeMap<String, ByteString>) -> Result<Ring, KeyringError> {
    let bytes = data.get(KEYRING_SECRET_KEY).ok_or(KeyringError::NoSuchDataKey)?;
    let place = || format!("the Secret {KEYRING_SECRET}");
    Ring::from_text(&bytes.0).map_err(|source| KeyringError::Foreign {
        place: place(),
        source,
    })
}

/// Wipes the values of a Secret's data.
pub fn wipe(data: &mut BTreeMap<String, ByteString>) {
    for value in data.values_mut() {
        value.0.zeroize();
    }
}

/// What to do about the ring when the program starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtStart {
    /// Go on with the ring that is there. `unknown` are kids of ciphertexts that it does not hold.
    Use {
        /// To be named in `doctor`, conditions and metrics.
        unknown: BTreeSet<Kid>,
    },
    /// Make the first ring; its key is primary at once.
    Mint,
    /// Hold and watch: ciphertexts name keys that are somewhere else, so the ring was lost or not yet restored.
    Hold {
        /// The kids that ciphertexts name.
        unknown: BTreeSet<Kid>,
    },
}

/// Decides what to do at start, given the ring, the kids that ciphertexts name, and the flag `--new-cluster`.
/// A new ring is never minted while ciphertexts name unknown kids, unless the flag says so.
#[must_use]
pub fn at_start(ring: Option<&Ring>, seen: &BTreeSet<Kid>, new_cluster: bool) -> AtStart {
    match ring {
        Some(ring) => AtStart::Use {
            unknown: seen
                .iter()
                .copied()
                .filter(|kid| ring.member(*kid).is_none())
                .collect(),
        },
        None if seen.is_empty() || new_cluster => AtStart::Mint,
        None => AtStart::Hold {
            unknown: seen.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SystemEntropy;

    fn ring() -> Ring {
        Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap()
    }

    #[test]
    fn a_ring_survives_its_secret() {
        let ring = ring();
        let mut data = to_secret_data(&ring);
        assert_eq!(from_secret_data(&data).unwrap(), ring);
        wipe(&mut data);
        assert!(matches!(
            from_secret_data(&data),
            Err(KeyringError::Foreign { .. })
        ));
    }

    #[test]
    fn a_secret_without_the_key_says_which() {
        let err = from_secret_data(&BTreeMap::new()).unwrap_err().to_string();
        assert!(err.contains("\"keyring\""), "{err}");
    }

    #[test]
    fn a_ring_is_minted_only_where_nothing_is_sealed() {
        let (ring, stranger) = (ring(), "0123456789abcdef".parse::<Kid>().unwrap());
        let (none, seen) = (BTreeSet::new(), BTreeSet::from([stranger, ring.primary()]));
        assert_eq!(at_start(None, &none, false), AtStart::Mint);
        assert_eq!(
            at_start(None, &seen, false),
            AtStart::Hold {
                unknown: seen.clone()
            }
        );
        assert_eq!(at_start(None, &seen, true), AtStart::Mint);
        for flag in [false, true] {
            let unknown = BTreeSet::from([stranger]);
            assert_eq!(at_start(Some(&ring), &seen, flag), AtStart::Use { unknown });
        }
    }
}
