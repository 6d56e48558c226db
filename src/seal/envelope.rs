//! Owns the envelope `sc1.<suite>.<kid>.<scope>.<payload>`: its strict, total parser, its one spelling, and the two
//! verbs `seal` and `open` for a single key. Which key and whether it may be used is `ring`'s.
//! The parser never echoes what it read: somebody may have put plaintext there. Called by `ring`, `secrets`, `cli`.

use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::entropy::Entropy;
use super::error::{Error, OpenError};
use super::keys::{Kid, PrivateKey, PublicKey};
use super::padding::{self, MAX_FRAME_BYTES};
use super::plaintext::Plaintext;
use super::scope::{Context, ScopeTag};
use super::suite_x::{COMMITMENT, ENCAPSULATED, TAG};
use super::{suite_g, suite_x};

const VERSION: &str = "sc1";
/// Bytes of a payload around its frame: the same 64 in both suites.
const AROUND: usize = ENCAPSULATED + COMMITMENT + TAG;
const HEADER_CHARS: usize = "sc1.x.0123456789abcdef.s0123456789abcdef.".len();

/// The longest envelope: that of a value of 64 KiB, in characters.
pub const MAX_ENVELOPE_CHARS: usize = HEADER_CHARS + ((AROUND + MAX_FRAME_BYTES) * 4).div_ceil(3);
/// The most envelope text one object may carry, in characters: 512 KiB.
pub const MAX_OBJECT_CHARS: usize = 512 * 1024;

/// How an envelope was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// `x`: HPKE to a public key; what people write.
    X,
    /// `g`: AES-256-GCM under the ring key; what the program writes.
    G,
}

impl Suite {
    /// The letter in the header.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::X => 'x',
            Self::G => 'g',
        }
    }
}

/// A sealed value, parsed: everything about it that is known without a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Envelope {
    suite: Suite,
    kid: Kid,
    scope: ScopeTag,
    payload: Vec<u8>,
}

impl Envelope {
    /// The suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The id of the key it is sealed to.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.kid
    }

    /// The scope's letter and public hash.
    #[must_use]
    pub const fn scope(&self) -> ScopeTag {
        self.scope
    }

    /// The context this envelope must have been sealed for to be used as `item_key` of `namespace/name`.
    ///
    /// # Errors
    /// [`Error::BadContext`] when one of the three is empty or over 253 bytes.
    pub fn context_at(&self, namespace: &str, name: &str, item_key: &str) -> Result<Context, Error> {
        Context::at(self.scope.kind(), namespace, name, item_key)
    }

    /// Whether the header's scope is that of `context`. Needs no key and proves nothing about the content.
    ///
    /// # Errors
    /// [`OpenError::ScopeMismatch`].
    pub fn check_scope(&self, context: &Context) -> Result<(), OpenError> {
        if self.scope == context.tag() {
            return Ok(());
        }
        Err(OpenError::ScopeMismatch {
            wanted: context.to_string(),
            scope: self.scope.kind().word(),
        })
    }

    fn header(&self) -> String {
        header(self.suite, self.kid, self.scope)
    }
}

impl std::fmt::Display for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}",
            self.header(),
            Base64UrlUnpadded::encode_string(&self.payload)
        )
    }
}

impl FromStr for Envelope {
    type Err = OpenError;

    /// Total on arbitrary text; accepts exactly what [`Envelope`]'s `Display` writes, with no space around it.
    fn from_str(text: &str) -> Result<Self, OpenError> {
        let bad = |detail| OpenError::MalformedEnvelope { detail };
        if text.len() > MAX_ENVELOPE_CHARS {
            return Err(OpenError::ValueTooLarge {
                size: text.len(),
                limit: MAX_ENVELOPE_CHARS,
            });
        }
        let mut parts = text.split('.');
        let mut next = || parts.next().unwrap_or("");
        let (version, suite, kid, scope, payload) = (next(), next(), next(), next(), next());
        check_version(version)?;
        let suite = read_suite(suite)?;
        let kid = Kid::from_str(kid).map_err(|_| bad("its key id is not 16 lower-case hex digits"))?;
        let scope =
            ScopeTag::parse(scope).ok_or(bad("its scope is not s, n or c and 16 lower-case hex digits"))?;
        if parts.next().is_some() {
            return Err(bad("it has more than five parts between dots"));
        }
        let payload = Base64UrlUnpadded::decode_vec(payload)
            .ok()
            .filter(|bytes| Base64UrlUnpadded::encode_string(bytes) == payload)
            .ok_or(bad(
                "its payload is not unpadded base64url: cut, wrapped or with a space",
            ))?;
        if !payload.len().checked_sub(AROUND).is_some_and(padding::is_bucket) {
            return Err(bad(
                "its payload has a length that no sealed value has: it is cut or two were joined",
            ));
        }
        Ok(Self {
            suite,
            kid,
            scope,
            payload,
        })
    }
}

/// Seals `value` to `to`, for `context`, with suite x. Two seals of the same value differ.
///
/// # Errors
/// [`Error::ValueTooLarge`] over 64 KiB, [`Error::WeakPublicKey`], [`Error::NoEntropy`].
pub fn seal(
    to: &PublicKey,
    context: &Context,
    value: &Plaintext,
    entropy: &mut dyn Entropy,
) -> Result<Envelope, Error> {
    let (suite, kid, scope) = (Suite::X, to.kid(), context.tag());
    let data = context.associated_data(&header(suite, kid, scope));
    Ok(Envelope {
        suite,
        kid,
        scope,
        payload: suite_x::seal(to, &data, value, entropy)?,
    })
}

/// Seals `value` under the ring key of `key`, for `context`, with suite g.
pub(super) fn seal_with(
    key: &PrivateKey,
    context: &Context,
    value: &Plaintext,
    entropy: &mut dyn Entropy,
) -> Result<Envelope, Error> {
    let (suite, kid, scope) = (Suite::G, key.kid(), context.tag());
    let data = context.associated_data(&header(suite, kid, scope));
    Ok(Envelope {
        suite,
        kid,
        scope,
        payload: suite_g::seal(key, &data, value, entropy)?,
    })
}

/// Opens `envelope` with exactly `key`, for `context`. A ring asks its own questions first ([`super::Ring::open`]).
///
/// # Errors
/// [`OpenError::ScopeMismatch`], [`OpenError::UnknownKeyId`] (another key's), [`OpenError::IntegrityError`],
/// [`OpenError::MalformedEnvelope`].
pub fn open(key: &PrivateKey, envelope: &Envelope, context: &Context) -> Result<Plaintext, OpenError> {
    envelope.check_scope(context)?;
    if envelope.kid != key.kid() {
        return Err(OpenError::UnknownKeyId {
            kid: envelope.kid,
            held: vec![key.kid()],
        });
    }
    let data = context.associated_data(&envelope.header());
    match envelope.suite {
        Suite::X => suite_x::open(key, &data, &envelope.payload),
        Suite::G => suite_g::open(key, &data, &envelope.payload),
    }
}

fn header(suite: Suite, kid: Kid, scope: ScopeTag) -> String {
    format!("{VERSION}.{}.{kid}.{scope}", suite.letter())
}

fn check_version(text: &str) -> Result<(), OpenError> {
    if text == VERSION {
        return Ok(());
    }
    // Only something that looks like a version is repeated in the message.
    match text.strip_prefix("sc") {
        Some(digits) if (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Err(OpenError::UnsupportedEnvelope {
                what: format!("envelope version {text}"),
                next: "upgrade supercargo, or seal the value again with this version",
            })
        }
        _ => Err(OpenError::MalformedEnvelope {
            detail: "it does not begin with sc1.",
        }),
    }
}

fn read_suite(text: &str) -> Result<Suite, OpenError> {
    match text.as_bytes() {
        [b'x'] => Ok(Suite::X),
        [b'g'] => Ok(Suite::G),
        [b'q'] => Err(OpenError::UnsupportedEnvelope {
            what: "envelope suite q (reserved for a post-quantum hybrid)".to_owned(),
            next: "upgrade supercargo, or seal the value again with suite x",
        }),
        [c] if c.is_ascii_lowercase() => Err(OpenError::UnsupportedEnvelope {
            what: format!("envelope suite {}", char::from(*c)),
            next: "upgrade supercargo, or seal the value again with suite x",
        }),
        _ => Err(OpenError::MalformedEnvelope {
            detail: "its suite is not one lower-case letter",
        }),
    }
}
