//! Objects of built-in kinds from protobuf: what typed clients send. Owns how the facts say what a field becomes in JSON;
//! the envelope around the message is `request`'s. Unknown fields are skipped, as proto2 wants it.
//! Total on arbitrary bytes. Called by `request` for bodies of creates, updates and deletions.

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::{
    facts::{Definition, Special, Type, facts, named},
    typed,
    wire::{Fields, Wire},
};
use crate::apiserver::status::{Result, Status};

/// How deep messages may be nested.
const MAX_DEPTH: usize = 100;

/// The object in a protobuf message (`raw` of `runtime.Unknown`), in its typed form, with `apiVersion` and `kind`.
///
/// # Errors
/// 400 for a kind that is not known here and for bytes that are no such message.
pub fn decode(api_version: &str, kind: &str, raw: &[u8]) -> Result<Value> {
    let Some(name) = find(api_version, kind) else {
        return Err(Status::bad_request(format!(
            "no kind {kind:?} is registered for version {api_version:?}"
        )));
    };
    let refuse = |why: String| {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
        ))
    };
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    let mut object = Value::Object(object);
    named(name)
        .map_or(Ok(()), |definition| message(&mut object, definition, raw, 0))
        .and_then(|()| typed::decode(&mut object, name))
        .map_err(refuse)?;
    Ok(object)
}

/// The definition of a kind. Options are of every group.
fn find(api_version: &str, kind: &str) -> Option<&'static str> {
    if kind == "DeleteOptions" {
        return Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let wanted = format!("{group}/{version}/{kind}");
    let mut all = facts().iter();
    all.find(|(_, definition)| definition.kinds.contains(&wanted))
        .map(|(name, _)| name.as_str())
}

type Read<T> = Result<T, String>;

/// Reads a message into `object`, over what is there, as protobuf merges what comes twice.
fn message(object: &mut Value, definition: &'static Definition, raw: &[u8], depth: usize) -> Read<()> {
    if depth >= MAX_DEPTH {
        return Err("exceeded max depth".to_owned());
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(map) = object else {
        return Ok(());
    };
    for field in Fields::new(raw) {
        let (number, wire) = field?;
        let known = definition.fields.iter().find(|(_, field)| field.number == number);
        if let Some((name, field)) = known {
            let slot = map.entry(name.as_str()).or_insert(Value::Null);
            value(slot, &field.of, wire, depth + 1).map_err(|why| format!("{why} for field {name}"))?;
        }
    }
    Ok(())
}

fn value(slot: &mut Value, of: &'static Type, wire: Wire<'_>, depth: usize) -> Read<()> {
    match (of, wire) {
        (Type::String, Wire::Bytes(raw)) => *slot = text(raw),
        (Type::Bytes, Wire::Bytes(raw)) => *slot = Base64::encode_string(raw).into(),
        (Type::Bool, Wire::Varint(bits)) => *slot = (bits != 0).into(),
        (Type::Int32, Wire::Varint(bits)) => *slot = low_half(bits).into(),
        (Type::Int64, Wire::Varint(bits)) => *slot = bits.cast_signed().into(),
        (Type::Double, Wire::Fixed64(bits)) => {
            let number = Number::from_f64(f64::from_le_bytes(bits));
            *slot = number.ok_or("json: unsupported value")?.into();
        }
        (Type::Extra, Wire::Bytes(raw)) => {
            if slot.is_null() {
                *slot = Value::Array(Vec::new());
            }
            for field in Fields::new(raw) {
                if let ((1, Wire::Bytes(item)), Value::Array(list)) = (field?, &mut *slot) {
                    list.push(text(item));
                }
            }
        }
        (Type::Of(name), Wire::Bytes(raw)) => {
            let Some(definition) = named(name) else {
                return Ok(());
            };
            match definition.special {
                None => message(slot, definition, raw, depth)?,
                Some(special) => *slot = own_form(special, definition, raw, depth)?,
            }
        }
        (Type::List(items), wire) => {
            let mut item = Value::Null;
            value(&mut item, items, wire, depth)?;
            match slot {
                Value::Array(list) => list.push(item),
                other => *other = Value::Array(vec![item]),
            }
        }
        (Type::Map(values), Wire::Bytes(raw)) => entry(slot, values, raw, depth)?,
        _ => return Err("proto: wrong wireType".to_owned()),
    }
    Ok(())
}

/// Go keeps bytes that are no UTF-8 and replaces them when it writes JSON.
fn text(raw: &[u8]) -> Value {
    String::from_utf8_lossy(raw).into_owned().into()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an int32 is the lower half of the varint"
)]
const fn low_half(bits: u64) -> i32 {
    bits as i32
}

/// An entry of a map: a message of a key and a value, either of which may be left out.
fn entry(slot: &mut Value, values: &'static Type, raw: &[u8], depth: usize) -> Read<()> {
    let mut key = String::new();
    let mut content = match values {
        Type::String | Type::Bytes => Value::String(String::new()),
        Type::Extra => Value::Array(Vec::new()),
        _ => Value::Null,
    };
    for field in Fields::new(raw) {
        match field? {
            (1, Wire::Bytes(raw)) => key = String::from_utf8_lossy(raw).into_owned(),
            (2, wire) => value(&mut content, values, wire, depth)?,
            _ => {}
        }
    }
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot[key] = content;
    Ok(())
}

fn own_form(special: Special, definition: &'static Definition, raw: &[u8], depth: usize) -> Read<Value> {
    match special {
        Special::Time => time(raw, false),
        Special::MicroTime => time(raw, true),
        Special::Raw | Special::Json => json(raw),
        Special::PropsOrArray | Special::PropsOrBool | Special::PropsOrStrings => {
            let mut fields = Value::Null;
            message(&mut fields, definition, raw, depth)?;
            let mut take = |name: &str| fields.get_mut(name).map(Value::take);
            let schema = take("schema");
            Ok(match special {
                Special::PropsOrArray => take("jSONSchemas").or(schema).unwrap_or(Value::Null),
                Special::PropsOrBool => schema.or_else(|| take("allows")).unwrap_or(Value::Bool(false)),
                _ => take("property").or(schema).unwrap_or(Value::Null),
            })
        }
    }
}

/// A time of no bytes is none.
fn time(raw: &[u8], micro: bool) -> Read<Value> {
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(raw) {
        match field? {
            (1, Wire::Varint(bits)) => seconds = bits.cast_signed(),
            (2, Wire::Varint(bits)) => nanos = low_half(bits),
            _ => {}
        }
    }
    let at = Timestamp::new(seconds, if micro { nanos } else { 0 });
    let at = at.map_err(|_| "Time.MarshalJSON: year outside of range [0,9999]")?;
    Ok(typed::render(at, micro).into())
}

/// `RawExtension`, `FieldsV1` and `JSON`: their first field holds the JSON.
fn json(raw: &[u8]) -> Read<Value> {
    let mut found = Value::Null;
    for field in Fields::new(raw) {
        if let (1, Wire::Bytes(bytes)) = field?
            && !bytes.is_empty()
        {
            found = serde_json::from_slice(bytes).map_err(|_| "the raw field is no JSON")?;
        }
    }
    Ok(found)
}
