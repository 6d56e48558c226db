//! What is wrong with the options of a request: the 422 answers of `CreateOptions`, `UpdateOptions`, `PatchOptions`,
//! `DeleteOptions` and `ListOptions`, with the findings and words of `k8s.io/apimachinery/pkg/apis/meta`.
//! Reads no object. Called by `verbs` before anything else is done for a request.

use serde_json::Value;

use super::{PatchType, Query};
use crate::apiserver::{
    field_error::{FieldError, FieldErrorKind},
    status::{Result, Status},
};

impl Query {
    /// Judges the options of a create.
    ///
    /// # Errors
    /// 422.
    pub fn validate_create(&self) -> Result<()> {
        refuse("CreateOptions", &self.write_findings())
    }

    /// Judges the options of an update.
    ///
    /// # Errors
    /// 422.
    pub fn validate_update(&self) -> Result<()> {
        refuse("UpdateOptions", &self.write_findings())
    }

    /// Judges the options of a patch of this type.
    ///
    /// # Errors
    /// 422.
    pub fn validate_patch(&self, patch: PatchType) -> Result<()> {
        let mut findings = Vec::new();
        if patch == PatchType::Apply {
            if self.field_manager.is_empty() {
                findings.push(FieldError::required(
                    "fieldManager",
                    "is required for apply patch",
                ));
            }
        } else if self.force.is_some() {
            findings.push(FieldError::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        findings.extend(self.write_findings());
        refuse("PatchOptions", &findings)
    }

    /// Judges the options of a list or, with `watch`, of a watch.
    ///
    /// # Errors
    /// 422.
    pub fn validate_list(&self) -> Result<()> {
        let findings = if self.watch {
            self.watch_findings()
        } else {
            self.list_findings()
        };
        refuse("ListOptions", &findings)
    }

    /// Judges `includeObject`, which counts only for tables.
    ///
    /// # Errors
    /// 400.
    pub fn validate_table(&self) -> Result<()> {
        match &*self.include_object {
            "" | "Metadata" | "Object" | "None" => Ok(()),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: {}",
                FieldError::invalid(
                    "includeObject",
                    other,
                    "must be 'Metadata', 'Object', 'None', or empty"
                )
            ))),
        }
    }

    fn write_findings(&self) -> Vec<FieldError> {
        let mut findings = manager_findings(&self.field_manager);
        findings.extend(dry_run_finding(&self.dry_run));
        if !matches!(&*self.field_validation, "" | "Ignore" | "Strict" | "Warn") {
            findings.push(FieldError::not_supported(
                "fieldValidation",
                &*self.field_validation,
                &["", "Ignore", "Strict", "Warn"],
            ));
        }
        findings
    }

    fn list_findings(&self) -> Vec<FieldError> {
        let mut findings = Vec::new();
        let mut forbidden = |why: &str| findings.push(FieldError::forbidden("resourceVersionMatch", why));
        let matching = &*self.resource_version_match;
        if !matching.is_empty() {
            if self.resource_version.is_empty() {
                forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if !self.continue_token.is_empty() {
                forbidden("resourceVersionMatch is forbidden when continue is provided");
            }
            if matching == "Exact" && self.resource_version == "0" {
                forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                let supported = ["Exact", "NotOlderThan", ""];
                findings.push(FieldError::not_supported(
                    "resourceVersionMatch",
                    matching,
                    &supported,
                ));
            }
        }
        if self.send_initial_events.is_some() {
            let why = "sendInitialEvents is forbidden for list";
            findings.push(FieldError::forbidden("sendInitialEvents", why));
        }
        findings
    }

    fn watch_findings(&self) -> Vec<FieldError> {
        let matching = &*self.resource_version_match;
        let supported = matching == "NotOlderThan";
        let forbidden = |why: &str| FieldError::forbidden("resourceVersionMatch", why);
        let mut findings = Vec::new();
        if self.send_initial_events.is_some() && !supported {
            findings.push(forbidden(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        // A watch from the newest or from anything is one with initial events to the real server, which names no value.
        let unversioned = self.send_initial_events.is_none() && matches!(&*self.resource_version, "" | "0");
        if matching.is_empty() && unversioned && !self.continue_token.is_empty() {
            findings.push(forbidden(
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if matching.is_empty() {
            return findings;
        }
        if self.send_initial_events.is_none() {
            findings.push(forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if !supported {
            let known = ["NotOlderThan"];
            findings.push(FieldError::not_supported(
                "resourceVersionMatch",
                matching,
                &known,
            ));
        }
        if !self.continue_token.is_empty() {
            findings.push(forbidden(
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        findings
    }
}

/// Findings about a name of a field manager at `fieldManager`: at most 128 bytes, all of them printable.
fn manager_findings(manager: &str) -> Vec<FieldError> {
    let mut findings = Vec::new();
    if manager.len() > 128 {
        findings.push(FieldError {
            kind: FieldErrorKind::TooLong,
            field: "fieldManager".to_owned(),
            value: None,
            detail: "may not be more than 128 bytes".to_owned(),
        });
    }
    let unprintable = manager.char_indices().filter(|(_, c)| c.is_control());
    findings.extend(unprintable.map(|(at, c)| {
        let why = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        FieldError::invalid("fieldManager", manager, why)
    }));
    findings
}

/// The finding about `dryRun`, of which only `All` is known.
pub(super) fn dry_run_finding(values: &[String]) -> Option<FieldError> {
    let shown = || {
        values
            .iter()
            .map(|value| Value::from(value.as_str()))
            .collect::<Value>()
    };
    (values.iter().any(|value| value != "All"))
        .then(|| FieldError::not_supported("dryRun", shown(), &["All"]))
}

/// 422 when there are findings.
pub(super) fn refuse(kind: &str, findings: &[FieldError]) -> Result<()> {
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid_options(kind, findings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::query;

    fn said(result: Result<()>) -> String {
        result.map_or_else(
            |status| format!("{} {}", status.code, status.message),
            |()| String::new(),
        )
    }

    #[test]
    fn lists_and_watches_are_judged_in_the_words_of_the_real_server() {
        let forbidden = |what: &str| {
            format!("422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: {what}")
        };
        for (text, expected) in [
            ("resourceVersionMatch=Exact&resourceVersion=5", String::new()),
            ("resourceVersionMatch=NotOlderThan&resourceVersion=0", String::new()),
            ("watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=true", String::new()),
            (
                "sendInitialEvents=x",
                "422 ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list".into(),
            ),
            (
                "resourceVersionMatch=foo",
                "422 ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, resourceVersionMatch: Unsupported value: \"foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"]".into(),
            ),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""),
            ),
            (
                "resourceVersionMatch=Exact&resourceVersion=1&continue=abc",
                forbidden("resourceVersionMatch is forbidden when continue is provided"),
            ),
            (
                "sendInitialEvents=true&watch=1",
                forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
            ),
            (
                "continue=abc&watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=true",
                forbidden("resourceVersionMatch is forbidden when continue is provided"),
            ),
            (
                "continue=abc&watch=1",
                forbidden("resourceVersionMatch is forbidden when continue is provided"),
            ),
            ("continue=abc&watch=1&resourceVersion=5", String::new()),
            (
                "resourceVersionMatch=Exact&watch=1",
                "422 ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]".into(),
            ),
        ] {
            assert_eq!(said(query(text).unwrap().validate_list()), expected, "{text}");
        }
    }

    #[test]
    fn writes_are_judged_in_the_words_of_the_real_server() {
        let long = format!("fieldManager={}", "x".repeat(129));
        for (text, expected) in [
            ("dryRun=All&dryRun=All&fieldValidation=Warn&fieldManager=é", ""),
            (
                "dryRun=",
                r#"422 CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]: supported values: "All""#,
            ),
            (
                "dryRun=All&dryRun=foo",
                r#"422 CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["All","foo"]: supported values: "All""#,
            ),
            (
                "fieldValidation=bogus&dryRun=foo",
                r#"422 CreateOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: ["foo"]: supported values: "All", fieldValidation: Unsupported value: "bogus": supported values: "", "Ignore", "Strict", "Warn"]"#,
            ),
            (
                "fieldManager=a%0ab",
                r#"422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\nb": invalid character U+000A (at position 1)"#,
            ),
            (
                &long,
                r#"422 CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#,
            ),
        ] {
            assert_eq!(said(query(text).unwrap().validate_create()), expected, "{text}");
        }
        assert!(
            said(query("dryRun=x").unwrap().validate_update()).starts_with("422 UpdateOptions.meta.k8s.io")
        );
    }

    #[test]
    fn force_is_for_apply_which_needs_a_manager() {
        let patch = |text: &str, patch| said(query(text).unwrap().validate_patch(patch));
        assert_eq!(
            patch("force=", PatchType::Merge),
            "422 PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
        );
        assert_eq!(
            patch("dryRun=foo", PatchType::Apply),
            "422 PatchOptions.meta.k8s.io \"\" is invalid: [fieldManager: Required value: is required for apply patch, dryRun: Unsupported value: [\"foo\"]: supported values: \"All\"]"
        );
        assert_eq!(patch("force=true&fieldManager=m", PatchType::Apply), "");
        assert_eq!(patch("", PatchType::Json), "");
    }

    #[test]
    fn a_table_can_include_three_things() {
        assert_eq!(
            said(query("includeObject=foo").unwrap().validate_table()),
            "400 Unable to convert to Table as requested: includeObject: Invalid value: \"foo\": must be 'Metadata', 'Object', 'None', or empty"
        );
        assert_eq!(said(query("includeObject=Object").unwrap().validate_table()), "");
    }
}
