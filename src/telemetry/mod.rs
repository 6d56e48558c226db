//! Logs, metrics and health endpoints. Knows no Kubernetes and no engine: label values come in as words of closed sets.

pub mod http;
pub mod metrics;
