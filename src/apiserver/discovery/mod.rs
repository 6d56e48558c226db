//! Discovery: which groups, versions and resources there are, and which version this server is. Owns `/`, `/api`,
//! `/apis`, what is below them down to a version, and `/version`; says only what is served.
//! Not the schemas: those are `openapi`. Called by `serve` for a GET of a path that is no resource.

mod aggregated;
mod groups;
mod legacy;
mod version;

use std::collections::BTreeSet;

use http::{HeaderMap, header};
use serde_json::json;

use super::{
    documents::{self, Document, Documents, Name},
    kinds::Kinds,
    names::GroupVersion,
    response::{self, Response},
    status::Status,
};

pub use groups::{Group, Resource, Subresource, Version, groups};
pub use version::{GIT_VERSION, MINOR};

/// What the aggregated form says it is. Clients go by these very words.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a GET; `None` when the path is none of discovery. Nothing here is ever refused for what the client accepts:
/// who cannot read the aggregated form gets the one form that every client reads.
#[must_use]
pub fn respond(kinds: &Kinds, documents: &Documents, path: &str, headers: &HeaderMap) -> Option<Response> {
    // A slash at the end means the same.
    let path = path.strip_suffix('/').unwrap_or(path);
    match path {
        "" => return Some(response::json(200, &json!({"paths": paths(kinds)}))),
        "/version" => return Some(response::json(200, &version::info())),
        "/api" if aggregated(headers) => return Some(all(kinds, documents, "/api", headers)),
        "/apis" if aggregated(headers) => return Some(all(kinds, documents, "/apis", headers)),
        "/api" => {
            return Some(response::json(
                200,
                &legacy::core(&groups(kinds), &documents.address),
            ));
        }
        "/apis" => return Some(response::json(200, &legacy::groups(&groups(kinds)))),
        _ => {}
    }
    if let Some(version) = path.strip_prefix("/api/") {
        return (!version.contains('/')).then(|| resources(kinds, &GroupVersion::new("", version)));
    }
    let rest = path.strip_prefix("/apis/")?;
    match rest.split_once('/') {
        None => Some(group(kinds, rest)),
        Some((_, version)) if version.contains('/') => None,
        Some(("", _)) => Some(response::nothing_here()),
        Some((group, version)) => Some(resources(kinds, &GroupVersion::new(group, version))),
    }
}

/// Paths that lead somewhere, in order (`kubectl get --raw /`).
fn paths(kinds: &Kinds) -> BTreeSet<String> {
    let fixed = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ];
    let mut paths = BTreeSet::from(fixed.map(str::to_owned));
    for group in groups(kinds) {
        let above = match group.name {
            "" => "/api".to_owned(),
            name => format!("/apis/{name}"),
        };
        for version in &group.versions {
            paths.insert(format!("{above}/{}", version.name));
        }
        paths.insert(above);
    }
    paths
}

/// Whether the client would rather have the aggregated form than plain JSON.
fn aggregated(headers: &HeaderMap) -> bool {
    let clauses = documents::accepted(headers);
    let wanted = |(g, v, list): &(String, String, String)| {
        g == "apidiscovery.k8s.io" && v == "v2" && list == "APIGroupDiscoveryList"
    };
    clauses
        .iter()
        .filter(|clause| clause.takes("application/json"))
        .find(|clause| clause.wanted.2.is_empty() || wanted(&clause.wanted))
        .is_some_and(|clause| wanted(&clause.wanted))
}

fn all(kinds: &Kinds, documents: &Documents, path: &'static str, headers: &HeaderMap) -> Response {
    let document = documents.get(kinds, Name::Aggregated(path), || {
        let groups = groups(kinds);
        let these = groups
            .iter()
            .filter(|group| group.name.is_empty() == (path == "/api"));
        Document::new(aggregated::list(these).to_string().into_bytes())
    });
    let mut answer = documents::conditional(&document, &document.tag, AGGREGATED, headers);
    documents::set(&mut answer, header::CACHE_CONTROL, "public");
    answer
}

fn group(kinds: &Kinds, name: &str) -> Response {
    match groups(kinds)
        .iter()
        .find(|group| group.name == name && !name.is_empty())
    {
        Some(group) => response::json(200, &legacy::group(group)),
        None => response::nothing_here(),
    }
}

fn resources(kinds: &Kinds, version: &GroupVersion) -> Response {
    let groups = groups(kinds);
    let group = groups.iter().find(|group| group.name == &*version.group);
    let Some(group) = group else {
        return response::nothing_here();
    };
    let found = group
        .versions
        .iter()
        .find(|known| known.name == &*version.version);
    match found {
        Some(found) => response::json(200, &legacy::resources(version, found)),
        // The API server answers so where the group is its own.
        None if group.built_in => response::refusal(&Status::no_such_resource()),
        None => response::nothing_here(),
    }
}

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;
