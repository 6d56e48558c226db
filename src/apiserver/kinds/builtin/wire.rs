//! The protobuf wire format (<https://protobuf.dev/programming-guides/encoding/>): splits a message into its fields.
//! Knows no message. Total: every length is checked, and groups are skipped without recursion.
//! Read by `protobuf`.

/// One field as it stands in a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order. After an error it ends.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("unexpected EOF")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("unexpected EOF")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".to_owned())
    }

    /// The number and the content of the next field; `None` for what has no content: a start or an end of a group.
    fn field(&mut self) -> Result<(u32, Option<Wire<'a>>, u64), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| format!("proto: illegal tag {tag}"))?;
        let content = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length)
                    .map_err(|_| "proto: negative length found during unmarshaling")?;
                Wire::Bytes(self.take(length)?)
            }
            3 | 4 => return Ok((number, None, tag & 7)),
            5 => Wire::Fixed32(self.array()?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok((number, Some(content), tag & 7))
    }

    fn next_field(&mut self) -> Result<Option<(u32, Wire<'a>)>, String> {
        let mut groups = 0_usize;
        while !self.rest.is_empty() {
            match self.field()? {
                (number, Some(content), _) if groups == 0 => return Ok(Some((number, content))),
                (_, Some(_), _) => {}
                (_, None, 3) => groups += 1,
                (_, None, _) => {
                    groups = groups
                        .checked_sub(1)
                        .ok_or("proto: wiretype end group for non-group")?;
                }
            }
        }
        if groups > 0 {
            return Err("unexpected EOF".to_owned());
        }
        Ok(None)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_field();
        if next.is_err() {
            self.rest = &[];
        }
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, String> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let bytes = b"\x08\x96\x01\x12\x03abc\x19\x01\x00\x00\x00\x00\x00\x00\x00\x25\x02\x00\x00\x00";
        assert_eq!(
            all(bytes).unwrap(),
            [
                (1, Wire::Varint(150)),
                (2, Wire::Bytes(b"abc")),
                (3, Wire::Fixed64([1, 0, 0, 0, 0, 0, 0, 0])),
                (4, Wire::Fixed32([2, 0, 0, 0])),
            ]
        );
    }

    #[test]
    fn groups_are_skipped_whatever_their_depth() {
        let mut bytes = vec![0x0b; 100_000];
        bytes.extend(vec![0x0c; 100_000]);
        bytes.extend([0x10, 7]);
        assert_eq!(all(&bytes).unwrap(), [(2, Wire::Varint(7))]);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_an_error() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\xff",
            b"\x12\x05abc",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x19\x00",
            b"\x00\x00",
            b"\x0f",
            b"\x0b",
            b"\x0c",
        ] {
            assert!(all(bytes).is_err(), "{bytes:?}");
        }
    }
}
