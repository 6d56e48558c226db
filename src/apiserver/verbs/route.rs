//! Which verb a request is: from its method, the shape of its path and what the kind can do. Owns the refusals of paths
//! and methods, which for built-in and custom resources are not the same: two servers in one answer them there.
//! Pure. Called by `respond`.

use std::sync::Arc;

use http::Method;

use super::super::{
    kinds::{Kind, Kinds},
    request::ResourcePath,
    response::{self, Response},
    status::{Details, Result, Status},
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// One object.
    Get,
    /// Many, now.
    List,
    /// Many, from now on.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one.
    Delete,
    /// DELETE of many.
    DeleteCollection,
}

impl Verb {
    /// As kinds list it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// Why there is no verb.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `404 page not found`, as text.
    Nothing,
    /// Anything else.
    Status(Box<Status>),
}

impl Refusal {
    /// The answer.
    pub fn response(&self) -> Response {
        match self {
            Self::Nothing => response::nothing_here(),
            Self::Status(status) => response::refusal(status),
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The kind of a path.
pub(super) fn kind(kinds: &Kinds, path: &ResourcePath) -> Result<Arc<Kind>, Refusal> {
    if let Some(kind) = kinds.get(&path.version, &path.resource) {
        return Ok(kind.clone());
    }
    let group_is_built_in = kinds
        .iter()
        .any(|known| known.version.group == path.version.group && !known.custom);
    Err(if group_is_built_in {
        Status::no_such_resource().into()
    } else {
        Refusal::Nothing
    })
}

/// The verb of a request.
pub(super) fn verb(kind: &Kind, path: &ResourcePath, method: &Method, watch: bool) -> Result<Verb, Refusal> {
    let named = !path.name.is_empty();
    let absent = || {
        if kind.custom {
            Refusal::Nothing
        } else {
            Status::no_such_resource().into()
        }
    };
    let one_namespace = !path.namespace.is_empty();
    let across = kind.namespaced && !one_namespace;
    if one_namespace && !kind.namespaced || across && named {
        return Err(absent());
    }
    let verb = match *method {
        Method::GET if named => Verb::Get,
        Method::GET if watch => Verb::Watch,
        Method::GET => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return Err(no_method().into()),
    };
    if !path.subresource.is_empty() {
        return subresource(kind, path, verb);
    }
    if across && !matches!(verb, Verb::List | Verb::Watch) {
        return Err(if kind.custom {
            Refusal::Nothing
        } else {
            no_method().into()
        });
    }
    // Of a custom kind that is being removed no verb but create is refused, and that one once its name is known.
    if !kind.custom && !kind.verbs.contains(&verb.name()) {
        return Err(no_method().into());
    }
    match verb {
        Verb::Update | Verb::Patch if !named && kind.custom => {
            Err(Status::bad_request("name must be provided").into())
        }
        Verb::Update | Verb::Patch if !named => Err(no_method().into()),
        Verb::Create if named && !kind.custom => Err(no_method().into()),
        verb => Ok(verb),
    }
}

fn subresource(kind: &Kind, path: &ResourcePath, verb: Verb) -> Result<Verb, Refusal> {
    let (exists, verbs): (bool, &[Verb]) = match &*path.subresource {
        "status" => (kind.status, &[Verb::Get, Verb::Update, Verb::Patch]),
        "scale" => (kind.scale.is_some(), &[Verb::Get, Verb::Update, Verb::Patch]),
        "finalize" => (kind.resource == super::forms::namespaces(), &[Verb::Update]),
        _ => (false, &[]),
    };
    if !exists {
        return Err(if kind.custom {
            Status::not_found(&kind.resource, &path.name).into()
        } else {
            Status::no_such_resource().into()
        });
    }
    if verbs.contains(&verb) {
        Ok(verb)
    } else {
        Err(not_supported(kind, verb).into())
    }
}

fn not_supported(kind: &Kind, verb: Verb) -> Status {
    if kind.custom {
        Status::method_not_allowed(&kind.resource, verb.name())
    } else {
        no_method()
    }
}

fn no_method() -> Status {
    Status {
        code: 405,
        reason: "MethodNotAllowed",
        message: "the server does not allow this method on the requested resource".to_owned(),
        details: Some(Box::new(Details::default())),
        continue_token: None,
    }
}
