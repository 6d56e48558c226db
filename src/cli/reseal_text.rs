//! Owns resealing as text: which values of a stream are sealed to another key than the primary, and the stream with those
//! envelopes exchanged and every other byte as it was. Scope and item key are those that the old envelope was opened for,
//! and no flag's. A value that does not open is a finding with its cause. Called by `reseal`.

use std::collections::BTreeMap;

use super::secret_manifest::{Document, Object, Text, documents, parse};
use crate::seal::{Envelope, Error, OpenError, Ring, ScopeKind, SystemEntropy, WrittenBy, seal};

/// What became of one stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sheet {
    /// The stream with what could be resealed; of use when there is no finding.
    pub(super) text: String,
    /// One line for each value that was: document, object, key, from which key id to which.
    pub(super) resealed: Vec<String>,
    /// One line for each value or document that is not understood or does not open.
    pub(super) problems: Vec<String>,
    /// Values that are sealed to the primary key already.
    pub(super) current: usize,
}

/// Where a value is found: the object among those of its document, and its key.
type At = (usize, String);

/// Reseals a stream.
pub(super) fn reseal(stream: &str, ring: &Ring, namespace: Option<&str>) -> Sheet {
    let (mut sheet, mut written) = (Sheet::default(), 0);
    for document in documents(stream) {
        let end = document.start + document.text.len();
        let new = one(&document, ring, namespace, &mut sheet);
        sheet
            .text
            .push_str(stream.get(written..document.start).unwrap_or_default());
        sheet.text.push_str(new.as_deref().unwrap_or(document.text));
        written = end;
    }
    sheet.text.push_str(stream.get(written..).unwrap_or_default());
    sheet
}

/// Reseals one document; `None` when nothing of it changes.
fn one(document: &Document<'_>, ring: &Ring, namespace: Option<&str>, sheet: &mut Sheet) -> Option<String> {
    let object = match parse::<Object>(document) {
        Ok(object) => object,
        // Other people's manifests are not judged, unless they carry our values.
        Err(line) => {
            if document.text.contains("DockerSecret") || document.text.contains("sc1.") {
                sheet.problems.push(format!(
                    "{} line {line}: not a manifest that can be read; correct it there",
                    document.number
                ));
            }
            return None;
        }
    };
    let (mut exchanged, mut failed) = (BTreeMap::new(), false);
    for (number, secret) in secrets(&object).into_iter().enumerate() {
        let metadata = &secret.metadata;
        let namespace = metadata.namespace.as_deref().or(namespace);
        let name = metadata.name.as_deref().unwrap_or_default();
        for (key, text) in values(secret) {
            let who = format!(
                "{} DockerSecret {}/{name} key {key:?}",
                document.number,
                namespace.unwrap_or("-")
            );
            match value(ring, namespace, name, key, text) {
                Ok(None) => sheet.current += 1,
                Ok(Some((old, new))) => {
                    sheet
                        .resealed
                        .push(format!("{who}: from key {} to {}", old.kid(), new.kid()));
                    exchanged.insert((number, key.clone()), (old.to_string(), new.to_string()));
                }
                Err(why) => {
                    failed = true;
                    sheet.problems.push(format!("{who}: {why}"));
                }
            }
        }
    }
    if failed || exchanged.is_empty() {
        return None;
    }
    let new = exchange(document.text, &object, &exchanged);
    if new.is_none() {
        sheet.problems.push(format!(
            "{}: an envelope stands in it twice or over several lines, so that it is not known what to change; write each once and on one line",
            document.number
        ));
    }
    new
}

/// A value under the primary key, if it is not already: the old envelope and the new one; or why it does not open.
fn value(
    ring: &Ring,
    namespace: Option<&str>,
    name: &str,
    key: &str,
    text: &Text,
) -> Result<Option<(Envelope, Envelope)>, String> {
    let Text::Line(text) = text else {
        return Err("not a sealed value: it is not text; make one with `supercargo seal --raw`".to_owned());
    };
    let old: Envelope = text.parse().map_err(|e: OpenError| e.to_string())?;
    if old.kid() == ring.primary() {
        return Ok(None);
    }
    if namespace.is_none() && old.scope().kind() != ScopeKind::Cluster {
        return Err(
            "the object names no namespace, to which its values are bound; give --namespace".to_owned(),
        );
    }
    let context = old.context_at(namespace.unwrap_or_default(), name, key);
    let context = context.map_err(|error| error.to_string())?;
    // What opens was sealed for this context, and for no other.
    let plaintext = ring
        .open(&old, &context, WrittenBy::User)
        .map_err(|error| format!("{}: {error}", error.cause()))?;
    let primary = ring.primary();
    let to = ring.member(primary).ok_or(Error::NoSuchKey { kid: primary });
    let new = to.and_then(|to| seal(to.public(), &context, &plaintext, &mut SystemEntropy));
    Ok(Some((old, new.map_err(|error| error.to_string())?)))
}

/// The document with each old envelope exchanged, if each stands there once and nothing else has changed by it.
fn exchange(text: &str, object: &Object, exchanged: &BTreeMap<At, (String, String)>) -> Option<String> {
    let mut new = text.to_owned();
    for (old, with) in exchanged.values() {
        let mut found = new.match_indices(old.as_str()).map(|(at, _)| at);
        let (Some(at), None) = (found.next(), found.next()) else {
            return None;
        };
        new.replace_range(at..at + old.len(), with);
    }
    let read: Object = parse(&Document {
        number: 1,
        line: 1,
        start: 0,
        text: &new,
    })
    .ok()?;
    let (before, after) = (secrets(object), secrets(&read));
    let same = before.len() == after.len()
        && before.iter().zip(&after).enumerate().all(|(number, (was, is))| {
            let (was, is) = (values(was).collect::<Vec<_>>(), values(is).collect::<Vec<_>>());
            was.len() == is.len()
                && was.iter().zip(&is).all(|((key, old), (same_key, new))| {
                    let wanted = exchanged.get(&(number, (*key).clone()));
                    key == same_key
                        && match (wanted, new) {
                            (Some((_, wanted)), Text::Line(new)) => **new == *wanted,
                            (Some(_), Text::NotText) => false,
                            (None, _) => old == new,
                        }
                })
        });
    same.then_some(new)
}

/// The DockerSecrets of a document, those in lists too.
fn secrets(object: &Object) -> Vec<&Object> {
    let mut found: Vec<&Object> = object.items.iter().flatten().flat_map(secrets).collect();
    if object.kind == "DockerSecret" && object.api_version.starts_with("supercargo.dev/") {
        found.push(object);
    }
    found
}

fn values(secret: &Object) -> impl Iterator<Item = (&String, &Text)> {
    secret.spec.iter().flat_map(|spec| &spec.encrypted_data).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::{Context, Plaintext};

    /// A ring whose first key is decrypt-only, and a value sealed to that key.
    struct Old {
        ring: Ring,
        first: crate::seal::PublicKey,
    }

    impl Old {
        fn new() -> Self {
            let mut ring = Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap();
            ring.set_cluster_scope(true);
            let first = ring.member(ring.primary()).unwrap().public().clone();
            let kid = ring
                .renew(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy)
                .unwrap();
            ring.promote(kid).unwrap();
            Self { ring, first }
        }

        fn seal(&self, kind: ScopeKind, name: &str, key: &str, value: &[u8]) -> String {
            let context = Context::at(kind, "shop", name, key).unwrap();
            let value = Plaintext::new(value.to_vec());
            seal(&self.first, &context, &value, &mut SystemEntropy)
                .unwrap()
                .to_string()
        }

        fn reseal(&self, text: &str) -> Sheet {
            reseal(text, &self.ring, None)
        }
    }

    fn envelopes(text: &str) -> Vec<Envelope> {
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let words = text.split(|c| !word(c)).filter(|w| w.starts_with("sc1."));
        words.map(|w| w.parse().unwrap()).collect()
    }

    const HEAD: &str =
        "apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: db, namespace: shop}\n";

    #[test]
    fn only_old_envelopes_change_in_whatever_layout_they_stand() {
        let old = Old::new();
        let sealed = |key| old.seal(ScopeKind::Strict, "db", key, b"v");
        let (a, b) = (sealed("a"), sealed("b"));
        let json = format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{{\"apiVersion\":\"supercargo.dev/v1alpha1\",\"kind\":\"DockerSecret\",\"metadata\":{{\"name\":\"db\",\"namespace\":\"shop\"}},\"spec\":{{\"encryptedData\":{{\"a\":\"{a}\",\"b\":\"{b}\"}}}}}}]}}"
        );
        for text in [
            format!(
                "# ours\r\n{HEAD}spec:\n  # first\n  encryptedData:\n    \"b\": '{b}' # keep\n\n    a:\n      {a}\n---\nkind: Other\n# end"
            ),
            format!("---\n{HEAD}spec: {{encryptedData: {{a: {a}, b: \"{b}\"}}}}"),
            json,
        ] {
            let sheet = old.reseal(&text);
            assert_eq!(
                (sheet.problems.as_slice(), sheet.resealed.len()),
                (&[][..], 2),
                "{text}"
            );
            // Every byte that is not of an envelope is as it was.
            let mut masked = (text.clone(), sheet.text.clone());
            for e in envelopes(&text) {
                masked.0 = masked.0.replace(&e.to_string(), "E");
            }
            for e in envelopes(&sheet.text) {
                assert_eq!(e.kid(), old.ring.primary());
                masked.1 = masked.1.replace(&e.to_string(), "E");
            }
            assert_eq!(masked.0, masked.1);
            let again = old.reseal(&sheet.text);
            assert_eq!(
                (again.text, again.resealed.len(), again.current),
                (sheet.text, 0, 2)
            );
        }
    }

    #[test]
    fn a_value_that_does_not_open_is_named_with_its_cause_and_never_shown() {
        let old = Old::new();
        let good = old.seal(ScopeKind::Strict, "db", "a", b"v");
        let moved = old.seal(ScopeKind::Strict, "other", "b", b"v");
        let text = format!("{HEAD}spec:\n  encryptedData:\n    a: {good}\n    b: {moved}\n    c: hunter2\n");
        let sheet = old.reseal(&text);
        let problems = sheet.problems.join("\n");
        assert!(
            problems.contains("shop/db key \"b\": ScopeMismatch"),
            "{problems}"
        );
        assert!(
            problems.contains("key \"c\"") && !problems.contains("hunter2"),
            "{problems}"
        );
        assert_eq!(sheet.text, text, "nothing of that document changes");
    }

    #[test]
    fn revoked_keys_and_missing_namespaces_are_findings() {
        let mut old = Old::new();
        let value = old.seal(ScopeKind::Strict, "db", "a", b"v");
        let head = HEAD.replace(", namespace: shop", "");
        let text = format!("{head}spec:\n  encryptedData:\n    a: {value}\n");
        assert!(old.reseal(&text).problems[0].contains("--namespace"));
        let given = reseal(&text, &old.ring, Some("shop"));
        assert_eq!((given.problems.len(), given.resealed.len()), (0, 1));
        old.ring.revoke(old.first.kid()).unwrap();
        let refused = reseal(&text, &old.ring, Some("shop"));
        assert!(refused.problems[0].contains("KeyRevoked"), "{refused:?}");
        assert_eq!(refused.text, text);
    }

    #[test]
    fn an_envelope_that_stands_twice_is_left_to_people() {
        let old = Old::new();
        let value = old.seal(ScopeKind::Strict, "db", "a", b"v");
        for text in [
            format!("# was {value}\n{HEAD}spec:\n  encryptedData:\n    a: {value}\n"),
            // The comment is not the value, which is written with an escape.
            format!(
                "# was {value}\n{HEAD}spec:\n  encryptedData:\n    a: \"\\x73{}\"\n",
                &value[1..]
            ),
        ] {
            let sheet = old.reseal(&text);
            assert!(
                sheet.problems[0].contains("twice or over several lines"),
                "{:?}",
                sheet.problems
            );
            assert_eq!(sheet.text, text);
        }
    }

    #[test]
    fn what_is_not_ours_stays_and_is_not_judged() {
        let old = Old::new();
        for text in [
            "",
            "kind: Other\nspec: {encryptedData: {a: sc1.x}}\n",
            "a: [\n",
            "---\n---\n",
        ] {
            assert_eq!(
                old.reseal(text),
                Sheet {
                    text: text.to_owned(),
                    ..Sheet::default()
                }
            );
        }
        assert_eq!(old.reseal("kind: DockerSecret\na: [\n").problems.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_resealed_value_opens_to_the_same_bytes_in_the_same_scope_and_twice_is_once(
            value in proptest::collection::vec(any::<u8>(), 0..300),
            kind in prop_oneof![Just(ScopeKind::Strict), Just(ScopeKind::Namespace), Just(ScopeKind::Cluster)],
            key in "[a-zA-Z._-][a-zA-Z0-9._-]{0,20}",
        ) {
            let old = Old::new();
            let before = old.seal(kind, "db", &key, &value);
            let text = format!("{HEAD}spec:\n  encryptedData:\n    \"{key}\": {before}\n");
            let sheet = old.reseal(&text);
            prop_assert_eq!(&sheet.problems, &Vec::<String>::new());
            let (before, after) = (envelopes(&text).remove(0), envelopes(&sheet.text).remove(0));
            prop_assert_eq!((after.scope(), after.kid()), (before.scope(), old.ring.primary()));
            let context = Context::at(kind, "shop", "db", &key).unwrap();
            let opened = old.ring.open(&after, &context, WrittenBy::User).unwrap();
            prop_assert!(opened.expose() == value.as_slice());
            prop_assert_eq!(old.reseal(&sheet.text).text, sheet.text);
        }
    }
}
