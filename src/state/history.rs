//! What the history of a deployment keeps: one template each, under a name that the template itself gives. A restart is no
//! other template: its annotation is left out here, so that restarts neither fill the history nor stand in the way of an
//! undo. A template refers to secrets and never holds their values. Decides nothing and writes nothing.
//! Called by `controllers`, which keeps the history, and by `cli`, which shows it and goes back in it.

use serde_json::{Value, json};

use super::{build::template_hash, hash::hex, revision::TemplateHash};
use crate::api::{DockerDeployment, PodTemplate, keys::annotation};

/// The longest name that an object may have.
const LONGEST: usize = 253;
/// Digits of the hash in a name.
const DIGITS: usize = 10;

/// A template as the history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The name of its entry: `<deployment>-<hash>`. The same template of the same object always has the same.
    pub name: String,
    /// `spec.template` as written, nulls and the annotation of restarts left out.
    pub template: Value,
    /// What the containers that are made from it now carry on their label; restarts count.
    pub hash: TemplateHash,
}

impl Snapshot {
    /// The template of an object as it is now.
    #[must_use]
    pub fn of(object: &DockerDeployment) -> Self {
        let mut bare = object.clone();
        if let Some(annotations) = &mut bare.metadata.annotations {
            annotations.remove(annotation::RESTARTED_AT);
        }
        // Nor is it another template when its variables are protected.
        bare.spec.secret_env = None;
        without_restart(&mut bare.spec.template);
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        Self {
            // The uid is in it because an object of the same name may have been here before and left its history.
            name: named(name, &hex(&[uid, &template_hash(&bare).0], DIGITS)),
            template: serde_json::to_value(&bare.spec.template).unwrap_or(Value::Null),
            hash: template_hash(object),
        }
    }

    /// `data` of its entry.
    #[must_use]
    pub fn data(&self) -> Value {
        json!({ "spec": { "template": self.template } })
    }
}

/// The template in `data` of an entry.
#[must_use]
pub fn template_in(data: &Value) -> Option<PodTemplate> {
    serde_json::from_value(data.pointer("/spec/template")?.clone()).ok()
}

/// Gives a template of the past the restart of the present one: containers that run from it already are then the wanted ones.
pub fn carry_restart(from: &PodTemplate, to: &mut PodTemplate) {
    let restarted = from
        .metadata
        .as_ref()
        .and_then(|meta| meta.annotations.get(annotation::RESTARTED_AT));
    if let Some(at) = restarted {
        let annotations = &mut to.metadata.get_or_insert_default().annotations;
        annotations.insert(annotation::RESTARTED_AT.to_owned(), at.clone());
    }
}

fn without_restart(template: &mut PodTemplate) {
    if let Some(meta) = &mut template.metadata {
        meta.annotations.remove(annotation::RESTARTED_AT);
        if meta.annotations.is_empty() && meta.labels.is_empty() {
            template.metadata = None;
        }
    }
}

fn named(deployment: &str, hash: &str) -> String {
    let mut head = deployment.to_owned();
    head.truncate(LONGEST - 1 - hash.len());
    let head = head.trim_end_matches(['-', '.']);
    format!("{head}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(change: impl FnOnce(&mut Value)) -> DockerDeployment {
        let mut object = json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
            "metadata": { "name": "web", "uid": "u" },
            "spec": { "template": { "spec": { "containers": [{
                "name": "main", "image": "app:1", "resources": { "limits": { "memory": "1Gi" } },
            }] } } },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_template_names_its_entry_and_another_object_of_that_name_has_others() {
        let one = Snapshot::of(&web(|_| {}));
        assert_eq!(one.name.len(), "web-".len() + DIGITS);
        assert_eq!(one, Snapshot::of(&web(|o| o["spec"]["replicas"] = json!(7))));
        let other = Snapshot::of(&web(|o| o["metadata"]["uid"] = json!("v")));
        assert_ne!(one.name, other.name);
        let image = &"/spec/template/spec/containers/0/image";
        let other = Snapshot::of(&web(|o| *o.pointer_mut(image).unwrap() = json!("app:2")));
        assert_ne!(one.name, other.name);
    }

    #[test]
    fn the_same_quantity_written_otherwise_is_the_same_entry() {
        let memory = "/spec/template/spec/containers/0/resources/limits/memory";
        let other = Snapshot::of(&web(|o| *o.pointer_mut(memory).unwrap() = json!("1024Mi")));
        assert_eq!(Snapshot::of(&web(|_| {})).name, other.name);
    }

    #[test]
    fn a_restart_is_other_containers_and_the_same_entry() {
        let plain = Snapshot::of(&web(|_| {}));
        let template = |o: &mut Value| {
            o["spec"]["template"]["metadata"] =
                json!({ "annotations": { "supercargo.dev/restartedAt": "now" } });
        };
        let object =
            |o: &mut Value| o["metadata"]["annotations"] = json!({ "supercargo.dev/restartedAt": "now" });
        for restarted in [Snapshot::of(&web(template)), Snapshot::of(&web(object))] {
            assert_eq!(
                (&restarted.name, &restarted.template),
                (&plain.name, &plain.template)
            );
            assert_ne!(restarted.hash, plain.hash);
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let object = web(|o| o["spec"]["template"]["metadata"] = json!({ "labels": { "a": "b" } }));
        assert_eq!(
            template_in(&Snapshot::of(&object).data()),
            Some(object.spec.template)
        );
        assert_eq!(template_in(&json!({ "spec": 5 })), None);
    }

    #[test]
    fn going_back_keeps_the_restart() {
        let now = web(|o| {
            o["spec"]["template"]["metadata"] =
                json!({ "annotations": { "supercargo.dev/restartedAt": "now" } });
        });
        let mut past = web(|_| {}).spec.template;
        carry_restart(&past.clone(), &mut past);
        assert_eq!(past.metadata, None);
        carry_restart(&now.spec.template, &mut past);
        assert_eq!(past, now.spec.template);
    }

    #[test]
    fn a_long_name_is_cut_to_a_valid_one() {
        let made = named(&format!("{}.{}", "a".repeat(241), "b".repeat(11)), "0123456789");
        assert_eq!(made, format!("{}-0123456789", "a".repeat(241)));
        assert!(named(&"a".repeat(253), "0123456789").len() == LONGEST);
    }
}
