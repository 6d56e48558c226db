//! The columns of the tables of built-in kinds: what `kubectl get` shows of them, besides the name. Owns what is in a cell.
//! How long ago a time is, is the table's to say. Headings, order, priorities and cells are those of a Kubernetes API
//! server (`k8s.io/kubernetes/pkg/printers/internalversion`); the descriptions are ours.

use serde_json::Value;

use super::event::{renamed, source};
use crate::apiserver::{
    kinds::{CellSource, Column},
    object,
};

type Cell = fn(&Value) -> Value;

fn column(name: &str, description: &str, source: CellSource) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        format: String::new(),
        description: description.to_owned(),
        priority: 0,
        source,
    }
}

fn cell(name: &str, description: &str, compute: Cell) -> Column {
    column(name, description, CellSource::Computed(compute))
}

fn wide(column: Column) -> Column {
    Column {
        priority: 1,
        ..column
    }
}

fn age() -> Column {
    let created = |object: &Value| object::meta(object, "creationTimestamp").to_owned();
    column(
        "Age",
        "How long ago the object was created.",
        CellSource::Since(created),
    )
}

fn data() -> Column {
    cell("Data", "How many entries it has.", |object| {
        let entries = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_object)
                .map_or(0, serde_json::Map::len)
        };
        (entries("data") + entries("binaryData")).into()
    })
}

pub(super) fn config_maps() -> Vec<Column> {
    vec![data(), age()]
}

pub(super) fn secrets() -> Vec<Column> {
    vec![
        cell("Type", "What the secret is for.", |secret| {
            text(secret, "/type").into()
        }),
        data(),
        age(),
    ]
}

pub(super) fn namespaces() -> Vec<Column> {
    let phase: Cell = |namespace| text(namespace, "/status/phase").into();
    vec![cell("Status", "The phase of the namespace.", phase), age()]
}

pub(super) fn service_accounts() -> Vec<Column> {
    vec![age()]
}

pub(super) fn leases() -> Vec<Column> {
    let holder: Cell = |lease| text(lease, "/spec/holderIdentity").into();
    vec![cell("Holder", "Who holds the lease.", holder), age()]
}

pub(super) fn controller_revisions() -> Vec<Column> {
    vec![
        cell(
            "Controller",
            "The object whose history it is part of.",
            |revision| controller(revision).into(),
        ),
        cell("Revision", "Its number in that history.", |revision| {
            revision
                .get("revision")
                .and_then(Value::as_i64)
                .unwrap_or_default()
                .into()
        }),
        age(),
    ]
}

/// `dockerdeployment.supercargo.dev/web`.
fn controller(object: &Value) -> String {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let mut owners = owners.into_iter().flatten();
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else {
        return "<none>".to_owned();
    };
    let kind = text(owner, "/kind").to_lowercase();
    match text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{}/{}", group.to_lowercase(), text(owner, "/name")),
        None => format!("{kind}/{}", text(owner, "/name")),
    }
}

pub(super) fn definitions() -> Vec<Column> {
    let created = cell("Created At", "When the object was created.", |crd| {
        object::meta(crd, "creationTimestamp").into()
    });
    vec![
        cell("Scope", "Cluster or Namespaced.", |crd| {
            text(crd, "/spec/scope").into()
        }),
        cell(
            "Versions",
            "The served versions, and which one is stored.",
            versions,
        ),
        Column {
            kind: "date".to_owned(),
            ..created
        },
        wide(cell("Group", "The API group.", |crd| {
            text(crd, "/spec/group").into()
        })),
        wide(cell("Kind", "The kind of the custom resources.", |crd| {
            text(crd, "/spec/names/kind").into()
        })),
        wide(cell("ShortNames", "Short names of the resource.", |crd| {
            let names = crd.pointer("/spec/names/shortNames").and_then(Value::as_array);
            let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
            names.join(",").into()
        })),
        wide(Column {
            kind: "boolean".to_owned(),
            ..cell("Established", "Whether the resource is served.", |crd| {
                let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
                let mut all = conditions.into_iter().flatten();
                all.any(|one| one["type"] == "Established" && one["status"] == "True")
                    .into()
            })
        }),
    ]
}

fn versions(crd: &Value) -> Value {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions
        .into_iter()
        .flatten()
        .filter(|version| version["served"] == true);
    let texts: Vec<String> = served
        .map(|version| {
            let stored = if version["storage"] == true {
                "(storage)"
            } else {
                ""
            };
            format!("{}{stored}", version["name"].as_str().unwrap_or_default())
        })
        .collect();
    texts.join(",").into()
}

/// Of events of both groups: some of their fields have other names. The name comes last and only when wide, so a table of events has no other column for it.
pub(super) fn events() -> Vec<Column> {
    vec![
        column(
            "Last Seen",
            "When it was seen the last time.",
            CellSource::Since(last_seen),
        ),
        cell("Type", "Normal or Warning.", |event| {
            of_event(event, "/type").into()
        }),
        cell("Reason", "Why, in one word.", |event| {
            of_event(event, "/reason").into()
        }),
        cell("Object", "What it is about.", |event| {
            let kind = of_event(event, "/involvedObject/kind").to_lowercase();
            match of_event(event, "/involvedObject/name") {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }),
        wide(cell(
            "Subobject",
            "The part of the object it is about.",
            |event| of_event(event, "/involvedObject/fieldPath").into(),
        )),
        wide(cell("Source", "Who reports it.", |event| {
            let instance = match of_event(event, "/source/host") {
                "" => of_event(event, "/reportingInstance"),
                host => host,
            };
            match instance {
                "" => source(event).into(),
                instance => format!("{}, {instance}", source(event)).into(),
            }
        })),
        cell("Message", "What happened.", |event| {
            of_event(event, "/message").trim().into()
        }),
        wide(column(
            "First Seen",
            "When it was seen first.",
            CellSource::Since(first_seen),
        )),
        wide(cell("Count", "How often it was seen.", |event| {
            let series = event.pointer("/series/count");
            let count = series
                .or_else(|| event.get("count"))
                .or_else(|| event.get("deprecatedCount"))
                .and_then(Value::as_i64)
                .unwrap_or_default();
            (if series.is_none() && count == 0 { 1 } else { count }).into()
        })),
        wide(Column {
            format: "name".to_owned(),
            ..cell("Name", "The name of the event.", |event| {
                object::name(event).into()
            })
        }),
    ]
}

fn first_seen(event: &Value) -> String {
    match of_event(event, "/firstTimestamp") {
        "" => of_event(event, "/eventTime").to_owned(),
        first => first.to_owned(),
    }
}

fn last_seen(event: &Value) -> String {
    if event.get("series").is_some_and(Value::is_object) {
        return of_event(event, "/series/lastObservedTime").to_owned();
    }
    match of_event(event, "/lastTimestamp") {
        "" => first_seen(event),
        last => last.to_owned(),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A text of an event, by its core name.
fn of_event<'a>(event: &'a Value, pointer: &str) -> &'a str {
    match text(event, pointer) {
        "" => renamed(pointer).map_or("", |pointer| text(event, &pointer)),
        text => text,
    }
}
