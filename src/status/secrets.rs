//! What a deployment's status says about its secrets: whether they resolve, whether they have arrived, and which value how
//! many instances have. Pure. Called by [`super::deployment`].

use super::{
    conditions::{Conditions, is_true},
    deployment::Facts,
    problem::Problem,
};
use crate::{
    api::{
        condition::{ConditionType, Reason},
        status::SecretUse,
    },
    plan::{file_sights::sees_all, rollout::is_current},
    state::{
        container::RunState,
        desired::Template,
        files::{Holder, on_host},
        observed::{ObservedFiles, Replica},
        resolved::Form,
    },
};

/// What is told where the host's kernel refuses to keep a tmpfs out of swap.
const SWAPPED: &str =
    "; the host cannot keep them out of swap (noswap needs Linux 6.4): use no swap there, or encrypt it";

/// The same, of the operator's own directory.
const SWAPPED_THERE: &str = "; the directory of --host-tmpfs is mounted without noswap: mount it so, use no swap there, or encrypt it";

/// What is told where files may be swapped.
fn swapped(files: &ObservedFiles) -> &'static str {
    let (there, held): (Vec<&Holder>, Vec<&Holder>) =
        files.holders.iter().partition(|held| on_host(&held.name));
    if !files.noswap && (!held.is_empty() || there.is_empty()) {
        SWAPPED
    } else if files.host_swaps && !there.is_empty() {
        SWAPPED_THERE
    } else {
        ""
    }
}

/// Whether every reference resolves.
pub(super) fn secrets_resolved(facts: &Facts<'_>, made: &mut Conditions<'_>) {
    let resolved = facts.resolution.failures.is_empty();
    if !resolved {
        let message = facts
            .resolution
            .failures
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        made.set(
            ConditionType::SecretsResolved,
            false,
            Reason::SecretResolutionError,
            message,
        );
    } else if facts.violations.is_empty() {
        made.set(
            ConditionType::SecretsResolved,
            true,
            Reason::SecretsResolved,
            "every secret reference resolves",
        );
    }
}

/// Whether every container that runs was found to see the files that are wanted. Without files there is nothing to say.
pub(super) fn secrets_delivered(facts: &Facts<'_>, problems: &[Problem], made: &mut Conditions<'_>) {
    let kind = ConditionType::SecretsDelivered;
    if let Some(problem) = problems.iter().find(|p| p.reason == Reason::SecretDeliveryError) {
        made.set(kind, false, problem.reason, problem.message.clone());
        return;
    }
    if facts.desired.files().is_empty() {
        // While something does not resolve, what was delivered stays.
        let blocked = matches!(facts.desired.template, Template::Blocked(_));
        if blocked && is_true(&facts.before.conditions, kind) {
            made.set(
                kind,
                true,
                Reason::SecretsDelivered,
                "what was delivered stays as it is",
            );
        }
        return;
    }
    let running = |r: &&Replica| r.view.state == RunState::Running;
    let mut running = facts.observed.replicas.iter().filter(running).peekable();
    let delivered = running.peek().is_some()
        && running
            .filter(|r| is_current(facts.desired, r))
            .all(|r| sees_all(facts.desired, facts.observed, r));
    let mut message = if delivered {
        "every instance sees the files as they are written".to_owned()
    } else {
        "files are being delivered".to_owned()
    };
    message.push_str(swapped(&facts.observed.files));
    made.set(kind, delivered, Reason::SecretsDelivered, message);
}

/// Every key that is used.
pub(super) fn secrets(facts: &Facts<'_>) -> Vec<SecretUse> {
    let mut uses: Vec<SecretUse> = facts
        .resolution
        .uses
        .iter()
        .map(|u| {
            let reference = u.reference();
            let given = |r: &&Replica| match u.form {
                Form::File => sees_all(facts.desired, facts.observed, r),
                Form::Env | Form::ProtectedEnv | Form::PullCredential => {
                    r.fingerprints.values.get(&reference) == Some(&u.fingerprint)
                }
            };
            let loaded = facts.observed.replicas.iter().filter(given).count();
            SecretUse {
                name: u.name.clone(),
                key: u.key.clone(),
                kind: u.kind,
                namespace: u.namespace.clone(),
                form: Some(u.form.as_str().to_owned()),
                fingerprint: Some(u.fingerprint.clone()),
                kid: u.kid.clone(),
                loaded: i32::try_from(loaded).unwrap_or(i32::MAX),
            }
        })
        .collect();
    uses.sort();
    uses.dedup();
    uses
}
