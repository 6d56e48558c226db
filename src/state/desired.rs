//! What one deployment wants of the engine, decided completely: nothing is left to look up but bytes.
//! Built by [`super::build`] from a validated object and its resolved references; compared with [`super::observed`] by `plan`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    container::ContainerSpec,
    files::FileVolume,
    names,
    owner::Owner,
    revision::{Fingerprints, TemplateHash, revision},
    volume::Volume,
};
use crate::api::keys::label;

/// How replicas of an old revision give way to the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rollout {
    /// Some at a time, within a budget.
    Rolling(Budget),
    /// All old ones go, then all new ones come.
    Recreate,
}

/// How far a rolling update may go from the wanted number in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// So many more than wanted may exist.
    pub surge: u32,
    /// So many fewer than wanted may be available; not zero when `surge` is.
    pub unavailable: u32,
    /// Whether old and new cannot exist side by side: two cannot hold the same host port or write the same volume. The
    /// old one must have ended before the new one comes; `surge` is zero then.
    pub exclusive: bool,
}

impl Rollout {
    /// The new one first, then the old one goes: one replica at a time.
    pub const NEW_FIRST: Self = Self::Rolling(Budget {
        surge: 1,
        unavailable: 0,
        exclusive: false,
    });
    /// The old one goes first, one replica at a time.
    pub const OLD_FIRST: Self = Self::Rolling(Budget {
        surge: 0,
        unavailable: 1,
        exclusive: true,
    });

    /// Whether an old and a new container must not be alive at the same time in one place.
    #[must_use]
    pub const fn is_exclusive(self) -> bool {
        match self {
            Self::Rolling(budget) => budget.exclusive,
            Self::Recreate => true,
        }
    }
}

/// When an image is fetched, as `imagePullPolicy` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullPolicy {
    /// Before every creation.
    Always,
    /// When the engine does not have it.
    IfNotPresent,
    /// Not by us.
    Never,
}

/// The one shape that all new replicas get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prototype {
    /// A container without name, host name and the labels that differ between replicas.
    pub spec: ContainerSpec,
    /// When its image is fetched.
    pub pull: PullPolicy,
    /// Data volumes that must exist first.
    pub volumes: Vec<Volume>,
    /// Volumes with files, which must have been delivered first. In `spec` they are mounted by their names in the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileVolume>,
}

/// Why no new container may be made. What runs goes on running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blocked {
    /// A secret reference does not resolve.
    SecretsUnresolved,
    /// A ConfigMap reference does not resolve.
    ConfigUnresolved,
    /// The object breaks a rule of its schema.
    InvalidSpec,
    /// The object breaks a rule of the operator.
    PolicyViolation,
}

/// New replicas: a shape, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Template {
    /// Everything is known.
    Known(Box<Prototype>),
    /// Something is not.
    Blocked(Blocked),
}

/// What one deployment wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    /// Whose containers.
    pub owner: Owner,
    /// `metadata.generation` that this was built from.
    pub generation: i64,
    /// How many; none while it is being deleted.
    pub replicas: u32,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether rollouts hold. Restarts, scale and teardown go on.
    pub paused: bool,
    /// How a rollout goes.
    pub rollout: Rollout,
    /// Seconds that a container must run before it counts as available.
    pub min_ready_seconds: u32,
    /// Seconds between the stop signal and the kill.
    pub grace_seconds: i64,
    /// Hash of the template; absent when the object does not parse.
    pub template_hash: Option<TemplateHash>,
    /// Fingerprints of what resolved; absent while something does not.
    pub fingerprints: Option<Fingerprints>,
    /// The shape of new replicas.
    pub template: Template,
    /// The name of the namespace's network.
    pub network: String,
    /// The image of the agent that answers for the deployments' names on that network and asks the probes.
    pub agent: AgentImage,
    /// Name servers after the agent, for what it cannot be asked while it is away.
    pub dns: Vec<IpAddr>,
}

/// What agents are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentImage {
    /// The reference of the image.
    pub image: String,
    /// What the label says of an agent that is made from it as it is now.
    pub version: String,
}

impl Desired {
    /// The desired state of an object that is being deleted: nothing, resolved from nothing.
    #[must_use]
    pub fn nothing(owner: Owner, generation: i64, grace_seconds: i64) -> Self {
        let network = names::network(&owner.instance, &owner.namespace);
        Self {
            owner,
            generation,
            replicas: 0,
            deleting: true,
            paused: false,
            rollout: Rollout::Recreate,
            min_ready_seconds: 0,
            grace_seconds,
            template_hash: None,
            fingerprints: None,
            template: Template::Blocked(Blocked::InvalidSpec),
            network,
            agent: AgentImage::default(),
            dns: Vec::new(),
        }
    }

    /// The wanted volumes with files; none while the template is blocked.
    #[must_use]
    pub fn files(&self) -> &[FileVolume] {
        match &self.template {
            Template::Known(prototype) => &prototype.files,
            Template::Blocked(_) => &[],
        }
    }

    /// The wanted revision, known once everything resolves.
    #[must_use]
    pub fn revision(&self) -> Option<String> {
        Some(revision(
            self.template_hash.as_ref()?,
            self.fingerprints.as_ref()?,
        ))
    }

    /// The container of replica `slot`, or the reason why it cannot be made.
    ///
    /// # Errors
    /// [`Blocked`] while something does not resolve or the object is invalid.
    pub fn container(&self, slot: u32) -> Result<ContainerSpec, Blocked> {
        let prototype = match &self.template {
            Template::Known(prototype) => prototype,
            Template::Blocked(why) => return Err(*why),
        };
        let (Some(hash), Some(fingerprints)) = (&self.template_hash, &self.fingerprints) else {
            return Err(Blocked::SecretsUnresolved);
        };
        let revision = revision(hash, fingerprints);
        let mut spec = prototype.spec.clone();
        spec.name = names::container(&self.owner, slot, &revision);
        let hostname = names::hostname(&self.owner.name, slot);
        spec.name_replica(&hostname);
        spec.hostname = Some(hostname);
        spec.labels.extend(self.owner.labels());
        for (key, value) in [
            (label::REPLICA, slot.to_string()),
            (label::REVISION, revision),
            (label::TEMPLATE_HASH, hash.0.clone()),
            (label::FINGERPRINTS, fingerprints.to_label()),
            (label::FINGERPRINT_ROOT, fingerprints.root.clone()),
            (label::GENERATION, self.generation.to_string()),
        ] {
            spec.labels.insert(key.to_owned(), value);
        }
        Ok(spec)
    }
}
