//! Manifests of Kubernetes: an `apps/v1` Deployment becomes a DockerDeployment, whose references say that they mean core
//! Secrets; ConfigMaps and Namespaces pass; every other kind is named. What only the API server writes is left out.
//! Owns which field goes where; core Secrets are sealed by `cli`, which hands their names in. Called by `convert`.

use serde_json::{Value, json};

use super::node::{Map, Node};
use super::report::Report;
use super::variables::{Plain, variable};
use super::{Converted, Options, Sealable, checked, read};
use crate::api::{GROUP, VERSION, Violation, unsupported, validate};

/// Fields of metadata that a person writes.
const WRITTEN: [&str; 4] = ["name", "namespace", "labels", "annotations"];
/// Annotations that programs write for themselves; the first one holds the whole object once more.
const OF_PROGRAMS: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
];

/// Converts an object, or each of a List.
pub(super) fn convert(root: Node, options: &Options<'_>) -> Converted {
    let mut out = Converted::default();
    let kind = root.text_at("kind").unwrap_or_default();
    if kind.ends_with("List") {
        for item in root.get("items").map_or(&[][..], Node::items) {
            one(item, options, &mut out);
        }
    } else {
        one(&root, options, &mut out);
    }
    out
}

fn one(object: &Node, options: &Options<'_>, out: &mut Converted) {
    let text = |key: &str| object.text_at(key).unwrap_or_default();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let name = object
        .get("metadata")
        .and_then(|metadata| metadata.text_at("name"))
        .unwrap_or_default();
    let path = format!("{} {}", kind.as_str(), name.as_str());
    match (api_version.as_str(), kind.as_str()) {
        ("apps/v1", "Deployment") => deployment(object, &path, options, out),
        ("v1", "ConfigMap" | "Namespace") => {
            let mut value = object.to_value();
            tidy(&mut value, options.namespace.filter(|_| kind.as_str() == "ConfigMap"));
            out.objects.push(value);
        }
        ("v1", "Secret") => out.report.unmapped(
            path,
            "is not repeated in clear: give --seal to make a DockerSecret of it, or apply it as it is and leave kind: Secret",
        ),
        ("v1", "Service") => out.report.differs(
            path,
            "is not needed: a deployment's name leads to its ready instances, and hostPort publishes",
        ),
        ("bitnami.com/v1alpha1", "SealedSecret") => out.report.unmapped(
            path,
            format!(
                "only its own controller can open it: `kubectl get secret {} -o json | supercargo seal -f -`",
                name.as_str()
            ),
        ),
        // Not repeated: what stands in its fields may be plain text by mistake.
        (other, _) if other.starts_with(GROUP) => {
            out.report.differs(path, "is ours already, and not repeated: apply it as it is");
        }
        _ => out.report.unmapped(path, "this kind is not converted: a Deployment of apps/v1 is"),
    }
}

fn deployment(object: &Node, path: &str, options: &Options<'_>, out: &mut Converted) {
    let mut object = object.clone();
    let metadata = object.get("metadata").cloned().unwrap_or(Node::Null);
    let name = metadata.text_at("name").unwrap_or_default().as_str().to_owned();
    let own = metadata
        .text_at("namespace")
        .map(|namespace| namespace.as_str().to_owned());
    let mut sealed = Sealable {
        name: format!("{}-env", read::label(&name)),
        namespace: options.namespace.map(str::to_owned).or(own),
        labels: std::collections::BTreeMap::new(),
        values: std::collections::BTreeMap::new(),
    };
    if let Some(Node::Map(pod)) = child(&mut object, &["spec", "template", "spec"]) {
        for (key, list) in pod.iter_mut() {
            if let ("containers", Node::List(containers)) = (key.as_str(), list) {
                for container in containers {
                    environment(container, path, &mut sealed, options, &mut out.report);
                }
            }
        }
    }
    let mut value = object.to_value();
    checked::set(
        &mut value,
        "apiVersion",
        Value::from(format!("{GROUP}/{VERSION}")),
    );
    checked::set(&mut value, "kind", Value::from("DockerDeployment"));
    tidy(&mut value, options.namespace);
    references(&mut value, options.sealed);
    claims(&mut value, path, &mut out.report);
    for Violation {
        path: at, message, ..
    } in unsupported::find(&value)
    {
        remove(&mut value, &at);
        out.report.unmapped(format!("{path} {at}"), message);
    }
    match validate(&value, &checked::policy()) {
        Ok(_) => out.objects.push(value),
        Err(violations) => {
            for Violation {
                path: at, message, ..
            } in violations
            {
                out.report.wrong(format!("{path} {at}"), message);
            }
        }
    }
    if !sealed.values.is_empty() {
        out.secrets.push(sealed);
    }
}

fn child<'a>(node: &'a mut Node, keys: &[&str]) -> Option<&'a mut Node> {
    keys.iter().try_fold(node, |node, wanted| match node {
        Node::Map(map) => map
            .iter_mut()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value),
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) | Node::List(_) => None,
    })
}

/// Values that are to be sealed leave the tree before it becomes JSON.
fn environment(
    container: &mut Node,
    path: &str,
    sealed: &mut Sealable,
    options: &Options<'_>,
    report: &mut Report,
) {
    let Some(Node::List(variables)) = child(container, &["env"]) else {
        return;
    };
    for entry in variables {
        let (Some(name), Some(value)) = (entry.text_at("name"), entry.text_at("value")) else {
            continue;
        };
        let at = format!("{path} env {}", name.as_str());
        let before = sealed.values.len();
        let plain = Plain {
            path: at,
            name: &name,
            value,
        };
        let made = variable(plain, sealed, options, report);
        if sealed.values.len() == before {
            continue;
        }
        let mut map = Map::new();
        map.push(("name".to_owned(), Node::from_text(&made.name)));
        let key = |name: &str, value: &str| (name.to_owned(), Node::from_text(value));
        let selector = Node::Map(vec![
            key("name", &sealed.name),
            key("key", &made.name),
            key("kind", "DockerSecret"),
        ]);
        let from = Node::Map(vec![("secretKeyRef".to_owned(), selector)]);
        map.push(("valueFrom".to_owned(), from));
        *entry = Node::Map(map);
    }
}

/// Takes out what only the API server and programs write, and sets the namespace when one is given.
fn tidy(object: &mut Value, namespace: Option<&str>) {
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) else {
        return;
    };
    metadata.retain(|key, _| WRITTEN.contains(&key.as_str()));
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !OF_PROGRAMS.contains(&key.as_str()));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    if let Some(namespace) = namespace {
        metadata.insert("namespace".to_owned(), Value::from(namespace));
    }
}

/// A reference without a kind means a DockerSecret here, and a core Secret where it comes from.
fn references(value: &mut Value, sealed: &[String]) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|item| references(item, sealed)),
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), &mut *value) {
                    ("secretKeyRef" | "secretRef" | "secret", reference) => core(reference, sealed),
                    ("imagePullSecrets", Value::Array(list)) => {
                        list.iter_mut().for_each(|item| core(item, sealed))
                    }
                    _ => {}
                }
                references(value, sealed);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn core(reference: &mut Value, sealed: &[String]) {
    let Some(map) = reference.as_object_mut() else {
        return;
    };
    let name = map
        .get("secretName")
        .or_else(|| map.get("name"))
        .and_then(Value::as_str);
    if map.get("kind").and_then(Value::as_str) == Some("DockerSecret") {
        map.remove("kind");
    } else if name.is_some_and(|name| !sealed.iter().any(|other| other == name)) {
        map.insert("kind".to_owned(), Value::from("Secret"));
    }
}

/// A claim becomes a volume of the host.
fn claims(object: &mut Value, path: &str, report: &mut Report) {
    let volumes = object
        .pointer_mut("/spec/template/spec/volumes")
        .and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(claim) = volume.remove("persistentVolumeClaim") else {
            continue;
        };
        let name = read::label(claim.get("claimName").and_then(Value::as_str).unwrap_or_default());
        report.differs(
            format!("{path} persistentVolumeClaim {name}"),
            "is a dockerVolume: a new volume of the host, without the data of the claim",
        );
        volume.insert("dockerVolume".to_owned(), json!({"name": name}));
    }
}

/// Removes the field at a path such as `spec.template.spec.containers[0].lifecycle`.
fn remove(object: &mut Value, path: &str) {
    let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer: String = above
        .split(['.', '['])
        .filter(|step| !step.is_empty())
        .map(|step| format!("/{}", step.trim_end_matches(']')))
        .collect();
    if let Some(map) = object.pointer_mut(&pointer).and_then(Value::as_object_mut) {
        map.remove(last);
    }
}

#[cfg(test)]
#[path = "apps_tests.rs"]
mod tests;
