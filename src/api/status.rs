//! `DockerDeployment.status`: what users are told about their deployment.
//! Owns the shape only; what goes into it is decided by the room `status`.
//! Nothing in it ticks: every field changes only when something happened.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::SecretKind;
use super::schema::{conditions, time};

/// The generation of a status that nobody has written yet.
pub const UNOBSERVED: i64 = -1;

/// What was last observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerDeploymentStatus {
    /// The metadata.generation that this status is about; -1 before the operator has seen the object.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,

    /// Instances that exist, of any revision.
    #[serde(default)]
    pub replicas: i32,

    /// Instances that are ready.
    #[serde(default)]
    pub ready_replicas: i32,

    /// Instances of the current revision.
    #[serde(default)]
    pub updated_replicas: i32,

    /// Instances that have been ready for at least minReadySeconds.
    #[serde(default)]
    pub available_replicas: i32,

    /// Ready instances of wanted ones, such as 2/3, for the table of `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub ready: Option<String>,

    /// The revision that is wanted now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current_revision: Option<String>,

    /// The instances' label selector as text, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub selector: Option<String>,

    /// Ready always; Reconciling and Stalled only while true; Available, Progressing, SecretsResolved, SecretsDelivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,

    /// The instances, at most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub instances: Vec<InstanceStatus>,

    /// The values of secrets that the deployment uses. Never a value, never its length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub secrets: Vec<SecretUse>,
}

/// One instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Name of the Docker container.
    #[schemars(length(max = 253))]
    pub name: String,

    /// The Docker host that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub host: Option<String>,

    /// First 12 characters of the container's id.
    #[serde(rename = "containerID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12))]
    pub container_id: Option<String>,

    /// The revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,

    /// Whether it is ready.
    #[serde(default)]
    pub ready: bool,

    /// Since when it has been ready without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub ready_since: Option<MicroTime>,

    /// Why it is not ready, such as BackOff, Starting, Unready or Unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// What its probes say, while they say no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,

    /// How often this container was started again.
    #[serde(default)]
    pub restarts: i32,

    /// Failures in a row that the next back-off is computed from; 0 again after ten healthy minutes.
    #[serde(default)]
    pub failures: i32,

    /// Not started again before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub restart_after: Option<MicroTime>,

    /// When the container was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub started_at: Option<MicroTime>,

    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
}

/// How a container last ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// Exit code; 128 plus the signal's number after a signal.
    #[serde(default)]
    pub code: i32,

    /// Completed, Error or OOMKilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub time: Option<MicroTime>,
}

/// The use of one value of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretUse {
    /// Name of the secret.
    #[schemars(length(max = 253))]
    pub name: String,

    /// Key within the secret.
    #[schemars(length(max = 253))]
    pub key: String,

    /// DockerSecret or Secret.
    #[serde(default)]
    pub kind: SecretKind,

    /// Namespace of the secret, where it is another one than the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,

    /// How it is delivered: Env (visible in `docker inspect`), File or PullCredential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub form: Option<String>,

    /// Keyed fingerprint of the value, 16 hex digits. Equal values have equal ones within a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,

    /// Id of the key that the value is sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub kid: Option<String>,

    /// How many instances run with exactly this value.
    #[serde(default)]
    pub loaded: i32,
}

/// The generation of a status that nobody has written yet, for serde.
pub(super) fn unobserved() -> i64 {
    UNOBSERVED
}

impl Default for DockerDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: UNOBSERVED,
            replicas: 0,
            ready_replicas: 0,
            updated_replicas: 0,
            available_replicas: 0,
            ready: None,
            current_revision: None,
            selector: None,
            conditions: Vec::new(),
            instances: Vec::new(),
            secrets: Vec::new(),
        }
    }
}
