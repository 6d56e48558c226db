//! References to plaintext.

pub mod keyring;
pub mod keyring_file;
mod keyring_process;
pub mod keyring_public;

pub use keyring_process::harden_process;
