//! Whether a configuration can be applied: every field is declared, of its type, and no item is there twice. The words
//! are upstream's (`typed/validate.go`). Values that must not be seen are named by their type. Decides about no value
//! beyond its type: that is `schema`'s. Called by `mod.rs`, for `scale` too.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::{
    element::PathElement,
    fields_v1::MAX_DEPTH,
    items,
    shape::{List, Map, Shape, Typed},
};
use crate::apiserver::schema::{ListType, Type};

/// All findings in one text; `None` when there are none. With `secret` no value is shown.
#[must_use]
pub fn findings(typed: Typed<'_>, value: &Value, secret: bool) -> Option<String> {
    let mut check = Check {
        secret,
        found: Vec::new(),
    };
    check.value(typed, value, &mut Vec::new());
    match check.found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("errors:\n  {}", many.join("\n  "))),
    }
}

struct Check {
    secret: bool,
    found: Vec<String>,
}

impl Check {
    fn say(&mut self, path: &[PathElement], what: impl AsRef<str>) {
        let mut text = String::new();
        for element in path {
            let _ = write!(text, "{element}");
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(what.as_ref());
        self.found.push(text);
    }

    fn value(&mut self, typed: Typed<'_>, value: &Value, path: &mut Vec<PathElement>) {
        if path.len() > MAX_DEPTH {
            self.found
                .push(format!("the object is nested deeper than {MAX_DEPTH} levels"));
            return;
        }
        match (typed.shape(value), value) {
            (_, Value::Null) => {}
            (Shape::Map(map), Value::Object(fields)) => self.fields(map, fields, path),
            (Shape::List(list), Value::Array(items)) => self.items(list, items, path),
            (Shape::Map(_), _) => self.say(path, format!("expected map, got {}", self.shown(value))),
            (Shape::List(_), _) => self.say(path, format!("expected list, got {}", self.shown(value))),
            (Shape::Leaf(kind), _) => {
                if let Some(what) = self.misfit(kind, value) {
                    self.say(path, what);
                }
            }
        }
    }

    fn fields(&mut self, map: Map<'_>, fields: &serde_json::Map<String, Value>, path: &mut Vec<PathElement>) {
        for (name, value) in fields {
            path.push(PathElement::Field(name.clone()));
            let declared = map.field(name);
            match declared {
                Some(field) => self.value(field.typed, value, path),
                None => self.say(path, "field not declared in schema"),
            }
            path.pop();
            if declared.is_none() {
                return;
            }
        }
    }

    fn items(&mut self, list: List<'_>, items: &[Value], path: &mut Vec<PathElement>) {
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = if *list.kind == ListType::Atomic {
                PathElement::Index(i64::try_from(at).unwrap_or(i64::MAX))
            } else {
                match items::element_of(list, item) {
                    Ok(element) => {
                        if !seen.insert(element.clone()) {
                            self.say(path, format!("duplicate entries for key {element}"));
                        }
                        element
                    }
                    Err(what) => return self.say(path, format!("element {at}: {what}")),
                }
            };
            path.push(element);
            self.value(list.item, item, path);
            path.pop();
        }
    }

    fn misfit(&self, kind: Option<Type>, value: &Value) -> Option<String> {
        match (kind, value) {
            (Some(Type::Integer | Type::Number), Value::Number(_))
            | (Some(Type::String), Value::String(_))
            | (Some(Type::Boolean), Value::Bool(_))
            | (None, Value::Bool(_) | Value::Number(_) | Value::String(_)) => None,
            (Some(Type::Integer | Type::Number), _) => {
                Some(format!("expected numeric (int or float), got {}", go_type(value)))
            }
            (Some(Type::String), _) if self.secret => {
                Some(format!("expected string, got {}", go_type(value)))
            }
            (Some(Type::String), _) => Some(format!(
                "expected string, got &value.valueUnstructured{{Value:{}}}",
                go_syntax(value)
            )),
            (Some(Type::Boolean), _) => Some(format!("expected boolean, got {}", self.shown(value))),
            (_, _) => Some(format!("expected any scalar, got {}", self.shown(value))),
        }
    }

    /// A value as Go prints a pointer to it.
    fn shown(&self, value: &Value) -> String {
        if self.secret {
            go_type(value).to_owned()
        } else {
            format!("&{{{}}}", go_plain(value))
        }
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `%v` of Go.
fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_plain(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

/// `%#v` of Go.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", go_syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::testing;

    fn found(spec: Value, secret: bool) -> Option<String> {
        findings(Typed::object(&testing::thing()), &json!({"spec": spec}), secret)
    }

    #[test]
    fn undeclared_fields_are_found_wherever_they_are() {
        assert_eq!(
            found(json!({"x": 1}), false).unwrap(),
            ".spec.x: field not declared in schema"
        );
        assert_eq!(
            found(
                json!({"struct": {"x": 1}, "items": [{"name": "a", "x": 1}]}),
                false
            )
            .unwrap(),
            "errors:\n  .spec.items[name=\"a\"].x: field not declared in schema\n  .spec.struct.x: field not \
             declared in schema"
        );
        assert_eq!(
            found(json!({"free": {"x": [{"y": null}]}, "labels": null}), false),
            None
        );
    }

    #[test]
    fn items_that_are_there_twice_are_found() {
        assert_eq!(
            found(json!({"set": ["a", "b", "a"]}), false).unwrap(),
            ".spec.set: duplicate entries for key [=\"a\"]"
        );
    }

    #[test]
    fn values_of_another_type_are_shown_unless_they_are_secret() {
        assert_eq!(
            found(json!({"text": 5}), false).unwrap(),
            ".spec.text: expected string, got &value.valueUnstructured{Value:5}"
        );
        assert_eq!(
            found(json!({"text": 5}), true).unwrap(),
            ".spec.text: expected string, got int64"
        );
        assert_eq!(
            found(json!({"struct": "hunter2"}), true).unwrap(),
            ".spec.struct: expected map, got string"
        );
        assert_eq!(
            found(json!({"struct": "x"}), false).unwrap(),
            ".spec.struct: expected map, got &{x}"
        );
    }

    #[test]
    fn what_is_too_deep_is_refused_and_overflows_no_stack() {
        let deep = (0..MAX_DEPTH + 5).fold(json!(1), |below, _| json!({"a": below}));
        assert!(
            found(json!({"free": deep}), false)
                .unwrap()
                .contains("nested deeper")
        );
    }
}
