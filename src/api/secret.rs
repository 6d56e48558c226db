//! `DockerSecret`: named values, sealed. There is no field for plaintext, anywhere.
//! Owns the shape; envelopes are opened by `seal` and `secrets`, sizes are checked in `validate_secret.rs`.
//! Read by the rooms that resolve references and tell users about their secrets.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::deployment::LabelSelector;
use super::schema::{conditions, date};
use super::status::{UNOBSERVED, unobserved};

/// Named values, sealed with `supercargo seal`.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::duplicated_attributes, reason = "columns share their type")]
#[kube(
    group = "supercargo.dev",
    version = "v1alpha1",
    kind = "DockerSecret",
    plural = "dockersecrets",
    shortname = "dsec",
    category = "supercargo",
    namespaced,
    status = "DockerSecretStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Named values, sealed with a public key so that they can be kept in git. There is no field for plaintext: make one with `supercargo seal`.",
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".spec.type",
        description = "What the values are."
    ),
    printcolumn(
        name = "Valid",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Valid")].status"#,
        description = "Whether every value can be opened."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Valid")].reason"#,
        description = "The reason of the condition Valid."
    ),
    printcolumn(
        name = "In-use",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="InUse")].status"#,
        description = "Whether a deployment uses it."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct DockerSecretSpec {
    /// What the values are: Opaque (also if absent), kubernetes.io/dockerconfigjson, kubernetes.io/tls, kubernetes.io/basic-auth or kubernetes.io/ssh-auth.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<SecretType>,

    /// The sealed values by key, each one line of text as `supercargo seal` prints it. Plaintext is refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "encrypted_data")]
    pub encrypted_data: BTreeMap<String, String>,

    /// Whether the values may never change. Once true it stays true; to change a value, make a secret with another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,

    /// Who may use it. Everybody in its namespace if absent, and nobody elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_consumers: Option<AllowedConsumers>,

    /// When the values expire, RFC 3339. A warning from 14 days before, and a block only with stopUse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date")]
    pub not_after: Option<Time>,

    /// When the values should be replaced, RFC 3339. A reminder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date")]
    pub rotate_after: Option<Time>,

    /// Whether no new container is given the values after notAfter. Those that run go on, and are started again in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_use: Option<bool>,
}

/// What the values of a secret are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretType {
    /// Anything.
    #[default]
    Opaque,
    /// Registry credentials under the key `.dockerconfigjson`.
    #[serde(rename = "kubernetes.io/dockerconfigjson")]
    DockerConfigJson,
    /// A certificate under `tls.crt` and its key under `tls.key`.
    #[serde(rename = "kubernetes.io/tls")]
    Tls,
    /// `username` and `password`.
    #[serde(rename = "kubernetes.io/basic-auth")]
    BasicAuth,
    /// A private key under `ssh-privatekey`.
    #[serde(rename = "kubernetes.io/ssh-auth")]
    SshAuth,
}

/// Who may use a secret: deployments of its own namespace, and of those that it names. If names or a selector are written,
/// a deployment is allowed if it is named or if its labels match, wherever it is; with namespaces alone everybody in them is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedConsumers {
    /// Other namespaces whose deployments may use it, too. They name it with `namespace` in the reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,

    /// Names of deployments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,

    /// Labels of deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// What was last observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerSecretStatus {
    /// The metadata.generation that this status is about; -1 before the operator has seen the object.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,

    /// Valid: every value can be opened. KeyCurrent: every value is sealed with the primary key. InUse: a deployment uses it. ExpiringSoon: notAfter is near or has passed, or rotateAfter has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,

    /// The keys of encryptedData.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub keys: Vec<SecretKeyStatus>,

    /// The deployments that use it, at most 256 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub used_by: Vec<ConsumerReference>,
}

/// One key of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyStatus {
    /// The key's name in encryptedData.
    #[schemars(length(max = 253))]
    pub name: String,

    /// Id of the key that the value is sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub kid: Option<String>,

    /// Keyed fingerprint of the value, 16 hex digits. Equal values have equal ones within a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,

    /// Whether the value can be opened.
    #[serde(default)]
    pub valid: bool,

    /// Why it cannot be opened, such as UnknownKeyId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
}

/// An object that uses a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerReference {
    /// Its kind, such as DockerDeployment.
    #[schemars(length(max = 63))]
    pub kind: String,

    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,

    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Longest text of one envelope, in bytes: 64 KiB of value, padded, sealed and in base64url.
pub const MAX_ENVELOPE: usize = 98_304;
/// Most keys of one secret.
pub const MAX_KEYS: usize = 256;

/// No `pattern`: the API server would repeat a value that does not match, which is plaintext. CEL says it without (`rules.rs`).
fn encrypted_data(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_KEYS,
        "additionalProperties": { "type": "string", "maxLength": MAX_ENVELOPE },
    })
}

impl AllowedConsumers {
    /// Whether a deployment of an admitted namespace may use it, by its name and labels.
    #[must_use]
    pub fn allows(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let anybody = self.names.is_empty() && self.selector.is_none() && !self.namespaces.is_empty();
        anybody
            || self.names.iter().any(|allowed| allowed == name)
            || self
                .selector
                .as_ref()
                .is_some_and(|selector| selector.matches(labels))
    }
}

impl DockerSecret {
    /// The other namespaces whose deployments it admits.
    #[must_use]
    pub fn consented(&self) -> &[String] {
        let allowed = self.spec.allowed_consumers.as_ref();
        allowed.map_or(&[], |allowed| &allowed.namespaces)
    }

    /// Whether it admits deployments of a namespace at all: its own, or one that it names.
    #[must_use]
    pub fn admits(&self, namespace: &str) -> bool {
        self.metadata.namespace.as_deref() == Some(namespace)
            || self.consented().iter().any(|other| other == namespace)
    }
}

impl SecretType {
    /// The type as written in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "Opaque",
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::Tls => "kubernetes.io/tls",
            Self::BasicAuth => "kubernetes.io/basic-auth",
            Self::SshAuth => "kubernetes.io/ssh-auth",
        }
    }
}

impl Default for DockerSecretStatus {
    fn default() -> Self {
        Self {
            observed_generation: UNOBSERVED,
            conditions: Vec::new(),
            keys: Vec::new(),
            used_by: Vec::new(),
        }
    }
}
