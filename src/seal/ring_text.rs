//! Owns the ring's text at rest. One line per fact, ended by `end`, so that a cut file is never a smaller ring:
//! ```text
//! supercargo-keyring 1
//! cluster-scope refused|allowed
//! fingerprint-root scroot1.<id>.<key>
//! key <state> <created, RFC 3339 UTC> scsec1.<kid>.<seed> [<backed up>]     (scpub1.<kid>.<key> when destroyed)
//! end
//! ```
//! Version 2 if and only if a key was backed up. Buffers are wiped, errors name lines only. Called by `secrets`, `backup`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::Error;
use super::fingerprint::FingerprintRoot;
use super::keys::{Kid, PrivateKey, PublicKey};
use super::ring::{KeyState, Material, Member, Ring};

const MAGIC: &[u8] = b"supercargo-keyring ";
const PLAIN: &[u8] = b"1";
/// With dates of backups.
const DATED: &[u8] = b"2";
/// More bytes than any line needs, so that a buffer never grows and leaves a copy behind.
const LINE_BYTES: usize = 192;
/// The largest ring that is read.
const MAX_BYTES: usize = 1024 * 1024;

impl Ring {
    /// The ring's text. It holds every private key: it belongs in a file of mode 0600 or in one Secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(LINE_BYTES * (self.members.len() + 4)));
        out.extend_from_slice(MAGIC);
        let dated = self.members().any(|m| m.backed_up.is_some());
        out.extend_from_slice(if dated { DATED } else { PLAIN });
        let policy = if self.allow_cluster_scope {
            "allowed"
        } else {
            "refused"
        };
        out.extend_from_slice(b"\ncluster-scope ");
        out.extend_from_slice(policy.as_bytes());
        out.extend_from_slice(b"\nfingerprint-root ");
        self.root.write_text(&mut out);
        for member in self.members() {
            let facts = format!("\nkey {} {} ", member.state(), member.created());
            out.extend_from_slice(facts.as_bytes());
            match &member.material {
                Material::Whole(key) => key.write_text(&mut out),
                Material::PublicOnly(key) => out.extend_from_slice(key.to_string().as_bytes()),
            }
            if let Some(at) = member.backed_up {
                out.extend_from_slice(format!(" {at}").as_bytes());
            }
        }
        out.extend_from_slice(b"\nend\n");
        out
    }

    /// Reads what [`Ring::to_text`] writes, and nothing else. Total on arbitrary bytes.
    ///
    /// # Errors
    /// [`Error::BadRing`] with the line and what is wrong with it, never what stands there.
    pub fn from_text(text: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines { rest: text, line: 0 };
        if text.len() > MAX_BYTES {
            return Err(lines.bad("it is over 1 MiB"));
        }
        let version = lines.next()?.strip_prefix(MAGIC).ok_or_else(|| {
            lines.bad("it does not begin with `supercargo-keyring 1`: this is something else, or encrypted")
        })?;
        let dated = match version {
            PLAIN => false,
            DATED => true,
            _ => return Err(lines.bad("a later version of the key ring's format; upgrade supercargo")),
        };
        let allow_cluster_scope = match lines.field(b"cluster-scope ")? {
            b"refused" => false,
            b"allowed" => true,
            _ => return Err(lines.bad("cluster-scope is neither refused nor allowed")),
        };
        let root = lines.field(b"fingerprint-root ")?;
        let root = FingerprintRoot::read_text(root).map_err(|detail| lines.bad(detail))?;
        let (members, primary) = read_members(&mut lines, dated)?;
        if !lines.rest.is_empty() {
            lines.line += 1;
            return Err(lines.bad("something follows the line `end`"));
        }
        Ok(Self {
            members,
            primary,
            root,
            allow_cluster_scope,
        })
    }
}

fn read_members(lines: &mut Lines<'_>, dated: bool) -> Result<(BTreeMap<Kid, Member>, Kid), Error> {
    let mut members = BTreeMap::new();
    let mut primary = None;
    loop {
        let line = lines.next()?;
        if line == b"end" {
            break;
        }
        let member = read_member(line).map_err(|detail| lines.bad(detail))?;
        let kid = member.kid();
        if member.state() == KeyState::Primary && primary.replace(kid).is_some() {
            return Err(lines.bad("a second primary key"));
        }
        if members.insert(kid, member).is_some() {
            return Err(lines.bad("a key that stands above already"));
        }
    }
    let primary = primary.ok_or_else(|| lines.bad("no key is primary"))?;
    // One ring has one text.
    if dated != members.values().any(|m: &Member| m.backed_up.is_some()) {
        return Err(lines.bad("dates of backups belong to version 2, and to nothing else"));
    }
    Ok((members, primary))
}

fn read_member(line: &[u8]) -> Result<Member, &'static str> {
    let mut words = line.split(|b| *b == b' ');
    let (Some(b"key"), Some(state), Some(created), Some(key), backed_up, None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err("it is not `key <state> <created> <key>` nor `end`");
    };
    let state = KeyState::from_word(state).ok_or("the key's state is none of the five")?;
    let created = read_date(created).ok_or("the key's date is not RFC 3339 in UTC")?;
    let backed_up = match backed_up {
        None => None,
        Some(text) => Some(read_date(text).ok_or("the date of its backup is not RFC 3339 in UTC")?),
    };
    let material = match state {
        KeyState::Destroyed => {
            let text = std::str::from_utf8(key).map_err(|_| "a destroyed key is its public key")?;
            let public: PublicKey = text
                .parse()
                .map_err(|_| "a destroyed key is its public key (scpub1...)")?;
            Material::PublicOnly(public)
        }
        KeyState::Pending | KeyState::Primary | KeyState::DecryptOnly | KeyState::Revoked => {
            Material::Whole(PrivateKey::read_text(key)?)
        }
    };
    Ok(Member {
        state,
        created,
        backed_up,
        material,
    })
}

/// A date in the one spelling that is written.
pub(super) fn read_date(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let at: Timestamp = text.parse().ok()?;
    (at.to_string() == text).then_some(at)
}

/// Lines of the text, counted from 1. A line without its newline is a cut file.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], Error> {
        self.line += 1;
        let at = self.rest.iter().position(|b| *b == b'\n').ok_or_else(|| {
            if self.rest.is_empty() && self.line == 1 {
                self.bad("it is empty")
            } else {
                self.bad("the text ends before `end`: it was cut")
            }
        })?;
        let (line, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, &[]));
        self.rest = rest.get(1..).unwrap_or(&[]);
        Ok(line)
    }

    fn field(&mut self, name: &'static [u8]) -> Result<&'a [u8], Error> {
        let line = self.next()?;
        line.strip_prefix(name).ok_or_else(|| match name {
            b"cluster-scope " => self.bad("cluster-scope is missing"),
            _ => self.bad("fingerprint-root is missing"),
        })
    }

    const fn bad(&self, detail: &'static str) -> Error {
        Error::BadRing {
            line: if self.line == 0 { 1 } else { self.line },
            detail,
        }
    }
}
