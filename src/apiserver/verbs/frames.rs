//! The frames of a watch: one JSON object per line for each event, bookmark and error, in the shape that is asked for.
//! Owns what an event is to one watcher: an object that leaves a selection is deleted to it. A change of an object that
//! is served as it is stored is framed without being parsed. Called by `watch`.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::{
    super::{
        kinds::Kind,
        object,
        request::Shape,
        status::{Result, Status},
        store::{Event, Record},
        table,
    },
    Api,
    forms::is_served_as_stored,
    render::Rendering,
    select::Selection,
};

const ADDED: &str = "ADDED";
const MODIFIED: &str = "MODIFIED";
const DELETED: &str = "DELETED";

/// Makes frames for one watcher.
#[derive(Debug)]
pub(super) struct Framer {
    /// What it selects.
    pub selection: Selection,
    /// How it looks at things.
    pub rendering: Rendering,
    /// The columns of a table, until they were sent.
    pub columns: Option<Value>,
}

impl Framer {
    /// The frame of an object that was there when the watch began; `None` when it is not selected.
    pub fn initial(&mut self, api: &Api, kind: &Kind, record: &Record) -> Result<Option<Bytes>> {
        if !api.selects(kind, &self.selection, record)? {
            return Ok(None);
        }
        self.state(api, kind, ADDED, record).map(Some)
    }

    /// The frame of an event; `None` when it is none to this watcher.
    pub fn event(&mut self, api: &Api, kind: &Kind, event: &Event) -> Result<Option<Bytes>> {
        let selected = |record: &Option<std::sync::Arc<Record>>| match record {
            Some(record) => api.selects(kind, &self.selection, record),
            None => Ok(false),
        };
        let (before, after) = (selected(&event.previous)?, selected(&event.record)?);
        match (&event.previous, &event.record) {
            (_, Some(record)) if after => {
                let word = if before { MODIFIED } else { ADDED };
                self.state(api, kind, word, record).map(Some)
            }
            (Some(previous), _) if before => {
                let mut last = api.served(kind, previous)?;
                object::set_meta(&mut last, "resourceVersion", event.revision.to_string());
                Ok(Some(self.shaped(kind, DELETED, last)))
            }
            _ => Ok(None),
        }
    }

    /// A bookmark: nothing up to this revision is still to come. `initial` says that the initial events are over.
    pub fn bookmark(&self, kind: &Kind, revision: u64, initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let bare = json!({
            "kind": &*kind.kind, "apiVersion": kind.version.to_string(), "metadata": metadata,
        });
        let object = match self.rendering.accept.shape {
            Shape::Whole => bare,
            Shape::Metadata => table::partial(&bare),
            Shape::Table => {
                let columns = self.columns.clone().unwrap_or(Value::Null);
                self.rendering.table(kind, &bare, &columns)
            }
        };
        line("BOOKMARK", object.to_string().as_bytes())
    }

    fn state(&mut self, api: &Api, kind: &Kind, word: &str, record: &Record) -> Result<Bytes> {
        if self.rendering.accept.shape == Shape::Whole && is_served_as_stored(kind) {
            return Ok(line(word, &api.store.json(record).map_err(Status::internal)?));
        }
        let object = api.served(kind, record)?;
        Ok(self.shaped(kind, word, object))
    }

    fn shaped(&mut self, kind: &Kind, word: &str, object: Value) -> Bytes {
        let object = match self.rendering.accept.shape {
            Shape::Whole => object,
            Shape::Metadata => table::partial(&object),
            Shape::Table => {
                let columns = self.columns.take().unwrap_or(Value::Null);
                self.rendering.table(kind, &object, &columns)
            }
        };
        line(word, object.to_string().as_bytes())
    }
}

/// The frame of an error, always a whole `Status`.
pub(super) fn error(status: &Status) -> Bytes {
    line("ERROR", status.to_json().to_string().as_bytes())
}

fn line(word: &str, object: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(object.len() + word.len() + 24);
    frame.put_slice(b"{\"type\":\"");
    frame.put_slice(word.as_bytes());
    frame.put_slice(b"\",\"object\":");
    frame.put_slice(object);
    frame.put_slice(b"}\n");
    frame.freeze()
}
