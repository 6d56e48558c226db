//! Owns keyed fingerprints: how two values are told apart without keeping or showing either.
//! HMAC-SHA256, first 8 bytes, under a key per namespace: HMAC-SHA256(root, label and namespace as u16-length fields).
//! The root is a random member of the ring of its own and is never renewed. A plain hash of a secret exists nowhere.
//! Called by `ring`; `chain` uses its MAC.

use std::str::FromStr;

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::chain::ChainKey;
use super::entropy::{Entropy, NoEntropy};
use super::hex;
use super::keys::{decode_32, encode_32};
use super::scope::field;

const PREFIX: &[u8] = b"scroot1";
const ID_LABEL: &[u8] = b"supercargo/fingerprint-root/id";
const CHAIN_LABEL: &[u8] = b"supercargo/audit-chain";
const NAMESPACE_LABEL: &str = "supercargo/fingerprint";

/// Eight bytes of keyed hash, shown as 16 hex digits. Comparable only under one root and namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 8]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex::write(self.0, f)
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// Exactly 16 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::read(text)
            .map(Self)
            .ok_or("a fingerprint is 16 lower-case hex digits")
    }
}

/// The root of all fingerprints of one installation: 256 random bits and an id that tells nothing about them.
pub struct FingerprintRoot {
    key: Zeroizing<[u8; 32]>,
    id: Fingerprint,
}

impl FingerprintRoot {
    /// A root from 32 unpredictable bytes.
    #[must_use]
    pub fn from_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        let id = Fingerprint(hex::first_eight(mac(&key, ID_LABEL).as_ref()));
        Self { key, id }
    }

    /// A new root.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source fails.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut())?;
        Ok(Self::from_bytes(key))
    }

    /// The root's id: fingerprints under another id cannot be compared.
    #[must_use]
    pub const fn id(&self) -> Fingerprint {
        self.id
    }

    /// The fingerprint of `bytes` in `namespace`. Values in one namespace that are equal have equal fingerprints.
    #[must_use]
    pub fn fingerprint(&self, namespace: &str, bytes: &[u8]) -> Fingerprint {
        let mut info = Vec::with_capacity(64);
        field(&mut info, NAMESPACE_LABEL);
        field(&mut info, namespace);
        let namespace_key = mac(&self.key, &info);
        Fingerprint(hex::first_eight(mac(&namespace_key, bytes).as_ref()))
    }

    /// The key that chains records of the audit file.
    #[must_use]
    pub fn chain_key(&self) -> ChainKey {
        ChainKey::new(mac(&self.key, CHAIN_LABEL))
    }

    /// Appends `scroot1.<id>.<base64url>`.
    pub(super) fn write_text(&self, out: &mut Zeroizing<Vec<u8>>) {
        out.extend_from_slice(PREFIX);
        out.push(b'.');
        out.extend_from_slice(self.id.to_string().as_bytes());
        out.push(b'.');
        encode_32(&self.key, out);
    }

    /// Reads what [`FingerprintRoot::write_text`] writes; the error is what is wrong, never what was found.
    pub(super) fn read_text(text: &[u8]) -> Result<Self, &'static str> {
        let mut parts = text.split(|b| *b == b'.');
        let (Some(PREFIX), Some(id), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the fingerprint root is scroot1.<id>.<key>");
        };
        let root =
            Self::from_bytes(decode_32(key).ok_or("the fingerprint root is not 32 bytes of base64url")?);
        if root.id.to_string().as_bytes() != id {
            return Err("the fingerprint root's id is not that of its key: the line is damaged");
        }
        Ok(root)
    }
}

impl PartialEq for FingerprintRoot {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.key.as_ref().ct_eq(other.key.as_ref()).into()
    }
}

impl Eq for FingerprintRoot {}

impl std::fmt::Debug for FingerprintRoot {
    /// The id only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FingerprintRoot({})", self.id)
    }
}

/// HMAC-SHA256 as HKDF-Extract (RFC 5869 section 2.2: they are the same function), which cannot fail.
pub(super) fn mac(key: &[u8; 32], bytes: &[u8]) -> Zeroizing<[u8; 32]> {
    let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(key), bytes);
    let out = Zeroizing::new(extracted.into());
    extracted.as_mut_slice().zeroize();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> FingerprintRoot {
        FingerprintRoot::from_bytes(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn equal_values_are_equal_only_within_one_namespace_and_root() {
        let one = root(1).fingerprint("shop", b"value");
        assert_eq!(one, root(1).fingerprint("shop", b"value"));
        assert_ne!(one, root(1).fingerprint("shop", b"other"));
        assert_ne!(one, root(1).fingerprint("bank", b"value"));
        assert_ne!(one, root(2).fingerprint("shop", b"value"));
    }

    #[test]
    fn a_fingerprint_is_frozen() {
        // HMAC-SHA256 computed with Python's hmac module: see tests/vectors/open_with_python.py.
        assert_eq!(root(1).id().to_string(), "86b19ae2f6876d21");
        assert_eq!(
            root(1).fingerprint("shop", b"value").to_string(),
            "a87bfe92523896f7"
        );
    }

    #[test]
    fn a_root_reads_back_and_a_damaged_one_does_not() {
        let mut text = Zeroizing::new(Vec::new());
        root(3).write_text(&mut text);
        assert_eq!(FingerprintRoot::read_text(&text).unwrap(), root(3));
        for at in 0..text.len() {
            let mut bad = text.to_vec();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            assert!(FingerprintRoot::read_text(&bad).is_err(), "at {at}");
        }
    }
}
