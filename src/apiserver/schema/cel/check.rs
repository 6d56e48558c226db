//! Mistakes in CEL rules, found when a CRD is written. Owns the findings; the interpreter has no type checker, so only what
//! cannot be parsed, unknown names and unknown fields are found. Called by `parse`.

use super::{
    super::{Additional, Schema},
    Program, Rule,
};
use crate::apiserver::field_error::FieldError;

/// The mistakes in the rules of `schema`, at `at`.
pub(in super::super) fn findings(schema: &Schema, at: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(schema, at, &mut found);
    found
}

fn walk(schema: &Schema, at: &str, found: &mut Vec<FieldError>) {
    if !schema.has_cel {
        return;
    }
    if let Some(rules) = schema.rules.as_deref() {
        if let Some(program) = &rules.cel {
            mistakes(program, at, found);
        }
        for (index, nested) in rules.all_of.iter().enumerate() {
            walk(nested, &format!("{at}.allOf[{index}]"), found);
        }
    }
    for (name, child) in &schema.properties {
        walk(child, &format!("{at}.properties[{name}]"), found);
    }
    if let Some(items) = &schema.items {
        walk(items, &format!("{at}.items"), found);
    }
    if let Some(Additional::Of(values)) = &schema.additional {
        walk(values, &format!("{at}.additionalProperties"), found);
    }
}

fn mistakes(program: &Program, at: &str, found: &mut Vec<FieldError>) {
    for (index, rule) in program.rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        if let Some(mistake) = mistake(rule) {
            let detail = format!("compilation failed: {mistake}");
            found.push(FieldError::invalid(
                format!("{at}.rule"),
                rule.source.as_str(),
                detail,
            ));
        }
        if let (Some(mistake), Some(source)) = (&rule.message_mistake, &rule.message_source) {
            let detail = format!("messageExpression compilation failed: {mistake}");
            found.push(FieldError::invalid(
                format!("{at}.messageExpression"),
                source.as_str(),
                detail,
            ));
        }
    }
}

fn mistake(rule: &Rule) -> Option<String> {
    match &rule.compiled {
        Err(mistake) => Some(mistake.clone()),
        Ok(compiled) => compiled.shape.unknown.as_ref().map(|name| {
            let column = rule.source.find(name.as_str()).unwrap_or_default();
            format!(
                "ERROR: <input>:1:{}: undeclared reference to '{name}' (in container '')\n | {}\n | {}^",
                column + 1,
                rule.source,
                ".".repeat(column)
            )
        }),
    }
}
