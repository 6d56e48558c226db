//! A serving certificate that clients trust by a bundle of authorities, and how it is replaced without a moment in which
//! what is served is not trusted: the next one is made and its authority put into the bundle; when clients have had the
//! bundle for a while, it is served; authorities leave the bundle when they have ended, so that who still serves an older
//! certificate is trusted, too. Pure: the decision and the values; keeping and telling are `controllers`'.
//! Each certificate has an authority of its own, whose key is thrown away: nobody can issue another one under it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::certificate::{self, CertificateError, DAY, Facts, Pair};

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Life of a certificate; the next one is made when a third of it is left.
    pub life: SignedDuration,
    /// How long clients have the bundle with the next authority before its certificate is served.
    pub overlap: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            life: DAY * 90,
            overlap: Duration::from_secs(60),
        }
    }
}

/// A certificate with its key, and what it says.
#[derive(Clone)]
pub struct Issued {
    /// Both, PEM.
    pub pair: Pair,
    /// What the certificate says.
    pub facts: Facts,
}

/// An authority that is trusted.
#[derive(Clone)]
struct Trusted {
    pem: String,
    facts: Facts,
}

/// What is kept.
#[derive(Clone)]
pub struct Kept {
    trusted: Vec<Trusted>,
    /// What is served.
    pub serving: Issued,
    /// What will be served.
    pub next: Option<Issued>,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Rest,
    /// What is served is no good to anybody: another one is made and served at once.
    Replace,
    /// The next one is made, and its authority trusted.
    Prepare,
    /// The next one is served.
    Promote,
    /// Authorities that have ended are no longer trusted.
    Forget,
}

const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a bundle, one PEM each; what is none is left out.
#[must_use]
pub fn authorities(bundle: &str) -> Vec<String> {
    bundle
        .split_inclusive(END)
        .filter_map(|text| Some(text[text.find("-----BEGIN CERTIFICATE-----")?..].to_owned() + "\n"))
        .collect()
}

impl Issued {
    /// Reads a pair.
    ///
    /// # Errors
    /// [`CertificateError::Unreadable`].
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let pair = Pair::from_pem(&[certificate, b"\n", key].concat())?;
        let facts = pair.facts()?;
        Ok(Self { pair, facts })
    }

    fn is_good(&self, trusted: &[Trusted], names: &[String], now: Timestamp) -> bool {
        let valid = |facts: &Facts| facts.not_before <= now && now < facts.not_after;
        valid(&self.facts)
            && self.facts.names == names
            && trusted
                .iter()
                .any(|one| one.facts.key_id == self.facts.issuer_id && valid(&one.facts))
    }
}

impl Kept {
    /// Reads what was kept. Authorities that cannot be read are left out.
    #[must_use]
    pub fn new(bundle: &str, serving: Issued, next: Option<Issued>) -> Self {
        let trusted = authorities(bundle).into_iter().filter_map(|pem| {
            let facts = certificate::facts(&pem).ok()?;
            Some(Trusted { pem, facts })
        });
        Self {
            trusted: trusted.collect(),
            serving,
            next,
        }
    }

    /// The first one. `names` are sorted.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn first(now: Timestamp, times: &Times, names: &[String]) -> Result<Self, CertificateError> {
        let (authority, serving) = issue(now, times, names)?;
        Ok(Self {
            trusted: vec![authority],
            serving,
            next: None,
        })
    }

    /// What clients trust, PEM.
    #[must_use]
    pub fn bundle(&self) -> String {
        self.trusted.iter().map(|one| one.pem.as_str()).collect()
    }

    /// Whether a client with this bundle trusts what is served, and what will be.
    #[must_use]
    pub fn is_trusted_by(&self, bundle: &str) -> bool {
        let told = authorities(bundle);
        let issued = [Some(&self.serving), self.next.as_ref()];
        issued.into_iter().flatten().all(|issued| {
            let mut of_it = self
                .trusted
                .iter()
                .filter(|one| one.facts.key_id == issued.facts.issuer_id);
            of_it.any(|one| told.contains(&one.pem))
        })
    }

    /// What is to be done. `told`: for how long all clients have had [`Kept::bundle`]; `names` are sorted.
    #[must_use]
    pub fn step(&self, now: Timestamp, times: &Times, names: &[String], told: Option<Duration>) -> Step {
        let good = |issued: &Issued| issued.is_good(&self.trusted, names, now);
        let next = self.next.as_ref().filter(|next| good(next));
        if !good(&self.serving) {
            return if next.is_some() {
                Step::Promote
            } else {
                Step::Replace
            };
        }
        if next.is_some() {
            let all_have_it = told.is_some_and(|told| told >= times.overlap);
            return if all_have_it { Step::Promote } else { Step::Rest };
        }
        if self.next.is_some() || self.serving.facts.is_due(now) {
            return Step::Prepare;
        }
        if self.trusted.iter().any(|one| one.facts.not_after <= now) {
            return Step::Forget;
        }
        Step::Rest
    }

    /// After a step.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn after(
        &self,
        step: Step,
        now: Timestamp,
        times: &Times,
        names: &[String],
    ) -> Result<Self, CertificateError> {
        let mut kept = self.clone();
        kept.trusted.retain(|one| now < one.facts.not_after);
        match step {
            Step::Rest | Step::Forget => {}
            Step::Replace => {
                let (authority, serving) = issue(now, times, names)?;
                kept.trusted.push(authority);
                (kept.serving, kept.next) = (serving, None);
            }
            Step::Prepare => {
                let (authority, next) = issue(now, times, names)?;
                kept.trusted.push(authority);
                kept.next = Some(next);
            }
            Step::Promote => {
                if let Some(next) = kept.next.take() {
                    kept.serving = next;
                }
            }
        }
        Ok(kept)
    }
}

fn issue(now: Timestamp, times: &Times, names: &[String]) -> Result<(Trusted, Issued), CertificateError> {
    let authority = certificate::authority(now, times.life, None)?;
    let pair = certificate::serving(&authority, now, times.life, "supercargo-webhook", names)?;
    let facts = pair.facts()?;
    let trusted = Trusted {
        facts: authority.facts()?,
        pem: authority.certificate,
    };
    Ok((trusted, Issued { pair, facts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn names() -> Vec<String> {
        vec!["127.0.0.1".to_owned(), "webhook.system.svc".to_owned()]
    }

    fn first() -> Kept {
        Kept::first(start(), &Times::default(), &names()).unwrap()
    }

    fn step(kept: &Kept, day: i64, told: Option<Duration>) -> Step {
        kept.step(
            start() + DAY * i32::try_from(day).unwrap(),
            &Times::default(),
            &names(),
            told,
        )
    }

    fn after(kept: &Kept, step: Step, day: i64) -> Kept {
        let now = start() + DAY * i32::try_from(day).unwrap();
        kept.after(step, now, &Times::default(), &names()).unwrap()
    }

    const LONG: Option<Duration> = Some(Duration::from_secs(3_600));

    #[test]
    fn nothing_happens_for_two_thirds_of_a_life() {
        let kept = first();
        assert_eq!(step(&kept, 0, None), Step::Rest);
        assert_eq!(step(&kept, 59, LONG), Step::Rest);
        assert_eq!(step(&kept, 61, LONG), Step::Prepare);
    }

    #[test]
    fn the_next_one_is_served_only_after_clients_have_its_authority_for_a_while() {
        let old = first();
        let both = after(&old, Step::Prepare, 61);
        assert_eq!(authorities(&both.bundle()).len(), 2);
        assert!(!both.is_trusted_by(&old.bundle()) && both.is_trusted_by(&both.bundle()));
        assert_eq!(both.serving.pair.certificate, old.serving.pair.certificate);
        assert_eq!(step(&both, 61, None), Step::Rest);
        assert_eq!(step(&both, 61, Some(Duration::from_secs(59))), Step::Rest);
        assert_eq!(step(&both, 61, Some(Duration::from_secs(60))), Step::Promote);
        let new = after(&both, Step::Promote, 61);
        assert_ne!(new.serving.pair.certificate, old.serving.pair.certificate);
        assert!(new.next.is_none());
        // Who still serves the old one is trusted until that ends by itself.
        assert!(old.is_trusted_by(&new.bundle()));
        assert_eq!(step(&new, 89, LONG), Step::Rest);
        assert_eq!(step(&new, 91, LONG), Step::Forget);
        let clean = after(&new, Step::Forget, 91);
        assert_eq!(authorities(&clean.bundle()).len(), 1);
        assert_eq!(step(&clean, 91, LONG), Step::Rest);
    }

    #[test]
    fn one_that_has_ended_or_has_other_names_is_replaced_at_once() {
        let kept = first();
        assert_eq!(step(&kept, 90, None), Step::Replace);
        let elsewhere = vec!["webhook.other.svc".to_owned()];
        assert_eq!(
            kept.step(start(), &Times::default(), &elsewhere, LONG),
            Step::Replace
        );
        let both = after(&kept, Step::Prepare, 61);
        assert_eq!(step(&both, 90, None), Step::Promote, "the next one is good");
        let new = after(&kept, Step::Replace, 90);
        assert_eq!(step(&new, 90, None), Step::Rest);
        assert_eq!(authorities(&new.bundle()).len(), 1, "the old authority has ended");
    }

    #[test]
    fn one_whose_authority_is_not_in_the_bundle_is_replaced() {
        let (one, other) = (first(), first());
        let torn = Kept::new(&other.bundle(), one.serving.clone(), None);
        assert_eq!(step(&torn, 0, LONG), Step::Replace);
        let torn = Kept::new(&one.bundle(), one.serving, Some(other.serving));
        assert_eq!(
            step(&torn, 0, LONG),
            Step::Prepare,
            "a next one that nobody would trust"
        );
    }

    #[test]
    fn what_was_kept_is_read_again_and_rubbish_in_the_bundle_is_left_out() {
        let kept = after(&first(), Step::Prepare, 61);
        let read = |issued: &Issued| {
            Issued::read(issued.pair.certificate.as_bytes(), issued.pair.key.as_bytes()).unwrap()
        };
        let bundle = format!("rubbish\n{}-----END CERTIFICATE-----\nmore", kept.bundle());
        let again = Kept::new(&bundle, read(&kept.serving), kept.next.as_ref().map(read));
        assert_eq!(again.bundle(), kept.bundle());
        assert_eq!(again.serving.facts, kept.serving.facts);
        assert!(Issued::read(b"rubbish", b"rubbish").is_err());
    }
}
