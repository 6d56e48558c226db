//! PUT, the three patches and server-side apply: from a body to a change of the live object, or to a new object where
//! none is and one may be made. Owns which body goes with which content type and what apply may say about identity.
//! The patches themselves are `patch`'s and `apply`'s. Called by `respond`.

use bytes::Bytes;
use serde_json::Value;

use super::{
    super::{
        apply,
        field_error::FieldError,
        object, patch,
        request::{self, Decoded, PatchType},
        status::{Result, Status},
    },
    Api, Written,
    create::Draft,
    prepare::{Incoming, Origin, check_place, other_uid},
    scale, screen,
    update::{Job, Proposal},
};

/// How often apply looks again whether the object is there.
const LOOKS: usize = 10;

impl Api {
    /// PUT.
    pub(super) async fn put(&self, job: &Job<'_>, mut body: Decoded) -> Result<Written> {
        if job.subresource == "scale" {
            let change = |live: &Value| through_scale(job, live, |_| Ok(body.object.clone()));
            return self.change(job, &change).await;
        }
        screen::check_type(&mut body.object, job.kind, Origin::Body)?;
        check_place(&body.object, &job.key.namespace, Some(&job.key.name))?;
        let creates = job.kind.create_on_update && job.subresource.is_empty();
        if creates && self.store.get(job.key).is_none() {
            let draft = Draft {
                body,
                origin: Origin::Body,
                tracked: false,
            };
            return self.insert_at(job, draft).await;
        }
        let change = |_: &Value| {
            Ok(Proposal {
                object: body.object.clone(),
                duplicates: body.strict.clone(),
                tracked: false,
            })
        };
        self.change(job, &change).await
    }

    /// PATCH, by its content type.
    pub(super) async fn patch(
        &self,
        job: &Job<'_>,
        patch: PatchType,
        body: &Bytes,
        force: bool,
    ) -> Result<Written> {
        if patch == PatchType::Apply {
            if job.subresource == "scale" {
                return Err(Status::unsupported_media_type(&[
                    "application/json-patch+json",
                    "application/merge-patch+json",
                ]));
            }
            return self.apply(job, request::patch_body(patch, body)?, force).await;
        }
        let Decoded {
            object: parsed,
            strict: duplicates,
        } = request::patch_body(patch, body)?;
        let patched = |object: &Value| match patch {
            PatchType::Json => patch::json_patch(object, &parsed),
            PatchType::Strategic => patch::strategic_merge_patch(object, &parsed, &job.kind.schema),
            PatchType::Merge | PatchType::Apply => patch::merge_patch(object, &parsed),
        };
        let change = |live: &Value| {
            if job.subresource == "scale" {
                return through_scale(job, live, patched);
            }
            let object = patched(live)?;
            if !object.is_object() {
                return Err(screen::unpatchable("the outcome is no object"));
            }
            Ok(Proposal {
                object,
                duplicates: duplicates.clone(),
                tracked: false,
            })
        };
        self.change(job, &change).await
    }

    async fn apply(&self, job: &Job<'_>, body: Decoded, force: bool) -> Result<Written> {
        let applied = Applied::read(body, job)?;
        for _ in 0..LOOKS {
            let there = self.store.get(job.key).is_some();
            let outcome = if there || !job.subresource.is_empty() {
                self.change(job, &|live| applied.onto(live, job, force, self.clock.now()))
                    .await
            } else {
                self.insert_at(job, applied.alone(job, force, self.clock.now())?)
                    .await
            };
            match outcome {
                Err(status) if there && status.reason == "NotFound" && job.subresource.is_empty() => {}
                Err(status) if !there && status.reason == "AlreadyExists" => {}
                outcome => return outcome,
            }
        }
        Err(Status::modified(&job.kind.resource, &job.key.name))
    }

    /// Creates at the key of a job: what precondition there was cannot hold.
    async fn insert_at(&self, job: &Job<'_>, mut draft: Draft) -> Result<Written> {
        let object = &mut draft.body.object;
        object::remove_meta(object, "resourceVersion");
        let uid = object::uid(object);
        if !uid.is_empty() {
            let why = other_uid(uid, "");
            return Err(Status::conflict(&job.kind.resource, &job.key.name, why));
        }
        self.insert(job.kind, &job.key.namespace, draft, job.how).await
    }
}

/// A body of server-side apply, without what is not a field to own.
struct Applied {
    object: Value,
    duplicates: Vec<String>,
    uid: String,
    resource_version: String,
}

impl Applied {
    fn read(body: Decoded, job: &Job<'_>) -> Result<Self> {
        let mut object = body.object;
        let said = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (said("apiVersion"), said("kind"));
        if version != job.kind.version.to_string() || kind != &*job.kind.kind {
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(Status::bad_request(format!(
                "invalid object type: {slash}{version}, Kind={kind}"
            )));
        }
        let managed = object.get("metadata").and_then(|meta| meta.get("managedFields"));
        if managed.is_some_and(|managed| !managed.is_null()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let (uid, resource_version) = (
            object::uid(&object).to_owned(),
            object::resource_version(&object).to_owned(),
        );
        object::remove_meta(&mut object, "uid");
        object::remove_meta(&mut object, "resourceVersion");
        object::remove_meta(&mut object, "managedFields");
        if object::name(&object).is_empty() {
            object::set_meta(&mut object, "name", &*job.key.name);
        }
        Ok(Self {
            object,
            duplicates: body.strict,
            uid,
            resource_version,
        })
    }

    /// Applied to what is there.
    fn onto(&self, live: &Value, job: &Job<'_>, force: bool, at: jiff::Timestamp) -> Result<Proposal> {
        let kind = job.kind;
        if !matches!(&*self.resource_version, "" | "0")
            && self.resource_version != object::resource_version(live)
        {
            return Err(Status::modified(&kind.resource, &job.key.name));
        }
        if !self.uid.is_empty() && self.uid != object::uid(live) {
            let finding = FieldError::invalid("metadata.uid", self.uid.as_str(), "field is immutable");
            let group = &kind.version.group;
            return Err(Status::invalid(group, &kind.kind, &job.key.name, &[finding]));
        }
        let object = apply::apply(Some(live), &self.object, force, &incoming(job, at).write())?;
        Ok(Proposal {
            object,
            duplicates: self.duplicates.clone(),
            tracked: true,
        })
    }

    /// Applied to nothing.
    fn alone(&self, job: &Job<'_>, force: bool, at: jiff::Timestamp) -> Result<Draft> {
        let mut object = apply::apply(None, &self.object, force, &incoming(job, at).write())?;
        check_place(&object, &job.key.namespace, Some(&job.key.name))?;
        if !self.uid.is_empty() {
            object::set_meta(&mut object, "uid", self.uid.as_str());
        }
        Ok(Draft {
            body: Decoded {
                object,
                strict: self.duplicates.clone(),
            },
            origin: Origin::Patch,
            tracked: true,
        })
    }
}

fn incoming<'a>(job: &Job<'a>, at: jiff::Timestamp) -> Incoming<'a> {
    Incoming {
        kind: job.kind,
        subresource: job.subresource,
        how: job.how,
        at,
        origin: job.origin,
    }
}

/// A change of the `Scale` of `live`, made to `live`.
fn through_scale(job: &Job<'_>, live: &Value, change: impl Fn(&Value) -> Result<Value>) -> Result<Proposal> {
    let paths = job.kind.scale.as_ref().ok_or_else(Status::no_such_resource)?;
    let scaled = change(&scale::of(live, paths))?;
    scale::into(live, &scaled, job.kind, paths, job.origin).map(Proposal::from)
}
