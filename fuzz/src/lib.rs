//! The API server's room and its fuzz targets as a library, so that it is built once for all of them.
#![allow(missing_docs, dead_code, unused_imports, reason = "the room is taken in whole by path")]

#[path = "../../src/apiserver/mod.rs"]
pub mod apiserver;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../tests/fuzzing/mod.rs"]
pub mod fuzzing;
#[path = "../../src/tls/mod.rs"]
pub mod tls;
#[path = "../../src/telemetry"]
pub mod telemetry {
    pub mod metrics;
}
