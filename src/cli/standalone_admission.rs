//! Admission of our own kinds in the embedded API server: the same pure rules by which the controllers judge an object,
//! asked before it is stored. Owns only the translation: what is invalid is 422 with the field's path, what policy forbids
//! is 403. The rules are `api::validate`'s. Called by the API server for every write.

use serde_json::Value;

use crate::{
    api::{
        DockerSecret,
        validate::{self, Policy},
        validate_secret,
        violation::{Violation, ViolationKind},
    },
    apiserver::{
        admission::{Admission, Review},
        field_error::FieldError,
        names::GroupResource,
        object,
        status::{Result, Status},
    },
};

const GROUP: &str = "supercargo.dev";

/// The rules under one policy.
#[derive(Debug, Clone)]
pub(super) struct OwnKinds(pub(super) Policy);

impl Admission for OwnKinds {
    fn review(&self, review: &Review<'_>) -> Result<Vec<String>> {
        let Some(new) = review.object else {
            return Ok(Vec::new());
        };
        if &*review.resource.group != GROUP || !review.subresource.is_empty() {
            return Ok(Vec::new());
        }
        // What was stored under older or laxer rules may still lose its finalizers and get labels.
        if object::is_deleting(new) || review.old.is_some_and(|old| old.get("spec") == new.get("spec")) {
            return Ok(Vec::new());
        }
        let violations = match &*review.resource.resource {
            "dockerdeployments" => validate::validate(new, &self.0).err().unwrap_or_default(),
            "dockersecrets" => secret(new),
            _ => Vec::new(),
        };
        refuse(review.resource, new, &violations).map(|()| Vec::new())
    }
}

fn secret(object: &Value) -> Vec<Violation> {
    // One that cannot be read was refused by its schema.
    let Ok(secret) = serde_json::from_value::<DockerSecret>(object.clone()) else {
        return Vec::new();
    };
    validate_secret::validate_secret(&secret)
        .err()
        .unwrap_or_default()
}

fn refuse(of: &GroupResource, new: &Value, violations: &[Violation]) -> Result<()> {
    let name = object::name(new);
    let invalid: Vec<FieldError> = violations
        .iter()
        .filter(|violation| violation.kind == ViolationKind::InvalidSpec)
        .map(finding)
        .collect();
    if !invalid.is_empty() {
        let kind = new.get("kind").and_then(Value::as_str).unwrap_or_default();
        return Err(Status::invalid(GROUP, kind, name, &invalid));
    }
    let forbidden: Vec<String> = violations.iter().map(ToString::to_string).collect();
    if forbidden.is_empty() {
        return Ok(());
    }
    Err(Status::forbidden(
        of,
        name,
        format_args!("violates the policy of this operator: {}", forbidden.join("; ")),
    ))
}

/// Without the value: it may be one that should have been sealed.
fn finding(violation: &Violation) -> FieldError {
    FieldError {
        value: None,
        ..FieldError::invalid(&violation.path, Value::Null, &violation.message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::authorize::User;

    fn deployment(container: Value) -> Value {
        json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
            "metadata": {"name": "web", "namespace": "a"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        })
    }

    fn review(resource: &str, object: &Value, old: Option<&Value>, policy: Policy) -> Result<Vec<String>> {
        let user = User::default();
        OwnKinds(policy).review(&Review {
            resource: &GroupResource::new(GROUP, resource),
            subresource: "",
            object: Some(object),
            old,
            user: &user,
        })
    }

    #[test]
    fn an_invalid_spec_is_422_with_the_path_and_without_the_value() {
        let bad = deployment(json!({"name": "app", "image": "x y z"}));
        let refused = review("dockerdeployments", &bad, None, Policy::default()).unwrap_err();
        assert_eq!((refused.code, refused.reason), (422, "Invalid"));
        let causes = refused.details.unwrap().causes;
        assert_eq!(causes[0].field, "spec.template.spec.containers[0].image");
        assert_eq!(causes[0].reason, "FieldValueInvalid");
    }

    #[test]
    fn what_policy_forbids_is_403_until_a_flag_permits_it() {
        let privileged = deployment(json!({
            "name": "app", "image": "busybox", "securityContext": {"privileged": true},
        }));
        let refused = review("dockerdeployments", &privileged, None, Policy::default()).unwrap_err();
        assert_eq!(refused.code, 403);
        assert!(refused.message.contains("privileged"), "{}", refused.message);
        let permits = Policy {
            allow_privileged: true,
            ..Policy::default()
        };
        assert_eq!(
            review("dockerdeployments", &privileged, None, permits),
            Ok(Vec::new())
        );
    }

    #[test]
    fn an_object_of_older_rules_can_lose_its_finalizers_and_get_labels() {
        let old = deployment(json!({"name": "app", "image": "x y z"}));
        let mut labelled = old.clone();
        object::set_meta(&mut labelled, "labels", json!({"a": "b"}));
        assert!(review("dockerdeployments", &labelled, Some(&old), Policy::default()).is_ok());
        let mut deleting = deployment(json!({"name": "app", "image": "also bad"}));
        object::set_meta(&mut deleting, "deletionTimestamp", "2026-01-01T00:00:00Z");
        assert!(review("dockerdeployments", &deleting, Some(&old), Policy::default()).is_ok());
    }

    #[test]
    fn a_plain_value_in_a_docker_secret_is_refused_and_not_repeated() {
        let plain = json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
            "metadata": {"name": "db", "namespace": "a"},
            "spec": {"encryptedData": {"password": "hunter2"}},
        });
        let refused = review("dockersecrets", &plain, None, Policy::default()).unwrap_err();
        assert_eq!(refused.code, 422);
        assert!(!refused.to_json().to_string().contains("hunter2"));
    }

    #[test]
    fn other_kinds_pass() {
        assert!(review("somethings", &json!({}), None, Policy::default()).is_ok());
    }
}
