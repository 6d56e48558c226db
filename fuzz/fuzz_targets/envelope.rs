//! Arbitrary text as an envelope: never a panic, one spelling, and nothing that opens by accident.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the room is taken in whole by path; a target calls only its parser")]

#[path = "../../src/seal/mod.rs"]
mod seal;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seal::{Envelope, Ring, WrittenBy};

static RING: LazyLock<Ring> = LazyLock::new(|| {
    let vectors = include_str!("../../tests/vectors/envelopes.json");
    let ring = vectors.lines().find_map(|l| l.trim().strip_prefix("\"ring\": \"")).expect("the vectors have a ring");
    Ring::from_text(ring.trim_end_matches("\",").replace("\\n", "\n").as_bytes()).expect("the ring is read")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(envelope) = text.parse::<Envelope>() else { return };
    assert_eq!(envelope.to_string(), text);
    let context = envelope.context_at("shop", "db", "password").expect("the names are fine");
    let _ = RING.open(&envelope, &context, WrittenBy::Program);
});
