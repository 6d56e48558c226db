//! Opens one item of one secret, or says in the words of the contract why not. Decrypts at use and remembers only keyed
//! fingerprints, by the object's resource version, so that a reconcile of what has not changed decrypts nothing.
//! Called by [`super::resolve`] and by the controller of `DockerSecret`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    api::{DockerSecret, condition::Cause},
    seal::{Envelope, Plaintext, Ring, WrittenBy},
};

pub use crate::state::resolved::{Closed, Known};

impl Known {
    pub(super) fn of(ring: &Ring, namespace: &str, plaintext: &Plaintext, kid: Option<String>) -> Self {
        let fingerprint = ring.fingerprint(namespace, plaintext).to_string();
        Self {
            fingerprint,
            kid,
            as_env: super::env::check_value(plaintext),
        }
    }
}

type Memory = BTreeMap<(String, String, String), Result<Known, Closed>>;

/// Forgets everything past this many items; a reconcile then decrypts once more.
const REMEMBERED: usize = 20_000;

/// Opens items with one state of the key ring. A changed ring is a new opener, so nothing remembered outlives it.
pub struct Opener {
    ring: Result<Arc<Ring>, String>,
    memory: Mutex<Memory>,
}

impl Opener {
    /// With a ring.
    #[must_use]
    pub fn new(ring: Arc<Ring>) -> Self {
        Self {
            ring: Ok(ring),
            memory: Mutex::default(),
        }
    }

    /// Without one: everything sealed holds, and `why` says what to do.
    #[must_use]
    pub fn without_ring(why: impl Into<String>) -> Self {
        Self {
            ring: Err(why.into()),
            memory: Mutex::default(),
        }
    }

    /// The ring, or why there is none.
    ///
    /// # Errors
    /// `KeyRingUnavailable`.
    pub fn ring(&self) -> Result<&Arc<Ring>, Closed> {
        self.ring.as_ref().map_err(|why| Closed {
            cause: Cause::KeyRingUnavailable,
            advice: why.clone(),
        })
    }

    /// Id of the fingerprint root, empty without a ring.
    #[must_use]
    pub fn root(&self) -> String {
        self.ring
            .as_ref()
            .map(|ring| ring.fingerprint_root_id().to_string())
            .unwrap_or_default()
    }

    /// What is known of an item; decrypts it unless it was seen before.
    ///
    /// # Errors
    /// [`Closed`] with the cause.
    pub fn look(&self, secret: &DockerSecret, key: &str) -> Result<Known, Closed> {
        let meta = &secret.metadata;
        let id = match (&meta.uid, &meta.resource_version) {
            (Some(uid), Some(version)) => Some((uid.clone(), version.clone(), key.to_owned())),
            _ => None,
        };
        if let Some(id) = &id
            && let Some(found) = self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(id)
        {
            return found.clone();
        }
        let outcome = self.open(secret, key).map(|(known, _wiped_here)| known);
        if let Some(id) = id {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if memory.len() >= REMEMBERED {
                memory.clear();
            }
            memory.insert(id, outcome.clone());
        }
        outcome
    }

    /// Opens an item.
    ///
    /// # Errors
    /// [`Closed`] with the cause.
    pub fn open(&self, secret: &DockerSecret, key: &str) -> Result<(Known, Plaintext), Closed> {
        let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let text = secret.spec.encrypted_data.get(key).ok_or_else(|| {
            key_not_found(
                secret.spec.encrypted_data.keys(),
                "seal it with `supercargo seal` and apply the secret again",
            )
        })?;
        let ring = self.ring()?;
        let envelope: Envelope = text.parse().map_err(closed)?;
        let context = envelope
            .context_at(namespace, name, key)
            .map_err(|error| Closed {
                cause: Cause::MalformedEnvelope,
                advice: error.to_string(),
            })?;
        let plaintext = ring.open(&envelope, &context, WrittenBy::User).map_err(closed)?;
        Ok((
            Known::of(ring, namespace, &plaintext, Some(envelope.kid().to_string())),
            plaintext,
        ))
    }
}

/// `KeyNotFound`, with the keys that there are.
#[must_use]
pub fn key_not_found<'a>(keys: impl Iterator<Item = &'a String>, next: &str) -> Closed {
    let mut names: Vec<&str> = keys.map(String::as_str).take(20).collect();
    names.sort_unstable();
    let advice = if names.is_empty() {
        format!("the secret has no keys; {next}")
    } else {
        format!("it has {}; correct the key or {next}", names.join(", "))
    };
    Closed {
        cause: Cause::KeyNotFound,
        advice,
    }
}

fn closed(error: crate::seal::OpenError) -> Closed {
    let cause = error.cause().parse().unwrap_or(Cause::MalformedEnvelope);
    Closed {
        cause,
        advice: error.to_string(),
    }
}
