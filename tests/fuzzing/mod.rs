//! What the bounded fuzz test (`tests/apiserver_fuzz.rs`) and the coverage-guided targets (`fuzz/`) share: one function of
//! bytes per parser of the API server, and one for admission, their seeds, and how an input is changed. Whoever includes it
//! has `admission`, `api`, `apiserver`, `clock` and `telemetry` at the root of its crate.
#![allow(dead_code, reason = "each includer uses a part of it")]

pub mod merging;
pub mod mutate;
pub mod reading;
pub mod requests;
pub mod reviewing;
pub mod seeds;
pub mod shaping;

use crate::apiserver::status::{Result, Status};

/// A target: what it is called and what it does with an input. It panics when a promise is broken.
pub type Target = (&'static str, fn(&[u8]));

/// One per parser, and whole requests last.
pub const TARGETS: [Target; 20] = [
    ("path", reading::path),
    ("query", reading::query),
    ("label_selector", reading::label_selector),
    ("field_selector", reading::field_selector),
    ("accept", reading::accept),
    ("json", reading::json),
    ("yaml", reading::yaml),
    ("protobuf", reading::protobuf),
    ("delete_options", reading::delete_options),
    ("json_patch", merging::json_patch),
    ("merge_patch", merging::merge_patch),
    ("strategic_patch", merging::strategic_patch),
    ("apply", merging::apply),
    ("schema", shaping::schema),
    ("cel", shaping::cel),
    ("columns", shaping::columns),
    ("definition", shaping::definition),
    ("admission", reviewing::admission),
    ("continue_token", requests::continue_token),
    ("request", requests::request),
];

/// The target of this name.
///
/// # Panics
/// There is none.
pub fn target(name: &str) -> fn(&[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no fuzz target {name:?}")).1
}

/// A refusal of something malformed is the client's fault and says what is wrong.
fn refused(status: &Status) {
    assert!((400..500).contains(&status.code), "{status:?}");
    assert!(!status.message.is_empty(), "{status:?}");
}

/// What was read, if it could be.
fn read<T>(outcome: Result<T>) -> Option<T> {
    outcome.inspect_err(refused).ok()
}
