//! The rooms of the API server and of the agent, admission with what it stands on, and their fuzz targets as a library, so
//! that it is built once for all of them.
#![allow(missing_docs, dead_code, unused_imports, reason = "the rooms are taken in whole by path")]

#[path = "../../src/admission/mod.rs"]
pub mod admission;
#[path = "../../src/agent/mod.rs"]
pub mod agent;
#[path = "../../src/api/mod.rs"]
pub mod api;
#[path = "../../src/apiserver/mod.rs"]
pub mod apiserver;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../tests/fuzzing/mod.rs"]
pub mod fuzzing;
#[path = "../../tests/fuzzing/hearing.rs"]
pub mod hearing;
#[path = "../../src/seal/mod.rs"]
pub mod seal;
#[path = "../../src/state/mod.rs"]
pub mod state;
#[path = "../../src/tls/mod.rs"]
pub mod tls;
#[path = "../../src/telemetry"]
pub mod telemetry {
    pub mod metrics;
}
