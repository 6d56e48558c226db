//! The custom resources: what users write and what they are told, as serde types with their schemas.
//! Owns the fields, their limits, pure validation, the names of labels and the closed sets of reasons.
//! Does not look anything up, read a clock, or know Docker; every other room may name it.

pub mod condition;
pub mod container;
pub mod crd;
pub mod deployment;
pub mod expansion;
pub mod expiry;
pub mod fields;
pub mod files;
pub mod image;
pub mod keys;
pub mod pod;
pub mod probe;
pub mod quantity;
pub mod reference;
mod rules;
pub mod schema;
pub mod secret;
pub mod status;
mod suspicion;
pub mod unsupported;
pub mod validate;
pub mod validate_secret;
pub mod violation;

pub use condition::{Cause, ConditionType, Reason};
pub use container::{
    Capabilities, Container, ContainerPort, ImagePullPolicy, Protocol, Resources, SecurityContext,
    VolumeMount,
};
pub use crd::{CrdError, crds};
pub use deployment::{
    DeploymentStrategy, DockerDeployment, DockerDeploymentSpec, LabelSelector, LabelSelectorRequirement,
    PodTemplate, RollingUpdate, SecretEnv, StrategyType, TemplateMetadata,
};
pub use files::{
    ConfigMapVolume, FileItem, FileMount, FileRef, FileSource, FileVolume, OnChange, Origin,
    ProjectedConfigMap, ProjectedSecret, ProjectedSource, ProjectedVolume, SecretVolume, Signal, file_mounts,
};
pub use image::{ImageError, ImageReference};
pub use pod::{DockerVolume, EmptyDir, HostPath, ImagePullSecret, PodSpec, RestartPolicy, Volume};
pub use probe::{ExecAction, HttpGet, HttpHeader, Probe, Scheme, TcpSocket};
pub use quantity::{Quantity, QuantityError};
pub use reference::{
    ConfigMapEnvSource, ConfigMapKeySelector, EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector,
    SecretEnvSource, SecretKeySelector, SecretKind,
};
pub use schema::QuantityText;
pub use secret::{
    AllowedConsumers, ConsumerReference, DockerSecret, DockerSecretSpec, DockerSecretStatus, SecretKeyStatus,
    SecretType,
};
pub use status::{DockerDeploymentStatus, InstanceStatus, LastExit, SecretUse};
pub use suspicion::looks_secret;
pub use validate::{FieldPath, Parsed, Policy, Validated, check, validate};
pub use validate_secret::validate_secret;
pub use violation::{Violation, ViolationKind};

/// The API group of all our kinds.
pub const GROUP: &str = "supercargo.dev";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
