//! Events of one reconcile, as drafts: what happened (from reports), what is wrong (from problems), what has ended.
//! A draft's key says which earlier event it repeats; `controllers` writes them and counts repeats. Notes are at most
//! 1,024 bytes (events.k8s.io/v1) and never hold a value.

use super::{Facts, problem::Problem};
use crate::{
    api::{
        condition::{ConditionType, Reason},
        reference::SecretKind,
        status::DockerDeploymentStatus,
    },
    plan::{
        Why,
        outcome::{Outcome, Report, Skipped},
    },
    state::resolved::Failure,
    status::conditions::{find, is_true},
};

/// The longest note that the API server takes.
pub const LONGEST_NOTE: usize = 1_024;

/// Another object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Its kind.
    pub kind: SecretKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// An event that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDraft {
    /// The reason; decides whether it is a warning.
    pub reason: Reason,
    /// What was being done, in one word (`action` of events.k8s.io/v1).
    pub action: &'static str,
    /// What happened.
    pub note: String,
    /// The other object.
    pub related: Option<Related>,
    /// What makes it the same event as an earlier one, besides its object and its reason.
    pub key: String,
}

impl EventDraft {
    fn new(reason: Reason, action: &'static str, key: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            reason,
            action,
            note: clip(note.into(), 0),
            related: None,
            key: key.into(),
        }
    }
}

/// The events of one reconcile. `after` is the status that it ended with.
#[must_use]
pub fn drafts(facts: &Facts<'_>, problems: &[Problem], after: &DockerDeploymentStatus) -> Vec<EventDraft> {
    let mut drafts: Vec<EventDraft> = facts.reports.iter().filter_map(happened).collect();
    drafts.extend(transitions(facts.before, after));
    drafts.extend(facts.resolution.failures.iter().map(unresolved));
    for problem in problems
        .iter()
        .filter(|p| p.reason != Reason::SecretResolutionError)
    {
        drafts.push(EventDraft::new(
            problem.reason,
            "Reconcile",
            "",
            problem.message.clone(),
        ));
    }
    drafts.extend(out_of_memory(facts));
    drafts
}

fn unresolved(failure: &Failure) -> EventDraft {
    let key = failure.key.as_deref().unwrap_or_default();
    EventDraft {
        related: Some(Related {
            kind: failure.kind,
            namespace: failure.namespace.clone(),
            name: failure.name.clone(),
        }),
        ..EventDraft::new(
            Reason::SecretResolutionError,
            "ResolveSecrets",
            format!("{} {} {key} {}", failure.cause, failure.name, failure.path),
            failure.to_string(),
        )
    }
}

fn happened(report: &Report) -> Option<EventDraft> {
    let name = &report.subject;
    let image = report.image.as_deref().unwrap_or_default();
    let draft = |reason, action, note: String| Some(EventDraft::new(reason, action, name.clone(), note));
    match (report.verb, &report.outcome) {
        ("create", Outcome::Done) => draft(Reason::Created, "Create", format!("created {name} from {image}")),
        ("start", Outcome::Done) => draft(
            Reason::Started,
            "Start",
            format!("started {name} ({})", report.why),
        ),
        ("deliver", Outcome::Done) if report.why == Why::FilesChanged => draft(
            Reason::SecretRefreshed,
            "Deliver",
            format!(
                "new files are in place without a restart (generation {})",
                report.revision
            ),
        ),
        ("pull", Outcome::UnderWay) => draft(Reason::Pulling, "Pull", format!("fetching {image}")),
        ("stop", Outcome::UnderWay) => draft(
            Reason::Killing,
            "Stop",
            format!("stopping {name} ({})", report.why),
        ),
        (_, Outcome::Skipped(Skipped::Gone | Skipped::NotOurs | Skipped::Running)) => None,
        _ => None,
    }
}

fn transitions(before: &DockerDeploymentStatus, after: &DockerDeploymentStatus) -> Vec<EventDraft> {
    let mut drafts = Vec::new();
    let revision = after.current_revision.clone().unwrap_or_default();
    if before.current_revision.is_some() && before.current_revision != after.current_revision {
        let note = format!("rolling out revision {revision}");
        drafts.push(EventDraft::new(
            Reason::RolloutStarted,
            "Rollout",
            revision.clone(),
            note,
        ));
    }
    let ready = |s: &DockerDeploymentStatus| is_true(&s.conditions, ConditionType::Ready);
    if ready(after) && !ready(before) {
        let note = format!(
            "revision {revision}: {} instances are available",
            after.available_replicas
        );
        drafts.push(EventDraft::new(
            Reason::RolloutComplete,
            "Rollout",
            revision,
            note,
        ));
    }
    let unresolved =
        find(&before.conditions, ConditionType::SecretsResolved).is_some_and(|c| c.status == "False");
    if unresolved && is_true(&after.conditions, ConditionType::SecretsResolved) {
        let note = "every secret reference resolves";
        drafts.push(EventDraft::new(
            Reason::SecretsResolved,
            "ResolveSecrets",
            "",
            note,
        ));
    }
    let wanted = |s: &DockerDeploymentStatus| {
        s.ready
            .as_ref()
            .and_then(|r| r.split_once('/'))
            .map(|(_, n)| n.to_owned())
    };
    if let (Some(from), Some(to)) = (wanted(before), wanted(after))
        && from != to
    {
        drafts.push(EventDraft::new(
            Reason::Scaled,
            "Scale",
            to.clone(),
            format!("scaled from {from} to {to}"),
        ));
    }
    drafts
}

fn out_of_memory(facts: &Facts<'_>) -> Vec<EventDraft> {
    let killed = facts.observed.replicas.iter().filter(|r| {
        let exit = r.view.exit.as_ref().or_else(|| facts.exits.get(&r.view.id));
        exit.is_some_and(|e| e.oom_killed)
    });
    killed
        .map(|replica| {
            let name = &replica.view.name;
            let note =
                format!("{name} was ended by the kernel for lack of memory; raise resources.limits.memory");
            EventDraft::new(Reason::OOMKilled, "Run", name.clone(), note)
        })
        .collect()
}

/// Cuts a note to what the API server takes and says how much is missing.
#[must_use]
pub fn clip(note: String, more: usize) -> String {
    if note.len() <= LONGEST_NOTE && more == 0 {
        return note;
    }
    let tail = if more > 0 {
        format!(" … and {more} more")
    } else {
        " …".to_owned()
    };
    let room = LONGEST_NOTE.saturating_sub(tail.len());
    let cut = (0..=room.min(note.len()))
        .rev()
        .find(|at| note.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}{tail}", note.get(..cut).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_fits_whatever_it_says() {
        for text in ["x".repeat(2_000), "ü".repeat(2_000), String::new()] {
            assert!(clip(text.clone(), 0).len() <= LONGEST_NOTE);
            assert!(clip(text, 12).ends_with("and 12 more"));
        }
        assert_eq!(clip("short".into(), 0), "short");
    }
}
