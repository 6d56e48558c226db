//! What a write changed: the sets of paths that it added, modified and removed, seen through the schema. Allocates for
//! what differs only, for every write goes through it. As structured-merge-diff's `Compare`; decides nothing about who
//! owns it. Called by `updater` and `last_applied`.

use std::collections::BTreeMap;

use serde_json::{Map as Fields, Value};

use super::{
    element::{PathElement, same},
    items,
    set::{Node, Set},
    shape::{List, Map, Shape, Typed},
};
use crate::apiserver::schema::ListType;

/// The three sets. A path is in one of them at most, except where a value changed its form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// New paths: leaves, and structs and maps that were not there.
    pub added: Set,
    /// Leaves with another value.
    pub modified: Set,
    /// Paths that are gone.
    pub removed: Set,
}

impl Comparison {
    /// Leaves these paths out, and all that is below them.
    pub fn leave_out(&mut self, paths: &Set) {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            set.subtract_below(paths);
        }
    }
}

/// What leads from `old` to `new`.
#[must_use]
pub fn compare(typed: Typed<'_>, old: &Value, new: &Value) -> Comparison {
    let changes = between(typed, Some(old), Some(new));
    Comparison {
        added: changes.added.below(),
        modified: changes.modified.below(),
        removed: changes.removed.below(),
    }
}

/// One of the three sets while it is made: the value itself, and its children.
#[derive(Default)]
struct Part {
    own: bool,
    nodes: Vec<Node>,
}

impl Part {
    fn below(self) -> Set {
        Set::from_nodes(self.nodes)
    }

    fn push(&mut self, element: &PathElement, child: Self) {
        if child.own || !child.nodes.is_empty() {
            self.nodes.push(Node {
                element: element.clone(),
                member: child.own,
                below: child.below(),
            });
        }
    }
}

#[derive(Default)]
struct Changes {
    added: Part,
    modified: Part,
    removed: Part,
}

impl Changes {
    fn is_empty(&self) -> bool {
        [&self.added, &self.modified, &self.removed]
            .iter()
            .all(|part| !part.own && part.nodes.is_empty())
    }

    fn child(&mut self, element: impl FnOnce() -> PathElement, child: Self) {
        if !child.is_empty() {
            let element = element();
            self.added.push(&element, child.added);
            self.modified.push(&element, child.modified);
            self.removed.push(&element, child.removed);
        }
    }

    /// The value is compared as a whole.
    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => self.added.own = true,
            (Some(_), None) => self.removed.own = true,
            (Some(old), Some(new)) => self.modified.own |= !same(old, new),
            (None, None) => {}
        }
    }
}

fn between(typed: Typed<'_>, old: Option<&Value>, new: Option<&Value>) -> Changes {
    let mut changes = Changes::default();
    match (old, new) {
        (Some(a), Some(b)) if !typed.same_form(a, b) => {
            visit(&mut changes, typed.shape(a), old, new);
            visit(&mut changes, typed.shape(b), old, new);
        }
        (_, Some(value)) | (Some(value), None) => visit(&mut changes, typed.shape(value), old, new),
        (None, None) => {}
    }
    changes
}

fn visit(changes: &mut Changes, shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) {
    match shape {
        Shape::Leaf(_) => changes.leaf(old, new),
        Shape::Map(map) => {
            let (before, after) = (fields(old), fields(new));
            if map.whole || (before.is_none() && after.is_none()) {
                changes.leaf(old, new);
            } else {
                visit_fields(changes, map, before, after);
                changes.added.own |= old.is_none();
                changes.removed.own |= new.is_none();
            }
        }
        Shape::List(list) => {
            let (before, after) = (items(old), items(new));
            if *list.kind == ListType::Atomic || (before.is_empty() && after.is_empty()) {
                changes.leaf(old, new);
            } else {
                visit_items(changes, list, before, after);
                changes.added.own |= old.is_none();
                changes.removed.own |= new.is_none();
            }
        }
    }
}

fn fields(value: Option<&Value>) -> Option<&Fields<String, Value>> {
    value?.as_object().filter(|fields| !fields.is_empty())
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn visit_fields(
    changes: &mut Changes,
    map: Map<'_>,
    before: Option<&Fields<String, Value>>,
    after: Option<&Fields<String, Value>>,
) {
    let mut visit = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        if !map.passes_over(name) {
            let child = between(map.field_or_deduced(name).typed, old, new);
            changes.child(|| PathElement::Field(name.clone()), child);
        }
    };
    for (name, old) in before.into_iter().flatten() {
        visit(name, Some(old), after.and_then(|after| after.get(name)));
    }
    for (name, new) in after.into_iter().flatten() {
        if !before.is_some_and(|before| before.contains_key(name)) {
            visit(name, None, Some(new));
        }
    }
}

fn visit_items(changes: &mut Changes, list: List<'_>, before: &[Value], after: &[Value]) {
    if before.len() == after.len() && before.iter().zip(after).all(|(old, new)| same(old, new)) {
        return;
    }
    let mut pairs: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for (element, item) in items::elements(list, before) {
        pairs.entry(element).or_default().0.push(item);
    }
    for (element, item) in items::elements(list, after) {
        pairs.entry(element).or_default().1.push(item);
    }
    for (element, (old, new)) in pairs {
        let child = between_items(list.item, &old, &new);
        changes.child(|| element, child);
    }
}

/// Items that are there twice are compared as one whole; becoming one, or ceasing to be, is a change of its own.
fn between_items(typed: Typed<'_>, old: &[&Value], new: &[&Value]) -> Changes {
    let (before, after) = (old.first().copied(), new.first().copied());
    match (old.len(), new.len()) {
        (0 | 1, 0 | 1) => between(typed, before, after),
        (2.., 2..) => {
            let equal = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new));
            let mut changes = Changes::default();
            changes.modified.own = !equal;
            changes
        }
        (2.., _) => {
            let mut changes = between(typed, None, after);
            changes.removed.own = true;
            changes
        }
        (_, _) => {
            let mut changes = between(typed, before, None);
            changes.added.own = true;
            changes
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::{fields_v1, testing};

    fn changed(old: Value, new: Value) -> [Value; 3] {
        let (old, new) = (json!({"spec": old}), json!({"spec": new}));
        let comparison = compare(Typed::object(&testing::thing()), &old, &new);
        [comparison.added, comparison.modified, comparison.removed].map(|set| {
            fields_v1::write(&set)
                .get("f:spec")
                .cloned()
                .unwrap_or(Value::Null)
        })
    }

    #[test]
    fn equal_objects_differ_in_nothing() {
        let object = json!({"text": "a", "items": [{"name": "a"}], "set": ["a"], "labels": {"a": "1"}});
        assert_eq!(
            changed(object.clone(), object),
            [json!(null), json!(null), json!(null)]
        );
        assert_eq!(
            changed(json!({"count": 1}), json!({"count": 1.0})),
            [json!(null), json!(null), json!(null)]
        );
    }

    #[test]
    fn new_structs_are_added_with_all_that_is_in_them() {
        assert_eq!(
            changed(
                json!({"text": "a"}),
                json!({"text": "b", "struct": {"a": "x"}, "labels": {}})
            ),
            [
                json!({"f:struct": {".": {}, "f:a": {}}, "f:labels": {}}),
                json!({"f:text": {}}),
                json!(null)
            ]
        );
    }

    #[test]
    fn items_are_compared_by_key_and_not_by_place() {
        assert_eq!(
            changed(
                json!({"items": [{"name": "a", "value": "1"}, {"name": "b"}], "set": ["x", "y"]}),
                json!({"items": [{"name": "c"}, {"name": "a", "value": "2"}], "set": ["y", "z"]})
            ),
            [
                json!({"f:items": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}, "f:set": {"v:\"z\"": {}}}),
                json!({"f:items": {"k:{\"name\":\"a\"}": {"f:value": {}}}}),
                json!({"f:items": {"k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}, "f:set": {"v:\"x\"": {}}}),
            ]
        );
    }

    #[test]
    fn becoming_twice_and_ceasing_to_be_are_changes_of_the_item() {
        assert_eq!(
            changed(json!({"set": ["x"]}), json!({"set": ["x", "x"]})),
            [
                json!({"f:set": {"v:\"x\"": {}}}),
                json!(null),
                json!({"f:set": {"v:\"x\"": {}}})
            ]
        );
        assert_eq!(
            changed(json!({"set": ["x", "x"]}), json!({"set": []})),
            [json!(null), json!(null), json!({"f:set": {"v:\"x\"": {}}})]
        );
        assert_eq!(
            changed(
                json!({"items": [{"name": "a"}, {"name": "a", "value": "1"}]}),
                json!({"items": [{"name": "a", "value": "2"}, {"name": "a"}]})
            ),
            [
                json!(null),
                json!({"f:items": {"k:{\"name\":\"a\"}": {}}}),
                json!(null)
            ]
        );
    }

    #[test]
    fn empty_and_null_are_different_leaves() {
        assert_eq!(
            changed(
                json!({"labels": {}, "set": []}),
                json!({"labels": null, "set": null})
            ),
            [json!(null), json!({"f:labels": {}, "f:set": {}}), json!(null)]
        );
    }

    #[test]
    fn a_value_that_changes_its_form_is_modified_and_its_parts_are_added_or_removed() {
        assert_eq!(
            changed(json!({"free": {"a": 1}}), json!({"free": {"a": {"b": 1}}})),
            [
                json!({"f:free": {"f:a": {"f:b": {}}}}),
                json!({"f:free": {"f:a": {}}}),
                json!(null)
            ]
        );
    }

    #[test]
    fn managed_fields_are_no_content() {
        let schema = testing::thing();
        let (old, new) = (
            json!({"metadata": {"managedFields": []}}),
            json!({"metadata": {"name": "a"}}),
        );
        let comparison = compare(Typed::object(&schema), &old, &new);
        assert_eq!(
            fields_v1::write(&comparison.added),
            json!({"f:metadata": {"f:name": {}}})
        );
        assert!(comparison.removed.is_empty());
    }
}
