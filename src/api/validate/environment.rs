//! The rules of a container's variables, and of `$(VAR)` wherever it may stand.
//! Owns the rule that no secret ends in argv or in another value; names that come from `envFrom` are known only after
//! resolving, so whoever expands refuses those. Called by `container.rs`.

use std::collections::BTreeSet;

use super::super::container::Container;
use super::super::expansion;
use super::super::reference::{EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector};
use super::{Report, syntax};

pub(super) fn check(path: &str, container: &Container, report: &mut Report) {
    let mut names = BTreeSet::new();
    for (index, variable) in container.env.iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        if !names.insert(variable.name.as_str()) {
            report.invalid(
                format!("{path}.name"),
                format!("{:?} is there twice: remove one", variable.name),
            );
        }
        env_var(&path, variable, report);
    }
    for (index, source) in container.env_from.iter().enumerate() {
        env_from(&format!("{path}.envFrom[{index}]"), source, report);
    }
    expansions(path, container, report);
}

fn env_var(path: &str, variable: &EnvVar, report: &mut Report) {
    if !syntax::is_env_name(&variable.name) {
        report.invalid(
            format!("{path}.name"),
            format!(
                "{:?} is not the name of a variable: {}",
                variable.name,
                syntax::ENV_NAME_HINT
            ),
        );
    }
    if variable.value.as_deref().is_some_and(|value| !value.is_empty()) && variable.value_from.is_some() {
        report.invalid(path, "has both value and valueFrom: remove one");
    }
    if let Some(source) = &variable.value_from {
        value_from(&format!("{path}.valueFrom"), source, report);
    }
}

fn value_from(path: &str, source: &EnvVarSource, report: &mut Report) {
    let sources = [
        source.secret_key_ref.is_some(),
        source.config_map_key_ref.is_some(),
        source.field_ref.is_some(),
    ];
    if sources.iter().filter(|present| **present).count() != 1 {
        report.invalid(
            path,
            "must have exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        );
    }
    if let Some(secret) = &source.secret_key_ref {
        reference(
            &format!("{path}.secretKeyRef"),
            &secret.name,
            Some(&secret.key),
            report,
        );
    }
    if let Some(config_map) = &source.config_map_key_ref {
        reference(
            &format!("{path}.configMapKeyRef"),
            &config_map.name,
            Some(&config_map.key),
            report,
        );
    }
    if let Some(field) = &source.field_ref {
        field_ref(&format!("{path}.fieldRef"), field, report);
    }
}

fn env_from(path: &str, source: &EnvFromSource, report: &mut Report) {
    let sources = [source.secret_ref.is_some(), source.config_map_ref.is_some()];
    if sources.iter().filter(|present| **present).count() != 1 {
        report.invalid(path, "must have exactly one of secretRef and configMapRef");
    }
    if let Some(prefix) = source
        .prefix
        .as_deref()
        .filter(|prefix| !syntax::is_env_prefix(prefix))
    {
        report.invalid(
            format!("{path}.prefix"),
            format!(
                "{prefix:?} cannot begin the name of a variable: {}",
                syntax::ENV_NAME_HINT
            ),
        );
    }
    if let Some(secret) = &source.secret_ref {
        reference(&format!("{path}.secretRef"), &secret.name, None, report);
    }
    if let Some(config_map) = &source.config_map_ref {
        reference(&format!("{path}.configMapRef"), &config_map.name, None, report);
    }
}

fn reference(path: &str, name: &str, key: Option<&str>, report: &mut Report) {
    if !syntax::is_dns_subdomain(name) {
        report.invalid(
            format!("{path}.name"),
            format!("{name:?} is not a name: {}", syntax::SUBDOMAIN_HINT),
        );
    }
    if let Some(key) = key.filter(|key| !syntax::is_data_key(key)) {
        report.invalid(
            format!("{path}.key"),
            format!("{key:?} is not a key: use at most 253 letters, digits and - _ ."),
        );
    }
}

fn field_ref(path: &str, field: &ObjectFieldSelector, report: &mut Report) {
    if field
        .api_version
        .as_deref()
        .is_some_and(|version| !matches!(version, "" | "v1"))
    {
        report.invalid(format!("{path}.apiVersion"), "must be v1: remove it");
    }
    if FieldPath::parse(&field.field_path).is_none() {
        report.invalid(
            format!("{path}.fieldPath"),
            format!(
                "{:?} is not supported: use metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], \
                 metadata.annotations['KEY'] or spec.nodeName",
                field.field_path
            ),
        );
    }
}

/// A field of the instance that a variable can be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldPath {
    /// Name of the instance.
    Name,
    /// Namespace of the deployment.
    Namespace,
    /// Uid of the deployment: an instance has none of its own.
    Uid,
    /// A label of the template.
    Label(String),
    /// An annotation of the template.
    Annotation(String),
    /// The Docker host.
    NodeName,
}

impl FieldPath {
    /// Parses a `fieldPath`; `None` if it is not supported.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = |prefix: &str| -> Option<String> {
            let key = text
                .strip_prefix(prefix)?
                .strip_prefix("['")?
                .strip_suffix("']")?;
            syntax::is_qualified_name(key).then(|| key.to_owned())
        };
        match text {
            "metadata.name" => Some(Self::Name),
            "metadata.namespace" => Some(Self::Namespace),
            "metadata.uid" => Some(Self::Uid),
            "spec.nodeName" => Some(Self::NodeName),
            _ => key("metadata.labels")
                .map(Self::Label)
                .or_else(|| key("metadata.annotations").map(Self::Annotation)),
        }
    }
}

fn expansions(path: &str, container: &Container, report: &mut Report) {
    let secrets: BTreeSet<&str> = container
        .env
        .iter()
        .filter(|variable| {
            variable
                .value_from
                .as_ref()
                .is_some_and(|source| source.secret_key_ref.is_some())
        })
        .map(|variable| variable.name.as_str())
        .collect();
    let command = container
        .command
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("{path}.command[{index}]"), text));
    let args = container
        .args
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("{path}.args[{index}]"), text));
    let values = container.env.iter().enumerate().filter_map(|(index, variable)| {
        variable
            .value
            .as_ref()
            .map(|value| (format!("{path}.env[{index}].value"), value))
    });
    for (path, text) in command.chain(args).chain(values) {
        if text.contains('\0') {
            report.invalid(
                &path,
                "contains a NUL byte, which ends a text for every process: remove it",
            );
        }
        for name in expansion::references(text)
            .into_iter()
            .filter(|name| secrets.contains(name))
        {
            report.invalid(
                &path,
                format!(
                    "$({name}) is a secret and would be visible in the container's configuration: read the variable in \
                     the program itself, or write $$({name}) for the text"
                ),
            );
        }
    }
}
