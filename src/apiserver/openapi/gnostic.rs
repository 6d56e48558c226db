//! OpenAPI v2 in protobuf: the message `openapi.v2.Document` of gnostic, which kubectl and Argo CD read. Owns the field
//! numbers (`openapiv2/OpenAPIv2.proto` of gnostic-models) and how JSON goes into these messages, as tables.
//! What a table has no place for is left out; nothing can fail. Called by the answering function of this folder.

use serde_json::{Map, Value};

use super::protobuf::Writer;

/// How the value of a field is written.
enum Shape {
    Text,
    Texts,
    Flag,
    Integer,
    Number,
    /// Whatever it is, as YAML (which JSON is).
    Any,
    Anys,
    One(&'static Message),
    /// A message in a message with that field: the ones that gnostic made of unions and lists.
    Inside(u32, &'static Shape),
    /// A JSON object: a message with this field, repeated, per entry, which has the name in 1 and the value in 2.
    Named(u32, &'static Shape),
    /// A list of such.
    Maps(u32, &'static Shape),
    /// A text or a list of texts, as a message.
    Type,
    /// `additionalProperties`: a schema or a boolean.
    SchemaOrFlag,
    Parameters,
}

/// What JSON calls a field, its number, its shape.
type Field = (&'static str, u32, Shape);

struct Message {
    fields: &'static [Field],
    /// The number of the field that takes `x-...`.
    extensions: u32,
}

use Shape::{
    Any, Anys, Flag, Inside, Integer, Maps, Named, Number, One, Parameters, SchemaOrFlag, Text, Texts, Type,
};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, One(&INFO)),
        ("paths", 8, Named(2, &One(&PATH_ITEM))),
        ("definitions", 9, Named(1, &One(&SCHEMA))),
        ("security", 12, Maps(1, &Type)),
        ("securityDefinitions", 13, Named(1, &Inside(2, &One(&API_KEY)))),
    ],
    extensions: 16,
};

static INFO: Message = Message {
    fields: &[("title", 1, Text), ("version", 2, Text)],
    extensions: 7,
};

static API_KEY: Message = Message {
    fields: &[
        ("type", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("description", 4, Text),
    ],
    extensions: 5,
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, One(&OPERATION)),
        ("put", 3, One(&OPERATION)),
        ("post", 4, One(&OPERATION)),
        ("delete", 5, One(&OPERATION)),
        ("patch", 8, One(&OPERATION)),
        ("parameters", 9, Parameters),
    ],
    extensions: 10,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Named(1, &Inside(1, &One(&RESPONSE)))),
        ("schemes", 10, Texts),
    ],
    extensions: 13,
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("schema", 2, Inside(1, &One(&SCHEMA)))],
    extensions: 5,
};

static BODY: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: 23,
};

static PATH: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: 22,
};

static DOCS: Message = Message {
    fields: &[("description", 1, Text), ("url", 2, Text)],
    extensions: 3,
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("multipleOf", 6, Number),
        ("maximum", 7, Number),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Number),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Texts),
        ("enum", 20, Anys),
        ("additionalProperties", 21, SchemaOrFlag),
        ("type", 22, Type),
        ("items", 23, Inside(1, &One(&SCHEMA))),
        ("properties", 25, Named(1, &One(&SCHEMA))),
        ("externalDocs", 29, One(&DOCS)),
        ("example", 30, Any),
    ],
    extensions: 31,
};

static AS_SCHEMA: Shape = Inside(1, &One(&SCHEMA));

/// The document as protobuf.
pub fn encode(document: &Value) -> Vec<u8> {
    message(&DOCUMENT, document).done()
}

fn message(of: &Message, value: &Value) -> Writer {
    let mut writer = Writer::default();
    for (key, value) in value.as_object().into_iter().flatten() {
        if let Some((_, number, shape)) = of.fields.iter().find(|(name, ..)| name == key) {
            write(&mut writer, *number, shape, value);
        } else if key.starts_with("x-") && of.extensions > 0 {
            named(&mut writer, of.extensions, key, &Any, value);
        }
    }
    writer
}

fn write(into: &mut Writer, field: u32, shape: &Shape, value: &Value) {
    match (shape, value) {
        (Text, Value::String(text)) if !text.is_empty() => into.bytes(field, text.as_bytes()),
        (Flag, Value::Bool(true)) => into.integer(field, 1),
        (Integer, Value::Number(number)) => {
            if let Some(number) = number.as_i64().filter(|number| *number != 0) {
                into.integer(field, number);
            }
        }
        (Number, Value::Number(number)) => {
            if let Some(number) = number.as_f64().filter(|number| *number != 0.0) {
                into.number(field, number);
            }
        }
        (Texts | Type, Value::String(text)) => texts(into, field, shape, &[text.as_str()]),
        (Texts | Type, Value::Array(items)) => {
            let all: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            texts(into, field, shape, &all);
        }
        (Any, value) => {
            let mut any = Writer::default();
            any.bytes(2, value.to_string().as_bytes());
            into.bytes(field, &any.done());
        }
        (Anys, Value::Array(items)) => items.iter().for_each(|item| write(into, field, &Any, item)),
        (One(of), Value::Object(_)) => into.bytes(field, &message(of, value).done()),
        (Inside(inner, shape), value) => {
            let mut wrapper = Writer::default();
            write(&mut wrapper, *inner, shape, value);
            into.bytes(field, &wrapper.done());
        }
        (Named(entry, shape), Value::Object(map)) => into.bytes(field, &entries(*entry, shape, map).done()),
        (Maps(entry, shape), Value::Array(items)) => {
            let maps = items.iter().filter_map(Value::as_object);
            maps.for_each(|map| into.bytes(field, &entries(*entry, shape, map).done()));
        }
        (SchemaOrFlag, Value::Bool(flag)) => {
            let mut item = Writer::default();
            // One of two: `false` is written, too.
            item.integer(2, i64::from(*flag));
            into.bytes(field, &item.done());
        }
        (SchemaOrFlag, value) => write(into, field, &AS_SCHEMA, value),
        (Parameters, Value::Array(items)) => items.iter().for_each(|item| parameter(into, field, item)),
        _ => {}
    }
}

fn texts(into: &mut Writer, field: u32, shape: &Shape, texts: &[&str]) {
    if matches!(shape, Type) {
        let mut list = Writer::default();
        texts.iter().for_each(|text| list.bytes(1, text.as_bytes()));
        into.bytes(field, &list.done());
    } else {
        texts.iter().for_each(|text| into.bytes(field, text.as_bytes()));
    }
}

fn entries(entry: u32, shape: &Shape, map: &Map<String, Value>) -> Writer {
    let mut writer = Writer::default();
    map.iter()
        .for_each(|(name, value)| named(&mut writer, entry, name, shape, value));
    writer
}

fn named(into: &mut Writer, field: u32, name: &str, shape: &Shape, value: &Value) {
    let mut pair = Writer::default();
    pair.bytes(1, name.as_bytes());
    write(&mut pair, 2, shape, value);
    into.bytes(field, &pair.done());
}

/// `ParametersItem`: a parameter in 1, in which a body is in 1 and others in 2, in which a query is in 3 and a path in 4.
fn parameter(into: &mut Writer, field: u32, value: &Value) {
    static IN_BODY: Shape = Inside(1, &One(&BODY));
    static IN_PATH: Shape = Inside(2, &Inside(4, &One(&PATH)));
    static IN_QUERY: Shape = Inside(2, &Inside(3, &One(&QUERY)));
    let shape = match value.get("in").and_then(Value::as_str) {
        Some("body") => &IN_BODY,
        Some("path") => &IN_PATH,
        _ => &IN_QUERY,
    };
    write(into, field, &Inside(1, shape), value);
}
