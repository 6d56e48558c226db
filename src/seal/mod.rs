//! Cryptography: bytes in, bytes out. Owns the sealed envelope `sc1`, the key ring, keyed fingerprints,
//! digests and the MACs of the audit file.
//! It reads no clock, no file and no network, knows no Kubernetes, and takes its randomness through [`Entropy`].
//! Called by `secrets` (opening, the ring at rest), by `cli` (sealing, verifying) and by `delivery` (digests).
//!
//! The format and the reasons are in ARCHITECTURE.md; RFC 9180 (HPKE), RFC 5869 (HKDF), RFC 2104 (HMAC).

mod backup;
mod chain;
mod digest;
mod entropy;
mod envelope;
mod error;
mod fingerprint;
mod hex;
mod keys;
mod padding;
mod plaintext;
mod ring;
mod ring_text;
mod scope;
mod suite_g;
mod suite_x;

pub use backup::Backup;
pub use chain::{ChainKey, ChainMac};
pub use digest::{Digest, DigestKey};
pub use entropy::{Entropy, NoEntropy, SystemEntropy};
pub use envelope::{Envelope, MAX_ENVELOPE_CHARS, MAX_OBJECT_CHARS, Suite, open, seal};
pub use error::{Error, OpenError};
pub use fingerprint::{Fingerprint, FingerprintRoot};
pub use keys::{Kid, PrivateKey, PublicKey};
pub use padding::MAX_VALUE_BYTES;
pub use plaintext::Plaintext;
pub use ring::{KeyState, Member, Ring, WrittenBy};
pub use scope::{Context, GROUP, KIND, Scope, ScopeKind, ScopeTag};
