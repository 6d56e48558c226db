//! What makes an object one of its own: its uid and the random end of a generated name.
//! Owns where randomness comes from. Called when an object is created.

use super::super::status::{Result, Status};

/// No vowels and nothing that is mistaken for something else: no words come out.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// So much of `generateName` is kept: with five characters more it is still a label of 63.
const LONGEST_PREFIX: usize = 58;

/// A random uid: version 4, variant 1 (RFC 9562).
pub(super) fn uid() -> Result<String> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    Ok(text)
}

/// A name that begins with `prefix` and ends with five random characters.
pub(super) fn name(prefix: &str) -> Result<String> {
    let mut end = prefix.len().min(LONGEST_PREFIX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let bytes: [u8; 5] = random()?;
    let suffix = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    Ok(prefix[..end].chars().chain(suffix).collect())
}

/// A number in `0..below`, for spreading things; 0 when there is no randomness.
pub(super) fn spread(below: u64) -> u64 {
    random::<8>().map_or(0, |bytes| u64::from_le_bytes(bytes) % below.max(1))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Status::internal(format!("no randomness: {e}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_of_version_4_and_never_twice_the_same() {
        let one = uid().unwrap();
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
        assert_ne!(one, uid().unwrap());
    }

    #[test]
    fn a_generated_name_keeps_58_bytes_of_its_prefix() {
        let name = name(&"x".repeat(200)).unwrap();
        assert_eq!(name.len(), 63);
        assert!(name.bytes().skip(58).all(|c| ALPHABET.contains(&c)));
        assert!(super::name(&"é".repeat(40)).unwrap().starts_with('é'));
    }
}
