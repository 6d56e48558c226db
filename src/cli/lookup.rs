//! What references name, read once: from manifests that were given, else from the API server. Fills the port that
//! `secrets` looks things up through, as the watches of the operator do. What may not be read is denied, never absent.
//! Called by `plan` and `explain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::DockerSecret;
use crate::api::reference::SecretKind;
use crate::controllers::references::{self, Named};
use crate::secrets::source::{Lookup, Source};

type Shelf<T> = BTreeMap<(String, String), Lookup<T>>;

/// Objects that references name.
#[derive(Default)]
pub(super) struct Objects {
    docker_secrets: Shelf<DockerSecret>,
    secrets: Shelf<Secret>,
    config_maps: Shelf<ConfigMap>,
}

impl Objects {
    /// Puts one in that was given; it takes precedence over what the API server has.
    pub(super) fn give_docker_secret(&mut self, namespace: &str, secret: DockerSecret) {
        give(&mut self.docker_secrets, namespace, secret);
    }

    /// The same for a core Secret.
    pub(super) fn give_secret(&mut self, namespace: &str, secret: Secret) {
        give(&mut self.secrets, namespace, secret);
    }

    /// The same for a ConfigMap.
    pub(super) fn give_config_map(&mut self, namespace: &str, map: ConfigMap) {
        give(&mut self.config_maps, namespace, map);
    }

    /// Reads everything that a deployment of `namespace` names and that is not known yet.
    ///
    /// # Errors
    /// The API server did not answer; that it refused is an answer.
    pub(super) async fn read(&mut self, client: &Client, namespace: &str, spec: &Value) -> kube::Result<()> {
        for named in references::of(spec, namespace) {
            match named {
                Named::Secret(SecretKind::DockerSecret, namespace, name) => {
                    fill(&mut self.docker_secrets, client, &namespace, &name).await?;
                }
                Named::Secret(SecretKind::Secret, namespace, name) => {
                    fill(&mut self.secrets, client, &namespace, &name).await?;
                }
                Named::ConfigMap(name) => fill(&mut self.config_maps, client, namespace, &name).await?,
            }
        }
        Ok(())
    }
}

fn give<T: Resource<DynamicType = ()>>(shelf: &mut Shelf<T>, namespace: &str, mut object: T) {
    let meta = object.meta_mut();
    meta.namespace = Some(namespace.to_owned());
    let name = meta.name.clone().unwrap_or_default();
    shelf.insert((namespace.to_owned(), name), Lookup::Found(Arc::new(object)));
}

async fn fill<T>(shelf: &mut Shelf<T>, client: &Client, namespace: &str, name: &str) -> kube::Result<()>
where
    T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let at = (namespace.to_owned(), name.to_owned());
    if shelf.contains_key(&at) {
        return Ok(());
    }
    let api: Api<T> = Api::namespaced(client.clone(), namespace);
    let found = match api.get_opt(name).await {
        Ok(Some(object)) => Lookup::Found(Arc::new(object)),
        Ok(None) => Lookup::Absent,
        Err(kube::Error::Api(status)) if status.code == 403 => Lookup::Denied(format!(
            "this user may not get the {} {namespace}/{name}; ask for that right, or run this as the operator",
            T::kind(&())
        )),
        Err(error) => return Err(error),
    };
    shelf.insert(at, found);
    Ok(())
}

fn look<T>(shelf: &Shelf<T>, namespace: &str, name: &str) -> Lookup<T> {
    let found = shelf.get(&(namespace.to_owned(), name.to_owned()));
    // Nobody named it, so it was not looked for: a hint about a namesake is all that is lost.
    found.map_or(Lookup::Absent, clone)
}

fn clone<T>(found: &Lookup<T>) -> Lookup<T> {
    match found {
        Lookup::Found(object) => Lookup::Found(Arc::clone(object)),
        Lookup::Absent => Lookup::Absent,
        Lookup::Denied(why) => Lookup::Denied(why.clone()),
    }
}

impl Source for Objects {
    fn docker_secret(&self, namespace: &str, name: &str) -> Lookup<DockerSecret> {
        look(&self.docker_secrets, namespace, name)
    }

    fn secret(&self, namespace: &str, name: &str) -> Lookup<Secret> {
        look(&self.secrets, namespace, name)
    }

    fn config_map(&self, namespace: &str, name: &str) -> Lookup<ConfigMap> {
        look(&self.config_maps, namespace, name)
    }
}
