//! What namespaces do of their own: the finalizer and the label that the server sets, the phase, what `finalize` may say,
//! and how a deletion begins. Emptying a namespace that is being deleted is a loop's.
//! The rules and words are those of `k8s.io/kubernetes/pkg/registry/core/namespace`. Called by `verbs`.

use serde_json::{Value, json};

use crate::apiserver::{
    field_error::FieldError,
    kinds::{
        Rules,
        names::{self, NameRule},
    },
    names::GroupResource,
    object,
    status::{Result, Status},
};

const FINALIZER: &str = "kubernetes";
const LABEL: &str = "kubernetes.io/metadata.name";
/// Without these the server would not be one.
const LASTING: [&str; 3] = ["default", "kube-public", "kube-system"];

/// Of `namespaces`.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamespaceRules;

impl Rules for NamespaceRules {
    fn prepare_create(&self, object: &mut Value) {
        let spec = object::entry(object, "spec");
        let slot = spec.entry("finalizers").or_insert(Value::Null);
        match slot {
            Value::Array(list) if list.iter().any(|known| known == FINALIZER) => {}
            Value::Array(list) => list.push(FINALIZER.into()),
            other => *other = json!([FINALIZER]),
        }
        if let Some(map) = object.as_object_mut() {
            map.insert("status".to_owned(), json!({"phase": "Active"}));
        }
        label(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value) {
        let spec = object::entry(object, "spec");
        match old.pointer("/spec/finalizers") {
            Some(kept) => spec.insert("finalizers".to_owned(), kept.clone()),
            None => spec.remove("finalizers"),
        };
        label(object);
    }

    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let at = |index: usize| {
            old.map_or("spec.finalizers".to_owned(), |_| {
                format!("spec.finalizers[{index}]")
            })
        };
        let mut found = Vec::new();
        for (index, name) in finalizers(object).enumerate() {
            let wrong = names::qualified(name).into_iter();
            found.extend(wrong.map(|why| FieldError::invalid(at(index), name, why)));
            if !name.contains('/') && name != FINALIZER {
                let why = "name is neither a standard finalizer name nor is it fully qualified";
                found.push(FieldError::invalid(at(index), name, why));
            }
        }
        if old.is_some() {
            found.extend(phase(object));
        }
        found
    }

    fn name_rule(&self) -> NameRule {
        names::label_name
    }

    fn selectable(&self, object: &Value, field: &str) -> Option<String> {
        match field {
            "status.phase" => Some(phase_of(object).to_owned()),
            "name" => Some(object::name(object).to_owned()),
            _ => None,
        }
    }

    fn begin_delete(&self, object: &mut Value, _now: &str) -> Result<bool> {
        let name = object::name(object);
        if LASTING.contains(&name) {
            let of = GroupResource::new("", "namespaces");
            return Err(Status::forbidden(&of, name, "this namespace may not be deleted"));
        }
        object::entry(object, "status").insert("phase".to_owned(), "Terminating".into());
        Ok(self.holds(object))
    }

    fn holds(&self, object: &Value) -> bool {
        finalizers(object).next().is_some()
    }
}

fn label(object: &mut Value) {
    let name = object::name(object).to_owned();
    if name.is_empty() {
        return;
    }
    let metadata = object::metadata_mut(object);
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    match labels {
        Value::Object(map) => {
            map.insert(LABEL.to_owned(), name.into());
        }
        other => *other = json!({LABEL: name}),
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object.pointer("/spec/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn phase_of(object: &Value) -> &str {
    object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn phase(object: &Value) -> Option<FieldError> {
    let (wanted, when) = if object::is_deleting(object) {
        ("Terminating", "not empty")
    } else {
        ("Active", "empty")
    };
    let phase = phase_of(object);
    (phase != wanted).then(|| {
        let why = format!("may only be '{wanted}' if `deletionTimestamp` is {when}");
        FieldError::invalid("status.Phase", phase, why)
    })
}
