//! Cryptography: bytes in, bytes out.

/// placeholder until the seal branch lands
pub struct Plaintext(Vec<u8>);
impl Plaintext {
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
    pub fn new(b: Vec<u8>) -> Self {
        Self(b)
    }
}
