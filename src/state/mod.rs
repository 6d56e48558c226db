//! Nouns of the machine: what a container should be, what one is, and the names, labels and hashes that tie the two.
//! Pure data and pure constructors; no IO, no time but what is passed in. Everything below `controllers` speaks in these.

pub mod build;
pub mod container;
pub mod desired;
pub mod fault;
pub mod files;
pub mod hash;
pub mod history;
pub mod image;
pub mod names;
pub mod network;
pub mod observed;
pub mod owner;
pub mod plaintext;
pub mod probe;
mod probes;
pub mod protected;
pub mod resolved;
pub mod revision;
pub mod volume;
