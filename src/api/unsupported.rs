//! Finds the fields of an object that are not acted upon: the controller's half of the table in `fields.rs`.
//! The API server refuses the same fields by CEL; this holds when the installed CRD is older than the program, and for files.
//! Pure; called by `validate.rs` on the object as JSON, before serde drops what it does not know.

use serde_json::Value;

use super::fields::{Field, Literal, TABLES, Table, Treatment};
use super::violation::Violation;

/// Every field of `object` (a whole `DockerDeployment`) that is unknown or refused, with its path.
#[must_use]
pub fn find(object: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    for table in TABLES {
        each(table, object, &mut |path, value| {
            check(table, value, path, &mut violations)
        });
    }
    violations.sort();
    violations
}

/// The path of every field of `object` that is accepted and has no effect, so that its author can be told.
#[must_use]
pub fn without_effect(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for table in TABLES {
        let ignored = |(name, value): (&String, &Value)| {
            let treatment = table.field(name).map(|field| field.treatment);
            (matches!(treatment, Some(Treatment::Ignored(_))) && !value.is_null()).then(|| name.clone())
        };
        each(table, object, &mut |path, value| {
            let fields = value.as_object().into_iter().flatten();
            found.extend(fields.filter_map(ignored).map(|name| join(path, &name)));
        });
    }
    found.sort();
    found
}

/// Calls `see` with every object that `table` is about, and its path.
fn each(table: &Table, object: &Value, see: &mut impl FnMut(&str, &Value)) {
    let mut steps: Vec<&str> = table.at.split('.').collect();
    steps.reverse();
    visit(object, &mut steps, String::new(), see);
}

/// `steps` is what is left of the way, last step first.
fn visit(value: &Value, steps: &mut Vec<&str>, path: String, see: &mut impl FnMut(&str, &Value)) {
    let Some(step) = steps.pop() else {
        see(&path, value);
        return;
    };
    let name = step.trim_end_matches("[]");
    if let Some(child) = value.get(name) {
        let path = join(&path, name);
        if step.ends_with("[]") {
            for (index, item) in child.as_array().into_iter().flatten().enumerate() {
                visit(item, steps, format!("{path}[{index}]"), see);
            }
        } else {
            visit(child, steps, path, see);
        }
    }
    steps.push(step);
}

fn check(table: &Table, value: &Value, path: &str, found: &mut Vec<Violation>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match table.field(name) {
            None => found.push(Violation::invalid(
                join(path, name),
                format!("{name} is not a known field: remove it, or check its spelling"),
            )),
            Some(field) if !is_accepted(field, value) => {
                found.extend(
                    field
                        .refusal()
                        .map(|message| Violation::invalid(join(path, name), message)),
                );
            }
            Some(_) => {}
        }
    }
}

fn is_accepted(field: &Field, value: &Value) -> bool {
    match field.treatment {
        Treatment::Used | Treatment::Ours | Treatment::Nested | Treatment::Ignored(_) => true,
        Treatment::Only(_, accepted, _) => {
            value.is_null() || accepted.iter().any(|literal| literal.is(value))
        }
        Treatment::Refused(..) | Treatment::ToCome(..) => match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => field.is_map() && map.is_empty(),
            _ => false,
        },
    }
}

impl Literal {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Bool(literal) => value.as_bool() == Some(*literal),
            Self::Int(literal) => value.as_i64() == Some(*literal),
            Self::Text(literal) => value.as_str() == Some(*literal),
        }
    }
}

/// A path and a name below it.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
#[path = "unsupported_tests.rs"]
mod tests;
