//! Lists: which revision, which page, which objects, and the body, which is made while it is sent and, for plain JSON,
//! of what is stored without being parsed. Owns the semantics of `resourceVersion`, `limit` and `continue`.
//! Called for GET and DELETE of a collection.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    super::{
        kinds::Kind,
        request::{Query, Shape},
        response::Response,
        status::{Result, Status},
        store::{Range, Record, RevisionError},
        table::{self, Printer},
    },
    Api, chunks,
    forms::{self, is_served_as_stored},
    render::Rendering,
    select::Selection,
    token::Token,
};

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a \
    new list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
    the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
    modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// A page of what was asked for.
#[derive(Debug)]
pub(super) struct Listed {
    /// In order of namespace and name.
    pub records: Vec<Arc<Record>>,
    revision: u64,
    next: Option<Token>,
    remaining: Option<usize>,
}

/// Where a list begins and as of when.
#[derive(Debug, Default, PartialEq, Eq)]
struct Start {
    at: Option<u64>,
    after: Option<(Arc<str>, Arc<str>)>,
    limit: usize,
    continues: bool,
}

/// A resource version of a query; 0 and nothing are both "any".
///
/// # Errors
/// 400.
pub(super) fn version(text: &str) -> Result<u64> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().ok().filter(|_| !text.starts_with('+')).ok_or_else(|| {
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing \
             {text:?}: invalid syntax"
        ))
    })
}

impl Start {
    fn new(query: &Query, current: u64) -> Result<Self> {
        let mut start = Self {
            limit: if query.resource_version == "0" {
                0
            } else {
                query.limit
            },
            ..Self::default()
        };
        let asked = version(&query.resource_version)?;
        if !query.continue_token.is_empty() {
            if asked != 0 {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let token = Token::decode(&query.continue_token)?;
            start.at = token.revision;
            start.after = Some(token.after);
            start.continues = true;
            return Ok(start);
        }
        if asked > current {
            return Err(forms::too_large(asked, current));
        }
        let exact = match &*query.resource_version_match {
            "Exact" => true,
            "" => query.limit > 0,
            _ => false,
        };
        start.at = (asked > 0 && exact).then_some(asked);
        Ok(start)
    }

    fn refuse(&self, error: &RevisionError) -> Status {
        match &self.after {
            // One from the future is of a store that is gone: it is as useless, and the client can begin anew.
            Some(after) if self.continues => {
                let mut status = Status::expired(TOO_OLD);
                let token = Token {
                    revision: None,
                    after: after.clone(),
                };
                status.continue_token = Some(token.encode());
                status
            }
            _ => forms::unlisted(error),
        }
    }
}

impl Api {
    /// The page that a query asks for.
    ///
    /// # Errors
    /// 400, 410, 504.
    pub(super) fn gather(
        &self,
        kind: &Kind,
        namespace: &str,
        query: &Query,
        selection: &Selection,
    ) -> Result<Listed> {
        let start = Start::new(query, self.store.revision())?;
        let range = Range {
            of: kind.stored_as.clone(),
            namespace: (!namespace.is_empty()).then(|| namespace.into()),
            after: start.after.clone(),
        };
        let everything = selection.is_everything();
        let limit = if everything { start.limit } else { 0 };
        let page = self
            .store
            .list(&range, start.at, limit)
            .map_err(|e| start.refuse(&e))?;
        if everything {
            let more = page.remaining > 0;
            return Ok(Listed {
                next: more.then(|| token(&page.records, page.revision)).flatten(),
                remaining: more.then_some(page.remaining),
                records: page.records,
                revision: page.revision,
            });
        }
        let mut records = Vec::new();
        let mut candidates = page.records.into_iter();
        for record in candidates.by_ref() {
            if self.selects(kind, selection, &record)? {
                records.push(record);
                if records.len() == start.limit {
                    break;
                }
            }
        }
        let more = candidates.len() > 0;
        Ok(Listed {
            next: more.then(|| token(&records, page.revision)).flatten(),
            remaining: None,
            records,
            revision: page.revision,
        })
    }

    /// Whether a record is meant.
    pub(super) fn selects(&self, kind: &Kind, selection: &Selection, record: &Record) -> Result<bool> {
        if !selection.admits(&record.key) {
            return Ok(false);
        }
        Ok(selection.is_by_name() || selection.matches(kind, &self.served(kind, record)?))
    }

    /// The answer to a list.
    ///
    /// # Errors
    /// 500 when the key of a sealed object is missing.
    pub(super) fn list_response(
        &self,
        kind: &Arc<Kind>,
        listed: Listed,
        rendering: Rendering,
    ) -> Result<Response> {
        let (head, tail) = frame(kind, &listed, &rendering);
        let (api, of) = (self.clone(), kind.clone());
        let printer = Printer::new(kind);
        let encode = move |record: &Record| api.item(&of, record, &rendering, &printer);
        if kind.sealed || !rendering.is_compact() {
            let items = listed
                .records
                .iter()
                .map(|record| encode(record))
                .collect::<Result<Vec<_>>>()?;
            let all: Vec<u8> = pieces(head, items.into_iter(), tail).flatten().collect();
            return Ok(rendering.json(200, all.into()));
        }
        let items = listed
            .records
            .into_iter()
            .map_while(move |record| encode(&record).ok());
        Ok(match chunks::small(pieces(head, items, tail)) {
            Ok(all) => rendering.json(200, all),
            Err((first, rest)) => {
                let mut response = rendering.json(200, Bytes::new());
                *response.body_mut() = chunks::body(std::iter::once(first).chain(rest));
                response
            }
        })
    }

    /// One item of a list.
    fn item(&self, kind: &Kind, record: &Record, rendering: &Rendering, printer: &Printer) -> Result<Bytes> {
        if rendering.accept.shape == Shape::Whole && is_served_as_stored(kind) {
            return self.store.json(record).map_err(Status::internal);
        }
        let object = self.served(kind, record)?;
        let item = match rendering.accept.shape {
            Shape::Whole => object,
            Shape::Metadata => table::partial(&object),
            Shape::Table => printer.row(kind, &object, rendering.include, rendering.now),
        };
        Ok(item.to_string().into())
    }
}

fn token(records: &[Arc<Record>], revision: u64) -> Option<Token> {
    let last = &records.last()?.key;
    Some(Token {
        revision: Some(revision),
        after: (last.namespace.clone(), last.name.clone()),
    })
}

/// What stands before and after the items.
fn frame(kind: &Kind, listed: &Listed, rendering: &Rendering) -> (Bytes, Bytes) {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), listed.revision.to_string().into());
    if let Some(token) = &listed.next {
        metadata.insert("continue".to_owned(), token.encode().into());
    }
    if let Some(remaining) = listed.remaining {
        metadata.insert("remainingItemCount".to_owned(), remaining.into());
    }
    let version = kind.version.to_string();
    let meta_version = "meta.k8s.io/v1".to_owned();
    let (list_kind, version, columns) = match rendering.accept.shape {
        Shape::Whole => (&*kind.list_kind, version, None),
        Shape::Metadata => ("PartialObjectMetadataList", meta_version, None),
        Shape::Table => ("Table", meta_version, Some(table::columns(kind))),
    };
    let items = match columns {
        Some(columns) => format!("\"columnDefinitions\":{columns},\"rows\""),
        None => "\"items\"".to_owned(),
    };
    // As upstream, which makes no list where there is nothing to put into it.
    let none = rendering.accept.shape == Shape::Metadata && listed.records.is_empty();
    let (open, close) = if none { ("null", "}\n") } else { ("[", "]}\n") };
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{},{items}:{open}",
        Value::from(list_kind),
        Value::from(version),
        Value::Object(metadata),
    );
    (head.into(), Bytes::from_static(close.as_bytes()))
}

fn pieces(head: Bytes, items: impl Iterator<Item = Bytes>, tail: Bytes) -> impl Iterator<Item = Bytes> {
    let separated = items.enumerate().flat_map(|(at, item)| {
        let comma = (at > 0).then(|| Bytes::from_static(b","));
        comma.into_iter().chain(std::iter::once(item))
    });
    std::iter::once(head)
        .chain(separated)
        .chain(std::iter::once(tail))
}
