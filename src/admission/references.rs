//! The sealed secrets that a deployment names, and a warning about those that are not there: a name that is mistyped is seen
//! while it is written. Never a refusal, as a deployment may be applied before its secrets. Owns which are looked up: those
//! of its own namespace, since of others nobody is told whether they exist, and no core Secrets, since reading them is a
//! right that webhooks do not need. Asked by `written.rs`; the shell looks up, and says nothing where it could not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::warnings::named;
use crate::api::{
    DockerDeployment,
    files::{Origin, file_mounts},
    reference::SecretKind,
};

/// So many secrets are looked up for one object.
const LOOKED_UP: usize = 16;
/// The key of registry credentials.
const CREDENTIALS: &str = ".dockerconfigjson";

/// The keys of secrets by their names, of those that were looked up; `None` of one that does not exist.
pub type Keys = BTreeMap<String, Option<BTreeSet<String>>>;

/// One reference that must resolve.
struct Reference {
    path: String,
    secret: String,
    key: Option<String>,
}

/// The namespace and the names of the secrets that are to be looked up for a deployment.
#[must_use]
pub fn wanted(object: &Value) -> (String, BTreeSet<String>) {
    let Some(deployment) = read(object) else {
        return (String::new(), BTreeSet::new());
    };
    let names: BTreeSet<String> = of(&deployment).into_iter().map(|r| r.secret).collect();
    let namespace = deployment.metadata.namespace.unwrap_or_default();
    (namespace, names.into_iter().take(LOOKED_UP).collect())
}

/// What is said of references to what is not there.
pub(super) fn warnings(object: &Value, found: &Keys) -> Vec<String> {
    let deployment = if found.is_empty() { None } else { read(object) };
    let references = deployment.map(|deployment| of(&deployment)).unwrap_or_default();
    let (mut secrets, mut keys) = (Missing::default(), Missing::default());
    for reference in references {
        match (found.get(&reference.secret), reference.key) {
            (Some(None), _) => secrets.add(reference.path, format!("{:?}", reference.secret)),
            (Some(Some(there)), Some(key)) if !there.contains(&key) => {
                keys.add(reference.path, format!("{key:?} in {:?}", reference.secret));
            }
            (Some(Some(_)) | None, _) => {}
        }
    }
    let waits = "yet, and no container starts without";
    [
        secrets.said(|names| format!("there is no DockerSecret {names} {waits}")),
        keys.said(|names| format!("there is no key {names} {waits}")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[derive(Default)]
struct Missing {
    paths: Vec<String>,
    names: Vec<String>,
}

impl Missing {
    fn add(&mut self, path: String, name: String) {
        self.paths.push(path);
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    fn said(&self, sentence: impl Fn(&str) -> String) -> Option<String> {
        let said = |paths: &[String]| format!("{}: {}", named(paths), sentence(&named(&self.names)));
        (!self.paths.is_empty()).then(|| said(&self.paths))
    }
}

fn read(object: &Value) -> Option<DockerDeployment> {
    // One that cannot be read was refused before.
    serde_json::from_value(object.clone()).ok()
}

/// The references to secrets of its own namespace that are not optional.
fn of(deployment: &DockerDeployment) -> Vec<Reference> {
    let home = deployment.metadata.namespace.as_deref();
    let here = |kind: Option<SecretKind>, namespace: Option<&str>, optional: Option<bool>| {
        kind.unwrap_or_default() == SecretKind::DockerSecret
            && namespace.is_none_or(|other| Some(other) == home)
            && optional != Some(true)
    };
    let mut found = Vec::new();
    let mut add = |path: String, secret: &str, key: Option<&str>| {
        found.push(Reference {
            path,
            secret: secret.to_owned(),
            key: key.map(str::to_owned),
        });
    };
    let pod = &deployment.spec.template.spec;
    let at = "spec.template.spec";
    for (index, one) in pod.image_pull_secrets.iter().enumerate() {
        if here(one.kind, one.namespace.as_deref(), None) {
            add(
                format!("{at}.imagePullSecrets[{index}]"),
                &one.name,
                Some(CREDENTIALS),
            );
        }
    }
    let mounts = file_mounts(pod);
    for (index, volume) in pod.volumes.iter().enumerate() {
        let mounted = mounts.iter().any(|mount| mount.volume.name == volume.name);
        for source in volume.files().filter(|_| mounted).iter().flat_map(|f| &f.sources) {
            let Origin::Secret(kind, namespace) = source.origin else {
                continue;
            };
            let path = format!("{at}.volumes[{index}].{}", source.field);
            if !here(Some(kind), namespace, Some(source.optional)) {
                continue;
            }
            if source.items.is_empty() {
                add(path, source.name, None);
                continue;
            }
            for (item, file) in source.items.iter().enumerate() {
                add(format!("{path}.items[{item}]"), source.name, Some(&file.key));
            }
        }
    }
    let container = pod.container();
    for (index, from) in container.iter().flat_map(|c| &c.env_from).enumerate() {
        if let Some(one) = &from.secret_ref
            && here(one.kind, one.namespace.as_deref(), one.optional)
        {
            add(
                format!("{at}.containers[0].envFrom[{index}].secretRef"),
                &one.name,
                None,
            );
        }
    }
    for (index, variable) in container.iter().flat_map(|c| &c.env).enumerate() {
        let from = variable.value_from.as_ref();
        if let Some(one) = from.and_then(|from| from.secret_key_ref.as_ref())
            && here(one.kind, one.namespace.as_deref(), one.optional)
        {
            let path = format!("{at}.containers[0].env[{index}].valueFrom.secretKeyRef");
            add(path, &one.name, Some(&one.key));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        let from = |more: Value| {
            let mut reference = json!({"name": "db", "key": "k"});
            for (key, value) in more.as_object().unwrap() {
                reference[key] = value.clone();
            }
            json!({"name": "A", "valueFrom": {"secretKeyRef": reference}})
        };
        json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"spec": {
                "imagePullSecrets": [{"name": "registry"}, {"name": "core", "kind": "Secret"}],
                "containers": [{"name": "app", "image": "x", "envFrom": [{"secretRef": {"name": "all"}}], "env": [
                    from(json!({})), from(json!({"key": "other"})), from(json!({"optional": true, "name": "left"})),
                    from(json!({"namespace": "bank", "name": "far"})), from(json!({"namespace": "shop"})),
                ]}],
                "volumes": [
                    {"name": "files", "secret": {"secretName": "files", "items": [{"key": "a", "path": "b"}]}},
                    {"name": "maybe", "secret": {"secretName": "left", "optional": true}},
                ],
            }}},
        })
    }

    #[test]
    fn secrets_of_its_own_namespace_that_must_be_there_are_looked_up_and_no_others() {
        let (namespace, names) = wanted(&deployment());
        assert_eq!(namespace, "shop");
        assert_eq!(Vec::from_iter(names), ["all", "db", "files", "registry"]);
        assert!(wanted(&json!({"spec": 1})).1.is_empty());
    }

    #[test]
    fn a_secret_and_a_key_that_are_not_there_are_named_with_their_places() {
        let keys = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>());
        let mut found: Keys = [
            ("all".to_owned(), keys(&[])),
            ("db".to_owned(), keys(&["k"])),
            ("files".to_owned(), keys(&["a"])),
            ("registry".to_owned(), keys(&[CREDENTIALS])),
        ]
        .into();
        assert_eq!(
            warnings(&deployment(), &found),
            [
                "spec.template.spec.containers[0].env[1].valueFrom.secretKeyRef: there is no key \"other\" in \"db\" yet, \
                 and no container starts without"
            ]
        );
        found.insert("db".to_owned(), None);
        found.insert("all".to_owned(), None);
        let said = warnings(&deployment(), &found);
        assert_eq!(
            said,
            ["spec.template.spec.containers[0].envFrom[0].secretRef, \
                 spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef and 2 more: there is no DockerSecret \
                 \"all\", \"db\" yet, and no container starts without"]
        );
        assert!(said[0].len() <= 256, "{}", said[0].len());
        assert_eq!(warnings(&deployment(), &Keys::new()), [""; 0], "nobody looked");
    }
}
