//! The container of a pod: image, process, environment, ports, resources, mounts, privileges.
//! Owns the fields as written; parsed quantities and images come from `quantity.rs` and `image.rs` through `validate.rs`.
//! Read by the rooms that build containers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::probe::Probe;
use super::reference::{EnvFromSource, EnvVar};
use super::schema::{QuantityText, quantity_map};

/// Where the operator's own mounts stand in a container. Nobody else's may stand there.
pub const OWN_DIRECTORY: &str = "/run/supercargo";

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Name of the container: a DNS label.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// Image to run, such as nginx:1.29 or registry.example.com/team/app@sha256:...
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,

    /// When to pull. If absent: Always for the tag latest (also if no tag is given), else IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,

    /// Replaces the image's entrypoint. $(VAR) is expanded from plain variables; one that holds a secret is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 131072)), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,

    /// Replaces the image's command (the arguments of the entrypoint). $(VAR) as in command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 131072)), extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,

    /// Working directory of the process. The image's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub working_dir: Option<String>,

    /// Environment variables. They win over envFrom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub env: Vec<EnvVar>,

    /// Sources whose every key becomes an environment variable. A later source wins over an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Vec<EnvFromSource>,

    /// Ports. containerPort publishes nothing by itself: other containers of the namespace reach every port anyway. hostPort publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<ContainerPort>,

    /// Limits of CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Where volumes appear in the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"])
    )]
    pub volume_mounts: Vec<VolumeMount>,

    /// User, privileges and capabilities of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,

    /// Has it started? Until it has, the two other probes are not asked; when it fails, the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,

    /// May it be sent traffic? While not, the deployment's name does not lead to it, and a rollout waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,

    /// Does it still work? When it fails, the container is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// Before every new instance.
    Always,
    /// When the host does not have it.
    IfNotPresent,
    /// Never: the host must have it.
    Never,
}

/// A port that the container listens on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Name of the port, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub name: Option<String>,

    /// Port inside the container, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub container_port: i32,

    /// Port on the host that is published, 1 to 65535. A deployment with a host port is updated stop first, then start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub host_port: Option<i32>,

    /// Address of the host that the port is published on. The operator's --publish-address if absent.
    #[serde(rename = "hostIP", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub host_ip: Option<String>,

    /// TCP (also if absent), UDP or SCTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Limits of CPU and memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Hard limits: cpu (such as 500m or "1.5") and memory (such as 256Mi). Fractions are written as text, in quotes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity_map")]
    pub limits: BTreeMap<String, QuantityText>,

    /// Accepted and without effect: one host has no scheduler that would reserve anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantity_map")]
    pub requests: BTreeMap<String, QuantityText>,
}

/// Where a volume appears in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// Name of a volume of this pod.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// Absolute path in the container.
    #[schemars(length(min = 1, max = 4096))]
    pub mount_path: String,

    /// Whether the container can only read it. False if absent. Files of secrets and ConfigMaps can only be read in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// User, privileges and capabilities of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// User id of the process. The image's user if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub run_as_user: Option<i64>,

    /// Group id of the process. The image's group if absent. Requires runAsUser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub run_as_group: Option<i64>,

    /// Whether the container's root file system is read only. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,

    /// Whether the process may gain more privileges than its parent. False sets no-new-privileges; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_privilege_escalation: Option<bool>,

    /// Whether the container has all rights of the host's root. Refused unless the operator permits it (--allow-privileged).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,

    /// Capabilities to add or drop. Adding is refused unless the operator permits it (--allow-capability).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
}

/// Linux capabilities, as NET_ADMIN, without the prefix CAP_.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Capabilities beyond Docker's default set. ALL means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)), extend("x-kubernetes-list-type" = "atomic"))]
    pub add: Vec<String>,

    /// Capabilities taken from Docker's default set. ALL means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 32)), extend("x-kubernetes-list-type" = "atomic"))]
    pub drop: Vec<String>,
}

impl Container {
    /// The probes that are written, by the names of their fields.
    pub fn probes(&self) -> impl Iterator<Item = (&'static str, &Probe)> {
        [
            ("startupProbe", &self.startup_probe),
            ("readinessProbe", &self.readiness_probe),
            ("livenessProbe", &self.liveness_probe),
        ]
        .into_iter()
        .filter_map(|(name, probe)| Some((name, probe.as_ref()?)))
    }

    /// The number of the port of this name, when there is one.
    #[must_use]
    pub fn named_port(&self, name: &str) -> Option<i32> {
        let named = |port: &&ContainerPort| !name.is_empty() && port.name.as_deref() == Some(name);
        self.ports.iter().find(named).map(|port| port.container_port)
    }
}

impl ContainerPort {
    /// The transport protocol; TCP if absent.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or_default()
    }
}

impl Protocol {
    /// The lower-case name that Docker uses, as in `80/tcp`.
    #[must_use]
    pub fn as_docker(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}
