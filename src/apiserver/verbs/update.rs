//! Every write to an object that is there: read, change, prepare, write, and all of it again when somebody was faster.
//! Owns the decision that nothing changed (no write), and that the last finalizer is gone (the object goes, too).
//! Called for PUT, every kind of patch, and by loops.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        admission::Review,
        apply,
        kinds::Kind,
        names::Key,
        object,
        status::{Result, Status},
        store::{Record, WriteError},
    },
    Api, Writing, Written, forms,
    prepare::{Incoming, Origin},
};

/// Somebody wins every round, so this many losses in a row mean that something else is wrong.
const ATTEMPTS: usize = 1000;

/// What is to be changed.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    /// The kind, in the version of the request.
    pub kind: &'a Kind,
    /// The object.
    pub key: &'a Key,
    /// What of it.
    pub subresource: &'a str,
    /// Options.
    pub how: &'a Writing<'a>,
    /// How the change came.
    pub origin: Origin,
}

/// What a change makes of the live object.
pub(super) struct Proposal {
    /// The new object.
    pub object: Value,
    /// Duplicate fields of the body.
    pub duplicates: Vec<String>,
    /// `managedFields` are written already.
    pub tracked: bool,
}

impl From<Value> for Proposal {
    fn from(object: Value) -> Self {
        Self {
            object,
            duplicates: Vec::new(),
            tracked: false,
        }
    }
}

/// A change: pure, called again for every attempt.
pub(super) type Change<'a> = &'a (dyn Fn(&Value) -> Result<Proposal> + Send + Sync);

impl Api {
    /// Changes an object.
    ///
    /// # Errors
    /// What a client would be told.
    pub(super) async fn change(&self, job: &Job<'_>, change: Change<'_>) -> Result<Written> {
        for _ in 0..ATTEMPTS {
            let record = self.record(job.kind, job.key)?;
            if let Some(written) = self.try_change(job, &record, change).await? {
                return Ok(written);
            }
        }
        Err(Status::modified(&job.kind.resource, &job.key.name))
    }

    /// One attempt; `None` when somebody was faster.
    async fn try_change(
        &self,
        job: &Job<'_>,
        record: &Arc<Record>,
        change: Change<'_>,
    ) -> Result<Option<Written>> {
        let live = self.served(job.kind, record)?;
        let proposal = change(&live)?;
        let incoming = Incoming {
            kind: job.kind,
            subresource: job.subresource,
            how: job.how,
            at: self.clock.now(),
            origin: job.origin,
        };
        let prepared = incoming.update(proposal.object, &proposal.duplicates, &live, proposal.tracked)?;
        let review = Review {
            resource: &job.kind.resource,
            subresource: job.subresource,
            object: Some(&prepared.object),
            old: Some(&live),
            user: job.how.user,
        };
        let mut warnings = prepared.warnings;
        warnings.extend(self.admission.review(&review)?);
        let done = |object: Value| Written {
            object,
            created: false,
            warnings,
        };
        if !apply::differs(&live, &prepared.object) {
            return Ok(Some(done(live)));
        }
        if job.how.dry_run {
            return Ok(Some(done(prepared.object)));
        }
        Ok(self.store_change(job, record, prepared.object).await?.map(done))
    }

    async fn store_change(&self, job: &Job<'_>, record: &Record, mut new: Value) -> Result<Option<Value>> {
        let key = job.key.clone();
        let outcome = if is_released(job.kind, &new) {
            self.store.delete(key, record.revision).await.map(|_| None)
        } else {
            let stored = forms::stored(job.kind, new.clone());
            let written = self.store.update(key, record.revision, stored).await;
            written.map(|written| Some(written.revision))
        };
        match outcome {
            Ok(revision) => {
                if let Some(revision) = revision {
                    object::set_meta(&mut new, "resourceVersion", revision.to_string());
                }
                Ok(Some(new))
            }
            Err(WriteError::Changed(_)) => Ok(None),
            Err(e) => Err(forms::unwritten(&e, &job.kind.resource, &job.key.name)),
        }
    }
}

/// Whether nothing holds an object that is being deleted any longer.
pub(super) fn is_released(kind: &Kind, object: &Value) -> bool {
    object::is_deleting(object) && object::finalizers(object).next().is_none() && !kind.rules.holds(object)
}
