//! From what a client sent to what would be stored: the steps that every create and every update takes, in their order.
//! Pure: what is random and what time it is comes from the caller. Knows no store.
//! Called by `create` and `update`, again for every attempt.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{
        apply,
        field_error::{FieldError, FieldErrorKind},
        kinds::{
            Kind, builtin,
            metadata::{finalizer_warnings, unqualified_finalizers, validate_metadata},
        },
        object, schema,
        status::{Result, Status},
    },
    Writing, forms, metadata, screen,
};

/// Where an object comes from, which decides how errors in it are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was sent as a whole.
    Body,
    /// It came out of a patch.
    Patch,
}

/// A write on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'a> {
    /// Of which kind, in the version of the request.
    pub kind: &'a Kind,
    /// Empty, `status`, `scale`, `finalize`.
    pub subresource: &'a str,
    /// Its options.
    pub how: &'a Writing<'a>,
    /// Now.
    pub at: Timestamp,
    /// Where the object comes from.
    pub origin: Origin,
}

/// What would be stored, in served form.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The object.
    pub object: Value,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
}

/// What is new about a new object.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    /// In which namespace.
    pub namespace: &'a str,
    /// Its uid.
    pub uid: String,
    /// The name, when the client left it to the server.
    pub name: Option<String>,
    /// Server-side apply has written `managedFields` already.
    pub tracked: bool,
}

impl Incoming<'_> {
    /// The steps of a create.
    ///
    /// # Errors
    /// 400, 422.
    pub fn create(&self, mut new: Value, duplicates: &[String], birth: &Birth<'_>) -> Result<Prepared> {
        let kind = self.kind;
        screen::check_type(&mut new, kind, self.origin)?;
        screen::decode(&mut new, kind, self.origin)?;
        let mut warnings = self.screen(&mut new, duplicates)?;
        metadata::drop_empty(&mut new);
        metadata::stamp(&mut new, kind, birth.namespace, birth.uid.clone(), self.at);
        if let Some(name) = &birth.name {
            object::set_meta(&mut new, "name", name.as_str());
        }
        if kind.status {
            take(&mut new, "status");
        }
        schema::default(&mut new, &kind.schema);
        kind.rules.prepare_create(&mut new);
        if !birth.tracked {
            // Nobody owns what the server made up: a status, and the finalizers of a namespace.
            let owned_by_nobody: Vec<(&str, Option<Value>)> = [
                ("status", kind.status),
                ("spec", kind.resource == forms::namespaces()),
            ]
            .into_iter()
            .filter(|(_, ours)| *ours)
            .map(|(field, _)| (field, take(&mut new, field)))
            .collect();
            new = self.track_new(new);
            for (field, value) in owned_by_nobody {
                put(&mut new, field, value);
            }
        }
        self.validate(&new, None)?;
        warnings.extend(kind.rules.warnings(&new));
        if kind.custom {
            warnings.extend(finalizer_warnings(&new, None));
        }
        Ok(Prepared {
            object: new,
            warnings,
        })
    }

    /// The steps of an update of `live` to `new`; `tracked` as in [`Birth`].
    ///
    /// # Errors
    /// 400, 409, 422.
    pub fn update(
        &self,
        mut new: Value,
        duplicates: &[String],
        live: &Value,
        tracked: bool,
    ) -> Result<Prepared> {
        let kind = self.kind;
        screen::check_type(&mut new, kind, self.origin)?;
        screen::decode(&mut new, kind, self.origin)?;
        check_place(&new, object::namespace(live), Some(object::name(live)))?;
        let mut warnings = self.screen(&mut new, duplicates)?;
        metadata::drop_empty(&mut new);
        self.check_preconditions(&new, live)?;
        new = self.isolate(new, live);
        metadata::keep(&mut new, live);
        schema::default(&mut new, &kind.schema);
        if self.subresource.is_empty() {
            kind.rules.prepare_update(&mut new, live);
        }
        metadata::count(&mut new, live, kind);
        if !tracked {
            new = apply::track(Some(live), new, &self.write());
        }
        self.validate(&new, Some(live))?;
        warnings.extend(kind.rules.warnings(&new));
        if kind.custom {
            warnings.extend(finalizer_warnings(&new, Some(live)));
        }
        Ok(Prepared {
            object: new,
            warnings,
        })
    }

    /// A new object of which this writer owns what it says. Of a built-in kind it does not own what every object has.
    pub fn track_new(&self, new: Value) -> Value {
        let mut nothing = json!({});
        let made = builtin::decode(self.kind, &mut nothing).is_ok() && !self.kind.custom;
        apply::track_new(made.then_some(&nothing), new, &self.write())
    }

    /// As `apply` wants to know it.
    pub fn write(&self) -> apply::Write<'_> {
        apply::Write {
            kind: self.kind,
            subresource: self.subresource,
            manager: self.how.manager,
            at: self.at,
        }
    }

    fn screen(&self, new: &mut Value, duplicates: &[String]) -> Result<Vec<String>> {
        screen::prune(new, duplicates, self.kind, self.how.validation, self.origin)
    }

    /// What of `new` this endpoint may change; everything else is `live`'s.
    fn isolate(&self, mut new: Value, live: &Value) -> Value {
        match self.subresource {
            "status" => over(live, new, |kept, new| put(kept, "status", take(new, "status"))),
            "finalize" => over(live, new, |kept, new| {
                let finalizers = new.get_mut("spec").and_then(|spec| take(spec, "finalizers"));
                object::entry(kept, "spec");
                put(&mut kept["spec"], "finalizers", finalizers);
            }),
            _ => {
                if self.kind.status {
                    put(&mut new, "status", live.get("status").cloned());
                }
                new
            }
        }
    }

    fn check_preconditions(&self, new: &Value, live: &Value) -> Result<()> {
        let (kind, name) = (self.kind, object::name(live));
        let (of, uid) = (&kind.resource, object::uid(new));
        if self.origin == Origin::Body && !uid.is_empty() && uid != object::uid(live) {
            return Err(Status::conflict(of, name, other_uid(uid, object::uid(live))));
        }
        match object::resource_version(new) {
            "" | "0" => {
                let needed = self.origin == Origin::Body && !kind.unconditional_update;
                if needed && matches!(self.subresource, "" | "status") {
                    let why = "must be specified for an update";
                    let finding = FieldError::invalid("metadata.resourceVersion", 0, why);
                    return Err(Status::invalid(&of.group, &of.resource, name, &[finding]));
                }
                Ok(())
            }
            version if version == object::resource_version(live) => Ok(()),
            version => match version.parse::<u64>() {
                Ok(_) => Err(Status::modified(of, name)),
                Err(_) => Err(Status::bad_request(format!(
                    "metadata.resourceVersion: {version:?} is no resource version"
                ))),
            },
        }
    }

    fn validate(&self, new: &Value, live: Option<&Value>) -> Result<()> {
        let kind = self.kind;
        let mut findings = validate_metadata(new, live, kind.namespaced, kind.rules.name_rule());
        let own = kind.rules.validate(new, live);
        if kind.custom {
            findings = schema::validate_further(findings, own, (new, live), &kind.schema);
        } else {
            if &*kind.resource.group != "apiextensions.k8s.io" {
                findings.extend(unqualified_finalizers(new));
            }
            let of_schema = schema::validate(new, live, &kind.schema);
            screen::check_decodes(&of_schema, kind, self.origin)?;
            findings.extend(of_schema);
            findings.extend(own);
        }
        if findings.is_empty() {
            return Ok(());
        }
        if kind.sealed {
            hide_values(&mut findings);
        }
        let name = object::name(new);
        // Both kinds of events are validated as what is stored.
        Err(Status::invalid(
            &kind.stored_as.group,
            &kind.kind,
            name,
            &findings,
        ))
    }
}

/// 400 unless the body names the namespace (or none) and, when there is one, the name of the URL.
pub(super) fn check_place(new: &Value, namespace: &str, name: Option<&str>) -> Result<()> {
    if let Some(name) = name {
        match object::name(new) {
            "" => {
                return Err(Status::bad_request(format!(
                    "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                )));
            }
            said if said != name => {
                return Err(Status::bad_request(format!(
                    "the name of the object ({said}) does not match the name on the URL ({name})"
                )));
            }
            _ => {}
        }
    }
    let said = object::namespace(new);
    if !said.is_empty() && said != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Why a uid that was given does not fit.
pub(super) fn other_uid(given: &str, found: &str) -> String {
    format!("Precondition failed: UID in precondition: {given}, UID in object meta: {found}")
}

/// `live`, changed by `change` from `new`, with the resource version and the managed fields of `new`.
fn over(live: &Value, mut new: Value, change: impl FnOnce(&mut Value, &mut Value)) -> Value {
    let mut kept = live.clone();
    change(&mut kept, &mut new);
    for field in ["managedFields", "resourceVersion"] {
        if let Some(value) = object::remove_meta(&mut new, field) {
            object::set_meta(&mut kept, field, value);
        }
    }
    kept
}

fn take(object: &mut Value, field: &str) -> Option<Value> {
    object.as_object_mut()?.remove(field)
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(fields) = object.as_object_mut() {
        match value {
            Some(value) => fields.insert(field.to_owned(), value),
            None => fields.remove(field),
        };
    }
}

/// Findings outside metadata show no value: what is sealed is not echoed.
fn hide_values(findings: &mut [FieldError]) {
    for finding in findings {
        if !finding.field.starts_with("metadata") && finding.kind != FieldErrorKind::NotSupported {
            finding.value = None;
        }
    }
}
