//! Validation of an object by its schema, in the order of the real server: values, embedded resources, lists, CEL rules.
//! Owns the order and when rules are not asked. Called for every write, after defaulting.

use serde_json::Value;

use super::{Schema, cel, embedded, lists, values};
use crate::apiserver::field_error::{FieldError, FieldErrorKind};

/// All findings: types, values, CEL rules (with `old`, transition rules too). With `old`, what was invalid before and is
/// unchanged is no finding (ratcheting).
#[must_use]
pub fn validate(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<FieldError> {
    validate_further(Vec::new(), Vec::new(), (object, old), schema)
}

/// [`validate`] of an object and its old state, with what was found elsewhere: in its metadata, and by the rules of its
/// kind. With some findings, CEL rules are not asked.
#[must_use]
pub fn validate_further(
    mut found: Vec<FieldError>,
    by_kind: Vec<FieldError>,
    (object, old): (&Value, Option<&Value>),
    schema: &Schema,
) -> Vec<FieldError> {
    found.extend(values::check(object, old, schema));
    found.extend(by_kind);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::schema::read;

    #[test]
    fn rules_are_not_asked_of_an_object_without_a_name() {
        let schema = read(&json!({"type": "object", "properties": {"a": {
            "type": "integer", "x-kubernetes-validations": [{"rule": "self > 1", "message": "too small"}],
        }}}));
        let object = json!({"a": 1});
        let last = |before: Vec<FieldError>| {
            let found = validate_further(before, Vec::new(), (&object, None), &schema);
            found.last().map(|finding| finding.field.clone())
        };
        assert_eq!(last(Vec::new()).as_deref(), Some("a"));
        assert_eq!(
            last(vec![FieldError::invalid("metadata.name", "", "")]).as_deref(),
            Some("a")
        );
        assert_eq!(
            last(vec![FieldError::required("metadata.name", "")]).as_deref(),
            Some("<nil>")
        );
    }
}
