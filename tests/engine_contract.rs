//! The contract of `engine`: one suite, run on the fake and on a real Docker engine, so that the fake cannot lie. Each
//! case is a sentence in `engine/*.rs`, generic over the engine and over a lab in which a test does things by hand.
//! What concerns the wire alone (requests as they are sent, refusals of other versions) is in `engine/wire.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod engine;
