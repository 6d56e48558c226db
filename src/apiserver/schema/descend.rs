//! The way through a value along its schema. Owns the paths of what is met on it. Called by the checks that look at
//! objects and lists one by one: `embedded` and `lists`.

use serde_json::Value;

use super::Schema;

/// Shows every object and list that the schema describes, from the outermost (whose path is empty) inwards.
pub(super) fn descend<F>(value: &Value, schema: &Schema, see: &mut F)
where
    F: FnMut(&Value, &Schema, &str),
{
    below(value, schema, &mut String::new(), see);
}

fn below<F>(value: &Value, schema: &Schema, path: &mut String, see: &mut F)
where
    F: FnMut(&Value, &Schema, &str),
{
    let mark = path.len();
    match value {
        Value::Object(map) => {
            see(value, schema, path);
            for (key, value) in map {
                let Some(child) = schema.field(key) else { continue };
                if schema.properties.contains_key(key) {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(dot);
                    path.push_str(key);
                } else {
                    path.push_str(&format!("[{key}]"));
                }
                below(value, child, path, see);
                path.truncate(mark);
            }
        }
        Value::Array(items) => {
            see(value, schema, path);
            let Some(child) = schema.items.as_deref() else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                below(item, child, path, see);
                path.truncate(mark);
            }
        }
        _ => {}
    }
}
