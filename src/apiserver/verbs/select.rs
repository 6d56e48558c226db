//! Which objects a list or watch is about: its label selector and its field selector together. Owns which fields can be
//! selected by, and what their values are. Reads an object only when names do not decide. Called by `list` and `watch`.

use serde_json::{Value, json};

use super::{
    super::{
        kinds::Kind,
        names::Key,
        object,
        request::Query,
        selector::{FieldSelector, LabelSelector},
        status::{Result, Status},
    },
    scale,
};

/// Both selectors.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    labels: LabelSelector,
    names: Vec<Term>,
    fields: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

impl Selection {
    /// From a query.
    ///
    /// # Errors
    /// 400 for a selector that cannot be read, and for a field by which objects of this kind cannot be selected.
    pub fn new(query: &Query, kind: &Kind) -> Result<Self> {
        let labels = LabelSelector::parse(&query.label_selector)?;
        let (mut names, mut fields) = (Vec::new(), Vec::new());
        for (field, equal, value) in FieldSelector::parse(&query.field_selector)?.terms {
            let term = Term { field, equal, value };
            if matches!(&*term.field, "metadata.name" | "metadata.namespace") {
                names.push(term);
            } else if is_selectable(kind, &term.field) {
                fields.push(term);
            } else {
                return Err(unsupported(kind, &term.field));
            }
        }
        Ok(Self {
            labels,
            names,
            fields,
        })
    }

    /// Whether every object is meant.
    pub fn is_everything(&self) -> bool {
        self.names.is_empty() && self.is_by_name()
    }

    /// Whether the key of an object decides.
    pub fn is_by_name(&self) -> bool {
        self.fields.is_empty() && self.labels.is_everything()
    }

    /// Whether the key of an object lets it in.
    pub fn admits(&self, key: &Key) -> bool {
        self.names.iter().all(|term| {
            let value = if term.field == "metadata.name" {
                &key.name
            } else {
                &key.namespace
            };
            (**value == *term.value) == term.equal
        })
    }

    /// Whether an object whose key is let in is meant; `object` in served form.
    pub fn matches(&self, kind: &Kind, object: &Value) -> bool {
        let labels: Vec<(&str, &str)> = object::labels(object).collect();
        self.labels.matches(labels.into_iter())
            && self
                .fields
                .iter()
                .all(|term| (value(kind, object, &term.field) == term.value) == term.equal)
    }
}

fn is_selectable(kind: &Kind, field: &str) -> bool {
    kind.selectable
        .iter()
        .any(|known| known.trim_start_matches('.') == field)
        || kind.rules.selectable(&json!({}), field).is_some()
}

fn value(kind: &Kind, object: &Value, field: &str) -> String {
    if let Some(value) = kind.rules.selectable(object, field) {
        return value;
    }
    match scale::at(object, field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn unsupported(kind: &Kind, field: &str) -> Status {
    Status::bad_request(if kind.custom || !kind.selectable.is_empty() {
        format!("field label not supported: {field}")
    } else {
        format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    })
}
