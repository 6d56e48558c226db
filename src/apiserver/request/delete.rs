//! `DeleteOptions`: from a body of any format, or from the query when there is no body, as upstream chooses.
//! Owns their reading and the 422 findings about them. Deletes nothing. Called by `verbs` for every DELETE.

use bytes::Bytes;
use serde_json::Value;

use super::{
    Query,
    body::{Format, json, yaml},
    envelope,
    options::{dry_run_finding, refuse},
};
use crate::apiserver::{
    field_error::FieldError,
    status::{Result, Status},
    verbs::Propagation,
};

/// What a deletion is asked to do; absent means the kind's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `propagationPolicy`, or what the older `orphanDependents` means.
    pub propagation: Option<Propagation>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// `dryRun` is `All`.
    pub dry_run: bool,
    /// `gracePeriodSeconds`.
    pub grace_period_seconds: Option<i64>,
}

/// Reads them: a body that is not empty counts alone, otherwise the query does.
///
/// # Errors
/// 415 and 400 for a body that cannot be read, 422 for options that contradict themselves or are unknown.
pub fn delete_options(query: &Query, content_type: Option<&str>, body: &Bytes) -> Result<DeleteOptions> {
    let given = if body.is_empty() {
        Given::of_query(query)
    } else {
        Given::of_body(content_type, body)?
    };
    given.judge()
}

/// The options as given.
#[derive(Default)]
struct Given {
    policy: Option<String>,
    orphan: Option<bool>,
    dry_run: Vec<String>,
    read: DeleteOptions,
}

impl Given {
    fn of_query(query: &Query) -> Self {
        Self {
            policy: Some(query.propagation_policy.clone()).filter(|policy| !policy.is_empty()),
            orphan: query.orphan_dependents,
            dry_run: query.dry_run.clone(),
            read: DeleteOptions {
                grace_period_seconds: query.grace_period_seconds,
                ..DeleteOptions::default()
            },
        }
    }

    fn of_body(content_type: Option<&str>, body: &Bytes) -> Result<Self> {
        let decoded = match Format::of(content_type)? {
            Format::Json => json(body).map_err(|why| {
                Status::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
            })?,
            Format::Yaml => yaml(body).map_err(|why| Status::bad_request(format!("yaml: {why}")))?,
            Format::Protobuf => super::Decoded {
                object: envelope::decode(body)?,
                strict: Vec::new(),
            },
        };
        let object = match decoded.object {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => {
                return Err(Status::bad_request(
                    "couldn't get version/kind; json parse error: the options are no object",
                ));
            }
        };
        if let Some(kind) = object.get("kind").and_then(Value::as_str)
            && !matches!(kind, "" | "DeleteOptions")
        {
            return Err(Status::bad_request(format!(
                "no kind {kind:?} is registered for the options of a deletion"
            )));
        }
        let preconditions = object.get("preconditions").unwrap_or(&Value::Null);
        Ok(Self {
            policy: text(object.get("propagationPolicy"), "propagationPolicy")?,
            orphan: match object.get("orphanDependents") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(orphan)) => Some(*orphan),
                Some(_) => return Err(mistyped("orphanDependents", "bool")),
            },
            dry_run: match object.get("dryRun") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(values)) => values
                    .iter()
                    .map(|value| value.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .ok_or_else(|| mistyped("dryRun", "string"))?,
                Some(_) => return Err(mistyped("dryRun", "[]string")),
            },
            read: DeleteOptions {
                uid: text(preconditions.get("uid"), "preconditions.uid")?,
                resource_version: text(
                    preconditions.get("resourceVersion"),
                    "preconditions.resourceVersion",
                )?,
                grace_period_seconds: match object.get("gracePeriodSeconds") {
                    None | Some(Value::Null) => None,
                    Some(value) => Some(
                        value
                            .as_i64()
                            .ok_or_else(|| mistyped("gracePeriodSeconds", "int64"))?,
                    ),
                },
                ..DeleteOptions::default()
            },
        })
    }

    fn judge(self) -> Result<DeleteOptions> {
        let mut findings = Vec::new();
        if let (Some(policy), Some(_)) = (&self.policy, self.orphan) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            findings.push(FieldError::invalid("propagationPolicy", policy.as_str(), why));
        }
        let mut propagation = self.orphan.map(|orphan| {
            if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            }
        });
        match self.policy.as_deref() {
            None => {}
            Some("Foreground") => propagation = Some(Propagation::Foreground),
            Some("Background") => propagation = Some(Propagation::Background),
            Some("Orphan") => propagation = Some(Propagation::Orphan),
            Some(other) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                findings.push(FieldError::not_supported("propagationPolicy", other, &known));
            }
        }
        findings.extend(dry_run_finding(&self.dry_run));
        refuse("DeleteOptions", &findings)?;
        Ok(DeleteOptions {
            propagation,
            dry_run: !self.dry_run.is_empty(),
            ..self.read
        })
    }
}

fn text(value: Option<&Value>, field: &str) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(mistyped(field, "string")),
    }
}

fn mistyped(field: &str, kind: &str) -> Status {
    Status::bad_request(format!(
        "json: cannot unmarshal the value of field DeleteOptions.{field} into type {kind}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::query;

    fn read(parameters: &str, body: &'static str) -> Result<DeleteOptions> {
        delete_options(
            &query(parameters).unwrap(),
            Some("application/json"),
            &Bytes::from(body),
        )
    }

    #[test]
    fn without_a_body_the_query_counts() {
        let options = read("propagationPolicy=Foreground&dryRun=All&gracePeriodSeconds=0", "").unwrap();
        assert_eq!(options.propagation, Some(Propagation::Foreground));
        assert!(options.dry_run);
        assert_eq!(options.grace_period_seconds, Some(0));
        assert_eq!(read("", "").unwrap(), DeleteOptions::default());
    }

    #[test]
    fn a_body_counts_alone() {
        let body = r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u","resourceVersion":"7"},"orphanDependents":true}"#;
        let options = read("propagationPolicy=Foreground&dryRun=All", body).unwrap();
        let expected = DeleteOptions {
            propagation: Some(Propagation::Orphan),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            ..DeleteOptions::default()
        };
        assert_eq!(options, expected);
        assert_eq!(read("", "null").unwrap(), DeleteOptions::default());
    }

    #[test]
    fn yaml_is_read_too_and_other_types_are_refused() {
        let body = Bytes::from("propagationPolicy: Background");
        let read = |content_type| delete_options(&Query::default(), Some(content_type), &body);
        assert_eq!(
            read("application/yaml").unwrap().propagation,
            Some(Propagation::Background)
        );
        assert_eq!(read("text/plain").unwrap_err().code, 415);
    }

    #[test]
    fn findings_have_the_words_of_the_real_server() {
        for (body, message) in [
            (
                r#"{"propagationPolicy":"bogus"}"#,
                r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "bogus": supported values: "Foreground", "Background", "Orphan", "nil""#,
            ),
            (
                r#"{"propagationPolicy":""}"#,
                r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "": supported values: "Foreground", "Background", "Orphan", "nil""#,
            ),
            (
                r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#,
                r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#,
            ),
            (
                r#"{"dryRun":["foo","All"]}"#,
                r#"DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo","All"]: supported values: "All""#,
            ),
        ] {
            let status = read("", body).unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (422, message));
        }
    }

    #[test]
    fn a_body_that_is_not_options_is_refused() {
        for body in [
            "{",
            "[]",
            r#"{"kind":"Foo"}"#,
            r#"{"dryRun":"All"}"#,
            r#"{"dryRun":[1]}"#,
            r#"{"gracePeriodSeconds":"x"}"#,
            r#"{"preconditions":{"uid":1}}"#,
            r#"{"orphanDependents":1}"#,
        ] {
            assert_eq!(read("", body).unwrap_err().code, 400, "{body}");
        }
    }
}
