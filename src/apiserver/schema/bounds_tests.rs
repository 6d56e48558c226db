//! What no input may do: make `schema` panic, hang, overflow its stack, or change its mind. Arbitrary JSON as schema and as
//! object, deep bombs, costly rules.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{default, parse, prune, read, validate};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Schemas that make sense often enough.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "maxLength": 2, "default": "a"})),
        Just(json!({"type": "string", "pattern": "^a", "nullable": true})),
        Just(json!({"type": "integer", "minimum": 1, "multipleOf": 2})),
        Just(json!({"type": "number", "enum": [1, 2.5]})),
        Just(json!({"type": "boolean", "default": true})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"x-kubernetes-preserve-unknown-fields": true})),
        Just(json!({"type": "string", "x-kubernetes-validations": [{"rule": "self != 'a'"}]})),
        Just(json!({"type": 5, "properties": [], "items": "x", "enum": {}, "required": [1], "anyOf": [3]})),
    ];
    leaf.prop_recursive(3, 30, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]})),
            inner.clone().prop_map(|all| json!({"type": "object", "additionalProperties": all})),
            inner.clone().prop_map(|all| json!({"type": "array", "items": all, "x-kubernetes-list-type": "set"})),
            inner.clone().prop_map(|all| json!({
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
                "items": {"type": "object", "properties": {"a": all, "b": {"type": "string", "default": "b"}}},
            })),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"type": "object", "properties": {"c": a.clone()}, "anyOf": [a], "not": b})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pruning_and_defaulting_twice_is_the_same_as_once(object in any_json(), source in any_schema()) {
        let schema = read(&source);
        let mut once = object;
        prune(&mut once, &schema);
        let pruned = once.clone();
        prop_assert!(prune(&mut once, &schema).is_empty());
        prop_assert_eq!(&once, &pruned);
        default(&mut once, &schema);
        let filled = once.clone();
        default(&mut once, &schema);
        prop_assert_eq!(once, filled);
    }

    #[test]
    fn anything_is_validated_by_any_schema(object in any_json(), old in any_json(), source in any_schema()) {
        let schema = read(&source);
        let findings = validate(&object, None, &schema);
        prop_assert!(validate(&object, Some(&old), &schema).len() <= findings.len() + 1_000);
    }

    #[test]
    fn what_has_not_changed_is_no_finding_but_in_embedded_resources(object in any_json(), source in any_schema()) {
        let schema = read(&source);
        let findings = validate(&object, Some(&object), &schema);
        prop_assert!(findings.is_empty(), "{:?}", findings);
    }

    #[test]
    fn anything_is_judged_as_a_schema(source in any_json()) {
        let _ = parse(&source, "schema");
    }

    #[test]
    fn any_rule_is_judged(rule in "[a-z.()\\[\\]{}!?:=+*<>&|' 0-9@\\\\\"-]{0,30}") {
        let source = json!({"type": "object", "x-kubernetes-validations": [{"rule": rule}]});
        let schema = read(&source);
        let _ = validate(&json!({"a": 1}), Some(&json!({"a": 2})), &schema);
        let _ = parse(&source, "schema");
    }

    #[test]
    fn any_pattern_is_judged(pattern in ".{0,20}", text in ".{0,20}") {
        let schema = read(&json!({"type": "string", "pattern": pattern}));
        let _ = validate(&Value::from(text), None, &schema);
    }
}

#[test]
fn a_deep_schema_is_refused_and_a_deep_object_harmless() {
    // The macro would copy what is inside, recursively.
    let wrap = |name: &str, inner: Value| Value::Object(Map::from_iter([(name.to_owned(), inner)]));
    let mut source = json!({"type": "string"});
    let mut object = json!("x");
    for _ in 0..3_000 {
        let mut level = wrap("properties", wrap("a", source));
        level["type"] = "object".into();
        source = level;
    }
    // As deep as the parser of requests lets through.
    for _ in 0..60 {
        object = wrap("a", Value::Array(vec![object]));
    }
    let findings = parse(&source, "schema").unwrap_err();
    assert!(findings[0].detail.contains("at most 64 levels"), "{findings:?}");
    let schema = read(&source);
    assert!(!validate(&object, None, &schema).is_empty());
    prune(&mut object, &schema);
    default(&mut object, &schema);
    let open = read(&json!({"type": "object", "additionalProperties": true}));
    prune(&mut object, &open);
    // Dropping recurses too: on a stack that has the room.
    let drop_both = std::thread::Builder::new().stack_size(256 << 20);
    drop_both.spawn(move || drop(source)).unwrap().join().unwrap();
}

#[test]
fn bombs_of_brackets_and_operators_in_rules_are_answered() {
    for rule in [
        "(".repeat(5_000) + &")".repeat(5_000),
        "[".repeat(3_000),
        format!("{}true", "!".repeat(10_000)),
        format!("{}1 > 0", "1 + ".repeat(4_000)),
        format!("{}true", "true && ".repeat(2_000)),
        format!("self{}", ".a".repeat(5_000)),
        format!("{}true{}", "true ? ".repeat(1_000), " : false".repeat(1_000)),
        format!("{}'a'{}", "{'a': ".repeat(1_000), "}".repeat(1_000)),
        "x".repeat(100_000),
    ] {
        let source = json!({"type": "object", "x-kubernetes-validations": [{"rule": rule}]});
        let _ = parse(&source, "schema");
        let schema = read(&source);
        let _ = validate(&json!({}), None, &schema);
    }
}

#[test]
fn a_rule_that_would_take_for_ever_is_a_finding() {
    let rule = "self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d >= 0))))";
    let source =
        json!({"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": rule}]});
    let numbers: Vec<i64> = (0..1_000).collect();
    let findings = validate(&json!(numbers), None, &read(&source));
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].detail.contains("call cost exceeds limit for rule"),
        "{findings:?}"
    );
}

#[test]
fn all_rules_of_an_object_share_a_budget() {
    let rule = "self.all(a, self.all(b, a + b >= 0))";
    let list =
        json!({"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": rule}]});
    let source = json!({"type": "array", "items": list});
    let numbers: Vec<i64> = (0..400).collect();
    let findings = validate(&json!(vec![numbers; 40]), None, &read(&source));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].detail.contains("running out of cost budget"),
        "{findings:?}"
    );
}

#[test]
fn ten_thousand_mistakes_are_told_by_a_thousand() {
    let source = json!({"type": "array", "items": {"type": "string"}});
    let numbers: Vec<i64> = (0..10_000).collect();
    assert_eq!(validate(&json!(numbers), None, &read(&source)).len(), 1_000);
}
