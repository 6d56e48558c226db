//! Tables: what `kubectl get` shows. Owns columns, cells and the age of things; knows no HTTP.
//! Cells follow `apiextensions-apiserver`'s table convertor: the first value a column's path leads to, null when there is
//! none or it is of another type, dates as ages. Called by `verbs` when the client accepts `as=Table`.

mod age;
mod json_path;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::json_path::JsonPath;
use super::{
    kinds::{CellSource, Column, Kind},
    object,
};

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const CREATED_AT: &str = ".metadata.creationTimestamp";

/// `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl Include {
    /// From the parameter, which `Query::validate_table` has judged.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// The columns of a kind whose CRD declares none: the age.
#[must_use]
pub fn default_columns() -> Vec<Column> {
    vec![Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: CREATED.to_owned(),
        priority: 0,
        source: CellSource::Path(CREATED_AT.to_owned()),
    }]
}

/// `columnDefinitions`.
#[must_use]
pub fn columns(kind: &Kind) -> Value {
    let name =
        json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0});
    let others = kind.columns.iter().map(|column| {
        let description = match &column.source {
            CellSource::Path(path) if column.description.is_empty() => {
                format!("Custom resource definition column (in JSONPath format): {path}")
            }
            _ => column.description.clone(),
        };
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": description, "priority": column.priority,
        })
    });
    let name = (!names_itself(kind)).then_some(name);
    name.into_iter().chain(others).collect()
}

/// The rows of one kind, with its paths parsed once: for lists.
#[derive(Debug)]
pub struct Printer {
    /// Of each column that has one.
    paths: Vec<Option<JsonPath>>,
    name_first: bool,
}

impl Printer {
    /// For the columns of `kind`.
    #[must_use]
    pub fn new(kind: &Kind) -> Self {
        let parsed = |column: &Column| match &column.source {
            CellSource::Path(path) => JsonPath::parse(path),
            CellSource::Computed(_) | CellSource::Since(_) => None,
        };
        Self {
            paths: kind.columns.iter().map(parsed).collect(),
            name_first: !names_itself(kind),
        }
    }

    /// One row of the kind that this was made for, with ages as of `now`.
    #[must_use]
    pub fn row(&self, kind: &Kind, object: &Value, include: Include, now: Timestamp) -> Value {
        let columns = kind.columns.iter().zip(&self.paths);
        let others = columns.map(|(column, path)| match &column.source {
            CellSource::Computed(compute) => compute(object),
            CellSource::Since(time) => since(&time(object), now),
            CellSource::Path(_) => path
                .as_ref()
                .and_then(|path| path.first(object))
                .map_or(Value::Null, |value| cell(&column.kind, value, now)),
        });
        let name = self.name_first.then(|| object::name(object).into());
        let cells: Value = name.into_iter().chain(others).collect();
        with_object(cells, object, include)
    }
}

fn with_object(cells: Value, object: &Value, include: Include) -> Value {
    let shown = match include {
        Include::None => Value::Null,
        Include::Metadata => partial(object),
        Include::Object => object.clone(),
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells);
    row.insert("object".to_owned(), shown);
    Value::Object(row)
}

/// An `autoscaling/v1 Scale` as a table of one row, whatever the kind that it scales.
#[must_use]
pub fn scale(scale: &Value, include: Include, now: Timestamp) -> Value {
    let column = |name: &str, kind: &str, format: &str, description: &str| json!({"name": name, "type": kind, "format": format, "description": description, "priority": 0});
    let replicas = |part: &str| scale[part].get("replicas").cloned().unwrap_or_else(|| 0.into());
    let created = scale["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap_or_default();
    let cells = json!([
        object::name(scale),
        replicas("spec"),
        replicas("status"),
        since(created, now)
    ]);
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": object::resource_version(scale)},
        "columnDefinitions": [
            column("Name", "string", "name", NAME),
            column("Desired", "integer", "", "Number of desired replicas"),
            column("Available", "integer", "", "Number of actual replicas"),
            column("Age", "date", "", CREATED),
        ],
        "rows": [with_object(cells, scale, include)],
    })
}

/// One row; for many of them, a [`Printer`] is faster.
#[must_use]
pub fn row(kind: &Kind, object: &Value, include: Include, now: Timestamp) -> Value {
    Printer::new(kind).row(kind, object, include, now)
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn partial(object: &Value) -> Value {
    let mut shown = Map::new();
    shown.insert("kind".to_owned(), "PartialObjectMetadata".into());
    shown.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    shown.insert(
        "metadata".to_owned(),
        object.get("metadata").cloned().unwrap_or_default(),
    );
    Value::Object(shown)
}

/// Whether the name has a column of its own elsewhere, as events have it.
fn names_itself(kind: &Kind) -> bool {
    !kind.custom && kind.columns.iter().any(|column| column.format == "name")
}

fn since(time: &str, now: Timestamp) -> Value {
    match time {
        "" => "<unknown>".into(),
        text => cell("date", &text.into(), now),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an integer column shows a float cut off, as upstream does"
)]
fn cell(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        ("string", value) => text(value).into(),
        ("integer", Value::Number(number)) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().map_or(Value::Null, |float| (float as i64).into()),
        },
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => match &**text {
            "" | "null" => "<unknown>".into(),
            text => text
                .parse()
                .map_or_else(|_| "<invalid>".to_owned(), |then| age::age(then, now))
                .into(),
        },
        _ => Value::Null,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float_text(float),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The shortest text of a float, with an exponent of two digits from 1e6 and below 1e-4.
fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    match scientific
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)))
    {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) && float != 0.0 => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => float.to_string(),
    }
}
