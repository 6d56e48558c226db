//! The form in which an object is served and the form in which it is stored, and the way from a key to either.
//! Versions of a resource differ in `apiVersion` only; what else differs is `kinds::Rules`' to know.
//! Called by every verb.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        kinds::Kind,
        names::{GroupResource, Key},
        schema,
        status::{Result, Status},
        store::{Record, RevisionError, WriteError},
    },
    Api,
};

/// The key of an object of `kind`. The namespace of a cluster-scoped kind is nobody's.
pub(super) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.namespaced { namespace } else { "" };
    Key::new(&kind.stored_as, namespace, name)
}

/// Whether what is stored is, byte for byte, what is served.
pub(super) fn is_served_as_stored(kind: &Kind) -> bool {
    kind.version == kind.storage_version && kind.stored_as == kind.resource && !kind.fills_defaults
}

/// The served form of a stored object.
pub(super) fn served(kind: &Kind, mut stored: Value) -> Value {
    if kind.fills_defaults {
        schema::default(&mut stored, &kind.schema);
    }
    if is_served_as_stored(kind) {
        return kind.rules.served_form(stored);
    }
    let mut object = kind.rules.served_form(stored);
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kind.version.to_string().into());
        fields.insert("kind".to_owned(), (&*kind.kind).into());
    }
    object
}

/// The stored form of a served object.
pub(super) fn stored(kind: &Kind, mut object: Value) -> Value {
    if kind.version != kind.storage_version
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("apiVersion".to_owned(), kind.storage_version.to_string().into());
    }
    kind.rules.stored_form(object)
}

/// The resource of namespaces.
pub(super) fn namespaces() -> GroupResource {
    GroupResource::new("", "namespaces")
}

/// What a failed write is to the client, except those that are tried again.
pub(super) fn unwritten(error: &WriteError, of: &GroupResource, name: &str) -> Status {
    match error {
        WriteError::Exists(_) => Status::already_exists(of, name),
        WriteError::Changed(_) => Status::modified(of, name),
        WriteError::Unavailable(why) => Status::unavailable(format!("the store takes no writes: {why}")),
    }
}

/// What a revision that cannot be read is to the client of a list.
pub(super) fn unlisted(error: &RevisionError) -> Status {
    match *error {
        RevisionError::Expired { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
        RevisionError::Future { asked, current } => too_large(asked, current),
    }
}

/// 504 for a read from the future, in the words of a storage timeout.
pub(super) fn too_large(asked: u64, current: u64) -> Status {
    let mut status = Status::too_large_resource_version(asked, current);
    if !status.message.starts_with("Timeout: ") {
        status.message.insert_str(0, "Timeout: ");
    }
    status
}

impl Api {
    /// The newest version of an object.
    ///
    /// # Errors
    /// 404.
    pub(super) fn record(&self, kind: &Kind, key: &Key) -> Result<Arc<Record>> {
        self.store
            .get(key)
            .ok_or_else(|| Status::not_found(&kind.resource, &key.name))
    }

    /// The served form of a record.
    ///
    /// # Errors
    /// 500 when the key of a sealed object is missing.
    pub(super) fn served(&self, kind: &Kind, record: &Record) -> Result<Value> {
        let stored = self.store.object(record).map_err(Status::internal)?;
        Ok(served(kind, stored))
    }
}
