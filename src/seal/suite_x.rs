//! Owns suite `x`: HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001,
//! AES-256-GCM 0x0002. `info` and the associated data are both the context's bytes, the commitment is
//! `Export("supercargo/commitment", 16)`. Payload = encapsulated key 32, commitment 16, ciphertext, tag 16.
//! It does not look at kids or scopes. Called by `envelope`.

use hpke::aead::{AeadTag, AesGcm256};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entropy::{Entropy, Lent};
use super::error::{Error, OpenError};
use super::keys::{PrivateKey, PublicKey};
use super::padding;
use super::plaintext::Plaintext;

/// Bytes of the encapsulated key.
pub(super) const ENCAPSULATED: usize = 32;
/// Bytes of the key commitment.
pub(super) const COMMITMENT: usize = 16;
/// Bytes of the authentication tag.
pub(super) const TAG: usize = 16;
/// The exporter context of the commitment.
const COMMITMENT_LABEL: &[u8] = b"supercargo/commitment";

type Encapsulated = <X25519HkdfSha256 as hpke::Kem>::EncappedKey;

/// Seals a framed value to `to`, bound to `data`.
pub(super) fn seal(
    to: &PublicKey,
    data: &[u8],
    value: &Plaintext,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let mut frame = padding::frame(value, 0)?;
    let mut lent = Lent::new(entropy);
    let sender = setup_sender_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &to.to_hpke()?,
        data,
        &mut lent,
    );
    lent.check()?;
    let (encapsulated, mut sender) = sender.map_err(|_| Error::WeakPublicKey { kid: to.kid() })?;
    let mut commitment = [0; COMMITMENT];
    sender
        .export(COMMITMENT_LABEL, &mut commitment)
        .map_err(|_| Error::CipherRefused)?;
    let buffer = InOutBuf::from(frame.as_mut_slice());
    let tag = sender
        .seal_inout_detached(buffer, data)
        .map_err(|_| Error::CipherRefused)?;
    let mut payload = Vec::with_capacity(ENCAPSULATED + COMMITMENT + frame.len() + TAG);
    payload.extend_from_slice(&encapsulated.to_bytes());
    payload.extend_from_slice(&commitment);
    payload.extend_from_slice(&frame);
    payload.extend_from_slice(&tag.to_bytes());
    Ok(payload)
}

/// Opens a payload with `key`; the commitment is compared in constant time before anything is decrypted.
pub(super) fn open(key: &PrivateKey, data: &[u8], payload: &[u8]) -> Result<Plaintext, OpenError> {
    let short = || OpenError::MalformedEnvelope {
        detail: "its payload is too short",
    };
    let (encapsulated, rest) = payload.split_at_checked(ENCAPSULATED).ok_or_else(short)?;
    let (commitment, rest) = rest.split_at_checked(COMMITMENT).ok_or_else(short)?;
    let (body, tag) = rest
        .len()
        .checked_sub(TAG)
        .and_then(|at| rest.split_at_checked(at))
        .ok_or_else(short)?;
    let foreign = || OpenError::IntegrityError {
        what: "the key commitment",
    };
    let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(|_| foreign())?;
    let mut receiver = setup_receiver::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        key.as_hpke(),
        &encapsulated,
        data,
    )
    .map_err(|_| foreign())?;
    let mut expected = [0; COMMITMENT];
    receiver
        .export(COMMITMENT_LABEL, &mut expected)
        .map_err(|_| foreign())?;
    if !bool::from(expected.ct_eq(commitment)) {
        return Err(foreign());
    }
    let altered = || OpenError::IntegrityError {
        what: "the authentication tag",
    };
    let tag = AeadTag::<AesGcm256>::from_bytes(tag).map_err(|_| altered())?;
    let mut frame = Zeroizing::new(body.to_vec());
    let buffer = InOutBuf::from(frame.as_mut_slice());
    receiver
        .open_inout_detached(buffer, data, &tag)
        .map_err(|_| altered())?;
    padding::unframe(frame)
}
