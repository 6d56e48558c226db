//! `/scale`: a write through it is a write of one field of the object, owned under the subresource `scale`. Owns the
//! mapping of object and entries to a `Scale` (`autoscaling/v1`) and back, as `managedfields.ScaleHandler` has it.
//! Called by `mod.rs` for that subresource only.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use super::{
    Write, conflict,
    element::PathElement,
    entries::{self, Entry, Owner, Source},
    set::Set,
    shape::Typed,
    updater::{self, Terms},
};
use crate::apiserver::{
    object,
    schema::{Schema, Type},
    status::{Result, Status},
};

const VERSION: &str = "autoscaling/v1";

/// What a scale says when the object does not say how many.
const ABSENT: i64 = -2_147_483_648;

static SCALE: LazyLock<Schema> = LazyLock::new(|| {
    let of = |kind: Type, properties: Vec<(&str, Schema)>| Schema {
        kind: Some(kind),
        properties: properties
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), Arc::new(schema)))
            .collect(),
        ..Schema::default()
    };
    let count = || ("replicas", of(Type::Integer, Vec::new()));
    let selector = ("selector", of(Type::String, Vec::new()));
    of(
        Type::Object,
        vec![
            ("spec", of(Type::Object, vec![count()])),
            ("status", of(Type::Object, vec![count(), selector])),
        ],
    )
});

/// The paths of a kind's scale.
struct Paths {
    spec_replicas: Vec<PathElement>,
    status_replicas: Vec<PathElement>,
    selector: Option<Vec<PathElement>>,
}

impl Paths {
    fn of(write: &Write<'_>) -> Option<Self> {
        let scale = write.kind.scale.as_ref()?;
        Some(Self {
            spec_replicas: split(&scale.spec_replicas),
            status_replicas: split(&scale.status_replicas),
            selector: scale.label_selector.as_deref().map(split),
        })
    }
}

fn split(path: &str) -> Vec<PathElement> {
    let fields = path.trim_start_matches('.').split('.');
    fields.map(|field| PathElement::Field(field.to_owned())).collect()
}

fn get<'v>(object: &'v Value, path: &[PathElement]) -> Option<&'v Value> {
    path.iter().try_fold(object, |value, element| match element {
        PathElement::Field(name) => value.get(name),
        _ => None,
    })
}

/// The scale of an object. Zeros are left out, as an autoscaling/v1 Scale does.
fn scale_of(of: &Value, paths: &Paths, absent: i64) -> Value {
    let count = |value: Option<&Value>, absent: i64| {
        let mut fields = Map::new();
        match value.and_then(Value::as_i64).unwrap_or(absent) {
            0 => {}
            count => drop(fields.insert("replicas".to_owned(), count.into())),
        }
        fields
    };
    let mut status = count(get(of, &paths.status_replicas), 0);
    if let Some(text) = paths.selector.as_ref().and_then(|path| get(of, path)?.as_str())
        && !text.is_empty()
    {
        status.insert("selector".to_owned(), text.into());
    }
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        let text = object::meta(of, field);
        if !text.is_empty() {
            metadata.insert(field.to_owned(), text.into());
        }
    }
    json!({
        "apiVersion": VERSION, "kind": "Scale", "metadata": metadata,
        "spec": count(get(of, &paths.spec_replicas), absent), "status": status,
    })
}

fn terms<'a>(write: &Write<'a>) -> Terms<'a> {
    Terms {
        typed: Typed::object(&SCALE),
        api_version: VERSION,
        subresource: write.subresource,
        manager: write.manager,
        at: write.at,
        built_in: true,
        reset: None,
    }
}

fn stored(live: &Value) -> Vec<Entry> {
    let list = live
        .pointer("/metadata/managedFields")
        .cloned()
        .unwrap_or_default();
    entries::read(list, Source::Client).unwrap_or_default()
}

/// The entries that own the number of replicas, as entries of the scale.
fn to_scale(parent: &[Entry], path: &[PathElement]) -> Vec<Entry> {
    parent
        .iter()
        .filter(|entry| entry.set().has(path))
        .map(|entry| {
            let owner = Owner {
                api_version: VERSION.to_owned(),
                ..entry.owner.clone()
            };
            Entry::new(owner, entry.time, Set::of_fields(&["spec", "replicas"]))
        })
        .collect()
}

/// The entries of the object after its scale has these.
fn to_parent(parent: Vec<Entry>, mut scale: Vec<Entry>, path: &[PathElement], version: &str) -> Vec<Entry> {
    let replicas = Set::of_path(path);
    let mut all = Vec::with_capacity(parent.len() + scale.len());
    for mut entry in parent {
        if entry.set().has(path) {
            let identity = entry.owner.identity();
            match scale.iter().position(|known| known.owner.identity() == identity) {
                Some(at) => drop(scale.swap_remove(at)),
                None => entry.set_mut().subtract(&replicas),
            }
        }
        if !entry.is_empty() {
            all.push(entry);
        }
    }
    let in_scale = Set::of_fields(&["spec", "replicas"]);
    let new = scale.into_iter().filter(|entry| entry.overlaps(&in_scale));
    all.extend(new.map(|entry| {
        let owner = Owner {
            api_version: version.to_owned(),
            ..entry.owner
        };
        Entry::new(owner, None, replicas.clone())
    }));
    all
}

/// Tracks a write of the number of replicas through `/scale`; both objects are the scaled ones.
#[must_use]
pub fn track(live: &Value, mut new: Value, write: &Write<'_>) -> Value {
    let Some(paths) = Paths::of(write) else { return new };
    let parent = stored(live);
    let mut entries = to_scale(&parent, &paths.spec_replicas);
    if !entries.is_empty() {
        let (old, now) = (scale_of(live, &paths, ABSENT), scale_of(&new, &paths, ABSENT));
        updater::track(&mut entries, &old, &now, &terms(write));
    }
    let version = write.kind.version.to_string();
    super::set_managed(
        &mut new,
        to_parent(parent, entries, &paths.spec_replicas, &version),
    );
    new
}

/// Applies a `Scale` to the scaled object, which it returns changed.
///
/// # Errors
/// 400 for a body that is no scale, 409 for conflicts without `force`.
pub fn apply(live: &Value, config: &Value, force: bool, write: &Write<'_>) -> Result<Value> {
    let Some(paths) = Paths::of(write) else {
        return Err(Status::no_such_resource());
    };
    super::check_config(config, VERSION, "Scale")?;
    let terms = terms(write);
    super::check_fields(config, &terms, ("autoscaling/v1", "Scale"), false)?;
    let parent = stored(live);
    let scale = scale_of(live, &paths, ABSENT);
    let entries = to_scale(&parent, &paths.spec_replicas);
    let applied = updater::apply(&scale, config, entries, force, &|| None, &terms)
        .map_err(|conflicts| conflict::refusal(&conflicts))?;
    let count = applied
        .object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if count == ABSENT {
        let path: String = paths.spec_replicas.iter().map(PathElement::to_string).collect();
        return Err(Status::bad_request(format!(
            "the spec replicas field {path:?} cannot be empty"
        )));
    }
    let mut new = live.clone();
    let mut slot = &mut new;
    for element in &paths.spec_replicas {
        if let PathElement::Field(name) = element {
            if !slot.is_object() {
                *slot = json!({});
            }
            slot = &mut slot[name.as_str()];
        }
    }
    *slot = count.into();
    let version = write.kind.version.to_string();
    super::set_managed(
        &mut new,
        to_parent(parent, applied.entries, &paths.spec_replicas, &version),
    );
    Ok(new)
}
