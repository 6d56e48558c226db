//! Which old value a new one is compared with: by field in maps, by key in lists of type map, never in other lists.
//! Owns the correlation (`k8s.io/apiserver/pkg/cel/common`) of ratcheting and of `oldSelf`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ListType, Schema};

/// The old value of a node, if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correlated<'a> {
    pub(super) value: Option<&'a Value>,
}

impl<'a> Correlated<'a> {
    pub(super) const fn root(value: Option<&'a Value>) -> Self {
        Self { value }
    }

    /// The old value of a field.
    pub(super) fn field(self, name: &str) -> Self {
        Self::root(self.value.and_then(|value| value.get(name)))
    }

    /// How the items of a list find their old values.
    pub(super) fn items(self, schema: &'a Schema) -> Items<'a> {
        let (ListType::Map(keys), Some(Value::Array(old))) = (&schema.list, self.value) else {
            return Items::None;
        };
        let items = schema.items.as_deref();
        let by_key = old
            .iter()
            .filter_map(|item| Some((key_of(item.as_object()?, keys, items), item)))
            // Of duplicates the first counts.
            .rev()
            .collect();
        Items::ByKey { keys, items, by_key }
    }
}

/// The old items of a list.
pub(super) enum Items<'a> {
    /// They cannot be told apart.
    None,
    /// By what their keys say.
    ByKey {
        keys: &'a [String],
        items: Option<&'a Schema>,
        by_key: BTreeMap<String, &'a Value>,
    },
}

impl<'a> Items<'a> {
    /// The old value of `item`.
    pub(super) fn item(&self, item: &Value) -> Correlated<'a> {
        Correlated::root(match self {
            Self::None => None,
            Self::ByKey { keys, items, by_key } => (item.as_object())
                .and_then(|map| by_key.get(&key_of(map, keys, *items)))
                .copied(),
        })
    }
}

/// The key of an item as text; an absent part counts as its default.
fn key_of(item: &Map<String, Value>, keys: &[String], schema: Option<&Schema>) -> String {
    let mut text = String::new();
    for key in keys {
        let default = || schema?.properties.get(key)?.default.as_ref();
        if let Some(value) = item.get(key).or_else(default) {
            text.push_str(&value.to_string());
        }
        text.push(',');
    }
    text
}
