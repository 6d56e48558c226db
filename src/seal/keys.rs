//! Owns one key pair and its names: [`Kid`], [`PublicKey`] (`scpub1.<kid>.<base64url>`), [`PrivateKey`].
//! A private key is a 256-bit seed; the X25519 pair is RFC 9180's `DeriveKeyPair(seed)`, the symmetric key of suite g
//! is HKDF of the same seed under its own label. It does not know states (`ring`). Called by the suites, `ring`, `cli`.

// Its tables are switched on in Cargo.toml; hpke uses them.
use curve25519_dalek as _;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use hpke::{Deserializable, Kem as _, Serializable, kem::X25519HkdfSha256};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::entropy::{Entropy, NoEntropy};
use super::error::Error;
use super::hex;

const PUBLIC_PREFIX: &str = "scpub1";
/// The prefix of a private key's text: one that secret scanners can look for.
const PRIVATE_PREFIX: &[u8] = b"scsec1";
/// Characters of 32 bytes in base64url without padding.
pub(super) const KEY_CHARS: usize = 43;
const SYMMETRIC_LABEL: &[u8] = b"supercargo/suite-g/ring-key";

pub(super) type HpkePublic = <X25519HkdfSha256 as hpke::Kem>::PublicKey;
pub(super) type HpkePrivate = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;

/// A key's id: the first 16 hex digits of SHA-256 of the 32-byte public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid([u8; 8]);

impl Kid {
    fn of(public: &[u8; 32]) -> Self {
        Self(hex::first_eight(&Sha256::digest(public)))
    }
}

impl std::fmt::Display for Kid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        hex::write(self.0, f)
    }
}

impl std::fmt::Debug for Kid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kid({self})")
    }
}

impl FromStr for Kid {
    type Err = Error;

    /// Exactly 16 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        hex::read(text).map(Self).ok_or(Error::BadPublicKey {
            detail: "a key id is 16 lower-case hex digits",
        })
    }
}

/// What values are sealed to: 32 bytes of X25519, safe to print anywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    kid: Kid,
    bytes: [u8; 32],
}

impl PublicKey {
    /// A key from its 32 bytes (little-endian u-coordinate, RFC 7748).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self {
            kid: Kid::of(&bytes),
            bytes,
        }
    }

    /// The key's id.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.kid
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub(super) fn to_hpke(&self) -> Result<HpkePublic, Error> {
        HpkePublic::from_bytes(&self.bytes).map_err(|_| Error::WeakPublicKey { kid: self.kid })
    }
}

impl std::fmt::Display for PublicKey {
    /// The text form `scpub1.<kid>.<base64url of 32 bytes>`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{PUBLIC_PREFIX}.{}.{}",
            self.kid,
            Base64UrlUnpadded::encode_string(&self.bytes)
        )
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.kid)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Reads the text form; the kid must be that of the key, so that a damaged line cannot be used.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |detail| Error::BadPublicKey { detail };
        let mut parts = text.split('.');
        let (Some(prefix), Some(kid), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("it has not three parts between dots"));
        };
        if prefix.as_bytes() == PRIVATE_PREFIX {
            return Err(bad(
                "it is a private key, which must not leave the ring; if it was shown to others, revoke it",
            ));
        }
        if prefix != PUBLIC_PREFIX {
            return Err(bad("it does not begin with scpub1."));
        }
        let kid = Kid::from_str(kid)?;
        let bytes = decode_32(key.as_bytes()).ok_or(bad("the key is not 32 bytes of unpadded base64url"))?;
        let public = Self::from_bytes(*bytes);
        if public.kid != kid {
            return Err(bad(
                "its key id is not that of its key: the line is damaged or forged",
            ));
        }
        Ok(public)
    }
}

/// What opens values: a 256-bit seed, wiped when dropped.
pub struct PrivateKey {
    seed: Zeroizing<[u8; 32]>,
    /// Derived once, since that costs as much as a third of opening a value; it wipes itself, too.
    private: HpkePrivate,
    public: PublicKey,
}

impl PrivateKey {
    /// A key pair from a seed of 32 unpredictable bytes (`DeriveKeyPair`, RFC 9180 section 7.1.3).
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let (private, public) = X25519HkdfSha256::derive_keypair(seed.as_ref());
        Self {
            public: PublicKey::from_bytes(public.to_bytes().into()),
            private,
            seed,
        }
    }

    /// A new key pair.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source fails.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut())?;
        Ok(Self::from_seed(seed))
    }

    /// The key to seal to.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key's id.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.public.kid
    }

    pub(super) const fn as_hpke(&self) -> &HpkePrivate {
        &self.private
    }

    /// The ring key of suite g: HKDF-Extract(salt = label, input = seed), 32 bytes (RFC 5869).
    pub(super) fn symmetric(&self) -> Zeroizing<[u8; 32]> {
        let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(SYMMETRIC_LABEL), self.seed.as_ref());
        let key = Zeroizing::new(extracted.into());
        extracted.as_mut_slice().zeroize();
        key
    }

    /// Appends `scsec1.<kid>.<base64url of the seed>`.
    pub(super) fn write_text(&self, out: &mut Zeroizing<Vec<u8>>) {
        out.extend_from_slice(PRIVATE_PREFIX);
        out.push(b'.');
        out.extend_from_slice(self.kid().to_string().as_bytes());
        out.push(b'.');
        encode_32(&self.seed, out);
    }

    /// Reads what [`PrivateKey::write_text`] writes; the error is what is wrong, never what was found.
    pub(super) fn read_text(text: &[u8]) -> Result<Self, &'static str> {
        let mut parts = text.split(|b| *b == b'.');
        let (Some(PRIVATE_PREFIX), Some(kid), Some(seed), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("a key is scsec1.<key id>.<seed>");
        };
        let seed = decode_32(seed).ok_or("the seed is not 32 bytes of unpadded base64url")?;
        let key = Self::from_seed(seed);
        if key.kid().to_string().as_bytes() != kid {
            return Err("the key id is not that of the seed: the line is damaged");
        }
        Ok(key)
    }
}

impl PartialEq for PrivateKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.seed.as_ref().ct_eq(other.seed.as_ref()).into()
    }
}

impl Eq for PrivateKey {}

impl std::fmt::Debug for PrivateKey {
    /// The kid only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.kid())
    }
}

/// Appends 32 bytes as 43 characters, through a wiped buffer.
pub(super) fn encode_32(bytes: &[u8; 32], out: &mut Zeroizing<Vec<u8>>) {
    let mut chars = Zeroizing::new([0u8; KEY_CHARS]);
    if let Ok(text) = Base64UrlUnpadded::encode(bytes, chars.as_mut()) {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Reads exactly 43 characters of canonical base64url.
pub(super) fn decode_32(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    if text.len() != KEY_CHARS {
        return None;
    }
    let length = Base64UrlUnpadded::decode(text, bytes.as_mut()).ok()?.len();
    (length == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_seed(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn the_text_of_a_public_key_reads_back() {
        let public = key(1).public().clone();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert_eq!(public.to_string().len(), 6 + 1 + 16 + 1 + 43);
    }

    #[test]
    fn a_public_key_whose_kid_is_another_keys_is_refused() {
        let (a, b) = (key(1).public().to_string(), key(2).public().to_string());
        let forged = format!("{}{}", &a[..24], &b[24..]);
        let text = forged.parse::<PublicKey>().unwrap_err().to_string();
        assert!(text.contains("not that of its key"), "{text}");
    }

    #[test]
    fn every_flipped_character_of_a_public_key_is_refused() {
        let text = key(1).public().to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(
                String::from_utf8(bytes).unwrap().parse::<PublicKey>().is_err(),
                "at {at}"
            );
        }
    }

    #[test]
    fn a_private_key_pasted_as_a_public_one_is_named_and_not_echoed() {
        let mut text = Zeroizing::new(Vec::new());
        key(1).write_text(&mut text);
        let text = String::from_utf8(text.to_vec()).unwrap();
        let err = text.parse::<PublicKey>().unwrap_err().to_string();
        assert!(err.contains("private key") && !err.contains(&text[24..]), "{err}");
    }

    #[test]
    fn the_symmetric_key_is_neither_zero_nor_the_seed() {
        let key = key(7);
        assert_ne!(*key.symmetric(), [0; 32]);
        assert_ne!(*key.symmetric(), [7; 32]);
    }

    #[test]
    fn debug_of_a_private_key_shows_its_kid_only() {
        assert_eq!(format!("{:?}", key(1)), format!("PrivateKey({})", key(1).kid()));
    }
}
