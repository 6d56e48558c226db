//! The options of writes as the verbs take them: who the field manager is, how unknown fields are taken, and what a
//! `DeleteOptions` body or its query asks for. Judging `CreateOptions` and the like is `request`'s. Pure.

use http::{HeaderMap, header};
use serde_json::Value;

use super::{
    super::{
        field_error::{FieldError, FieldErrorKind},
        request::Query,
        status::{Result, Status},
    },
    Deletion, FieldValidation, Propagation,
};

/// The longest name of a field manager, in bytes.
const LONGEST_MANAGER: usize = 128;

/// The field manager: as asked for, else what the client calls itself up to the first slash.
pub(super) fn manager(query: &Query, headers: &HeaderMap) -> String {
    if !query.field_manager.is_empty() {
        return query.field_manager.clone();
    }
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let name = agent.unwrap_or_default().split('/').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_MANAGER).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// How unknown fields are taken. What else `fieldValidation` may say was refused before.
pub(super) fn validation(query: &Query) -> FieldValidation {
    match &*query.field_validation {
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        _ => FieldValidation::Warn,
    }
}

/// What a DELETE asks for: its body, or without one its query. With it, whether it is a dry run.
///
/// # Errors
/// 400 for a body that is no `DeleteOptions`, 422 for values that are not supported.
pub(super) fn deletion(body: Option<&Value>, query: &Query) -> Result<(Deletion, bool)> {
    let asked = match body {
        None | Some(Value::Null) => Asked {
            policy: Some(query.propagation_policy.clone()).filter(|policy| !policy.is_empty()),
            orphan: query.orphan_dependents,
            dry_run: query.dry_run.clone(),
            ..Asked::default()
        },
        Some(body) => Asked::read(body)?,
    };
    asked.judge()
}

#[derive(Debug, Default)]
struct Asked {
    policy: Option<String>,
    orphan: Option<bool>,
    dry_run: Vec<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Asked {
    fn read(body: &Value) -> Result<Self> {
        if !body.is_object() {
            return Err(Status::bad_request("the body is no DeleteOptions: it is no object"));
        }
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "" | "DeleteOptions") {
            return Err(Status::bad_request(format!(
                "no kind {kind:?} is known as options of a deletion"
            )));
        }
        let dry_run = match body.get("dryRun") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| mistyped("dryRun", "string")))
                .collect::<Result<_>>()?,
            Some(_) => return Err(mistyped("dryRun", "list of strings")),
        };
        match body.get("gracePeriodSeconds") {
            None | Some(Value::Null) => {}
            Some(value) if value.is_i64() => {}
            Some(_) => return Err(mistyped("gracePeriodSeconds", "int64")),
        }
        let preconditions = match body.get("preconditions") {
            None | Some(Value::Null) => &Value::Null,
            Some(value) if value.is_object() => value,
            Some(_) => return Err(mistyped("preconditions", "Preconditions")),
        };
        Ok(Self {
            policy: string(body, "propagationPolicy")?,
            orphan: match body.get("orphanDependents") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(orphan)) => Some(*orphan),
                Some(_) => return Err(mistyped("orphanDependents", "bool")),
            },
            dry_run,
            uid: string(preconditions, "uid")?,
            resource_version: string(preconditions, "resourceVersion")?,
        })
    }

    fn judge(self) -> Result<(Deletion, bool)> {
        let mut findings = Vec::new();
        if let (Some(policy), Some(_)) = (&self.policy, self.orphan) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            findings.push(FieldError::invalid("propagationPolicy", policy.as_str(), why));
        }
        let propagation = match self.policy.as_deref() {
            None => self.orphan.map(|orphan| match orphan {
                true => Propagation::Orphan,
                false => Propagation::Background,
            }),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                findings.push(FieldError::not_supported("propagationPolicy", other, &supported));
                None
            }
        };
        if self.dry_run.iter().any(|value| value != "All") {
            findings.push(FieldError {
                kind: FieldErrorKind::NotSupported,
                field: "dryRun".to_owned(),
                value: Some(self.dry_run.clone().into()),
                detail: "supported values: \"All\"".to_owned(),
            });
        }
        if !findings.is_empty() {
            return Err(Status::invalid_options("DeleteOptions", &findings));
        }
        let deletion = Deletion {
            propagation,
            uid: self.uid,
            resource_version: self.resource_version,
        };
        Ok((deletion, !self.dry_run.is_empty()))
    }
}

fn string(body: &Value, field: &str) -> Result<Option<String>> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(mistyped(field, "string")),
    }
}

fn mistyped(field: &str, expected: &str) -> Status {
    Status::bad_request(format!("DeleteOptions.{field} is no {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(body: &Value) -> (u16, String) {
        let status = deletion(Some(body), &Query::default()).unwrap_err();
        (status.code, status.message)
    }

    #[test]
    fn a_body_decides_and_the_query_is_then_not_read() {
        let query = Query {
            propagation_policy: "Orphan".into(),
            dry_run: vec!["All".into()],
            ..Query::default()
        };
        let (asked, dry) = deletion(None, &query).unwrap();
        assert_eq!((asked.propagation, dry), (Some(Propagation::Orphan), true));
        let body = json!({"kind": "DeleteOptions", "gracePeriodSeconds": -1, "preconditions": {"uid": "u"}});
        let (asked, dry) = deletion(Some(&body), &query).unwrap();
        assert_eq!((asked.propagation, asked.uid.as_deref(), dry), (None, Some("u"), false));
    }

    #[test]
    fn a_bogus_policy_is_422_and_a_body_of_other_types_is_400() {
        let (code, message) = refused(&json!({"propagationPolicy": "foo"}));
        assert_eq!(code, 422);
        assert_eq!(
            message,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"foo\": supported values: \
             \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        );
        assert_eq!(refused(&json!({"dryRun": ["Foo"]})).0, 422);
        assert_eq!(refused(&json!({"orphanDependents": true, "propagationPolicy": "Orphan"})).0, 422);
        for body in [
            json!([]),
            json!("x"),
            json!({"kind": "Pod"}),
            json!({"gracePeriodSeconds": "a"}),
            json!({"preconditions": 1}),
            json!({"preconditions": {"uid": 1}}),
            json!({"dryRun": "All"}),
            json!({"orphanDependents": 3}),
        ] {
            assert_eq!(refused(&body).0, 400, "{body}");
        }
    }

    #[test]
    fn the_manager_is_what_the_client_calls_itself() {
        let mut headers = HeaderMap::new();
        assert_eq!(manager(&Query::default(), &headers), "unknown");
        headers.insert(header::USER_AGENT, "kubectl/v1.33 (linux/amd64)".parse().unwrap());
        assert_eq!(manager(&Query::default(), &headers), "kubectl");
        headers.insert(header::USER_AGENT, "x".repeat(200).parse().unwrap());
        assert_eq!(manager(&Query::default(), &headers).len(), LONGEST_MANAGER);
        let query = Query {
            field_manager: "me".into(),
            ..Query::default()
        };
        assert_eq!(manager(&query, &headers), "me");
    }
}
