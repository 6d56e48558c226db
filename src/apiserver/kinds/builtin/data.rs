//! What config maps and secrets do of their own: keys, sizes, immutability, the types of secrets, `stringData`.
//! Owns their rules in the words of a Kubernetes API server (`k8s.io/kubernetes/pkg/apis/core/validation`), but for one:
//! no finding repeats any of a secret. Called by `verbs` for every write; base64 has been checked before, by `typed`.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value};

use crate::apiserver::{
    field_error::{FieldError, FieldErrorKind},
    kinds::Rules,
    object,
};

/// How many bytes the values of one object may have.
const MAX_SIZE: usize = 1024 * 1024;
const IMMUTABLE: &str = "field is immutable when `immutable` is set";
/// Names the service account of a token.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

/// Of `configmaps`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConfigMapRules;

/// Of `secrets`.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretRules;

impl Rules for ConfigMapRules {
    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut found = kept(object, old, &["data", "binaryData"]);
        let binary: BTreeSet<&String> = entries(object, "binaryData").map(|(key, _)| key).collect();
        let mut size = 0;
        for (key, value) in entries(object, "data") {
            found.extend(bad_key("data", key));
            if binary.contains(key) {
                let why = "duplicate of key present in binaryData";
                found.push(FieldError::invalid(format!("data[{key}]"), key.as_str(), why));
            }
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in entries(object, "binaryData") {
            found.extend(bad_key("binaryData", key));
            size += decoded_size(value);
        }
        if size > MAX_SIZE {
            // The path of a finding about the whole object is `[]` upstream.
            found.push(too_long("[]"));
        }
        found
    }
}

impl Rules for SecretRules {
    fn prepare_create(&self, object: &mut Value) {
        fold(object);
        if text(object, "type").is_empty() {
            set(object, "type", "Opaque".into());
        }
    }

    fn prepare_update(&self, object: &mut Value, old: &Value) {
        fold(object);
        if text(object, "type").is_empty()
            && let Some(of) = old.get("type")
        {
            set(object, "type", of.clone());
        }
    }

    fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut found = Vec::new();
        if let Some(old) = old
            && old.get("type") != object.get("type")
        {
            found.push(FieldError::invalid(
                "type",
                text(object, "type"),
                "field is immutable",
            ));
        }
        found.extend(kept(object, old, &["data"]));
        let mut size = 0;
        for (key, value) in entries(object, "data") {
            found.extend(bad_key("data", key));
            size += decoded_size(value);
        }
        if size > MAX_SIZE {
            found.push(too_long("data"));
        }
        found.extend(of_type(object));
        found
    }

    fn selectable(&self, object: &Value, field: &str) -> Option<String> {
        (field == "type").then(|| text(object, "type").to_owned())
    }
}

/// What the type of a secret wants to be there.
fn of_type(secret: &Value) -> Vec<FieldError> {
    let data = |key: &str| {
        secret
            .get("data")
            .and_then(|data| data.get(key))
            .and_then(Value::as_str)
    };
    let required = |key: &str| FieldError::required(format!("data[{key}]"), "");
    let lacks = |key: &&&str| data(key).is_none();
    match text(secret, "type") {
        "kubernetes.io/service-account-token" => {
            let named = object::annotations(secret).any(|(key, value)| key == ACCOUNT && !value.is_empty());
            let finding = || FieldError::required(format!("metadata.annotations[{ACCOUNT}]"), "");
            (!named).then(finding).into_iter().collect()
        }
        "kubernetes.io/dockercfg" => json_in(".dockercfg", data(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => json_in(".dockerconfigjson", data(".dockerconfigjson")),
        "kubernetes.io/basic-auth" => {
            let keys = ["username", "password"];
            if keys.iter().any(|key| data(key).is_some()) {
                return Vec::new();
            }
            keys.map(required).into()
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(str::is_empty) => {
            vec![required("ssh-privatekey")]
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"]
            .iter()
            .filter(|key| lacks(key))
            .map(|key| required(key))
            .collect(),
        _ => Vec::new(),
    }
}

/// Upstream says which character is wrong; a character of a secret is a value of a secret.
fn json_in(key: &str, value: Option<&str>) -> Vec<FieldError> {
    let at = format!("data[{key}]");
    let Some(value) = value else {
        return vec![FieldError::required(at, "")];
    };
    let bytes = Base64::decode_vec(value).unwrap_or_default();
    if serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok() {
        return Vec::new();
    }
    vec![FieldError::invalid(
        at,
        "<secret contents redacted>",
        "must be a JSON object",
    )]
}

/// Merges `stringData` into `data`.
fn fold(secret: &mut Value) {
    let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|map| map.remove("stringData")) else {
        return;
    };
    if plain.is_empty() {
        return;
    }
    let data = object::entry(secret, "data");
    for (key, value) in plain {
        if let Some(text) = value.as_str() {
            data.insert(key, Base64::encode_string(text.as_bytes()).into());
        }
    }
}

fn kept(object: &Value, old: Option<&Value>, fields: &[&str]) -> Vec<FieldError> {
    let is_immutable = |object: &Value| object.get("immutable").and_then(Value::as_bool) == Some(true);
    let Some(old) = old.filter(|old| is_immutable(old)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if !is_immutable(object) {
        found.push(FieldError::forbidden("immutable", IMMUTABLE));
    }
    let changed = fields
        .iter()
        .filter(|field| object.get(**field) != old.get(**field));
    found.extend(changed.map(|field| FieldError::forbidden(*field, IMMUTABLE)));
    found
}

fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn bad_key(field: &str, key: &str) -> Vec<FieldError> {
    let at = || format!("{field}[{key}]");
    let mut found = Vec::new();
    if key.len() > 253 {
        found.push(FieldError::invalid(at(), key, "must be no more than 253 bytes"));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(is_word) {
        let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
                   (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
        found.push(FieldError::invalid(at(), key, why));
    }
    if matches!(key, "." | "..") {
        found.push(FieldError::invalid(at(), key, format!("must not be '{key}'")));
    } else if key.starts_with("..") {
        found.push(FieldError::invalid(at(), key, "must not start with '..'"));
    }
    found
}

/// Of canonical base64.
fn decoded_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    (text.len() / 4 * 3).saturating_sub(text.bytes().rev().take_while(|byte| *byte == b'=').count())
}

fn too_long(at: &str) -> FieldError {
    FieldError {
        kind: FieldErrorKind::TooLong,
        field: at.to_owned(),
        value: None,
        detail: format!("may not be more than {MAX_SIZE} bytes"),
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}
