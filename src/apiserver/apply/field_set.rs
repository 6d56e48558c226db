//! Which fields an object sets: the set of paths that an applier owns. Scalars, whole lists and maps, items of sets and
//! list maps, keys of maps, null and `{}` are members; structs are not. As structured-merge-diff's `ToFieldSet`.
//! Called by `updater` and `last_applied`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    element::PathElement,
    items,
    set::{Node, Set},
    shape::{List, Map, Shape, Typed},
};
use crate::apiserver::schema::ListType;

/// The set of `value`.
#[must_use]
pub fn field_set(typed: Typed<'_>, value: &Value) -> Set {
    walk(typed, value).0
}

/// What is below `value`, and whether it is a member itself.
fn walk(typed: Typed<'_>, value: &Value) -> (Set, bool) {
    match (typed.shape(value), value) {
        (Shape::Leaf(_), _) => (Set::default(), true),
        (Shape::List(list), _) if *list.kind == ListType::Atomic => (Set::default(), true),
        (Shape::Map(map), _) if map.whole => (Set::default(), true),
        (Shape::List(list), Value::Array(items)) => (of_items(list, items), false),
        (Shape::Map(map), Value::Object(fields)) => (of_fields(map, fields), false),
        (Shape::List(_) | Shape::Map(_), _) => (Set::default(), false),
    }
}

fn of_fields(map: Map<'_>, fields: &serde_json::Map<String, Value>) -> Set {
    let nodes = fields.iter().filter(|(name, _)| !map.passes_over(name));
    Set::from_nodes(
        nodes
            .map(|(name, value)| {
                let field = map.field_or_deduced(name);
                let (below, member) = walk(field.typed, value);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                Node {
                    element: PathElement::Field(name.clone()),
                    member: member || empty || !field.declared,
                    below,
                }
            })
            .collect(),
    )
}

/// An item that is there twice is a member, and nothing below it is.
fn of_items(list: List<'_>, items: &[Value]) -> Set {
    let mut once: BTreeMap<PathElement, Option<&Value>> = BTreeMap::new();
    for (element, item) in items::elements(list, items) {
        once.entry(element)
            .and_modify(|first| *first = None)
            .or_insert(Some(item));
    }
    Set::from_nodes(
        once.into_iter()
            .map(|(element, item)| Node {
                element,
                member: true,
                below: item.map_or_else(Set::default, |item| walk(list.item, item).0),
            })
            .collect(),
    )
}

/// Makes members of all fields of structs on the way to a member: what has to go when nothing in it is left.
pub fn add_structs(typed: Typed<'_>, set: &mut Set) {
    let map = typed.map();
    for node in set.nodes_mut() {
        if node.below.is_empty() {
            continue;
        }
        match &node.element {
            PathElement::Field(name) => {
                let field = map.field_or_deduced(name);
                node.member |= field.declared;
                add_structs(field.typed, &mut node.below);
            }
            PathElement::Key(_) => add_structs(typed.list().item, &mut node.below),
            PathElement::Item(_) | PathElement::Index(_) => {}
        }
    }
}

/// Makes one member of what the schema now sees as a whole, but a set written earlier has parts of.
pub fn settle(typed: Typed<'_>, set: &mut Set) {
    for node in set.nodes_mut() {
        if node.below.is_empty() {
            continue;
        }
        let child = match &node.element {
            PathElement::Field(name) => typed.map().field(name).map(|field| field.typed),
            PathElement::Key(_) | PathElement::Item(_) | PathElement::Index(_) => Some(typed.list().item),
        };
        let Some(child) = child else { continue };
        if child.is_whole() {
            node.member = true;
            node.below = Set::default();
        } else {
            settle(child, &mut node.below);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::apply::{fields_v1, testing};

    fn fields(object: &Value) -> Value {
        fields_v1::write(&field_set(Typed::object(&testing::thing()), object))
    }

    #[test]
    fn structs_are_not_owned_but_keys_of_maps_and_empty_maps_are() {
        assert_eq!(
            fields(
                &json!({"spec": {"text": "a", "struct": {"a": "x"}, "labels": {"k": "v"}, "objects": {"o": {"a": "x"}}}})
            ),
            json!({"f:spec": {
                "f:text": {}, "f:struct": {"f:a": {}}, "f:labels": {"f:k": {}},
                "f:objects": {"f:o": {".": {}, "f:a": {}}},
            }})
        );
        assert_eq!(
            fields(&json!({"spec": {"struct": {}, "labels": null, "set": [], "text": null}})),
            json!({"f:spec": {"f:struct": {}, "f:labels": {}, "f:text": {}}})
        );
    }

    #[test]
    fn items_of_sets_and_list_maps_are_owned_and_atomic_lists_as_a_whole() {
        assert_eq!(
            fields(
                &json!({"spec": {"set": ["b", "a"], "atomic": [{"a": 1}], "items": [{"name": "n", "value": "v"}]}})
            ),
            json!({"f:spec": {
                "f:set": {"v:\"a\"": {}, "v:\"b\"": {}}, "f:atomic": {},
                "f:items": {"k:{\"name\":\"n\"}": {".": {}, "f:name": {}, "f:value": {}}},
            }})
        );
    }

    #[test]
    fn an_item_that_is_there_twice_is_owned_without_its_parts() {
        assert_eq!(
            fields(
                &json!({"spec": {"items": [{"name": "n", "value": "1"}, {"name": "n", "value": "2"}, {"name": "m"}]}})
            ),
            json!({"f:spec": {"f:items": {"k:{\"name\":\"n\"}": {}, "k:{\"name\":\"m\"}": {".": {}, "f:name": {}}}}})
        );
    }

    #[test]
    fn a_key_field_that_is_absent_counts_with_its_default() {
        assert_eq!(
            fields(&json!({"spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]}})),
            json!({"f:spec": {"f:ports": {
                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
                "k:{\"port\":80,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
            }}})
        );
    }

    #[test]
    fn parts_of_what_is_a_whole_now_become_one_member() {
        let mut set = fields_v1::read(&json!({"f:spec": {
            "f:atomic": {"i:0": {}}, "f:atomicmap": {".": {}, "f:a": {}}, "f:free": {"f:a": {"f:b": {}}},
            "f:gone": {"f:a": {}}, "f:items": {"k:{\"name\":\"n\"}": {"f:value": {}}},
        }}))
        .unwrap();
        settle(Typed::object(&testing::thing()), &mut set);
        assert_eq!(
            fields_v1::write(&set),
            json!({"f:spec": {
                "f:atomic": {}, "f:atomicmap": {}, "f:free": {"f:a": {"f:b": {}}},
                "f:gone": {"f:a": {}}, "f:items": {"k:{\"name\":\"n\"}": {"f:value": {}}},
            }})
        );
    }

    #[test]
    fn structs_become_members_where_asked_and_maps_do_not() {
        let schema = testing::thing();
        let typed = Typed::object(&schema);
        let mut set = field_set(
            typed,
            &json!({"spec": {"struct": {"a": "x"}, "objects": {"o": {"a": "x"}}}}),
        );
        set.subtract(&Set::of_fields(&["spec", "objects", "o"]));
        add_structs(typed, &mut set);
        assert_eq!(
            fields_v1::write(&set),
            json!({"f:spec": {".": {}, "f:struct": {".": {}, "f:a": {}},
                "f:objects": {".": {}, "f:o": {"f:a": {}}}}})
        );
    }
}
