//! Where references are looked up: a narrow port that `controllers` fills from its watches and `cli` from single reads.
//! Answers with what is known now; a look-up never waits.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::api::DockerSecret;

/// What a look-up found.
#[derive(Debug, Clone)]
pub enum Lookup<T> {
    /// The object.
    Found(Arc<T>),
    /// There is none.
    Absent,
    /// It may not be read; the text says what would permit it.
    Denied(String),
}

impl<T> Lookup<T> {
    /// Whether there is such an object that may be read.
    #[must_use]
    pub fn is_found(&self) -> bool {
        matches!(self, Self::Found(_))
    }
}

/// Objects that references name.
pub trait Source: Sync {
    /// A sealed secret.
    fn docker_secret(&self, namespace: &str, name: &str) -> Lookup<DockerSecret>;
    /// A core Secret.
    fn secret(&self, namespace: &str, name: &str) -> Lookup<Secret>;
    /// A ConfigMap.
    fn config_map(&self, namespace: &str, name: &str) -> Lookup<ConfigMap>;
}
