//! The custom resources: what users write and what they are told, as serde types with their schemas.
//! Owns the fields, their limits, pure validation, the names of labels and the closed sets of reasons.
//! Does not look anything up, read a clock, or know Docker; every other room may name it.

pub mod condition;
pub mod container;
pub mod deployment;
pub mod keys;
pub mod pod;
pub mod reference;
pub mod schema;
pub mod secret;
pub mod status;

pub use condition::{Cause, ConditionType, Reason};
pub use container::{
    Capabilities, Container, ContainerPort, ImagePullPolicy, Protocol, Resources, SecurityContext,
    VolumeMount,
};
pub use deployment::{
    DeploymentStrategy, DockerDeployment, DockerDeploymentSpec, LabelSelector, LabelSelectorRequirement,
    PodTemplate, RollingUpdate, SecretEnv, StrategyType, TemplateMetadata,
};
pub use pod::{DockerVolume, EmptyDir, HostPath, ImagePullSecret, PodSpec, RestartPolicy, Volume};
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

/// The API group of all our kinds.
pub const GROUP: &str = "supercargo.dev";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
