//! `/scale`: an object of ours seen as an `autoscaling/v1 Scale`, and a `Scale` written back into it. Pure.
//! Owns the two mappings and what a `Scale` may say. Called by `patching` and for GET.

use serde_json::{Map, Value, json};

use super::{
    super::{
        field_error::FieldError,
        kinds::{Kind, Scale},
        object,
        status::{Result, Status},
    },
    prepare::Origin,
    screen,
};

const VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";

/// The `Scale` of an object.
pub(super) fn of(object: &Value, paths: &Scale) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get("metadata").and_then(|meta| meta.get(field)) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&paths.status_replicas)});
    let selector = paths.label_selector.as_deref().and_then(|path| at(object, path));
    if let Some(selector) = selector.and_then(Value::as_str).filter(|text| !text.is_empty()) {
        status["selector"] = selector.into();
    }
    let replicas = number(&paths.spec_replicas);
    let spec = if replicas == 0 {
        json!({})
    } else {
        json!({"replicas": replicas})
    };
    json!({"kind": KIND, "apiVersion": VERSION, "metadata": metadata, "spec": spec, "status": status})
}

/// `live` with the replicas that `scale` asks for, and with its resource version, which is a precondition.
///
/// # Errors
/// 400 and 422 for what is no `Scale` of this object.
pub(super) fn into(live: &Value, scale: &Value, kind: &Kind, paths: &Scale, origin: Origin) -> Result<Value> {
    let undecodable = |why: &str| match origin {
        Origin::Patch => screen::unpatchable(why),
        Origin::Body => Status::bad_request(why),
    };
    let said = |field: &str| scale.get(field).and_then(Value::as_str).unwrap_or_default();
    if said("kind") != KIND || said("apiVersion") != VERSION {
        return Err(undecodable(
            "the object provided is unrecognized (must be of type Scale)",
        ));
    }
    super::prepare::check_place(scale, object::namespace(live), Some(object::name(live)))?;
    let replicas = match scale.get("spec").and_then(|spec| spec.get("replicas")) {
        None | Some(Value::Null) => 0,
        Some(value) => value
            .as_i64()
            .filter(|number| i32::try_from(*number).is_ok())
            .ok_or_else(|| undecodable("Scale.spec.replicas is no int32"))?,
    };
    if replicas < 0 {
        let why = "should be a non-negative integer";
        let finding = FieldError::invalid(paths.spec_replicas.as_str(), replicas, why);
        return Err(Status::invalid(
            &kind.version.group,
            &kind.kind,
            object::name(live),
            &[finding],
        ));
    }
    let mut new = live.clone();
    set(&mut new, &paths.spec_replicas, replicas.into());
    let uid = object::uid(scale);
    if !uid.is_empty() {
        object::set_meta(&mut new, "uid", uid);
    }
    match object::resource_version(scale) {
        "" => object::remove_meta(&mut new, "resourceVersion"),
        version => object::metadata_mut(&mut new).insert("resourceVersion".to_owned(), version.into()),
    };
    Ok(new)
}

/// The value at a dotted path, with or without a dot in front.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.')
        .split('.')
        .try_fold(object, |value, field| value.get(field))
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut fields: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    let last = fields.pop().unwrap_or_default().to_owned();
    let mut parent = object;
    for field in fields {
        object::entry(parent, field);
        parent = &mut parent[field];
    }
    if let Some(fields) = parent.as_object_mut() {
        fields.insert(last, value);
    }
}
