//! The probes of a container as written: startup, readiness, liveness, in the fields of Kubernetes.
//! Owns the fields and what they mean when absent; rules are in `validate/probe.rs`, the typed form that is acted upon in
//! `state::probe`. Read by `state::build`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::port_or_name;

/// A question that a container is asked again and again. Exactly one of httpGet, tcpSocket and exec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// An HTTP request to the instance's own address; a status from 200 to 399 is a yes. Redirects are not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGet>,

    /// A TCP connection to the instance's own address; one that is accepted is a yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocket>,

    /// A command inside the container; exit code 0 is a yes. It costs the host some 60 ms of CPU each time: prefer httpGet or tcpSocket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecAction>,

    /// Seconds after the start of the container before the first question. 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub initial_delay_seconds: Option<i32>,

    /// Seconds from one question to the next. 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub period_seconds: Option<i32>,

    /// Seconds after which no answer is a no. 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<i32>,

    /// How many yes in a row are needed after a no. 1 if absent, and 1 for startup and liveness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub success_threshold: Option<i32>,

    /// How many no in a row are a failure. 3 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub failure_threshold: Option<i32>,

    /// Seconds between the stop signal and the kill when this probe demands a restart. The pod's if absent; not for readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// An HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet {
    /// Path, with query if needed. / if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub path: Option<String>,

    /// Port of the container, or the name of one of its ports.
    #[schemars(schema_with = "port_or_name")]
    pub port: IntOrString,

    /// HTTP (also if absent) or HTTPS, whose certificate is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,

    /// Headers. Host sets the host header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub http_headers: Vec<HttpHeader>,
}

/// How an HTTP request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

/// One header of an HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// Its value. It is visible in `docker inspect`: no place for a secret.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// A TCP connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpSocket {
    /// Port of the container, or the name of one of its ports.
    #[schemars(schema_with = "port_or_name")]
    pub port: IntOrString,
}

/// A command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecAction {
    /// The command and its arguments; no shell is put around them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
}
