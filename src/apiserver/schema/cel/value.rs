//! CEL values of JSON values, as a schema types them. Owns the mapping (`k8s.io/apiserver/pkg/cel`): names of fields are
//! escaped, times and durations are values of their own, a whole number in a `number` field is a double.

use std::sync::{Arc, LazyLock};

use base64ct::{Base64, Encoding};
use kube_cel::cel::{
    self, Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Number, Value};

use super::{
    super::{Schema, Type},
    FUNCTIONS,
    needs::Needs,
};

/// Makes CEL values, and remembers the length of the longest list or map.
#[derive(Default)]
pub(super) struct Converter {
    /// The longest list or map.
    pub(super) longest: usize,
    /// The longest text, in bytes.
    pub(super) longest_text: usize,
}

impl Converter {
    /// What of `value` is needed. A field that is only asked for is there, without its value.
    pub(super) fn part(&mut self, value: &Value, schema: Option<&Schema>, needs: &Needs) -> Cel {
        if !needs.whole && needs.fields.is_empty() {
            return Cel::Bool(true);
        }
        let map = match value {
            Value::Object(map) if !needs.whole => map,
            _ => return self.convert(value, schema),
        };
        let is_map = is_map(schema);
        let mut entries = Vec::with_capacity(needs.fields.len());
        let mut add = |name: &str, value: &Value, needs: &Needs| {
            let child = schema.and_then(|schema| schema.field(name)).map(|child| &**child);
            if value.is_null() && child.is_some_and(|child| !child.nullable) {
                return;
            }
            let key = if is_map { name.to_owned() } else { escape(name) };
            entries.push((Key::String(Arc::new(key)), self.part(value, child, needs)));
        };
        for (asked, needs) in &needs.fields {
            // A name that is escaped is not found under itself.
            if let Some(value) = map.get(asked).filter(|_| is_map || escape(asked) == *asked) {
                add(asked, value, needs);
            } else if !is_map && asked.contains("__") {
                let found = map.iter().find(|(name, _)| escape(name) == *asked);
                if let Some((name, value)) = found {
                    add(name, value, needs);
                }
            }
        }
        Cel::Map(Map {
            map: Arc::new(entries.into_iter().collect()),
        })
    }

    pub(super) fn convert(&mut self, value: &Value, schema: Option<&Schema>) -> Cel {
        match value {
            Value::Null => Cel::Null,
            Value::Bool(flag) => Cel::Bool(*flag),
            Value::Number(number) => convert_number(number, schema),
            Value::String(text) => {
                self.longest_text = self.longest_text.max(text.len());
                convert_text(text, schema)
            }
            Value::Array(items) => {
                self.longest = self.longest.max(items.len());
                let child = schema.and_then(|schema| schema.items.as_deref());
                Cel::List(Arc::new(
                    items.iter().map(|item| self.convert(item, child)).collect(),
                ))
            }
            Value::Object(map) => {
                self.longest = self.longest.max(map.len());
                let is_map = is_map(schema);
                let entries = map.iter().filter_map(|(key, value)| {
                    let child = schema.and_then(|schema| schema.field(key)).map(|child| &**child);
                    if value.is_null() && child.is_some_and(|child| !child.nullable) {
                        return None;
                    }
                    let key = if is_map { key.clone() } else { escape(key) };
                    Some((Key::String(Arc::new(key)), self.convert(value, child)))
                });
                Cel::Map(Map {
                    map: Arc::new(entries.collect()),
                })
            }
        }
    }
}

/// Names of a map are data, not fields.
fn is_map(schema: Option<&Schema>) -> bool {
    schema.is_some_and(|schema| schema.additional.is_some() && schema.properties.is_empty())
}

fn convert_number(number: &Number, schema: Option<&Schema>) -> Cel {
    let double = || Cel::Float(number.as_f64().unwrap_or(f64::NAN));
    match (schema.and_then(|schema| schema.kind), number.as_i64()) {
        (Some(Type::Number), _) | (None, None) => double(),
        (_, Some(whole)) => Cel::Int(whole),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "validated to be a whole number before"
        )]
        (Some(Type::Integer), None) => Cel::Int(number.as_f64().unwrap_or_default() as i64),
        _ => double(),
    }
}

fn convert_text(text: &str, schema: Option<&Schema>) -> Cel {
    static TIMESTAMP: LazyLock<Option<cel::Program>> =
        LazyLock::new(|| cel::Program::compile("timestamp(text)").ok());
    static DURATION: LazyLock<Option<cel::Program>> =
        LazyLock::new(|| cel::Program::compile("duration(text)").ok());
    let plain = || Cel::String(Arc::new(text.to_owned()));
    let Some(schema) = schema.filter(|schema| schema.kind == Some(Type::String)) else {
        return plain();
    };
    let Some(format) = schema.rules.as_deref().and_then(|rules| rules.format.as_deref()) else {
        return plain();
    };
    let by = |program: &Option<cel::Program>, text: &str| -> Option<Cel> {
        let mut context = FUNCTIONS.new_inner_scope();
        context.add_variable_from_value("text", text.to_owned());
        program.as_ref()?.execute(&context).ok()
    };
    match format {
        "date-time" => by(&TIMESTAMP, text),
        "date" => by(&TIMESTAMP, &format!("{text}T00:00:00Z")),
        "duration" => by(&DURATION, text),
        "byte" => Base64::decode_vec(text)
            .ok()
            .map(|bytes| Cel::Bytes(Arc::new(bytes))),
        _ => None,
    }
    .unwrap_or_else(plain)
}

/// An optional value, for rules with `optionalOldSelf`.
pub(super) fn optional(value: Option<Cel>) -> Option<Cel> {
    static SOME: LazyLock<Option<cel::Program>> =
        LazyLock::new(|| cel::Program::compile("optional.of(it)").ok());
    static NONE: LazyLock<Option<cel::Program>> =
        LazyLock::new(|| cel::Program::compile("optional.none()").ok());
    let mut context = FUNCTIONS.new_inner_scope();
    match value {
        Some(value) => {
            context.add_variable_from_value("it", value);
            SOME.as_ref()?.execute(&context).ok()
        }
        None => NONE.as_ref()?.execute(&context).ok(),
    }
}

/// The name of a field as an identifier of CEL.
pub(super) fn escape(name: &str) -> String {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

/// `type(value)`: the name of the type.
pub(super) fn type_of(value: Cel) -> Arc<String> {
    let name = match value {
        Cel::Bool(_) => "bool",
        Cel::Int(_) => "int",
        Cel::UInt(_) => "uint",
        Cel::Float(_) => "double",
        Cel::String(_) => "string",
        Cel::Bytes(_) => "bytes",
        Cel::List(_) => "list",
        Cel::Map(_) => "map",
        Cel::Null => "null_type",
        Cel::Duration(_) => "duration",
        Cel::Timestamp(_) => "timestamp",
        Cel::Opaque(_) | Cel::Function(..) => "type",
    };
    Arc::new(name.to_owned())
}
