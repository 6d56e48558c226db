//! The certificates of one data directory: made at the first start, kept, and renewed before they end. Owns the files
//! below `pki/` and the decision what is due; how a certificate is made is `certificate`'s. Waits for nothing: whoever
//! runs the server asks again from time to time. Called by `cli` at start and by `listener`'s timer.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::private_file::{self, FileError};
use crate::{
    apiserver::authorize::MASTERS,
    clock::Clock,
    tls::certificate::{self, CertificateError, DAY, Facts, Pair},
};

/// Lifetime of the authority, in days.
const AUTHORITY_DAYS: i32 = 3650;
/// Lifetime of the others, in days.
const LEAF_DAYS: i32 = 365;
/// The user of the admin certificate.
pub const ADMIN: &str = "supercargo-admin";

/// The certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authority's file is damaged. It is never replaced in silence: every kubeconfig would end.
    #[error("{} holds no certificate and key; restore it from its backup, or remove it to make a new authority, after which every kubeconfig has to be handed out again", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
}

/// What a server and its admin need.
#[derive(Clone)]
pub struct Material {
    /// Issues the others.
    pub authority: Pair,
    /// The server's.
    pub serving: Pair,
    /// The admin's.
    pub admin: Pair,
    /// What was made just now, for the log: `authority`, `serving`, `admin`.
    pub made: Vec<&'static str>,
}

/// An authority, or the same one for longer.
pub(super) fn authority(now: Timestamp, key: Option<&str>) -> Result<Pair, CertificateError> {
    certificate::authority(now, DAY * AUTHORITY_DAYS, key)
}

/// For the API server.
pub(super) fn serving(authority: &Pair, now: Timestamp, names: &[String]) -> Result<Pair, CertificateError> {
    certificate::serving(authority, now, DAY * LEAF_DAYS, "supercargo-apiserver", names)
}

/// For a client that may do everything.
pub(super) fn admin(authority: &Pair, now: Timestamp) -> Result<Pair, CertificateError> {
    certificate::client(authority, now, DAY * LEAF_DAYS, ADMIN, MASTERS)
}

/// The directory of the certificates.
pub struct Pki {
    dir: PathBuf,
    me: u32,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Pki {
    /// Below `dir`, which is user `me`'s, for a server that is reached under `names` besides the usual ones.
    #[must_use]
    pub fn new(dir: &Path, me: u32, names: impl IntoIterator<Item = String>, clock: Arc<dyn Clock>) -> Self {
        let usual = [
            "localhost",
            "127.0.0.1",
            "::1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let mut names: Vec<String> = names.into_iter().filter(|name| is_name(name)).collect();
        names.extend(usual.map(str::to_owned));
        names.sort();
        names.dedup();
        Self {
            dir: dir.to_owned(),
            me,
            names,
            clock,
        }
    }

    /// What is there, made or renewed where that is due.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn ensure(&self) -> Result<Material, PkiError> {
        private_file::directory(&self.dir, self.me)?;
        let now = self.clock.now();
        let mut made = Vec::new();
        let authority = self.authority(now, &mut made)?;
        let issuer = authority.facts()?.key_id;
        let serving = self.leaf("serving", &mut made, |facts| {
            facts.issuer_id == issuer && facts.names == self.names && !facts.is_due(now)
        })?;
        let serving = match serving {
            Some(pair) => pair,
            None => self.keep("serving", self::serving(&authority, now, &self.names)?)?,
        };
        let admin = self.leaf("admin", &mut made, |facts| {
            facts.issuer_id == issuer && !facts.is_due(now)
        })?;
        let admin = match admin {
            Some(pair) => pair,
            None => self.keep("admin", self::admin(&authority, now)?)?,
        };
        Ok(Material {
            authority,
            serving,
            admin,
            made,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    fn keep(&self, name: &str, pair: Pair) -> Result<Pair, PkiError> {
        private_file::write(&self.file(name), pair.to_pem().as_bytes())?;
        Ok(pair)
    }

    fn authority(&self, now: Timestamp, made: &mut Vec<&'static str>) -> Result<Pair, PkiError> {
        let path = self.file("authority");
        let Some(text) = private_file::read(&path, self.me)? else {
            made.push("authority");
            return self.keep("authority", authority(now, None)?);
        };
        let pair = Pair::from_pem(&text).map_err(|_| PkiError::Authority { path })?;
        if !pair.facts()?.is_due(now) {
            return Ok(pair);
        }
        made.push("authority");
        self.keep("authority", authority(now, Some(&pair.key))?)
    }

    /// A leaf that is good; a damaged one is as good as none, since another is made at once.
    fn leaf(
        &self,
        name: &'static str,
        made: &mut Vec<&'static str>,
        good: impl FnOnce(&Facts) -> bool,
    ) -> Result<Option<Pair>, PkiError> {
        let pair = private_file::read(&self.file(name), self.me)?
            .and_then(|text| Pair::from_pem(&text).ok())
            .filter(|pair| pair.facts().is_ok_and(|facts| good(&facts)));
        if pair.is_none() {
            made.push(name);
        }
        Ok(pair)
    }

    /// When each certificate ends, without making any: for `doctor`.
    ///
    /// # Errors
    /// [`PkiError`]; a certificate that is not there is left out.
    pub fn ends(&self) -> Result<Vec<(&'static str, Timestamp)>, PkiError> {
        let mut ends = Vec::new();
        for name in ["authority", "serving", "admin"] {
            if let Some(text) = private_file::read(&self.file(name), self.me)? {
                ends.push((name, Pair::from_pem(&text)?.facts()?.not_after));
            }
        }
        Ok(ends)
    }
}

/// What a certificate can carry: an address, or letters, digits, dots and dashes.
fn is_name(name: &str) -> bool {
    let dns = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    name.parse::<std::net::IpAddr>().is_ok()
        || (!name.is_empty() && name.len() <= 253 && name.chars().all(dns))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use jiff::SignedDuration;

    use super::*;
    use crate::clock::Fixed;

    fn day(n: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * n)
    }

    fn start() -> Fixed {
        Fixed::at("2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn pki(dir: &Path, clock: &Fixed, names: &[&str]) -> Pki {
        let me = std::fs::metadata(dir).unwrap().uid();
        let names = names.iter().map(|name| (*name).to_owned());
        Pki::new(&dir.join("pki"), me, names, Arc::new(clock.clone()))
    }

    fn same(one: &Pair, other: &Pair) -> bool {
        one.certificate == other.certificate && one.key == other.key
    }

    #[test]
    fn a_second_start_finds_what_the_first_made() {
        let dir = tempfile::tempdir().unwrap();
        let clock = start();
        let first = pki(dir.path(), &clock, &["box"]).ensure().unwrap();
        assert_eq!(first.made, ["authority", "serving", "admin"]);
        clock.advance(day(200));
        let second = pki(dir.path(), &clock, &["box"]).ensure().unwrap();
        assert_eq!(second.made, [""; 0]);
        assert!(same(&first.authority, &second.authority));
        assert!(same(&first.serving, &second.serving) && same(&first.admin, &second.admin));
        for file in std::fs::read_dir(dir.path().join("pki")).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o7777, 0o600);
        }
    }

    #[test]
    fn leaves_are_renewed_in_the_last_third_of_their_year_and_the_authority_stays() {
        let dir = tempfile::tempdir().unwrap();
        let clock = start();
        let first = pki(dir.path(), &clock, &[]).ensure().unwrap();
        clock.advance(day(250));
        let second = pki(dir.path(), &clock, &[]).ensure().unwrap();
        assert_eq!(second.made, ["serving", "admin"]);
        assert!(same(&first.authority, &second.authority));
        let ends = pki(dir.path(), &clock, &[]).ends().unwrap();
        assert!(
            ends.iter().all(|(_, end)| *end > clock.now() + day(360)),
            "{ends:?}"
        );
    }

    #[test]
    fn an_old_authority_goes_on_under_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let clock = start();
        let first = pki(dir.path(), &clock, &[]).ensure().unwrap();
        clock.advance(day(3000));
        let second = pki(dir.path(), &clock, &[]).ensure().unwrap();
        assert_eq!(second.made, ["authority", "serving", "admin"]);
        assert_eq!(first.authority.key, second.authority.key);
        assert_ne!(first.authority.certificate, second.authority.certificate);
        assert_eq!(
            first.authority.facts().unwrap().key_id,
            second.authority.facts().unwrap().key_id
        );
    }

    #[test]
    fn a_clock_that_was_wrong_when_they_were_made_does_not_lock_anybody_out() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Fixed::at(Timestamp::UNIX_EPOCH);
        pki(dir.path(), &clock, &[]).ensure().unwrap();
        clock.advance(day(56 * 365));
        let later = pki(dir.path(), &clock, &[]).ensure().unwrap();
        assert!(later.serving.facts().unwrap().not_after > clock.now());
        let before = start();
        let earlier = pki(dir.path(), &before, &[]).ensure().unwrap();
        assert!(earlier.serving.facts().unwrap().not_before <= before.now());
    }

    #[test]
    fn another_name_of_the_machine_needs_another_serving_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let clock = start();
        pki(dir.path(), &clock, &["old", "not a name"]).ensure().unwrap();
        let moved = pki(dir.path(), &clock, &["new", "127.0.0.9"]).ensure().unwrap();
        assert_eq!(moved.made, ["serving"]);
        let names = moved.serving.facts().unwrap().names;
        assert!(
            ["new", "127.0.0.9", "::1", "localhost"]
                .iter()
                .all(|n| names.contains(&(*n).to_owned()))
        );
        assert!(!names.contains(&"old".to_owned()));
    }

    #[test]
    fn a_damaged_authority_is_not_replaced_and_a_damaged_leaf_is() {
        let dir = tempfile::tempdir().unwrap();
        let clock = start();
        let first = pki(dir.path(), &clock, &[]).ensure().unwrap();
        private_file::write(&dir.path().join("pki/admin.pem"), b"rubbish").unwrap();
        assert_eq!(pki(dir.path(), &clock, &[]).ensure().unwrap().made, ["admin"]);
        private_file::write(&dir.path().join("pki/authority.pem"), b"rubbish").unwrap();
        let refused = pki(dir.path(), &clock, &[]).ensure();
        assert!(matches!(refused, Err(PkiError::Authority { .. })));
        std::fs::remove_file(dir.path().join("pki/authority.pem")).unwrap();
        let new = pki(dir.path(), &clock, &[]).ensure().unwrap();
        assert_eq!(new.made, ["authority", "serving", "admin"]);
        assert_ne!(first.authority.key, new.authority.key);
    }
}
