//! Defaults must obey the schema in which they stand: no unknown fields, valid. Owns the findings
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting`). Called by `parse`.

use serde_json::Value;

use super::{Schema, cel, embedded, prune::prune, values};
use crate::apiserver::field_error::FieldError;

/// The findings of all defaults in `schema`, at `at`.
pub(super) fn check(schema: &Schema, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(schema, at, &mut found);
    found
}

fn walk(schema: &Schema, at: &str, found: &mut Vec<FieldError>) {
    if let Some(default) = &schema.default {
        found.extend(one(default, schema, &format!("{at}.default")));
    }
    if let Some(items) = &schema.items {
        walk(items, &format!("{at}.items"), found);
    }
    for (name, child) in &schema.properties {
        walk(child, &format!("{at}.properties[{name}]"), found);
    }
}

fn one(default: &Value, schema: &Schema, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut pruned = default.clone();
    prune(&mut pruned, schema);
    if pruned != *default {
        found.push(FieldError::invalid(
            at,
            default.clone(),
            "must not have unknown fields",
        ));
    }
    let mut wrong = embedded::check(default, schema);
    if wrong.is_empty() {
        wrong = values::check(default, None, schema);
    }
    if wrong.is_empty() && schema.has_cel {
        wrong = cel::check(default, None, schema);
    }
    found.extend(wrong.into_iter().map(|mut finding| {
        finding.field = match finding.field.as_str() {
            "<nil>" | "" => at.to_owned(),
            below if below.starts_with('[') => format!("{at}{below}"),
            below => format!("{at}.{below}"),
        };
        finding
    }));
    found
}
