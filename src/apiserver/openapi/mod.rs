//! OpenAPI: the schemas and operations of what is served, in version 3 per group and version and in version 2 at once.
//! Owns `/openapi/v2` and `/openapi/v3` and what clients may ask for there: JSON, and for version 2 also protobuf.
//! A document that fails would make clients refuse the whole server, so that building one cannot fail: what a definition
//! refers to and nobody has becomes an object without a schema. Called by `serve` for a GET of a path that is no resource.

mod definitions;
mod gnostic;
mod operations;
mod protobuf;
mod publish;
mod three;
mod two;

use http::{HeaderMap, StatusCode, header};
use jiff::{ToSpan, fmt::strtime, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{
    discovery::{Group, groups},
    documents::{self, Document, Documents, Name},
    kinds::Kinds,
    names::GroupVersion,
    response::Response,
};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients ask for instead: this name is older and no valid type.
const PROTOBUF_OLD: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const INDEX: &str = "/openapi/v3";

/// Answers a GET; `None` when the path is none of OpenAPI. `query` is what follows `?`.
#[must_use]
pub fn respond(
    kinds: &Kinds,
    documents: &Documents,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> Option<Response> {
    match path {
        "/openapi/v2" => Some(two_answer(kinds, documents, headers)),
        INDEX => {
            let index = index(kinds, documents);
            Some(documents::conditional(&index, &index.tag, JSON, headers))
        }
        _ => {
            let entry = path.strip_prefix("/openapi/v3/")?;
            Some(three_answer(kinds, documents, entry, query, headers))
        }
    }
}

/// `/openapi/v2`: the first clause that can be satisfied wins, anything is JSON.
fn two_answer(kinds: &Kinds, documents: &Documents, headers: &HeaderMap) -> Response {
    for clause in documents::accepted(headers) {
        if clause.takes(JSON) {
            let document = two(kinds, documents);
            return documents::conditional(&document, &document.tag, JSON, headers);
        }
        if clause.takes(PROTOBUF) || clause.takes(PROTOBUF_OLD) {
            let (tag, document) = two_protobuf(kinds, documents);
            return documents::conditional(&document, &tag, PROTOBUF, headers);
        }
    }
    not_acceptable()
}

fn two(kinds: &Kinds, documents: &Documents) -> std::sync::Arc<Document> {
    documents.get(kinds, Name::Two, || {
        Document::new(
            two::document(kinds, documents.definitions)
                .to_string()
                .into_bytes(),
        )
    })
}

/// With the tag of the same document in JSON: `Vary` tells the two apart.
fn two_protobuf(kinds: &Kinds, documents: &Documents) -> (String, std::sync::Arc<Document>) {
    let document = documents.get(kinds, Name::TwoProtobuf, || {
        let whole = two::document(kinds, documents.definitions);
        let tag = Document::new(whole.to_string().into_bytes()).tag;
        Document {
            body: gnostic::encode(&whole).into(),
            tag,
        }
    });
    (document.tag.clone(), document)
}

/// `/openapi/v3/{entry}`. A hash that is not the document's leads to the one that is, which may be kept for ever.
fn three_answer(
    kinds: &Kinds,
    documents: &Documents,
    entry: &str,
    query: &str,
    headers: &HeaderMap,
) -> Response {
    let groups = groups(kinds);
    let Some(document) = three(kinds, documents, &groups, entry) else {
        return documents::empty(StatusCode::NOT_FOUND);
    };
    if !documents::accepted(headers)
        .iter()
        .any(|clause| clause.takes(JSON))
    {
        return not_acceptable();
    }
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "hash");
    let asked = asked.map(|(_, hash)| hash).filter(|hash| !hash.is_empty());
    match asked {
        None => documents::conditional(&document, &document.tag, JSON, headers),
        Some(hash) if hash != document.tag => {
            let mut answer = documents::empty(StatusCode::MOVED_PERMANENTLY);
            documents::set(&mut answer, header::LOCATION, &place(entry, &document.tag));
            documents::set(&mut answer, header::ETAG, &format!("\"{}\"", document.tag));
            documents::set(&mut answer, header::VARY, "Accept");
            answer
        }
        Some(_) => {
            let mut answer = documents::conditional(&document, &document.tag, JSON, headers);
            documents::set(&mut answer, header::CACHE_CONTROL, "public, immutable");
            if let Ok(expires) = documents
                .clock
                .now()
                .to_zoned(TimeZone::UTC)
                .checked_add(1.year())
            {
                let text = strtime::format("%a, %d %b %Y %H:%M:%S GMT", &expires).unwrap_or_default();
                documents::set(&mut answer, header::EXPIRES, &text);
            }
            answer
        }
    }
}

/// The document of an entry of the index, or nothing when there is none.
fn three(
    kinds: &Kinds,
    documents: &Documents,
    groups: &[Group<'_>],
    entry: &str,
) -> Option<std::sync::Arc<Document>> {
    let version = match entry.strip_prefix("apis/") {
        Some(named) => GroupVersion::parse(named).filter(|version| !version.group.is_empty())?,
        None => {
            GroupVersion::parse(entry.strip_prefix("api/")?).filter(|version| version.group.is_empty())?
        }
    };
    let group = groups.iter().find(|group| group.name == &*version.group)?;
    let found = group
        .versions
        .iter()
        .find(|known| known.name == &*version.version)?;
    let built_in = found.resources.iter().all(|resource| !resource.kind.custom);
    let name = Name::GroupVersion {
        entry: entry.to_owned(),
        built_in,
    };
    Some(documents.get(kinds, name, || {
        Document::new(
            three::document(&found.resources, documents.definitions)
                .to_string()
                .into_bytes(),
        )
    }))
}

fn index(kinds: &Kinds, documents: &Documents) -> std::sync::Arc<Document> {
    documents.get(kinds, Name::Index, || {
        let groups = groups(kinds);
        let mut paths = Map::new();
        for group in &groups {
            for version in &group.versions {
                let entry = entry(group.name, version.name);
                if let Some(document) = three(kinds, documents, &groups, &entry) {
                    let place = json!({ "serverRelativeURL": place(&entry, &document.tag) });
                    paths.insert(entry, place);
                }
            }
        }
        let whole: Value = json!({ "paths": paths });
        Document::new(whole.to_string().into_bytes())
    })
}

fn entry(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn place(entry: &str, tag: &str) -> String {
    format!("{INDEX}/{entry}?hash={tag}")
}

fn not_acceptable() -> Response {
    let mut answer = documents::empty(StatusCode::NOT_ACCEPTABLE);
    documents::set(&mut answer, header::VARY, "Accept");
    answer
}

#[cfg(test)]
mod tests;
