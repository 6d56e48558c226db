//! Holds the house against its plan: who may know whom, what pure rooms may not touch, and the size, header and name of
//! every file of `src`. The matrix is the one of ARCHITECTURE.md. Reads the sources as text and needs nothing but std.
//! An exception is a line in [`EXCEPTIONS`] with its reason; one that is no longer needed fails, too.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Rooms from the ground up: name, level, and the rooms that it may name.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("api", 0, &[]),
    ("clock", 0, &[]),
    ("seal", 0, &[]),
    ("telemetry", 0, &[]),
    ("tls", 0, &[]),
    ("apiserver", 1, &["clock", "telemetry", "tls"]),
    ("admission", 1, &["api", "seal"]),
    ("audit", 1, &["seal"]),
    ("convert", 1, &["api", "seal"]),
    ("delivery", 1, &["seal"]),
    ("state", 1, &["api", "seal"]),
    ("agent", 2, &["clock", "state"]),
    ("plan", 2, &["api", "state"]),
    ("engine", 2, &["clock", "delivery", "seal", "state"]),
    ("secrets", 2, &["api", "clock", "seal", "state"]),
    ("shelf", 2, &["clock", "delivery", "seal"]),
    (
        "execute",
        3,
        &[
            "api", "clock", "delivery", "engine", "plan", "seal", "shelf", "state",
        ],
    ),
    ("status", 3, &["api", "plan", "state"]),
    (
        "controllers",
        4,
        &[
            "admission",
            "agent",
            "api",
            "audit",
            "clock",
            "delivery",
            "engine",
            "execute",
            "plan",
            "seal",
            "secrets",
            "state",
            "status",
            "telemetry",
            "tls",
        ],
    ),
    (
        "cli",
        5,
        &[
            "admission",
            "agent",
            "api",
            "apiserver",
            "audit",
            "clock",
            "controllers",
            "convert",
            "delivery",
            "engine",
            "execute",
            "plan",
            "seal",
            "secrets",
            "shelf",
            "state",
            "status",
            "telemetry",
            "tls",
        ],
    ),
];

/// Rooms that compute: they neither wait nor ask what time it is.
const PURE: &[&str] = &[
    "admission",
    "api",
    "audit",
    "convert",
    "delivery",
    "plan",
    "seal",
    "state",
    "status",
    "tls",
];
/// What does not occur in them.
const IMPURE_WORDS: &[&str] = &[
    "async",
    "await",
    "tokio",
    "futures",
    "Instant",
    "SystemTime",
    "Client",
];

/// Crates that stay in some rooms, so that each can be replaced by changing those.
const CRATES: &[(&str, &[&str])] = &[
    ("aes_gcm", &["seal"]),
    ("anyhow", &["cli"]),
    ("axum", &["telemetry"]),
    ("clap", &["cli"]),
    ("hpke", &["seal"]),
    ("hyper", &["agent", "apiserver", "controllers", "engine"]),
    ("kube", &["api", "cli", "controllers"]),
    ("prometheus_client", &["telemetry"]),
    (
        "tokio",
        &[
            "agent",
            "apiserver",
            "cli",
            "controllers",
            "engine",
            "execute",
            "secrets",
            "telemetry",
        ],
    ),
];

/// Words that occur in these files only, as the start of their paths.
const PLACES: &[(&str, &[&str])] = &[
    // Everybody else is generic over the port; `cli` chooses the adapter.
    ("bollard", &["engine/bollard/", "engine/mod.rs", "cli/"]),
    ("unsafe", &["secrets/keyring_process.rs"]),
    ("redb", &["apiserver/store/"]),
    ("kube_cel", &["apiserver/schema/"]),
    ("rcgen", &["tls/certificate.rs"]),
    // `identity` reads who a client certificate names.
    (
        "x509_parser",
        &["apiserver/serve/identity.rs", "tls/certificate.rs"],
    ),
];

/// Lines of code, without blank lines, comments and tests.
const LONGEST_FILE: usize = 400;
/// Lines of the header at 110 columns. A file of a few lines says it in one.
const HEADER: std::ops::RangeInclusive<usize> = 2..=9;
const SHORT_FILE: usize = 60;

const NO_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// File, rule, and why it may.
const EXCEPTIONS: &[(&str, &str, &str)] = &[("lib.rs", "header", "its documentation is ARCHITECTURE.md")];

/// One file of `src`.
struct Source {
    /// Below `src`, with `/`.
    path: String,
    text: String,
    /// Without comments, literals and tests; lines are kept.
    code: String,
    /// Declared under `#[cfg(test)]` by the file above it.
    test: bool,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: without_tests(&without_comments(text)),
            test: false,
        }
    }

    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many `super` lead from here to the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("mod.rs") {
            parts - 1
        } else {
            parts
        }
    }

    fn lines_of_code(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }
}

/// A finding: file, rule, and what is wrong.
type Finding = (String, &'static str, String);

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let mut sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            Source::new(name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(test_files).collect();
    for source in &mut sources {
        source.test = tests.contains(&source.path);
    }
    sources
}

/// The files that a file declares for tests only: `#[cfg(test)] mod x;`, with or without a `#[path]`.
fn test_files(source: &Source) -> Vec<String> {
    let dir = match source.path.rsplit_once('/') {
        Some((dir, _)) => format!("{dir}/"),
        None => String::new(),
    };
    let below = match source.path.strip_suffix(".rs") {
        Some(stem) if !stem.ends_with("mod") => format!("{stem}/"),
        _ => dir.clone(),
    };
    let mut files = Vec::new();
    let mut lines = source.text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let mut named = None;
        for line in lines.by_ref() {
            if let Some(path) = line.trim().strip_prefix("#[path = \"") {
                named = path.strip_suffix("\"]");
                continue;
            }
            let module = line.trim().strip_suffix(';').and_then(|l| l.rsplit_once("mod "));
            if let Some((_, module)) = module {
                files.push(named.map_or_else(|| format!("{below}{module}.rs"), |n| format!("{dir}{n}")));
            }
            break;
        }
    }
    files
}

/// Blanks comments and what stands in literals.
fn without_comments(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let at = |i: usize| bytes.get(i).copied().unwrap_or('\0');
    let mut out = String::new();
    let mut i = 0;
    while i < bytes.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..bytes.len()).find(|&j| at(j) == '\n').unwrap_or(bytes.len()),
            ('/', '*') => (i + 2..bytes.len())
                .find(|&j| at(j) == '*' && at(j + 1) == '/')
                .map_or(bytes.len(), |j| j + 2),
            ('r', '"' | '#') if !is_word(at(i.wrapping_sub(1))) => raw_end(&bytes, i).unwrap_or(i),
            ('"', _) => quoted_end(&bytes, i),
            // A character, and not a lifetime.
            ('\'', '\\') => quoted_end(&bytes, i),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(at(i));
            i += 1;
        } else {
            out.extend(bytes[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn quoted_end(text: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < text.len() && text[i] != text[start] {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(text.len())
}

fn raw_end(text: &[char], start: usize) -> Option<usize> {
    let hashes = text[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let mut closing = vec!['"'];
    closing.resize(hashes + 1, '#');
    let length = text[open + 1..]
        .windows(closing.len())
        .position(|w| w == closing)?;
    Some(open + 1 + length + closing.len())
}

/// Blanks every item under `#[cfg(test)]`. Expects text without literals, so that braces balance.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(start) = code.find(MARK) else {
        return code.to_owned();
    };
    let (mut depth, mut end) = (0, code.len());
    for (i, c) in code[start + MARK.len()..].char_indices() {
        depth += match c {
            '{' | '[' | '(' => 1,
            '}' | ']' | ')' => -1,
            _ => 0,
        };
        if depth == 0 && matches!(c, ';' | '}') {
            end = start + MARK.len() + i + 1;
            break;
        }
    }
    let blank: String = code[start..end]
        .chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect();
    without_tests(&format!("{}{blank}{}", &code[..start], &code[end..]))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a text, each with what stands before and after it.
fn words(code: &str) -> Vec<(&str, &str, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (i, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (start, is_word(c)) {
            (None, true) => start = Some(i),
            (Some(from), false) => {
                found.push((&code[from..i], code[..from].trim_end(), code[i..].trim_start()));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The rooms that a file names: `crate::room`, and the first words of `crate::{...}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (word, _, after) in words(code) {
        let Some(after) = after.strip_prefix("::").filter(|_| word == "crate") else {
            continue;
        };
        let after = after.trim_start();
        let Some(group) = after.strip_prefix('{') else {
            rooms.extend(words(after).first().map(|(room, ..)| (*room).to_owned()));
            continue;
        };
        let (mut depth, mut first) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    rooms.extend(words(&first).first().map(|(room, ..)| (*room).to_owned()));
                    first.clear();
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ if depth == 0 => first.push(c),
                _ => {}
            }
        }
    }
    rooms
}

/// Whether so many `super` stand in a row that they lead out of the room.
fn climbs_out(source: &Source) -> bool {
    let mut row = 0;
    words(&source.code).into_iter().any(|(word, before, _)| {
        let goes_on = before.ends_with("super::");
        row = match (word, goes_on) {
            ("super", true) => row + 1,
            ("super", false) => 1,
            _ => 0,
        };
        row >= source.depth() && row > 0
    })
}

fn knows_whom(source: &Source, found: &mut Vec<Finding>) {
    let room = source.room();
    let mut say = |rule, what| found.push((source.path.clone(), rule, what));
    if matches!(room, "lib" | "main") {
        return;
    }
    let Some((_, _, may)) = ROOMS.iter().find(|(name, ..)| *name == room) else {
        return say("matrix", format!("room {room} is not in the matrix"));
    };
    for other in rooms_named(&source.code) {
        if other != room && !may.contains(&other.as_str()) {
            say("matrix", format!("{room} may not name {other}"));
        }
    }
    if climbs_out(source) {
        say(
            "matrix",
            "leaves its room through `super`; write `crate::`".to_owned(),
        );
    }
}

fn touches_what(source: &Source, found: &mut Vec<Finding>) {
    let room = source.room();
    let mut seen = BTreeMap::new();
    for (word, before, after) in words(&source.code) {
        let starts_a_path = after.starts_with("::") && !before.ends_with("::");
        let elsewhere = |rooms: &&[&str]| !rooms.contains(&room);
        let at_home = |files: &[&str]| files.iter().any(|f| source.path.starts_with(f));
        let crate_itself = before.ends_with("use") || absolute(before);
        if PURE.contains(&room) && IMPURE_WORDS.contains(&word) {
            seen.insert(word, "pure");
        } else if starts_a_path
            && CRATES
                .iter()
                .any(|(name, rooms)| *name == word && elsewhere(rooms))
        {
            seen.insert(word, "crate");
        } else if word == "bollard" && crate_itself && !at_home(&["engine/bollard/"]) {
            // Its types stop at the adapter, whose module has the same name.
            seen.insert(word, "place");
        } else if PLACES
            .iter()
            .any(|(name, files)| *name == word && !at_home(files))
        {
            seen.insert(word, "place");
        }
    }
    found.extend(seen.into_iter().map(|(word, rule)| {
        (
            source.path.clone(),
            rule,
            format!("`{word}` does not belong here"),
        )
    }));
}

/// Whether what follows begins with `::`, as the name of a crate may.
fn absolute(before: &str) -> bool {
    before
        .strip_suffix("::")
        .is_some_and(|rest| !rest.ends_with(|c| is_word(c) || c == '>'))
}

fn looks_how(source: &Source, found: &mut Vec<Finding>) {
    let mut say = |rule, what| found.push((source.path.clone(), rule, what));
    let lines = source.lines_of_code();
    if lines > LONGEST_FILE && !source.test {
        say(
            "size",
            format!("{lines} lines of code, and {LONGEST_FILE} are the limit: take a part out"),
        );
    }
    let header = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    let short = header == 1 && (lines <= SHORT_FILE || source.test);
    if !HEADER.contains(&header) && !short {
        say(
            "header",
            format!("{header} lines of `//!`: say what the file owns, what it does not, and who calls it"),
        );
    }
    for part in source.path.split(['/', '.', '_']) {
        if NO_NAMES.contains(&part) {
            say("name", format!("{part:?} says nothing: name what the file owns"));
        }
    }
}

fn findings(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.test {
        knows_whom(source, &mut found);
        touches_what(source, &mut found);
    }
    looks_how(source, &mut found);
    found
}

fn rules_broken(path: &str, text: &str) -> Vec<&'static str> {
    let text = format!("//! Owns one thing\n//! and not another.\n{text}");
    findings(&Source::new(path, &text))
        .into_iter()
        .map(|(_, rule, _)| rule)
        .collect()
}

#[test]
fn the_house_is_as_planned() {
    let sources = read_all();
    assert!(sources.len() > 100, "the sources were not found");
    let found: Vec<Finding> = sources.iter().flat_map(findings).collect();
    let excused = |path: &str, rule: &str| EXCEPTIONS.iter().any(|(p, r, _)| *p == path && *r == rule);
    let mut wrong: Vec<String> = found
        .iter()
        .filter(|(path, rule, _)| !excused(path, rule))
        .map(|(path, rule, what)| format!("src/{path}: {what} ({rule})"))
        .collect();
    wrong.extend(
        EXCEPTIONS
            .iter()
            .filter(|(path, rule, _)| !found.iter().any(|(p, r, _)| p == path && r == rule))
            .map(|(path, rule, _)| format!("src/{path}: its exception ({rule}) is no longer needed")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_of_the_matrix_points_down() {
    let level: BTreeMap<&str, u8> = ROOMS.iter().map(|(room, level, _)| (*room, *level)).collect();
    for (room, own, may) in ROOMS {
        for other in *may {
            assert!(level[other] < *own, "{room} may name {other}");
        }
    }
}

#[test]
fn every_room_of_the_matrix_exists() {
    let rooms: BTreeSet<String> = read_all().iter().map(|s| s.room().to_owned()).collect();
    for (room, ..) in ROOMS {
        assert!(rooms.contains(*room), "{room} is gone: take it out of the matrix");
    }
}

#[test]
fn every_dependency_has_a_reason_and_a_user() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut section = "";
    let mut named = BTreeSet::new();
    for line in manifest.lines() {
        match line.split_once(" = ") {
            None if line.starts_with('[') => section = line,
            Some((name, _)) if section.ends_with("dependencies]") => _ = named.insert(name),
            _ => {}
        }
    }
    let reasons = page
        .split("\n## Dependencies\n")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let explained: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once("`: ").map(|(name, _)| name))
        .collect();
    assert_eq!(
        named, explained,
        "Cargo.toml, and \"Dependencies\" of ARCHITECTURE.md"
    );
    let mut sources = Vec::new();
    for dir in ["src", "tests"] {
        walk(&root.join(dir), &mut sources);
    }
    let all: String = sources
        .iter()
        .map(|path| without_comments(&fs::read_to_string(path).unwrap()))
        .collect();
    let used: BTreeSet<&str> = words(&all).into_iter().map(|(word, ..)| word).collect();
    let unused: Vec<&str> = named
        .into_iter()
        .filter(|name| !used.contains(name.replace('-', "_").as_str()))
        .collect();
    assert_eq!(unused, [""; 0], "dependencies that nothing names");
}

#[test]
fn a_wrong_arrow_is_seen_however_it_is_written() {
    for text in [
        "use crate::engine::Engine;",
        "use crate::{\n    api::{keys, status::X},\n    engine::{self, Kind},\n};",
        "fn f() -> crate::engine::Kind { todo() }",
        "use crate::{engine};",
        "use super::super::engine;",
        "const C: &str = \"\\\"\"; use crate::cli;",
        "const C: char = '\"'; use crate::cli;",
        "const C: &str = r#\"x\" \"#; use crate::cli;",
        "#[cfg(test)]\nmod tests { use x; }\nuse crate::execute;",
    ] {
        assert_eq!(rules_broken("plan/x.rs", text), ["matrix"], "{text}");
    }
    assert_eq!(
        rules_broken("controllers/x.rs", "use crate::apiserver::Store;"),
        ["matrix"]
    );
    assert_eq!(rules_broken("attic/x.rs", ""), ["matrix"]);
    assert_eq!(rules_broken("plan/mod.rs", "use super::engine;"), ["matrix"]);
}

#[test]
fn a_right_arrow_a_comment_a_literal_and_a_test_are_none() {
    for text in [
        "use crate::{api::keys, plan::Action, state::{container, engine::X}};",
        "/// As [`crate::engine`] does.\nfn f() {} // crate::engine",
        "/* crate::engine */ const C: &str = \"crate::engine\"; const D: &str = r\"crate::engine\";",
        "use super::action; fn f<'a>(x: &'a str) -> &'a str { x }",
        "#[cfg(test)]\nmod tests {\n    use crate::engine::Fake;\n    async fn f() {}\n}",
        "#[cfg(test)]\nuse crate::engine;",
    ] {
        assert_eq!(rules_broken("plan/x.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn a_room_that_waits_or_asks_the_time_is_not_pure() {
    for text in ["async fn f() {}", "use std::time::Instant;", "fn f(c: Client) {}"] {
        assert_eq!(rules_broken("status/x.rs", text), ["pure"], "{text}");
    }
    assert_eq!(rules_broken("engine/x.rs", "async fn f() {}"), [""; 0]);
}

#[test]
fn crates_stay_in_their_rooms_and_words_in_their_files() {
    assert_eq!(rules_broken("secrets/x.rs", "use kube::Api;"), ["crate"]);
    assert_eq!(rules_broken("controllers/x.rs", "use kube::Api;"), [""; 0]);
    assert_eq!(rules_broken("execute/x.rs", "use bollard::Docker;"), ["place"]);
    assert_eq!(
        rules_broken("controllers/x.rs", "use crate::engine::bollard::Docker;"),
        ["place"]
    );
    for text in [
        "use bollard::Docker;",
        "use ::bollard::Docker;",
        "fn f(_: ::bollard::Docker) {}",
    ] {
        assert_eq!(rules_broken("cli/x.rs", text), ["place"], "{text}");
    }
    assert_eq!(
        rules_broken("cli/x.rs", "use crate::engine::bollard::Docker;"),
        [""; 0]
    );
    assert_eq!(
        rules_broken("engine/bollard/x.rs", "use ::bollard::Docker;"),
        [""; 0]
    );
    assert_eq!(rules_broken("seal/x.rs", "fn f() { unsafe { g() } }"), ["place"]);
    assert_eq!(
        rules_broken("apiserver/verbs/x.rs", "use redb::Database;"),
        ["place"]
    );
    assert_eq!(
        rules_broken("apiserver/store/x.rs", "use redb::Database;"),
        [""; 0]
    );
    assert_eq!(
        rules_broken("apiserver/verbs/x.rs", "use crate::api::keys;"),
        ["matrix"]
    );
}

#[test]
fn size_header_and_name_are_looked_at() {
    let long = "fn f() {}\n".repeat(LONGEST_FILE + 1);
    assert_eq!(rules_broken("state/x.rs", &long), ["size"]);
    assert_eq!(
        rules_broken("state/x.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}")),
        [""; 0]
    );
    assert_eq!(rules_broken("state/pod_utils.rs", ""), ["name"]);
    assert_eq!(rules_broken("state/helpers/pod.rs", ""), ["name"]);
    let bare = findings(&Source::new("state/x.rs", "fn f() {}"));
    assert_eq!(
        bare.iter().map(|(_, rule, _)| *rule).collect::<Vec<_>>(),
        ["header"]
    );
}

#[test]
fn a_file_that_only_tests_see_is_known_as_one() {
    let text = "#[cfg(test)]\npub(crate) mod fixtures;\n#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\nmod y;\n";
    let files = test_files(&Source::new("plan/mod.rs", text));
    assert_eq!(files, ["plan/fixtures.rs", "plan/x_tests.rs"]);
}
