//! Owns the question who uses a DockerSecret, as far as a client can see: its status and the references of the
//! deployments of its namespace. It decides nothing: `secret delete` refuses, `secret describe` shows.
//! The operator's finalizer asks again, with more knowledge. Called by `secret`.

use std::collections::BTreeSet;

use anyhow::Context as _;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Failure;
use crate::api::{DockerDeployment, DockerSecret};

/// Everybody who uses the secret: by its status, and by the references of the namespace's deployments, so that a
/// deployment the operator has not looked at yet counts too.
pub(super) async fn users(
    client: &Client,
    namespace: &str,
    secret: &DockerSecret,
) -> Result<BTreeSet<String>, Failure> {
    let known = secret.status.iter().flat_map(|s| &s.used_by);
    let mut users: BTreeSet<String> = known
        .map(|u| format!("{} {}/{}", u.kind, u.namespace, u.name))
        .collect();
    let api: Api<DockerDeployment> = Api::namespaced(client.clone(), namespace);
    let deployments = api
        .list(&ListParams::default())
        .await
        .context("DockerDeployments cannot be listed, so it is not known who uses the secret")?;
    let name = secret.name_any();
    for deployment in deployments {
        let spec = serde_json::to_value(&deployment.spec.template)?;
        if refers(&spec, namespace, &name) {
            users.insert(format!("DockerDeployment {namespace}/{}", deployment.name_any()));
        }
    }
    Ok(users)
}

/// Whether a template of `namespace` refers to its DockerSecret `name`, in any of the shapes that references have.
fn refers(template: &serde_json::Value, namespace: &str, name: &str) -> bool {
    let ours = |reference: &serde_json::Value, field: &str| {
        let kind = reference.get("kind").and_then(serde_json::Value::as_str);
        let elsewhere = reference.get("namespace").and_then(serde_json::Value::as_str);
        reference.get(field).and_then(serde_json::Value::as_str) == Some(name)
            && elsewhere.is_none_or(|other| other == namespace)
            && kind.is_none_or(|kind| kind == "DockerSecret")
    };
    match template {
        serde_json::Value::Object(map) => map.iter().any(|(field, value)| match field.as_str() {
            "secretKeyRef" | "secretRef" => ours(value, "name"),
            "secret" => ours(value, "secretName") || ours(value, "name"),
            "imagePullSecrets" => value
                .as_array()
                .is_some_and(|all| all.iter().any(|one| ours(one, "name"))),
            _ => refers(value, namespace, name),
        }),
        serde_json::Value::Array(all) => all.iter().any(|value| refers(value, namespace, name)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_reference_is_found_and_no_other() {
        let found = |json: serde_json::Value| refers(&json, "shop", "db");
        for used in [
            serde_json::json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]}]}),
            serde_json::json!({"containers": [{"envFrom": [{"secretRef": {"name": "db", "kind": "DockerSecret"}}]}]}),
            serde_json::json!({"volumes": [{"secret": {"secretName": "db"}}]}),
            serde_json::json!({"volumes": [{"projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "db"}}]}}]}),
            serde_json::json!({"imagePullSecrets": [{"name": "db"}]}),
        ] {
            assert!(found(used.clone()), "{used}");
        }
        for unused in [
            serde_json::json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "db", "kind": "Secret"}}}]}]}),
            serde_json::json!({"containers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "db"}}}]}]}),
            serde_json::json!({"volumes": [{"secret": {"secretName": "db", "kind": "Secret"}}, {"configMap": {"name": "db"}}]}),
            serde_json::json!({"imagePullSecrets": [{"name": "db2"}], "hostname": "db"}),
            serde_json::json!({"volumes": [{"secret": {"secretName": "db", "namespace": "bank"}}]}),
        ] {
            assert!(!found(unused.clone()), "{unused}");
        }
    }
}
