//! Who an object is and what its metadata asks for, read once; and the two writes to its metadata that are ours: the
//! finalizer, put on and taken off under the resource version that was seen.

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};

use super::deployment::{SUSPEND, annotated};
use crate::{
    api::{
        GROUP, VERSION,
        keys::{FIELD_MANAGER, FINALIZER, annotation},
    },
    state::owner::{Instance, Owner},
};

/// An object that the API server should not hand out.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It lacks metadata that every stored object has.
    #[error("the object has no {0}")]
    Lacks(&'static str),
    /// It does not turn into JSON.
    #[error("the object cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

/// The identity of one `DockerDeployment` and what its metadata asks for.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Whose containers.
    pub owner: Owner,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether our finalizer is on it.
    pub has_finalizer: bool,
    /// `supercargo.dev/suspend: "true"`.
    pub suspended: bool,
    /// `supercargo.dev/force-delete: "true"`.
    pub force_delete: bool,
    /// `supercargo.dev/deletion-policy: Orphan`.
    pub orphan: bool,
    finalizers: Vec<String>,
}

/// The resource `dockerdeployments`, whose objects are watched raw: one that does not parse is data, not a broken watch.
#[must_use]
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, "DockerDeployment");
    ApiResource::from_gvk_with_plural(&kind, "dockerdeployments")
}

impl Identity {
    /// Reads the metadata.
    ///
    /// # Errors
    /// [`ObjectError::Lacks`] for an object that was never stored.
    pub fn of(object: &DynamicObject, instance: &Instance) -> Result<Self, ObjectError> {
        let meta = &object.metadata;
        let owner = Owner {
            instance: instance.clone(),
            namespace: meta.namespace.clone().ok_or(ObjectError::Lacks("namespace"))?,
            name: meta.name.clone().ok_or(ObjectError::Lacks("name"))?,
            uid: meta.uid.clone().ok_or(ObjectError::Lacks("uid"))?,
        };
        let finalizers = meta.finalizers.clone().unwrap_or_default();
        Ok(Self {
            owner,
            generation: meta.generation.unwrap_or_default(),
            version: meta
                .resource_version
                .clone()
                .ok_or(ObjectError::Lacks("resourceVersion"))?,
            deleting: meta.deletion_timestamp.is_some(),
            has_finalizer: finalizers.iter().any(|f| f == FINALIZER),
            suspended: annotated(object, SUSPEND, "true"),
            force_delete: annotated(object, annotation::FORCE_DELETE, "true"),
            orphan: annotated(object, annotation::DELETION_POLICY, annotation::ORPHAN),
            finalizers,
        })
    }

    /// The API of its namespace.
    #[must_use]
    pub fn api(&self, client: &Client) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), &self.owner.namespace, &resource())
    }

    pub(super) async fn add_finalizer(&self, client: &Client) -> kube::Result<()> {
        let mut finalizers = self.finalizers.clone();
        finalizers.push(FINALIZER.to_owned());
        self.set_finalizers(client, finalizers).await
    }

    /// Takes our finalizer off; an object that is gone already is a success.
    pub(super) async fn drop_finalizer(&self, client: &Client) -> kube::Result<()> {
        let finalizers = self
            .finalizers
            .iter()
            .filter(|f| *f != FINALIZER)
            .cloned()
            .collect();
        match self.set_finalizers(client, finalizers).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other,
        }
    }

    async fn set_finalizers(&self, client: &Client, finalizers: Vec<String>) -> kube::Result<()> {
        // The version is a precondition: nobody else's finalizer is lost.
        let patch = serde_json::json!({
            "metadata": { "resourceVersion": self.version, "uid": self.owner.uid, "finalizers": finalizers }
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.api(client)
            .patch(&self.owner.name, &params, &Patch::Merge(patch))
            .await
            .map(|_| ())
    }
}
