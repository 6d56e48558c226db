//! What can be done to objects: get, list, watch, create, update, patch, delete. Owns the rules that hold for all kinds:
//! metadata, generations, preconditions, finalizers, dry run, retries. Kinds add theirs through `kinds::Rules`.
//! Called by `serve` with a parsed request, and by `loops`, which act as the API server's own controllers.

mod chunks;
mod create;
mod delete;
mod finalizers;
mod forms;
mod frames;
mod identity;
mod list;
mod metadata;
mod options;
mod patching;
mod prepare;
mod render;
mod respond;
mod route;
mod scale;
mod screen;
mod select;
mod token;
mod update;
mod watch;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod watch_tests;
#[cfg(test)]
mod write_tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

use super::{
    admission::Admission,
    authorize::{SharedAuthorizer, User},
    kinds::{Kind, Kinds},
    names::Key,
    request::Decoded,
    status::Result,
    store::Store,
};
use crate::clock::Clock;

pub use respond::respond;

/// Everything a verb works on. Cloning shares it.
#[derive(Clone)]
pub struct Api {
    /// Where objects are.
    pub store: Store,
    /// What is served now.
    pub kinds: Arc<ArcSwap<Kinds>>,
    /// Refuses and remarks.
    pub admission: Arc<dyn Admission>,
    /// Who may.
    pub authorizer: SharedAuthorizer,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay, without the reference.
    Orphan,
}

/// Options of a write.
#[derive(Debug, Clone)]
pub struct Writing<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The field manager.
    pub manager: &'a str,
    /// Everything but the write.
    pub dry_run: bool,
    /// What to do about unknown and duplicate fields.
    pub validation: FieldValidation,
}

/// `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Nothing.
    Ignore,
    /// A `Warning` header each.
    #[default]
    Warn,
    /// 400.
    Strict,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletion {
    /// `propagationPolicy`; the kind's default when absent.
    pub propagation: Option<Propagation>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
}

/// What a write answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The object as stored (or as it would be).
    pub object: Value,
    /// 201 instead of 200.
    pub created: bool,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
}

/// What a deletion came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Deleted {
    /// It is gone; its last state.
    Gone(Value),
    /// Finalizers hold it; its state now.
    Waiting(Value),
}

impl Api {
    /// One object, as served by `kind`.
    ///
    /// # Errors
    /// 404.
    pub fn read(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Value> {
        let record = self.record(kind, &forms::key(kind, namespace, name))?;
        self.served(kind, &record)
    }

    /// Creates.
    ///
    /// # Errors
    /// What a client would be told.
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: Value,
        how: &Writing<'_>,
    ) -> Result<Written> {
        let body = Decoded {
            object,
            strict: Vec::new(),
        };
        self.create_decoded(kind, namespace, body, how).await
    }

    /// Changes an object by a function of its stored state, again when somebody was faster. `subresource` decides what of
    /// the change counts and is not checked against what is advertised: loops use it for `status` and finalizers.
    ///
    /// # Errors
    /// What a client would be told, and what `change` returns.
    pub async fn modify(
        &self,
        kind: &Kind,
        key: &Key,
        subresource: &str,
        how: &Writing<'_>,
        change: &(dyn Fn(&Value) -> Result<Value> + Send + Sync),
    ) -> Result<Written> {
        let job = update::Job {
            kind,
            key,
            subresource,
            how,
            origin: prepare::Origin::Patch,
        };
        self.change(&job, &|live| change(live).map(update::Proposal::from))
            .await
    }

    /// Deletes, or starts to.
    ///
    /// # Errors
    /// What a client would be told.
    pub async fn delete(
        &self,
        kind: &Kind,
        key: &Key,
        options: &Deletion,
        how: &Writing<'_>,
    ) -> Result<Deleted> {
        self.delete_one(kind, key, options, how).await
    }
}
