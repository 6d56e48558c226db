//! The whole operator in process: watches, reconciles and status against our own API server in memory, on the fake engine,
//! in virtual time. Tests are sentences; every wait is for a level and has a bound.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may"
)]

#[path = "operator/apply.rs"]
mod apply;
#[path = "operator/bench.rs"]
mod bench;
#[path = "operator/broken.rs"]
mod broken;
#[path = "operator/clocks.rs"]
mod clocks;
#[path = "operator/cluster.rs"]
mod cluster;
#[path = "operator/consent.rs"]
mod consent;
#[path = "operator/deletion.rs"]
mod deletion;
#[path = "operator/drift.rs"]
mod drift;
#[path = "operator/expiry.rs"]
mod expiry;
#[path = "operator/faults.rs"]
mod faults;
#[path = "operator/files.rs"]
mod files;
#[path = "operator/history.rs"]
mod history;
#[path = "operator/host_tmpfs.rs"]
mod host_tmpfs;
#[path = "operator/keys.rs"]
mod keys;
#[path = "operator/leadership.rs"]
mod leadership;
#[path = "operator/protected.rs"]
mod protected;
#[path = "operator/refresh.rs"]
mod refresh;
#[path = "operator/repair.rs"]
mod repair;
#[path = "operator/rollouts.rs"]
mod rollouts;
#[path = "operator/secrets.rs"]
mod secrets;
#[path = "operator/sources.rs"]
mod sources;
#[path = "operator/sweep.rs"]
mod sweep;
#[path = "operator/volumes.rs"]
mod volumes;
