//! Takes paths out of an object. What becomes empty by it becomes null, as upstream has it: fields of structs that must
//! go are members of the set themselves. Leaves, whole lists and whole maps have no parts to take. What must go is
//! decided in `updater`, which calls it.

use serde_json::Value;

use super::{
    element::PathElement,
    items,
    set::Set,
    shape::{List, Map, Shape, Typed},
};
use crate::apiserver::schema::ListType;

/// `value` without `paths`.
#[must_use]
pub fn remove(typed: Typed<'_>, value: Value, paths: &Set) -> Value {
    if paths.is_empty() {
        return value;
    }
    match (typed.shape(&value), value) {
        (Shape::Leaf(_), value) => value,
        (Shape::List(list), Value::Array(items)) if *list.kind != ListType::Atomic => {
            remove_items(list, items, paths)
        }
        (Shape::Map(map), Value::Object(fields)) if !map.whole => remove_fields(map, fields, paths),
        (Shape::List(_) | Shape::Map(_), _) => Value::Null,
    }
}

fn remove_items(list: List<'_>, items: Vec<Value>, paths: &Set) -> Value {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let node = items::element_of(list, &item)
            .ok()
            .and_then(|element| paths.get(&element));
        match node {
            Some(node) if node.member => {}
            Some(node) => kept.push(remove(list.item, item, &node.below)),
            None => kept.push(item),
        }
    }
    if kept.is_empty() {
        Value::Null
    } else {
        Value::Array(kept)
    }
}

fn remove_fields(map: Map<'_>, mut fields: serde_json::Map<String, Value>, paths: &Set) -> Value {
    for node in paths.nodes() {
        let PathElement::Field(name) = &node.element else {
            continue;
        };
        if node.member {
            fields.remove(name);
        } else if let Some(value) = fields.get_mut(name) {
            let typed = map.field_or_deduced(name).typed;
            *value = remove(typed, value.take(), &node.below);
        }
    }
    if fields.is_empty() {
        Value::Null
    } else {
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::{fields_v1, testing};

    fn without(spec: Value, paths: Value) -> Value {
        let paths = fields_v1::read(&json!({"f:spec": paths})).unwrap();
        remove(Typed::object(&testing::thing()), json!({"spec": spec}), &paths)["spec"].take()
    }

    #[test]
    fn members_go_with_all_that_is_in_them() {
        assert_eq!(
            without(
                json!({"struct": {"a": "x"}, "items": [{"name": "a"}, {"name": "b", "value": "v"}], "set": ["x", "y"]}),
                json!({"f:struct": {}, "f:items": {"k:{\"name\":\"a\"}": {}, "k:{\"name\":\"b\"}": {"f:value": {}}},
                    "f:set": {"v:\"x\"": {}}})
            ),
            json!({"items": [{"name": "b"}], "set": ["y"]})
        );
    }

    #[test]
    fn what_becomes_empty_becomes_null() {
        assert_eq!(
            without(
                json!({"labels": {"a": "1"}, "set": ["x"]}),
                json!({"f:labels": {"f:a": {}}, "f:set": {"v:\"x\"": {}}})
            ),
            json!({"labels": null, "set": null})
        );
    }

    #[test]
    fn paths_that_lead_nowhere_change_nothing() {
        assert_eq!(
            without(json!({"text": "a"}), json!({"f:x": {"f:y": {}}, "v:1": {}})),
            json!({"text": "a"})
        );
    }
}
