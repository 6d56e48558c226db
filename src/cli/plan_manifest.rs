//! Owns reading manifests for `plan -f`: deployments to be planned for, and the secrets and ConfigMaps among them that
//! stand in for those of the API server. Other kinds are left alone. Errors give a document and a line, never text that
//! could be a value. Called by `plan`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Failure;
use super::lookup::Objects;
use super::secret_manifest::{documents, parse};
use crate::api::{DockerSecret, GROUP};

/// What a stream of manifests holds.
#[derive(Default)]
pub(super) struct Manifests {
    /// `DockerDeployment` objects, each with its namespace filled in.
    pub(super) deployments: Vec<Value>,
    /// What their references may name.
    pub(super) objects: Objects,
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    if path == Path::new("-") {
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.context("standard input is not UTF-8 text; pipe YAML or JSON in")?;
    } else {
        text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read; give a manifest with -f", path.display()))?;
    }
    Ok(text)
}

/// Sorts a stream out. `asked` is the namespace that was asked for, `here` the one of objects that name none.
pub(super) fn sort(place: &str, text: &str, asked: Option<&str>, here: &str) -> Result<Manifests, Failure> {
    let mut found = Manifests::default();
    for document in documents(text) {
        let at = format!("{place}: document {}", document.number);
        let object: Value = parse(&document).map_err(|line| {
            anyhow!("{at}, line {line}: not a manifest that can be read; correct it there")
        })?;
        found.take(&at, object, asked, here)?;
    }
    if found.deployments.is_empty() {
        return Err(
            anyhow!("{place} holds no DockerDeployment; give a manifest that does, or a name").into(),
        );
    }
    Ok(found)
}

impl Manifests {
    fn take(&mut self, at: &str, mut object: Value, asked: Option<&str>, here: &str) -> Result<(), Failure> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        if kind == "List" {
            let items = object.get_mut("items").and_then(Value::as_array_mut);
            for item in items.map(std::mem::take).unwrap_or_default() {
                self.take(at, item, asked, here)?;
            }
            return Ok(());
        }
        let ours = version.starts_with(&format!("{GROUP}/"));
        let known = matches!(
            (ours, kind.as_str()),
            (true, "DockerDeployment" | "DockerSecret") | (false, "ConfigMap" | "Secret")
        );
        if !known {
            return Ok(());
        }
        let own = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if let (Some(own), Some(asked)) = (&own, asked)
            && own != asked
        {
            return Err(Failure::Usage(format!(
                "{at}: the object is of namespace {own}, and --namespace says {asked}; correct one of them"
            )));
        }
        let namespace = own.unwrap_or_else(|| here.to_owned());
        if object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            return Err(anyhow!("{at}: the {kind} has no metadata.name; give it one").into());
        }
        object["metadata"]["namespace"] = json!(namespace);
        match kind.as_str() {
            "DockerDeployment" => self.deployments.push(object),
            "DockerSecret" => self
                .objects
                .give_docker_secret(&namespace, typed::<DockerSecret>(at, &kind, object)?),
            "ConfigMap" => self
                .objects
                .give_config_map(&namespace, typed::<ConfigMap>(at, &kind, object)?),
            _ => {
                let mut secret: Secret = typed(at, &kind, object)?;
                // As the API server stores it.
                for (key, text) in secret.string_data.take().unwrap_or_default() {
                    secret
                        .data
                        .get_or_insert_default()
                        .insert(key, ByteString(text.into_bytes()));
                }
                self.objects.give_secret(&namespace, secret);
            }
        }
        Ok(())
    }
}

/// The error is dropped: it may quote what it found.
fn typed<T: DeserializeOwned>(at: &str, kind: &str, object: Value) -> Result<T, Failure> {
    let next = "check it with `supercargo verify` or `kubectl apply --dry-run=server`";
    serde_json::from_value(object).map_err(|_| anyhow!("{at}: the {kind} is not one; {next}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::source::Source as _;

    const DEPLOYMENT: &str =
        "apiVersion: supercargo.dev/v1alpha1\nkind: DockerDeployment\nmetadata: {name: web}\n";

    #[test]
    fn deployments_and_what_they_name_are_told_apart() {
        let text = format!(
            "{DEPLOYMENT}---\napiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {{name: db, namespace: shop}}\n\
             spec: {{}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: x}}\n---\n\
             apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: c}}\n---\n\
             apiVersion: v1\nkind: Service\n"
        );
        let found = sort("-", &text, None, "shop").ok().unwrap();
        assert_eq!(found.deployments.len(), 1);
        assert_eq!(found.deployments[0]["metadata"]["namespace"], "shop");
        assert!(found.objects.docker_secret("shop", "db").is_found());
        assert!(found.objects.config_map("shop", "c").is_found());
        assert!(found.objects.secret("shop", "s").is_found());
        assert!(!found.objects.secret("shop", "db").is_found());
    }

    fn refusal(text: &str, asked: Option<&str>) -> String {
        match sort("f.yaml", text, asked, "shop").err().unwrap() {
            Failure::Usage(text) => text,
            Failure::Failed(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let other = "apiVersion: supercargo.dev/v1alpha1\nkind: DockerDeployment\nmetadata: {name: web, namespace: a}\n";
        assert!(refusal(other, Some("b")).contains("document 1"));
        assert!(
            refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n", None)
                .contains("no DockerDeployment")
        );
        let nameless = "apiVersion: supercargo.dev/v1alpha1\nkind: DockerDeployment\n";
        assert!(refusal(nameless, None).contains("metadata.name"));
        let plain = "apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: db}\nspec: {encryptedData: [hunter2]}\n";
        assert!(!refusal(plain, None).contains("hunter2"));
    }
}
