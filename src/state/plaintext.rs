//! Plaintext on its way to the engine: environment values by slot, and registry credentials. Nothing here can be
//! printed, cloned or serialized; both are dropped, and wiped, when the call that needed them is over.

use std::collections::BTreeMap;

use super::container::SlotId;
use crate::seal::Plaintext;

/// The bytes that belong into a container's slots, held only while it is created.
pub type SecretEnv = BTreeMap<SlotId, Plaintext>;

/// The user's name that says that the password is an identity token, as credential helpers say it.
pub const IDENTITY_TOKEN: &str = "<token>";

/// What is used to log in to a registry for one pull.
pub struct RegistryCredential {
    /// The user's name, or [`IDENTITY_TOKEN`].
    pub username: String,
    /// The password or token.
    pub password: Plaintext,
    /// The registry's address as in a Docker config file.
    pub server: String,
}
