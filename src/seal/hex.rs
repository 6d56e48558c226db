//! Owns lower-case hexadecimal of the room's eight-byte ids (kid, scope hash, fingerprint).
//! Upper case is refused, so that every id has exactly one spelling.
//! Called by `keys`, `scope` and `fingerprint`.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes eight bytes as 16 digits.
pub(super) fn write(bytes: [u8; 8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Reads exactly 16 lower-case digits.
pub(super) fn read(text: &str) -> Option<[u8; 8]> {
    let mut out = [0u8; 8];
    let bytes = text.as_bytes();
    if bytes.len() != 16 {
        return None;
    }
    for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *slot = pair
            .iter()
            .try_fold(0u8, |acc, c| Some((acc << 4) | digit(*c)?))?;
    }
    Some(out)
}

/// The first eight bytes of a digest.
pub(super) fn first_eight(digest: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    for (slot, byte) in out.iter_mut().zip(digest) {
        *slot = *byte;
    }
    out
}

fn digit(c: u8) -> Option<u8> {
    DIGITS
        .iter()
        .position(|d| *d == c)
        .and_then(|i| u8::try_from(i).ok())
}
