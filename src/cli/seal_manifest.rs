//! Owns writing a whole DockerSecret manifest: one line per envelope, keys in order, names quoted where YAML needs it.
//! Written by hand, because no YAML writer promises the same bytes tomorrow and git diffs must stay small.
//! It changes nothing that exists (`seal_merge` does). Called by `seal`.

use std::collections::BTreeMap;

/// Words that YAML 1.1 readers take for something else than text.
const RESERVED: [&str; 12] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "~",
];

/// What a manifest says besides its values.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) labels: Option<&'a BTreeMap<String, String>>,
    pub(super) type_: Option<&'a str>,
    pub(super) immutable: Option<bool>,
}

/// The manifest's text, for envelopes by key.
pub(super) fn manifest(head: &Head<'_>, envelopes: &BTreeMap<String, String>) -> String {
    let mut out = String::from("apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata:\n");
    out.push_str(&format!("  name: {}\n", word(head.name)));
    if let Some(namespace) = head.namespace {
        out.push_str(&format!("  namespace: {}\n", word(namespace)));
    }
    if let Some(labels) = head.labels.filter(|l| !l.is_empty()) {
        out.push_str("  labels:\n");
        for (key, value) in labels {
            out.push_str(&format!("    {}: {}\n", quoted(key), quoted(value)));
        }
    }
    out.push_str("spec:\n");
    if let Some(type_) = head.type_ {
        out.push_str(&format!("  type: {type_}\n"));
    }
    if let Some(immutable) = head.immutable {
        out.push_str(&format!("  immutable: {immutable}\n"));
    }
    out.push_str("  encryptedData:\n");
    for (key, envelope) in envelopes {
        out.push_str(&format!("    {}: {envelope}\n", word(key)));
    }
    out
}

/// A name or key as YAML text: plain when no reader can take it for anything else, else quoted.
pub(super) fn word(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '.' | '_'))
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !text
            .trim_start_matches('.')
            .starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
        && !RESERVED.contains(&lower.as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A double-quoted scalar; JSON's escapes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_as_it_was_meant() {
        let labels = BTreeMap::from([("app".to_owned(), "no".to_owned())]);
        let head = Head {
            name: "db",
            namespace: Some("123"),
            labels: Some(&labels),
            type_: Some("Opaque"),
            immutable: Some(true),
        };
        let envelopes = ["true", "1e3", ".5", ".dockerconfigjson", "tls.key", "-x", "y"];
        let envelopes = envelopes
            .iter()
            .map(|k| ((*k).to_owned(), format!("sc1.{k}")))
            .collect();
        let text = manifest(&head, &envelopes);
        let read: crate::api::DockerSecret = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read.spec.encrypted_data, envelopes);
        assert_eq!(read.metadata.namespace.as_deref(), Some("123"));
        assert_eq!(read.metadata.labels, Some(labels));
        assert!(
            text.contains("    \"true\": ")
                && text.contains("    tls.key: ")
                && text.contains("    .dockerconfigjson: ")
        );
    }
}
