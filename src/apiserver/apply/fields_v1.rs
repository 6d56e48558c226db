//! `FieldsV1`: a set of field paths as JSON (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>).
//! `"."` says that the node itself is a member, `{}` is a member without children, other keys are path elements.
//! Reading is total: what is malformed or deeper than [`MAX_DEPTH`] gives nothing. Called by `entries`.

use serde_json::{Map, Value};

use super::{
    element::PathElement,
    set::{Node, Set},
};

/// How deep a set may be nested. The JSON of a request is at most as deep.
pub const MAX_DEPTH: usize = 128;

/// Reads a set; `None` when it is malformed.
#[must_use]
pub fn read(fields: &Value) -> Option<Set> {
    read_below(fields, MAX_DEPTH).map(|(set, _)| set)
}

/// What is below, and whether the node itself is a member.
fn read_below(fields: &Value, depth: usize) -> Option<(Set, bool)> {
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Some((Set::default(), true)),
        _ => return None,
    };
    let mut member = false;
    let mut nodes = Vec::with_capacity(map.len());
    for (key, child) in map {
        if key == "." {
            member = true;
        } else if let Some(element) = PathElement::from_key(key).ok()? {
            let (below, member) = read_below(child, depth.checked_sub(1)?)?;
            nodes.push(Node {
                element,
                member,
                below,
            });
        }
    }
    let leaf = nodes.is_empty();
    Some((Set::from_nodes(nodes), member || leaf))
}

/// Writes a set.
#[must_use]
pub fn write(set: &Set) -> Value {
    Value::Object(write_below(set))
}

fn write_below(set: &Set) -> Map<String, Value> {
    set.nodes()
        .iter()
        .map(|node| {
            let mut below = write_below(&node.below);
            if node.member && !below.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (node.element.to_key(), Value::Object(below))
        })
        .collect()
}

/// Whether a set that this file wrote has a member in common with `set`, without reading it: most entries of most
/// writes have none.
#[must_use]
pub fn overlaps(written: &Value, set: &Set) -> bool {
    let Some(map) = written.as_object().filter(|map| !map.is_empty()) else {
        return false;
    };
    set.nodes().iter().any(|node| {
        map.get(&node.element.to_key()).is_some_and(|child| {
            let member = node.member && is_member(child);
            member || (!node.below.is_empty() && overlaps(child, &node.below))
        })
    })
}

fn is_member(child: &Value) -> bool {
    child
        .as_object()
        .is_none_or(|map| map.is_empty() || map.contains_key("."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                "f:names": {"v:\"a\"": {}, "v:1": {}},
            },
        });
        assert_eq!(write(&read(&fields).unwrap()), fields);
    }

    #[test]
    fn null_is_a_leaf_and_unknown_types_are_passed_over() {
        assert_eq!(
            read(&json!({"f:a": null, "x:new": {"f:b": {}}, "f:c": {"x:new": {}}})),
            read(&json!({"f:a": {}, "f:c": {}}))
        );
        assert_eq!(read(&json!({".": {}})), Some(Set::default()));
    }

    #[test]
    fn malformed_sets_are_refused() {
        for bad in [
            json!("x"),
            json!([]),
            json!(1),
            json!({"a": {}}),
            json!({"f:a": 1}),
            json!({"v:{": {}}),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_set_that_is_too_deep_is_refused() {
        let nested = |levels| (0..levels).fold(json!({}), |below, _| json!({"f:a": below}));
        assert!(read(&nested(MAX_DEPTH)).is_some());
        assert_eq!(read(&nested(MAX_DEPTH + 1)), None);
    }

    #[test]
    fn overlap_needs_a_common_member() {
        let written = json!({"f:a": {"f:b": {}}, "f:c": {".": {}, "f:d": {}}});
        let overlap = |fields: Value| overlaps(&written, &read(&fields).unwrap());
        assert!(!overlap(json!({"f:a": {}})));
        assert!(overlap(json!({"f:a": {"f:b": {}}})));
        assert!(overlap(json!({"f:c": {}})));
        assert!(!overlap(json!({"f:c": {"f:x": {}}, "f:z": {}})));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            "[a-z.:]{0,3}",
            Just(".".to_owned()),
            "f:[a-z]{0,2}",
            "v:[0-9\"a]{0,3}",
            Just("k:{\"a\":1}".to_owned()),
            Just("k:{\"b\":2,\"a\":1}".to_owned()),
            "i:[0-9]{1,2}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            Just(json!({}))
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn reading_never_fails_otherwise_and_what_was_read_is_stable(fields in any_json()) {
            if let Some(set) = read(&fields) {
                let written = write(&set);
                prop_assert_eq!(read(&written), Some(set.clone()));
                prop_assert_eq!(overlaps(&written, &set), !set.is_empty());
            }
        }
    }
}
