//! What documents promise about secrets: each row of docs/features.md has a proof that exists, its counts are right, what
//! docs/files.md quotes is what the program says, and the manifests that are shown are valid. Looks at texts only; what the
//! named tests hold is theirs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use supercargo::api::{Policy, validate};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of all tables of a page, by cells, without heads.
fn rows(page: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let lines: Vec<&str> = page.lines().collect();
    let is_head = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("|-"));
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| line.starts_with("| ") && !is_head(*at))
        .map(|(_, line)| cells(line))
        .collect()
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether a file has a test of this name: a function with the attribute, or an entry of a test program's own list.
fn has_test(text: &str, name: &str) -> bool {
    let declared = format!("fn {name}(");
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.contains(&declared) && is_test {
            return true;
        }
        is_test = match line.strip_prefix("#[") {
            Some(attribute) => {
                is_test || attribute.starts_with("test]") || attribute.starts_with("tokio::test")
            }
            None => is_test && line.starts_with("//"),
        };
    }
    text.contains("const CASES:") && text.contains(&format!("\"{name}\""))
        || text.contains("const TOGETHER:") && text.contains(&format!("\"{name}\""))
}

#[test]
fn every_feature_that_is_there_names_tests_that_exist_and_the_counts_are_right() {
    let page = read("docs/features.md");
    let rows = rows(&page);
    let numbers: Vec<usize> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=70).collect::<Vec<_>>());
    let (mut counts, mut missing) = (BTreeMap::new(), Vec::new());
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        *counts.entry(row[2].as_str()).or_insert(0) += 1;
        let tests: Vec<(&str, &str)> = quoted(&row[3])
            .into_iter()
            .filter_map(|text| text.split_once(".rs::"))
            .collect();
        assert_eq!(tests.is_empty(), row[2] == "not yet", "{row:?}");
        for (file, name) in tests {
            if !has_test(&read(&format!("{file}.rs")), name) {
                missing.push(format!("{file}.rs::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/features.md names {missing:#?}");
    let count = |state: &str| counts.get(state).copied().unwrap_or_default();
    let line = format!(
        "**{} yes, {} partly, {} not yet.**",
        count("yes"),
        count("partly"),
        count("not yet")
    );
    assert_eq!(count("yes") + count("partly") + count("not yet"), 70);
    assert!(page.contains(&line), "docs/features.md should say {line}");
}

#[test]
fn a_test_that_is_not_there_is_seen() {
    let text = "/// As `fn told()`.\n#[test]\n#[ignore]\nfn real() {}\nfn helper() {}\n#[test]\n// why\nasync fn late() {}\n";
    assert!(has_test(text, "real") && has_test(text, "late"));
    for name in ["helper", "rea", "told", "absent"] {
        assert!(!has_test(text, name), "{name}");
    }
    assert!(!has_test("call(\"listed\")", "listed"));
    assert!(has_test(
        "const TOGETHER: &[Test] = &[(\"listed\", f)];",
        "listed"
    ));
}

/// All sources as one text.
fn sources() -> String {
    let mut text = String::new();
    let mut waiting = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn the_messages_about_files_that_are_explained_are_the_programs() {
    let page = read("docs/files.md");
    let (_, troubleshooting) = page.split_once("\n## Troubleshooting\n").unwrap();
    let sources = sources();
    let rows = rows(troubleshooting);
    let messages: Vec<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert!(messages.len() > 10, "{messages:?}");
    for message in messages {
        assert!(sources.contains(message), "nothing says {message:?}");
    }
}

/// The YAML documents of a page, or of a manifest, that are of our kind.
fn deployments(path: &str) -> Vec<Value> {
    let text = read(path);
    let blocks: Vec<&str> = match path.strip_suffix(".md") {
        Some(_) => text
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect(),
        None => text.split("\n---\n").collect(),
    };
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let parsed = blocks
        .into_iter()
        .map(|block| serde_saphyr::from_str_with_options(block, options.clone()).unwrap());
    parsed
        .filter(|object: &Value| object["kind"] == "DockerDeployment")
        .collect()
}

#[test]
fn every_deployment_that_is_shown_is_one_that_the_operator_accepts() {
    let mut examples: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
        .unwrap()
        .map(|entry| format!("examples/{}", entry.unwrap().file_name().display()))
        .filter(|path| path.ends_with(".yaml"))
        .collect();
    examples.extend(["README.md", "docs/files.md"].map(str::to_owned));
    for path in examples {
        let found = deployments(&path);
        assert!(!found.is_empty(), "{path} shows no deployment");
        for object in found {
            let violations = validate(&object, &Policy::default()).err();
            assert_eq!(violations, None, "{path}");
        }
    }
}
