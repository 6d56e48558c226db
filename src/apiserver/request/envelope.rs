//! Kubernetes protobuf: the envelope around a message (`k8s.io/apimachinery/pkg/runtime`: four magic bytes, then
//! `runtime.Unknown`). Owns the envelope only; messages are decoded by the table of built-in kinds.
//! Called by `body` and `delete`.

use serde_json::Value;

use crate::apiserver::{
    kinds::builtin::protobuf,
    status::{Result, Status},
};

const MAGIC: &[u8; 4] = b"k8s\0";

/// What an envelope says about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Envelope<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    /// The message of that kind.
    pub(super) raw: &'a [u8],
    encoding: &'a str,
    content_type: &'a str,
}

/// The object in an envelope.
pub(super) fn decode(body: &[u8]) -> Result<Value> {
    let envelope = open(body)?;
    protobuf::decode(envelope.api_version, envelope.kind, envelope.raw)
}

/// Opens an envelope.
///
/// # Errors
/// 400 for what is none, or one whose content is compressed or no protobuf.
pub(super) fn open(body: &[u8]) -> Result<Envelope<'_>> {
    let Some(rest) = body.strip_prefix(MAGIC) else {
        return Err(Status::bad_request(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ));
    };
    let envelope = unknown(rest).ok_or_else(|| Status::bad_request("the protobuf envelope is malformed"))?;
    if !envelope.encoding.is_empty()
        || !matches!(envelope.content_type, "" | "application/vnd.kubernetes.protobuf")
    {
        return Err(Status::bad_request(
            "the protobuf envelope holds something else than protobuf",
        ));
    }
    Ok(envelope)
}

fn unknown(mut rest: &[u8]) -> Option<Envelope<'_>> {
    let mut envelope = Envelope::default();
    while !rest.is_empty() {
        match field(&mut rest)? {
            (1, Some(mut meta)) => {
                while !meta.is_empty() {
                    match field(&mut meta)? {
                        (1, Some(text)) => envelope.api_version = std::str::from_utf8(text).ok()?,
                        (2, Some(text)) => envelope.kind = std::str::from_utf8(text).ok()?,
                        _ => {}
                    }
                }
            }
            (2, Some(raw)) => envelope.raw = raw,
            (3, Some(text)) => envelope.encoding = std::str::from_utf8(text).ok()?,
            (4, Some(text)) => envelope.content_type = std::str::from_utf8(text).ok()?,
            _ => {}
        }
    }
    Some(envelope)
}

/// One field: its number, and its bytes when it is length-delimited. Other wire types are passed over.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let length = match tag & 7 {
        0 => {
            varint(rest)?;
            return Some((tag >> 3, None));
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((tag >> 3, (tag & 7 == 2).then_some(content)))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_envelope_is_opened() {
        let body = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x03abc\x1a\0\"\0";
        let envelope = open(body).unwrap();
        assert_eq!(
            (envelope.api_version, envelope.kind, envelope.raw),
            ("v1", "ConfigMap", b"abc".as_slice())
        );
    }

    #[test]
    fn the_message_inside_is_decoded() {
        let config =
            b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x0f\n\x03\n\x01x\x12\x08\n\x01k\x12\x03val\x1a\0\"\0";
        let object = decode(config).unwrap();
        assert_eq!(
            (&object["metadata"]["name"], &object["data"]["k"]),
            (&"x".into(), &"val".into())
        );
        let options = b"k8s\0\n\x13\n\x02v1\x12\rDeleteOptions\x12\x0c\x22\nForeground";
        assert_eq!(decode(options).unwrap()["propagationPolicy"], "Foreground");
        assert_eq!(decode(b"k8s\0\n\x0a\n\x02v1\x12\x04Nope").unwrap_err().code, 400);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for body in [
            b"".as_slice(),
            b"{}",
            b"k8s\0\x0a",
            b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"k8s\0\x0a\x04\x0a\x02\xff\xff",
            b"k8s\0\x1a\x04gzip",
            b"k8s\0\x22\x10application/json",
            b"k8s\0\x0b",
        ] {
            assert_eq!(open(body).unwrap_err().code, 400, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_opened_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = open(&[MAGIC.as_slice(), &bytes].concat());
        }
    }
}
