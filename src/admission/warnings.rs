//! What whoever writes an admitted object should know: plain text that looks like a secret, a secret that an inspection shows, a host
//! port, fields without effect, a sealed value that will not open, a date that has passed. Owns the sentences; none is a refusal, none repeats a value. Kubernetes cuts
//! a warning off after 256 characters.

use jiff::Timestamp;
use serde_json::Value;

use super::review::{Subject, meta};
use crate::{
    api::{DockerSecret, looks_secret, unsupported},
    seal::Envelope,
};

/// So many paths are named in one warning.
const NAMED: usize = 2;

/// The warnings about an object that is admitted.
pub(super) fn about(subject: Subject, object: &Value, now: Timestamp) -> Vec<String> {
    match subject {
        Subject::Deployment => deployment(object),
        Subject::Secret => secret(object, now),
        Subject::Definition | Subject::Other => Vec::new(),
    }
}

fn deployment(object: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let protected = object.pointer("/spec/secretEnv").and_then(Value::as_str) == Some("Protected");
    let mut readable = Vec::new();
    let (mut plain, mut ports, mut idle) = (Vec::new(), Vec::new(), unsupported::without_effect(object));
    let containers = list(object.pointer("/spec/template/spec/containers"));
    for (at, container) in containers.enumerate() {
        let path = format!("spec.template.spec.containers[{at}]");
        for (index, variable) in list(container.get("env")).enumerate() {
            let text = |field: &str| variable.get(field).and_then(Value::as_str).unwrap_or_default();
            if looks_secret(text("name"), text("value")) {
                plain.push(format!("{path}.env[{index}].value"));
            }
            if !protected && variable.pointer("/valueFrom/secretKeyRef").is_some() {
                readable.push(format!("{path}.env[{index}]"));
            }
        }
        for (index, from) in list(container.get("envFrom")).enumerate() {
            if !protected && from.get("secretRef").is_some() {
                readable.push(format!("{path}.envFrom[{index}]"));
            }
        }
        for (index, port) in list(container.get("ports")).enumerate() {
            if port.get("hostPort").and_then(Value::as_i64).unwrap_or(0) > 0 {
                ports.push(format!("{path}.ports[{index}].hostPort"));
            }
        }
        if container
            .pointer("/resources/requests")
            .and_then(Value::as_object)
            .is_some_and(|requests| !requests.is_empty())
        {
            idle.push(format!("{path}.resources.requests"));
        }
    }
    if !plain.is_empty() {
        warnings.push(format!(
            "{}: looks like a secret, in plain text for all who may read this object: seal it with `supercargo seal` and \
             use valueFrom.secretKeyRef",
            named(&plain)
        ));
    }
    if !readable.is_empty() {
        warnings.push(format!(
            "{}: readable in `docker inspect`: use a volume and fileRef, or spec.secretEnv: Protected",
            named(&readable)
        ));
    }
    if !ports.is_empty() {
        warnings.push(format!(
            "{}: an update stops the old instance before the new one starts, since a port of the host has one user",
            named(&ports)
        ));
    }
    if !idle.is_empty() {
        warnings.push(format!("{}: accepted and without effect here", named(&idle)));
    }
    warnings
}

fn secret(object: &Value, now: Timestamp) -> Vec<String> {
    let Ok(secret) = serde_json::from_value::<DockerSecret>(object.clone()) else {
        return Vec::new();
    };
    let (namespace, name) = (meta(object, "namespace"), meta(object, "name"));
    let (mut broken, mut elsewhere) = (Vec::new(), Vec::new());
    for (key, text) in &secret.spec.encrypted_data {
        let path = format!("spec.encryptedData[{key}]");
        match text.parse::<Envelope>() {
            Err(_) => broken.push(path),
            Ok(envelope) => {
                // One without a name yet (generateName) cannot be told.
                let context = envelope.context_at(namespace, name, key).ok();
                if context.is_some_and(|context| envelope.check_scope(&context).is_err()) {
                    elsewhere.push(path);
                }
            }
        }
    }
    let mut warnings = Vec::new();
    if !broken.is_empty() {
        warnings.push(format!(
            "{}: cannot be read as a sealed value and will not open: seal it again with `supercargo seal`",
            named(&broken)
        ));
    }
    if !elsewhere.is_empty() {
        warnings.push(format!(
            "{}: sealed for another namespace, name or key and will not open here: seal it again for this one",
            named(&elsewhere)
        ));
    }
    warnings.extend(past(&secret, now));
    warnings
}

/// A date that has passed is accepted: it may be that of a value which is still to be replaced.
fn past(secret: &DockerSecret, now: Timestamp) -> Option<String> {
    let end = secret.spec.not_after.as_ref()?.0;
    if end > now {
        return None;
    }
    Some(if secret.spec.stop_use == Some(true) {
        "spec.notAfter: has passed, and with spec.stopUse no new container is given these values: set a later time".to_owned()
    } else {
        "spec.notAfter: has passed: seal new values and set a later time".to_owned()
    })
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn named(paths: &[String]) -> String {
    let mut text = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        text.push_str(&format!(" and {} more", paths.len() - NAMED));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(container: Value) -> Vec<String> {
        let mut object =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "busybox"}]}}}});
        let into = &mut object["spec"]["template"]["spec"]["containers"][0];
        for (key, value) in container.as_object().unwrap() {
            into[key] = value.clone();
        }
        about(Subject::Deployment, &object, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn plain_values_that_look_like_secrets_are_named_by_path_and_not_shown() {
        for (name, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("apiToken.TOKEN", "hunter2"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("DATABASE_URL", "postgres://app:hunter2@db/app"),
            ("X", "-----BEGIN PRIVATE KEY-----hunter2"),
        ] {
            let warnings =
                with(json!({"env": [{"name": "A", "value": "b"}, {"name": name, "value": value}]}));
            assert_eq!(warnings.len(), 1, "{name}");
            assert!(
                warnings[0].starts_with("spec.template.spec.containers[0].env[1].value: "),
                "{warnings:?}"
            );
            assert!(!warnings[0].contains("hunter2") && warnings[0].contains("supercargo seal"));
        }
        for (name, value) in [
            ("PASSWORD_FILE", "/run/secrets/db"),
            ("TOKEN_TTL", "60"),
            ("DISABLE_TOKEN", "true"),
            ("PASSWORD", ""),
            ("PASSWORD", "$(OTHER)"),
            ("URL", "http://host:80/a@b:c"),
            ("SORT_KEY", "name"),
        ] {
            assert_eq!(
                with(json!({"env": [{"name": name, "value": value}]})),
                [""; 0],
                "{name}={value}"
            );
        }
    }

    #[test]
    fn a_secret_in_a_plain_variable_is_said_once_and_not_of_a_protected_one_or_a_file() {
        let from = json!({"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}});
        let container = json!({"name": "app", "image": "x", "env": [from, from, from], "envFrom": [{"secretRef": {"name": "db"}}]});
        let said = |secret_env: &str| {
            let object =
                json!({"spec": {"secretEnv": secret_env, "template": {"spec": {"containers": [container]}}}});
            about(Subject::Deployment, &object, Timestamp::UNIX_EPOCH)
        };
        let at = "spec.template.spec.containers[0]";
        let words = format!(
            "{at}.env[0], {at}.env[1] and 2 more: readable in `docker inspect`: use a volume and fileRef, or \
             spec.secretEnv: Protected"
        );
        assert_eq!(said("Plain"), [words]);
        assert_eq!(said("Protected"), [""; 0]);
        let file = json!({"env": [{"name": "PASSWORD_FILE", "fileRef": {"volume": "db", "key": "p"}}]});
        assert_eq!(with(file), [""; 0]);
    }

    #[test]
    fn a_host_port_and_fields_without_effect_are_said() {
        let warnings = with(json!({
            "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}],
            "terminationMessagePath": "/dev/log", "resources": {"requests": {"cpu": "1"}},
        }));
        assert_eq!(
            warnings,
            [
                "spec.template.spec.containers[0].ports[1].hostPort: an update stops the old instance before the new one \
                 starts, since a port of the host has one user",
                "spec.template.spec.containers[0].terminationMessagePath, spec.template.spec.containers[0].resources.requests: \
                 accepted and without effect here",
            ]
        );
    }

    #[test]
    fn a_warning_is_short_enough_to_be_shown_whole() {
        let env: Vec<Value> = (0..100)
            .map(|n| json!({"name": format!("V{n}_PASSWORD"), "value": "x"}))
            .collect();
        let warnings = with(json!({"env": env}));
        assert!(warnings[0].contains(" and 98 more"));
        assert!(warnings.iter().all(|text| text.len() <= 256), "{warnings:?}");
    }

    #[test]
    fn a_value_that_will_not_open_is_said_before_anybody_waits_for_it() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/envelopes.json")).unwrap();
        let case = vectors["opened"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["envelope"].as_str().unwrap().contains(".s"))
            .unwrap();
        let sealed = |name: &str, text: &str| {
            let key = case["key"].as_str().unwrap_or("password");
            about(
                Subject::Secret,
                &json!({
                    "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
                    "metadata": {"name": name, "namespace": case["namespace"]},
                    "spec": {"encryptedData": {key: text}},
                }),
                Timestamp::UNIX_EPOCH,
            )
        };
        let text = case["envelope"].as_str().unwrap();
        let other = sealed("surely-another", text);
        assert!(other[0].contains("sealed for another"), "{other:?}");
        let broken = sealed("db", "sc1.hunter2");
        assert!(
            broken[0].contains("cannot be read as a sealed value"),
            "{broken:?}"
        );
        assert!(!broken[0].contains("hunter2"));
    }

    #[test]
    fn a_date_that_has_passed_is_accepted_with_a_warning() {
        let warned = |spec: Value, now: &str| {
            let object = json!({"metadata": {"name": "db", "namespace": "shop"}, "spec": spec});
            about(Subject::Secret, &object, now.parse().unwrap())
        };
        let spec = json!({"notAfter": "2030-01-01T00:00:00Z"});
        assert_eq!(warned(spec.clone(), "2029-12-31T23:59:59Z"), [""; 0]);
        let warnings = warned(spec, "2030-01-01T00:00:00Z");
        assert!(
            warnings[0].starts_with("spec.notAfter: has passed"),
            "{warnings:?}"
        );
        let stopping = json!({"notAfter": "2030-01-01T00:00:00Z", "stopUse": true});
        let warnings = warned(stopping, "2031-01-01T00:00:00Z");
        assert!(warnings[0].contains("no new container"), "{warnings:?}");
    }
}
