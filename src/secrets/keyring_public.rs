//! Owns public keys where people meet them: the ConfigMap `supercargo-public-keys` and the pinned `.supercargo-keys`.
//! Sealing to an attacker's key is total loss, so both are read strictly and a foreign edit is drift that is repaired.
//! It writes to no API: the controller does. Called by `controllers` and `cli`.

use std::collections::{BTreeMap, BTreeSet};

use super::keyring::KeyringError;
use crate::seal::{KeyState, Kid, PublicKey, Ring};

/// The name of the file that is pinned in git, looked for in the working directory and its parents.
pub const PINNED_FILE: &str = ".supercargo-keys";

const PRIMARY: &str = "primary";
const PENDING: &str = "pending";
const DECRYPT_ONLY: &str = "decrypt-only";

/// Public keys in the order of a pinned file: the first is the one to seal to, all of them may be met in manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    first: PublicKey,
    others: Vec<(PublicKey, Option<KeyState>)>,
}

impl PublicKeys {
    /// The ring's usable keys, the primary first.
    #[must_use]
    pub fn of(ring: &Ring) -> Option<Self> {
        let mut members = ring.public_keys().into_iter();
        let first = members.next()?.public().clone();
        Some(Self {
            first,
            others: members.map(|m| (m.public().clone(), Some(m.state()))).collect(),
        })
    }

    /// The key to seal to.
    #[must_use]
    pub const fn seal_to(&self) -> &PublicKey {
        &self.first
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.first).chain(self.others.iter().map(|(key, _)| key))
    }

    /// Whether one of them has this id.
    #[must_use]
    pub fn names(&self, kid: Kid) -> bool {
        self.iter().any(|key| key.kid() == kid)
    }

    /// Reads a pinned file: one `scpub1...` to a line, `#` begins a comment, empty lines are skipped.
    ///
    /// # Errors
    /// `BadPublicKey`, `TwicePublicKey` with the line; `NoPublicKey`.
    pub fn from_pinned(place: &str, text: &str) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        read_lines(place, text, &mut BTreeSet::new(), &mut |key| keys.push(key))?;
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| KeyringError::NoPublicKey {
            place: place.to_owned(),
        })?;
        Ok(Self {
            first,
            others: keys.map(|key| (key, None)).collect(),
        })
    }

    /// The text of a pinned file.
    #[must_use]
    pub fn to_pinned(&self) -> String {
        let mut out = format!("{}\n", self.first);
        for (key, state) in &self.others {
            let note = state.map(|s| format!(" # {s}")).unwrap_or_default();
            out.push_str(&format!("{key}{note}\n"));
        }
        out
    }

    /// The ConfigMap's data: `primary`, and where there are any `pending` and `decrypt-only`, one key to a line.
    #[must_use]
    pub fn to_config_map(&self) -> BTreeMap<String, String> {
        let mut data = BTreeMap::from([(PRIMARY.to_owned(), format!("{}\n", self.first))]);
        for (key, state) in &self.others {
            let under = if *state == Some(KeyState::Pending) {
                PENDING
            } else {
                DECRYPT_ONLY
            };
            data.entry(under.to_owned())
                .or_default()
                .push_str(&format!("{key}\n"));
        }
        data
    }

    /// Reads the ConfigMap's data.
    ///
    /// # Errors
    /// `BadPublicKey`, `TwicePublicKey` with the data key and line; `NoPublicKey` without exactly one primary.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Result<Self, KeyringError> {
        let place = |key: &str| {
            format!(
                "ConfigMap {} key {key:?}",
                crate::api::keys::PUBLIC_KEYS_CONFIG_MAP
            )
        };
        let (mut seen, mut primaries, mut others) = (BTreeSet::new(), Vec::new(), Vec::new());
        let text = |key: &str| data.get(key).map(String::as_str).unwrap_or_default();
        read_lines(&place(PRIMARY), text(PRIMARY), &mut seen, &mut |key| {
            primaries.push(key)
        })?;
        for (under, state) in [
            (PENDING, KeyState::Pending),
            (DECRYPT_ONLY, KeyState::DecryptOnly),
        ] {
            read_lines(&place(under), text(under), &mut seen, &mut |key| {
                others.push((key, Some(state)))
            })?;
        }
        let mut primaries = primaries.into_iter();
        match (primaries.next(), primaries.next()) {
            (Some(first), None) => Ok(Self { first, others }),
            _ => Err(KeyringError::NoPublicKey {
                place: place(PRIMARY),
            }),
        }
    }
}

/// What a foreign edit changed in the ConfigMap of public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The data as it must be.
    pub wanted: BTreeMap<String, String>,
    /// Keys that stand there and are not the ring's: somebody may want values sealed to himself.
    pub foreign: BTreeSet<Kid>,
}

/// Compares the ConfigMap (`None`: it does not exist) with the ring. `None` means that nothing is to be written.
#[must_use]
pub fn drift(ring: &Ring, found: Option<&BTreeMap<String, String>>) -> Option<Drift> {
    let wanted = PublicKeys::of(ring)?.to_config_map();
    if found == Some(&wanted) {
        return None;
    }
    let values = found.into_iter().flat_map(BTreeMap::values);
    let keys = values
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().parse::<PublicKey>().ok());
    let foreign = keys
        .map(|key| key.kid())
        .filter(|kid| ring.member(*kid).is_none())
        .collect();
    Some(Drift { wanted, foreign })
}

fn read_lines(
    place: &str,
    text: &str,
    seen: &mut BTreeSet<Kid>,
    take: &mut dyn FnMut(PublicKey),
) -> Result<(), KeyringError> {
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let (place, number) = (place.to_owned(), at + 1);
        let key: PublicKey = match line.parse() {
            Ok(key) => key,
            Err(source) => {
                return Err(KeyringError::BadPublicKey {
                    place,
                    line: number,
                    source,
                });
            }
        };
        if !seen.insert(key.kid()) {
            return Err(KeyringError::TwicePublicKey {
                place,
                line: number,
                kid: key.kid(),
            });
        }
        take(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SystemEntropy;

    fn ring() -> Ring {
        let mut ring = Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap();
        let kid = ring
            .renew(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy)
            .unwrap();
        ring.promote(kid).unwrap();
        ring.renew(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy)
            .unwrap();
        ring
    }

    #[test]
    fn the_config_map_and_the_pinned_file_read_back_with_the_primary_first() {
        let ring = ring();
        let keys = PublicKeys::of(&ring).unwrap();
        assert_eq!(keys.seal_to().kid(), ring.primary());
        let data = keys.to_config_map();
        assert_eq!(
            data.keys().collect::<Vec<_>>(),
            ["decrypt-only", "pending", "primary"]
        );
        let read = PublicKeys::from_config_map(&data).unwrap();
        let kids = |k: &PublicKeys| k.iter().map(PublicKey::kid).collect::<BTreeSet<_>>();
        assert_eq!((read.seal_to(), kids(&read)), (keys.seal_to(), kids(&keys)));
        let pinned = PublicKeys::from_pinned(PINNED_FILE, &keys.to_pinned()).unwrap();
        assert_eq!((pinned.seal_to(), kids(&pinned)), (keys.seal_to(), kids(&keys)));
        assert_eq!(drift(&ring, Some(&data)), None);
    }

    #[test]
    fn an_attackers_key_in_the_config_map_is_named_and_repaired() {
        let (ours, theirs) = (ring(), ring());
        let mut data = PublicKeys::of(&ours).unwrap().to_config_map();
        let wanted = data.clone();
        data.insert(
            "primary".into(),
            format!("{}\n", PublicKeys::of(&theirs).unwrap().seal_to()),
        );
        let found = drift(&ours, Some(&data)).unwrap();
        assert_eq!(
            found,
            Drift {
                wanted,
                foreign: BTreeSet::from([theirs.primary()])
            }
        );
        assert!(drift(&ours, None).unwrap().foreign.is_empty());
    }

    #[test]
    fn a_pinned_file_may_have_comments_and_names_its_bad_line() {
        let key = PublicKeys::of(&ring()).unwrap().seal_to().clone();
        let text = format!("# ours\n\n  {key}  # since May\r\n");
        assert_eq!(PublicKeys::from_pinned("f", &text).unwrap().seal_to(), &key);
        let error = |text: &str| PublicKeys::from_pinned("f", text).unwrap_err().to_string();
        assert!(error("# nothing\n").contains("names no public key"));
        assert!(error(&format!("{key}\nscpub1.x\n")).contains("line 2"));
        assert!(error(&format!("{key}\n{key}\n")).contains("stands above already"));
    }

    #[test]
    fn a_config_map_without_exactly_one_primary_is_refused() {
        let (a, b) = (ring(), ring());
        let line = |r: &Ring| format!("{}\n", PublicKeys::of(r).unwrap().seal_to());
        let two = BTreeMap::from([("primary".to_owned(), line(&a) + &line(&b))]);
        for data in [BTreeMap::new(), two] {
            assert!(matches!(
                PublicKeys::from_config_map(&data),
                Err(KeyringError::NoPublicKey { .. })
            ));
        }
    }
}
