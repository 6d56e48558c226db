//! References from a container's environment to secrets, config maps and fields of its own object.
//! Owns their shapes; looks nothing up: whether a referenced object exists is status, not validation.
//! Read by the rooms that resolve references.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::FileRef;

/// An environment variable. One of value, valueFrom and fileRef.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name of the variable: any printable ASCII except "=".
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// Value as written. $(VAR) is expanded from variables above it; one that holds a secret is refused. Empty if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 131072))]
    pub value: Option<String>,

    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,

    /// A file of a volume: the value is its path in the container, as programs want it for variables such as DB_PASSWORD_FILE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_ref: Option<FileRef>,
}

/// Where a value comes from. Exactly one of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVarSource {
    /// A key of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeySelector>,

    /// A key of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeySelector>,

    /// A field of the instance itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<ObjectFieldSelector>,
}

/// A key of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeySelector {
    /// Name of the secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key within the secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,

    /// Whether the variable is left out when the secret or the key does not exist. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,

    /// DockerSecret (also if absent), or Secret for a core Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SecretKind>,

    /// Namespace of the secret. The deployment's own if absent; another one needs the secret's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// The kinds of secrets that can be referenced.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum SecretKind {
    /// A sealed secret of ours.
    #[default]
    DockerSecret,
    /// A core Secret of Kubernetes.
    Secret,
}

/// A key of a ConfigMap of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeySelector {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key within the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,

    /// Whether the variable is left out when the ConfigMap or the key does not exist. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A field of the instance itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectFieldSelector {
    /// Accepted and without effect; v1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub api_version: Option<String>,

    /// metadata.name (of the instance), metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'] or spec.nodeName (the Docker host).
    #[schemars(length(min = 1, max = 512))]
    pub field_path: String,
}

/// A source whose every key becomes an environment variable. Exactly one of secretRef and configMapRef.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvFromSource {
    /// Put before every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub prefix: Option<String>,

    /// A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretEnvSource>,

    /// A ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapEnvSource>,
}

/// A secret whose every key becomes an environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretEnvSource {
    /// Name of the secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Whether the source is left out when the secret does not exist. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,

    /// DockerSecret (also if absent), or Secret for a core Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SecretKind>,

    /// Namespace of the secret. The deployment's own if absent; another one needs the secret's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A ConfigMap whose every key becomes an environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapEnvSource {
    /// Name of the ConfigMap, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Whether the source is left out when the ConfigMap does not exist. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

impl SecretKind {
    /// The kind's name, as in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerSecret => "DockerSecret",
            Self::Secret => "Secret",
        }
    }
}

impl std::fmt::Display for SecretKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
