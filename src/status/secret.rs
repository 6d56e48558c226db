//! The status of a `DockerSecret`: does every value open, is every value sealed to the current key, who uses it.
//! Says nothing about the values but their keyed fingerprints.

use jiff::Timestamp;

use super::conditions::Conditions;
use crate::{
    api::{
        DockerSecret,
        condition::{ConditionType, Reason},
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
