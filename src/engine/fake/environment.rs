//! What the fake engine keeps of an environment: digests, so that a test can tell values apart and no snapshot shows one.

use std::collections::BTreeMap;

use super::world::digest;
use crate::{
    engine::SecretEnv,
    state::container::{ContainerSpec, EnvValue},
};

/// The name of each variable and the digest of its value; refuses what the real adapter refuses before it asks.
pub(super) fn env(
    spec: &ContainerSpec,
    secrets: &SecretEnv,
) -> std::result::Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for var in &spec.env {
        let value = match &var.value {
            EnvValue::Literal(text) => text.as_bytes(),
            EnvValue::Slot(slot) => match secrets.get(slot) {
                Some(value) => value.expose(),
                None => return Err(format!("there is no value for the variable {}", var.name)),
            },
        };
        if var.name.is_empty() || var.name.contains(['=', '\0']) {
            return Err(format!(
                "the name {:?} is not one of an environment variable",
                var.name
            ));
        }
        if value.contains(&0) || std::str::from_utf8(value).is_err() {
            return Err(format!(
                "the value of the variable {} contains a NUL byte or is not UTF-8",
                var.name
            ));
        }
        env.insert(var.name.clone(), digest(value));
    }
    Ok(env)
}
