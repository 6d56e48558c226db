//! Bodies of writes: JSON, YAML and Kubernetes protobuf become one [`Decoded`]. Owns the choice by content type, the
//! types of patches, and the words for a body that is not what it says; these never show what the body contains.
//! Whether the object is of the right kind is judged by `verbs`, which calls this; fields by `schema`.

use std::cell::RefCell;

use bytes::Bytes;
use serde::de::DeserializeSeed;
use serde_json::Value;

use super::{Decoded, PatchType, envelope, media, tree::Tree};
use crate::apiserver::{
    kinds::Kind,
    status::{Result, Status},
};

/// What a body can be encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Protobuf,
}

impl Format {
    /// By content type; absent or empty is JSON.
    pub(super) fn of(content_type: Option<&str>) -> Result<Self> {
        let header = content_type.unwrap_or_default();
        if header.is_empty() {
            return Ok(Self::Json);
        }
        match media::media_type(header).as_deref() {
            Some("application/json") => Ok(Self::Json),
            Some("application/yaml") => Ok(Self::Yaml),
            Some("application/vnd.kubernetes.protobuf") => Ok(Self::Protobuf),
            _ => Err(Status::unsupported_media_type(&media::OBJECT_TYPES)),
        }
    }
}

/// Decodes the body of a create or update by its content type: JSON (also when absent), YAML, and Kubernetes protobuf
/// for built-in kinds. The result is an object, with whatever `apiVersion` and `kind` it says, or none.
///
/// # Errors
/// 415 for another content type, 400 for a body that is not what it says.
pub fn body(content_type: Option<&str>, body: &Bytes, kind: Option<&Kind>) -> Result<Decoded> {
    let expected = kind.map_or("object", |kind| &*kind.kind);
    let refuse = |why: String| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {expected}): {why}"
        ))
    };
    let decoded = match Format::of(content_type)? {
        Format::Json => {
            json(body).map_err(|why| refuse(format!("couldn't get version/kind; json parse error: {why}")))?
        }
        Format::Yaml => yaml(body).map_err(|why| refuse(format!("yaml: {why}")))?,
        Format::Protobuf if kind.is_some_and(|kind| kind.custom) => {
            return Err(Status::unsupported_media_type(&media::OBJECT_TYPES[..2]));
        }
        Format::Protobuf => Decoded {
            object: envelope::decode(body)?,
            strict: Vec::new(),
        },
    };
    match &decoded.object {
        Value::Object(_) => Ok(decoded),
        // Into a Go type, `null` decodes as an object that says nothing.
        Value::Null if kind.is_some_and(|kind| !kind.custom) => Ok(Decoded {
            object: Value::Object(serde_json::Map::new()),
            ..decoded
        }),
        Value::Null => Err(refuse("Object 'Kind' is missing".to_owned())),
        other => Err(refuse(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into an object",
            type_of(other)
        ))),
    }
}

impl PatchType {
    /// By the content type of a PATCH; `custom` kinds take no strategic merge patch.
    ///
    /// # Errors
    /// 415 with what is taken.
    pub fn of(content_type: Option<&str>, custom: bool) -> Result<Self> {
        const TAKEN: [&str; 4] = [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
            "application/strategic-merge-patch+json",
        ];
        match content_type.and_then(media::media_type).as_deref() {
            Some("application/json-patch+json") => Ok(Self::Json),
            Some("application/merge-patch+json") => Ok(Self::Merge),
            Some("application/apply-patch+yaml") => Ok(Self::Apply),
            Some("application/strategic-merge-patch+json") if !custom => Ok(Self::Strategic),
            _ => Err(Status::unsupported_media_type(if custom {
                &TAKEN[..3]
            } else {
                &TAKEN
            })),
        }
    }
}

/// Decodes the body of a PATCH. `null`, and nothing at all for apply, is a patch that changes nothing; but for a merge
/// patch, where upstream refuses it.
///
/// # Errors
/// 400 for a body that is not JSON (for apply: YAML), or no list for a JSON patch, no object for the others.
pub fn patch_body(patch: PatchType, body: &Bytes) -> Result<Decoded> {
    let refuse = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
    let mut decoded = if patch == PatchType::Apply {
        yaml(body).map_err(|why| refuse(format!("error converting YAML to JSON: yaml: {why}")))?
    } else {
        json(body).map_err(|_| Status::bad_request("invalid JSON patch"))?
    };
    match (patch, &decoded.object) {
        (PatchType::Apply | PatchType::Strategic, Value::Null) => {
            decoded.object = Value::Object(serde_json::Map::new())
        }
        (PatchType::Json, Value::Null) => decoded.object = Value::Array(Vec::new()),
        (_, Value::Null) => return Err(Status::bad_request("Invalid JSON Patch")),
        (PatchType::Json, Value::Array(_))
        | (PatchType::Merge | PatchType::Strategic | PatchType::Apply, Value::Object(_)) => {}
        (PatchType::Json, other) => {
            return Err(refuse(format!(
                "json: cannot unmarshal {} into a list of operations",
                type_of(other)
            )));
        }
        (_, other) => {
            return Err(refuse(format!(
                "json: cannot unmarshal {} into an object",
                type_of(other)
            )));
        }
    }
    if patch == PatchType::Json {
        for finding in &mut decoded.strict {
            finding.insert_str(0, "json patch ");
        }
    }
    Ok(decoded)
}

/// The JSON type, as upstream's messages call it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Decodes JSON. What is no UTF-8 becomes U+FFFD, as upstream has it.
pub(super) fn json(body: &[u8]) -> Result<Decoded, String> {
    let text = String::from_utf8_lossy(body);
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let object = Tree::new(&duplicates)
        .deserialize(&mut deserializer)
        .and_then(|object| deserializer.end().map(|()| object))
        .map_err(|error| {
            if error.is_eof() {
                "unexpected end of JSON input".to_owned()
            } else {
                error.to_string()
            }
        })?;
    Ok(Decoded {
        object,
        strict: duplicates.into_inner(),
    })
}

/// Decodes one YAML document; nothing at all is null. JSON is YAML, and what most clients send as it: it is tried first. A
/// second document that is not empty is refused rather than passed over. Aliases are bounded, so that a small text cannot
/// become a big object.
pub(super) fn yaml(body: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(body).map_err(|_| "control characters are not allowed".to_owned())?;
    if text.trim_start().starts_with('{')
        && let Ok(decoded) = json(body)
    {
        return Ok(decoded);
    }
    let duplicates = RefCell::new(Vec::new());
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    };
    let nothing = text
        .lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---");
    if nothing {
        return Ok(Decoded {
            object: Value::Null,
            strict: Vec::new(),
        });
    }
    let object = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Tree::new(&duplicates).deserialize(deserializer)
    })
    .map_err(|error| match error.location() {
        // The parser's own words can quote the document; a line number cannot.
        Some(at) => format!("line {}: the document cannot be read", at.line()),
        None => "the document cannot be read".to_owned(),
    })?;
    Ok(Decoded {
        object,
        strict: duplicates.into_inner(),
    })
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
