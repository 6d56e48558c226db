//! The kinds that are there without a CRD: namespaces, config maps, secrets, service accounts, events, leases, controller
//! revisions, CRDs and the reviews. Owns what is published of them, their schemas, their protobuf, and what each does of its own.
//! Stores nothing and serves nothing. Read by `request` (protobuf), `verbs` (rules) and whoever publishes OpenAPI.

mod columns;
mod controller_revision;
mod data;
mod definitions;
mod event;
mod facts;
mod lease;
mod namespace;
pub mod protobuf;
#[cfg(test)]
mod protobuf_tests;
mod review;
mod roster;
#[cfg(test)]
mod rules_tests;
mod structural;
mod typed;
#[cfg(test)]
mod typed_tests;
mod wire;

use serde_json::Value;

use super::{Definition, Kind};

pub use definitions::definitions;
pub use roster::kinds;

/// Brings an object of a built-in kind into its typed form, as a Kubernetes API server does by decoding it into a Go type
/// and encoding it again: `null` and empty fields go, what is always written is there, times are in UTC. Unknown fields
/// stay. Custom resources stay as they are.
///
/// # Errors
/// Why no Go type can hold it, in the words of Go's decoder, for a 400 (of a patch: 422). No value of bytes is in it.
pub fn decode(kind: &Kind, object: &mut Value) -> Result<(), String> {
    match kind.definition {
        Definition::BuiltIn(name) => typed::decode(object, name),
        Definition::Custom(_) => Ok(()),
    }
}
