//! A YAML tree whose texts are wiped and never shown, because any of them may be a secret until it is known what it is.
//! Owns reading it, with anchors and merge keys as Compose merges them, and its scalars as text; knows no format.
//! Read by `compose`, `ring` and `apps`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use zeroize::Zeroizing;

/// The key that merges other maps into the one that it is in.
const MERGE: &str = "<<";

/// Keys and values in the order in which they are written.
pub type Map = Vec<(String, Node)>;

/// One value of a YAML document.
#[derive(Clone, PartialEq)]
pub enum Node {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text, wiped when it is dropped.
    Text(Zeroizing<String>),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
}

/// Says what it is and never what is in it.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Reads one document.
///
/// # Errors
/// The line that cannot be read, counted from 1. Nothing of its text, which may be a secret.
pub fn read(document: &str) -> Result<Node, usize> {
    // Earlier maps of a list win, as in YAML 1.1 and in Compose; the reader's own merge has it the other way round.
    let options = serde_saphyr::options! {
        with_snippet: false,
        legacy_octal_numbers: true,
        // `yes`, `on` and `y` are texts to Compose, and a key such as `y` is one to everybody.
        strict_booleans: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary
    };
    serde_saphyr::from_str_with_options(document, options).map_err(|e| {
        e.location()
            .and_then(|l| usize::try_from(l.line()).ok())
            .unwrap_or(1)
    })
}

impl Node {
    /// A text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// What it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// A scalar as text: numbers and booleans as Compose writes them. `None` for lists, maps and nothing.
    #[must_use]
    pub fn text(&self) -> Option<Zeroizing<String>> {
        match self {
            Self::Bool(value) => Some(Zeroizing::new(value.to_string())),
            Self::Int(value) => Some(Zeroizing::new(value.to_string())),
            Self::Float(value) => Some(Zeroizing::new(value.to_string())),
            Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(map) => map,
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The value of a key that is not null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value)
            .filter(|value| **value != Self::Null)
    }

    /// The text at a key, if it is a scalar.
    #[must_use]
    pub fn text_at(&self, key: &str) -> Option<Zeroizing<String>> {
        self.get(key).and_then(Self::text)
    }

    /// Whether it says nothing: absent, false, or empty.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) | Self::Int(_) | Self::Float(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }

    /// The tree as JSON, once nothing in it is a secret.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.as_str()),
            Self::List(list) => list.iter().map(Self::to_value).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), value.to_value()))
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        Node::deserialize(from)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or_else(|_| Node::from_text(&value.to_string()), Node::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::from_text(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let (mut map, mut merged) = (Map::new(), Vec::new());
        while let Some(key) = access.next_key::<String>()? {
            let value: Node = access.next_value()?;
            match value {
                Node::List(list) if key == MERGE => merged.extend(list),
                value if key == MERGE => merged.push(value),
                value => map.push((key, value)),
            }
        }
        for source in merged {
            let Node::Map(entries) = source else {
                return Err(de::Error::custom("only a map can be merged"));
            };
            for (key, value) in entries {
                if !map.iter().any(|(name, _)| *name == key) {
                    map.push((key, value));
                }
            }
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn anchors_and_merge_keys_are_resolved_and_the_earlier_map_wins() {
        let read = read(
            "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\nd: {<<: *a}\ne: [*a]\n",
        )
        .unwrap();
        assert_eq!(
            read.to_value(),
            json!({"a": {"x": 1, "y": 2}, "b": {"y": 3, "z": 4}, "c": {"x": 9, "y": 2, "z": 4}, "d": {"x": 1, "y": 2},
                   "e": [{"x": 1, "y": 2}]})
        );
    }

    #[test]
    fn scalars_keep_their_types_and_quoted_ones_are_text() {
        let read =
            read("{a: 1, b: '1', c: true, d: null, e: 1.5, f: 0440, 80: yes, g: 22:22, 1.10: y}").unwrap();
        let value = json!({"a": 1, "b": "1", "c": true, "d": null, "e": 1.5, "f": 0o440, "80": "yes", "g": "22:22", "1.10": "y"});
        assert_eq!(read.to_value(), value);
    }

    #[test]
    fn a_document_that_cannot_be_read_gives_a_line_and_a_tree_is_never_shown() {
        assert!(matches!(read("a: 1\nb: [hunter2\n"), Err(2..=3)));
        assert!(read("a: 1\na: 2\n").is_err());
        let shown = format!("{:?}", read("a: hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
