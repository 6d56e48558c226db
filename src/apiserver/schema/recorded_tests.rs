//! Holds `schema` and `kinds` to the words of a real API server (`tests/vectors/schema.json`, made by
//! `tests/scripts/record-schema`): the code, the causes, the object that is stored, the warnings. The real server visits
//! fields in any order, so causes are compared as sets.

use serde_json::Value;

use crate::apiserver::{
    field_error::FieldError,
    kinds::{Kind, Rules, custom, metadata, names},
    object, schema,
};

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/schema.json")).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value[key]
        .as_array()
        .map(|items| items.iter().collect())
        .unwrap_or_default()
}

/// Reason, field and message of each finding, sorted.
fn told(findings: &[FieldError]) -> Vec<String> {
    let mut told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {}: {}", finding.kind.reason(), finding.field, finding.body()))
        .collect();
    told.sort();
    told.dedup();
    told
}

fn asked(answer: &Value) -> Vec<String> {
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let mut asked: Vec<String> = list(answer, "causes")
        .iter()
        .map(|cause| {
            format!(
                "{} {}: {}",
                text(cause, "reason"),
                text(cause, "field"),
                text(cause, "message")
            )
        })
        .collect();
    asked.sort();
    asked.dedup();
    asked
}

/// Collects differences, so that one run shows all.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, name: &str, ours: &[String], theirs: &[String]) {
        if ours != theirs {
            self.0
                .push(format!("{name}\n   ours: {ours:#?}\n theirs: {theirs:#?}"));
        }
    }

    fn none(self) {
        assert!(
            self.0.is_empty(),
            "{} differ:\n{}",
            self.0.len(),
            self.0.join("\n")
        );
    }
}

fn kind_of(group: &Value) -> Kind {
    let mut version = serde_json::json!({
        "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": group["schema"]},
    });
    if let Some(more) = group["version"].as_object() {
        version.as_object_mut().unwrap().extend(more.clone());
    }
    let name = group["name"].as_str().unwrap();
    let mut definition = serde_json::json!({
        "metadata": {"name": format!("{name}s.schema.example")},
        "spec": {
            "group": "schema.example", "scope": "Namespaced", "versions": [version],
            "names": {"plural": format!("{name}s"), "kind": format!("{}{}", name[..1].to_uppercase(), &name[1..])},
        },
    });
    custom::prepare_create(&mut definition);
    assert_eq!(
        told(&custom::validate(&definition, None)),
        Vec::<String>::new(),
        "{name}"
    );
    definition["status"] = custom::status(&definition, &[], "2026-01-01T00:00:00Z");
    custom::kinds(&definition).remove(0)
}

/// What only a type checker or a cost estimate finds; at run time these are findings about the object.
const UNSEEN: [&str; 6] = [
    "rule-not-bool",
    "rule-type",
    "rule-unknown-function",
    "rule-message-expression",
    "rule-cost",
    "rule-old-in-list",
];

/// Where the words show a structure of the real server's program, or come from its regular expressions.
const OTHER_WORDS: [&str; 6] = [
    "bad-pattern",
    "lookahead",
    "no-storage",
    "two-storage",
    "same-version",
    "status-root",
];

#[test]
fn objects_are_judged_in_the_words_of_a_real_server() {
    let mut differences = Differences::default();
    for group in list(&recorded(), "objects") {
        let kind = kind_of(group);
        for case in list(group, "cases") {
            let name = format!(
                "{} {}",
                group["name"].as_str().unwrap(),
                case["name"].as_str().unwrap()
            );
            let answer = &case["answer"];
            let mut object = case["object"].clone();
            let unknown = schema::prune(&mut object, &kind.schema);
            schema::default(&mut object, &kind.schema);
            let mut old = case.get("old").cloned();
            if let Some(old) = &mut old {
                schema::default(old, &kind.schema);
            }
            let mut findings = schema::validate(&object, old.as_ref(), &kind.schema);
            findings.extend(kind.rules.validate(&object, old.as_ref()));
            differences.compare(&name, &told(&findings), &asked(answer));
            let warned: Vec<String> = unknown
                .iter()
                .map(|path| format!("unknown field {path:?}"))
                .collect();
            let warnings: Vec<String> = list(answer, "warnings")
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .filter(|text| text.starts_with("unknown"))
                .collect();
            differences.compare(&format!("{name} (warnings)"), &warned, &warnings);
            if let Some(stored) = answer.get("stored")
                && *stored != object
            {
                differences.compare(
                    &format!("{name} (stored)"),
                    &[object.to_string()],
                    &[stored.to_string()],
                );
            }
        }
    }
    differences.none();
}

#[test]
fn metadata_is_judged_in_the_words_of_a_real_server() {
    let mut differences = Differences::default();
    for case in list(&recorded(), "metadata") {
        let name = case["name"].as_str().unwrap();
        let answer = &case["answer"];
        if answer["code"] == 400 {
            continue;
        }
        let mut object = case["object"].clone();
        schema::prune(
            &mut object,
            &custom::whole(schema::read(&serde_json::json!({"type": "object"}))),
        );
        object::remove_meta(&mut object, "generation");
        object::set_meta(&mut object, "namespace", "default");
        if object::name(&object).is_empty() && !object::meta(&object, "generateName").is_empty() {
            let generated = format!("{}fghij", object::meta(&object, "generateName"));
            object::set_meta(&mut object, "name", generated);
        }
        let findings = metadata::validate_metadata(&object, None, true, names::subdomain_name);
        let mut ours = told(&findings);
        let mut theirs = asked(answer);
        if name == "generate" {
            // The letters are random.
            ours.truncate(1);
            theirs.truncate(1);
        }
        if name == "owner-controllers" {
            // The real server shows the fields of its type in its own order.
            assert_eq!((ours.len(), theirs.len()), (1, 1));
            continue;
        }
        differences.compare(name, &ours, &theirs);
        let warned = metadata::finalizer_warnings(&object, None);
        let warnings: Vec<String> = list(answer, "warnings")
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .filter(|text| !text.starts_with("unknown"))
            .collect();
        if theirs.is_empty() {
            differences.compare(&format!("{name} (warnings)"), &warned, &warnings);
        }
    }
    differences.none();
}

#[test]
fn definitions_are_judged_in_the_words_of_a_real_server() {
    let mut differences = Differences::default();
    for case in list(&recorded(), "definitions") {
        let name = case["name"].as_str().unwrap();
        let answer = &case["answer"];
        let mut definition = case["object"].clone();
        custom::prepare_create(&mut definition);
        let ours = told(&custom::DefinitionRules.validate(&definition, None));
        if UNSEEN.contains(&name) {
            assert_ne!(answer["code"], 201, "{name}");
            continue;
        }
        let place = |text: &String| text.split(": ").next().unwrap_or_default().to_owned();
        if OTHER_WORDS.contains(&name) {
            let places: [Vec<String>; 2] =
                [&ours, &asked(answer)].map(|texts| texts.iter().map(place).collect());
            differences.compare(name, &places[0], &places[1]);
            continue;
        }
        differences.compare(name, &ours, &asked(answer));
        let warnings: Vec<String> = list(answer, "warnings")
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .filter(|text| !text.starts_with("unknown"))
            .collect();
        if answer["code"] == 201 {
            differences.compare(
                &format!("{name} (warnings)"),
                &custom::warnings(&definition),
                &warnings,
            );
        }
    }
    differences.none();
}
