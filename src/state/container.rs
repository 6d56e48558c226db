//! One container, wanted ([`ContainerSpec`]) and seen ([`ContainerView`]).
//! A spec carries slots where secrets go, never their bytes, so it can be printed and serialized; `execute` looks the
//! bytes up when it creates. A view is one inspect, reduced to what decisions need. Does not compare the two: `plan` does.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{network::NetworkJoin, resolved::REPLICA_NAME};

/// The engine's id of a container: 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(String);

impl ContainerId {
    /// Takes an id as the engine gave it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as `docker ps` shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a secret's bytes go: the name of an environment variable of one container, or a file. Says nothing about the bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub String);

impl SlotId {
    /// The slot of a file of a volume. No environment variable's name begins with `=`.
    #[must_use]
    pub fn of_file(volume: &str, path: &str) -> Self {
        Self(format!("={volume}/{path}"))
    }
}

/// What an environment variable is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnvValue {
    /// Plain text, from the manifest or a ConfigMap.
    Literal(String),
    /// The plaintext that belongs into this slot; looked up when the container is created.
    Slot(SlotId),
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// The variable's name: not empty, without `=` and NUL.
    pub name: String,
    /// Its value.
    pub value: EnvValue,
}

/// A transport protocol of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Lower case, as the engine writes it in `80/tcp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of the host that leads to a port of the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedPort {
    /// The container's port, 1 to 65535.
    pub container_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The host's address that it is bound to.
    pub host_ip: String,
    /// The host's port, 1 to 65535.
    pub host_port: u16,
}

/// Upper bounds that the kernel enforces; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Memory in bytes; swap is always bounded to the same figure, so that the limit means what Kubernetes means.
    pub memory: Option<i64>,
    /// CPU time in billionths of a CPU (`NanoCpus`).
    pub nano_cpus: Option<i64>,
}

/// A directory of the container that is not its own writable layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// An absolute path inside the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// What is mounted there.
    pub source: MountSource,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MountSource {
    /// A directory or file of the host. It must exist: the engine does not make it.
    HostPath(String),
    /// A named volume of the engine.
    Volume(String),
    /// An anonymous volume that lives and dies with the container.
    Anonymous,
    /// Memory, lost at each stop; the size in bytes, the engine's default when absent.
    Tmpfs(Option<i64>),
    /// A named volume of ours with delivered files: nothing of the image is copied into it.
    Files(String),
}

/// A container as it is wanted. Two equal specs make two interchangeable containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSpec {
    /// The container's name; deterministic, so that a repeated create answers 409 instead of making a second one.
    pub name: String,
    /// The image reference as the user wrote it.
    pub image: String,
    /// Replaces the image's entrypoint (and clears its command) when present.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command when present.
    pub cmd: Option<Vec<String>>,
    /// Replaces the image's working directory when present.
    pub working_dir: Option<String>,
    /// The environment on top of the image's, in order.
    pub env: Vec<EnvVar>,
    /// Docker labels, the users' and ours.
    pub labels: BTreeMap<String, String>,
    /// The host name inside the container, at most 63 characters.
    pub hostname: Option<String>,
    /// `uid`, `uid:gid` or a name known to the image; the image's own when absent.
    pub user: Option<String>,
    /// Whether the root file system is read-only.
    pub read_only_rootfs: bool,
    /// Whether a process may gain no privileges through set-user-id programs.
    pub no_new_privileges: bool,
    /// Whether the container has all privileges of the host.
    pub privileged: bool,
    /// Capabilities on top of the engine's default set.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// Kernel limits.
    pub limits: Limits,
    /// How many processes and threads it may have; the engine's own bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// The network that it joins; `None` is no network at all.
    pub network: Option<NetworkJoin>,
    /// Name servers, first to last; the engine's own choice when empty.
    pub dns: Vec<IpAddr>,
    /// Whether the engine starts it again when it ends. Never for a replica: the operator does.
    pub restarts: bool,
    /// Seconds between the stop signal and the kill.
    pub stop_timeout: i64,
}

impl ContainerSpec {
    /// Puts the replica's name where a manifest asks for it.
    pub(super) fn name_replica(&mut self, name: &str) {
        let put = |text: &mut String| {
            if text.contains(REPLICA_NAME) {
                *text = text.replace(REPLICA_NAME, name);
            }
        };
        for var in &mut self.env {
            if let EnvValue::Literal(text) = &mut var.value {
                put(text);
            }
        }
        self.entrypoint.iter_mut().flatten().for_each(put);
        self.cmd.iter_mut().flatten().for_each(put);
    }
}

/// What the engine says a container is doing (`State.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Made and never started, or its start failed.
    Created,
    /// Running.
    Running,
    /// Frozen by somebody.
    Paused,
    /// The engine's own restart policy is at work; never set by us.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Half removed; can only be removed.
    Dead,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitInfo {
    /// The exit code; 128 + signal when killed.
    pub code: i64,
    /// Whether the kernel ended it for lack of memory.
    pub oom_killed: bool,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// A container's place on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Names that other containers on the network find it by, without those that the engine adds itself (its id).
    pub aliases: Vec<String>,
    /// The address, empty while it does not run.
    pub ip: String,
    /// The id of the network that it was put on, which may be gone since; empty before its first start there.
    pub network_id: String,
}

/// A container as the engine shows it: one inspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerView {
    /// The engine's id.
    pub id: ContainerId,
    /// The name without the engine's leading slash.
    pub name: String,
    /// The reference it was created with.
    pub image: String,
    /// The id of the image that it runs (`sha256:...`).
    pub image_id: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub state: RunState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its present or last run started; `None` before the first.
    pub started_at: Option<Timestamp>,
    /// How its last run ended; `None` while it runs and before the first run.
    pub exit: Option<ExitInfo>,
    /// Limits in force.
    pub limits: Limits,
    /// Whether swap is bounded to the memory limit, as we set it (true when there is no memory limit).
    pub swap_bounded: bool,
    /// The engine's restart policy, `no` for ours.
    pub restart_policy: String,
    /// Networks by name.
    pub networks: BTreeMap<String, Attachment>,
}

impl ContainerView {
    /// The value of a label, empty when it has none.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }
}
