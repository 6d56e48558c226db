//! Pruning: unknown fields go away, and are named for `fieldValidation`. Owns the walk (Kubernetes' `structural/pruning`).
//! Decides nothing about whether an unknown field is an error. Called for every write of a custom resource.

use serde_json::{Map, Value};

use super::{Additional, Schema, object_meta::object_meta, parse::MAX_DEPTH};

/// Removes unknown fields; returns their paths (`spec.x`, `spec.list[0].y`), sorted. What lies deeper than a schema can
/// reach is unknown to it and therefore goes, so an object of any depth is safe.
pub fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut walk = Walk::default();
    walk.value(object, Some(schema), 0);
    // Metadata is decoded first.
    let own = |path: &String| !path.starts_with("metadata.");
    walk.unknown
        .sort_by(|one, other| own(one).cmp(&own(other)).then_with(|| one.cmp(other)));
    walk.unknown
}

#[derive(Default)]
struct Walk {
    path: String,
    unknown: Vec<String>,
}

impl Walk {
    fn value(&mut self, value: &mut Value, schema: Option<&Schema>, depth: usize) {
        match value {
            Value::Object(map) => self.map(map, schema, depth),
            Value::Array(items) => {
                let item = schema.and_then(|schema| schema.items.as_deref());
                let keep = schema.is_some_and(|schema| schema.preserve_unknown);
                if (item.is_none() && keep) || depth > MAX_DEPTH {
                    return;
                }
                for (index, value) in items.iter_mut().enumerate() {
                    let mark = self.enter(format_args!("[{index}]"));
                    self.value(value, item, depth + 1);
                    self.path.truncate(mark);
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, map: &mut Map<String, Value>, schema: Option<&Schema>, depth: usize) {
        let mut gone: Vec<String> = Vec::new();
        for (key, value) in map.iter_mut() {
            let Some(child) = Self::child(schema, key) else {
                gone.push(key.clone());
                continue;
            };
            let Child::Walk(child) = child else { continue };
            let mark = self.enter_field(key);
            match child {
                Some(child) => self.value(value, Some(child), depth + 1),
                None if key == "metadata" && schema.is_some_and(|schema| schema.embedded_resource) => {
                    self.value(value, Some(&object_meta()), depth + 1);
                }
                None => self.value(value, None, depth + 1),
            }
            self.path.truncate(mark);
        }
        for key in gone {
            map.remove(&key);
            let mark = self.enter_field(&key);
            self.unknown.push(self.path.clone());
            self.path.truncate(mark);
        }
    }

    /// What is to be done with the field `key`; `None` when it is unknown.
    fn child<'a>(schema: Option<&'a Schema>, key: &str) -> Option<Child<'a>> {
        let schema = schema?;
        if schema.embedded_resource && matches!(key, "apiVersion" | "kind" | "metadata") {
            return Some(if key == "metadata" {
                Child::Walk(None)
            } else {
                Child::Keep
            });
        }
        if let Some(property) = schema.properties.get(key) {
            return Some(Child::Walk(Some(property)));
        }
        match &schema.additional {
            Some(Additional::Of(values)) => Some(Child::Walk(Some(values))),
            // Nothing is known of what is inside of these.
            Some(Additional::Any) => Some(Child::Walk(None)),
            None => schema.preserve_unknown.then_some(Child::Keep),
        }
    }

    fn enter_field(&mut self, key: &str) -> usize {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.enter(format_args!("{dot}{key}"))
    }

    fn enter(&mut self, step: std::fmt::Arguments<'_>) -> usize {
        use std::fmt::Write as _;
        let mark = self.path.len();
        // Writing to a String cannot fail.
        let _ = self.path.write_fmt(step);
        mark
    }
}

enum Child<'a> {
    /// Stays as it is.
    Keep,
    /// Is looked into.
    Walk(Option<&'a Schema>),
}
