//! Whose a Docker object is: the control plane's instance and the Kubernetes object. Read from labels, written to labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::keys::label;

/// Identity of a control plane: the uid of its namespace `kube-system`. What carries another one is foreign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instance(String);

impl Instance {
    /// Takes a uid.
    #[must_use]
    pub fn new(uid: impl Into<String>) -> Self {
        Self(uid.into())
    }

    /// The whole uid.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Six hex digits for names; two instances on one engine almost never share them, and labels decide anyway.
    #[must_use]
    pub fn short(&self) -> String {
        super::hash::hex(&[&self.0], 6)
    }
}

/// One `DockerDeployment` of one instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The control plane.
    pub instance: Instance,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`: an object that was deleted and made again is another owner.
    pub uid: String,
}

impl Owner {
    /// Whether labels of a Docker object name this owner.
    #[must_use]
    pub fn owns(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(label::INSTANCE).map(String::as_str) == Some(self.instance.as_str())
            && labels.get(label::UID).map(String::as_str) == Some(self.uid.as_str())
    }

    /// The labels that name this owner.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = namespace_labels(&self.instance, &self.namespace);
        labels.insert(label::DEPLOYMENT.to_owned(), self.name.clone());
        labels.insert(label::UID.to_owned(), self.uid.clone());
        labels
    }
}

/// The labels of what belongs to a whole namespace: its network and its data volumes.
#[must_use]
pub fn namespace_labels(instance: &Instance, namespace: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (label::INSTANCE.to_owned(), instance.as_str().to_owned()),
        (label::NAMESPACE.to_owned(), namespace.to_owned()),
    ])
}
