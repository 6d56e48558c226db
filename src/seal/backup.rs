//! Owns the backup of a ring: a few lines in clear, and bound to them the ring, sealed with suite x to another ring's key.
//! ```text
//! supercargo-keyring-backup 1 / made <RFC 3339 UTC> / for <kid> / fingerprint-root <id>      (a line each)
//! key <state> <created> <kid>                                                               (a line each)
//! sealed sc1.x....  / end
//! ```
//! Also what a backup means to a ring: dates of its members, and taking back those that are missing. Called by `cli keys`.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::entropy::Entropy;
use super::envelope::{self, Envelope};
use super::error::Error;
use super::keys::{Kid, PublicKey};
use super::plaintext::Plaintext;
use super::ring::{KeyState, Material, Ring, to_the_second};
use super::ring_text::read_date;
use super::scope::{Context, Scope};

const MAGIC: &str = "supercargo-keyring-backup 1";
const SEALED: &str = "sealed ";
/// No namespace has this name, so no object's value can be taken for a backup, nor the other way round.
const NOWHERE: &str = "-";

/// A backup as it is read: everything about it that is known without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    head: String,
    made: Timestamp,
    recipient: Kid,
    kids: Vec<Kid>,
    sealed: Envelope,
    /// The line of what is sealed, for errors.
    line: usize,
}

impl Backup {
    /// The text of a backup of `ring`, which `to` can open. Mark the ring first ([`Ring::mark_backed_up`]), so that the
    /// restored one knows that it is backed up.
    ///
    /// # Errors
    /// [`Error::OwnRecipient`], [`Error::ValueTooLarge`] for a ring of several hundred keys, [`Error::WeakPublicKey`],
    /// [`Error::NoEntropy`].
    pub fn seal(
        ring: &Ring,
        to: &PublicKey,
        made: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<String, Error> {
        let kid = to.kid();
        if ring.member(kid).is_some() {
            return Err(Error::OwnRecipient { kid });
        }
        let made = to_the_second(made);
        let mut text = format!(
            "{MAGIC}\nmade {made}\nfor {kid}\nfingerprint-root {}\n",
            ring.fingerprint_root_id()
        );
        for member in ring.members() {
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "key {} {} {}",
                member.state(),
                member.created(),
                member.kid()
            );
        }
        let plaintext = Plaintext::from_zeroizing(ring.to_text());
        let sealed = envelope::seal(to, &context(&text)?, &plaintext, entropy)?;
        let _ = write!(text, "{SEALED}{sealed}\nend\n");
        Ok(text)
    }

    /// Reads what [`Backup::seal`] writes. Total on arbitrary bytes.
    ///
    /// # Errors
    /// [`Error::BadBackup`] with the line.
    pub fn from_text(text: &[u8]) -> Result<Self, Error> {
        let bad = |line, detail| Error::BadBackup { line, detail };
        let text = std::str::from_utf8(text).map_err(|_| bad(1, "it is not text"))?;
        let mut lines = Lines { rest: text, line: 0 };
        if lines.next()? != MAGIC {
            return Err(bad(1, "it does not begin with `supercargo-keyring-backup 1`"));
        }
        let made = read_date(lines.field("made ")?.as_bytes());
        let made = made.ok_or(bad(2, "its date is not RFC 3339 in UTC"))?;
        let recipient = lines.field("for ")?.parse();
        let recipient = recipient.map_err(|_| bad(3, "the recipient is no key id"))?;
        lines.field("fingerprint-root ")?;
        let mut kids = Vec::new();
        let sealed = loop {
            let line = lines.next()?;
            if let Some(sealed) = line.strip_prefix(SEALED) {
                break sealed;
            }
            let kid = line.strip_prefix("key ").and_then(|rest| rest.rsplit(' ').next());
            let kid = kid.and_then(|kid| kid.parse().ok());
            kids.push(kid.ok_or(bad(
                lines.line,
                "it is neither `key <state> <created> <kid>` nor sealed",
            ))?);
        };
        let line = lines.line;
        let sealed: Envelope = sealed
            .parse()
            .map_err(|_| bad(line, "what is sealed was cut or altered"))?;
        if lines.next()? != "end" || !lines.rest.is_empty() {
            return Err(bad(lines.line, "it does not end with the line `end`"));
        }
        let head = text.split_once(SEALED).map_or("", |(head, _)| head).to_owned();
        Ok(Self {
            head,
            made,
            recipient,
            kids,
            sealed,
            line,
        })
    }

    /// When it was made, UTC, to the second.
    #[must_use]
    pub const fn made(&self) -> Timestamp {
        self.made
    }

    /// The key that opens it.
    #[must_use]
    pub const fn recipient(&self) -> Kid {
        self.recipient
    }

    /// The keys that are in it.
    #[must_use]
    pub fn kids(&self) -> &[Kid] {
        &self.kids
    }

    /// The ring as it was, opened by the ring `with`, whatever state its key is in: who has it is who may restore.
    /// A backup does not say who made it: compare its keys with those that are pinned before it is used.
    ///
    /// # Errors
    /// [`Error::OtherRecipient`], [`Error::BadBackup`] when anything was altered, [`Error::BadRing`].
    pub fn open(&self, with: &Ring) -> Result<Ring, Error> {
        let material = with.member(self.recipient).map(|m| &m.material);
        let Some(Material::Whole(key)) = material else {
            return Err(Error::OtherRecipient { kid: self.recipient });
        };
        let opened =
            envelope::open(key, &self.sealed, &context(&self.head)?).map_err(|_| Error::BadBackup {
                line: self.line,
                detail: "what is sealed, or a line above it, was altered",
            })?;
        Ring::from_text(opened.expose())
    }
}

impl Ring {
    /// Remembers that these members are in a backup that was made at `made`. Unknown ones are left out: the ring may
    /// have changed since; and so are destroyed ones, of which nothing is there to be had again.
    pub fn mark_backed_up(&mut self, kids: &[Kid], made: Timestamp) {
        for kid in kids {
            if let Some(member) = self.members.get_mut(kid)
                && matches!(member.material, Material::Whole(_))
            {
                member.backed_up = member.backed_up.max(Some(to_the_second(made)));
            }
        }
    }

    /// Whether the member `kid` could be had again if the ring were lost.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NotBackedUp`].
    pub fn check_backed_up(&self, kid: Kid) -> Result<(), Error> {
        match self.member(kid).ok_or(Error::NoSuchKey { kid })?.backed_up {
            Some(_) => Ok(()),
            None => Err(Error::NotBackedUp { kid }),
        }
    }

    /// Takes over the members of `other` that this ring lacks, and returns their ids. None is overwritten, and none
    /// comes to seal: primary and pending ones open only. Policy and fingerprint root stay this ring's.
    pub fn take_missing(&mut self, other: Self) -> Vec<Kid> {
        let mut taken = Vec::new();
        for (kid, mut member) in other.members {
            if self.members.contains_key(&kid) {
                continue;
            }
            member.state = match member.state {
                KeyState::Pending | KeyState::Primary | KeyState::DecryptOnly => KeyState::DecryptOnly,
                KeyState::Revoked => KeyState::Revoked,
                KeyState::Destroyed => KeyState::Destroyed,
            };
            self.members.insert(kid, member);
            taken.push(kid);
        }
        taken
    }
}

/// Where a backup is sealed for: the place of no object, with its lines in clear.
fn context(head: &str) -> Result<Context, Error> {
    let digest = Sha256::digest(head.as_bytes());
    let mut item = "keyring-backup/".to_owned();
    for byte in digest {
        let _ = write!(item, "{byte:02x}");
    }
    let scope = Scope::Strict {
        namespace: NOWHERE.to_owned(),
        name: "keyring".to_owned(),
    };
    Context::new(scope, &item)
}

/// Lines of the text, counted from 1. A line without its newline is a cut file.
struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, Error> {
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or(Error::BadBackup {
            line: self.line,
            detail: "the text ends before `end`: it was cut",
        })?;
        self.rest = rest;
        Ok(line)
    }

    fn field(&mut self, name: &'static str) -> Result<&'a str, Error> {
        let line = self.next()?;
        line.strip_prefix(name).ok_or(Error::BadBackup {
            line: self.line,
            detail: "a line of the four at its head is missing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{ScopeKind, SystemEntropy, WrittenBy};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ring() -> Ring {
        Ring::generate(at("2026-11-22T00:00:00Z"), &mut SystemEntropy).unwrap()
    }

    /// A ring with a key in every state but pending.
    fn lived() -> Ring {
        let mut ring = ring();
        for _ in 0..3 {
            let former = ring.primary();
            let kid = ring
                .renew(at("2026-11-22T00:00:00Z"), &mut SystemEntropy)
                .unwrap();
            ring.promote(kid).unwrap();
            if ring.members().count() < 4 {
                ring.revoke(former).unwrap();
            }
        }
        let revoked = ring.members().find(|m| m.state() == KeyState::Revoked);
        let kid = revoked.unwrap().kid();
        ring.destroy(kid).unwrap();
        ring
    }

    fn backup(ring: &mut Ring, to: &Ring) -> String {
        let made = at("2026-11-23T00:00:00.5Z");
        let kids: Vec<Kid> = ring.members().map(super::super::ring::Member::kid).collect();
        ring.mark_backed_up(&kids, made);
        let to = to.member(to.primary()).unwrap().public();
        Backup::seal(ring, to, made, &mut SystemEntropy).unwrap()
    }

    #[test]
    fn a_restored_ring_is_the_ring_that_was_backed_up() {
        let (mut old, recovery) = (lived(), ring());
        let text = backup(&mut old, &recovery);
        let read = Backup::from_text(text.as_bytes()).unwrap();
        assert_eq!(
            (read.recipient(), read.made()),
            (recovery.primary(), at("2026-11-23T00:00:00Z"))
        );
        assert_eq!(read.kids().len(), old.members().count());
        let restored = read.open(&recovery).unwrap();
        assert_eq!(restored, old);
        assert_eq!(restored.fingerprint_root_id(), old.fingerprint_root_id());
        assert!(restored.check_backed_up(restored.primary()).is_ok());
    }

    #[test]
    fn a_backup_shows_no_key_and_opens_for_its_recipient_only() {
        let (mut old, recovery, other) = (ring(), ring(), ring());
        let text = backup(&mut old, &recovery);
        assert!(!text.contains("scsec1") && !text.contains("scroot1"));
        let read = Backup::from_text(text.as_bytes()).unwrap();
        assert_eq!(
            read.open(&other),
            Err(Error::OtherRecipient {
                kid: recovery.primary()
            })
        );
        let own = old.member(old.primary()).unwrap().public().clone();
        assert!(matches!(
            Backup::seal(&old, &own, read.made(), &mut SystemEntropy),
            Err(Error::OwnRecipient { .. })
        ));
    }

    #[test]
    fn no_changed_or_missing_byte_of_a_backup_goes_unnoticed() {
        let (mut old, recovery) = (ring(), ring());
        let text = backup(&mut old, &recovery).into_bytes();
        let opens = |text: &[u8]| Backup::from_text(text).and_then(|b| b.open(&recovery));
        assert!(opens(&text).is_ok());
        for at in 0..text.len() {
            assert!(opens(&text[..at]).is_err(), "cut at {at}");
            let mut bad = text.clone();
            bad[at] ^= 1;
            assert!(opens(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn missing_members_come_back_to_open_and_nothing_else_changes() {
        let (mut now, mut before) = (ring(), ring());
        let (primary, root) = (now.primary(), now.fingerprint_root_id());
        let pending = before.renew(before_date(), &mut SystemEntropy).unwrap();
        let lost = before.primary();
        let context = Context::at(ScopeKind::Strict, "shop", "db", "password").unwrap();
        let value = Plaintext::new(b"v".to_vec());
        let to = before.member(lost).unwrap().public().clone();
        let sealed = envelope::seal(&to, &context, &value, &mut SystemEntropy).unwrap();
        assert!(now.open(&sealed, &context, WrittenBy::User).is_err());
        let mut taken = now.take_missing(before);
        taken.sort();
        let mut expected = vec![lost, pending];
        expected.sort();
        assert_eq!(taken, expected);
        assert_eq!((now.primary(), now.fingerprint_root_id()), (primary, root));
        assert!(now.open(&sealed, &context, WrittenBy::User).unwrap() == value);
        for kid in taken {
            assert_eq!(now.member(kid).unwrap().state(), KeyState::DecryptOnly);
        }
        // The text has one primary still.
        assert_eq!(Ring::from_text(&now.to_text()).unwrap(), now);
    }

    fn before_date() -> Timestamp {
        at("2026-10-01T00:00:00Z")
    }

    #[test]
    fn what_the_ring_holds_in_another_state_is_not_overwritten() {
        let mut now = ring();
        let former = now.primary();
        let kid = now.renew(before_date(), &mut SystemEntropy).unwrap();
        let old = Ring::from_text(&now.to_text()).unwrap();
        now.promote(kid).unwrap();
        now.revoke(former).unwrap();
        now.destroy(former).unwrap();
        assert_eq!(now.take_missing(old), []);
        assert_eq!(now.member(former).unwrap().state(), KeyState::Destroyed);
    }

    #[test]
    fn a_key_counts_as_backed_up_from_its_own_backup_on() {
        let mut ring = ring();
        let first = ring.primary();
        ring.mark_backed_up(&[first], before_date());
        let second = ring.renew(before_date(), &mut SystemEntropy).unwrap();
        assert_eq!(ring.check_backed_up(first), Ok(()));
        assert_eq!(
            ring.check_backed_up(second),
            Err(Error::NotBackedUp { kid: second })
        );
        ring.mark_backed_up(&[second], at("2026-11-23T00:00:00Z"));
        assert_eq!(ring.check_backed_up(second), Ok(()));
        assert_eq!(Ring::from_text(&ring.to_text()).unwrap(), ring);
    }
}
