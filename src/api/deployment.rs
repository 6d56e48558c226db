//! `DockerDeployment`: the object, its spec and its template's metadata.
//! Owns the fields of the top two levels; the pod is in `pod.rs`, the container in `container.rs`, the status in `status.rs`.
//! Read by every room that turns a wish into containers. Rules across fields are in `rules.rs` (CEL) and `validate.rs`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::pod::PodSpec;
use super::reference::EnvVar;
use super::schema::{annotation_map, int_or_percent, label_map};
use super::status::DockerDeploymentStatus;

/// What should run: how many instances of which container, and how a change is rolled out.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::duplicated_attributes, reason = "columns share their type")]
#[kube(
    group = "supercargo.dev",
    version = "v1alpha1",
    kind = "DockerDeployment",
    plural = "dockerdeployments",
    shortname = "ddep",
    category = "supercargo",
    category = "all",
    namespaced,
    status = "DockerDeploymentStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A number of equal containers on a Docker host, kept running and updated without a gap. An apps/v1 Deployment whose apiVersion and kind are changed is a valid DockerDeployment as long as it uses the supported fields; the error names the others.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.ready",
        description = "Ready instances of wanted ones."
    ),
    printcolumn(
        name = "Up-to-date",
        type_ = "integer",
        json_path = ".status.updatedReplicas",
        description = "Instances of the current revision."
    ),
    printcolumn(
        name = "Available",
        type_ = "integer",
        json_path = ".status.availableReplicas",
        description = "Instances that have been ready for at least minReadySeconds."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "The reason of the condition Ready."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created."
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.template.spec.containers[*].image",
        priority = 1,
        description = "The image of the container."
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.currentRevision",
        priority = 1,
        description = "The revision that is wanted now."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct DockerDeploymentSpec {
    /// How many instances to run. 0 stops all of them and keeps the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,

    /// Holds rollouts: a changed template is not acted upon until this is false again. Restarts, scaling and deletion go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,

    /// Optional. If given, it must match the labels of the template, as in an apps/v1 Deployment. It selects nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,

    /// How instances of an old revision are replaced. RollingUpdate if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<DeploymentStrategy>,

    /// Seconds that a new instance must stay ready before it counts as available. 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub min_ready_seconds: Option<i32>,

    /// Seconds without progress after which a rollout is reported as ProgressDeadlineExceeded. It goes on trying. 600 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,

    /// How many old templates are kept in the history, for `supercargo rollout undo`, besides those that still run. 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub revision_history_limit: Option<i32>,

    /// How values of secrets reach environment variables. Plain: as in Kubernetes, visible in `docker inspect`. Protected: in memory only, put into the environment by the operator's program as the instance starts. The operator's --default-secret-env if absent, which is Plain unless it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<SecretEnv>,

    /// The instance to run. Any change here is a new revision and is rolled out.
    pub template: PodTemplate,
}

/// How a value of a secret reaches an environment variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretEnv {
    #[default]
    /// As in Kubernetes: in the container's configuration, visible to whoever may inspect it.
    Plain,
    /// Kept out of the container's configuration and off the disk: a program of ours sets it as the instance starts.
    Protected,
}

/// How instances of an old revision are replaced by those of a new one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStrategy {
    /// RollingUpdate replaces one instance after the other; Recreate stops all old ones first. RollingUpdate if absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<StrategyType>,

    /// Limits of a rolling update. Only with type RollingUpdate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// The two ways to replace instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyType {
    /// One after the other.
    RollingUpdate,
    /// All old ones are stopped before the first new one starts.
    Recreate,
}

/// Limits of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// How many instances more than wanted may run during a rollout: a number, or a percentage such as 25%. 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_percent")]
    pub max_surge: Option<IntOrString>,

    /// How many instances fewer than wanted may run during a rollout: a number, or a percentage such as 25%. 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
}

/// The instance to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,

    /// The container, its volumes and its pull secrets.
    pub spec: PodSpec,
}

/// Labels and annotations of each instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels of each instance; they become labels of the Docker container. Keys under supercargo.dev/ are ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_map")]
    pub labels: BTreeMap<String, String>,

    /// Annotations of each instance, readable by fieldRef. A change is a new revision. Keys under supercargo.dev/ are ours, except supercargo.dev/restartedAt.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotation_map")]
    pub annotations: BTreeMap<String, String>,
}

/// Selects by labels. All requirements must hold; an empty selector matches everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be present with exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "label_map")]
    pub match_labels: BTreeMap<String, String>,

    /// Requirements with an operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One requirement of a label selector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label's key.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,

    /// How key and values relate: In, NotIn, Exists or DoesNotExist.
    pub operator: SelectorOperator,

    /// The values to compare with. Required by In and NotIn, absent for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// How the key and the values of a requirement relate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// The label exists and its value is one of the values.
    #[default]
    In,
    /// The label does not exist or its value is none of the values.
    NotIn,
    /// The label exists.
    Exists,
    /// The label does not exist.
    DoesNotExist,
}

impl DockerDeploymentSpec {
    /// Wanted number of instances; 1 if absent.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// Whether variables hold values of secrets that are to be kept out of the container's configuration. False where no
    /// variable refers to a secret, as both ways make the same container then.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        let refers = |container: &Container| {
            let from_key = |var: &EnvVar| {
                var.value_from
                    .as_ref()
                    .is_some_and(|v| v.secret_key_ref.is_some())
            };
            container.env.iter().any(from_key) || container.env_from.iter().any(|f| f.secret_ref.is_some())
        };
        self.secret_env == Some(SecretEnv::Protected) && self.template.spec.container().is_some_and(refers)
    }

    /// Whether old instances all stop before the first new one starts.
    #[must_use]
    pub fn is_recreate(&self) -> bool {
        self.strategy.as_ref().and_then(|strategy| strategy.type_) == Some(StrategyType::Recreate)
    }

    /// Seconds without progress before the deadline is reported; 600 if absent.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.progress_deadline_seconds.unwrap_or(600)
    }

    /// Old templates that the history keeps; 10 if absent.
    #[must_use]
    pub fn revision_history_limit(&self) -> i32 {
        self.revision_history_limit.unwrap_or(10)
    }

    /// Seconds that an instance must stay ready to be available; 0 if absent.
    #[must_use]
    pub fn min_ready_seconds(&self) -> i32 {
        self.min_ready_seconds.unwrap_or(0)
    }
}

impl LabelSelector {
    /// Whether all requirements hold for `labels`.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }
}

impl LabelSelectorRequirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            SelectorOperator::In => value.is_some_and(|value| self.values.contains(value)),
            SelectorOperator::NotIn => !value.is_some_and(|value| self.values.contains(value)),
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}
