//! Owns lower-case hexadecimal of the room's ids of eight bytes (kid, scope hash, fingerprint) and of its digests.
//! Upper case is refused, so that every id has exactly one spelling.
//! Called by `keys`, `scope`, `fingerprint` and `digest`.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes each byte as two digits.
pub(super) fn write<const N: usize>(bytes: [u8; N], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// Reads exactly two lower-case digits for each byte.
pub(super) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0u8; N];
    let bytes = text.as_bytes();
    if bytes.len() != 2 * N {
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
