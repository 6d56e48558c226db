//! What is wrong with an object: a path, a sentence and a kind.
//! Owns the shape and the order; the rules are in `validate*.rs` and `unsupported.rs`.
//! Returned, all at once, to whoever asks whether an object can be acted upon.

use std::fmt;

use super::condition::Reason;

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where, such as `spec.template.spec.containers[0].image`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Whether the object is wrong in itself or only not permitted here.
    pub kind: ViolationKind,
}

/// Whether an object is wrong in itself or only not permitted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// Wrong everywhere.
    InvalidSpec,
    /// The operator's flags do not permit it.
    PolicyViolation,
}

impl Violation {
    /// A violation that is wrong everywhere.
    pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            kind: ViolationKind::InvalidSpec,
        }
    }

    /// A violation of the operator's policy.
    pub(super) fn policy(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            kind: ViolationKind::PolicyViolation,
        }
    }
}

impl ViolationKind {
    /// The reason that conditions, events and metrics give.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::InvalidSpec => Reason::InvalidSpec,
            Self::PolicyViolation => Reason::PolicyViolation,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The violations in one line, for a condition's message.
#[must_use]
pub fn join(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(Violation::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
