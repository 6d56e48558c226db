//! A document of any format as JSON, with the keys that it has twice. Owns what upstream does to numbers (a float that is
//! an integer is one; what an `i64` cannot hold is a float), the bound on depth, and the paths of duplicates.
//! Knows no media type. Driven by the deserialisers of JSON and YAML in `body`.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep a document may be. Well below what a thread's stack holds, well above what any object needs.
const DEPTH: usize = 100;

/// How many duplicates are told of: nobody reads more, and each is compared with those before it.
const FINDINGS: usize = 100;

/// Where a value is, as a list from the inside out that lives on the stack.
enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// Builds a [`Value`]; of a key that is there twice the last value counts.
pub(super) struct Tree<'a> {
    at: At<'a>,
    depth: usize,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'a> Tree<'a> {
    /// For a whole document; a `duplicate field "spec.x"` goes to `duplicates` for every key that comes again.
    pub(super) const fn new(duplicates: &'a RefCell<Vec<String>>) -> Self {
        Self {
            at: At::Root,
            depth: 0,
            duplicates,
        }
    }

    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth < DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(E::custom(format!(
                "the document is more than {DEPTH} levels deep"
            )))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "upstream holds what exceeds an i64 as a float, too"
    )]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map_or_else(|_| self.visit_f64(value as f64), |value| Ok(value.into()))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "upstream holds what exceeds an i64 as a float, too"
    )]
    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        i64::try_from(value).map_or_else(|_| self.visit_f64(value as f64), |value| Ok(value.into()))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "upstream holds what exceeds an i64 as a float, too"
    )]
    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        i64::try_from(value).map_or_else(|_| self.visit_f64(value as f64), |value| Ok(value.into()))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only a float that is a small integer is converted"
    )]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            return Ok((value as i64).into());
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        loop {
            let item = Tree {
                at: At::Item(&self.at, list.len()),
                depth,
                duplicates: self.duplicates,
            };
            match items.next_element_seed(item)? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let at = At::Field(&self.at, &key);
            if map.contains_key(&key) {
                let finding = format!("duplicate field \"{at}\"");
                let mut duplicates = self.duplicates.borrow_mut();
                if duplicates.len() < FINDINGS && !duplicates.contains(&finding) {
                    duplicates.push(finding);
                }
            }
            let value = entries.next_value_seed(Tree {
                at,
                depth,
                duplicates: self.duplicates,
            })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
