//! Owns suite `g`, for what the program itself makes: AES-256-GCM under a key used once.
//! HKDF-SHA256(ring key, salt = 32 random bytes, info = the context's bytes) gives key 32, nonce 12, commitment 16.
//! Payload = salt 32, commitment 16, ciphertext, tag 16. No counter, no message bound: the salt has 256 bits.
//! It does not decide who may write it (`ring`). Called by `envelope`.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entropy::Entropy;
use super::error::{Error, OpenError};
use super::keys::PrivateKey;
use super::padding;
use super::plaintext::Plaintext;
use super::suite_x::{COMMITMENT, TAG};

const SALT: usize = 32;
const KEY: usize = 32;
const NONCE: usize = 12;

/// What one salt derives; the commitment is public, the rest is wiped.
struct Derived {
    cipher: Aes256Gcm,
    nonce: [u8; NONCE],
    commitment: [u8; COMMITMENT],
}

fn derive(key: &PrivateKey, salt: &[u8], data: &[u8]) -> Option<Derived> {
    let mut okm = Zeroizing::new([0; KEY + NONCE + COMMITMENT]);
    Hkdf::<Sha256>::new(Some(salt), key.symmetric().as_ref())
        .expand(data, okm.as_mut())
        .ok()?;
    let (key, rest) = okm.split_first_chunk::<KEY>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let commitment = *rest.first_chunk::<COMMITMENT>()?;
    Some(Derived {
        cipher: Aes256Gcm::new_from_slice(key).ok()?,
        nonce: *nonce,
        commitment,
    })
}

/// Seals a framed value under the ring key of `key`, bound to `data`.
pub(super) fn seal(
    key: &PrivateKey,
    data: &[u8],
    value: &Plaintext,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let mut frame = padding::frame(value, 0)?;
    let mut salt = [0; SALT];
    entropy.fill(&mut salt)?;
    let derived = derive(key, &salt, data).ok_or(Error::CipherRefused)?;
    let tag = derived
        .cipher
        .encrypt_inout_detached(&derived.nonce.into(), data, frame.as_mut_slice().into())
        .map_err(|_| Error::CipherRefused)?;
    let mut payload = Vec::with_capacity(SALT + COMMITMENT + frame.len() + TAG);
    payload.extend_from_slice(&salt);
    payload.extend_from_slice(&derived.commitment);
    payload.extend_from_slice(&frame);
    payload.extend_from_slice(&tag);
    Ok(payload)
}

/// Opens a payload; the commitment is compared in constant time before anything is decrypted.
pub(super) fn open(key: &PrivateKey, data: &[u8], payload: &[u8]) -> Result<Plaintext, OpenError> {
    let short = || OpenError::MalformedEnvelope {
        detail: "its payload is too short",
    };
    let (salt, rest) = payload.split_at_checked(SALT).ok_or_else(short)?;
    let (commitment, rest) = rest.split_at_checked(COMMITMENT).ok_or_else(short)?;
    let (body, tag) = rest.split_last_chunk::<TAG>().ok_or_else(short)?;
    let foreign = || OpenError::IntegrityError {
        what: "the key commitment",
    };
    let derived = derive(key, salt, data).ok_or_else(foreign)?;
    if !bool::from(derived.commitment.ct_eq(commitment)) {
        return Err(foreign());
    }
    let mut frame = Zeroizing::new(body.to_vec());
    derived
        .cipher
        .decrypt_inout_detached(
            &derived.nonce.into(),
            data,
            frame.as_mut_slice().into(),
            &(*tag).into(),
        )
        .map_err(|_| OpenError::IntegrityError {
            what: "the authentication tag",
        })?;
    padding::unframe(frame)
}
