//! The status of a `DockerSecret`: does every value open, is every value sealed to the current key, who uses it, what its
//! dates say; and the event about these.
//! Says nothing about the values but their keyed fingerprints.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    conditions::Conditions,
    events::{EventDraft, clip},
};
use crate::{
    api::{
        DockerSecret,
        condition::{ConditionType, Reason},
        expiry::{self, Stage},
        secret::{ConsumerReference, DockerSecretStatus, SecretKeyStatus},
        violation::{Violation, join},
    },
    state::resolved::{Closed, Known},
};

/// Users beyond this many are counted in the message and not listed.
const MOST_USERS: usize = 256;

/// What became of the items of one secret.
pub struct SecretFacts<'a> {
    /// The object.
    pub secret: &'a DockerSecret,
    /// Each item.
    pub items: Vec<(String, Result<Known, Closed>)>,
    /// The kid of the ring's primary key, while there is a ring.
    pub primary: Option<String>,
    /// Sizes and keys that break a rule.
    pub violations: Vec<Violation>,
    /// Who references it.
    pub users: Vec<ConsumerReference>,
    /// The time.
    pub now: Timestamp,
}

/// Computes the status.
#[must_use]
pub fn summarize(facts: &SecretFacts<'_>) -> DockerSecretStatus {
    let before = facts.secret.status.clone().unwrap_or_default();
    let generation = facts.secret.metadata.generation.unwrap_or_default();
    let mut made = Conditions::after(&before.conditions, generation, facts.now);
    valid(facts, &mut made);
    current(facts, &mut made);
    if let Some((soon, reason, message)) = dates(facts) {
        made.set(ConditionType::ExpiringSoon, soon, reason, message);
    }
    let users = facts.users.len();
    let in_use = match users {
        0 => "no deployment references it".to_owned(),
        1 => "1 deployment references it".to_owned(),
        _ => format!("{users} deployments reference it"),
    };
    made.set(ConditionType::InUse, users > 0, Reason::SecretsResolved, in_use);
    let keys = facts.items.iter().map(|(name, item)| SecretKeyStatus {
        name: name.clone(),
        kid: item.as_ref().ok().and_then(|k| k.kid.clone()),
        fingerprint: item.as_ref().ok().map(|k| k.fingerprint.clone()),
        valid: item.is_ok(),
        reason: item.as_ref().err().map(|c| c.cause.as_str().to_owned()),
    });
    DockerSecretStatus {
        observed_generation: generation,
        conditions: made.finish(),
        keys: keys.collect(),
        used_by: facts.users.iter().take(MOST_USERS).cloned().collect(),
    }
}

/// What is wrong with it, one line a finding.
#[must_use]
pub fn problems(facts: &SecretFacts<'_>) -> Vec<String> {
    let closed = facts.items.iter().filter_map(|(name, item)| {
        let closed = item.as_ref().err()?;
        Some(format!("{}: key {name:?}; {}", closed.cause, closed.advice))
    });
    let rules = (!facts.violations.is_empty()).then(|| join(&facts.violations));
    rules.into_iter().chain(closed).collect()
}

/// The event about dates that are near or have passed. It says the same each time, so that it stays one event.
#[must_use]
pub fn reminder(facts: &SecretFacts<'_>) -> Option<EventDraft> {
    let (_, reason, message) = dates(facts).filter(|(soon, ..)| *soon)?;
    Some(EventDraft {
        reason,
        action: "Expire",
        note: clip(message, 0),
        related: None,
        key: String::new(),
    })
}

/// Whether a date is near or has passed, and what is said of it. Dates, not days: a status does not tick.
fn dates(facts: &SecretFacts<'_>) -> Option<(bool, Reason, String)> {
    let spec = &facts.secret.spec;
    let said = |word: &str, date: &Option<Time>| date.as_ref().map(|date| format!("{word} {}", date.0));
    let not_after = |word| said(word, &spec.not_after).unwrap_or_default();
    let rotate_after = |word| said(word, &spec.rotate_after).unwrap_or_default();
    let next = "seal new values and set a later";
    Some(match expiry::stage(facts.secret, facts.now)? {
        Stage::Current => {
            let dates = [
                said("to be replaced after", &spec.rotate_after),
                said("expires at", &spec.not_after),
            ];
            let dates: Vec<String> = dates.into_iter().flatten().collect();
            (false, Reason::SecretsResolved, dates.join("; "))
        }
        Stage::Due => {
            let since = rotate_after("should have been replaced since");
            (
                true,
                Reason::SecretExpiring,
                format!("{since}; {next} spec.rotateAfter"),
            )
        }
        Stage::Ending => {
            let then = if spec.stop_use == Some(true) {
                ", and no new container is given it then"
            } else {
                ""
            };
            let at = not_after("expires at");
            (
                true,
                Reason::SecretExpiring,
                format!("{at}{then}; {next} spec.notAfter"),
            )
        }
        Stage::Ended => {
            let then = if spec.stop_use == Some(true) {
                "no new container is given it, and those that have it go on"
            } else {
                "it is used as before, as spec.stopUse is not true"
            };
            let at = not_after("expired at");
            (
                true,
                Reason::SecretExpired,
                format!("{at}: {then}; {next} spec.notAfter"),
            )
        }
    })
}

fn valid(facts: &SecretFacts<'_>, made: &mut Conditions<'_>) {
    let problems = problems(facts);
    if problems.is_empty() {
        made.set(
            ConditionType::Valid,
            true,
            Reason::SecretsResolved,
            "every value opens",
        );
        made.set(
            ConditionType::Ready,
            true,
            Reason::SecretsResolved,
            "every value opens",
        );
        return;
    }
    let reason = if facts.violations.is_empty() {
        Reason::DecryptionError
    } else {
        Reason::InvalidSpec
    };
    let message = problems.join("\n");
    made.set(ConditionType::Valid, false, reason, message.clone());
    made.set(ConditionType::Ready, false, reason, message.clone());
    let ring_missing = facts.primary.is_none();
    if !ring_missing {
        made.set(ConditionType::Stalled, true, reason, message);
    } else {
        made.set(ConditionType::Reconciling, true, reason, message);
    }
}

fn current(facts: &SecretFacts<'_>, made: &mut Conditions<'_>) {
    let Some(primary) = &facts.primary else { return };
    let old: Vec<&str> = facts
        .items
        .iter()
        .filter(|(_, item)| item.as_ref().is_ok_and(|k| k.kid.as_deref() != Some(primary)))
        .map(|(name, _)| name.as_str())
        .collect();
    if old.is_empty() {
        made.set(
            ConditionType::KeyCurrent,
            true,
            Reason::SecretsResolved,
            format!("sealed to the current key {primary}"),
        );
    } else {
        let message = format!(
            "sealed to an older key: {}; seal again for {primary}",
            old.join(", ")
        );
        made.set(ConditionType::KeyCurrent, false, Reason::SecretRefreshed, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::conditions::find;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn told(
        not_after: Option<&str>,
        stop_use: Option<bool>,
        now: &str,
    ) -> (DockerSecretStatus, Option<String>) {
        let mut secret = DockerSecret::default();
        secret.spec.not_after = not_after.map(|text| Time(at(text)));
        secret.spec.stop_use = stop_use;
        let facts = SecretFacts {
            secret: &secret,
            items: Vec::new(),
            primary: None,
            violations: Vec::new(),
            users: Vec::new(),
            now: at(now),
        };
        let event = reminder(&facts).map(|draft| format!("{}: {}", draft.reason, draft.note));
        (summarize(&facts), event)
    }

    #[test]
    fn a_secret_without_dates_says_nothing_of_them() {
        let (status, event) = told(None, None, "2030-01-01T00:00:00Z");
        assert!(find(&status.conditions, ConditionType::ExpiringSoon).is_none());
        assert_eq!(event, None);
    }

    #[test]
    fn a_date_is_told_before_it_is_near_and_by_an_event_when_it_is() {
        let end = Some("2030-01-20T00:00:00Z");
        let said = |stop, now| {
            let (status, event) = told(end, stop, now);
            let found = find(&status.conditions, ConditionType::ExpiringSoon).unwrap();
            let valid = find(&status.conditions, ConditionType::Valid).unwrap();
            assert_eq!(valid.status, "True", "a date is no defect");
            if event.is_some() {
                assert_eq!(event, Some(format!("{}: {}", found.reason, found.message)));
            }
            (found.status.clone(), event.is_some(), found.message.clone())
        };
        let (status, event, message) = said(None, "2030-01-01T00:00:00Z");
        assert_eq!((&*status, event), ("False", false));
        assert_eq!(message, "expires at 2030-01-20T00:00:00Z");
        let (status, event, early) = said(None, "2030-01-07T00:00:00Z");
        assert_eq!((&*status, event), ("True", true));
        let (.., late) = said(None, "2030-01-19T00:00:00Z");
        assert_eq!(early, late, "it does not tick");
        let (status, event, message) = said(Some(true), "2030-01-21T00:00:00Z");
        assert_eq!((&*status, event), ("True", true));
        assert!(message.contains("no new container"), "{message}");
        let (.., message) = said(Some(false), "2030-01-21T00:00:00Z");
        assert!(message.contains("used as before"), "{message}");
    }
}
