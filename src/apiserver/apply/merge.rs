//! Merges an applied configuration into a live object: maps and structs by key, sets and list maps by item, the rest is
//! replaced by what was applied. Removes nothing, and asks nobody who owns it. As structured-merge-diff's `Merge`.
//! Called by `updater`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map as Fields, Value};

use super::{
    element::PathElement,
    items,
    shape::{List, Map, Shape, Typed},
};
use crate::apiserver::schema::ListType;

/// `applied` merged into `live`.
#[must_use]
pub fn merge(typed: Typed<'_>, live: &Value, applied: &Value) -> Value {
    match typed.shape(applied) {
        Shape::Leaf(_) => applied.clone(),
        Shape::Map(map) => {
            let (old, new) = (fields(live), fields(applied));
            if map.whole || (old.is_none() && new.is_none()) {
                applied.clone()
            } else {
                Value::Object(merge_fields(map, old, new))
            }
        }
        Shape::List(list) => {
            let (old, new) = (items(live), items(applied));
            if *list.kind == ListType::Atomic || (old.is_empty() && new.is_empty()) {
                applied.clone()
            } else {
                Value::Array(merge_items(list, old, new))
            }
        }
    }
}

fn fields(value: &Value) -> Option<&Fields<String, Value>> {
    value.as_object().filter(|fields| !fields.is_empty())
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn merge_fields(
    map: Map<'_>,
    old: Option<&Fields<String, Value>>,
    new: Option<&Fields<String, Value>>,
) -> Fields<String, Value> {
    let mut merged = old.cloned().unwrap_or_default();
    for (name, value) in new.into_iter().flatten() {
        let value = match merged.get(name) {
            Some(live) => merge(map.field_or_deduced(name).typed, live, value),
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    merged
}

/// Both lists woven into one: items of both in the order applied, items of live alone where they stood between them.
fn merge_items(list: List<'_>, old: &[Value], new: &[Value]) -> Vec<Value> {
    let old: Vec<(PathElement, &Value)> = items::elements(list, old).collect();
    let new: Vec<(PathElement, &Value)> = items::elements(list, new).collect();
    // An item that live has twice is not merged with what is applied but replaced by it.
    let mut in_old: BTreeMap<&PathElement, Option<&Value>> = BTreeMap::new();
    for (element, item) in &old {
        in_old
            .entry(element)
            .and_modify(|once| *once = None)
            .or_insert(Some(item));
    }
    let in_new: BTreeSet<&PathElement> = new.iter().map(|(element, _)| element).collect();
    let join = |element: &PathElement, item: &Value| match in_old.get(element) {
        Some(Some(live)) => merge(list.item, live, item),
        Some(None) | None => item.clone(),
    };
    let mut shared = new
        .iter()
        .map(|(element, _)| element)
        .filter(|element| in_old.contains_key(element))
        .peekable();
    let mut done: BTreeSet<&PathElement> = BTreeSet::new();
    let mut merged = Vec::with_capacity(old.len().max(new.len()));
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < old.len() || at_new < new.len() {
        if let (Some((left, _)), Some((right, item))) = (old.get(at_old), new.get(at_new)) {
            if left == right {
                done.insert(right);
                merged.push(join(right, item));
                at_old += 1;
                at_new += 1;
                shared.next();
                continue;
            }
            if in_new.contains(left) && shared.peek().is_some_and(|next| *next != left) {
                // Its turn comes where the applied list has it.
                at_old += 1;
                continue;
            }
        }
        if let Some((left, item)) = old.get(at_old) {
            if !in_new.contains(left) {
                merged.push((*item).clone());
                at_old += 1;
                continue;
            }
            if done.contains(left) {
                at_old += 1;
            }
        }
        if let Some((right, item)) = new.get(at_new) {
            done.insert(right);
            merged.push(join(right, item));
            at_new += 1;
            shared.next_if(|next| *next == right);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::testing;

    fn spec(live: Value, applied: Value) -> Value {
        let (live, applied) = (json!({"spec": live}), json!({"spec": applied}));
        merge(Typed::object(&testing::thing()), &live, &applied)["spec"].take()
    }

    #[test]
    fn what_is_applied_wins_and_the_rest_stays() {
        assert_eq!(
            spec(
                json!({"text": "a", "count": 1, "labels": {"a": "1", "b": "1"}, "atomicmap": {"a": "1"}}),
                json!({"text": "b", "labels": {"b": "2"}, "atomicmap": {"b": "1"}})
            ),
            json!({"text": "b", "count": 1, "labels": {"a": "1", "b": "2"}, "atomicmap": {"b": "1"}})
        );
    }

    #[test]
    fn null_replaces_a_leaf_and_empties_no_map() {
        assert_eq!(
            spec(
                json!({"text": "a", "labels": {"a": "1"}, "set": ["x"]}),
                json!({"text": null, "labels": null, "set": null})
            ),
            json!({"text": null, "labels": {"a": "1"}, "set": ["x"]})
        );
        assert_eq!(
            spec(json!({"labels": {}}), json!({"labels": null})),
            json!({"labels": null})
        );
    }

    #[test]
    fn items_of_both_come_in_the_order_applied() {
        let set = |live, applied| spec(json!({"set": live}), json!({"set": applied}))["set"].take();
        assert_eq!(
            set(json!(["a", "b", "c"]), json!(["d"])),
            json!(["a", "b", "c", "d"])
        );
        assert_eq!(
            set(json!(["a", "b", "c"]), json!(["c", "a"])),
            json!(["b", "c", "a"])
        );
        assert_eq!(set(json!(["a", "b"]), json!(["b", "x"])), json!(["a", "b", "x"]));
        assert_eq!(
            set(json!(["a", "x", "b"]), json!(["b", "a"])),
            json!(["x", "b", "a"])
        );
        assert_eq!(set(json!(["a", "a", "b"]), json!(["a"])), json!(["a", "b"]));
    }

    #[test]
    fn items_of_a_list_map_merge_by_key() {
        assert_eq!(
            spec(
                json!({"items": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]}),
                json!({"items": [{"name": "b", "extra": "2"}, {"name": "c"}]})
            ),
            json!({"items": [{"name": "a", "value": "1"}, {"name": "b", "value": "1", "extra": "2"}, {"name": "c"}]})
        );
    }

    #[test]
    fn a_value_of_another_form_is_replaced() {
        assert_eq!(
            spec(json!({"free": {"a": 1}}), json!({"free": {"a": {"b": 2}}})),
            json!({"free": {"a": {"b": 2}}})
        );
        assert_eq!(
            spec(json!({"free": {"a": {"b": 2}}}), json!({"free": {"a": [1]}})),
            json!({"free": {"a": [1]}})
        );
    }
}
