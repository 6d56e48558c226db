//! The key ring of standalone: made at the first start, never a second time, and what seals core Secrets at rest. Owns
//! the form in which the store keeps them: pieces of suite g, bound to their place, their order and each other.
//! The ring's file is `secrets`', the envelope `seal`'s. Called by `standalone`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::Failure;
use crate::{
    apiserver::store::AtRest,
    clock::Clock,
    seal::{Context, Envelope, Plaintext, Ring, Scope, SystemEntropy, WrittenBy},
    secrets::{keyring::KeyringError, keyring_file},
};

/// Bytes of a piece: an envelope takes 64 KiB with its padding.
const PIECE: usize = 48 * 1024;

/// Reads the ring, or makes the first one of a new data directory; answers whether it was made.
pub(super) fn first(path: &Path, fresh: bool, clock: &dyn Clock) -> Result<(Ring, bool), Failure> {
    match keyring_file::read(path) {
        Ok(ring) => Ok((ring, false)),
        Err(KeyringError::Missing { .. }) if fresh => {
            let ring = Ring::generate(clock.now(), &mut SystemEntropy)
                .map_err(|source| KeyringError::NotMade { source })?;
            keyring_file::create(path, &ring)?;
            Ok((ring, true))
        }
        Err(KeyringError::Missing { .. }) => Err(anyhow::anyhow!(
            "the key ring {} is gone, and the store beside it holds what was sealed with it; restore it from its \
             backup, or start once with --new-cluster to make a new one: sealed values and core Secrets are lost then",
            path.display()
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

type Stamp = Option<(SystemTime, u64)>;

/// Seals what the store holds. Follows the ring's file, so that a renewed key is used at once.
pub(super) struct RingAtRest {
    path: PathBuf,
    ring: RwLock<(Stamp, Arc<Ring>)>,
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.ino()))
}

impl RingAtRest {
    /// With the ring of this file.
    pub(super) fn new(path: &Path, ring: Ring) -> Self {
        Self {
            path: path.to_owned(),
            ring: RwLock::new((stamp(path), Arc::new(ring))),
        }
    }

    /// The ring as its file is now; the last good one while the file is not readable.
    fn ring(&self) -> Arc<Ring> {
        let now = stamp(&self.path);
        {
            let known = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            if now.is_none() || known.0 == now {
                return Arc::clone(&known.1);
            }
        }
        let mut known = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(ring) = keyring_file::read(&self.path) {
            *known = (now, Arc::new(ring));
        }
        Arc::clone(&known.1)
    }
}

/// The place of one piece. The tag is of one sealing: pieces of two versions of an object do not fit together.
fn context(place: &str, tag: &str, index: usize, of: usize) -> Result<Context, String> {
    let mut parts = place.splitn(3, '/');
    let (Some(resource), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("{place} is no place of an object"));
    };
    let scope = Scope::Strict {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Context::new(scope, &format!("at-rest/{resource}/{tag}/{index}/{of}")).map_err(|error| error.to_string())
}

impl AtRest for RingAtRest {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let ring = self.ring();
        let mut tag = [0; 16];
        getrandom::fill(&mut tag).map_err(|_| "the system gave no random bytes".to_owned())?;
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let of = plain.len().div_ceil(PIECE).max(1);
        let mut text = tag.clone();
        for index in 0..of {
            let piece = &plain[index * PIECE..plain.len().min((index + 1) * PIECE)];
            let context = context(place, &tag, index, of)?;
            let sealed = ring
                .seal_own(&context, &Plaintext::new(piece.to_vec()), &mut SystemEntropy)
                .map_err(|error| error.to_string())?;
            text.push('\n');
            text.push_str(&sealed.to_string());
        }
        Ok(text.into_bytes())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let ring = self.ring();
        let foreign = || format!("what is stored for {place} was not sealed by this program");
        let text = std::str::from_utf8(sealed).map_err(|_| foreign())?;
        let (tag, pieces) = text.split_once('\n').ok_or_else(foreign)?;
        let of = pieces.split('\n').count();
        // Never grown: growing leaves a copy behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(of * PIECE));
        for (index, piece) in pieces.split('\n').enumerate() {
            let envelope: Envelope = piece.parse().map_err(|_| foreign())?;
            let context = context(place, tag, index, of)?;
            let opened = ring
                .open(&envelope, &context, WrittenBy::Program)
                .map_err(|error| format!("{place} cannot be opened: {error}"))?;
            if opened.expose().len() > PIECE {
                return Err(foreign());
            }
            plain.extend_from_slice(opened.expose());
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    fn at_rest() -> (tempfile::TempDir, RingAtRest) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyring");
        let (ring, made) = first(&path, true, &System).unwrap();
        assert!(made);
        let at_rest = RingAtRest::new(&path, ring);
        (dir, at_rest)
    }

    #[test]
    fn every_size_comes_back() {
        let (_dir, at_rest) = at_rest();
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 1 << 20] {
            let plain: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let sealed = at_rest.seal("secrets/a/b", &plain).unwrap();
            assert_eq!(*at_rest.open("secrets/a/b", &sealed).unwrap(), plain, "{size}");
        }
    }

    #[test]
    fn what_was_moved_cut_or_mixed_does_not_open() {
        let (_dir, at_rest) = at_rest();
        let sealed = at_rest.seal("secrets/a/b", &vec![7; 2 * PIECE]).unwrap();
        let other = at_rest.seal("secrets/a/b", &vec![8; 2 * PIECE]).unwrap();
        assert!(at_rest.open("secrets/a/c", &sealed).is_err());
        assert!(at_rest.open("configmaps/a/b", &sealed).is_err());
        let lines = |text: &[u8]| -> Vec<String> {
            let text = String::from_utf8(text.to_vec()).unwrap();
            text.lines().map(str::to_owned).collect()
        };
        let (one, two) = (lines(&sealed), lines(&other));
        for bad in [
            vec![one[0].clone(), one[1].clone()],
            vec![one[0].clone(), one[2].clone(), one[1].clone()],
            vec![one[0].clone(), one[1].clone(), two[2].clone()],
            vec![two[0].clone(), one[1].clone(), one[2].clone()],
            vec![one[0].clone()],
            vec![String::new()],
        ] {
            assert!(at_rest.open("secrets/a/b", bad.join("\n").as_bytes()).is_err());
        }
        assert!(at_rest.open("secrets/a/b", &[0xff]).is_err());
    }

    #[test]
    fn a_lost_ring_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyring");
        assert!(first(&path, false, &System).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_renewed_ring_is_used_at_once_and_the_old_key_still_opens() {
        let (dir, at_rest) = at_rest();
        let path = dir.path().join("keyring");
        let sealed = at_rest.seal("secrets/a/b", b"x").unwrap();
        let mut ring = keyring_file::read(&path).unwrap();
        let kid = ring.renew(System.now(), &mut SystemEntropy).unwrap();
        ring.promote(kid).unwrap();
        keyring_file::replace(&path, &ring).unwrap();
        let again = at_rest.seal("secrets/a/b", b"y").unwrap();
        assert!(
            String::from_utf8(again.clone())
                .unwrap()
                .contains(&kid.to_string())
        );
        assert_eq!(*at_rest.open("secrets/a/b", &sealed).unwrap(), b"x");
        assert_eq!(*at_rest.open("secrets/a/b", &again).unwrap(), b"y");
    }

    #[test]
    fn what_is_at_rest_opens_under_a_revoked_key_and_not_under_a_destroyed_one() {
        let (dir, at_rest) = at_rest();
        let path = dir.path().join("keyring");
        let sealed = at_rest.seal("secrets/a/b", b"x").unwrap();
        let mut ring = keyring_file::read(&path).unwrap();
        let old = ring.primary();
        let kid = ring.renew(System.now(), &mut SystemEntropy).unwrap();
        ring.promote(kid).unwrap();
        ring.revoke(old).unwrap();
        keyring_file::replace(&path, &ring).unwrap();
        assert_eq!(*at_rest.open("secrets/a/b", &sealed).unwrap(), b"x");
        ring.destroy(old).unwrap();
        keyring_file::replace(&path, &ring).unwrap();
        assert!(at_rest.open("secrets/a/b", &sealed).is_err());
    }
}
