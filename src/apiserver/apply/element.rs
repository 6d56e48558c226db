//! One step of a field path, its order, and its two texts: the key in `FieldsV1` (`f:name`, `k:{"name":"a"}`, `v:"a"`,
//! `i:0`) and what a person reads (`.name`, `[name="a"]`, `[="a"]`, `[0]`). Order and texts are those of
//! structured-merge-diff's `fieldpath`. Owns no path and no set; used by every file of this folder.

use std::{cmp::Ordering, fmt};

use serde_json::{Number, Value};

/// How to get from a value to one of its children. Ordered: fields, keys, values, indices.
#[derive(Debug, Clone)]
pub enum PathElement {
    /// A field of an object.
    Field(String),
    /// The item of a list of objects with these key fields, sorted by name.
    Key(Vec<(String, Value)>),
    /// The item of a set with this value.
    Item(Value),
    /// The item at this position; only ever read, never made.
    Index(i64),
}

/// The key of a `FieldsV1` object names no path element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKey;

impl PathElement {
    /// Reads a key of a `FieldsV1` object; `None` for a type of element that is not known, which is passed over.
    ///
    /// # Errors
    /// When it has no type, or what follows the type is no JSON or no number.
    pub fn from_key(key: &str) -> Result<Option<Self>, BadKey> {
        if key.len() < 2 || key.as_bytes()[1] != b':' {
            return Err(BadKey);
        }
        let rest = &key[2..];
        match key.as_bytes()[0] {
            b'f' => Ok(Some(Self::Field(rest.to_owned()))),
            b'v' => serde_json::from_str(rest)
                .map(|value| Some(Self::Item(value)))
                .map_err(|_| BadKey),
            b'k' => match serde_json::from_str(rest) {
                Ok(Value::Object(map)) => Ok(Some(Self::key(map.into_iter().collect()))),
                Ok(Value::Null) => Ok(Some(Self::Key(Vec::new()))),
                Ok(_) | Err(_) => Err(BadKey),
            },
            b'i' => rest
                .parse()
                .map(|index| Some(Self::Index(index)))
                .map_err(|_| BadKey),
            _ => Ok(None),
        }
    }

    /// A key of these fields, in whatever order they come.
    #[must_use]
    pub fn key(mut fields: Vec<(String, Value)>) -> Self {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(fields)
    }

    /// The key of a `FieldsV1` object. Two equal elements have the same key.
    #[must_use]
    pub fn to_key(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Field(name) => {
                text.reserve(name.len() + 2);
                text.push_str("f:");
                text.push_str(name);
            }
            Self::Key(fields) => {
                text.push_str("k:{");
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    push_string(&mut text, name);
                    text.push(':');
                    push_json(&mut text, value);
                }
                text.push('}');
            }
            Self::Item(value) => {
                text.push_str("v:");
                push_json(&mut text, value);
            }
            Self::Index(index) => {
                text.push_str("i:");
                text.push_str(&index.to_string());
            }
        }
        text
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Item(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => compare_pairs(
                a.iter().map(|(name, value)| (name, value)),
                b.iter().map(|(name, value)| (name, value)),
            ),
            (Self::Item(a), Self::Item(b)) => compare_values(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PathElement {}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={}", Shown(value))?;
                }
                f.write_str("]")
            }
            Self::Item(value) => write!(f, "[={}]", Shown(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value within a path, for a person.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Number(number) => f.write_str(&number_text(number)),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{}", Self(item))?;
                }
                f.write_str("]")
            }
            Value::Object(map) => map
                .iter()
                .try_for_each(|(name, value)| write!(f, "{name}={}", Self(value))),
        }
    }
}

/// Whether two values are the same to the merge: 1 and 1.0 are.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || compare_numbers(a, b) == Ordering::Equal,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// Orders values of any types: numbers by what they count, then strings, booleans, lists, objects, null.
fn compare_values(a: &Value, b: &Value) -> Ordering {
    const fn rank(value: &Value) -> u8 {
        match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| compare_values(a, b))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => compare_pairs(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_pairs<'a>(
    a: impl IntoIterator<Item = (&'a String, &'a Value)>,
    b: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Ordering {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((name, value)), Some((other_name, other))) => {
                let order = name.cmp(other_name).then_with(|| compare_values(value, other));
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a
            .as_f64()
            .zip(b.as_f64())
            .and_then(|(a, b)| a.partial_cmp(&b))
            .unwrap_or(Ordering::Equal),
    }
}

/// A whole number has no fraction, whether it was written with one or not: keys of equal elements must be equal.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.as_i64().is_none() && number.as_u64().is_none() => {
            if float.fract() == 0.0 && float.abs() < 1e21 {
                format!("{float:.0}")
            } else if float.abs() >= 1e-6 && float.abs() < 1e21 {
                format!("{float}")
            } else {
                format!("{float:e}")
            }
        }
        _ => number.to_string(),
    }
}

fn push_json(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => push_string(text, string),
        Value::Number(number) => text.push_str(&number_text(number)),
        other => text.push_str(&other.to_string()),
    }
}

/// A JSON string as Go writes it: `<`, `>`, `&` and the two line separators are escaped.
fn push_string(text: &mut String, string: &str) {
    let json = Value::from(string).to_string();
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        text.push_str(&json);
        return;
    }
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn element(key: &str) -> PathElement {
        PathElement::from_key(key).unwrap().unwrap()
    }

    #[test]
    fn elements_are_ordered_by_type_and_then_by_what_they_say() {
        let ordered = [
            "f:a",
            "f:b",
            r#"k:{"a":1}"#,
            r#"k:{"a":1,"b":1}"#,
            r#"k:{"a":2}"#,
            r#"k:{"a":"1"}"#,
            "v:2",
            "v:10",
            r#"v:"10""#,
            r#"v:"2""#,
            "v:false",
            "v:true",
            "v:null",
            "i:2",
            "i:10",
        ];
        let mut elements: Vec<PathElement> = ordered.iter().rev().map(|key| element(key)).collect();
        elements.sort();
        let keys: Vec<String> = elements.iter().map(PathElement::to_key).collect();
        assert_eq!(keys, ordered);
    }

    #[test]
    fn a_key_has_one_text_however_it_was_written() {
        assert_eq!(
            element(r#"k: {"b": 1.0, "a":"x"}"#).to_key(),
            r#"k:{"a":"x","b":1}"#
        );
        assert_eq!(element("v:1.0"), element("v:1"));
        assert_eq!(element("v:1.5").to_key(), "v:1.5");
        assert_eq!(
            PathElement::Item(json!("a<&>b")).to_key(),
            r#"v:"a\u003c\u0026\u003eb""#
        );
        assert_eq!(element(r#"v:"a\u003cb""#), PathElement::Item(json!("a<b")));
    }

    #[test]
    fn a_person_reads_paths_as_the_api_server_writes_them() {
        assert_eq!(element("f:spec").to_string(), ".spec");
        assert_eq!(
            element(r#"k:{"protocol":"TCP","port":80}"#).to_string(),
            r#"[port=80,protocol="TCP"]"#
        );
        assert_eq!(element(r#"v:"a""#).to_string(), r#"[="a"]"#);
        assert_eq!(element("v:true").to_string(), "[=true]");
        assert_eq!(element("i:3").to_string(), "[3]");
    }

    #[test]
    fn a_key_that_names_no_element_is_refused_and_an_unknown_type_passed_over() {
        for bad in [
            "", "f", "ff", "v:", "v:{", "v:1 2", "k:", "k:1", "k:{}x", "k:[]", "i:", "i:x", "é:",
        ] {
            assert_eq!(PathElement::from_key(bad), Err(BadKey), "{bad}");
        }
        assert_eq!(PathElement::from_key("x:1"), Ok(None));
        assert_eq!(element("f:").to_key(), "f:");
    }

    #[test]
    fn numbers_are_the_same_when_they_count_the_same() {
        assert!(same(&json!({"a": [1, 2.5]}), &json!({"a": [1.0, 2.5]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": "1"})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": null})));
        assert!(!same(&json!(null), &json!({})));
    }
}
