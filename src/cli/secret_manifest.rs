//! Owns reading manifests: documents of a YAML or JSON stream, DockerSecrets for `verify` and `--into`, and core
//! Secrets to be sealed, whose values go from the parser into wiped buffers. Errors give a line, never its text: the
//! YAML reader's own messages quote what they found, which may be a secret. Called by `seal`, `secret`, `verify`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{anyhow, bail};
use base64ct::{Base64, Encoding};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use zeroize::Zeroizing;

/// One document of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Counted from 1, empty ones included.
    pub(super) number: usize,
    /// The line it begins on, from 1.
    pub(super) line: usize,
    /// Where it begins in the stream, in bytes.
    pub(super) start: usize,
    /// Its text.
    pub(super) text: &'a str,
}

/// Splits at lines that begin with `---`, which YAML keeps for this alone. Empty documents are left out.
pub(super) fn documents(stream: &str) -> Vec<Document<'_>> {
    let (mut found, mut number, mut start, mut first, mut offset) = (Vec::new(), 1, 0, 1, 0);
    let mut push = |number, start: usize, end: usize, line| {
        let text = stream.get(start..end).unwrap_or_default();
        if text
            .lines()
            .any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        {
            found.push(Document {
                number,
                line,
                start,
                text,
            });
            return number + 1;
        }
        number
    };
    for (at, line) in stream.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker {
            number = push(number, start, offset, first);
            (start, first) = (offset + line.len(), at + 2);
        }
        offset += line.len();
    }
    push(number, start, stream.len(), first);
    found
}

/// Reads one document as `T`; the error is the line in the stream and nothing of its text.
pub(super) fn parse<T: DeserializeOwned>(document: &Document<'_>) -> Result<T, usize> {
    // As kubectl reads modes of files such as 0400.
    let options = serde_saphyr::options! { with_snippet: false, legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(document.text, options).map_err(|e| {
        let within = e
            .location()
            .and_then(|l| usize::try_from(l.line()).ok())
            .unwrap_or(1);
        document.line + within.saturating_sub(1)
    })
}

/// What is common to all kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    pub(super) spec: Option<Spec>,
    pub(super) data: Option<Present>,
    pub(super) string_data: Option<Present>,
    pub(super) items: Option<Vec<Object>>,
}

/// Names and labels.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// The part of a DockerSecret that carries values, and the fields in which people put plaintext by mistake.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) encrypted_data: Option<BTreeMap<String, Text>>,
    pub(super) data: Option<Present>,
    pub(super) string_data: Option<Present>,
}

/// Something that is there, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self)
    }
}

/// A scalar that should be an envelope and may be plaintext: wiped, and never shown.
#[derive(PartialEq, Eq)]
pub(super) enum Text {
    Line(Zeroizing<String>),
    NotText,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::Line(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
        Ok(Text::Line(Zeroizing::new(text)))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_none<E: de::Error>(self) -> Result<Text, E> {
        Ok(Text::NotText)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::NotText)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::NotText)
    }
}

/// A core Secret whose values are to be sealed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CoreSecret {
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    #[serde(rename = "type")]
    pub(super) type_: Option<String>,
    pub(super) immutable: Option<bool>,
    data: Option<BTreeMap<String, Text>>,
    string_data: Option<BTreeMap<String, Text>>,
}

impl CoreSecret {
    /// The values by key: `data` decoded, over which `stringData` wins, as in Kubernetes.
    ///
    /// # Errors
    /// Names the key and what is wrong, never the value.
    pub(super) fn values(&self) -> anyhow::Result<BTreeMap<&str, Zeroizing<Vec<u8>>>> {
        let mut out = BTreeMap::new();
        for (key, text) in self.data.iter().flatten() {
            let bytes = match text {
                Text::Line(line) => decode(line),
                Text::NotText => None,
            };
            let bytes = bytes
                .ok_or_else(|| anyhow!("data key {key:?} is not base64; put plain text under stringData"))?;
            out.insert(key.as_str(), bytes);
        }
        for (key, text) in self.string_data.iter().flatten() {
            match text {
                Text::Line(line) => out.insert(key.as_str(), Zeroizing::new(line.as_bytes().to_vec())),
                Text::NotText => bail!("stringData key {key:?} is not text; put the value in quotes"),
            };
        }
        Ok(out)
    }
}

/// Base64 as Kubernetes reads it: standard alphabet, padded, line breaks ignored.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')));
    let mut out = Zeroizing::new(vec![0; packed.len()]);
    let length = Base64::decode(packed.as_slice(), &mut out).ok()?.len();
    out.truncate(length);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_at_markers_only() {
        let stream = "# head\n---\na: |\n  ---\n  x\n--- # second\nb: 1\n---\n\n---x: 1\n";
        let found: Vec<_> = documents(stream)
            .iter()
            .map(|d| (d.number, d.line, d.text.trim()))
            .collect();
        assert_eq!(
            found,
            [(1, 3, "a: |\n  ---\n  x"), (2, 7, "b: 1"), (3, 9, "---x: 1")]
        );
    }

    fn core(text: &str) -> CoreSecret {
        parse(&documents(text)[0]).unwrap()
    }

    #[test]
    fn string_data_wins_over_data_and_both_are_bytes() {
        let secret = core("kind: Secret\ndata: {a: aHVudGVyMg==, b: /w==}\nstringData: {a: \"x\\ny\"}\n");
        let values = secret.values().unwrap();
        assert_eq!(
            (values["a"].as_slice(), values["b"].as_slice()),
            (&b"x\ny"[..], &b"\xFF"[..])
        );
    }

    #[test]
    fn bad_values_are_named_by_key_and_never_shown() {
        for text in [
            "data: {a: hunter2!}",
            "data: {a: 12}",
            "stringData: {a: 12345}",
            "stringData: {a: [hunter2]}",
        ] {
            let err = core(text).values().unwrap_err().to_string();
            assert!(
                err.contains("\"a\"") && !err.contains("hunter2") && !err.contains("12"),
                "{err}"
            );
        }
    }

    #[test]
    fn numbers_are_read_as_kubectl_reads_them() {
        let read: serde_json::Value = parse(&documents("{a: 0400, b: 256, c: \"0400\"}")[0]).unwrap();
        assert_eq!(read, serde_json::json!({"a": 0o400, "b": 256, "c": "0400"}));
    }

    #[test]
    fn a_document_that_is_not_yaml_gives_its_line() {
        let stream = "a: 1\n---\nb: 1\nc: [hunter2\n";
        let line = parse::<Object>(&documents(stream)[1]).unwrap_err();
        assert!((3..=5).contains(&line), "{line}");
    }
}
