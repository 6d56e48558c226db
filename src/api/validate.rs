//! Validation of a `DockerDeployment`: pure, without look-ups, all violations at once.
//! Owns every rule of the API server's CEL again, so that an older CRD opens nothing, and what CEL cannot say (images, quantities, `$(VAR)`, policy).
//! A referenced object that does not exist is status, not a violation. Called by the controller's first step, `plan -f` and admission.

mod container;
mod environment;
mod files;
mod pod;
mod probe;
mod syntax;

pub use environment::FieldPath;
pub(super) use syntax::{is_data_key, is_dns_label};

use serde_json::Value;

use super::container::ImagePullPolicy;
use super::deployment::{
    DockerDeployment, DockerDeploymentSpec, LabelSelector, SecretEnv, SelectorOperator, StrategyType,
    TemplateMetadata,
};
use super::image::ImageReference;
use super::keys;
use super::unsupported;
use super::violation::Violation;

/// What the operator's flags permit. The default permits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Absolute paths of the host; a hostPath must be one of them or below one (`--allow-host-path`).
    pub allow_host_paths: Vec<String>,
    /// Whether privileged containers may run (`--allow-privileged`).
    pub allow_privileged: bool,
    /// Whether images may be pulled with the host's credentials (`--allow-host-credentials`).
    pub allow_host_credentials: bool,
    /// Capabilities that may be added, without `CAP_`; `ALL` permits any (`--allow-capability`).
    pub allow_capabilities: Vec<String>,
    /// How values of secrets reach variables where a manifest does not say (`--default-secret-env`).
    pub secret_env: SecretEnv,
}

/// A deployment without violations, with what was parsed on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The deployment as written, but for `secretEnv`, which is what it means.
    pub deployment: DockerDeployment,
    /// What was parsed.
    pub parsed: Parsed,
}

/// The values of a deployment that are written as text and used as something else.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The container's image.
    pub image: ImageReference,
    /// The pull policy, written or by default.
    pub pull_policy: ImagePullPolicy,
    /// CPU limit in thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
    /// Size limits in bytes of `emptyDir` volumes of medium Memory, by volume name.
    pub tmpfs_bytes: std::collections::BTreeMap<String, u64>,
}

/// Checks a whole object as the API server or a file gives it.
///
/// # Errors
/// Every violation, sorted by path.
pub fn validate(object: &Value, policy: &Policy) -> Result<Validated, Vec<Violation>> {
    let mut violations = unsupported::find(object);
    let parsed = match serde_path_to_error::deserialize::<_, DockerDeployment>(object) {
        Err(error) => {
            let (path, cause) = (error.path().to_string(), error.inner());
            violations.push(Violation::invalid(
                path,
                format!("{cause}: correct it, `kubectl explain` shows the fields"),
            ));
            None
        }
        Ok(mut deployment) => {
            deployment.spec.secret_env.get_or_insert(policy.secret_env);
            match check(&deployment, policy) {
                Ok(parsed) => Some(Validated { deployment, parsed }),
                Err(more) => {
                    violations.extend(more);
                    None
                }
            }
        }
    };
    match parsed {
        Some(validated) if violations.is_empty() => Ok(validated),
        _ => {
            violations.sort();
            violations.dedup();
            Err(violations)
        }
    }
}

/// Checks a deployment that has lost its unknown fields; [`validate`] is the whole check.
///
/// # Errors
/// Every violation, sorted by path.
pub fn check(deployment: &DockerDeployment, policy: &Policy) -> Result<Parsed, Vec<Violation>> {
    let mut report = Report::default();
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    if !syntax::is_dns_subdomain(name) {
        report.invalid(
            "metadata.name",
            format!("{name:?} is not a name: {}", syntax::SUBDOMAIN_HINT),
        );
    }
    spec(&deployment.spec, &mut report);
    files::own_directory(&deployment.spec, &mut report);
    let parsed = pod::check(&deployment.spec.template.spec, policy, &mut report);
    match parsed {
        Some(parsed) if report.0.is_empty() => Ok(parsed),
        _ => {
            report.0.sort();
            Err(report.0)
        }
    }
}

fn spec(spec: &DockerDeploymentSpec, report: &mut Report) {
    if spec.replicas() < 0 {
        report.invalid("spec.replicas", "must not be negative: 0 stops all instances");
    }
    if spec.min_ready_seconds() < 0 {
        report.invalid("spec.minReadySeconds", "must not be negative: remove it for 0");
    }
    if spec.progress_deadline_seconds() <= spec.min_ready_seconds() {
        report.invalid(
            "spec.progressDeadlineSeconds",
            "must be larger than minReadySeconds: raise it, 600 if absent",
        );
    }
    strategy(spec, report);
    let labels = spec
        .template
        .metadata
        .as_ref()
        .map(|metadata| metadata.labels.clone())
        .unwrap_or_default();
    if let Some(metadata) = &spec.template.metadata {
        template_metadata(metadata, report);
    }
    if let Some(selector) = &spec.selector {
        label_selector("spec.selector", selector, report);
        if !selector.matches(&labels) {
            report.invalid(
                "spec.selector",
                "must match spec.template.metadata.labels: correct one of them, or remove the selector",
            );
        }
    }
}

fn strategy(spec: &DockerDeploymentSpec, report: &mut Report) {
    let Some(strategy) = &spec.strategy else { return };
    let Some(rolling) = &strategy.rolling_update else {
        return;
    };
    let path = "spec.strategy.rollingUpdate";
    if strategy.type_ == Some(StrategyType::Recreate) {
        report.invalid(
            path,
            "must be absent when the strategy's type is Recreate: remove one of them",
        );
    }
    let fields = [
        ("maxSurge", &rolling.max_surge),
        ("maxUnavailable", &rolling.max_unavailable),
    ];
    for (name, value) in fields {
        if value
            .as_ref()
            .is_some_and(|value| syntax::int_or_percent(value).is_none())
        {
            report.invalid(
                format!("{path}.{name}"),
                "must be a number from 0, or a percentage such as 25%: write one of these",
            );
        }
    }
    if fields
        .iter()
        .all(|(_, value)| value.as_ref().and_then(syntax::int_or_percent) == Some(0))
    {
        report.invalid(
            path,
            "maxSurge and maxUnavailable must not both be 0: nothing could be replaced, raise one of them",
        );
    }
}

fn template_metadata(metadata: &TemplateMetadata, report: &mut Report) {
    let path = "spec.template.metadata";
    for (key, value) in &metadata.labels {
        let at = format!("{path}.labels[{key}]");
        label_key(&at, key, report);
        if !syntax::is_label_value(value) {
            report.invalid(
                &at,
                format!("{value:?} is not a label value: {}", syntax::LABEL_VALUE_HINT),
            );
        }
    }
    for key in metadata.annotations.keys() {
        if key != keys::annotation::RESTARTED_AT {
            label_key(&format!("{path}.annotations[{key}]"), key, report);
        }
    }
}

fn label_key(at: &str, key: &str, report: &mut Report) {
    if key.starts_with(keys::PREFIX) {
        report.invalid(
            at,
            "keys under supercargo.dev/ are set by the operator only: use another prefix",
        );
    } else if !syntax::is_qualified_name(key) {
        report.invalid(
            at,
            format!("{key:?} is not a key: {}", syntax::QUALIFIED_NAME_HINT),
        );
    }
}

/// Checks the requirements of a selector at `path`.
pub(super) fn label_selector(path: &str, selector: &LabelSelector, report: &mut Report) {
    for (index, requirement) in selector.match_expressions.iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        if !syntax::is_qualified_name(&requirement.key) {
            report.invalid(
                format!("{path}.key"),
                format!(
                    "{:?} is not a key: {}",
                    requirement.key,
                    syntax::QUALIFIED_NAME_HINT
                ),
            );
        }
        let needs_values = match requirement.operator {
            SelectorOperator::In | SelectorOperator::NotIn => true,
            SelectorOperator::Exists | SelectorOperator::DoesNotExist => false,
        };
        if needs_values == requirement.values.is_empty() {
            report.invalid(
                format!("{path}.values"),
                "In and NotIn need values, Exists and DoesNotExist take none: correct the operator or the values",
            );
        }
    }
}

/// Collects violations.
#[derive(Debug, Default)]
pub(super) struct Report(pub(super) Vec<Violation>);

impl Report {
    pub(super) fn invalid(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Violation::invalid(path, message));
    }

    /// All violations, sorted, or nothing.
    pub(super) fn finish(mut self) -> Result<(), Vec<Violation>> {
        self.0.sort();
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    pub(super) fn policy(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Violation::policy(path, message));
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
