//! The query: parameters of every verb, read as a Kubernetes API server reads them (`url.Values` and the conversions of
//! `k8s.io/apimachinery/pkg/runtime`): the first value counts, a boolean is true unless `0` or `false`, an unreadable pair
//! is passed over, a number that is none is refused. Judges no combination: that is `options`. Called by `verbs`.

use std::num::IntErrorKind;

use percent_encoding::percent_decode_str;

use super::Query;
use crate::apiserver::status::{Result, Status};

/// Reads the query.
///
/// # Errors
/// 400 for a number that is none.
pub fn query(text: &str) -> Result<Query> {
    let mut found = Query::default();
    let mut seen = Vec::new();
    for pair in text
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            continue;
        };
        if name == "dryRun" {
            found.dry_run.push(value);
        } else if !seen.contains(&name) {
            set(&mut found, &name, value)?;
            seen.push(name);
        }
    }
    Ok(found)
}

fn set(query: &mut Query, name: &str, value: String) -> Result<()> {
    match name {
        "limit" => query.limit = usize::try_from(integer(&value)?).unwrap_or(0),
        "continue" => query.continue_token = value,
        "resourceVersion" => query.resource_version = value,
        "resourceVersionMatch" => query.resource_version_match = value,
        "labelSelector" => query.label_selector = value,
        "fieldSelector" => query.field_selector = value,
        "watch" => query.watch = boolean(&value),
        "allowWatchBookmarks" => query.allow_watch_bookmarks = boolean(&value),
        "sendInitialEvents" => query.send_initial_events = Some(boolean(&value)),
        "timeoutSeconds" => query.timeout_seconds = u64::try_from(integer(&value)?).ok(),
        "fieldManager" => query.field_manager = value,
        "fieldValidation" => query.field_validation = value,
        "force" => query.force = Some(boolean(&value)),
        "pretty" => query.pretty = matches!(&*value, "1" | "t" | "T" | "TRUE" | "true" | "True"),
        "includeObject" => query.include_object = value,
        "gracePeriodSeconds" => query.grace_period_seconds = Some(integer(&value)?),
        "propagationPolicy" => query.propagation_policy = value,
        "orphanDependents" => query.orphan_dependents = Some(boolean(&value)),
        _ => {}
    }
    Ok(())
}

/// Form decoding; `None` for a `%` that starts no byte. What is no UTF-8 shows as U+FFFD.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = bytes
        .iter()
        .enumerate()
        .any(|(at, c)| *c == b'%' && !(hex(at + 1) && hex(at + 2)));
    if broken {
        return None;
    }
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

fn boolean(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

fn integer(value: &str) -> Result<i64> {
    value.parse::<i64>().map_err(|error| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {value:?}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_parameter_is_read() {
        let found = query(
            "limit=500&continue=a%3D%3D&resourceVersion=12&resourceVersionMatch=Exact&labelSelector=a%3Db+c&fieldSelector=x%3Dy\
             &watch=true&allowWatchBookmarks=1&sendInitialEvents=false&timeoutSeconds=5&dryRun=All&dryRun=foo&fieldManager=m\
             &fieldValidation=Strict&force=true&pretty=1&includeObject=None&gracePeriodSeconds=-1&propagationPolicy=Orphan\
             &orphanDependents=0&unknown=1",
        )
        .unwrap();
        let expected = Query {
            limit: 500,
            continue_token: "a==".into(),
            resource_version: "12".into(),
            resource_version_match: "Exact".into(),
            label_selector: "a=b c".into(),
            field_selector: "x=y".into(),
            watch: true,
            allow_watch_bookmarks: true,
            send_initial_events: Some(false),
            timeout_seconds: Some(5),
            dry_run: vec!["All".into(), "foo".into()],
            field_manager: "m".into(),
            field_validation: "Strict".into(),
            force: Some(true),
            pretty: true,
            include_object: "None".into(),
            grace_period_seconds: Some(-1),
            propagation_policy: "Orphan".into(),
            orphan_dependents: Some(false),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn any_word_but_0_and_false_is_true() {
        for (text, watch) in [
            ("watch", true),
            ("watch=", true),
            ("watch=foo", true),
            ("watch=0", false),
            ("watch=False", false),
            ("", false),
            ("watch=0&watch=1", false),
        ] {
            assert_eq!(query(text).unwrap().watch, watch, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused_in_the_words_of_the_real_server() {
        for (text, message) in [
            ("limit=abc", r#"strconv.ParseInt: parsing "abc": invalid syntax"#),
            ("limit=", r#"strconv.ParseInt: parsing "": invalid syntax"#),
            (
                "timeoutSeconds=99999999999999999999",
                r#"strconv.ParseInt: parsing "99999999999999999999": value out of range"#,
            ),
        ] {
            let status = query(text).unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (400, message));
        }
        assert_eq!(query("limit=-1&timeoutSeconds=-1").unwrap(), Query::default());
    }

    #[test]
    fn the_first_value_counts_and_unreadable_pairs_are_passed_over() {
        assert_eq!(query("limit=1&limit=abc").unwrap().limit, 1);
        assert_eq!(query("limit=%zz&a;limit=3&&limit=2").unwrap().limit, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(limit|watch|=|&|%|%2|%ff|[a-z0-9;+-]){0,20}") {
            let _ = query(&text);
        }
    }
}
