//! What became of a deployment's references: the environment with slots, fingerprints and who uses what, or every
//! failure at once. Holds no plaintext. Made by `secrets`; read by [`super::build`], `status` and `explain`.

use serde::{Deserialize, Serialize};

use super::{
    container::{EnvVar, SlotId},
    files::{FileSlot, VolumeFiles},
    revision::Fingerprints,
};
use crate::api::{condition::Cause, reference::SecretKind};

/// Stands in plain text for the name of the replica, which is known only when its container is made. Manifests cannot
/// contain it: the API server and the engine both refuse NUL.
pub const REPLICA_NAME: &str = "\u{0}replica\u{0}";

/// What is known of an item without its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Known {
    /// Keyed fingerprint of the value.
    pub fingerprint: String,
    /// The key that it is sealed to; absent for core Secrets.
    pub kid: Option<String>,
    /// Whether it can be an environment variable.
    pub as_env: Result<(), Closed>,
    /// Whether it can be one that is not in the container's configuration, which need not be text.
    pub as_protected: Result<(), Closed>,
    /// How many bytes the value has. That is part of the secret: for bounds only, and never shown.
    pub size: usize,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Known");
        shown
            .field("fingerprint", &self.fingerprint)
            .field("kid", &self.kid);
        shown.field("as_env", &self.as_env).finish_non_exhaustive()
    }
}

/// Why an item does not open: the word, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The cause.
    pub cause: Cause,
    /// What to do.
    pub advice: String,
}

/// One reference to a secret that does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Kind of the secret.
    pub kind: SecretKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key, where one is concerned.
    pub key: Option<String>,
    /// Where in the object it is referenced, such as `spec.template.spec.containers[0].env[2]`.
    pub path: String,
    /// Why.
    pub cause: Cause,
    /// What to do.
    pub advice: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} {}/{}",
            self.cause, self.kind, self.namespace, self.name
        )?;
        if let Some(key) = &self.key {
            write!(f, " key {key:?}")?;
        }
        write!(f, ", referenced by {}; {}", self.path, self.advice)
    }
}

/// One problem that is not a secret's: a missing ConfigMap or key, or an expansion that would leak.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where in the object.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// How a secret reaches its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// A plain environment variable: whoever may inspect the container can read it.
    Env,
    /// An environment variable that is set as the process starts, which no inspection shows.
    ProtectedEnv,
    /// A file on a tmpfs, which no inspection shows.
    File,
    /// A registry credential, used for pulls only.
    PullCredential,
}

impl Form {
    /// The word in status and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Env => "Env (inspectable)",
            Self::ProtectedEnv => "Env (protected)",
            Self::File => "File",
            Self::PullCredential => "PullCredential",
        }
    }
}

/// One key of a secret that is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// Kind of the secret.
    pub kind: SecretKind,
    /// Its namespace, where it is another one than the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// How it is delivered.
    pub form: Form,
    /// Where in the object it is referenced.
    pub path: String,
    /// Keyed fingerprint of the value.
    pub fingerprint: String,
    /// The key that it is sealed to; absent for core Secrets.
    pub kid: Option<String>,
    /// The variable or file that it is for; absent for a credential that no pull of this image sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotId>,
}

impl Use {
    /// The name of this reference on the label of fingerprints.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(self.kind, self.namespace.as_deref(), &self.name, &self.key)
    }

    /// The secret's name, with its namespace where that is another one than the deployment's.
    #[must_use]
    pub fn secret(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The name of a reference on the label of fingerprints; with a namespace where it is another one than the deployment's.
#[must_use]
pub fn reference(kind: SecretKind, namespace: Option<&str>, name: &str, key: &str) -> String {
    let name = match kind {
        SecretKind::DockerSecret => format!("{name}/{key}"),
        SecretKind::Secret => format!("Secret:{name}/{key}"),
    };
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    }
}

/// Everything resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// The whole environment in order, expanded, with a slot where a secret goes.
    pub env: Vec<EnvVar>,
    /// The command after expansion; empty as in the template.
    pub command: Vec<String>,
    /// The arguments after expansion; empty as in the template.
    pub args: Vec<String>,
    /// The files of each volume that has some, in the pod's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<VolumeFiles>,
    /// The variables that are not in the environment above, because nobody who inspects the container is to see them:
    /// each is a file that is named after it. See [`super::protected`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<FileSlot>,
    /// What a revision depends on.
    pub fingerprints: Fingerprints,
}

/// What became of the references of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// What a container gets; absent while anything fails.
    pub resolved: Option<Resolved>,
    /// Secrets that resolve, also while others do not.
    pub uses: Vec<Use>,
    /// Secrets that do not.
    pub failures: Vec<Failure>,
    /// ConfigMaps that do not.
    pub config: Vec<Problem>,
    /// What would put a secret where it can be read, or is no environment.
    pub invalid: Vec<Problem>,
}

impl Resolution {
    /// Fingerprints of the registry credentials, joined; empty without any.
    #[must_use]
    pub fn pull_fingerprints(&self) -> String {
        let credentials = self.uses.iter().filter(|u| u.form == Form::PullCredential);
        credentials
            .map(|u| u.fingerprint.as_str())
            .collect::<Vec<_>>()
            .join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_where_and_what_to_do() {
        let failure = Failure {
            kind: SecretKind::DockerSecret,
            namespace: "shop".into(),
            name: "db".into(),
            key: Some("password".into()),
            path: "spec.template.spec.containers[0].env[0]".into(),
            cause: Cause::SecretNotFound,
            advice: "create it".into(),
        };
        assert_eq!(
            failure.to_string(),
            "SecretNotFound: DockerSecret shop/db key \"password\", referenced by \
             spec.template.spec.containers[0].env[0]; create it"
        );
    }
}
