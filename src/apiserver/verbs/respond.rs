//! From a parsed path to an answer, for every method: which verb, with which options, on which body, in which shape.
//! Owns the order of these steps. Whether the client may was asked before. Called by `serve`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use serde_json::Value;

use super::{
    super::{
        authorize::User,
        kinds::Kind,
        names::Key,
        request::{self, Accept, PatchType, Query, ResourcePath},
        response::{self, Response},
        status::{Result, Status},
    },
    Api, Deleted, Deletion, Writing, Written, delete, forms, options,
    prepare::Origin,
    render::Rendering,
    route::{self, Refusal, Verb},
    scale,
    select::Selection,
    update::Job,
};

/// A request that is known to be about a kind.
struct Request<'a> {
    api: &'a Api,
    user: &'a User,
    path: &'a ResourcePath,
    kind: Arc<Kind>,
    query: Query,
    headers: &'a HeaderMap,
    rendering: Rendering,
    body: Bytes,
}

/// Answers a request below a group and version.
pub async fn respond(api: &Api, user: &User, path: &ResourcePath, parts: &Parts, body: Bytes) -> Response {
    let kind = match route::kind(&api.kinds.load(), path) {
        Ok(kind) => kind,
        Err(refusal) => return refusal.response(),
    };
    let parsed = request::query(parts.uri.query().unwrap_or_default());
    let watch = parsed.as_ref().is_ok_and(|query| query.watch);
    let verb = match route::verb(&kind, path, &parts.method, watch) {
        Ok(verb) => verb,
        Err(refusal) => return refusal.response(),
    };
    let wanted = accept(&parts.headers, &kind, verb);
    let (query, rendering) = match parsed.and_then(|query| {
        let rendering = Rendering::new(wanted?, &query, api.clock.now())?;
        Ok((query, rendering))
    }) {
        Ok(both) => both,
        Err(status) => return response::refusal(&status),
    };
    let request = Request {
        api,
        user,
        path,
        kind,
        query,
        headers: &parts.headers,
        rendering,
        body,
    };
    match request.answer(verb).await {
        Ok(response) => response,
        Err(Refusal::Status(status)) => rendering.refusal(&status),
        Err(refusal @ Refusal::Nothing) => refusal.response(),
    }
}

fn accept(headers: &HeaderMap, kind: &Kind, verb: Verb) -> Result<Accept> {
    let wanted = match headers.get(header::ACCEPT) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| Status::bad_request("the Accept header is no text"))?,
        ),
    };
    let accept = request::accept(wanted, kind.custom).map_err(|mut status| {
        // The server of custom resources says no details where the other says that there are none.
        status.details = status.details.filter(|_| !kind.custom);
        status
    })?;
    if verb == Verb::Watch && accept.yaml {
        return Err(Status::not_acceptable(&[
            "application/json;stream=watch",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ]));
    }
    Ok(accept)
}

impl Request<'_> {
    async fn answer(self, verb: Verb) -> Result<Response, Refusal> {
        let response = match verb {
            Verb::Get => self.get(),
            Verb::List => self.list(),
            Verb::Watch => self.watch(),
            Verb::Create => self.create().await,
            Verb::Update => self.update().await,
            Verb::Patch => self.patch().await,
            Verb::Delete => self.delete().await,
            Verb::DeleteCollection => self.delete_collection().await,
        };
        Ok(response?)
    }

    fn get(&self) -> Result<Response> {
        let kind = &self.kind;
        let asked = super::list::version(&self.query.resource_version)?;
        let current = self.api.store.revision();
        if asked > current {
            return Err(forms::too_large(asked, current));
        }
        let record = self.api.record(kind, &self.key())?;
        if self.path.subresource == "scale" {
            let paths = kind.scale.as_ref().ok_or_else(Status::no_such_resource)?;
            let object = scale::of(&self.api.served(kind, &record)?, paths);
            return Ok(self.rendering.scale(200, &object));
        }
        if self.rendering.is_plain() && forms::is_served_as_stored(kind) {
            let text = self.api.store.json(&record).map_err(Status::internal)?;
            return Ok(self.rendering.json(200, text));
        }
        let object = self.api.served(kind, &record)?;
        Ok(self.rendering.object(200, kind, &object))
    }

    fn list(&self) -> Result<Response> {
        self.query.validate_list()?;
        let selection = Selection::new(&self.query, &self.kind)?;
        let listed = self
            .api
            .gather(&self.kind, &self.path.namespace, &self.query, &selection)?;
        self.api.list_response(&self.kind, listed, self.rendering)
    }

    fn watch(&self) -> Result<Response> {
        self.query.validate_list()?;
        let kind = self.kind.clone();
        self.api
            .watch_response(kind, &self.path.namespace, &self.query, self.rendering)
    }

    async fn create(&self) -> Result<Response> {
        self.query.validate_create()?;
        let body = request::body(self.content_type(), &self.body, Some(&self.kind))?;
        let manager = options::manager(&self.query, self.headers);
        let how = self.writing(&manager);
        let written = self
            .api
            .create_decoded(&self.kind, &self.path.namespace, body, &how)
            .await?;
        Ok(self.written(&written))
    }

    async fn update(&self) -> Result<Response> {
        self.query.validate_update()?;
        let of = (self.path.subresource != "scale").then_some(&*self.kind);
        let body = request::body(self.content_type(), &self.body, of)?;
        let (manager, key) = (options::manager(&self.query, self.headers), self.key());
        let how = self.writing(&manager);
        let written = self.api.put(&self.job(&key, &how, Origin::Body), body).await?;
        Ok(self.written(&written))
    }

    async fn patch(&self) -> Result<Response> {
        let patch = PatchType::of(self.content_type(), self.kind.custom)?;
        self.query.validate_patch(patch)?;
        let manager = match patch {
            PatchType::Apply => self.query.field_manager.clone(),
            _ => options::manager(&self.query, self.headers),
        };
        let (key, force) = (self.key(), self.query.force.unwrap_or(false));
        let how = self.writing(&manager);
        let job = self.job(&key, &how, Origin::Patch);
        let written = self.api.patch(&job, patch, &self.body, force).await?;
        Ok(self.written(&written))
    }

    async fn delete(&self) -> Result<Response> {
        let (deletion, dry_run) = self.deletion()?;
        let manager = options::manager(&self.query, self.headers);
        let how = Writing {
            dry_run,
            ..self.writing(&manager)
        };
        Ok(
            match self
                .api
                .delete_one(&self.kind, &self.key(), &deletion, &how)
                .await?
            {
                Deleted::Gone(object) => self.rendering.value(200, &delete::farewell(&self.kind, &object)),
                Deleted::Waiting(object) => self.rendering.object(200, &self.kind, &object),
            },
        )
    }

    async fn delete_collection(&self) -> Result<Response> {
        let (deletion, dry_run) = self.deletion()?;
        self.query.validate_list()?;
        let selection = Selection::new(&self.query, &self.kind)?;
        let manager = options::manager(&self.query, self.headers);
        let how = Writing {
            dry_run,
            ..self.writing(&manager)
        };
        let listed = self
            .api
            .gather(&self.kind, &self.path.namespace, &self.query, &selection)?;
        for record in &listed.records {
            match self
                .api
                .delete_one(&self.kind, &record.key, &deletion, &how)
                .await
            {
                Err(status) if status.reason == "NotFound" => {}
                outcome => _ = outcome?,
            }
        }
        self.api.list_response(&self.kind, listed, self.rendering)
    }

    fn deletion(&self) -> Result<(Deletion, bool)> {
        let asked = request::delete_options(&self.query, self.content_type(), &self.body)?;
        let deletion = Deletion {
            propagation: asked.propagation,
            uid: asked.uid,
            resource_version: asked.resource_version,
        };
        Ok((deletion, asked.dry_run))
    }

    fn written(&self, written: &Written) -> Response {
        let code = if written.created { 201 } else { 200 };
        let mut response = self.shown(code, &written.object);
        response::warn(&mut response, &written.warnings);
        response
    }

    fn shown(&self, code: u16, object: &Value) -> Response {
        match self
            .kind
            .scale
            .as_ref()
            .filter(|_| self.path.subresource == "scale")
        {
            Some(paths) => self.rendering.scale(code, &scale::of(object, paths)),
            None => self.rendering.object(code, &self.kind, object),
        }
    }

    fn key(&self) -> Key {
        forms::key(&self.kind, &self.path.namespace, &self.path.name)
    }

    fn content_type(&self) -> Option<&str> {
        self.headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or("not/text"))
    }

    fn job<'b>(&'b self, key: &'b Key, how: &'b Writing<'b>, origin: Origin) -> Job<'b> {
        Job {
            kind: &self.kind,
            key,
            subresource: &self.path.subresource,
            how,
            origin,
        }
    }

    fn writing<'b>(&'b self, manager: &'b str) -> Writing<'b> {
        Writing {
            user: self.user,
            manager,
            dry_run: !self.query.dry_run.is_empty(),
            validation: options::validation(&self.query),
        }
    }
}
