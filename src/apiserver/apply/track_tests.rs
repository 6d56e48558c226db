//! What of `apply`, `track` and `differs` needs no server to compare with: bad input, what a caller can rely on, and what
//! is meant to be other than upstream. What is as upstream is in `vectors_tests`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Write, apply, differs, testing, track};
use crate::apiserver::kinds::Kind;

fn write<'a>(kind: &'a Kind, manager: &'a str, subresource: &'a str) -> Write<'a> {
    Write {
        kind,
        subresource,
        manager,
        at: "2024-05-06T07:08:09.987Z".parse::<Timestamp>().unwrap(),
    }
}

fn thing(fields: Value) -> Value {
    let mut object = json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": "x"}});
    for (name, value) in fields.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

#[test]
fn times_are_whole_seconds_in_utc() {
    let kind = testing::kind(testing::thing());
    let live = track(
        None,
        thing(json!({"spec": {"text": "a"}})),
        &write(&kind, "u", ""),
    );
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{
            "apiVersion": "test.dev/v1", "fieldsType": "FieldsV1", "manager": "u", "operation": "Update",
            "time": "2024-05-06T07:08:09Z", "fieldsV1": {"f:spec": {".": {}, "f:text": {}}},
        }])
    );
}

#[test]
fn entries_that_cannot_be_read_are_reset() {
    let kind = testing::kind(testing::thing());
    for bad in [
        json!("x"),
        json!([1]),
        json!([{"manager": 1}]),
        json!([{"operation": "Apply"}]),
    ] {
        let mut live = thing(json!({"spec": {"text": "a"}}));
        live["metadata"]["managedFields"] = bad;
        let tracked = track(Some(&live), live.clone(), &write(&kind, "u", ""));
        let applied = apply(
            Some(&live),
            &thing(json!({"spec": {"count": 1}})),
            false,
            &write(&kind, "a", ""),
        )
        .unwrap();
        let managers: Vec<&str> = applied["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["manager"].as_str().unwrap())
            .collect();
        assert_eq!(managers, ["a", "before-first-apply"]);
        assert!(
            tracked["metadata"]
                .get("managedFields")
                .is_none_or(|list| *list == live["metadata"]["managedFields"])
        );
    }
}

#[test]
fn more_entries_than_anybody_needs_are_not_taken() {
    let kind = testing::kind(testing::thing());
    let live = track(
        None,
        thing(json!({"spec": {"text": "a"}})),
        &write(&kind, "u", ""),
    );
    let with = |count: usize| {
        let mut new = live.clone();
        let entry = |at: usize| {
            json!({"apiVersion": "test.dev/v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:text": {}}},
                "manager": format!("m{at}"), "operation": "Update"})
        };
        new["metadata"]["managedFields"] = (0..count).map(entry).collect();
        new["spec"]["count"] = 1.into();
        let tracked = track(Some(&live), new, &write(&kind, "w", ""));
        tracked["metadata"]["managedFields"].as_array().unwrap().len()
    };
    assert_eq!(with(1000), 10);
    assert_eq!(with(1001), 2);
}

#[test]
fn bodies_of_any_shape_are_refused_or_applied_without_a_panic() {
    let kind = testing::kind(testing::thing());
    for body in [
        json!(null),
        json!([]),
        json!("x"),
        json!({"apiVersion": 1, "kind": []}),
        json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": 1}),
        json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"ownerReferences": [1]}}),
        json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"finalizers": [null]}}),
        json!({"apiVersion": "test.dev/v1", "kind": "Thing", "spec": {"items": [{"name": {"a": [1]}}]}}),
    ] {
        for live in [
            None,
            Some(thing(json!({"spec": [], "status": 1}))),
            Some(json!(null)),
        ] {
            if let Err(status) = apply(live.as_ref(), &body, false, &write(&kind, "a", "")) {
                assert_eq!(status.code, 400, "{body}: {status}");
            }
            let _ = track(live.as_ref(), body.clone(), &write(&kind, "u", ""));
            let _ = track(live.as_ref(), body.clone(), &write(&kind, "u", "scale"));
        }
    }
}

#[test]
fn the_value_of_a_sealed_kind_is_in_no_refusal() {
    let mut kind = testing::kind(testing::thing());
    kind.sealed = true;
    let body =
        thing(json!({"spec": {"text": {"hunter2": "hunter2"}, "count": "hunter2", "struct": "hunter2"}}));
    let status = apply(None, &body, false, &write(&kind, "a", "")).unwrap_err();
    assert_eq!(status.code, 400);
    assert!(!status.message.contains("hunter2"), "{status}");
}

#[test]
fn a_scale_can_be_applied_with_a_change_where_upstream_fails() {
    let kind = testing::kind(testing::thing());
    let live = apply(
        None,
        &thing(json!({"spec": {"count": 1}})),
        false,
        &write(&kind, "a", ""),
    )
    .unwrap();
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 3}});
    let refused = apply(Some(&live), &scale, false, &write(&kind, "hpa", "scale")).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas"
    );
    let scaled = apply(Some(&live), &scale, true, &write(&kind, "hpa", "scale")).unwrap();
    assert_eq!(scaled["spec"]["count"], 3);
    assert_eq!(scaled["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    assert_eq!(scaled["metadata"]["managedFields"][0]["subresource"], "scale");
    assert_eq!(
        scaled["metadata"]["managedFields"][0]["apiVersion"],
        "test.dev/v1"
    );
    assert_eq!(
        apply(Some(&live), &json!({}), false, &write(&kind, "a", "scale"))
            .unwrap_err()
            .code,
        400
    );
}

#[test]
fn times_and_resource_versions_are_no_difference_and_all_else_is() {
    let object = |version: &str, time: &str, text: &str, manager: &str| {
        json!({
            "metadata": {"resourceVersion": version, "name": "x", "managedFields": [
                {"manager": manager, "time": time, "fieldsV1": {}}, {"manager": "z"}]},
            "spec": {"text": text},
        })
    };
    let one = object("1", "t1", "a", "m");
    assert!(!differs(&one, &object("2", "t2", "a", "m")));
    assert!(differs(&one, &object("1", "t1", "b", "m")));
    assert!(differs(&one, &object("1", "t1", "a", "n")));
    let mut other = one.clone();
    other["metadata"]["managedFields"]
        .as_array_mut()
        .unwrap()
        .reverse();
    assert!(!differs(&one, &other));
    other["metadata"]["managedFields"].as_array_mut().unwrap().pop();
    assert!(differs(&one, &other) && differs(&other, &one));
    let mut other = one.clone();
    other["metadata"]["labels"] = json!({});
    assert!(differs(&one, &other) && differs(&other, &one));
    other = one.clone();
    other["status"] = json!({});
    assert!(differs(&one, &other) && differs(&other, &one));
    assert!(differs(&one, &Value::Null) && !differs(&Value::Null, &Value::Null));
}

#[test]
fn entries_of_another_version_keep_their_version() {
    let kind = testing::kind(testing::thing());
    let mut live = thing(json!({"spec": {"text": "a", "count": 1}}));
    live["metadata"]["managedFields"] = json!([
        {"apiVersion": "test.dev/v0", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:text": {}, "f:count": {}}},
            "manager": "old", "operation": "Update"},
    ]);
    let mut new = live.clone();
    new["spec"]["text"] = "b".into();
    let tracked = track(Some(&live), new, &write(&kind, "old", ""));
    let versions: Vec<&Value> = tracked["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["apiVersion"])
        .collect();
    assert_eq!(versions, ["test.dev/v0", "test.dev/v1"]);
    assert_eq!(
        tracked["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:count": {}}})
    );
}
