//! Which item of a list is which: the path element of an item of a set or of a list map. A key field that is absent
//! counts with its default, and is left out when it has none (`typed/helpers.go` of structured-merge-diff).
//! Owns nothing but that; called by every walk over lists.

use serde_json::Value;

use super::{
    element::PathElement,
    shape::{List, Typed},
};
use crate::apiserver::schema::ListType;

/// The path element of an item.
///
/// # Errors
/// What is wrong with an item that has none, in upstream's words.
pub fn element_of(list: List<'_>, item: &Value) -> Result<PathElement, String> {
    match list.kind {
        ListType::Map(keys) => keyed(keys, list.item, item),
        ListType::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null".to_owned())
            }
            scalar => Ok(PathElement::Item(scalar.clone())),
        },
        ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
    }
}

fn keyed(keys: &[String], typed: Typed<'_>, item: &Value) -> Result<PathElement, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let named: Vec<(String, Value)> = keys
        .iter()
        .filter_map(|key| {
            let value = fields.get(key).or_else(|| typed.default_of(key))?;
            Some((key.clone(), value.clone()))
        })
        .collect();
    if named.is_empty() && !keys.is_empty() {
        let quoted: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
             values for any key fields)",
            quoted.join(" ")
        ));
    }
    Ok(PathElement::key(named))
}

/// The items that have a path element, in their order. The others are no items to the merge.
pub fn elements<'v>(list: List<'_>, items: &'v [Value]) -> impl Iterator<Item = (PathElement, &'v Value)> {
    items
        .iter()
        .filter_map(move |item| Some((element_of(list, item).ok()?, item)))
}
