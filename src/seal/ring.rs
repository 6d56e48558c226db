//! Owns the key ring: its members and their states, which of them seals, and whether an envelope may be opened.
//! Transitions are pure: they change the value or refuse it, and never touch a disk. The text at rest is `ring_text`,
//! files and Secrets are `secrets::keyring`. Called by `secrets` and by `cli keys`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::chain::ChainKey;
use super::entropy::{Entropy, NoEntropy};
use super::envelope::{self, Envelope, Suite};
use super::error::{Error, OpenError};
use super::fingerprint::{Fingerprint, FingerprintRoot};
use super::keys::{Kid, PrivateKey, PublicKey};
use super::plaintext::Plaintext;
use super::scope::{Context, ScopeKind};

/// Where a key is in its life. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Made, waiting for its backup; opens nothing that anybody should have sealed yet, but opens.
    Pending,
    /// The one key to seal to.
    Primary,
    /// Opens what was sealed to it; nothing new is.
    DecryptOnly,
    /// Refuses to open what users sealed; the material is still there, for what the program keeps at rest.
    Revoked,
    /// The material is gone; only the public key is remembered.
    Destroyed,
}

impl KeyState {
    /// The word at rest and in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Primary => "primary",
            Self::DecryptOnly => "decrypt-only",
            Self::Revoked => "revoked",
            Self::Destroyed => "destroyed",
        }
    }

    /// The state of a word.
    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        [
            Self::Pending,
            Self::Primary,
            Self::DecryptOnly,
            Self::Revoked,
            Self::Destroyed,
        ]
        .into_iter()
        .find(|state| state.word().as_bytes() == word)
    }

    /// Whether a key in this state opens values.
    #[must_use]
    pub const fn opens(self) -> bool {
        match self {
            Self::Pending | Self::Primary | Self::DecryptOnly => true,
            Self::Revoked | Self::Destroyed => false,
        }
    }
}

impl std::fmt::Display for KeyState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Who wrote an envelope, as its carrier says: suite g is only ever written by the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenBy {
    /// It stands in a user's manifest: suite x only.
    User,
    /// It is the program's own (generated values, keys and Secrets at rest).
    Program,
}

/// What a member holds: the pair, or, when destroyed, the public half.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Material {
    Whole(PrivateKey),
    PublicOnly(PublicKey),
}

/// One key of a ring.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    pub(super) state: KeyState,
    pub(super) created: Timestamp,
    pub(super) backed_up: Option<Timestamp>,
    pub(super) material: Material,
}

impl Member {
    /// The key's id.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.public().kid()
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn state(&self) -> KeyState {
        self.state
    }

    /// When it was made, UTC.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// When it was last part of a backup, UTC; `None` when it never was.
    #[must_use]
    pub const fn backed_up(&self) -> Option<Timestamp> {
        self.backed_up
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        match &self.material {
            Material::Whole(key) => key.public(),
            Material::PublicOnly(key) => key,
        }
    }

    fn new(key: PrivateKey, state: KeyState, created: Timestamp) -> Self {
        Self {
            state,
            created: to_the_second(created),
            backed_up: None,
            material: Material::Whole(key),
        }
    }
}

/// Dates are kept to the second: more tells nobody anything.
pub(super) fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A key ring: exactly one primary key, any number of others, and the root of fingerprints.
#[derive(Debug, PartialEq, Eq)]
pub struct Ring {
    pub(super) members: BTreeMap<Kid, Member>,
    pub(super) primary: Kid,
    pub(super) root: FingerprintRoot,
    pub(super) allow_cluster_scope: bool,
}

impl Ring {
    /// A new ring. Its first key is primary at once: there is nothing yet that a lost backup could lose.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source fails.
    pub fn generate(created: Timestamp, entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let key = PrivateKey::generate(entropy)?;
        let root = FingerprintRoot::generate(entropy)?;
        let primary = key.kid();
        let members = BTreeMap::from([(primary, Member::new(key, KeyState::Primary, created))]);
        Ok(Self {
            members,
            primary,
            root,
            allow_cluster_scope: false,
        })
    }

    /// The members, by kid.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The id of the one key to seal to. Every ring has exactly one.
    #[must_use]
    pub const fn primary(&self) -> Kid {
        self.primary
    }

    /// The public keys whose values open, the primary first, then by kid.
    #[must_use]
    pub fn public_keys(&self) -> Vec<&Member> {
        let mut usable: Vec<_> = self.members().filter(|m| m.state.opens()).collect();
        usable.sort_by_key(|m| (m.kid() != self.primary, m.kid()));
        usable
    }

    /// The member `kid`, if the ring has it.
    #[must_use]
    pub fn member(&self, kid: Kid) -> Option<&Member> {
        self.members.get(&kid)
    }

    /// Whether values of cluster scope are opened.
    #[must_use]
    pub const fn allows_cluster_scope(&self) -> bool {
        self.allow_cluster_scope
    }

    /// Sets the policy on cluster scope. Allowing it lets whoever may create a `DockerSecret` and a consumer
    /// anywhere open a copied value of that scope.
    pub const fn set_cluster_scope(&mut self, allowed: bool) {
        self.allow_cluster_scope = allowed;
    }

    /// Opens a value that was sealed for `context`: exact look-up of the kid, never trial decryption.
    ///
    /// # Errors
    /// Every cause of [`OpenError`] but `ValueTooLarge`, which the parser reports. The order of the questions is:
    /// who wrote it, scope, policy, kid, state, commitment, tag. What the program wrote itself opens under a revoked key,
    /// too: that key protects nothing from those who know it, and refusing would lose what is at rest.
    pub fn open(
        &self,
        envelope: &Envelope,
        context: &Context,
        written_by: WrittenBy,
    ) -> Result<Plaintext, OpenError> {
        if envelope.suite() == Suite::G && written_by == WrittenBy::User {
            return Err(OpenError::UnsupportedEnvelope {
                what: "envelope suite g in a manifest".to_owned(),
                next: "only the program writes it; seal the value with `supercargo seal` (suite x)",
            });
        }
        envelope.check_scope(context)?;
        if envelope.scope().kind() == ScopeKind::Cluster && !self.allow_cluster_scope {
            return Err(OpenError::ClusterScopeRefused);
        }
        let kid = envelope.kid();
        let Some(member) = self.members.get(&kid) else {
            let held = self.public_keys().iter().map(|m| m.kid()).collect();
            return Err(OpenError::UnknownKeyId { kid, held });
        };
        match &member.material {
            Material::Whole(key) if member.state.opens() || written_by == WrittenBy::Program => {
                envelope::open(key, envelope, context)
            }
            Material::Whole(_) | Material::PublicOnly(_) => Err(OpenError::KeyRevoked {
                kid,
                state: member.state,
            }),
        }
    }

    /// Seals a value of the program's own under the primary key, with suite g.
    ///
    /// # Errors
    /// [`Error::ValueTooLarge`] over 64 KiB, [`Error::NoEntropy`].
    pub fn seal_own(
        &self,
        context: &Context,
        value: &Plaintext,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, Error> {
        match self.members.get(&self.primary).map(|m| &m.material) {
            Some(Material::Whole(key)) => envelope::seal_with(key, context, value, entropy),
            Some(Material::PublicOnly(_)) | None => Err(Error::NoSuchKey { kid: self.primary }),
        }
    }

    /// The keyed fingerprint of a value in a namespace.
    #[must_use]
    pub fn fingerprint(&self, namespace: &str, value: &Plaintext) -> Fingerprint {
        self.root.fingerprint(namespace, value.expose())
    }

    /// The id of the fingerprint root: fingerprints under another id cannot be compared with this ring's.
    #[must_use]
    pub const fn fingerprint_root_id(&self) -> Fingerprint {
        self.root.id()
    }

    /// The key that chains records of the audit file: of the root, so that no renewal breaks a chain.
    #[must_use]
    pub fn chain_key(&self) -> ChainKey {
        self.root.chain_key()
    }

    /// Makes a pending key and returns its id. It seals nothing until it is promoted.
    ///
    /// # Errors
    /// [`Error::AlreadyPending`], [`Error::NoEntropy`].
    pub fn renew(&mut self, created: Timestamp, entropy: &mut dyn Entropy) -> Result<Kid, Error> {
        if let Some(waiting) = self.members().find(|m| m.state == KeyState::Pending) {
            return Err(Error::AlreadyPending { kid: waiting.kid() });
        }
        let key = PrivateKey::generate(entropy)?;
        let kid = key.kid();
        self.members
            .insert(kid, Member::new(key, KeyState::Pending, created));
        Ok(kid)
    }

    /// Makes the pending key `kid` primary; the former primary becomes decrypt-only.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::WrongState`] unless it is pending.
    pub fn promote(&mut self, kid: Kid) -> Result<(), Error> {
        self.shift(
            kid,
            KeyState::Pending,
            KeyState::Primary,
            "only a pending key is promoted; make one with `supercargo keys renew`",
        )?;
        let former = std::mem::replace(&mut self.primary, kid);
        if let Some(member) = self.members.get_mut(&former) {
            member.state = KeyState::DecryptOnly;
        }
        Ok(())
    }

    /// Refuses to open any user's value with `kid` from now on. The primary cannot be revoked: renew and promote first.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::WrongState`] unless it is pending or decrypt-only.
    pub fn revoke(&mut self, kid: Kid) -> Result<(), Error> {
        let member = self.members.get_mut(&kid).ok_or(Error::NoSuchKey { kid })?;
        let next = match member.state {
            KeyState::Pending | KeyState::DecryptOnly => {
                member.state = KeyState::Revoked;
                return Ok(());
            }
            KeyState::Primary => "renew and promote another key first, so that there is one to seal to",
            KeyState::Revoked | KeyState::Destroyed => "nothing is left to revoke",
        };
        Err(Error::WrongState {
            kid,
            state: member.state,
            next,
        })
    }

    /// Wipes the material of the revoked key `kid`. The caller makes sure that no value names it any more.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::WrongState`] unless it is revoked.
    pub fn destroy(&mut self, kid: Kid) -> Result<(), Error> {
        self.shift(
            kid,
            KeyState::Revoked,
            KeyState::Destroyed,
            "only a revoked key is destroyed; revoke it first",
        )?;
        if let Some(member) = self.members.get_mut(&kid) {
            member.material = Material::PublicOnly(member.public().clone());
        }
        Ok(())
    }

    fn shift(&mut self, kid: Kid, from: KeyState, to: KeyState, next: &'static str) -> Result<(), Error> {
        let member = self.members.get_mut(&kid).ok_or(Error::NoSuchKey { kid })?;
        if member.state != from {
            return Err(Error::WrongState {
                kid,
                state: member.state,
                next,
            });
        }
        member.state = to;
        Ok(())
    }
}
