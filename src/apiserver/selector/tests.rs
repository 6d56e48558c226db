//! Tests of selectors: every text of tests/vectors/selectors.json is answered as a real API server answered it
//! (tests/scripts/record-selectors records them), matching by hand, and no text makes the parsers fail otherwise.

use proptest::prelude::*;
use serde_json::Value;

use super::{FieldSelector, LabelSelector};

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/selectors.json")).unwrap()
}

fn check(kind: &str, parse: impl Fn(&str) -> Option<String>) {
    let recorded = recorded();
    let cases = recorded[kind].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let expected = case["message"].as_str().map(str::to_owned);
        assert_eq!(parse(text), expected, "{kind} selector {text:?}");
    }
}

#[test]
fn label_selectors_are_accepted_and_refused_in_the_words_of_the_real_server() {
    check("label", |text| {
        LabelSelector::parse(text).err().map(|status| status.message)
    });
}

#[test]
fn field_selectors_are_accepted_and_refused_in_the_words_of_the_real_server() {
    check("field", |text| {
        FieldSelector::parse(text).err().map(|status| status.message)
    });
}

fn matches(text: &str, labels: &[(&str, &str)]) -> bool {
    LabelSelector::parse(text)
        .unwrap()
        .matches(labels.iter().copied())
}

#[test]
fn every_operator_selects_what_it_says() {
    let labels = [("app", "web"), ("empty", ""), ("n", "7")];
    for yes in [
        "",
        "app",
        "!gone",
        "app=web",
        "app==web",
        "app!=db",
        "gone!=x",
        "app in (db,web)",
        "app notin (db)",
        "gone notin (x)",
        "n>6",
        "n<8",
        "empty=",
        "empty in (,x)",
        "app=web,n>1,!gone",
        "empty",
        "gone!=",
    ] {
        assert!(matches(yes, &labels), "{yes:?} selects it");
    }
    for no in [
        "gone",
        "!app",
        "app=db",
        "app!=web",
        "app in (db)",
        "gone in (x)",
        "app notin (db,web)",
        "n>7",
        "n<7",
        "app>1",
        "gone<1",
        "app=",
        "empty!=",
        "app=web,gone",
        "gone=",
    ] {
        assert!(!matches(no, &labels), "{no:?} does not select it");
    }
}

#[test]
fn only_the_empty_selector_selects_everything() {
    assert!(LabelSelector::parse(" ").unwrap().is_everything());
    assert!(!LabelSelector::parse("a").unwrap().is_everything());
}

#[test]
fn field_terms_are_unescaped_and_keep_their_operator() {
    let terms = FieldSelector::parse(r"a=x\,y,b!=\=\\,c==,d=!").unwrap().terms;
    let expected = [
        ("a", true, "x,y"),
        ("b", false, "=\\"),
        ("c", true, ""),
        ("d", true, "!"),
    ];
    let expected = expected.map(|(field, equal, value)| (field.to_owned(), equal, value.to_owned()));
    assert_eq!(terms, expected);
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-z!=<>(), \\\\\u{0}ü]{0,24}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            let _ = selector.matches([("a", "b")].into_iter());
        }
        let _ = FieldSelector::parse(&text);
    }

    #[test]
    fn an_escaped_value_comes_back(value in "\\PC{0,20}") {
        let escaped: String = value
            .chars()
            .flat_map(|c| if matches!(c, '\\' | ',' | '=') { vec!['\\', c] } else { vec![c] })
            .collect();
        let terms = FieldSelector::parse(&format!("f={escaped}")).unwrap().terms;
        prop_assert_eq!(terms, vec![("f".to_owned(), true, value)]);
    }
}
