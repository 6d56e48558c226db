//! References -> plaintext: looks up, opens, and says why not. Owns the words of a failed reference and the key ring at
//! rest; does not decide what follows from a failure. Called by `controllers` and `cli`.

mod consent;
mod core;
mod env;
pub mod host;
pub mod keyring;
pub mod keyring_backup;
pub mod keyring_file;
mod keyring_process;
pub mod keyring_public;
pub mod open;
pub mod pull;
pub mod resolve;
pub mod source;

pub use keyring_process::{effective_uid, harden_process};
