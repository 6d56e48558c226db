//! Owns [`Plaintext`], the only form in which a secret value exists in this program.
//! It is wiped when dropped and cannot be cloned, printed, serialized or compared in variable time.
//! Called by everything that seals or opens; only the engine port and file delivery call `expose`.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret value: bytes, not text, of any content. Wiped from memory when dropped.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes ownership of `bytes` without copying them, so that no second copy stays behind.
    /// A vector that has grown may have left copies in freed memory: give it its capacity first.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes over a buffer that is already wiped on drop.
    #[must_use]
    pub fn from_zeroizing(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The value itself. Never format, log, serialize or put it into an error or an argument list.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes. The length is part of the secret: never show it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Plaintext {
    /// In constant time for values of equal length.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for Plaintext {}

impl std::fmt::Debug for Plaintext {
    /// Shows that there is a value, never what it is nor how long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plaintext(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_content_nor_length() {
        assert_eq!(
            format!("{:?}", Plaintext::new(b"hunter2".to_vec())),
            "Plaintext(..)"
        );
    }

    #[test]
    fn equality_looks_at_every_byte_and_the_length() {
        let a = Plaintext::new(b"one".to_vec());
        assert!(a == Plaintext::new(b"one".to_vec()));
        assert!(a != Plaintext::new(b"two".to_vec()));
        assert!(a != Plaintext::new(b"one!".to_vec()));
        assert!(!a.is_empty());
        assert_eq!(a.len(), 3);
    }
}
