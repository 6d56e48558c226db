//! Owns the MAC that chains records of the audit file: HMAC-SHA256 over a record's bytes, which name the MAC before it.
//! The key is HMAC-SHA256(root of fingerprints, label of its own). The root is never renewed, so that a chain outlives
//! every key of the ring. What a record is, it does not know. Called by `audit`; the key is given out by `ring`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::fingerprint::mac;
use super::hex;

/// The key of all chains under one root of fingerprints, wiped when dropped.
pub struct ChainKey(Zeroizing<[u8; 32]>);

impl ChainKey {
    pub(super) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The MAC of one record.
    #[must_use]
    pub fn mac(&self, record: &[u8]) -> ChainMac {
        ChainMac(*mac(&self.0, record))
    }
}

impl std::fmt::Debug for ChainKey {
    /// Shows that there is a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChainKey(..)")
    }
}

/// The MAC of a record. As text it is 64 lower-case hex digits; it is no secret.
#[derive(Clone, Copy)]
pub struct ChainMac([u8; 32]);

impl ChainMac {
    /// What stands before the first record of a chain.
    pub const NONE: Self = Self([0; 32]);
}

impl PartialEq for ChainMac {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ChainMac {}

impl std::fmt::Display for ChainMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex::write(self.0, f)
    }
}

impl std::fmt::Debug for ChainMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainMac({self})")
    }
}

impl FromStr for ChainMac {
    type Err = &'static str;

    /// Exactly 64 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::read(text)
            .map(Self)
            .ok_or("a MAC is 64 lower-case hex digits")
    }
}

impl Serialize for ChainMac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainMac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::FingerprintRoot;
    use super::*;

    fn key(byte: u8) -> ChainKey {
        FingerprintRoot::from_bytes(Zeroizing::new([byte; 32])).chain_key()
    }

    #[test]
    fn a_mac_is_frozen() {
        // k = hmac.new(b"\1"*32, b"supercargo/audit-chain", "sha256").digest(); hmac.new(k, b"record", "sha256") of Python.
        assert_eq!(
            key(1).mac(b"record").to_string(),
            "1bb5e980c7d312d8929ca3aa02b6d9de242355cbc5c436ca81fe80dfbb93ba95"
        );
    }

    #[test]
    fn a_mac_is_of_one_root_and_one_record() {
        let one = key(1).mac(b"record");
        assert_ne!(one, key(2).mac(b"record"));
        assert_ne!(one, key(1).mac(b"recorc"));
        assert_ne!(one, ChainMac::NONE);
    }

    #[test]
    fn a_mac_reads_back_and_another_spelling_does_not() {
        let text = key(1).mac(b"record").to_string();
        assert_eq!(text.parse::<ChainMac>(), Ok(key(1).mac(b"record")));
        assert!(text.to_uppercase().parse::<ChainMac>().is_err());
        assert!(text[1..].parse::<ChainMac>().is_err());
    }
}
