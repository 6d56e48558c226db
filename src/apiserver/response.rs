//! What goes back over HTTP: JSON, a `Status`, a stream. Owns the body type and the headers every answer has.
//! Decides nothing. Used by whatever answers a request.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

use super::status::Status;

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub type Response = http::Response<Body>;

/// An answer with these bytes.
#[must_use]
pub fn bytes(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer in JSON.
#[must_use]
pub fn json(code: u16, body: &Value) -> Response {
    bytes(code, "application/json", body.to_string())
}

/// A refusal, with `Retry-After` when it says so.
#[must_use]
pub fn refusal(status: &Status) -> Response {
    let mut response = json(status.code, &status.to_json());
    if let Some(details) = status.details.as_ref().filter(|details| details.retry_after > 0) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(details.retry_after));
    }
    response
}

/// The text that a Kubernetes API server answers with where nothing is.
#[must_use]
pub fn nothing_here() -> Response {
    bytes(404, "text/plain; charset=utf-8", "404 page not found\n")
}

/// The answer without its body, as HEAD is answered.
#[must_use]
pub fn headers_only(answer: Response) -> Response {
    answer.map(|_| Full::default().boxed_unsync())
}

/// Adds a `Warning` header per text (RFC 9111 5.5, code 299).
pub fn warn(response: &mut Response, warnings: &[String]) {
    for text in warnings {
        let quoted: String = text
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| {
                if matches!(c, '"' | '\\') {
                    vec!['\\', c]
                } else {
                    vec![c]
                }
            })
            .collect();
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}
