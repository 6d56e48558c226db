//! How an answer looks: the object itself, its metadata or a table, as JSON, indented JSON or YAML. Owns no header but
//! the content type. Lists and watches take their parts from here. Called by `respond`, `list` and `watch`.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{
    kinds::Kind,
    request::{Accept, Query, Shape},
    response::{self, Response},
    status::{Result, Status},
    table::{self, Include},
};

/// What the client wants to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rendering {
    /// Shape and language.
    pub accept: Accept,
    /// Indented JSON.
    pub pretty: bool,
    /// What rows of a table carry.
    pub include: Include,
    /// For ages in tables.
    pub now: Timestamp,
}

impl Rendering {
    /// From what the request says.
    ///
    /// # Errors
    /// 400 for an `includeObject` that is none, when a table is asked for.
    pub fn new(accept: Accept, query: &Query, now: Timestamp) -> Result<Self> {
        if accept.shape == Shape::Table {
            query.validate_table()?;
        }
        let include = match &*query.include_object {
            "None" => Include::None,
            "Object" => Include::Object,
            _ => Include::Metadata,
        };
        Ok(Self {
            accept,
            pretty: query.pretty,
            include,
            now,
        })
    }

    /// Whether JSON goes out as it is stored.
    pub fn is_plain(&self) -> bool {
        self.accept.shape == Shape::Whole && self.is_compact()
    }

    /// Whether it is JSON without indentation.
    pub fn is_compact(&self) -> bool {
        !self.accept.yaml && !self.pretty
    }

    /// An object, in the shape that is asked for.
    pub fn object(&self, code: u16, kind: &Kind, object: &Value) -> Response {
        match self.accept.shape {
            Shape::Whole => self.value(code, object),
            Shape::Metadata => self.value(code, &table::partial(object)),
            Shape::Table => {
                let columns = table::columns(kind);
                self.value(code, &self.table(kind, object, &columns))
            }
        }
    }

    /// An `autoscaling/v1 Scale`, in the shape that is asked for.
    pub fn scale(&self, code: u16, scale: &Value) -> Response {
        match self.accept.shape {
            Shape::Whole => self.value(code, scale),
            Shape::Metadata => self.value(code, &table::partial(scale)),
            Shape::Table => self.value(code, &table::scale(scale, self.include, self.now)),
        }
    }

    /// A table of one row.
    pub fn table(&self, kind: &Kind, object: &Value, columns: &Value) -> Value {
        let metadata = match super::super::object::resource_version(object) {
            "" => json!({}),
            version => json!({"resourceVersion": version}),
        };
        json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": columns,
            "rows": [table::row(kind, object, self.include, self.now)],
        })
    }

    /// Any JSON, in the language that is asked for.
    pub fn value(&self, code: u16, value: &Value) -> Response {
        if self.accept.yaml {
            return match serde_saphyr::to_string(value) {
                Ok(text) => response::bytes(code, "application/yaml", text),
                Err(e) => response::refusal(&Status::internal(format!("cannot be written as YAML: {e}"))),
            };
        }
        if self.pretty {
            let text = serde_json::to_vec_pretty(value).unwrap_or_default();
            return response::bytes(code, "application/json", text);
        }
        response::json(code, value)
    }

    /// JSON that is there as text already.
    pub fn json(&self, code: u16, text: Bytes) -> Response {
        if self.is_compact() {
            return response::bytes(code, "application/json", text);
        }
        match serde_json::from_slice(&text) {
            Ok(value) => self.value(code, &value),
            Err(e) => response::refusal(&Status::internal(format!("what is stored is no JSON: {e}"))),
        }
    }

    /// A refusal.
    pub fn refusal(&self, status: &Status) -> Response {
        if self.is_compact() {
            return response::refusal(status);
        }
        let mut answer = self.value(status.code, &status.to_json());
        let headers = response::refusal(status).headers().clone();
        if let Some(after) = headers.get(http::header::RETRY_AFTER) {
            answer
                .headers_mut()
                .insert(http::header::RETRY_AFTER, after.clone());
        }
        answer
    }
}
