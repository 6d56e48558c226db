//! The few messages of Kubernetes' protobuf that typed clients post, written by hand: field numbers are facts of
//! `generated.proto`. For requests only.

/// A field with bytes, a text or a message.
pub fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    assert!(bytes.len() < 16384);
    let mut out = vec![number << 3 | 2];
    if bytes.len() > 127 {
        out.push(bytes.len() as u8 & 0x7f | 0x80);
        out.push((bytes.len() >> 7) as u8);
    } else {
        out.push(bytes.len() as u8);
    }
    out.extend_from_slice(bytes);
    out
}

/// A field with a small number.
pub fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// `metadata` with a name, as field 1 of an object.
pub fn metadata(name: &str) -> Vec<u8> {
    field(1, field(1, name))
}

/// The envelope `runtime.Unknown` around an object.
pub fn envelope(api_version: &str, kind: &str, object: &[Vec<u8>]) -> Vec<u8> {
    let types = [field(1, api_version), field(2, kind)].concat();
    [
        b"k8s\0".to_vec(),
        field(1, types),
        field(2, object.concat()),
        field(3, ""),
        field(4, ""),
    ]
    .concat()
}
