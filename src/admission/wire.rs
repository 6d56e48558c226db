//! `AdmissionReview` of `admission.k8s.io/v1`, in and out. Owns what of it is read and the shape of the answer; the types
//! are ours, because those of `kube` bring a crate for JSON patches, which a webhook that only validates never sends, and
//! objects that are half parsed, where the rules read them whole. What is malformed is told by its place, never by its
//! content: that may be a secret.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    review::{Operation, Review},
    verdict::Verdict,
};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What was sent is no review. The text goes to the API server, which puts it into its log or its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is no {KIND} of {API_VERSION}: {0}")]
pub struct Malformed(String);

/// A request for a review.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Names the request in its answer.
    pub uid: String,
    resource: Resource,
    #[serde(default)]
    sub_resource: Option<String>,
    operation: String,
    #[serde(default)]
    user_info: UserInfo,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    old_object: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Resource {
    #[serde(default)]
    group: String,
    resource: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct UserInfo {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    kind: String,
    request: Option<Request>,
}

/// Reads a request.
///
/// # Errors
/// [`Malformed`], also when the objects are missing that its operation has.
pub fn read(body: &[u8]) -> Result<Request, Malformed> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read: Envelope = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        let place = format!("line {}, column {}", cause.line(), cause.column());
        Malformed(match cause.classify() {
            serde_json::error::Category::Data => format!("{path} is missing or of the wrong type ({place})"),
            _ => format!("it is no JSON ({place})"),
        })
    })?;
    reader
        .end()
        .map_err(|_| Malformed("something follows the JSON".to_owned()))?;
    if (read.api_version.as_str(), read.kind.as_str()) != (API_VERSION, KIND) {
        return Err(Malformed("apiVersion or kind is another".to_owned()));
    }
    let request = read
        .request
        .ok_or_else(|| Malformed("request is missing".to_owned()))?;
    if request.uid.is_empty() {
        return Err(Malformed("request.uid is empty".to_owned()));
    }
    let review = request.review();
    let (new, old) = match review.operation {
        Operation::Create => (true, false),
        Operation::Update => (true, true),
        Operation::Delete => (false, true),
        Operation::Other => (false, false),
    };
    if new && !review.object.is_some_and(Value::is_object) {
        return Err(Malformed("request.object is missing or no object".to_owned()));
    }
    if old && !review.old.is_some_and(Value::is_object) {
        return Err(Malformed("request.oldObject is missing or no object".to_owned()));
    }
    Ok(request)
}

impl Request {
    /// What is asked.
    #[must_use]
    pub fn review(&self) -> Review<'_> {
        Review {
            operation: match self.operation.as_str() {
                "CREATE" => Operation::Create,
                "UPDATE" => Operation::Update,
                "DELETE" => Operation::Delete,
                _ => Operation::Other,
            },
            group: &self.resource.group,
            resource: &self.resource.resource,
            subresource: self.sub_resource.as_deref().unwrap_or_default(),
            object: self.object.as_ref(),
            old: self.old_object.as_ref(),
            user: self.user_info.username.as_deref().unwrap_or_default(),
            groups: self.user_info.groups.as_deref().unwrap_or_default(),
        }
    }
}

/// The answer to the request of this uid.
#[must_use]
pub fn answer(uid: &str, verdict: &Verdict) -> Value {
    let mut response = json!({ "uid": uid, "allowed": verdict.refusal.is_none() });
    if let Some(refusal) = &verdict.refusal {
        response["status"] = refusal.to_json();
    }
    if !verdict.warnings.is_empty() {
        response["warnings"] = verdict.warnings.clone().into();
    }
    json!({ "apiVersion": API_VERSION, "kind": KIND, "response": response })
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
