//! The kinds that are there without a CRD: namespaces, config maps, secrets, service accounts, events, leases, CRDs and
//! the reviews. Owns what is published of them, their schemas, their protobuf, and what each does of its own.
//! Stores nothing and serves nothing. Read by `request` (protobuf), `verbs` (rules) and whoever publishes OpenAPI.

mod definitions;
mod facts;
pub mod protobuf;
#[cfg(test)]
mod protobuf_tests;
mod structural;
mod typed;
#[cfg(test)]
mod typed_tests;
mod wire;

pub use definitions::definitions;
