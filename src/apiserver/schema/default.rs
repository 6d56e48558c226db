//! Defaulting: absent fields get the schema's default. Owns the walk (Kubernetes' `structural/defaulting`) and what a
//! `null` means where none is allowed. Called after decoding a write and after reading from the store.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Additional, Schema, Type, numbers::whole, parse::MAX_DEPTH};

/// Fills in defaults, in list items too. A `null` that the schema does not allow counts as absent: it gives way to the
/// default or, without one, is dropped (in a list it stays, for validation to find).
pub fn default(object: &mut Value, schema: &Schema) {
    fill(object, schema, 0);
}

/// All defaults of a schema, by the path of their field.
#[must_use]
pub fn defaults(schema: &Schema) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    collect(schema, &mut String::new(), &mut found);
    found
}

fn collect<'a>(schema: &'a Schema, path: &mut String, found: &mut BTreeMap<String, &'a Value>) {
    if let Some(default) = &schema.default {
        found.insert(path.clone(), default);
    }
    let additional = match &schema.additional {
        Some(Additional::Of(child)) => Some(("*", child)),
        Some(Additional::Any) | None => None,
    };
    let items = schema.items.as_ref().map(|child| ("[]", child));
    let properties = schema
        .properties
        .iter()
        .map(|(name, child)| (name.as_str(), child));
    for (name, child) in properties.chain(additional).chain(items) {
        let length = path.len();
        path.push('/');
        path.push_str(name);
        collect(child, path, found);
        path.truncate(length);
    }
}

fn fill(value: &mut Value, schema: &Schema, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default
                    && map.get(name).is_none_or(|there| is_absent(there, property))
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            if schema.properties.is_empty() && schema.additional.is_none() {
                return;
            }
            let mut dropped = Vec::new();
            for (key, value) in map.iter_mut() {
                let Some(child) = schema.field(key) else { continue };
                if is_absent(value, child) {
                    match &child.default {
                        Some(default) => *value = default.clone(),
                        None => {
                            dropped.push(key.clone());
                            continue;
                        }
                    }
                }
                fill(value, child, depth + 1);
            }
            for key in dropped {
                map.remove(&key);
            }
        }
        Value::Array(items) => {
            let Some(child) = schema.items.as_deref() else {
                return;
            };
            for value in items {
                if let (true, Some(default)) = (is_absent(value, child), &child.default) {
                    *value = default.clone();
                }
                fill(value, child, depth + 1);
            }
        }
        // A whole number is written without a fraction.
        Value::Number(number)
            if number.is_f64() && matches!(schema.kind, Some(Type::Integer | Type::Number)) =>
        {
            if let Some(whole) = whole(number) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

fn is_absent(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}
