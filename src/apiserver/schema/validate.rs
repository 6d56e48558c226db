//! Validation of an object by its schema, in the order of the real server: values, embedded resources, lists, CEL rules.
//! Owns the order and when rules are not asked. Called for every write, after defaulting.

use serde_json::Value;

use super::{Schema, cel, embedded, lists, values};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// All findings: types, values, CEL rules (with `old`, transition rules too). With `old`, what was invalid before and is
/// unchanged is no finding (ratcheting).
#[must_use]
pub fn validate(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<FieldError> {
    let mut found = values::check(object, old, schema);
    found.extend(embedded::check(object, schema));
    if old.is_none_or(|old| lists::check(old, schema).is_empty()) {
        found.extend(lists::check(object, schema));
    }
    if !schema.has_cel {
        return found;
    }
    if found.iter().any(blocks_rules) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        found.push(FieldError::invalid("<nil>", Value::Null, detail));
    } else {
        found.extend(cel::check(object, old, schema));
    }
    found
}

/// A rule may count on these being in order.
const fn blocks_rules(finding: &FieldError) -> bool {
    matches!(
        finding.kind,
        FieldErrorKind::NotSupported
            | FieldErrorKind::Required
            | FieldErrorKind::TooLong
            | FieldErrorKind::TooMany
            | FieldErrorKind::TypeInvalid
    )
}
