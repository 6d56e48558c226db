//! Replays the cases that a real kube-apiserver answered (`tests/vectors/apply.json`, made by
//! `tests/scripts/record-apply`) and compares every step. Around `apply` and `track` stands only what the generic server
//! does: defaults, what an endpoint does not write, no write where nothing differs.
//!
//! Two differences are meant: what the real server answers with 500 (a field that is not declared, an item twice, a value
//! of another type) is 400 here, with the same words; and applying a change through `/scale` of a custom resource, which
//! it cannot at all, is possible here. Where it refuses a null that stands where nothing is left (422, a matter of
//! validation), the null must be there.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Write, apply, differs, testing, track};
use crate::apiserver::{
    kinds::{Kind, Scale},
    names::{GroupResource, GroupVersion},
    object, patch,
    schema::{self, Schema},
    status::Status,
};

const NAMESPACE: &str = "apply-vectors";
const MADE_UP: [&str; 4] = ["uid", "resourceVersion", "creationTimestamp", "generation"];

/// When the step of a number was. Times in the vectors are such numbers.
fn time_of(step: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(step).unwrap()).unwrap()
}

fn kind_of(source: &Value) -> Kind {
    let text = |field: &str| source[field].as_str().unwrap();
    let version = GroupVersion::new(text("group"), text("version"));
    let resource = GroupResource::new(text("group"), text("plural"));
    let scale = source["scale"].as_object().map(|scale| Scale {
        spec_replicas: scale["specReplicasPath"].as_str().unwrap().to_owned(),
        status_replicas: scale["statusReplicasPath"].as_str().unwrap().to_owned(),
        label_selector: Some(scale["labelSelectorPath"].as_str().unwrap().to_owned()),
    });
    let root = Schema {
        embedded_resource: true,
        ..schema::read(&source["schema"])
    };
    Kind {
        kind: text("kind").into(),
        resource: resource.clone(),
        stored_as: resource,
        storage_version: version.clone(),
        version,
        status: source["status"].as_bool().unwrap(),
        custom: source["custom"].as_bool().unwrap(),
        scale,
        ..testing::kind(root)
    }
}

/// The server around one object.
struct Server {
    kind: Arc<Kind>,
    name: String,
    live: Option<Value>,
}

impl Server {
    fn complete(&self, body: &Value) -> Value {
        let mut body = body.clone();
        for (field, value) in [
            ("apiVersion", self.kind.version.to_string()),
            ("kind", self.kind.kind.to_string()),
        ] {
            let slot = &mut body[field];
            if slot.is_null() {
                *slot = value.into();
            }
        }
        object::set_meta(&mut body, "name", self.name.as_str());
        body
    }

    fn default(&self, new: &mut Value) {
        object::set_meta(new, "namespace", NAMESPACE);
        schema::default(new, &self.kind.schema);
        if let Some(metadata) = new["metadata"].as_object_mut() {
            metadata.retain(|_, value| !value.is_null() && *value != json!({}) && *value != json!([]));
        }
        if let (false, Some(fields)) = (self.kind.custom, new.as_object_mut()) {
            // The fields of built-in types leave nothing behind when they are empty.
            fields.retain(|_, value| !value.is_null() && *value != json!({}) && *value != json!([]));
        }
    }

    /// What the endpoint does not write stays as it was.
    fn reset(&self, subresource: &str, new: Value) -> Value {
        let live = self.live.clone().unwrap_or_default();
        let managed = new["metadata"].get("managedFields").cloned();
        let restore = |mut whole: Value, part: &Value| {
            match part.get("status") {
                Some(status) => whole["status"] = status.clone(),
                None => drop(whole.as_object_mut().unwrap().remove("status")),
            }
            whole
        };
        let mut kept = match subresource {
            "status" => restore(live, &new),
            _ if self.kind.status => restore(new, &live),
            _ => new,
        };
        object::remove_meta(&mut kept, "managedFields");
        if let Some(managed) = managed {
            object::set_meta(&mut kept, "managedFields", managed);
        }
        kept
    }

    fn step(&mut self, number: usize, step: &Value) -> Result<u16, Status> {
        let manager = match step["manager"].as_str().unwrap() {
            "" => "record-apply",
            named => named,
        };
        let verb = step["verb"].as_str().unwrap();
        let (subresource, verb) = match verb.split_once('-') {
            Some((subresource @ ("status" | "scale"), verb)) => (subresource, verb),
            _ if verb == "scale" => ("scale", "update"),
            _ => ("", verb),
        };
        let kind = self.kind.clone();
        let write = Write {
            kind: &kind,
            subresource,
            manager,
            at: time_of(number),
        };
        if self.live.is_none() && !subresource.is_empty() {
            return Err(Status::not_found(&kind.resource, &self.name));
        }
        let new = match verb {
            "apply" => self.apply(step, &write)?,
            _ => self.write(verb, step, &write),
        };
        let new = match subresource {
            "scale" => new,
            _ => self.reset(subresource, new),
        };
        let created = self.live.is_none();
        if self.live.as_ref().is_none_or(|live| differs(live, &new)) {
            self.live = Some(new);
        }
        Ok(if created { 201 } else { 200 })
    }

    /// What applying gives before anything is defaulted.
    fn applied(&self, number: usize, step: &Value) -> Value {
        let write = Write {
            kind: &self.kind,
            subresource: "",
            manager: step["manager"].as_str().unwrap(),
            at: time_of(number),
        };
        apply(self.live.as_ref(), &self.complete(&step["body"]), false, &write).unwrap()
    }

    fn apply(&self, step: &Value, write: &Write<'_>) -> Result<Value, Status> {
        let body = if write.subresource == "scale" {
            let mut body = step["body"].clone();
            body["apiVersion"] = "autoscaling/v1".into();
            body["kind"] = "Scale".into();
            object::set_meta(&mut body, "name", self.name.as_str());
            body
        } else {
            self.complete(&step["body"])
        };
        let force = step["force"].as_bool().unwrap_or_default();
        let mut new = apply(self.live.as_ref(), &body, force, write)?;
        if self.kind.custom {
            schema::prune(&mut new, &self.kind.schema);
        }
        self.default(&mut new);
        Ok(new)
    }

    fn write(&self, verb: &str, step: &Value, write: &Write<'_>) -> Value {
        let live = self.live.clone().unwrap_or_default();
        let body = &step["body"];
        let mut new = live;
        match (verb, write.subresource) {
            ("update", "scale") => new["spec"]["replicas"] = body["spec"]["replicas"].clone(),
            ("create" | "update", _) => new = self.complete(body),
            ("merge-patch", _) => new = patch::merge_patch(&new, body).unwrap(),
            ("json-patch", _) => new = patch::json_patch(&new, body).unwrap(),
            _ => panic!("{verb} is no verb"),
        }
        let sent = object::remove_meta(&mut new, "managedFields");
        self.default(&mut new);
        if let Some(sent) = sent {
            object::set_meta(&mut new, "managedFields", sent);
        }
        track(self.live.as_ref(), new, write)
    }
}

/// As the vectors have it: without what a server makes up, and times as the numbers of steps.
fn masked(object: &Value, steps: usize) -> Value {
    let mut object = object.clone();
    for field in MADE_UP {
        object::remove_meta(&mut object, field);
    }
    let entries = object
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if let Some(time) = entry.get_mut("time")
            && let Some(step) = (1..=steps).find(|step| *time == time_of(*step).to_string())
        {
            *time = step.into();
        }
    }
    object
}

fn causes_of(status: &Status) -> Vec<Value> {
    let mut causes: Vec<Value> = (status.details.iter())
        .flat_map(|details| &details.causes)
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect();
    causes.sort_by_key(Value::to_string);
    causes
}

fn replay(kind: &Arc<Kind>, case: &Value) -> Vec<String> {
    let steps = case["steps"].as_array().unwrap();
    let mut server = Server {
        kind: kind.clone(),
        name: case["name"].as_str().unwrap().to_owned(),
        live: None,
    };
    let mut different = Vec::new();
    for (number, step) in steps.iter().enumerate().map(|(at, step)| (at + 1, step)) {
        let result = &step["result"];
        let message = result["message"].as_str().unwrap_or_default();
        if message.starts_with("failed to convert new object") {
            break;
        }
        if result["code"] == 422 {
            let at = format!("/{}", message.split(": ").nth(1).unwrap().replace('.', "/"));
            let new = server.applied(number, step);
            if new.pointer(&at) != Some(&Value::Null) {
                different.push(format!(
                    "{}, step {number}: no null at {at} of {new}",
                    server.name
                ));
            }
            continue;
        }
        let mut result = result.clone();
        if let (false, Some(object)) = (
            kind.custom,
            result.get_mut("object").and_then(Value::as_object_mut),
        ) {
            // Some fields of built-in types are shown as null when they are not set.
            object.retain(|_, value| !value.is_null());
        }
        let (ours, theirs) = match server.step(number, step) {
            Ok(code) => (
                json!({"code": code, "object": masked(server.live.as_ref().unwrap(), steps.len())}),
                result.clone(),
            ),
            Err(status) => {
                let mut theirs = result.clone();
                if theirs["code"] == 500 {
                    theirs["code"] = 400.into();
                    theirs["reason"] = "BadRequest".into();
                }
                if let Some(causes) = theirs["causes"].as_array_mut() {
                    causes.sort_by_key(Value::to_string);
                }
                let ours = json!({"code": status.code, "reason": status.reason, "message": status.message,
                    "causes": causes_of(&status)});
                (ours, theirs)
            }
        };
        if ours != theirs {
            different.push(format!(
                "{}, step {number}:\n  ours   {ours}\n  theirs {theirs}",
                server.name
            ));
        }
    }
    different
}

#[test]
fn every_step_comes_out_as_on_a_real_api_server() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/apply.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 110, "{} cases", cases.len());
    let different: Vec<String> = cases
        .iter()
        .flat_map(|case| {
            let kind = Arc::new(kind_of(&vectors["kinds"][case["kind"].as_str().unwrap()]));
            replay(&kind, case)
        })
        .collect();
    assert!(
        different.is_empty(),
        "{} steps differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
