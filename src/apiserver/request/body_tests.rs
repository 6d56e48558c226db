//! Tests of bodies: formats, duplicates, numbers, bounds, content types, patch bodies; and any bytes are answered.
//! Expectations are answers of a real API server, asked by hand, except for depth, aliases and documents that follow.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn decode(content_type: &str, text: &str) -> Result<Decoded> {
    body(Some(content_type), &Bytes::copy_from_slice(text.as_bytes()), None)
}

fn from_yaml(text: &str) -> Value {
    decode("application/yaml", text).unwrap().object
}

#[test]
fn json_is_read_also_without_a_content_type() {
    let text = Bytes::from(r#"{"a":[1,true,null,"x",{"b":1.5}]}"#);
    for content_type in [
        None,
        Some(""),
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
    ] {
        let decoded = body(content_type, &text, None).unwrap();
        assert_eq!(decoded.object, json!({"a": [1, true, null, "x", {"b": 1.5}]}));
        assert!(decoded.strict.is_empty());
    }
}

#[test]
fn other_content_types_are_refused() {
    for content_type in ["text/plain", "application/cbor", "garbage", "application/json;x"] {
        let status = decode(content_type, "{}").unwrap_err();
        assert_eq!(
            (status.code, status.message.as_str()),
            (
                415,
                "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
            )
        );
    }
}

#[test]
fn numbers_are_integers_when_they_can_be() {
    let text = r#"{"f":1.0,"g":1e3,"h":18446744073709551615,"i":9223372036854775807,"j":1.5,"k":-0,"m":1e21,"n":-9223372036854775808}"#;
    let object = decode("", text).unwrap().object;
    let expected = json!({"f": 1, "g": 1000, "h": 18_446_744_073_709_552_000.0_f64, "i": i64::MAX, "j": 1.5, "k": 0, "m": 1e21, "n": i64::MIN});
    assert_eq!(object, expected);
    assert_eq!(decode("", r#"{"a":1e400}"#).unwrap_err().code, 400);
}

#[test]
fn of_a_key_that_is_there_twice_the_last_value_counts_and_its_path_is_told_once() {
    let text = r#"{"metadata":{"labels":{"a":"1","a":"2","a":"3"}},"spec":{"l":[0,{"b":1,"b":2}],"x.y":1,"x.y":2},"metadata":{"name":"c"}}"#;
    let decoded = decode("", text).unwrap();
    assert_eq!(decoded.object["metadata"], json!({"name": "c"}));
    assert_eq!(decoded.object["spec"]["l"][1], json!({"b": 2}));
    let expected = [
        "duplicate field \"metadata.labels.a\"",
        "duplicate field \"spec.l[1].b\"",
        "duplicate field \"spec.x.y\"",
        "duplicate field \"metadata\"",
    ];
    assert_eq!(decoded.strict, expected);
}

#[test]
fn a_body_that_is_no_json_object_is_refused() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{} x",
        "{\"a\":1,}",
        "nul",
        "{\"a\" 1}",
    ] {
        let status = decode("", text).unwrap_err();
        assert_eq!(status.code, 400, "{text}");
        assert!(
            status
                .message
                .starts_with("the object provided is unrecognized (must be of type object): ")
        );
    }
    assert!(
        decode("", "{")
            .unwrap_err()
            .message
            .ends_with("json parse error: unexpected end of JSON input")
    );
}

#[test]
fn a_refusal_does_not_show_the_body() {
    for (content_type, text) in [
        ("", "{\"data\":{\"k\":\"hunter2\"}"),
        ("", "\"hunter2\""),
        ("application/yaml", "data: {k: hunter2"),
        ("application/yaml", "hunter2"),
        ("application/yaml", "data: *hunter2"),
        ("application/yaml", "data: !hunter2 x\nb: ]"),
    ] {
        let status = decode(content_type, text).unwrap_err();
        assert!(!status.message.contains("hunter2"), "{}", status.message);
    }
}

#[test]
fn depth_is_bounded() {
    // YAML's own bound on flow collections is lower still.
    for (content_type, most) in [("", 99), ("application/yaml", 50)] {
        let nested = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(decode(content_type, &nested(most)).is_ok());
        for levels in [100, 1_000, 200_000] {
            assert_eq!(decode(content_type, &nested(levels)).unwrap_err().code, 400);
        }
    }
}

#[test]
fn bytes_that_are_no_utf8_become_replacement_characters_in_json() {
    let decoded = body(None, &Bytes::from_static(b"{\"a\":\"x\xff\"}"), None).unwrap();
    assert_eq!(decoded.object, json!({"a": "x\u{fffd}"}));
    assert_eq!(
        body(Some("application/yaml"), &Bytes::from_static(b"a: \xff"), None)
            .unwrap_err()
            .code,
        400
    );
}

#[test]
fn yaml_has_comments_anchors_and_merge_keys() {
    let object = from_yaml("# c\nspec:\n  a: &x {b: 1}\n  c: *x\n  d: {<<: *x, e: 2}\n  f: |\n    text\n");
    assert_eq!(
        object,
        json!({"spec": {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}, "f": "text\n"}})
    );
    assert_eq!(from_yaml("{\"a\": [1, \"b\"]}"), json!({"a": [1, "b"]}));
}

#[test]
fn yaml_scalars_mean_what_they_mean_to_the_real_server() {
    let text = "{a: yes, b: 0x10, c: 1.0, d: ~, e: 2020-01-01, g: 0o7, h: 010, j: '1', k: +1, l: 1e3, m: 0b11, n: True, o: on, p: NO, q: .5, r: !!str 1, t: 1.0e+2, v: null, w: }";
    let expected = json!({
        "a": true, "b": 16, "c": 1, "d": null, "e": "2020-01-01", "g": 7, "h": 8, "j": "1", "k": 1, "l": 1000,
        "m": 3, "n": true, "o": true, "p": false, "q": 0.5, "r": "1", "t": 100, "v": null, "w": null,
    });
    assert_eq!(from_yaml(text), expected);
    assert_eq!(
        from_yaml("{1: a, true: b, 1.5: c}"),
        json!({"1": "a", "true": "b", "1.5": "c"})
    );
}

#[test]
fn duplicates_are_found_in_yaml_too() {
    let decoded = decode("application/yaml", "spec:\n  a: 1\n  a: 2\n").unwrap();
    assert_eq!(decoded.object, json!({"spec": {"a": 2}}));
    assert_eq!(decoded.strict, ["duplicate field \"spec.a\""]);
}

#[test]
fn broken_yaml_is_refused() {
    for text in [
        "",
        "# nothing",
        "a: [",
        "a: b\nbad",
        "a: &a {b: *a}",
        "a: *b",
        "a: .inf",
        "a: b\n---\nc: d",
        "? [a]\n: b",
        "- a",
    ] {
        assert_eq!(
            decode("application/yaml", text).unwrap_err().code,
            400,
            "{text:?}"
        );
    }
}

#[test]
fn empty_documents_around_the_one_are_nothing() {
    assert_eq!(from_yaml("---\na: b\n"), json!({"a": "b"}));
    assert_eq!(from_yaml("a: b\n...\n"), json!({"a": "b"}));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(decode("application/yaml", &text).unwrap_err().code, 400);
}

#[test]
fn patch_types_follow_the_content_type() {
    for (content_type, expected) in [
        ("application/json-patch+json", PatchType::Json),
        ("application/merge-patch+json; charset=utf-8", PatchType::Merge),
        ("application/apply-patch+yaml", PatchType::Apply),
    ] {
        assert_eq!(PatchType::of(Some(content_type), true).unwrap(), expected);
    }
    let strategic = Some("application/strategic-merge-patch+json");
    assert_eq!(PatchType::of(strategic, false).unwrap(), PatchType::Strategic);
    for content_type in [
        strategic,
        None,
        Some("application/json"),
        Some("application/apply-patch+cbor"),
        Some(""),
    ] {
        let status = PatchType::of(content_type, true).unwrap_err();
        assert_eq!(
            (status.code, status.message.as_str()),
            (
                415,
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            )
        );
    }
}

#[test]
fn patch_bodies_are_judged_by_their_type() {
    let read = |patch, text: &'static str| patch_body(patch, &Bytes::from(text));
    assert_eq!(read(PatchType::Json, "null").unwrap().object, json!([]));
    assert_eq!(read(PatchType::Apply, "").unwrap().object, json!({}));
    assert_eq!(read(PatchType::Strategic, "null").unwrap().object, json!({}));
    assert_eq!(
        read(PatchType::Apply, "a: b # c").unwrap().object,
        json!({"a": "b"})
    );
    assert_eq!(
        read(
            PatchType::Json,
            r#"[{"op":"add","path":"/a","value":{"b":1,"b":2}}]"#
        )
        .unwrap()
        .strict,
        ["json patch duplicate field \"[0].value.b\""]
    );
    for (patch, text, message) in [
        (PatchType::Json, "", "invalid JSON patch"),
        (PatchType::Merge, "{", "invalid JSON patch"),
        (PatchType::Merge, "null", "Invalid JSON Patch"),
        (
            PatchType::Json,
            "{}",
            "error decoding patch: json: cannot unmarshal object into a list of operations",
        ),
        (
            PatchType::Strategic,
            "[]",
            "error decoding patch: json: cannot unmarshal array into an object",
        ),
        (
            PatchType::Apply,
            "[]",
            "error decoding patch: json: cannot unmarshal array into an object",
        ),
    ] {
        let status = read(patch, text).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (400, message));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let bytes = Bytes::from(bytes);
        for content_type in ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"] {
            if let Err(status) = body(Some(content_type), &bytes, None) {
                prop_assert!((400..500).contains(&status.code));
            }
        }
    }

    #[test]
    fn any_yaml_is_answered(text in "([a-c]|: |\n|  |- |\\{|\\}|\\[|\\]|,|&a |\\*a|<<: |---|\\||>|!|\\?|'|\"|#|%|é){0,30}") {
        if let Err(status) = decode("application/yaml", &text) {
            prop_assert_eq!(status.code, 400);
        }
    }
}
