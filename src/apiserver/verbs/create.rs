//! Create: namespaces that must be there, names that the server makes up, and the write. Also what is not stored but
//! answered (reviews). Owns the retries of a generated name. Called for POST, and for PUT and apply to a name that is free.

use serde_json::Value;

use super::{
    super::{
        admission::Review,
        kinds::Kind,
        names::Key,
        object,
        request::Decoded,
        schema,
        status::{Result, Status},
        store::WriteError,
    },
    Api, Writing, Written, forms, identity,
    prepare::{Birth, Incoming, Origin, check_place},
    screen,
};

/// How often a name is made up before the client is told that it is taken.
const NAMES: usize = 8;

/// An object to be, and where it comes from.
pub(super) struct Draft {
    /// What was sent.
    pub body: Decoded,
    /// Whether it comes out of a patch.
    pub origin: Origin,
    /// Whether `managedFields` are written.
    pub tracked: bool,
}

impl Api {
    /// POST of a decoded body.
    pub(super) async fn create_decoded(
        &self,
        kind: &Kind,
        namespace: &str,
        body: Decoded,
        how: &Writing<'_>,
    ) -> Result<Written> {
        let draft = Draft {
            body,
            origin: Origin::Body,
            tracked: false,
        };
        self.insert(kind, namespace, draft, how).await
    }

    /// Writes a new object.
    pub(super) async fn insert(
        &self,
        kind: &Kind,
        namespace: &str,
        mut draft: Draft,
        how: &Writing<'_>,
    ) -> Result<Written> {
        let incoming = Incoming {
            kind,
            subresource: "",
            how,
            at: self.clock.now(),
            origin: draft.origin,
        };
        screen::check_type(&mut draft.body.object, kind, draft.origin)?;
        check_place(&draft.body.object, namespace, None)?;
        if let Some(answer) = answer(&incoming, namespace, &mut draft.body)? {
            return Ok(answer);
        }
        if !kind.verbs.contains(&"create") {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::forbidden(
                &kind.resource,
                object::name(&draft.body.object),
                why,
            ));
        }
        self.check_namespace(kind, namespace, object::name(&draft.body.object))?;
        if !matches!(object::resource_version(&draft.body.object), "" | "0") {
            return Err(Status::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let prefix = object::meta(&draft.body.object, "generateName").to_owned();
        if !object::name(&draft.body.object).is_empty() || prefix.is_empty() {
            return self.attempt(&incoming, namespace, draft, None).await;
        }
        for _ in 1..NAMES {
            let again = Draft {
                body: draft.body.clone(),
                ..draft
            };
            let name = identity::name(&prefix)?;
            match self.attempt(&incoming, namespace, again, Some(name)).await {
                Err(status) if status.reason == "AlreadyExists" => {}
                outcome => return outcome,
            }
        }
        let name = identity::name(&prefix)?;
        self.attempt(&incoming, namespace, draft, Some(name)).await
    }

    async fn attempt(
        &self,
        incoming: &Incoming<'_>,
        namespace: &str,
        draft: Draft,
        name: Option<String>,
    ) -> Result<Written> {
        let (kind, how) = (incoming.kind, incoming.how);
        let birth = Birth {
            namespace,
            uid: identity::uid()?,
            name,
            tracked: draft.tracked,
        };
        let prepared = incoming.create(draft.body.object, &draft.body.strict, &birth)?;
        let review = Review {
            resource: &kind.resource,
            subresource: "",
            object: Some(&prepared.object),
            old: None,
            user: how.user,
        };
        let mut written = Written {
            warnings: prepared.warnings,
            created: true,
            object: Value::Null,
        };
        written.warnings.extend(self.admission.review(&review)?);
        let mut object = prepared.object;
        let key = forms::key(kind, namespace, object::name(&object));
        if how.dry_run {
            if let Some(record) = self.store.get(&key) {
                return Err(self.exists(kind, &record));
            }
        } else {
            let stored = forms::stored(kind, object.clone());
            let record = match self.store.create(key, stored).await {
                Ok(record) => record,
                Err(WriteError::Exists(record)) => return Err(self.exists(kind, &record)),
                Err(e) => return Err(forms::unwritten(&e, &kind.resource, object::name(&object))),
            };
            object::set_meta(&mut object, "resourceVersion", record.revision.to_string());
        }
        written.object = object;
        Ok(written)
    }

    fn exists(&self, kind: &Kind, record: &super::super::store::Record) -> Status {
        let mut status = Status::already_exists(&kind.resource, &record.key.name);
        if self
            .store
            .object(record)
            .is_ok_and(|object| object::is_deleting(&object))
        {
            status.message.insert_str(0, "object is being deleted: ");
        }
        status
    }

    /// Objects are created only in a namespace that is there and stays.
    fn check_namespace(&self, kind: &Kind, namespace: &str, name: &str) -> Result<()> {
        if !kind.namespaced {
            return Ok(());
        }
        let namespaces = forms::namespaces();
        let found = self.store.get(&Key::new(&namespaces, "", namespace));
        let record = found.ok_or_else(|| Status::not_found(&namespaces, namespace))?;
        let object = self.store.object(&record).map_err(Status::internal)?;
        if !object::is_deleting(&object) {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        Err(Status::forbidden(&kind.resource, name, why).with_cause(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        ))
    }
}

/// What a kind that is not stored says.
fn answer(incoming: &Incoming<'_>, namespace: &str, body: &mut Decoded) -> Result<Option<Written>> {
    let (kind, how) = (incoming.kind, incoming.how);
    if kind.verbs != ["create"] {
        return Ok(None);
    }
    screen::decode(&mut body.object, kind, Origin::Body)?;
    let warnings = screen::prune(&mut body.object, &body.strict, kind, how.validation, Origin::Body)?;
    let findings = schema::validate(&body.object, None, &kind.schema);
    screen::check_decodes(&findings, kind, Origin::Body)?;
    if kind.namespaced {
        object::set_meta(&mut body.object, "namespace", namespace);
    }
    let asked = incoming.track_new(body.object.take());
    kind.rules
        .answer(&asked, how.user)
        .map(|object| {
            Ok(Written {
                object: object?,
                created: true,
                warnings,
            })
        })
        .transpose()
}
