//! What holds for any sequence of writes: applying twice changes nothing, applying nothing takes exactly what nobody else
//! owns, and nobody owns what is not there. What is applied is never an empty struct, map or list here: upstream lets
//! those come and go (`set-empty`, `map-emptied` in the vectors).

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Write, apply, compare::compare, differs, entries, entries::Source, field_set::field_set, set::Set,
    shape::Typed, testing, track,
};
use crate::apiserver::{kinds::Kind, object};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    text().prop_map(Value::from)
}

fn map_of(values: impl Strategy<Value = Value>, least: usize) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), values, least..3)
        .prop_map(|map| Value::Object(map.into_iter().collect::<Map<String, Value>>()))
}

fn list_map(key: &'static str) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), map_of(value(), 0), 1..3).prop_map(move |items| {
        let item = |(name, fields): (String, Value)| {
            let mut item = json!({key: name});
            let value = fields.get("a").cloned();
            value.into_iter().for_each(|value| item["value"] = value);
            item
        };
        items.into_iter().map(item).collect()
    })
}

fn object(least: usize) -> impl Strategy<Value = Value> {
    (value(), 0..3_u8).prop_map(move |(value, fields)| match fields {
        0 if least == 0 => json!({}),
        1 => json!({"b": value}),
        _ => json!({"a": value, "b": "b"}),
    })
}

fn free(least: usize) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![value(), Just(json!(1)), Just(json!([1, "a"]))];
    map_of(
        leaf.prop_recursive(2, 6, 3, move |inner| map_of(inner, least)),
        least,
    )
}

/// Some fields of a thing; the text always when `least` is 1. No map in it has less than `least` entries.
fn spec(least: usize) -> impl Strategy<Value = Value> {
    let set = prop::collection::btree_set(text(), 1..3)
        .prop_map(|set| set.into_iter().map(Value::from).collect::<Value>())
        .prop_shuffle_list();
    (
        (any::<bool>(), value()).prop_map(move |(there, text)| (there || least > 0).then_some(text)),
        prop::option::of(map_of(value(), least)),
        prop::option::of(map_of(object(least), least)),
        prop::option::of(set),
        prop::option::of(list_map("name")),
        prop::option::of(prop::collection::vec(free(0), 0..2).prop_map(Value::Array)),
        prop::option::of(free(least)),
        prop::option::of(map_of(value(), least)),
    )
        .prop_map(|(text, labels, objects, set, items, atomic, free, whole)| {
            let mut spec = Map::new();
            for (name, value) in [
                ("text", text),
                ("labels", labels),
                ("objects", objects),
                ("set", set),
                ("items", items),
                ("atomic", atomic),
                ("free", free),
                ("atomicmap", whole),
            ] {
                value
                    .into_iter()
                    .for_each(|value| drop(spec.insert(name.to_owned(), value)));
            }
            json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": spec})
        })
}

/// Lists in both orders.
trait ShuffleList: Strategy<Value = Value> + Sized {
    fn prop_shuffle_list(self) -> impl Strategy<Value = Value> {
        (self, any::<bool>()).prop_map(|(mut list, back)| {
            if back {
                list.as_array_mut().unwrap().reverse();
            }
            list
        })
    }
}

impl<S: Strategy<Value = Value>> ShuffleList for S {}

fn write<'a>(kind: &'a Kind, manager: &'a str, second: i64) -> Write<'a> {
    Write {
        kind,
        subresource: "",
        manager,
        at: Timestamp::from_second(second).unwrap(),
    }
}

fn owned(object: &Value, by: impl Fn(&str) -> bool) -> Set {
    let list = object
        .pointer("/metadata/managedFields")
        .cloned()
        .unwrap_or_default();
    let mut all = Set::default();
    for entry in entries::read(list, Source::Client).unwrap_or_default() {
        if by(&entry.owner.manager) {
            all.add(entry.set().into_owned());
        }
    }
    all
}

/// A live object that two updaters and an applier wrote.
fn written() -> impl Strategy<Value = Vec<(bool, &'static str, Value)>> {
    let who = prop_oneof![Just("u"), Just("v"), Just("a"), Just("b")];
    prop::collection::vec((any::<bool>(), who, spec(0)), 1..5)
}

fn live(kind: &Kind, writes: &[(bool, &str, Value)]) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (second, (applies, manager, body)) in (1..).zip(writes) {
        let write = write(kind, manager, second);
        live = Some(if *applies {
            apply(live.as_ref(), body, true, &write).unwrap()
        } else {
            track(live.as_ref(), body.clone(), &write)
        });
    }
    live
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_changes_nothing(writes in written(), body in spec(1)) {
        let kind = testing::kind(testing::thing());
        let before = live(&kind, &writes);
        let once = apply(before.as_ref(), &body, true, &write(&kind, "a", 100)).unwrap();
        let twice = apply(Some(&once), &body, false, &write(&kind, "a", 200)).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert!(!differs(&once, &twice));
    }

    #[test]
    fn applying_nothing_takes_exactly_what_nobody_else_owns(writes in written(), body in spec(1)) {
        let kind = testing::kind(testing::thing());
        let schema = testing::thing();
        let typed = Typed::object(&schema);
        let applied = apply(live(&kind, &writes).as_ref(), &body, true, &write(&kind, "me", 100)).unwrap();
        let nothing = json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": "x"}});
        let without = apply(Some(&applied), &nothing, false, &write(&kind, "me", 200)).unwrap();
        let others = owned(&applied, |manager| manager != "me");
        let mut mine = owned(&applied, |manager| manager == "me");
        mine.subtract(&others);
        let left = field_set(typed, &without);
        prop_assert!(left.intersection(&mine).is_empty(), "left {:?} of {:?}", left, mine);
        let there = field_set(typed, &applied).intersection(&others);
        prop_assert!(there.is_within(&left), "lost some of {:?}", there);
        prop_assert!(owned(&without, |manager| manager == "me").is_empty());
    }

    #[test]
    fn nobody_owns_what_is_not_there(writes in written()) {
        let kind = testing::kind(testing::thing());
        let schema = testing::thing();
        if let Some(live) = live(&kind, &writes) {
            let there = compare(Typed::object(&schema), &Value::Null, &live).added;
            let all = owned(&live, |_| true);
            prop_assert!(all.is_within(&there), "{:?} is not within {:?}", all, there);
        }
    }

    #[test]
    fn a_write_without_a_change_leaves_the_entries(writes in written()) {
        let kind = testing::kind(testing::thing());
        if let Some(live) = live(&kind, &writes) {
            let again = track(Some(&live), live.clone(), &write(&kind, "w", 500));
            prop_assert_eq!(&live, &again);
            let mut bare = live.clone();
            object::remove_meta(&mut bare, "managedFields");
            prop_assert_eq!(&live, &track(Some(&live), bare, &write(&kind, "w", 500)));
        }
    }
}
