//! Who may use a sealed secret: deployments of its own namespace, and of others that it names. Looks it up for one of them,
//! or says why not. To a namespace without consent a secret that exists and one that does not are the same answer.
//! Called by [`super::resolve`] and [`super::pull`]; who counts as a user of a secret is `controllers`' question.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    open::{Closed, in_date},
    source::{Lookup, Source},
};
use crate::api::{DockerDeployment, DockerSecret, condition::Cause, reference::SecretKind};

/// Whose secret a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// The kind.
    pub(super) kind: SecretKind,
    /// The namespace, as written.
    pub(super) namespace: Option<&'a str>,
    /// The name.
    pub(super) name: &'a str,
}

impl<'a> Named<'a> {
    /// The namespace, where it is another one than that of the deployment.
    pub(super) fn elsewhere(&self, home: &str) -> Option<&'a str> {
        self.namespace.filter(|namespace| *namespace != home)
    }
}

/// The secret that is named, when it exists and this deployment may be given it now. `Ok(None)` is said of the deployment's
/// own namespace only.
pub(super) fn find(
    deployment: &DockerDeployment,
    named: Named<'_>,
    source: &dyn Source,
    now: Timestamp,
) -> Result<Option<Arc<DockerSecret>>, Closed> {
    let home = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let elsewhere = named.elsewhere(home);
    let secret = match source.docker_secret(elsewhere.unwrap_or(home), named.name) {
        Lookup::Found(secret) if secret.admits(home) || elsewhere.is_none() => secret,
        Lookup::Absent if elsewhere.is_none() => return Ok(None),
        Lookup::Found(_) | Lookup::Absent => return Err(without_consent(home)),
        Lookup::Denied(advice) => {
            return Err(Closed {
                cause: Cause::AccessDenied,
                advice,
            });
        }
    };
    allowed(&secret, deployment)?;
    in_date(&secret, now)?;
    Ok(Some(secret))
}

/// A core Secret of another namespace: nothing on it could say that it consents.
pub(super) fn core_at_home(home: &str, named: Named<'_>) -> Result<(), Closed> {
    let Some(other) = named.elsewhere(home) else {
        return Ok(());
    };
    Err(Closed {
        cause: Cause::ConsentMissing,
        advice: format!(
            "a core Secret cannot consent to be used in another namespace; make it in {home}, or seal the value into a \
             DockerSecret of {other} that names {home} in spec.allowedConsumers.namespaces"
        ),
    })
}

fn without_consent(home: &str) -> Closed {
    Closed {
        cause: Cause::ConsentMissing,
        advice: format!(
            "there is no such secret, or it does not name {home} in spec.allowedConsumers.namespaces; ask whoever keeps it, \
             or seal the value for {home}"
        ),
    }
}

fn allowed(secret: &DockerSecret, deployment: &DockerDeployment) -> Result<(), Closed> {
    let Some(allowed) = &secret.spec.allowed_consumers else {
        return Ok(());
    };
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let labels = deployment.metadata.labels.clone().unwrap_or_default();
    if allowed.allows(name, &labels) {
        return Ok(());
    }
    Err(Closed {
        cause: Cause::ConsumerNotAllowed,
        advice: format!("add {name} to spec.allowedConsumers of the secret, or use another secret"),
    })
}
