//! Owns keyed digests: how a file that was delivered is compared with the one that was sent, without sending it back.
//! HMAC-SHA256 under a key that is made for one delivery, over path and bytes, each with its length before it.
//! A digest is comparable only under its key, which goes nowhere but to the holder: a plain hash of a secret exists nowhere.
//! Called by `delivery`, and by `cli` inside the holder.

use hkdf::HkdfExtract;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::entropy::{Entropy, NoEntropy};
use super::hex;

/// The key of the digests of one delivery: 256 random bits, wiped when dropped.
pub struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source fails.
    pub fn new(entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// A key from 32 unpredictable bytes.
    #[must_use]
    pub const fn from_bytes(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The key itself, for the parcel that carries it to the holder.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of a file that stands at `path`, below the root of its volume.
    #[must_use]
    pub fn digest(&self, path: &str, bytes: &[u8]) -> Digest {
        // HKDF-Extract is HMAC (RFC 5869 section 2.2), and takes its input in parts: no copy of the bytes is made.
        let mut mac = HkdfExtract::<Sha256>::new(Some(self.0.as_ref()));
        for part in [path.as_bytes(), bytes] {
            mac.input_ikm(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.input_ikm(part);
        }
        let (mut extracted, _) = mac.finalize();
        let digest = Digest(extracted.into());
        extracted.as_mut_slice().zeroize();
        digest
    }
}

impl PartialEq for DigestKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl Eq for DigestKey {}

impl std::fmt::Debug for DigestKey {
    /// Shows that there is a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

/// The digest of one file under a [`DigestKey`]. As serde's text it is 64 lower-case hex digits.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl std::fmt::Debug for Digest {
    /// Shows that there is one. Whether two are equal is all that anybody needs to know.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Digits([u8; 32]);
        impl std::fmt::Display for Digits {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                hex::write(self.0, f)
            }
        }
        serializer.collect_str(&Digits(self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    /// Exactly 64 lower-case hex digits.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::read(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("a digest is 64 lower-case hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DigestKey {
        DigestKey::from_bytes(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn digests_are_equal_only_for_one_key_path_and_content() {
        let one = key(1).digest("tls/key", b"value");
        assert_eq!(one, key(1).digest("tls/key", b"value"));
        assert_ne!(one, key(2).digest("tls/key", b"value"));
        assert_ne!(one, key(1).digest("tls/crt", b"value"));
        assert_ne!(one, key(1).digest("tls/key", b"other"));
        assert_ne!(one, key(1).digest("tls/keyv", b"alue"), "the lengths count");
    }

    #[test]
    fn a_digest_is_frozen() {
        // hmac.new(b"\1"*32, pack(">Q", 7) + b"tls/key" + pack(">Q", 5) + b"value", "sha256") of Python.
        let text = serde_json::to_string(&key(1).digest("tls/key", b"value")).unwrap();
        assert_eq!(
            text,
            "\"3f40ef9c68d1ddc9ed6dfea0c473fa89f68a2fbce7102d6fb707eb87f3e7041c\""
        );
    }

    #[test]
    fn a_digest_reads_back_and_another_spelling_does_not() {
        let digest = key(3).digest("a", b"");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        for bad in [
            text.to_uppercase(),
            text.replacen('"', "\"0", 1),
            "\"\"".to_owned(),
        ] {
            assert!(serde_json::from_str::<Digest>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_fresh_and_neither_they_nor_digests_are_printed() {
        let mut entropy = crate::seal::SystemEntropy;
        let (one, other) = (
            DigestKey::new(&mut entropy).unwrap(),
            DigestKey::new(&mut entropy).unwrap(),
        );
        assert!(one != other);
        assert!(one == DigestKey::from_bytes(Zeroizing::new(*one.as_bytes())));
        assert_eq!(
            format!("{one:?} {:?}", one.digest("a", b"b")),
            "DigestKey(..) Digest(..)"
        );
    }
}
