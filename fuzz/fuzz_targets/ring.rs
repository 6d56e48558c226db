//! Arbitrary bytes as a key ring's text: never a panic, and what is read is written back the same.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the room is taken in whole by path; a target calls only its parser")]

#[path = "../../src/seal/mod.rs"]
mod seal;

use libfuzzer_sys::fuzz_target;
use seal::Ring;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ring) = Ring::from_text(bytes) {
        assert!(Ring::from_text(&ring.to_text()) == Ok(ring), "a ring is read back");
    }
});
