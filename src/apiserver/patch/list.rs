//! Lists of a strategic merge patch: merging by key or as a set, deleting and replacing items, and the order of what
//! comes out, in which the patch's order goes before the order that was there. Every step is linear in its lists (times
//! a logarithm), since both come from clients. Called by `strategic`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::strategic::{DIRECTIVE, merge_map, refuse, strip};
use crate::apiserver::{schema::Schema, status::Result};

/// The texts of scalars, to compare by.
pub(super) fn texts(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Merges `patch` into `original` and puts the patch's items in its order.
pub(super) fn merge(original: Vec<Value>, patch: Vec<Value>, schema: Option<&Schema>) -> Result<Vec<Value>> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let key = merge_key(schema);
    let maps = of_maps(&original, &patch)?;
    let before = Order::of(&original, key.filter(|_| maps))?;
    let (merged, order) = if maps {
        let key = key.ok_or_else(|| refuse("cannot merge lists without merge key"))?;
        let Special { kept, patch } = apply_directives(original, patch, key)?;
        let order = Order::of(&patch, Some(key))?;
        (
            merge_items(
                kept,
                patch,
                key,
                schema.and_then(|schema| schema.items.as_deref()),
            )?,
            order,
        )
    } else {
        let order = Order::of(&patch, None)?;
        let mut seen = BTreeSet::new();
        let both = original.into_iter().chain(patch);
        (both.filter(|item| seen.insert(item.to_string())).collect(), order)
    };
    arrange(merged, &order, &before, key.filter(|_| maps))
}

/// What a `$setElementOrder` makes of the list that is there, the patch's list, or both.
pub(super) fn merge_in_order(
    original: Option<Vec<Value>>,
    patch: Option<Vec<Value>>,
    order: &[Value],
    schema: Option<&Schema>,
) -> Result<Vec<Value>> {
    let key = merge_key(schema);
    check_order(patch.as_deref().unwrap_or_default(), order, key)?;
    let before = Order::lenient(original.as_deref().unwrap_or_default(), key);
    let merged = match (original, patch) {
        (Some(original), Some(patch)) if schema.is_some_and(|schema| schema.merge_patch) => {
            merge(original, patch, schema)?
        }
        (_, Some(patch)) => patch.into_iter().filter_map(strip).collect(),
        (Some(original), None) => original,
        (None, None) => Vec::new(),
    };
    arrange(merged, &Order::of(order, key)?, &before, key)
}

fn merge_key(schema: Option<&Schema>) -> Option<&str> {
    schema.and_then(|schema| schema.merge_key.as_deref())
}

/// Whether the items are maps; all of them must be of one type, and none a list.
fn of_maps(original: &[Value], patch: &[Value]) -> Result<bool> {
    let mut items = original.iter().chain(patch);
    let first = items.next();
    let same = |item: &Value| {
        first.is_some_and(|first| std::mem::discriminant(first) == std::mem::discriminant(item))
    };
    if !items.all(same) {
        return Err(refuse("list element types are not identical"));
    }
    match first {
        Some(Value::Array(_)) => Err(refuse("lists of lists are not supported")),
        first => Ok(first.is_some_and(Value::is_object)),
    }
}

/// The value by which an item is found.
fn identity(item: &Value, key: Option<&str>) -> Result<String> {
    match (key, item) {
        (None, item) => Ok(item.to_string()),
        (Some(key), Value::Object(map)) => map
            .get(key)
            .map(ToString::to_string)
            .ok_or_else(|| refuse(format!("map does not contain declared merge key: {key}"))),
        (Some(_), _) => Err(refuse("expected a map, but received something else")),
    }
}

/// Where each item of a list is.
struct Order(BTreeMap<String, usize>);

impl Order {
    fn of(items: &[Value], key: Option<&str>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            places.entry(identity(item, key)?).or_insert(at);
        }
        Ok(Self(places))
    }

    /// Without the items that have no key.
    fn lenient(items: &[Value], key: Option<&str>) -> Self {
        let mut places = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            if let Ok(identity) = identity(item, key) {
                places.entry(identity).or_insert(at);
            }
        }
        Self(places)
    }
}

/// A list after the directives among the patch's items.
struct Special {
    kept: Vec<Value>,
    patch: Vec<Value>,
}

fn apply_directives(original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Special> {
    let mut plain = Vec::with_capacity(patch.len());
    let (mut gone, mut replace) = (BTreeSet::new(), false);
    for item in patch {
        match item.get(DIRECTIVE).map(Value::as_str) {
            None => plain.push(item),
            Some(Some("delete")) => {
                gone.insert(identity(&item, Some(key))?);
            }
            Some(Some("replace")) => replace = true,
            Some(Some("merge")) => return Err(refuse("merging lists cannot yet be specified in the patch")),
            Some(_) => return Err(refuse("unknown patch type in map")),
        }
    }
    if replace {
        return Ok(Special {
            kept: plain.into_iter().filter_map(strip).collect(),
            patch: Vec::new(),
        });
    }
    let stays = |item: &Value| identity(item, Some(key)).map_or(true, |identity| !gone.contains(&identity));
    Ok(Special {
        kept: original.into_iter().filter(stays).collect(),
        patch: plain,
    })
}

fn merge_items(
    mut merged: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    schema: Option<&Schema>,
) -> Result<Vec<Value>> {
    let mut places = Order::lenient(&merged, Some(key)).0;
    for item in patch {
        let identity = identity(&item, Some(key))?;
        let Value::Object(item) = item else {
            continue;
        };
        if let Some(Value::Object(there)) = places.get(&identity).and_then(|at| merged.get_mut(*at)) {
            merge_map(there, item, schema)?;
        } else {
            places.insert(identity, merged.len());
            let mut fresh = Map::new();
            merge_map(&mut fresh, item, schema)?;
            merged.push(Value::Object(fresh));
        }
    }
    Ok(merged)
}

/// The items of the patch must be in the order that it sets.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<()> {
    if order.is_empty() || patch.is_empty() {
        return Ok(());
    }
    let places = Order::of(order, key)?.0;
    let mut last = None;
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let place = places.get(&identity(item, key)?).copied();
        if place.is_none() || (last.is_some() && place <= last) {
            return Err(refuse(
                "The order in patch list doesn't match $setElementOrder list",
            ));
        }
        last = place;
    }
    Ok(())
}

/// The items that `order` names, in that order, among the others, which stay where they were between those.
fn arrange(merged: Vec<Value>, order: &Order, before: &Order, key: Option<&str>) -> Result<Vec<Value>> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in merged {
        let identity = identity(&item, key)?;
        let was = before.0.get(&identity).copied();
        match order.0.get(&identity) {
            Some(place) => named.push((*place, was, item)),
            None => others.push((was, item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(was, _)| was.unwrap_or(usize::MAX));
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, was, item) in named {
        // An item that was there goes before the first named one that was behind it.
        while let Some((_, other)) =
            others.next_if(|(other, _)| other.is_some() && was.is_some() && *other < was)
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, item)| item));
    Ok(arranged)
}
