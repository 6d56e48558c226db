//! Writing protobuf (proto3): tags, lengths, scalars. Owns the bytes on the wire and knows no message.
//! Not a reader: protobuf that comes in is `request`'s.
//! Used by the encoder of this folder.

/// A message in the making.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The finished message.
    pub fn done(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Bytes, a text, or a message.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A whole number; negative ones take ten bytes, as the format has it.
    pub fn integer(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3);
        self.varint(value.cast_unsigned());
    }

    /// A `double`.
    pub fn number(&mut self, field: u32, value: f64) {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_format() {
        let mut writer = Writer::default();
        writer.bytes(2, b"testing");
        writer.integer(1, 150);
        writer.integer(16, -1);
        writer.number(3, 1.5);
        let expected = b"\x12\x07testing\x08\x96\x01\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x19\0\0\0\0\0\0\xf8\x3f";
        assert_eq!(writer.done(), expected);
    }
}
