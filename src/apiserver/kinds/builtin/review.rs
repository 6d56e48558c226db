//! Reviews: kinds that are not stored but answered, about who asks and what somebody may. Owns their validation and their
//! `status`; decides nothing itself, but asks the authorizer that every request passes.
//! Called by `verbs` for a create of one of these kinds.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::{Value, json};

use super::typed::render;
use crate::{
    apiserver::{
        authorize::{Attributes, DISCOVERY, Decision, PUBLIC, SELF_REVIEWS, SharedAuthorizer, User},
        field_error::FieldError,
        kinds::Rules,
        object,
        status::{Result, Status},
    },
    clock::Clock,
};

/// Which review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Review {
    /// May I?
    SelfAccess,
    /// May somebody?
    Access,
    /// May somebody, in this namespace?
    LocalAccess,
    /// What may I?
    SelfRules,
    /// Who am I?
    SelfSubject,
}

/// Answers one kind of review.
pub(super) struct ReviewRules {
    pub review: Review,
    pub authorizer: SharedAuthorizer,
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for ReviewRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.review)
    }
}

impl Rules for ReviewRules {
    fn answer(&self, object: &Value, user: &User) -> Option<Result<Value>> {
        Some(match self.review {
            Review::SelfAccess => self.access(object, Some(user)),
            Review::Access | Review::LocalAccess => self.access(object, None),
            Review::SelfRules => self.rules(object, user),
            Review::SelfSubject => Ok(self.subject(object, user)),
        })
    }
}

impl ReviewRules {
    fn access(&self, review: &Value, asking: Option<&User>) -> Result<Value> {
        let findings = self.findings(review);
        if !findings.is_empty() {
            return Err(Status::invalid("authorization.k8s.io", "", "", &findings));
        }
        let spec = review.get("spec").unwrap_or(&Value::Null);
        let named = asking.is_none().then(|| user_of(spec));
        let status = match asking.or(named.as_ref()) {
            Some(user) => match self.authorizer.decide(user, &attributes(spec)) {
                Decision::Allowed(reason) if reason.is_empty() => json!({"allowed": true}),
                Decision::Allowed(reason) => json!({"allowed": true, "reason": reason}),
                Decision::Denied => json!({"allowed": false}),
            },
            None => json!({"allowed": false}),
        };
        Ok(answered(review, status))
    }

    fn findings(&self, review: &Value) -> Vec<FieldError> {
        let spec = review.get("spec").unwrap_or(&Value::Null);
        let (resource, path) = (
            part(spec, "resourceAttributes"),
            part(spec, "nonResourceAttributes"),
        );
        let mut found = Vec::new();
        if resource.is_some() == path.is_some() {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            found.push(FieldError::invalid("spec", shown(path), why));
        }
        let no_groups = list(spec, "groups").is_empty();
        if self.review != Review::SelfAccess && text(spec, "user").is_empty() && no_groups {
            let why = "at least one of user or group must be specified";
            found.push(FieldError::invalid("spec.user", "", why));
        }
        let namespace = object::namespace(review);
        if self.review == Review::LocalAccess {
            if let Some(resource) = resource
                && text(resource, "namespace") != namespace
            {
                let at = "spec.resourceAttributes.namespace";
                found.push(FieldError::invalid(
                    at,
                    text(resource, "namespace"),
                    "must match metadata.namespace",
                ));
            }
            if path.is_some() {
                let why = "disallowed on this kind of request";
                found.push(FieldError::invalid(
                    "spec.nonResourceAttributes",
                    shown(path),
                    why,
                ));
            }
        }
        let metadata = review.get("metadata").and_then(Value::as_object);
        let own = ["managedFields", "namespace", "creationTimestamp", "uid"];
        if metadata.is_some_and(|map| map.keys().any(|field| !own.contains(&field.as_str()))) {
            found.push(FieldError::invalid(
                "metadata",
                review["metadata"].clone(),
                "must be empty",
            ));
        }
        found
    }

    /// Without rules to list, the authorizer is asked for what the usual roles grant.
    fn rules(&self, review: &Value, user: &User) -> Result<Value> {
        if review
            .pointer("/spec/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
        {
            return Err(Status::bad_request("no namespace on request"));
        }
        let may = |group: &str, resource: &str, verb: &str, path: &str| {
            let asked = Attributes {
                verb: verb.to_owned(),
                group: group.to_owned(),
                version: "*".to_owned(),
                resource: resource.to_owned(),
                path: path.to_owned(),
                ..Attributes::default()
            };
            matches!(self.authorizer.decide(user, &asked), Decision::Allowed(_))
        };
        let (mut resources, mut paths) = (Vec::new(), Vec::new());
        if may("*", "*", "*", "") {
            resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        }
        for (group, names) in SELF_REVIEWS {
            if names.iter().all(|name| may(group, name, "create", "")) {
                resources.push(json!({"verbs": ["create"], "apiGroups": [group], "resources": names}));
            }
        }
        if may("", "", "*", "*") {
            paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
        }
        for readable in [&DISCOVERY[..], &PUBLIC[..]] {
            if readable.iter().all(|path| may("", "", "get", path)) {
                paths.push(json!({"verbs": ["get"], "nonResourceURLs": readable}));
            }
        }
        let status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
        let mut answer = answered(review, status);
        // As upstream, which forgets what was asked for, and by whom.
        answer["spec"] = json!({});
        object::remove_meta(&mut answer, "managedFields");
        Ok(answer)
    }

    fn subject(&self, review: &Value, user: &User) -> Value {
        let mut info = json!({"username": user.name, "groups": user.groups});
        if !user.uid.is_empty() {
            info["uid"] = user.uid.as_str().into();
        }
        if !user.extra.is_empty() {
            info["extra"] = json!(user.extra);
        }
        let mut answer = answered(review, json!({"userInfo": info}));
        object::remove_meta(&mut answer, "managedFields");
        object::set_meta(&mut answer, "creationTimestamp", render(self.clock.now(), false));
        answer
    }
}

fn answered(review: &Value, status: Value) -> Value {
    let mut answer = review.clone();
    let metadata = object::metadata_mut(&mut answer);
    metadata.retain(|field, _| matches!(field.as_str(), "managedFields" | "namespace"));
    answer["status"] = status;
    answer
}

fn user_of(spec: &Value) -> User {
    let extra: BTreeMap<String, Vec<String>> = part(spec, "extra")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| (key.clone(), list(&spec["extra"], key)))
        .collect();
    User {
        name: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: list(spec, "groups"),
        extra,
    }
}

fn attributes(spec: &Value) -> Attributes {
    if let Some(path) = part(spec, "nonResourceAttributes") {
        return Attributes {
            verb: text(path, "verb").to_owned(),
            path: text(path, "path").to_owned(),
            ..Attributes::default()
        };
    }
    let of = spec.get("resourceAttributes").unwrap_or(&Value::Null);
    let field = |name: &str| text(of, name).to_owned();
    Attributes {
        verb: field("verb"),
        group: field("group"),
        version: field("version"),
        resource: field("resource"),
        subresource: field("subresource"),
        namespace: field("namespace"),
        name: field("name"),
        path: String::new(),
    }
}

/// As upstream shows it: by the names of Go's fields.
fn shown(path: Option<&Value>) -> Value {
    path.map_or(
        Value::Null,
        |path| json!({"Path": text(path, "path"), "Verb": text(path, "verb")}),
    )
}

fn part<'a>(of: &'a Value, field: &str) -> Option<&'a Value> {
    of.get(field).filter(|value| !value.is_null())
}

fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list(of: &Value, field: &str) -> Vec<String> {
    let items = of.get(field).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}
