//! Opens one item of one secret, or says in the words of the contract why not. Decrypts at use and remembers only keyed
//! fingerprints, by the object's resource version, so that a reconcile of what has not changed decrypts nothing.
//! Called by [`super::resolve`] and by the controller of `DockerSecret`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{
    api::{DockerSecret, condition::Cause, expiry, reference::SecretKind},
    seal::{Context, Envelope, Plaintext, Ring, WrittenBy},
    state::{resolved::reference, revision::Fingerprints},
};

/// Stands for the fingerprint of a value that nobody has and that could not be opened.
pub const UNKNOWN: &str = "unknown";

pub use crate::state::resolved::{Closed, Known};

impl Known {
    pub(super) fn of(ring: &Ring, namespace: &str, plaintext: &Plaintext, kid: Option<String>) -> Self {
        let fingerprint = ring.fingerprint(namespace, plaintext).to_string();
        Self {
            fingerprint,
            kid,
            as_env: super::env::check_value(plaintext),
            as_protected: super::env::check_bytes(plaintext),
            size: plaintext.len(),
        }
    }
}

type Memory = BTreeMap<(String, String, String), Result<Known, Closed>>;

/// Forgets everything past this many items; a reconcile then decrypts once more.
const REMEMBERED: usize = 20_000;

/// Opens items with one state of the key ring. A changed ring is a new opener, so nothing remembered outlives it.
pub struct Opener {
    ring: Result<Arc<Ring>, String>,
    /// For whom and what.
    assumed: Option<(String, Fingerprints)>,
    memory: Mutex<Memory>,
}

impl Opener {
    /// With a ring.
    #[must_use]
    pub fn new(ring: Arc<Ring>) -> Self {
        Self {
            ring: Ok(ring),
            assumed: None,
            memory: Mutex::default(),
        }
    }

    /// Without one: everything sealed holds, and `why` says what to do.
    #[must_use]
    pub fn without_ring(why: impl Into<String>) -> Self {
        Self {
            ring: Err(why.into()),
            assumed: None,
            memory: Mutex::default(),
        }
    }

    /// Without one, and for a preview only: every value that could be opened is taken to be what these fingerprints of a
    /// deployment of this namespace say. It gives out no bytes.
    #[must_use]
    pub fn assuming(namespace: &str, fingerprints: Fingerprints) -> Self {
        Self {
            assumed: Some((namespace.to_owned(), fingerprints)),
            ..Self::without_ring("no key ring: values are assumed, not opened")
        }
    }

    /// Whether values are assumed instead of opened.
    #[must_use]
    pub fn assumes(&self) -> bool {
        self.assumed.is_some()
    }

    /// What is taken for known of an item that is not opened.
    pub(super) fn assume(&self, reference: &str, kid: Option<String>) -> Option<Known> {
        let (_, assumed) = self.assumed.as_ref()?;
        let fingerprint = assumed.values.get(reference).cloned();
        Some(Known {
            fingerprint: fingerprint.unwrap_or_else(|| UNKNOWN.to_owned()),
            kid,
            as_env: Ok(()),
            as_protected: Ok(()),
            size: 0,
        })
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
        if let Some((_, assumed)) = &self.assumed {
            return assumed.root.clone();
        }
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
        let outcome = if self.assumed.is_some() {
            self.look_closed(secret, key)
        } else {
            self.open(secret, key).map(|(known, _wiped_here)| known)
        };
        if let Some(id) = id {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if memory.len() >= REMEMBERED {
                memory.clear();
            }
            memory.insert(id, outcome.clone());
        }
        outcome
    }

    /// Forgets what is remembered of these secrets, by their uids.
    pub fn forget(&self, uids: &BTreeSet<String>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|(uid, ..), _| !uids.contains(uid));
    }

    /// Opens an item.
    ///
    /// # Errors
    /// [`Closed`] with the cause.
    pub fn open(&self, secret: &DockerSecret, key: &str) -> Result<(Known, Plaintext), Closed> {
        // The key first: that it is missing is known without a ring.
        let text = item(secret, key)?;
        let ring = self.ring()?;
        let (envelope, context) = header(secret, key, text)?;
        let plaintext = ring.open(&envelope, &context, WrittenBy::User).map_err(closed)?;
        Ok((
            Known::of(
                ring,
                namespace_of(secret),
                &plaintext,
                Some(envelope.kid().to_string()),
            ),
            plaintext,
        ))
    }

    /// What can be said without a key: whether the envelope is one, and stands where it was sealed for.
    fn look_closed(&self, secret: &DockerSecret, key: &str) -> Result<Known, Closed> {
        let text = item(secret, key)?;
        let (envelope, context) = header(secret, key, text)?;
        envelope.check_scope(&context).map_err(closed)?;
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let home = self.assumed.as_ref().map(|(home, _)| home.as_str());
        let elsewhere = Some(namespace_of(secret)).filter(|namespace| home != Some(namespace));
        let reference = reference(SecretKind::DockerSecret, elsewhere, name, key);
        let kid = Some(envelope.kid().to_string());
        self.assume(&reference, kid).ok_or_else(|| Closed {
            cause: Cause::KeyRingUnavailable,
            advice: "nothing is assumed of it".to_owned(),
        })
    }
}

/// Whether a secret may be given to new containers at this moment.
///
/// # Errors
/// `Expired`, when its date has passed and it says that use stops then.
pub(super) fn in_date(secret: &DockerSecret, now: Timestamp) -> Result<(), Closed> {
    let Some(ended) = expiry::stopped(secret, now) else {
        return Ok(());
    };
    Err(Closed {
        cause: Cause::Expired,
        advice: format!(
            "expired at {ended}: seal new values and set a later spec.notAfter, or take out spec.stopUse"
        ),
    })
}

fn namespace_of(secret: &DockerSecret) -> &str {
    secret.metadata.namespace.as_deref().unwrap_or_default()
}

fn item<'a>(secret: &'a DockerSecret, key: &str) -> Result<&'a str, Closed> {
    let data = &secret.spec.encrypted_data;
    let next = "seal it with `supercargo seal` and apply the secret again";
    data.get(key)
        .map(String::as_str)
        .ok_or_else(|| key_not_found(data.keys(), next))
}

fn header(secret: &DockerSecret, key: &str, text: &str) -> Result<(Envelope, Context), Closed> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let envelope: Envelope = text.parse().map_err(closed)?;
    let context = envelope.context_at(namespace_of(secret), name, key);
    let context = context.map_err(|error| Closed {
        cause: Cause::MalformedEnvelope,
        advice: error.to_string(),
    })?;
    Ok((envelope, context))
}

/// `KeyNotFound`, with the keys that there are.
#[must_use]
pub fn key_not_found<'a>(keys: impl Iterator<Item = &'a String>, next: &str) -> Closed {
    let mut names: Vec<&str> = keys.map(String::as_str).take(20).collect();
    names.sort_unstable();
    let advice = if names.is_empty() {
        format!("it has no keys; {next}")
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
