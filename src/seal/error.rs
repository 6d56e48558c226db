//! Owns what can go wrong in this room, in two enums: [`OpenError`] is a state of somebody's manifest or ring and
//! becomes a cause of `SecretResolutionError`; [`Error`] is the caller's own input to sealing or to the ring.
//! No variant carries a value, its length, an envelope's text or key material: people paste plaintext into the
//! wrong field, and errors are logged. Called by everybody.

use super::keys::Kid;
use super::ring::KeyState;

/// Why an envelope was not opened. The word of the cause is [`OpenError::cause`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No member of the ring has this kid.
    #[error(
        "sealed to key {kid}, which the key ring does not hold (it holds {}); seal the value again with a current public key (`supercargo keys public`) or restore the ring that holds {kid}",
        list(.held)
    )]
    UnknownKeyId {
        /// The kid in the envelope.
        kid: Kid,
        /// The kids in the ring.
        held: Vec<Kid>,
    },
    /// The member is revoked or destroyed.
    #[error(
        "sealed to key {kid}, which is {state}; rotate the value: make a new one and seal it with a current public key"
    )]
    KeyRevoked {
        /// The kid in the envelope.
        kid: Kid,
        /// Its state.
        state: KeyState,
    },
    /// Sealed for another namespace, name or key.
    #[error(
        "sealed for another place than {wanted} (scope {scope}); seal the value again for this place: it cannot be copied"
    )]
    ScopeMismatch {
        /// Where it was to be used.
        wanted: String,
        /// The word of the envelope's scope.
        scope: &'static str,
    },
    /// Cluster scope, which the ring's policy does not allow.
    #[error(
        "sealed with scope cluster, which this key ring refuses; seal it again with scope strict or namespace, or have the ring's administrator allow cluster scope"
    )]
    ClusterScopeRefused,
    /// The key commitment or the authentication tag does not fit.
    #[error(
        "altered, cut or mixed up after it was sealed ({what} does not fit); restore the line from git or seal the value again"
    )]
    IntegrityError {
        /// `the key commitment` or `the authentication tag`.
        what: &'static str,
    },
    /// Not an envelope of this version.
    #[error("not a sealed value: {detail}; make one with `supercargo seal --raw`")]
    MalformedEnvelope {
        /// What is wrong, never what was found.
        detail: &'static str,
    },
    /// A version or suite that this program does not know, or that a manifest may not use.
    #[error("{what} is not supported here; {next}")]
    UnsupportedEnvelope {
        /// The version or suite.
        what: String,
        /// What to do.
        next: &'static str,
    },
    /// The envelope's text is longer than any value may need.
    #[error(
        "the envelope has {size} characters, the limit is {limit} (a value of 64 KiB); split the value or deliver it another way"
    )]
    ValueTooLarge {
        /// Characters of envelope text.
        size: usize,
        /// The limit in characters.
        limit: usize,
    },
}

impl OpenError {
    /// The cause's word in conditions, events and metrics: one of a closed set.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::UnknownKeyId { .. } => "UnknownKeyId",
            Self::KeyRevoked { .. } => "KeyRevoked",
            Self::ScopeMismatch { .. } | Self::ClusterScopeRefused => "ScopeMismatch",
            Self::IntegrityError { .. } => "IntegrityError",
            Self::MalformedEnvelope { .. } => "MalformedEnvelope",
            Self::UnsupportedEnvelope { .. } => "UnsupportedEnvelope",
            Self::ValueTooLarge { .. } => "ValueTooLarge",
        }
    }
}

/// Why a key, a context or a ring was refused, or a value was not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kernel gave no random bytes.
    #[error(
        "no random bytes from the system; nothing was made: try again when the machine has finished booting"
    )]
    NoEntropy,
    /// The cipher refused its input, which a correct program never sees.
    #[error("the cipher refused to seal; nothing was made: report this as a bug")]
    CipherRefused,
    /// A value over 64 KiB.
    #[error(
        "the value has {size} bytes, the limit is {limit}; split it over several keys or deliver it another way"
    )]
    ValueTooLarge {
        /// Bytes of the value.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A namespace, name or key that cannot be bound.
    #[error("the {what} has {size} bytes; it must have 1 to {limit}")]
    BadContext {
        /// `namespace`, `name` or `key`.
        what: &'static str,
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not a public key in text form.
    #[error(
        "not a public key: {detail}; it looks like scpub1.<16 hex digits>.<43 characters>, see `supercargo keys public`"
    )]
    BadPublicKey {
        /// What is wrong.
        detail: &'static str,
    },
    /// A public key to which nothing can be sealed (a point of low order).
    #[error(
        "key {kid} is not a usable X25519 key; ask for the right one: a value sealed to it would be open to all"
    )]
    WeakPublicKey {
        /// Its kid.
        kid: Kid,
    },
    /// A transition that the ring's states do not allow.
    #[error("key {kid} is {state}: {next}")]
    WrongState {
        /// The member.
        kid: Kid,
        /// The state it is in.
        state: KeyState,
        /// What is possible instead.
        next: &'static str,
    },
    /// The ring has no such member.
    #[error("no key {kid} in this ring; see `supercargo keys list`")]
    NoSuchKey {
        /// The kid asked for.
        kid: Kid,
    },
    /// A new key is already waiting.
    #[error("key {kid} is already pending; promote or revoke it before making another")]
    AlreadyPending {
        /// The waiting member.
        kid: Kid,
    },
    /// The key is in no backup yet.
    #[error(
        "key {kid} is in no backup yet: values that are sealed to it would be lost with the ring; run `supercargo keys backup` first, or promote it with --without-backup"
    )]
    NotBackedUp {
        /// The pending member.
        kid: Kid,
    },
    /// A ring cannot be backed up to a key of its own.
    #[error(
        "key {kid} is one of this ring's own, and would be lost together with it; make another with `supercargo keys init --keyring recovery.ring`, and keep that file elsewhere"
    )]
    OwnRecipient {
        /// The recipient.
        kid: Kid,
    },
    /// The ring that was given cannot open this backup.
    #[error(
        "the backup was made for key {kid}, which is not in the ring given for it; give the one that has it"
    )]
    OtherRecipient {
        /// Whom it was made for.
        kid: Kid,
    },
    /// Not a backup, or not as it was written.
    #[error("not a backup of a key ring as it was made: line {line}: {detail}; take another copy of it")]
    BadBackup {
        /// The line, from 1.
        line: usize,
        /// What is wrong, never what was found.
        detail: &'static str,
    },
    /// The ring's text is not what this program writes.
    #[error("not a key ring: line {line}: {detail}")]
    BadRing {
        /// The line, from 1.
        line: usize,
        /// What is wrong, never what was found.
        detail: &'static str,
    },
}

impl From<super::entropy::NoEntropy> for Error {
    fn from(_: super::entropy::NoEntropy) -> Self {
        Self::NoEntropy
    }
}

fn list(kids: &[Kid]) -> String {
    if kids.is_empty() {
        return "none".to_owned();
    }
    kids.iter().map(Kid::to_string).collect::<Vec<_>>().join(", ")
}
