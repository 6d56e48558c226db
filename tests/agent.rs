//! The agent on loopback: real name lookups, real probes, real sessions, and no Docker. Replicas are servers at addresses
//! of their own in 127.0.0.0/8.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "agent/forwarding.rs"]
mod forwarding;
#[path = "agent/lab.rs"]
mod lab;
#[path = "agent/names.rs"]
mod names;
#[path = "agent/probing.rs"]
mod probing;
#[path = "agent/sessions.rs"]
mod sessions;
