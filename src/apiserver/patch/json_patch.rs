//! JSON patch (RFC 6902) as a Kubernetes API server applies it, which is more lenient than the RFC in five points that
//! clients rely on: replacing an absent field adds it, an absent field tests equal to null, copying from one adds null,
//! an operation without a value has null, and an index may count from the end. Owns the limits on operations and copies.
//! Pure. Called by `verbs` through `patch`.

use serde_json::Value;

use crate::apiserver::status::{Result, Status};

/// Upstream's bound on operations.
const OPERATIONS: usize = 10_000;
/// How many bytes (of JSON, roughly) copies may add: upstream's bound is that of a request body.
const COPIED: usize = 3 * 1024 * 1024;

/// Why an operation could not be applied. A real server does not say which; neither do we.
struct Inapplicable;

/// Applies a JSON patch. `null` is the patch without operations.
///
/// # Errors
/// 400 for a body that is no JSON patch, 413 for one of more than 10,000 operations, 422 for one that cannot be applied.
pub fn json_patch(object: &Value, patch: &Value) -> Result<Value> {
    let operations = match patch {
        Value::Null => return Ok(object.clone()),
        Value::Array(operations) => operations,
        _ => return Err(malformed("the patch is no list of operations")),
    };
    if operations
        .iter()
        .any(|operation| !operation.is_object() && !operation.is_null())
    {
        return Err(malformed("an operation is no object"));
    }
    for field in ["op", "path", "from"] {
        let strings =
            |operation: &Value| matches!(operation.get(field), None | Some(Value::String(_) | Value::Null));
        if !operations.iter().all(strings) {
            return Err(malformed(&format!("field {field} of an operation is no string")));
        }
    }
    if operations.len() > OPERATIONS {
        return Err(Status::too_large(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut patched = object.clone();
    let mut copied = 0;
    for operation in operations {
        apply(&mut patched, operation, &mut copied).map_err(|Inapplicable| {
            Status::unprocessable("the server rejected our request due to an error in our request")
        })?;
    }
    Ok(patched)
}

fn malformed(why: &str) -> Status {
    Status::bad_request(format!("error decoding patch: {why}"))
}

fn apply(document: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), Inapplicable> {
    let pointer = |field: &str| Pointer::parse(operation.get(field)?.as_str()?);
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = pointer("path").ok_or(Inapplicable)?;
    match operation.get("op").and_then(Value::as_str) {
        Some("add") => path.add(document, value()),
        Some("remove") => path.remove(document).map(drop),
        Some("replace") => path.replace(document, value()),
        Some("test") => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            let found = path.get(document)?.unwrap_or(&Value::Null);
            (found == expected).then_some(()).ok_or(Inapplicable)
        }
        Some("move") => {
            let moved = pointer("from").ok_or(Inapplicable)?.remove(document)?;
            path.add(document, moved)
        }
        Some("copy") => {
            let from = pointer("from").ok_or(Inapplicable)?;
            let copy = from.get(document)?.cloned().unwrap_or_default();
            *copied += size(&copy);
            if *copied > COPIED {
                return Err(Inapplicable);
            }
            path.add(document, copy)
        }
        _ => Err(Inapplicable),
    }
}

/// About as many bytes as the value has in JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 5,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter()
                .map(|(key, item)| key.len() + 4 + size(item))
                .sum::<usize>()
                + 2
        }
    }
}

/// A JSON pointer (RFC 6901), unescaped: where the container is, and what in it.
struct Pointer {
    parents: Vec<String>,
    last: String,
}

impl Pointer {
    /// `None` for what does not start with a slash; the whole document cannot be patched, as upstream has it.
    fn parse(text: &str) -> Option<Self> {
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let mut parts: Vec<String> = text.strip_prefix('/')?.split('/').map(unescape).collect();
        let last = parts.pop()?;
        Some(Self { parents: parts, last })
    }

    fn container<'a>(&self, document: &'a mut Value) -> Result<&'a mut Value, Inapplicable> {
        self.parents
            .iter()
            .try_fold(document, |container, part| match container {
                Value::Object(map) => map.get_mut(part).ok_or(Inapplicable),
                Value::Array(items) => {
                    let at = index(part, items.len())?;
                    items.get_mut(at).ok_or(Inapplicable)
                }
                _ => Err(Inapplicable),
            })
    }

    /// What is there; `None` for an absent field of an object.
    fn get<'a>(&self, document: &'a Value) -> Result<Option<&'a Value>, Inapplicable> {
        let step = |container: &'a Value, part: &str| match container {
            Value::Object(map) => Ok(map.get(part)),
            Value::Array(items) => items.get(index(part, items.len())?).map(Some).ok_or(Inapplicable),
            _ => Err(Inapplicable),
        };
        let mut container = document;
        for part in &self.parents {
            container = step(container, part)?.ok_or(Inapplicable)?;
        }
        step(container, &self.last)
    }

    fn add(&self, document: &mut Value, value: Value) -> Result<(), Inapplicable> {
        match self.container(document)? {
            Value::Object(map) => {
                map.insert(self.last.clone(), value);
            }
            Value::Array(items) if self.last == "-" => items.push(value),
            Value::Array(items) => {
                // One more than there are, so that the end is a place to insert at.
                let at = index(&self.last, items.len() + 1)?;
                if at > items.len() {
                    return Err(Inapplicable);
                }
                items.insert(at, value);
            }
            _ => return Err(Inapplicable),
        }
        Ok(())
    }

    fn remove(&self, document: &mut Value) -> Result<Value, Inapplicable> {
        match self.container(document)? {
            Value::Object(map) => map.remove(&self.last).ok_or(Inapplicable),
            Value::Array(items) => {
                let at = index(&self.last, items.len())?;
                if at < items.len() {
                    Ok(items.remove(at))
                } else {
                    Err(Inapplicable)
                }
            }
            _ => Err(Inapplicable),
        }
    }

    fn replace(&self, document: &mut Value, value: Value) -> Result<(), Inapplicable> {
        match self.container(document)? {
            Value::Object(map) => {
                map.insert(self.last.clone(), value);
                Ok(())
            }
            Value::Array(items) => {
                let at = index(&self.last, items.len())?;
                *items.get_mut(at).ok_or(Inapplicable)? = value;
                Ok(())
            }
            _ => Err(Inapplicable),
        }
    }
}

/// An index, which counts from the end when it is negative.
fn index(part: &str, length: usize) -> Result<usize, Inapplicable> {
    let at: i64 = part.parse().map_err(|_| Inapplicable)?;
    if at >= 0 {
        return usize::try_from(at).map_err(|_| Inapplicable);
    }
    let back = usize::try_from(at.unsigned_abs()).map_err(|_| Inapplicable)?;
    length.checked_sub(back).ok_or(Inapplicable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patched(operations: Value) -> std::result::Result<Value, u16> {
        let object = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"x": "1", "l": [1, 2]}});
        json_patch(&object, &operations).map_err(|status| status.code)
    }

    #[test]
    fn operations_are_applied_in_order() {
        let done = patched(json!([
            {"op": "add", "path": "/metadata/labels/x~1y~0", "value": "1"},
            {"op": "add", "path": "/spec/l/-", "value": 3},
            {"op": "add", "path": "/spec/l/0", "value": 0},
            {"op": "remove", "path": "/metadata/labels/a"},
            {"op": "replace", "path": "/spec/x", "value": {"y": 1}},
            {"op": "move", "from": "/spec/l/1", "path": "/spec/m"},
            {"op": "copy", "from": "/spec/x", "path": "/spec/c"},
            {"op": "test", "path": "/spec/c/y", "value": 1},
        ]));
        let expected = json!({"metadata": {"labels": {"x/y~": "1"}}, "spec": {"x": {"y": 1}, "l": [0, 2, 3], "m": 1, "c": {"y": 1}}});
        assert_eq!(done.unwrap(), expected);
    }

    #[test]
    fn what_the_real_server_lets_pass_passes() {
        for (operation, pointer, expected) in [
            (
                json!({"op": "replace", "path": "/nope", "value": 1}),
                "/nope",
                json!(1),
            ),
            (
                json!({"op": "test", "path": "/nope", "value": null}),
                "/spec/x",
                json!("1"),
            ),
            (
                json!({"op": "copy", "from": "/nope", "path": "/x"}),
                "/x",
                json!(null),
            ),
            (json!({"op": "add", "path": "/spec/y"}), "/spec/y", json!(null)),
            (
                json!({"op": "add", "path": "/spec/l/-1", "value": 9}),
                "/spec/l",
                json!([1, 2, 9]),
            ),
            (
                json!({"op": "remove", "path": "/spec/l/-1"}),
                "/spec/l",
                json!([1]),
            ),
            (
                json!({"op": "add", "path": "/spec/q", "value": 1, "extra": 1}),
                "/spec/q",
                json!(1),
            ),
        ] {
            let done = patched(json!([operation])).unwrap();
            assert_eq!(done.pointer(pointer), Some(&expected), "{operation}");
        }
        assert!(patched(json!(null)).is_ok());
        assert!(patched(json!([])).is_ok());
    }

    #[test]
    fn what_cannot_be_applied_is_unprocessable() {
        for operation in [
            json!({}),
            json!({"op": "foo", "path": "/x"}),
            json!({"op": "add"}),
            json!({"op": "test", "path": "/spec/x", "value": "2"}),
            json!({"op": "test", "path": "/nope/y", "value": "2"}),
            json!({"op": "remove", "path": "/nope"}),
            json!({"op": "remove", "path": "/nope/deep"}),
            json!({"op": "replace", "path": "/nope/deep", "value": 1}),
            json!({"op": "add", "path": "/nope/deep", "value": 1}),
            json!({"op": "add", "path": "spec", "value": 1}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "remove", "path": ""}),
            json!({"op": "move", "from": "/nope", "path": "/x"}),
            json!({"op": "move", "path": "/x"}),
            json!({"op": "remove", "path": "/spec/l/7"}),
            json!({"op": "remove", "path": "/spec/l/-3"}),
            json!({"op": "add", "path": "/spec/l/9", "value": 1}),
            json!({"op": "replace", "path": "/spec/l/x", "value": 1}),
            json!({"op": "add", "path": "/spec/x/y", "value": 1}),
        ] {
            assert_eq!(patched(json!([operation])), Err(422), "{operation}");
        }
        let status = json_patch(&json!({}), &json!([{"op": "remove", "path": "/a"}])).unwrap_err();
        assert_eq!(
            status.message,
            "the server rejected our request due to an error in our request"
        );
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for patch in [
            json!({}),
            json!("x"),
            json!([1]),
            json!([{"op": 1}]),
            json!([{"op": "add", "path": []}]),
        ] {
            assert_eq!(patched(patch), Err(400));
        }
    }

    #[test]
    fn operations_and_copies_are_bounded() {
        let add = json!({"op": "add", "path": "/spec/y", "value": 1});
        assert!(patched(vec![add.clone(); 10_000].into()).is_ok());
        assert_eq!(patched(vec![add; 10_001].into()), Err(413));
        let mut doubling =
            vec![json!({"op": "add", "path": "/spec/y", "value": ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]})];
        for _ in 0..30 {
            doubling.push(json!({"op": "copy", "from": "/spec/y", "path": "/spec/y/-"}));
        }
        assert_eq!(patched(doubling.into()), Err(422));
    }

    proptest! {
        #[test]
        fn any_operation_is_applied_or_refused(
            op in "add|remove|replace|test|move|copy",
            path in "(/(spec|l|x|-|0|-1|99999999999999999999|~|~2)?){0,4}",
            from in "(/(spec|l|x|-|0|-1|~1)?){0,3}",
        ) {
            let _ = patched(json!([{"op": op, "path": path, "from": from, "value": {"a": 1}}]));
        }
    }
}
