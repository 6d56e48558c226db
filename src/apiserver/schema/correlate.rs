//! Which old value a new one is compared with: by field in maps, by key in lists of type map, never in other lists.
//! Owns the correlation (`k8s.io/apiserver/pkg/cel/common`) of ratcheting and of `oldSelf`.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};

use super::{Additional, ListType, Schema};

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

/// `old` with its sets and keyed lists in the order of `new`: as values of CEL rules they are equal in any order.
pub(super) fn aligned<'a>(old: &'a Value, new: &Value, schema: &Schema) -> Cow<'a, Value> {
    if old == new || !has_unordered(schema) {
        return Cow::Borrowed(old);
    }
    match (old, new) {
        (Value::Object(before), Value::Object(now)) => {
            let fields = before.iter().map(|(name, old)| {
                let child = now.get(name).zip(schema.field(name));
                let value = child.map_or_else(
                    || old.clone(),
                    |(new, child)| aligned(old, new, child).into_owned(),
                );
                (name.clone(), value)
            });
            Cow::Owned(Value::Object(fields.collect()))
        }
        (Value::Array(before), Value::Array(now)) => {
            let items = schema.items.as_deref();
            let key = |item: &Value| match (&schema.list, item) {
                (ListType::Map(keys), Value::Object(map)) => key_of(map, keys, items),
                _ => item.to_string(),
            };
            let place: BTreeMap<String, usize> = (now.iter().enumerate().rev())
                .map(|(index, item)| (key(item), index))
                .collect();
            let mut sorted: Vec<(usize, &Value)> = before
                .iter()
                .map(|item| (place.get(&key(item)).copied().unwrap_or(usize::MAX), item))
                .collect();
            if schema.list != ListType::Atomic {
                sorted.sort_by_key(|(index, _)| *index);
            }
            Cow::Owned(sorted.into_iter().map(|(_, item)| item.clone()).collect())
        }
        _ => Cow::Borrowed(old),
    }
}

/// Whether a list of type `set` or `map` is here or below.
fn has_unordered(schema: &Schema) -> bool {
    let values = match &schema.additional {
        Some(Additional::Of(values)) => Some(values),
        _ => None,
    };
    schema.list != ListType::Atomic
        || (schema.properties.values().chain(&schema.items).chain(values)).any(|child| has_unordered(child))
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
