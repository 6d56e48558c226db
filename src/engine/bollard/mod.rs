//! The adapter to Docker over bollard. Owns the client, the bound in time of every call, and the translation of what
//! comes back into our words; bollard's types stop at this folder's door. Sends no version in its requests (bollard 0.21
//! drops it), so every engine answers in its newest shape, and all fields are read as if they might be absent.
//! Built by `cli`; called through the traits of `engine`.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Error, Kind, Op, Result};
use wire::Wire;

mod classify;
mod commands;
mod containers;
mod create;
mod daemon;
mod endpoint;
mod files;
mod images;
mod networks;
mod streams;
mod view;
mod volumes;
mod wire;

pub use endpoint::{Endpoint, TlsFiles};

/// A Docker engine. Cheap to clone; opens a connection per call.
#[derive(Clone)]
pub struct Docker {
    api: ::bollard::Docker,
    wire: Arc<Wire>,
    endpoint: Arc<str>,
}

/// Why a call has no good answer, before it is put into our words.
enum Failure {
    /// No answer, or half of one.
    Silent(String),
    /// A refusal.
    Answer { status: u16, text: String },
    /// An answer that is not what the API promises.
    Nonsense(String),
}

/// Answers longer than this are not an engine's; the longest are lists, at about 1 kB a container.
const LONGEST_ANSWER: usize = 256 << 20;

impl Docker {
    /// Prepares the client. Opens no connection, so an engine that is not there yet is no error; TLS files that cannot
    /// be read are.
    pub fn connect(endpoint: &Endpoint) -> Result<Self> {
        let wire = Arc::new(Wire::new(endpoint)?);
        let sender = Arc::clone(&wire);
        // bollard's own timeout covers the answer's head alone, so ours is used and this one never strikes.
        let never = u64::from(u32::MAX);
        let api = ::bollard::Docker::connect_with_custom_transport(
            move |request: ::bollard::BollardRequest| {
                let wire = Arc::clone(&sender);
                async move { wire.send(request).await }
            },
            Some("http://engine"),
            never,
            ::bollard::API_DEFAULT_VERSION,
        )
        .map_err(|e| Error::new(Op::Connect, endpoint.to_string(), Kind::Invalid, e.to_string()))?;
        Ok(Self {
            api,
            wire,
            endpoint: endpoint.to_string().into(),
        })
    }

    /// Runs one call of bollard within its bound; a refusal becomes an [`Error`].
    async fn ask<T>(
        &self,
        op: Op,
        subject: &str,
        call: impl Future<Output = std::result::Result<T, ::bollard::errors::Error>>,
    ) -> Result<T> {
        let call = async { call.await.map_err(Failure::from) };
        self.within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, subject, failure))
    }

    /// Runs one call that changes something; a refusal that says "it is so already" is a success.
    async fn tell<T>(
        &self,
        op: Op,
        subject: &str,
        limit: Duration,
        call: impl Future<Output = std::result::Result<T, ::bollard::errors::Error>>,
    ) -> Result<()> {
        let call = async { call.await.map_err(Failure::from) };
        match self.within(op, limit, call).await {
            Ok(_) => Ok(()),
            Err(Failure::Answer { status, text }) if classify::already_so(op, status, &text) => Ok(()),
            Err(failure) => Err(self.error(op, subject, failure)),
        }
    }

    async fn within<T>(
        &self,
        op: Op,
        limit: Duration,
        call: impl Future<Output = std::result::Result<T, Failure>>,
    ) -> std::result::Result<T, Failure> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Silent(format!(
                "no answer to {op} within {} s",
                limit.as_secs()
            ))),
        }
    }

    /// One request past bollard: the answer's head, if it is a good one.
    async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        auth: Option<HeaderValue>,
    ) -> std::result::Result<Response<Incoming>, Failure> {
        self.good(self.wire.call(method, path, body, auth).await?).await
    }

    /// The answer, if it is a good one.
    async fn good(&self, response: Response<Incoming>) -> std::result::Result<Response<Incoming>, Failure> {
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = whole(response).await.unwrap_or_default();
        let text = serde_json::from_slice::<Refusal>(&body).map_or_else(
            |_| String::from_utf8_lossy(&body).into_owned(),
            |refusal| refusal.message,
        );
        Err(Failure::Answer {
            status: status.as_u16(),
            text,
        })
    }

    /// One request past bollard whose answer is read to its end.
    async fn raw_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> std::result::Result<T, Failure> {
        let response = self.raw(method, path, body, None).await?;
        let body = whole(response).await?;
        // serde_json's error names a place and a type, never the text.
        serde_json::from_slice(&body).map_err(|e| Failure::Nonsense(e.to_string()))
    }

    fn error(&self, op: Op, subject: &str, failure: Failure) -> Error {
        match failure {
            Failure::Silent(message) => Error::new(
                op,
                subject,
                Kind::Unreachable,
                format!("{}: {message}", self.endpoint),
            ),
            Failure::Answer { status, text } => {
                let kind = classify::kind(op, status, &text, subject);
                let text = if text.trim().is_empty() {
                    format!("the engine answered {status}")
                } else {
                    text
                };
                Error::new(op, subject, kind, text.trim())
            }
            Failure::Nonsense(message) => Error::new(
                op,
                subject,
                Kind::Failed,
                format!("the engine's answer cannot be read: {message}"),
            ),
        }
    }
}

/// The engine's way to refuse.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// How long a call may take: longer than any good answer took under load, shorter than a lease.
fn limit(op: Op) -> Duration {
    Duration::from_secs(match op {
        Op::Ping
        | Op::Info
        | Op::Events
        | Op::Logs
        | Op::ListContainers
        | Op::InspectContainer
        | Op::ReadLink
        | Op::ReadFile
        | Op::InspectImage
        | Op::ListImages
        | Op::ListNetworks
        | Op::ListVolumes => 10,
        Op::PullImage => 30 * 60,
        Op::LoadImage => 5 * 60,
        Op::RunCommand => 60 * 60,
        _ => 30,
    })
}

/// Reads a body to its end.
async fn whole(response: Response<Incoming>) -> std::result::Result<Bytes, Failure> {
    match Limited::new(response.into_body(), LONGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(Failure::Silent(format!("the answer broke off: {error}"))),
    }
}

/// Quotes a text for a path or a query: all but letters, digits and `-._~`.
fn quoted(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
}

impl From<::bollard::errors::Error> for Failure {
    fn from(error: ::bollard::errors::Error) -> Self {
        use ::bollard::errors::Error as E;
        match error {
            E::DockerResponseServerError { status_code, message } => Self::Answer {
                status: status_code,
                text: message,
            },
            E::DockerStreamError { error } => Self::Answer {
                status: 500,
                text: error,
            },
            E::JsonDataError { message, .. } => Self::Nonsense(message),
            E::JsonSerdeError { err } => Self::Nonsense(err.to_string()),
            E::RequestTimeoutError => Self::Silent("no answer in time".to_owned()),
            other => Self::Silent(with_causes(&other)),
        }
    }
}

/// An error's text with those of its causes, since hyper says why in the second line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_reference_with_slashes_survives_a_query() {
        assert_eq!(quoted("a.b:5/c@sha256:0 ü"), "a.b%3A5%2Fc%40sha256%3A0%20%C3%BC");
    }
}
