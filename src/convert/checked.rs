//! Results as they are printed: a deployment is held against our own rules before anybody is given it.
//! Owns the manifest around a spec, and the way from a rule's path back to the key of the source; the rules are `api`'s.
//! Called by `compose`, `ring` and `apps`.

use serde_json::{Value, json};

use super::Options;
use super::report::Report;
use crate::api::{DockerDeploymentSpec, GROUP, Policy, VERSION, Violation, validate};

/// Everything that flags of the operator can permit: whether they do is not known here.
pub(super) fn policy() -> Policy {
    Policy {
        allow_host_paths: vec!["/".to_owned()],
        allow_privileged: true,
        allow_capabilities: vec!["ALL".to_owned()],
        allow_host_credentials: true,
        ..Policy::default()
    }
}

/// A manifest of one of our kinds or of Kubernetes.
pub(super) fn manifest(api_version: &str, kind: &str, name: &str, namespace: Option<&str>) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let (Some(namespace), Some(metadata)) = (namespace, object.pointer_mut("/metadata")) {
        set(metadata, "namespace", Value::from(namespace));
    }
    object
}

/// Sets a field of an object.
pub(super) fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

/// The deployment, when it is valid. `source` tells the key of the source that made a path of the result.
pub(super) fn deployment(
    name: &str,
    spec: &DockerDeploymentSpec,
    options: &Options<'_>,
    report: &mut Report,
    source: impl Fn(&str) -> String,
) -> Option<Value> {
    let api_version = format!("{GROUP}/{VERSION}");
    let mut object = manifest(&api_version, "DockerDeployment", name, options.namespace);
    set(&mut object, "spec", serde_json::to_value(spec).ok()?);
    match validate(&object, &policy()) {
        Ok(_) => Some(object),
        Err(violations) => {
            for Violation { path, message, .. } in violations {
                report.wrong(source(&path), message);
            }
            None
        }
    }
}

/// The index in a path such as `spec.template.spec.containers[0].env[3].name` after `list`.
pub(super) fn index(path: &str, list: &str) -> Option<usize> {
    let (_, rest) = path.split_once(&format!(".{list}["))?;
    rest.split_once(']')?.0.parse().ok()
}
