//! What leases and service accounts do of their own. Owns their rules, in the words of a Kubernetes API server.
//! Tokens of service accounts are nobody's yet: a secret that asks for one is stored and not filled.
//! Called by `verbs` for every write.

use serde_json::Value;

use crate::apiserver::{field_error::FieldError, kinds::Rules, object};

/// Of `leases`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseRules;

/// Of `serviceaccounts`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceAccountRules;

const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

impl Rules for LeaseRules {
    fn prepare_create(&self, object: &mut Value) {
        uncoordinated(object);
    }

    fn prepare_update(&self, object: &mut Value, _old: &Value) {
        uncoordinated(object);
    }

    fn validate(&self, object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        let bounds = [
            ("leaseDurationSeconds", 1, "must be greater than 0"),
            ("leaseTransitions", 0, "must be greater than or equal to 0"),
        ];
        let spec = object.get("spec");
        let wrong = bounds.into_iter().filter_map(|(field, least, why)| {
            let value = spec?.get(field)?.as_i64()?;
            (value < least).then(|| FieldError::invalid(format!("spec.{field}"), value, why))
        });
        wrong.collect()
    }
}

/// Coordinated leader election is off by default upstream, which drops its fields, and is not offered here.
fn uncoordinated(lease: &mut Value) {
    if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("strategy");
        spec.remove("preferredHolder");
    }
}

impl Rules for ServiceAccountRules {
    fn prepare_create(&self, object: &mut Value) {
        names_only(object);
    }

    fn prepare_update(&self, object: &mut Value, _old: &Value) {
        names_only(object);
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let enforces = object::annotations(object).any(|(key, _)| key == MOUNTABLE);
        let text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        enforces
            .then(|| format!("metadata.annotations[{MOUNTABLE}]: {text}"))
            .into_iter()
            .collect()
    }
}

/// Of a reference to a secret only the name counts.
fn names_only(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten().filter_map(Value::as_object_mut) {
        secret.retain(|field, _| field == "name");
    }
}
