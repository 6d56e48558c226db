//! The pod of a template: its containers, volumes and pull secrets.
//! Owns the fields between the template and the container; does not decide which volume kinds a policy permits (`validate.rs`).
//! Read by the rooms that build containers and credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::files::{ConfigMapVolume, ProjectedVolume, SecretVolume};
use super::reference::SecretKind;
use super::schema::{QuantityText, quantity};

/// The container to run, with its volumes and pull secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The container of each instance. Exactly one: groups of containers are not supported yet.
    #[schemars(
        length(min = 1, max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub containers: Vec<Container>,

    /// Volumes that the container may mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub volumes: Vec<Volume>,

    /// Secrets with registry credentials, matched to the image's registry. Without any, the image is pulled anonymously.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub image_pull_secrets: Vec<ImagePullSecret>,

    /// Whether the image may be pulled with the credentials of the Docker host, from what `docker login` wrote there or its credential helpers, where no pull secret names the registry. Refused unless the operator permits it (--allow-host-credentials).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_host_credentials: Option<bool>,

    /// Only Always, which is also the default: instances are restarted when they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,

    /// Seconds between the stop signal and the kill. 30 if absent; 0 kills at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// When an ended container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// Not for a deployment; refused.
    OnFailure,
    /// Not for a deployment; refused.
    Never,
}

/// A secret with registry credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePullSecret {
    /// Name of the secret. Its type is kubernetes.io/dockerconfigjson.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// DockerSecret (also if absent), or Secret for a core Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SecretKind>,

    /// Namespace of the secret. The deployment's own if absent; another one needs the secret's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A volume. Exactly one of secret, configMap, projected, emptyDir, dockerVolume and hostPath.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name that volumeMounts refer to: a DNS label, unique in the list.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// Files with the values of a secret, in memory only. Without a volumeMount they are in /run/secrets/SECRETNAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretVolume>,

    /// Files with the values of a ConfigMap of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapVolume>,

    /// Files of several secrets and ConfigMaps in one directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<ProjectedVolume>,

    /// An empty directory that lives as long as the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,

    /// A local Docker volume that outlives the instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_volume: Option<DockerVolume>,

    /// A path of the host. Refused unless the operator permits it (--allow-host-path).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<HostPath>,
}

/// An empty directory that lives as long as the instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// Memory for a tmpfs; empty or absent for the host's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub medium: Option<String>,

    /// Size limit, for medium Memory only: a quantity such as 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity")]
    pub size_limit: Option<QuantityText>,
}

/// A local Docker volume that outlives the instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerVolume {
    /// Name of the volume within the namespace. It is made when first needed, and kept when the deployment is deleted.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// A path of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostPath {
    /// Absolute path on the Docker host, without `..`.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,

    /// What must be there before the container starts. Empty or absent: no check. DirectoryOrCreate makes a directory.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub type_: Option<String>,
}

impl PodSpec {
    /// Seconds between the stop signal and the kill; 30 if absent.
    #[must_use]
    pub fn termination_grace_period_seconds(&self) -> i64 {
        self.termination_grace_period_seconds.unwrap_or(30)
    }

    /// The one container; `None` only before validation.
    #[must_use]
    pub fn container(&self) -> Option<&Container> {
        self.containers.first()
    }
}

impl EmptyDir {
    /// Whether the directory is a tmpfs.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.medium.as_deref() == Some("Memory")
    }
}
