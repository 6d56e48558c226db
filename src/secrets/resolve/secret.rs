//! The look-up of one referenced secret: which keys it has, what one of them is, and why not. Who may use it is `consent.rs`.
//! Decides nothing about where a value goes. Called by [`super`] for variables and by `files.rs`.

use super::{Reference, Walk, Want};
use crate::{
    api::{DockerSecret, condition::Cause, reference::SecretKind},
    seal::Plaintext,
    secrets::{
        consent, core,
        open::{Closed, Known},
    },
    state::resolved::Failure,
};

impl Walk<'_> {
    /// The keys of a referenced secret; `None` when it failed or is optional and absent.
    pub(super) fn keys(&mut self, reference: &Reference<'_>) -> Option<Vec<String>> {
        let result = match reference.kind {
            SecretKind::DockerSecret => self
                .docker_secret(reference)
                .map(|s| s.map(|s| s.spec.encrypted_data.keys().cloned().collect())),
            SecretKind::Secret => consent::core_at_home(self.namespace, reference.named())
                .and_then(|()| core::keys(self.source, self.namespace, reference.name)),
        };
        match result {
            Ok(Some(keys)) => Some(keys),
            Ok(None) if reference.optional => None,
            Ok(None) => {
                let closed = self.not_found(reference);
                self.fail(reference, None, closed);
                None
            }
            Err(closed) => {
                self.fail(reference, None, closed);
                None
            }
        }
    }

    /// One item; `Ok(None)` when the secret does not exist.
    pub(super) fn item(
        &self,
        reference: &Reference<'_>,
        key: &str,
    ) -> Result<Option<(Known, Option<Plaintext>)>, Closed> {
        let bytes = self.want == Want::Bytes;
        let (known, plaintext) = match reference.kind {
            SecretKind::DockerSecret => {
                let Some(secret) = self.docker_secret(reference)? else {
                    return Ok(None);
                };
                if bytes {
                    let (known, plaintext) = self.opener.open(&secret, key)?;
                    (known, Some(plaintext))
                } else {
                    (self.opener.look(&secret, key)?, None)
                }
            }
            SecretKind::Secret => {
                consent::core_at_home(self.namespace, reference.named())?;
                let found = core::item(self.source, self.opener, self.namespace, reference.name, key)?;
                let Some((known, plaintext)) = found else {
                    return Ok(None);
                };
                (known, bytes.then_some(plaintext))
            }
        };
        Ok(Some((known, plaintext)))
    }

    fn docker_secret(
        &self,
        reference: &Reference<'_>,
    ) -> Result<Option<std::sync::Arc<DockerSecret>>, Closed> {
        consent::find(self.deployment, reference.named(), self.source, self.now)
    }

    pub(super) fn not_found(&self, reference: &Reference<'_>) -> Closed {
        let other = match reference.kind {
            SecretKind::DockerSecret => self
                .source
                .secret(self.namespace, reference.name)
                .is_found()
                .then_some(
                    "; a core Secret of that name exists: to use it, write `kind: Secret` in the reference",
                ),
            SecretKind::Secret => self
                .source
                .docker_secret(self.namespace, reference.name)
                .is_found()
                .then_some(
                    "; a DockerSecret of that name exists: to use it, leave `kind` out of the reference",
                ),
        };
        let next = match reference.kind {
            SecretKind::DockerSecret => "create it with `supercargo seal` and kubectl apply",
            SecretKind::Secret => "create it, or correct the name",
        };
        Closed {
            cause: Cause::SecretNotFound,
            advice: format!("{next}{}", other.unwrap_or_default()),
        }
    }

    pub(super) fn fail(&mut self, reference: &Reference<'_>, key: Option<&str>, closed: Closed) {
        self.out.failures.push(Failure {
            kind: reference.kind,
            namespace: reference.namespace.unwrap_or(self.namespace).to_owned(),
            name: reference.name.to_owned(),
            key: key.or(reference.key).map(str::to_owned),
            path: reference.path.clone(),
            cause: closed.cause,
            advice: closed.advice,
        });
    }
}
