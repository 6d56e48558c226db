//! Owns `seal --into`: putting envelopes into a manifest that exists, as text, so that every other line keeps its
//! bytes, comments and order. The result is read again and compared before anything is written; a layout that this
//! does not understand is refused, never guessed at. It seals nothing. Called by `seal`.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{anyhow, bail};

use super::seal_manifest::word;
use super::secret_manifest::{Document, Object, Text, documents, parse};

/// The DockerSecret in a stream that values go into.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where the document stands in the stream, in bytes.
    range: Range<usize>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

/// Finds the one DockerSecret that the names allow.
///
/// # Errors
/// None or several fit, or a document is not YAML.
pub(super) fn target(
    stream: &str,
    place: &str,
    name: Option<&str>,
    namespace: Option<&str>,
) -> anyhow::Result<Target> {
    let mut found = Vec::new();
    for document in documents(stream) {
        let object = read(&document, place)?;
        if object.kind != "DockerSecret" {
            continue;
        }
        let Some(its_name) = object.metadata.name else {
            continue;
        };
        let its_namespace = object.metadata.namespace;
        let fits = name.is_none_or(|n| n == its_name)
            && (namespace.is_none() || its_namespace.is_none() || namespace == its_namespace.as_deref());
        if fits {
            let range = document.start..document.start + document.text.len();
            found.push(Target {
                range,
                name: its_name,
                namespace: its_namespace,
            });
        }
    }
    let several = found.len() > 1;
    match found.into_iter().next() {
        Some(target) if !several => Ok(target),
        Some(_) => bail!("{place} has several DockerSecrets that fit; say which with --name and --namespace"),
        None => {
            bail!("{place} has no DockerSecret of that name; make one with `supercargo seal` without --into")
        }
    }
}

/// The stream with `envelopes` set in the target; every other byte as it was.
///
/// # Errors
/// The document's layout is not plain block style.
pub(super) fn merge(
    stream: &str,
    place: &str,
    target: &Target,
    envelopes: &BTreeMap<String, String>,
) -> anyhow::Result<String> {
    let strange = || {
        anyhow!("{place}: spec.encryptedData is not written one key to a line; use --raw and paste the line")
    };
    let old = stream.get(target.range.clone()).ok_or_else(strange)?;
    let new = edit(old, envelopes).ok_or_else(strange)?;
    let (before, after) = (stream.get(..target.range.start), stream.get(target.range.end..));
    let merged = format!(
        "{}{new}{}",
        before.ok_or_else(strange)?,
        after.ok_or_else(strange)?
    );
    let expected = expected(&document(old), place, envelopes)?;
    if read(&document(&new), place)
        .ok()
        .and_then(|o| o.spec?.encrypted_data)
        == Some(expected)
        && rest(old) == rest(&new)
    {
        return Ok(merged);
    }
    Err(strange())
}

fn document(text: &str) -> Document<'_> {
    Document {
        number: 1,
        line: 1,
        start: 0,
        text,
    }
}

fn read(document: &Document<'_>, place: &str) -> anyhow::Result<Object> {
    parse(document).map_err(|line| anyhow!("{place}, line {line}: not a YAML manifest; correct it there"))
}

fn expected(
    old: &Document<'_>,
    place: &str,
    envelopes: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, Text>> {
    let mut data = read(old, place)?
        .spec
        .and_then(|s| s.encrypted_data)
        .unwrap_or_default();
    let fresh = envelopes
        .iter()
        .map(|(k, e)| (k.clone(), Text::Line(zeroize::Zeroizing::new(e.clone()))));
    data.extend(fresh);
    Ok(data)
}

/// Everything of a document but its values, to compare before with after. It holds envelopes at most.
fn rest(text: &str) -> Option<serde_json::Value> {
    let mut value: serde_json::Value = serde_saphyr::from_str(text).ok()?;
    let object = value.as_object_mut()?;
    let spec = object.entry("spec").or_insert(serde_json::Value::Null);
    if spec.is_null() {
        *spec = serde_json::Value::Object(serde_json::Map::new());
    }
    spec.as_object_mut()?.remove("encryptedData");
    Some(value)
}

/// Edits one document; `None` when its layout is not understood.
fn edit(text: &str, envelopes: &BTreeMap<String, String>) -> Option<String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = lines.last_mut().filter(|l| !l.ends_with('\n')) {
        last.push_str(newline);
    }
    let Some(spec) = lines.iter().position(|l| is_key(l, "spec")) else {
        let indent = "    ";
        lines.push(format!("spec:{newline}  encryptedData:{newline}"));
        lines.extend(
            envelopes
                .iter()
                .map(|(key, e)| format!("{indent}{}: {e}{newline}", word(key))),
        );
        return Some(lines.concat());
    };
    if !value_of(lines.get(spec)?)?.is_empty() {
        return None;
    }
    let spec_end = block_end(&lines, spec, 0);
    let child = (spec + 1..spec_end)
        .filter_map(|at| lines.get(at))
        .find(|l| is_content(l))
        .map_or(2, |l| indent(l));
    let data = (spec + 1..spec_end).find(|at| {
        lines
            .get(*at)
            .is_some_and(|l| indent(l) == child && is_key(l.trim_start(), "encryptedData"))
    });
    let Some(data) = data else {
        let pad = " ".repeat(child);
        let added = envelopes
            .iter()
            .map(|(key, e)| format!("{pad}{pad}{}: {e}{newline}", word(key)));
        let block = format!("{pad}encryptedData:{newline}{}", added.collect::<String>());
        lines.insert(spec + 1, block);
        return Some(lines.concat());
    };
    match value_of(lines.get(data)?)? {
        "" => {}
        "{}" => *lines.get_mut(data)? = format!("{}encryptedData:{newline}", " ".repeat(child)),
        _ => return None,
    }
    set_entries(&mut lines, data, child, newline, envelopes)?;
    Some(lines.concat())
}

fn set_entries(
    lines: &mut Vec<String>,
    data: usize,
    child: usize,
    newline: &str,
    envelopes: &BTreeMap<String, String>,
) -> Option<()> {
    for (key, envelope) in envelopes {
        let end = block_end(lines, data, child);
        let first = (data + 1..end).find(|at| lines.get(*at).is_some_and(|l| is_content(l)));
        let depth = first
            .and_then(|at| lines.get(at))
            .map_or(child + 2, |l| indent(l));
        let entry = (data + 1..end).find(|at| {
            lines
                .get(*at)
                .is_some_and(|l| is_content(l) && indent(l) == depth && key_of(l) == Some(key))
        });
        match entry {
            Some(at) => {
                let entry_end = block_end(lines, at, depth).min(end);
                let line = lines.get(at)?;
                let written = line.get(..line.find(':')?)?;
                let comment = line
                    .trim_end()
                    .find(" #")
                    .and_then(|c| line.trim_end().get(c..))
                    .unwrap_or("");
                let new = format!("{written}: {envelope}{comment}{newline}");
                lines.splice(at..entry_end, [new]);
            }
            None => {
                let last = (data..end)
                    .rev()
                    .find(|at| lines.get(*at).is_some_and(|l| is_content(l)))?;
                lines.insert(
                    last + 1,
                    format!("{}{}: {envelope}{newline}", " ".repeat(depth), word(key)),
                );
            }
        }
    }
    Some(())
}

/// The line after the block that the key on line `at` opens: the next content that is not deeper. Blank lines and
/// comments at the end belong to what follows.
fn block_end(lines: &[String], at: usize, depth: usize) -> usize {
    let next = lines
        .iter()
        .enumerate()
        .skip(at + 1)
        .find(|(_, l)| is_content(l) && indent(l) <= depth);
    let end = next.map_or(lines.len(), |(n, _)| n);
    let last = (at..end)
        .rev()
        .find(|n| lines.get(*n).is_some_and(|l| is_content(l)));
    last.map_or(end, |n| n + 1)
}

fn is_content(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !text.starts_with('#') && text != "..."
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start().split_once(':')?;
    let key = key.trim_end();
    let bare = |quote: char| key.strip_prefix(quote).and_then(|k| k.strip_suffix(quote));
    Some(bare('"').or_else(|| bare('\'')).unwrap_or(key))
}

/// What stands behind a line's colon, without its comment.
fn value_of(line: &str) -> Option<&str> {
    let (_, value) = line.split_once(':')?;
    let value = value.split(" #").next()?.trim();
    Some(if value.starts_with('#') { "" } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# ours\napiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: db, namespace: shop}\nspec:\n  # values\n  encryptedData:\n    a: sc1.A # keep me\n    \"b\":\n      sc1.B\n\n    c: sc1.C\n  immutable: false\n---\nkind: Other\n";

    fn merged(stream: &str, keys: &[&str]) -> anyhow::Result<String> {
        let target = target(stream, "f", None, None)?;
        let envelopes = keys
            .iter()
            .map(|k| ((*k).to_owned(), format!("sc1.new-{k}")))
            .collect();
        merge(stream, "f", &target, &envelopes)
    }

    #[test]
    fn one_changed_key_changes_one_line() {
        assert_eq!(merged(OLD, &["a"]).unwrap(), OLD.replace("sc1.A", "sc1.new-a"));
        assert_eq!(merged(OLD, &["c"]).unwrap(), OLD.replace("sc1.C", "sc1.new-c"));
        assert_eq!(
            merged(OLD, &["b"]).unwrap(),
            OLD.replace("\"b\":\n      sc1.B", "\"b\": sc1.new-b")
        );
    }

    #[test]
    fn a_new_key_is_one_new_line() {
        let expected = OLD.replace("sc1.C\n", "sc1.C\n    d: sc1.new-d\n    \"1\": sc1.new-1\n");
        let new = merged(&merged(OLD, &["d"]).unwrap(), &["1"]).unwrap();
        assert_eq!(new, expected);
    }

    #[test]
    fn values_go_where_there_were_none() {
        let head = "kind: DockerSecret\nmetadata:\n  name: db\n";
        for tail in [
            "",
            "spec:\n  immutable: false\n",
            "spec:\n  encryptedData: {}\n",
            "spec:\n  encryptedData:\n",
            "spec:\n",
        ] {
            let new = merged(&format!("{head}{tail}"), &["a", "b"]).unwrap();
            assert!(
                new.starts_with(head) && new.contains("    a: sc1.new-a\n    b: sc1.new-b\n"),
                "{new}"
            );
        }
        let no_newline = merged("kind: DockerSecret\nmetadata: {name: db}", &["a"]).unwrap();
        assert!(no_newline.contains("}\nspec:\n"));
    }

    #[test]
    fn windows_line_ends_stay() {
        let crlf = OLD.replace('\n', "\r\n");
        assert_eq!(merged(&crlf, &["a"]).unwrap(), crlf.replace("sc1.A", "sc1.new-a"));
    }

    #[test]
    fn a_layout_that_is_not_understood_is_refused() {
        for text in [
            "{kind: DockerSecret, metadata: {name: db}, spec: {encryptedData: {a: sc1.A}}}",
            "kind: DockerSecret\nmetadata: {name: db}\nspec: {encryptedData: {a: sc1.A}}\n",
            "kind: DockerSecret\nmetadata: {name: db}\nspec:\n  encryptedData: {a: sc1.A}\n",
        ] {
            assert!(
                merged(text, &["a"]).unwrap_err().to_string().contains("--raw"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_target_is_never_guessed() {
        let two = "kind: DockerSecret\nmetadata: {name: a}\n---\nkind: DockerSecret\nmetadata: {name: b}\n";
        assert!(
            target(two, "f", None, None)
                .unwrap_err()
                .to_string()
                .contains("several")
        );
        assert_eq!(target(two, "f", Some("b"), None).unwrap().name, "b");
        assert!(target(two, "f", Some("c"), None).is_err());
        assert!(target("kind: Secret\nmetadata: {name: a}\n", "f", None, None).is_err());
    }
}
