//! The one error of this room: a `metav1.Status`, with the codes, reasons and words of a Kubernetes API server
//! (`k8s.io/apimachinery/pkg/api/errors`). Owns how each is built and its JSON; decides nothing about when.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{field_error::FieldError, names::GroupResource};

/// One entry of `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`, ...
    pub reason: String,
    /// What a person reads.
    pub message: String,
    /// The path of the field; empty when it is about none.
    pub field: String,
}

/// `details` of a status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The group.
    pub group: String,
    /// The plural for 404 and 409, the kind for 422.
    pub kind: String,
    /// The object's uid.
    pub uid: String,
    /// What exactly.
    pub causes: Vec<Cause>,
    /// After how many seconds it is worth trying again; 0 says nothing.
    pub retry_after: u32,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// The machine's word for it; empty when there is none.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
    /// `metadata.continue`: with 410, where a list can go on inconsistently.
    pub continue_token: Option<String>,
}

impl std::error::Error for Status {}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a room function answers with.
pub type Result<T, E = Status> = std::result::Result<T, E>;

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }
    }

    fn about(mut self, of: &GroupResource, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: of.group.to_string(),
            kind: of.resource.to_string(),
            ..Details::default()
        }));
        self
    }

    /// With details of the caller's.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// With one more cause.
    #[must_use]
    pub fn with_cause(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        let cause = Cause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// 400 `BadRequest`.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401 `Unauthorized`.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 `Forbidden`: `secrets "x" is forbidden: <why>`; without a name `secrets is forbidden: <why>`.
    #[must_use]
    pub fn forbidden(of: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = if name.is_empty() {
            format!("{of} is forbidden: {why}")
        } else {
            format!("{of} {name:?} is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(of, name)
    }

    /// 403 `Forbidden` for a path that is no resource: `forbidden: User "x" cannot get path "/metrics"`.
    #[must_use]
    pub fn forbidden_path(why: impl fmt::Display) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}")).with_details(Details::default())
    }

    /// 404 `NotFound`: `secrets "x" not found`.
    #[must_use]
    pub fn not_found(of: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{of} {name:?} not found")).about(of, name)
    }

    /// 404 for a path that leads nowhere below a group that is served.
    #[must_use]
    pub fn no_such_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details(Details::default())
    }

    /// 405 `MethodNotAllowed`.
    #[must_use]
    pub fn method_not_allowed(of: &GroupResource, verb: &str) -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            format!("{verb} is not supported on resources of kind \"{of}\""),
        )
        .about(of, "")
    }

    /// 405 `MethodNotAllowed` for a method that means nothing here.
    #[must_use]
    pub fn no_such_method() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details(Details::default())
    }

    /// 406 `NotAcceptable`.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        Self::new(
            406,
            "NotAcceptable",
            format!(
                "only the following media types are accepted: {}",
                accepted.join(", ")
            ),
        )
        .with_details(Details::default())
    }

    /// 409 `AlreadyExists`.
    #[must_use]
    pub fn already_exists(of: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{of} {name:?} already exists")).about(of, name)
    }

    /// 409 `Conflict`: `Operation cannot be fulfilled on secrets "x": <why>`.
    #[must_use]
    pub fn conflict(of: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {of} {name:?}: {why}"),
        )
        .about(of, name)
    }

    /// 409 `Conflict` of an update that was made from an older version.
    #[must_use]
    pub fn modified(of: &GroupResource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(of, name, why)
    }

    /// 409 `Conflict` with a message and causes of the caller's: conflicts of server-side apply.
    #[must_use]
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<Cause>) -> Self {
        Self::new(409, "Conflict", message).with_details(Details {
            causes,
            ..Details::default()
        })
    }

    /// 410 `Expired`.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413 `RequestEntityTooLarge`.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415 `UnsupportedMediaType`.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 422 `Invalid`: `Kind.group "name" is invalid: <findings>`, a cause each.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, findings: &[FieldError]) -> Self {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let listed = match findings {
            [] => String::new(),
            [one] => format!(": {one}"),
            many => {
                let mut texts: Vec<String> = Vec::with_capacity(many.len());
                for text in many.iter().map(ToString::to_string) {
                    if !texts.contains(&text) {
                        texts.push(text);
                    }
                }
                if texts.len() == 1 {
                    format!(": {}", texts[0])
                } else {
                    format!(": [{}]", texts.join(", "))
                }
            }
        };
        let causes = findings
            .iter()
            .map(|finding| Cause {
                reason: finding.kind.reason().to_owned(),
                message: finding.body(),
                field: finding.field.clone(),
            })
            .collect();
        Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid{listed}")).with_details(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes,
            ..Details::default()
        })
    }

    /// 422 `Invalid` of options: `CreateOptions.meta.k8s.io "" is invalid: ...`.
    #[must_use]
    pub fn invalid_options(kind: &str, findings: &[FieldError]) -> Self {
        Self::invalid("meta.k8s.io", kind, "", findings)
    }

    /// 422 `Invalid` without a kind: a JSON patch that cannot be applied.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message).with_details(Details::default())
    }

    /// 429 `TooManyRequests`.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after: u32) -> Self {
        Self::new(429, "TooManyRequests", message).with_details(Details {
            retry_after,
            ..Details::default()
        })
    }

    /// 500 `InternalError`: a mistake of ours, never of the caller's.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .with_cause("", message, "")
    }

    /// 503 `ServiceUnavailable`: not loaded yet, or the disk takes no writes.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 504 `Timeout`.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(504, "Timeout", message).with_details(Details::default())
    }

    /// 504 `Timeout` of a read from the future.
    #[must_use]
    pub fn too_large_resource_version(asked: u64, current: u64) -> Self {
        Self::new(
            504,
            "Timeout",
            format!("Too large resource version: {asked}, current: {current}"),
        )
        .with_details(Details {
            retry_after: 1,
            ..Details::default()
        })
        .with_cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    /// The body that goes to the client.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), token.clone().into());
        }
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            body["details"] = details.to_json();
        }
        body
    }
}

impl Details {
    /// Without what is empty.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (key, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !value.is_empty() {
                map.insert(key.to_owned(), value.clone().into());
            }
        }
        if !self.causes.is_empty() {
            map.insert(
                "causes".to_owned(),
                self.causes.iter().map(Cause::to_json).collect(),
            );
        }
        if self.retry_after > 0 {
            map.insert("retryAfterSeconds".to_owned(), self.retry_after.into());
        }
        Value::Object(map)
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (key, value) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !value.is_empty() {
                map.insert(key.to_owned(), value.clone().into());
            }
        }
        Value::Object(map)
    }
}
