//! Owns the frame inside the ciphertext: a length and zeros, so that the envelope's size tells little of the value's.
//! Frame = big-endian u32 length, value, zeros up to a bucket: multiples of 64 bytes up to 1 KiB, then PADME
//! (<https://lbarman.ch/blog/padme/>, at most 12 % more). Called by both suites.

use zeroize::Zeroizing;

use super::error::{Error, OpenError};
use super::plaintext::Plaintext;

/// The largest value, in bytes: 64 KiB.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

const LENGTH_BYTES: usize = 4;
const STEP: usize = 64;
const STEPPED_UP_TO: usize = 1024;

/// The size of the largest frame.
pub(super) const MAX_FRAME_BYTES: usize = bucket(LENGTH_BYTES + MAX_VALUE_BYTES);

/// The size of the frame that holds `content` bytes: 64-byte steps up to 1 KiB, then PADME.
pub(super) const fn bucket(content: usize) -> usize {
    if content <= STEPPED_UP_TO {
        let steps = content.div_ceil(STEP);
        return if steps == 0 { STEP } else { steps * STEP };
    }
    let exponent = content.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - kept)) - 1;
    (content + mask) & !mask
}

/// Whether a frame can have this size at all: known from the envelope, without any key.
pub(super) const fn is_bucket(size: usize) -> bool {
    size >= STEP && size <= MAX_FRAME_BYTES && bucket(size) == size
}

/// Frames a value, leaving room behind it for `extra` bytes (a tag) without growing the buffer.
pub(super) fn frame(value: &Plaintext, extra: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let value = value.expose();
    let too_large = || Error::ValueTooLarge {
        size: value.len(),
        limit: MAX_VALUE_BYTES,
    };
    if value.len() > MAX_VALUE_BYTES {
        return Err(too_large());
    }
    let length = u32::try_from(value.len()).map_err(|_| too_large())?;
    let size = bucket(LENGTH_BYTES + value.len());
    let mut frame = Zeroizing::new(Vec::with_capacity(size + extra));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(value);
    frame.resize(size, 0);
    Ok(frame)
}

/// Takes the value out of an authenticated frame, in place.
pub(super) fn unframe(mut frame: Zeroizing<Vec<u8>>) -> Result<Plaintext, OpenError> {
    let malformed = OpenError::MalformedEnvelope {
        detail: "what it holds is not framed as sc1 says",
    };
    let length = frame
        .first_chunk::<LENGTH_BYTES>()
        .map(|b| u32::from_be_bytes(*b));
    let length = length
        .and_then(|l| usize::try_from(l).ok())
        .filter(|l| *l <= MAX_VALUE_BYTES);
    let Some(end) = length.map(|l| l + LENGTH_BYTES) else {
        return Err(malformed);
    };
    let Some(padding) = frame.get(end..) else {
        return Err(malformed);
    };
    let dirt = padding.iter().fold(0u8, |acc, b| acc | b);
    if bucket(end) != frame.len() || dirt != 0 {
        return Err(malformed);
    }
    frame.copy_within(LENGTH_BYTES..end, 0);
    // The bytes beyond stay in the buffer's spare capacity, which is wiped with it.
    frame.truncate(end - LENGTH_BYTES);
    Ok(Plaintext::from_zeroizing(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_64_byte_steps_and_then_padme() {
        for (content, size) in [(0, 64), (4, 64), (64, 64), (65, 128), (1000, 1024), (1024, 1024)] {
            assert_eq!(bucket(content), size, "{content}");
        }
        // PADME: exponent 10, four bits kept, so steps of 64; exponent 16, five bits kept, so steps of 2048.
        assert_eq!(bucket(1025), 1088);
        assert_eq!(bucket(65_540), 67_584);
        assert_eq!(MAX_FRAME_BYTES, 67_584);
    }

    #[test]
    fn padding_costs_at_most_twelve_percent_above_one_kibibyte() {
        for content in 1025..=LENGTH_BYTES + MAX_VALUE_BYTES {
            let size = bucket(content);
            assert!(size >= content && is_bucket(size));
            assert!((size - content) * 100 <= content * 12, "{content} -> {size}");
        }
    }

    #[test]
    fn frames_round_trip_at_every_edge() {
        for len in [
            0,
            1,
            59,
            60,
            61,
            1020,
            1021,
            4096,
            MAX_VALUE_BYTES - 1,
            MAX_VALUE_BYTES,
        ] {
            let framed = frame(&Plaintext::new(vec![0xAB; len]), 16).unwrap();
            assert!(is_bucket(framed.len()));
            assert_eq!(unframe(framed).unwrap().expose(), vec![0xAB; len]);
        }
    }

    #[test]
    fn one_byte_too_many_is_refused_with_size_and_limit() {
        let err = frame(&Plaintext::new(vec![0; MAX_VALUE_BYTES + 1]), 0).unwrap_err();
        assert_eq!(
            err,
            Error::ValueTooLarge {
                size: 65_537,
                limit: 65_536
            }
        );
    }

    #[test]
    fn foreign_frames_are_malformed() {
        let dirty = {
            let mut f = vec![0; 64];
            f[63] = 1;
            f
        };
        let long = {
            let mut f = vec![0; 64];
            f[3] = 61;
            f
        };
        let roomy = vec![0; 128];
        let huge = vec![0xFF; 64];
        for bad in [vec![], vec![0; 3], vec![0; 63], dirty, long, roomy, huge] {
            assert!(matches!(
                unframe(Zeroizing::new(bad)),
                Err(OpenError::MalformedEnvelope { .. })
            ));
        }
    }
}
