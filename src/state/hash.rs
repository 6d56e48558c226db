//! Hashes for names and revisions. None of them ever sees a secret: those enter as keyed fingerprints only.
//! The canonical form of a template and its version are frozen by vectors in the tests of [`super::revision`].

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first `digits` hex digits (at most 64) of SHA-256 over length-prefixed fields, so that no two lists of fields
/// hash alike by joining.
#[must_use]
pub fn hex(fields: &[&str], digits: usize) -> String {
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _infallible = write!(text, "{byte:02x}");
    }
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_not_joined() {
        assert_ne!(hex(&["ab", "c"], 16), hex(&["a", "bc"], 16));
        assert_eq!(hex(&["a"], 6).len(), 6);
    }
}
