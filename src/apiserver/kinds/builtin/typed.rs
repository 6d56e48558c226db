//! The typed form of a built-in object: what is left of its JSON after a Kubernetes API server has decoded it into a Go
//! type and encoded it again. Owns the words for JSON that a type cannot hold, and which empty values stay.
//! Unknown fields are `prune`'s. Called for every write of a built-in kind, and by the protobuf decoder.

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::facts::{Definition, Field, Special, Type, Zero, named};

/// How deep an object may be nested.
const MAX_DEPTH: usize = 100;

/// Brings `object` into its typed form: `null` and what Go's encoder leaves out go, what it always writes is there, times
/// are in UTC, base64 is canonical.
///
/// # Errors
/// Why no Go type of this name can hold it, in the words of Go's decoder. No value of bytes is in it.
pub(super) fn decode(object: &mut Value, definition: &str) -> Result<(), String> {
    let mut walk = Walk {
        fields: Vec::new(),
        within: short(definition),
        depth: 0,
    };
    walk.named(object, definition)
}

/// Where the walk is.
struct Walk<'a> {
    /// Names of fields from the root, without indices and keys, as Go counts them.
    fields: Vec<&'a str>,
    /// The type that has the last field.
    within: &'a str,
    depth: usize,
}

impl<'a> Walk<'a> {
    fn named(&mut self, value: &mut Value, name: &'a str) -> Result<(), String> {
        let Some(definition) = named(name) else {
            return Ok(());
        };
        match definition.special {
            Some(Special::Time) => time(value, false),
            Some(Special::MicroTime) => time(value, true),
            Some(Special::Raw | Special::Json) => Ok(()),
            Some(Special::PropsOrArray | Special::PropsOrBool | Special::PropsOrStrings) => {
                self.either(value, definition)
            }
            None => self.object(value, definition, name),
        }
    }

    fn object(
        &mut self,
        value: &mut Value,
        definition: &'static Definition,
        name: &'a str,
    ) -> Result<(), String> {
        let Value::Object(map) = value else {
            return Err(self.mismatch(value, &Type::Of(name.to_owned())));
        };
        if self.depth >= MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.within, short(name));
        if name.ends_with(".JSONSchemaProps") {
            // Its schema cannot be written down without an end, so nobody else prunes it.
            map.retain(|field, _| definition.fields.contains_key(field));
        }
        for (name, field) in &definition.fields {
            self.field(map, name, field)?;
        }
        self.within = outer;
        self.depth -= 1;
        Ok(())
    }

    fn field(
        &mut self,
        map: &mut Map<String, Value>,
        name: &'static str,
        field: &'static Field,
    ) -> Result<(), String> {
        if let Some(value) = map.get_mut(name).filter(|value| !value.is_null()) {
            self.fields.push(name);
            self.value(value, &field.of)?;
            self.fields.pop();
            if field.zero == Zero::Omit && is_zero(value) {
                map.remove(name);
            }
            return Ok(());
        }
        if field.zero == Zero::Value {
            let mut zero = zero(&field.of);
            if zero.is_object() {
                self.value(&mut zero, &field.of)?;
            }
            map.insert(name.to_owned(), zero);
        } else {
            map.remove(name);
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Value, of: &'static Type) -> Result<(), String> {
        match (of, &mut *value) {
            (Type::Of(name), value) => return self.named(value, name),
            (Type::List(items), Value::Array(list)) => return self.all(list.iter_mut(), items),
            (Type::Extra, Value::Array(list)) => return self.all(list.iter_mut(), &Type::String),
            (Type::Map(values), Value::Object(map)) => return self.all(map.values_mut(), values),
            (Type::String, Value::String(_)) | (Type::Bool, Value::Bool(_)) => return Ok(()),
            (Type::Bytes, Value::String(text)) => return bytes(text),
            (Type::Int64, Value::Number(number)) if number.is_i64() => return Ok(()),
            (Type::Int32, Value::Number(number)) if fits(number) => return Ok(()),
            (Type::Double, Value::Number(number)) => {
                shorten(number);
                return Ok(());
            }
            _ => {}
        }
        Err(self.mismatch(value, of))
    }

    fn all<'v>(
        &mut self,
        values: impl Iterator<Item = &'v mut Value>,
        of: &'static Type,
    ) -> Result<(), String> {
        for value in values {
            if value.is_null() {
                // Go leaves the element at its zero value.
                *value = zero(of);
                if *of == Type::Bytes {
                    *value = Value::String(String::new());
                }
                if !value.is_object() {
                    continue;
                }
            }
            self.value(value, of)?;
        }
        Ok(())
    }

    /// A JSON schema, or what may stand in its place.
    fn either(&mut self, value: &mut Value, definition: &'static Definition) -> Result<(), String> {
        let props = definition.fields.values().find_map(|field| match &field.of {
            Type::Of(name) => Some(name.as_str()),
            _ => None,
        });
        let Some(props) = props else {
            return Ok(());
        };
        match (definition.special, &mut *value) {
            (_, Value::Object(_)) => self.named(value, props),
            (Some(Special::PropsOrArray), Value::Array(list)) => {
                list.iter_mut().try_for_each(|item| self.named(item, props))
            }
            (Some(Special::PropsOrStrings), Value::Array(list)) if list.iter().all(Value::is_string) => {
                Ok(())
            }
            (Some(Special::PropsOrBool), Value::Bool(_)) => Ok(()),
            (Some(Special::PropsOrBool), _) => Err("boolean or JSON schema expected".to_owned()),
            _ => Err("unexpected type of a JSON schema".to_owned()),
        }
    }

    fn mismatch(&self, value: &Value, of: &Type) -> String {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            // Go shows the number when only its size or fraction is wrong.
            Value::Number(number) if matches!(of, Type::Int32 | Type::Int64) => format!("number {number}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let of = go(of);
        if self.fields.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {of}");
        }
        let path = self.fields.join(".");
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{path} of type {of}",
            self.within
        )
    }
}

/// The last part of a definition's name: the name of the Go type.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How Go prints a type.
fn go(of: &Type) -> String {
    match of {
        Type::String => "string".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Double => "float64".to_owned(),
        Type::Extra => "v1.ExtraValue".to_owned(),
        Type::Of(name) => {
            let mut parts = name.rsplit('.');
            let (last, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            format!("{package}.{last}")
        }
        Type::List(items) => format!("[]{}", go(items)),
        Type::Map(values) => format!("map[string]{}", go(values)),
    }
}

fn zero(of: &Type) -> Value {
    match of {
        Type::String => Value::String(String::new()),
        Type::Bool => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::Double => Value::from(0),
        Type::Bytes | Type::Extra | Type::List(_) | Type::Map(_) => Value::Null,
        Type::Of(name) if named(name).is_some_and(|definition| definition.special.is_none()) => {
            Value::Object(Map::new())
        }
        Type::Of(_) => Value::Null,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn fits(number: &Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}

/// Go writes a float without a fraction as an integer.
fn shorten(number: &mut Number) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(float) = number
        .as_f64()
        .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT)
    {
        #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
        let integer = float as i64;
        *number = integer.into();
    }
}

/// Makes base64 canonical; line breaks and set trailing bits are allowed.
fn bytes(text: &mut String) -> Result<(), String> {
    if Base64::decode_vec(text).is_ok() {
        return Ok(());
    }
    match lenient(text.as_bytes()) {
        Ok(decoded) => {
            *text = Base64::encode_string(&decoded);
            Ok(())
        }
        Err(at) => Err(format!("illegal base64 data at input byte {at}")),
    }
}

/// Decodes as Go's `base64.StdEncoding`; the error is the position Go names.
fn lenient(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut input = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'))
        .peekable();
    while input.peek().is_some() {
        let mut quantum = 0_u32;
        for place in 0..4 {
            // A text that ends within four characters is wrong at the first of those that are missing some.
            let Some((at, byte)) = input.next() else {
                return Err(text.len() - usize::from(place > 0) * place);
            };
            if *byte == b'=' {
                if place < 2 {
                    return Err(at);
                }
                if place == 2 && input.next().is_none_or(|(_, byte)| *byte != b'=') {
                    return Err(text.len());
                }
                if let Some((at, _)) = input.next() {
                    return Err(at);
                }
                quantum <<= 6 * (4 - place);
                out.extend(quantum.to_be_bytes().into_iter().skip(1).take(place - 1));
                return Ok(out);
            }
            quantum = quantum << 6 | u32::from(sextet(*byte).ok_or(at)?);
        }
        out.extend(quantum.to_be_bytes().into_iter().skip(1));
    }
    Ok(out)
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn time(value: &mut Value, micro: bool) -> Result<(), String> {
    let Value::String(text) = value else {
        return Err(
            "json: cannot unmarshal a value that is no string into Go value of type string".to_owned(),
        );
    };
    let layout = if micro {
        "2006-01-02T15:04:05.000000Z07:00"
    } else {
        "2006-01-02T15:04:05Z07:00"
    };
    let refuse = |rest: &str, part: &str| {
        Err(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"
        ))
    };
    let parsed = (text.len() >= 20 && text.as_bytes()[10] == b'T').then(|| text.parse::<Timestamp>());
    let Some(Ok(at)) = parsed else {
        return refuse(text, "2006");
    };
    if micro {
        let rest = text.get(19..).unwrap_or_default();
        let digits = rest
            .strip_prefix('.')
            .map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if digits != 6 {
            return refuse(rest, ".000000");
        }
    }
    *text = render(at, micro);
    Ok(())
}

/// RFC 3339 in UTC.
pub(super) fn render(at: Timestamp, micro: bool) -> String {
    let format = if micro {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    at.strftime(format).to_string()
}
