//! The decoder against bytes and JSON that Go made (`tests/vectors/protobuf.json`), and against arbitrary bytes.
#![allow(clippy::unwrap_used, reason = "a test may")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::protobuf::decode;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../../tests/vectors/protobuf.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn sample(vector: &Value) -> (&str, &str, Vec<u8>) {
    let text = |field: &str| vector[field].as_str().unwrap();
    (text("apiVersion"), text("kind"), bytes(text("hex")))
}

#[test]
fn every_kind_decodes_to_the_json_that_go_makes() {
    for vector in vectors() {
        let (version, kind, raw) = sample(&vector);
        let mut wanted = vector["json"].clone();
        wanted["apiVersion"] = version.into();
        wanted["kind"] = kind.into();
        let decoded = decode(version, kind, &raw).unwrap();
        assert_eq!(decoded, wanted, "{version} {kind}");
    }
}

#[test]
fn what_is_cut_off_anywhere_is_an_answer_or_a_400() {
    for vector in vectors() {
        let (version, kind, raw) = sample(&vector);
        for length in 0..raw.len() {
            if let Err(status) = decode(version, kind, &raw[..length]) {
                assert_eq!(status.code, 400);
            }
        }
    }
}

#[test]
fn a_field_that_comes_twice_is_merged_and_an_unknown_one_is_skipped() {
    // metadata{name: a}, 99: varint, metadata{namespace: b}
    let raw = bytes("0a030a0161")
        .into_iter()
        .chain(bytes("980601"))
        .chain(bytes("0a031a0162"));
    let decoded = decode("v1", "ConfigMap", &raw.collect::<Vec<_>>()).unwrap();
    assert_eq!(decoded["metadata"], json!({"name": "a", "namespace": "b"}));
}

#[test]
fn a_wrong_wire_type_is_a_400_that_names_the_field() {
    let status = decode("v1", "ConfigMap", &bytes("0805")).unwrap_err();
    assert_eq!(status.code, 400);
    assert_eq!(
        status.message,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: proto: wrong wireType for field metadata"
    );
}

#[test]
fn an_unknown_kind_is_a_400() {
    assert_eq!(decode("v1", "Pod", &[]).unwrap_err().code, 400);
    assert_eq!(decode("v2", "ConfigMap", &[]).unwrap_err().code, 400);
}

#[test]
fn a_schema_nested_without_end_is_a_400_and_no_overflow() {
    // JSONSchemaProps.not is field 28 (tag e2 01), wrapped in schema, version, spec.
    let wrap = |tag: &[u8], inner: Vec<u8>| {
        let mut out = tag.to_vec();
        let mut length = inner.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(inner);
        out
    };
    let mut raw = Vec::new();
    for _ in 0..10_000 {
        raw = wrap(&[0xe2, 0x01], raw);
    }
    for tag in [0x0a, 0x22, 0x3a, 0x12] {
        raw = wrap(&[tag], raw);
    }
    let status = decode("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw).unwrap_err();
    assert_eq!(status.code, 400);
    assert!(
        status.message.contains("exceeded max depth"),
        "{}",
        status.message
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_an_object_or_a_400(raw in prop::collection::vec(any::<u8>(), 0..300), of in 0..9_usize) {
        let kinds = [
            ("v1", "Secret"), ("v1", "Event"), ("events.k8s.io/v1", "Event"), ("coordination.k8s.io/v1", "Lease"),
            ("authorization.k8s.io/v1", "SubjectAccessReview"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("v1", "DeleteOptions"), ("v1", "WatchEvent"), ("apps/v1", "ControllerRevision"),
        ];
        let (version, kind) = kinds[of];
        match decode(version, kind, &raw) {
            Ok(object) => prop_assert!(object.is_object()),
            Err(status) => prop_assert_eq!(status.code, 400),
        }
    }

    #[test]
    fn a_changed_byte_gives_an_object_or_a_400(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let vectors = vectors();
        let (version, kind, mut raw) = sample(&vectors[which.index(vectors.len())]);
        if !raw.is_empty() {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        if let Err(status) = decode(version, kind, &raw) {
            prop_assert_eq!(status.code, 400);
        }
    }
}
