//! Conflicts of server-side apply as the 409 that clients read: one message for people, one cause per field for
//! programs. Owns the words (`apimachinery/pkg/util/managedfields/internal/conflict.go`), finds no conflict itself.
//! Called by `mod.rs` and `scale`.

use super::{
    element::PathElement,
    entries::{Operation, Owner},
    updater::Conflict,
};
use crate::apiserver::status::{Cause, Status};

/// The refusal. Conflicts come in the order of their managers.
#[must_use]
pub fn refusal(conflicts: &[Conflict]) -> Status {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for conflict in conflicts {
        let who = describe(&conflict.owner);
        lines.push(format!("conflicts with {who}:"));
        conflict.set.for_each(&mut |path| {
            let field: String = path.iter().map(PathElement::to_string).collect();
            lines.push(format!("- {field}"));
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {who}"),
                field,
            });
        });
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    Status::apply_conflict(message, causes)
}

fn describe(owner: &Owner) -> String {
    let mut text = format!("{:?}", owner.manager);
    if !owner.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", owner.subresource));
    }
    if owner.operation == Operation::Update {
        text.push_str(&format!(" using {}", owner.api_version));
    }
    text
}
