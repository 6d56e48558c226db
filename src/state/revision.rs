//! What makes two containers of a deployment interchangeable: the hash of the user's template and the fingerprints of
//! what it depends on. The two are kept apart on the labels, so that a fingerprint under an unknown root can be adopted
//! without rolling. Kid, suite and envelope bytes never come here. Computes no fingerprint: `seal` and `secrets` do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::hex;

/// The version of the canonical form. It changes when the form does, and then old hashes are computed the old way.
const VERSION: &str = "t1";

/// The hash of a canonical template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateHash(pub String);

impl TemplateHash {
    /// Hashes the canonical form: keys sorted, nulls dropped, nothing defaulted. `restarted_at` is the annotation of the
    /// object itself, when set.
    #[must_use]
    pub fn of(template: &Value, restarted_at: Option<&str>) -> Self {
        let text = canonical(template).to_string();
        let digest = match restarted_at {
            None => hex(&[VERSION, &text], 16),
            Some(at) => hex(&[VERSION, &text, at], 16),
        };
        Self(format!("{VERSION}-{digest}"))
    }

    /// That of the same template with its secret variables protected, which is another container.
    #[must_use]
    pub fn protected(&self) -> Self {
        Self(format!("{VERSION}-{}", hex(&[VERSION, &self.0, "Protected"], 16)))
    }
}

/// Drops nulls at every depth; the map of `serde_json` sorts by key.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), canonical(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Keyed fingerprints by reference (`db/password`, `ConfigMap:app/level`), and the root that they were keyed with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprints {
    /// Id of the fingerprint root; empty when nothing keyed is among the values.
    pub root: String,
    /// 16 hex digits by reference.
    pub values: BTreeMap<String, String>,
}

impl Fingerprints {
    /// The label's text: `ref=fp,ref=fp`, sorted. Names of Kubernetes objects and keys contain neither `=` nor `,`.
    #[must_use]
    pub fn to_label(&self) -> String {
        self.values
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Reads a label back; what does not parse is left out.
    #[must_use]
    pub fn from_label(root: &str, text: &str) -> Self {
        let values = text
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Self {
            root: root.to_owned(),
            values,
        }
    }

    /// Whether a container that was given `self` still has what is `wanted`. The references must be the same; keyed
    /// values are compared only under one root, as another root says nothing about the value.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        if self.root == wanted.root || self.root.is_empty() || wanted.root.is_empty() {
            return self.values == wanted.values;
        }
        self.values.len() == wanted.values.len()
            && self
                .values
                .iter()
                .zip(&wanted.values)
                .all(|((ka, va), (kb, vb))| ka == kb && (va == vb || !ka.starts_with(CONFIG_MAP_PREFIX)))
    }
}

/// Before the name of a reference to a ConfigMap, whose fingerprint needs no key.
pub const CONFIG_MAP_PREFIX: &str = "ConfigMap:";

/// The revision that goes into names and status: ten hex digits.
#[must_use]
pub fn revision(template: &TemplateHash, fingerprints: &Fingerprints) -> String {
    hex(&[&template.0, &fingerprints.to_label()], 10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fingerprints(root: &str, pairs: &[(&str, &str)]) -> Fingerprints {
        let values = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Fingerprints {
            root: root.into(),
            values,
        }
    }

    #[test]
    fn template_hash_is_frozen() {
        let template = json!({"spec": {"containers": [{"name": "a", "image": "b:1", "env": null}]}});
        assert_eq!(TemplateHash::of(&template, None).0, FROZEN);
    }
    const FROZEN: &str = "t1-7f44b6ca6b4a901c";

    #[test]
    fn the_hash_of_protected_variables_is_frozen_too() {
        assert_eq!(TemplateHash(FROZEN.to_owned()).protected().0, PROTECTED);
    }
    const PROTECTED: &str = "t1-efbecc257e5bcf99";

    #[test]
    fn null_is_absent_and_order_of_keys_is_nothing() {
        let a = TemplateHash::of(&json!({"b": 1, "a": {"x": null}}), None);
        assert_eq!(a, TemplateHash::of(&json!({"a": {}, "b": 1, "c": null}), None));
        assert_ne!(a, TemplateHash::of(&json!({"b": 1}), None));
    }

    #[test]
    fn restarted_at_is_a_new_hash() {
        assert_ne!(
            TemplateHash::of(&json!({}), None),
            TemplateHash::of(&json!({}), Some("now"))
        );
    }

    #[test]
    fn an_unknown_root_is_adopted_and_never_a_reason_to_roll() {
        let old = fingerprints("r1", &[("db/pw", "aa")]);
        assert!(old.satisfies(&fingerprints("r2", &[("db/pw", "bb")])));
        assert!(!old.satisfies(&fingerprints("r2", &[("db/other", "bb")])));
        assert!(!old.satisfies(&fingerprints("r1", &[("db/pw", "bb")])));
        assert!(old.satisfies(&fingerprints("r1", &[("db/pw", "aa")])));
    }

    #[test]
    fn a_changed_config_map_rolls_under_any_root() {
        let old = fingerprints("r1", &[("ConfigMap:c/k", "aa")]);
        assert!(!old.satisfies(&fingerprints("r2", &[("ConfigMap:c/k", "bb")])));
    }

    #[test]
    fn labels_read_back() {
        let given = fingerprints("r", &[("a/b", "11"), ("ConfigMap:c/d", "22")]);
        assert_eq!(Fingerprints::from_label("r", &given.to_label()), given);
    }
}
