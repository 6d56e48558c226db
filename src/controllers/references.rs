//! Which objects a deployment names, read from the raw object, so that a change of one wakes exactly its users, also
//! while the deployment itself is invalid. Knows the shape of references and nothing of their meaning.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::reference::SecretKind;

/// An object that is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// A secret: its kind, namespace and name.
    Secret(SecretKind, String, String),
    /// A ConfigMap of the deployment's namespace.
    ConfigMap(String),
}

/// All objects that a deployment of this namespace names. Core Secrets of other namespaces are never looked at.
#[must_use]
pub fn of(spec: &Value, namespace: &str) -> BTreeSet<Named> {
    let mut found = BTreeSet::new();
    walk(spec, namespace, &mut found);
    found
}

fn walk(value: &Value, namespace: &str, found: &mut BTreeSet<Named>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
                // A volume names a secret in a field of its own, a projected source as everybody else.
                let name = match key.as_str() {
                    "secret" => text("secretName").or_else(|| text("name")),
                    _ => text("name"),
                };
                match (key.as_str(), name) {
                    ("secretKeyRef" | "secretRef" | "secret", Some(name)) => {
                        found.extend(secret(value, namespace, name));
                    }
                    ("configMapKeyRef" | "configMapRef" | "configMap", Some(name)) => {
                        found.insert(Named::ConfigMap(name));
                    }
                    ("imagePullSecrets", _) => {
                        for item in value.as_array().into_iter().flatten() {
                            if let Some(name) = item.get("name").and_then(Value::as_str) {
                                found.extend(secret(item, namespace, name.to_owned()));
                            }
                        }
                    }
                    _ => walk(value, namespace, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, namespace, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn secret(reference: &Value, home: &str, name: String) -> Option<Named> {
    let kind = kind(reference);
    let namespace = reference.get("namespace").and_then(Value::as_str).unwrap_or(home);
    let looked_at = kind == SecretKind::DockerSecret || namespace == home;
    looked_at.then(|| Named::Secret(kind, namespace.to_owned(), name))
}

fn kind(reference: &Value) -> SecretKind {
    match reference.get("kind").and_then(Value::as_str) {
        Some("Secret") => SecretKind::Secret,
        Some(_) | None => SecretKind::DockerSecret,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_reference_is_found() {
        let spec = json!({"template": {"spec": {
            "imagePullSecrets": [{"name": "reg"}, {"name": "core", "kind": "Secret"}],
            "containers": [{
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
                ],
                "envFrom": [{"secretRef": {"name": "all", "kind": "Secret"}}, {"configMapRef": {"name": "cm2"}}],
            }],
            "volumes": [
                {"name": "a", "secret": {"secretName": "files"}},
                {"name": "b", "secret": {"secretName": "core-files", "kind": "Secret"}},
                {"name": "c", "configMap": {"name": "cm3"}},
                {"name": "d", "projected": {"sources": [
                    {"secret": {"name": "part"}}, {"secret": {"name": "core-part", "kind": "Secret"}}, {"configMap": {"name": "cm4"}},
                ]}},
                {"name": "e", "emptyDir": {}},
            ],
        }}});
        let names: Vec<Named> = of(&spec, "shop").into_iter().collect();
        assert_eq!(
            names,
            [
                Named::Secret(SecretKind::DockerSecret, "shop".into(), "db".into()),
                Named::Secret(SecretKind::DockerSecret, "shop".into(), "files".into()),
                Named::Secret(SecretKind::DockerSecret, "shop".into(), "part".into()),
                Named::Secret(SecretKind::DockerSecret, "shop".into(), "reg".into()),
                Named::Secret(SecretKind::Secret, "shop".into(), "all".into()),
                Named::Secret(SecretKind::Secret, "shop".into(), "core".into()),
                Named::Secret(SecretKind::Secret, "shop".into(), "core-files".into()),
                Named::Secret(SecretKind::Secret, "shop".into(), "core-part".into()),
                Named::ConfigMap("cm".into()),
                Named::ConfigMap("cm2".into()),
                Named::ConfigMap("cm3".into()),
                Named::ConfigMap("cm4".into()),
            ]
        );
    }

    #[test]
    fn a_secret_of_another_namespace_is_named_with_it_and_a_core_one_is_not_looked_at() {
        let named = |namespace: &str, kind: &str| {
            let reference = json!({"name": "db", "namespace": namespace, "kind": kind});
            let volume = json!({"secretName": "db", "namespace": namespace, "kind": kind});
            let spec = json!({
                "imagePullSecrets": [reference],
                "env": [{"valueFrom": {"secretKeyRef": reference}}],
                "volumes": [{"secret": volume}, {"projected": {"sources": [{"secret": reference}]}}],
            });
            of(&spec, "shop")
        };
        for namespace in ["bank", "shop"] {
            assert_eq!(
                named(namespace, "DockerSecret"),
                [Named::Secret(
                    SecretKind::DockerSecret,
                    namespace.into(),
                    "db".into()
                )]
                .into()
            );
        }
        assert_eq!(named("bank", "Secret"), BTreeSet::new());
        assert_eq!(named("shop", "Secret").len(), 1);
    }
}
