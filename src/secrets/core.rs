//! Core Secrets as a source, for whatever writes them: External Secrets, Vault's operator, SOPS, Sealed Secrets.
//! Only where the operator may read them; some types are never handed out. Their fingerprints are keyed like ours, so
//! that a plain hash of a secret appears nowhere, and therefore need the key ring too.

use k8s_openapi::api::core::v1::Secret;

use super::{
    open::{Closed, Known, Opener, key_not_found},
    source::{Lookup, Source},
};
use crate::{
    api::{condition::Cause, reference::SecretKind},
    seal::Plaintext,
    state::resolved::reference,
};

/// Credentials of the cluster itself and packages of whole releases are nobody's environment.
const REFUSED_TYPES: [&str; 3] = [
    "kubernetes.io/service-account-token",
    "helm.sh/release.v1",
    "bootstrap.kubernetes.io/token",
];

fn find(source: &dyn Source, namespace: &str, name: &str) -> Result<Option<std::sync::Arc<Secret>>, Closed> {
    let secret = match source.secret(namespace, name) {
        Lookup::Found(secret) => secret,
        Lookup::Absent => return Ok(None),
        Lookup::Denied(advice) => {
            return Err(Closed {
                cause: Cause::AccessDenied,
                advice,
            });
        }
    };
    match secret.type_.as_deref() {
        Some(kind) if REFUSED_TYPES.contains(&kind) => Err(Closed {
            cause: Cause::AccessDenied,
            advice: format!("core Secrets of type {kind} are never handed to containers; use another secret"),
        }),
        Some(_) | None => Ok(Some(secret)),
    }
}

/// The keys of a core Secret; `None` when there is none.
pub(super) fn keys(source: &dyn Source, namespace: &str, name: &str) -> Result<Option<Vec<String>>, Closed> {
    let secret = find(source, namespace, name)?;
    Ok(secret.map(|secret| secret.data.iter().flatten().map(|(key, _)| key.clone()).collect()))
}

/// One item of a core Secret; `None` when there is no such Secret.
pub(super) fn item(
    source: &dyn Source,
    opener: &Opener,
    namespace: &str,
    name: &str,
    key: &str,
) -> Result<Option<(Known, Plaintext)>, Closed> {
    let Some(secret) = find(source, namespace, name)? else {
        return Ok(None);
    };
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        let keys: Vec<String> = secret.data.iter().flatten().map(|(key, _)| key.clone()).collect();
        return Err(key_not_found(keys.iter(), "add it to the Secret"));
    };
    let plaintext = Plaintext::new(value.0.clone());
    let known = match opener.assume(&reference(SecretKind::Secret, None, name, key), None) {
        Some(assumed) => assumed,
        None => Known::of(opener.ring()?, namespace, &plaintext, None),
    };
    Ok(Some((known, plaintext)))
}
