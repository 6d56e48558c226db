//! The environment of one container while it is put together: order, precedence, expansion, and which variables hold
//! secrets. Later entries win over earlier ones and `env` over `envFrom`, as in Kubernetes; two sources of `envFrom` that
//! bring the same variable are refused, because nobody could tell which secret the process got.

use std::collections::BTreeMap;

use super::open::Closed;
use crate::{
    api::{condition::Cause, expansion},
    seal::Plaintext,
    state::{
        container::{EnvValue, EnvVar, SlotId},
        plaintext::SecretEnv,
    },
};

/// A text that names a variable which holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "$({0}) holds a secret, which would become readable in the container's configuration; let the process read the \
     variable itself"
)]
pub(super) struct NamesSecret(String);

/// See the file's header.
#[derive(Default)]
pub(super) struct Environment {
    order: Vec<String>,
    values: BTreeMap<String, EnvValue>,
    bytes: SecretEnv,
    imported_by: BTreeMap<String, String>,
}

impl Environment {
    fn set(&mut self, name: &str, value: EnvValue) {
        self.bytes.remove(&SlotId(name.to_owned()));
        if self.values.insert(name.to_owned(), value).is_some() {
            self.order.retain(|n| n != name);
        }
        self.order.push(name.to_owned());
    }

    pub(super) fn set_plain(&mut self, name: &str, value: String) {
        self.set(name, EnvValue::Literal(value));
    }

    /// Sets a value as written, expanded from what stands above it.
    pub(super) fn set_text(&mut self, name: &str, text: &str) -> Result<(), NamesSecret> {
        let value = self.expand(text)?;
        self.set_plain(name, value);
        Ok(())
    }

    pub(super) fn set_slot(&mut self, name: &str, slot: SlotId, bytes: Option<Plaintext>) {
        self.set(name, EnvValue::Slot(slot.clone()));
        if let Some(bytes) = bytes {
            self.bytes.insert(slot, bytes);
        }
    }

    /// Notes that a variable holds a secret although that one did not open, so that it is not expanded either.
    pub(super) fn reserve_secret(&mut self, name: &str) {
        self.set(name, EnvValue::Slot(SlotId(name.to_owned())));
    }

    pub(super) fn expand(&self, text: &str) -> Result<String, NamesSecret> {
        let secret = |name: &&str| matches!(self.values.get(*name), Some(EnvValue::Slot(_)));
        if let Some(name) = expansion::references(text).into_iter().find(secret) {
            return Err(NamesSecret(name.to_owned()));
        }
        Ok(expansion::expand(text, |name| match self.values.get(name) {
            Some(EnvValue::Literal(value)) => Some(value.as_str()),
            Some(EnvValue::Slot(_)) | None => None,
        }))
    }

    /// Why a key of `envFrom` cannot become this variable.
    pub(super) fn refuses_import(&self, variable: &str, path: &str) -> Option<String> {
        if !is_name(variable) {
            return Some(format!(
                "{variable:?} is no name for a variable (printable ASCII without \"=\", not empty); rename the key, set \
                 `prefix`, or name the keys one by one in `env`"
            ));
        }
        let other = self.imported_by.get(variable).filter(|other| *other != path)?;
        Some(format!(
            "{variable:?} also comes from {other}; set a `prefix` on one of them, or name the keys one by one in `env`"
        ))
    }

    pub(super) fn imported(&mut self, variable: &str, path: &str) {
        self.imported_by.insert(variable.to_owned(), path.to_owned());
    }

    pub(super) fn into_parts(mut self) -> (Vec<EnvVar>, SecretEnv) {
        let env = self
            .order
            .iter()
            .filter_map(|name| {
                Some(EnvVar {
                    name: name.clone(),
                    value: self.values.remove(name)?,
                })
            })
            .collect();
        (env, self.bytes)
    }
}

/// Whether the engine takes it as the name of a variable: printable ASCII but `=`, as in Kubernetes.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=')
}

const NEXT: &str = "deliver it as a file, or seal a text value";

/// Whether a value can be an environment variable at all. Says nothing about the value.
pub(super) fn check_bytes(value: &Plaintext) -> Result<(), Closed> {
    if value.expose().contains(&0) {
        let advice = format!("the value contains a NUL byte and cannot be an environment variable; {NEXT}");
        return Err(Closed {
            cause: Cause::InvalidEnvValue,
            advice,
        });
    }
    Ok(())
}

/// Whether a value can be one in a container's configuration, which is text.
pub(super) fn check_value(value: &Plaintext) -> Result<(), Closed> {
    check_bytes(value)?;
    if std::str::from_utf8(value.expose()).is_err() {
        let advice = format!("the value is not UTF-8 text and cannot be an environment variable; {NEXT}");
        return Err(Closed {
            cause: Cause::InvalidEnvValue,
            advice,
        });
    }
    Ok(())
}
