//! What a request says: its path, its parameters, what it accepts, and its body as JSON. Owns parsing and the errors for
//! everything malformed; looks up no object. Called by `serve` (path) and `verbs` (the rest).

mod body;
mod delete;
mod envelope;
mod media;
mod options;
mod path;
mod query;
mod tree;

use serde_json::Value;

use super::names::GroupVersion;

pub use body::{body, patch_body};
pub use delete::{DeleteOptions, delete_options};
pub use media::{OBJECT_TYPES, WATCH_TYPES, accept};
pub use path::path;
pub use query::query;

/// A path of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Below a group and version: a resource.
    Resource(ResourcePath),
    /// Anything else: discovery, health, OpenAPI. Not percent-decoded.
    Other(String),
}

/// `/apis/{group}/{version}[/namespaces/{namespace}]/{plural}[/{name}[/{subresource}]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePath {
    /// Group and version.
    pub version: GroupVersion,
    /// Empty for cluster scope or all namespaces.
    pub namespace: String,
    /// The plural.
    pub resource: String,
    /// Empty for a collection.
    pub name: String,
    /// `status`, `scale`, `finalize`, ...; usually empty.
    pub subresource: String,
}

/// Query parameters, by name; unknown ones are ignored, as the API server does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `limit`; 0 is all.
    pub limit: usize,
    /// `continue`.
    pub continue_token: String,
    /// `resourceVersion`, as given.
    pub resource_version: String,
    /// `resourceVersionMatch`, as given.
    pub resource_version_match: String,
    /// `labelSelector`, as given.
    pub label_selector: String,
    /// `fieldSelector`, as given.
    pub field_selector: String,
    /// `watch`.
    pub watch: bool,
    /// `allowWatchBookmarks`.
    pub allow_watch_bookmarks: bool,
    /// `sendInitialEvents`; absent is not false.
    pub send_initial_events: Option<bool>,
    /// `timeoutSeconds`.
    pub timeout_seconds: Option<u64>,
    /// `dryRun`: every value given.
    pub dry_run: Vec<String>,
    /// `fieldManager`.
    pub field_manager: String,
    /// `fieldValidation`, as given.
    pub field_validation: String,
    /// `force`; absent is not false.
    pub force: Option<bool>,
    /// `pretty`.
    pub pretty: bool,
    /// `includeObject`, as given.
    pub include_object: String,
    /// `gracePeriodSeconds`.
    pub grace_period_seconds: Option<i64>,
    /// `propagationPolicy`, as given.
    pub propagation_policy: String,
    /// `orphanDependents`.
    pub orphan_dependents: Option<bool>,
}

/// In which shape the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The object or list itself.
    Whole,
    /// `meta.k8s.io` `Table`.
    Table,
    /// `PartialObjectMetadata`, for a list `PartialObjectMetadataList`.
    Metadata,
}

/// What the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// The shape.
    pub shape: Shape,
    /// YAML instead of JSON.
    pub yaml: bool,
}

/// A type of patch that is served, by the content type of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`, RFC 6902.
    Json,
    /// `application/merge-patch+json`, RFC 7386.
    Merge,
    /// `application/strategic-merge-patch+json`, for built-in kinds only.
    Strategic,
    /// `application/apply-patch+yaml`, server-side apply.
    Apply,
}

/// A decoded body, with what strict validation has against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The body.
    pub object: Value,
    /// `unknown field "spec.x"` is found by `schema`; here: `duplicate field "spec.x"`.
    pub strict: Vec<String>,
}
