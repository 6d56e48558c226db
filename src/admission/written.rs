//! Whether an object may be written: the rules by which the guard of every reconcile judges it, and no others. Owns when
//! they are not asked: for what was stored under older or laxer rules and is only deleted, labelled or let go.

use serde_json::Value;

use super::{
    deletion::Facts,
    references,
    review::{Operation, Review, Subject, is_deleting, meta},
    verdict::{Refusal, Verdict},
    warnings,
};
use crate::api::{
    DockerSecret,
    validate::{self, Policy},
    validate_secret,
    violation::Violation,
};

/// The verdict on a creation or an update.
pub(super) fn judge(review: &Review<'_>, policy: &Policy, facts: &Facts) -> Verdict {
    let Some(new) = is_judged(review) else {
        return Verdict::default();
    };
    let (kind, violations) = match review.subject() {
        Subject::Deployment => ("DockerDeployment", validate::validate(new, policy).err()),
        Subject::Secret => ("DockerSecret", secret(new)),
        Subject::Definition | Subject::Other => return Verdict::default(),
    };
    let violations = violations.unwrap_or_default();
    let refusal = Refusal::of(&violations, kind, review.resource, meta(new, "name"));
    let warnings = match refusal {
        None => {
            let mut warnings = warnings::about(review.subject(), new, facts.now);
            warnings.extend(references::warnings(new, &facts.keys));
            warnings
        }
        Some(_) => Vec::new(),
    };
    Verdict { warnings, refusal }
}

/// What is written, when it is to be judged.
pub(super) fn is_judged<'a>(review: &Review<'a>) -> Option<&'a Value> {
    let written = matches!(review.operation, Operation::Create | Operation::Update);
    let new = review.object.filter(|_| written)?;
    let same = review.old.is_some_and(|old| old.get("spec") == new.get("spec"));
    (!is_deleting(new) && !same).then_some(new)
}

fn secret(object: &Value) -> Option<Vec<Violation>> {
    // One that cannot be read was refused by its schema.
    let secret: DockerSecret = serde_json::from_value(object.clone()).ok()?;
    validate_secret::validate_secret(&secret).err()
}
