//! Answers that depend on nothing but what is served: discovery and OpenAPI. Owns their cache, one per edition of the
//! kinds, their entity tags and conditional requests. Builds none of them.
//! Used by `discovery` and `openapi`; made once by whoever starts the server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha512};

use super::{
    kinds::Kinds,
    response::{self, Response},
};
use crate::clock::Clock;

/// What discovery and OpenAPI know besides the kinds, and what they answered before.
pub struct Documents {
    /// Built-in definitions by their full names, `$ref`s as in OpenAPI v3.
    pub definitions: &'static BTreeMap<String, Value>,
    /// Where clients reach this server: `127.0.0.1:6443`.
    pub address: String,
    /// For `Expires`.
    pub clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    edition: u64,
    known: BTreeMap<Name, Arc<Document>>,
}

/// Which document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Aggregated discovery of this path: `/api` or `/apis`.
    Aggregated(&'static str),
    /// The index of OpenAPI v3.
    Index,
    /// OpenAPI v3 of an entry of the index: `apis/apps/v1`.
    GroupVersion {
        /// The entry.
        entry: String,
        /// No CRD has a part in it, so that it outlives editions.
        built_in: bool,
    },
    /// OpenAPI v2 in JSON.
    Two,
    /// OpenAPI v2 in protobuf.
    TwoProtobuf,
}

/// The bytes of an answer and their tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// What is sent.
    pub body: Bytes,
    /// Upper case hexadecimal SHA-512, without quotes.
    pub tag: String,
}

impl Document {
    /// A document that is tagged by what it says.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        let tag = Sha512::digest(&body)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Self {
            body: body.into(),
            tag,
        }
    }
}

impl Documents {
    /// An empty cache.
    #[must_use]
    pub fn new(
        definitions: &'static BTreeMap<String, Value>,
        address: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            definitions,
            address,
            clock,
            held: Mutex::default(),
        }
    }

    /// The document, built at the first request of an edition. Two requests at once may both build it; neither waits.
    pub fn get(&self, kinds: &Kinds, name: Name, build: impl FnOnce() -> Document) -> Arc<Document> {
        if let Some(known) = self.known(kinds.edition, &name) {
            return known;
        }
        let built = Arc::new(build());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A request that began before the kinds changed must not bring the old ones back.
        if held.edition == kinds.edition {
            held.known.insert(name, built.clone());
        }
        built
    }

    fn known(&self, edition: u64, name: &Name) -> Option<Arc<Document>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if edition > held.edition {
            held.edition = edition;
            held.known
                .retain(|name, _| matches!(name, Name::GroupVersion { built_in: true, .. }));
        }
        let lasting = matches!(name, Name::GroupVersion { built_in: true, .. });
        (edition == held.edition || lasting)
            .then(|| held.known.get(name).cloned())
            .flatten()
    }
}

/// An answer with a document, or 304 when the client has it. `tag` may be the one of another document that says the same.
#[must_use]
pub fn conditional(
    document: &Document,
    tag: &str,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Response {
    let mut answer = if knows(headers, tag) {
        let mut empty = response::bytes(304, content_type, Bytes::new());
        empty.headers_mut().remove(header::CONTENT_TYPE);
        empty
    } else {
        response::bytes(200, content_type, document.body.clone())
    };
    set(&mut answer, header::ETAG, &format!("\"{tag}\""));
    set(&mut answer, header::VARY, "Accept");
    answer
}

/// Sets a header, unless the value cannot be one.
pub fn set(answer: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// An answer without a body or a type.
#[must_use]
pub fn empty(code: StatusCode) -> Response {
    let mut answer = response::bytes(code.as_u16(), "text/plain", Bytes::new());
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// `If-None-Match` (RFC 9110 13.1.2) by weak comparison, as it asks for.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH);
    lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|entry| {
            let entry = entry.trim();
            let strong = entry.strip_prefix("W/").unwrap_or(entry);
            entry == "*" || strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(tag)
        })
}

/// The clauses of `Accept` without parameters but `g`, `v` and `as`, best first (RFC 9110 12.5.1). Absent is anything.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> Vec<Clause> {
    let lines = headers.get_all(header::ACCEPT);
    let mut clauses: Vec<_> = lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(Clause::parse)
        .collect();
    if clauses.is_empty() && headers.get(header::ACCEPT).is_none_or(HeaderValue::is_empty) {
        clauses.push(Clause {
            media: "*/*".to_owned(),
            ..Clause::default()
        });
    }
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

/// One clause of `Accept`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clause {
    /// `application/json`, `*/*`, in lower case.
    pub media: String,
    /// `g`, `v` and `as`: which group, version and kind are to be sent.
    pub wanted: (String, String, String),
    quality: f64,
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts
            .next()
            .filter(|media| media.contains('/'))?
            .to_ascii_lowercase();
        let mut clause = Self {
            media,
            quality: 1.0,
            ..Self::default()
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"').to_owned();
            match name.trim() {
                "g" => clause.wanted.0 = value,
                "v" => clause.wanted.1 = value,
                "as" => clause.wanted.2 = value,
                "q" => {
                    clause.quality = value
                        .parse()
                        .ok()
                        .filter(|q| (0.0..=1.0).contains(q))
                        .unwrap_or(1.0)
                }
                _ => {}
            }
        }
        (clause.quality > 0.0).then_some(clause)
    }

    /// Whether this type, `type/subtype`, satisfies the clause.
    #[must_use]
    pub fn takes(&self, media: &str) -> bool {
        let wild = media.split_once('/').map(|(kind, _)| format!("{kind}/*"));
        self.media == media || self.media == "*/*" || Some(&self.media) == wild.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    fn documents() -> Documents {
        static NONE: BTreeMap<String, Value> = BTreeMap::new();
        Documents::new(&NONE, String::new(), Arc::new(System))
    }

    fn kinds(edition: u64) -> Kinds {
        Kinds::new([], edition)
    }

    fn text(text: &str) -> impl Fn() -> Document + '_ {
        move || Document::new(text.as_bytes().to_vec())
    }

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_document_is_built_once_per_edition() {
        let documents = documents();
        assert_eq!(documents.get(&kinds(1), Name::Two, text("a")).body, "a");
        assert_eq!(documents.get(&kinds(1), Name::Two, text("b")).body, "a");
        assert_eq!(documents.get(&kinds(2), Name::Two, text("c")).body, "c");
    }

    #[test]
    fn a_request_of_an_old_edition_is_answered_but_not_kept() {
        let documents = documents();
        documents.get(&kinds(2), Name::Two, text("new"));
        assert_eq!(documents.get(&kinds(1), Name::Two, text("old")).body, "old");
        assert_eq!(documents.get(&kinds(2), Name::Two, text("newer")).body, "new");
    }

    #[test]
    fn only_what_no_crd_can_change_outlives_an_edition() {
        let documents = documents();
        let name = |built_in| Name::GroupVersion {
            entry: "api/v1".to_owned(),
            built_in,
        };
        documents.get(&kinds(1), name(true), text("a"));
        documents.get(&kinds(1), name(false), text("b"));
        assert_eq!(documents.get(&kinds(2), name(true), text("c")).body, "a");
        assert_eq!(documents.get(&kinds(2), name(false), text("d")).body, "d");
    }

    #[test]
    fn a_known_tag_is_answered_with_304_and_no_body() {
        let document = Document::new(b"x".to_vec());
        let tag = &document.tag;
        assert_eq!(tag.len(), 128);
        for (given, code) in [
            (format!("\"{tag}\""), 304),
            (format!("W/\"{tag}\""), 304),
            (format!("\"other\", \"{tag}\""), 304),
            ("*".to_owned(), 304),
            (tag.clone(), 200),
            ("\"other\"".to_owned(), 200),
            (String::new(), 200),
        ] {
            let answer = conditional(
                &document,
                tag,
                "text/plain",
                &headers(header::IF_NONE_MATCH, &[&given]),
            );
            assert_eq!(answer.status(), code, "{given}");
            assert_eq!(answer.headers()[header::ETAG], format!("\"{tag}\""));
            assert_eq!(answer.headers().contains_key(header::CONTENT_TYPE), code == 200);
        }
    }

    #[test]
    fn clauses_come_best_first_and_ties_in_the_order_given() {
        let media = |lines: &[&str]| -> Vec<String> {
            accepted(&headers(header::ACCEPT, lines))
                .into_iter()
                .map(|clause| clause.media)
                .collect()
        };
        assert_eq!(
            media(&["a/b;q=0.5, c/d , E/F;q=nonsense", "g/h;q=0"]),
            ["c/d", "e/f", "a/b"]
        );
        assert_eq!(media(&[]), ["*/*"]);
        assert_eq!(media(&[""]), ["*/*"]);
        assert_eq!(media(&["nonsense"]), [""; 0]);
    }

    #[test]
    fn a_clause_says_what_it_wants() {
        let clauses = accepted(&headers(
            header::ACCEPT,
            &["application/json;as=\"L\" ; g=x;v=v2"],
        ));
        assert_eq!(
            clauses[0].wanted,
            ("x".to_owned(), "v2".to_owned(), "L".to_owned())
        );
        assert!(clauses[0].takes("application/json") && !clauses[0].takes("application/yaml"));
        let any = accepted(&headers(header::ACCEPT, &["application/*"]));
        assert!(any[0].takes("application/json") && !any[0].takes("text/html"));
    }
}
