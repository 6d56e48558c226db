//! What a review comes to: warnings, or a refusal in the words of a Kubernetes API server. Owns these words, once for
//! both API servers; no text repeats a value of an object, which may be one that should have been sealed.

use serde_json::{Value, json};

use crate::api::{
    GROUP,
    violation::{Violation, ViolationKind},
};

/// What becomes of a review.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What whoever asked should know, one sentence each. Only of what is admitted.
    pub warnings: Vec<String>,
    /// Why it is not admitted; it is when there is none.
    pub refusal: Option<Refusal>,
}

/// Why something is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP code.
    pub code: u16,
    /// The machine's word for it.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// The object's name.
    pub name: String,
    /// The object's group.
    pub group: String,
    /// The kind for 422, the plural otherwise, as Kubernetes has it.
    pub kind: String,
    /// What exactly, a field each.
    pub causes: Vec<Cause>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The machine's word for it.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// Where.
    pub field: String,
}

impl Cause {
    fn new(violation: &Violation) -> Self {
        let (reason, words) = match violation.kind {
            ViolationKind::InvalidSpec => ("FieldValueInvalid", "Invalid value"),
            ViolationKind::PolicyViolation => ("FieldValueForbidden", "Forbidden"),
        };
        Self {
            reason,
            message: format!("{words}: {}", violation.message),
            field: violation.path.clone(),
        }
    }
}

impl Refusal {
    /// 422 when anything is wrong in itself, with all that is wrong; 403 when it is only not permitted here. `None`
    /// without violations.
    #[must_use]
    pub fn of(violations: &[Violation], kind: &str, plural: &str, name: &str) -> Option<Self> {
        let causes: Vec<Cause> = violations.iter().map(Cause::new).collect();
        let invalid = violations
            .iter()
            .any(|violation| violation.kind == ViolationKind::InvalidSpec);
        let (code, reason, kind, message) = if invalid {
            let texts: Vec<String> = causes
                .iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect();
            let listed = match texts.as_slice() {
                [one] => one.clone(),
                many => format!("[{}]", many.join(", ")),
            };
            let message = format!("{kind}.{GROUP} {name:?} is invalid: {listed}");
            (422, "Invalid", kind, message)
        } else {
            let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
            let texts = texts.join("; ");
            let message = format!(
                "{plural}.{GROUP} {name:?} is forbidden: violates the policy of this operator: {texts}"
            );
            (403, "Forbidden", plural, message)
        };
        (!causes.is_empty()).then(|| Self {
            code,
            reason,
            message,
            name: name.to_owned(),
            group: GROUP.to_owned(),
            kind: kind.to_owned(),
            causes,
        })
    }

    /// 409: something else has to happen first.
    #[must_use]
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        Self {
            code: 409,
            reason: "Conflict",
            message: format!("Operation cannot be fulfilled on {plural}.{group} {name:?}: {why}"),
            name: name.to_owned(),
            group: group.to_owned(),
            kind: plural.to_owned(),
            causes: Vec::new(),
        }
    }

    /// As a `metav1.Status`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let causes: Vec<Value> = self
            .causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let mut details = json!({"name": self.name, "group": self.group, "kind": self.kind});
        if !causes.is_empty() {
            details["causes"] = causes.into();
        }
        json!({
            "metadata": {}, "status": "Failure", "code": self.code, "reason": self.reason,
            "message": self.message, "details": details,
        })
    }
}
