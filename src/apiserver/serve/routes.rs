//! Who answers what: resources go to `verbs`, descriptions to discovery and OpenAPI, `/metrics` is answered here.
//! Owns the order in which they are asked. The port is a trait, so that tests of `handler` need no store.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::request::Parts;

use crate::{
    apiserver::{
        authorize::User,
        discovery,
        documents::Documents,
        openapi,
        request::ResourcePath,
        response::{self, Response},
        verbs::{self, Api},
    },
    telemetry::metrics::Metrics,
};

/// Answers requests that are allowed.
pub trait Routes: Send + Sync + 'static {
    /// A request about a resource, with its whole body.
    fn resource(&self, user: User, path: ResourcePath, parts: Parts, body: Bytes) -> BoxFuture<'_, Response>;

    /// A GET of any other path.
    fn other(&self, path: &str, parts: &Parts) -> Response;
}

/// Brings gauges up to date before they are read.
pub type Refresh = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// The real ones.
pub(super) struct ApiRoutes {
    pub(super) api: Api,
    pub(super) documents: Documents,
    pub(super) metrics: Metrics,
    pub(super) refresh: Refresh,
}

impl Routes for ApiRoutes {
    fn resource(&self, user: User, path: ResourcePath, parts: Parts, body: Bytes) -> BoxFuture<'_, Response> {
        Box::pin(async move { verbs::respond(&self.api, &user, &path, &parts, body).await })
    }

    fn other(&self, path: &str, parts: &Parts) -> Response {
        if path == "/metrics" {
            (self.refresh)(&self.metrics);
            return response::bytes(
                200,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                self.metrics.text(),
            );
        }
        let (kinds, documents) = (self.api.kinds.load(), &self.documents);
        let query = parts.uri.query().unwrap_or_default();
        discovery::respond(&kinds, documents, path, &parts.headers)
            .or_else(|| openapi::respond(&kinds, documents, path, query, &parts.headers))
            .unwrap_or_else(response::nothing_here)
    }
}
