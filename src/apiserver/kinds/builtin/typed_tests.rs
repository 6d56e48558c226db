//! The typed form, in the words and with the results of a Kubernetes API server for the same bodies.
#![allow(clippy::unwrap_used, reason = "a test may")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::typed::decode;

const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";

fn typed(definition: &str, mut object: Value) -> Result<Value, String> {
    decode(&mut object, definition).map(|()| object)
}

#[test]
fn a_value_of_another_type_is_refused_in_the_words_of_go() {
    for (object, why) in [
        (
            json!({"data": {"a": 5}}),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            json!({"data": []}),
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            json!({"data": "x"}),
            "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            json!({"metadata": {"name": 5}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            json!({"metadata": {"generation": "1"}}),
            "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.generation of type int64",
        ),
        (
            json!({"metadata": {"generation": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field ObjectMeta.metadata.generation of type int64",
        ),
        (
            json!({"immutable": "yes"}),
            "json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool",
        ),
        (
            json!({"metadata": "c"}),
            "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
        ),
        (
            json!({"metadata": {"creationTimestamp": "bogus"}}),
            "parsing time \"bogus\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"bogus\" as \"2006\"",
        ),
        (
            json!({"binaryData": {"a": "!!"}}),
            "illegal base64 data at input byte 0",
        ),
    ] {
        assert_eq!(typed(CONFIG_MAP, object).unwrap_err(), why);
    }
    let lease = "io.k8s.api.coordination.v1.Lease";
    assert_eq!(
        typed(
            lease,
            json!({"spec": {"leaseDurationSeconds": 3_000_000_000_u64}})
        )
        .unwrap_err(),
        "json: cannot unmarshal number 3000000000 into Go struct field LeaseSpec.spec.leaseDurationSeconds of type int32"
    );
    assert_eq!(
        typed(lease, json!({"spec": {"renewTime": "2020-01-01T00:00:00Z"}})).unwrap_err(),
        "parsing time \"2020-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
    );
}

#[test]
fn empty_and_null_fields_go_and_pointers_stay() {
    let given =
        json!({"metadata": {"name": "c3", "labels": {}}, "immutable": false, "data": null, "binaryData": {}});
    assert_eq!(
        typed(CONFIG_MAP, given).unwrap(),
        json!({"metadata": {"name": "c3"}, "immutable": false})
    );
}

#[test]
fn what_go_always_writes_is_there() {
    let given =
        json!({"metadata": {"name": "e1"}, "involvedObject": {"kind": "Pod"}, "series": {"count": 1}});
    assert_eq!(
        typed("io.k8s.api.core.v1.Event", given).unwrap(),
        json!({
            "metadata": {"name": "e1"}, "involvedObject": {"kind": "Pod"}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "", "reportingInstance": "",
            "series": {"count": 1, "lastObservedTime": null},
        })
    );
}

#[test]
fn times_go_to_utc_and_bytes_become_canonical() {
    let given = json!({"metadata": {"creationTimestamp": "2020-01-01T01:00:00.9+01:00"}, "data": {"a": "eA\n==", "b": null, "c": "eR=="}});
    assert_eq!(
        typed("io.k8s.api.core.v1.Secret", given).unwrap(),
        json!({"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}, "data": {"a": "eA==", "b": "", "c": "eQ=="}})
    );
}

#[test]
fn a_schema_of_a_crd_loses_what_no_schema_has() {
    let schema =
        json!({"type": "object", "x-foo": 1, "maximum": 10.0, "items": {"bogus": 1}, "default": null});
    let crd = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
    let typed = typed(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        crd,
    )
    .unwrap();
    assert_eq!(
        typed["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        json!({"type": "object", "maximum": 10, "items": {}})
    );
    assert_eq!(
        typed["status"],
        json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": null})
    );
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~=\\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let names = prop::sample::select(vec![
            "metadata", "spec", "data", "series", "source", "name", "labels", "type", "count",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.prop_map(ToOwned::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_typed_or_refused_and_typing_twice_changes_nothing(object in anything()) {
        for definition in [CONFIG_MAP, "io.k8s.api.core.v1.Secret", "io.k8s.api.core.v1.Event", "io.k8s.api.coordination.v1.Lease"] {
            if let Ok(once) = typed(definition, object.clone()) {
                prop_assert_eq!(typed(definition, once.clone()), Ok(once));
            }
        }
    }

    #[test]
    fn base64_of_anything_is_kept(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        use base64ct::{Base64, Encoding};
        let text = Base64::encode_string(&bytes);
        let given = json!({"metadata": {}, "data": {"a": text}});
        prop_assert_eq!(typed("io.k8s.api.core.v1.Secret", given.clone()), Ok(given));
    }
}
