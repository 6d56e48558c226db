//! The numbers and texts of the wire format, big-endian: a writer into memory that is wiped, and a reader that is total.
//! A length that its field cannot say is written as the largest, which every reader refuses. Called by `parcel`.

use zeroize::Zeroizing;

use super::parcel::Malformed;

pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// With room for all that will be written, so that it never grows and leaves a copy behind.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(super) fn u16(&mut self, number: usize) {
        self.raw(&u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: usize) {
        self.raw(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    }

    /// A text with a length of two bytes.
    pub(super) fn short(&mut self, text: &str) {
        self.u16(text.len());
        self.raw(text.as_bytes());
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` bytes; a length inside of a parcel that leads out of it is [`Malformed::Length`].
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.number().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<usize, Malformed> {
        self.number().map(|n| usize::from(u16::from_be_bytes(n)))
    }

    pub(super) fn u32(&mut self) -> Result<usize, Malformed> {
        self.number()
            .map(|n| usize::try_from(u32::from_be_bytes(n)).unwrap_or(usize::MAX))
    }

    /// None if it is no UTF-8.
    pub(super) fn short(&mut self) -> Result<Option<String>, Malformed> {
        let length = self.u16()?;
        Ok(std::str::from_utf8(self.take(length)?).ok().map(str::to_owned))
    }
}
