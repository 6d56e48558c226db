//! Cryptography: bytes in, bytes out.
