//! Delete: preconditions, the finalizers that tell the garbage collector what to do, and whether an object goes now or
//! waits. Owns the deletion of one and of a collection. Dependents are the garbage collector's, contents of a namespace
//! the namespace loop's. Called for DELETE, and by those loops.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{
        admission::Review,
        kinds::Kind,
        names::{GroupResource, Key},
        object,
        status::{Result, Status},
        store::{Record, WriteError},
    },
    Api, Deleted, Deletion, Writing, finalizers, forms, metadata,
    update::is_released,
};

const ATTEMPTS: usize = 1000;

impl Api {
    /// Deletes, or starts to.
    pub(super) async fn delete_one(
        &self,
        kind: &Kind,
        key: &Key,
        options: &Deletion,
        how: &Writing<'_>,
    ) -> Result<Deleted> {
        for _ in 0..ATTEMPTS {
            let record = self.record(kind, key)?;
            if let Some(deleted) = self.try_delete(kind, &record, options, how).await? {
                return Ok(deleted);
            }
        }
        Err(Status::modified(&kind.resource, &key.name))
    }

    async fn try_delete(
        &self,
        kind: &Kind,
        record: &Arc<Record>,
        options: &Deletion,
        how: &Writing<'_>,
    ) -> Result<Option<Deleted>> {
        let live = self.served(kind, record)?;
        check(kind, &live, options)?;
        let review = Review {
            resource: &kind.resource,
            subresource: "",
            object: None,
            old: Some(&live),
            user: how.user,
        };
        self.admission.review(&review)?;
        let mut new = live.clone();
        let goes = begin(kind, &mut new, options, metadata::seconds(self.clock.now()))?;
        if goes {
            if how.dry_run {
                return Ok(Some(Deleted::Gone(live)));
            }
            let deleted = self.store.delete(record.key.clone(), record.revision).await;
            return again(deleted, kind, &record.key).map(|done| done.map(|_| Deleted::Gone(live)));
        }
        if how.dry_run || new == live {
            return Ok(Some(Deleted::Waiting(new)));
        }
        let stored = forms::stored(kind, new.clone());
        let updated = self
            .store
            .update(record.key.clone(), record.revision, stored)
            .await;
        Ok(again(updated, kind, &record.key)?.map(|updated| {
            object::set_meta(&mut new, "resourceVersion", updated.revision.to_string());
            Deleted::Waiting(new)
        }))
    }
}

/// Marks `object` as one that is being deleted. Whether it goes at once.
fn begin(kind: &Kind, object: &mut Value, options: &Deletion, now: String) -> Result<bool> {
    let present: Vec<String> = object::finalizers(object).map(str::to_owned).collect();
    let present: Vec<&str> = present.iter().map(String::as_str).collect();
    let wanted = finalizers::after(&present, options.propagation);
    if wanted != present {
        if wanted.is_empty() {
            object::remove_meta(object, "finalizers");
        } else {
            object::set_meta(object, "finalizers", wanted);
        }
    }
    if object::is_deleting(object) {
        return Ok(is_released(kind, object));
    }
    let stays = kind.rules.begin_delete(object, &now)?;
    let held = object::finalizers(object).next().is_some();
    if !stays && !held && !kind.rules.holds(object) {
        return Ok(true);
    }
    object::set_meta(object, "deletionTimestamp", now);
    if held && !stays {
        object::set_meta(object, "deletionGracePeriodSeconds", 0);
    }
    if kind.counts_generations && !stays {
        metadata::raise_generation(object);
    }
    Ok(false)
}

fn check(kind: &Kind, live: &Value, options: &Deletion) -> Result<()> {
    let refuse = |why: String| {
        let of = GroupResource::new(&kind.version.group, &kind.kind);
        Err(Status::conflict(&of, object::name(live), why))
    };
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != object::uid(live)) {
        return refuse(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have \
             been deleted and then recreated",
            object::uid(live)
        ));
    }
    let version = options.resource_version.as_deref();
    if let Some(version) = version.filter(|version| *version != object::resource_version(live)) {
        return refuse(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record \
             ({}). The object might have been modified",
            object::resource_version(live)
        ));
    }
    Ok(())
}

/// `None` when somebody was faster.
fn again(
    outcome: std::result::Result<Arc<Record>, WriteError>,
    kind: &Kind,
    key: &Key,
) -> Result<Option<Arc<Record>>> {
    match outcome {
        Ok(record) => Ok(Some(record)),
        Err(WriteError::Changed(_)) => Ok(None),
        Err(e) => Err(forms::unwritten(&e, &kind.resource, &key.name)),
    }
}

/// What a client is told about an object that is gone.
pub(super) fn farewell(kind: &Kind, object: &Value) -> Value {
    let mut details = json!({
        "name": object::name(object), "kind": &*kind.resource.resource, "uid": object::uid(object),
    });
    if !kind.resource.group.is_empty() {
        details["group"] = (&*kind.resource.group).into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
