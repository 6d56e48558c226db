//! The status of a `DockerDeployment`: counts, conditions after kstatus, instances, secrets.
//! `Ready` is true when what runs is what is written, of this generation; `Reconciling` while we are getting there;
//! `Stalled` only while a change of the object is needed. `Ready` never claims more than was seen running.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    conditions::{Conditions, find},
    problem::{Problem, problems},
    secrets::{secrets, secrets_delivered, secrets_resolved},
};
use crate::{
    api::{
        condition::{ConditionType, Reason},
        status::{DockerDeploymentStatus, InstanceStatus, LastExit},
        violation::Violation,
    },
    plan::{Hold, Plan, outcome::Report, restart::Restarts, rollout::is_current},
    state::{
        container::{ContainerId, ExitInfo, RunState},
        desired::{Desired, Rollout},
        fault,
        observed::{Observed, Replica},
        resolved::Resolution,
    },
};

/// Instances beyond this many are counted and not listed.
const MOST_INSTANCES: usize = 100;

/// What a status is computed from.
pub struct Facts<'a> {
    /// The status that the object has now.
    pub before: &'a DockerDeploymentStatus,
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was seen last.
    pub observed: &'a Observed,
    /// What remains to be done.
    pub plan: &'a Plan,
    /// What was done.
    pub reports: &'a [Report],
    /// What became of the references.
    pub resolution: &'a Resolution,
    /// What is wrong with the object.
    pub violations: &'a [Violation],
    /// Why the last pull failed.
    pub pull_error: Option<&'a fault::Error>,
    /// Restarts by container.
    pub restarts: &'a BTreeMap<ContainerId, Restarts>,
    /// Ends that were seen on the way here; a restart may have hidden them since.
    pub exits: &'a BTreeMap<ContainerId, ExitInfo>,
    /// `spec.progressDeadlineSeconds`.
    pub progress_deadline_seconds: i32,
    /// `spec.selector` or the template's labels, as text, for the scale subresource.
    pub selector: Option<String>,
    /// The name of the Docker host.
    pub host: &'a str,
    /// The time.
    pub now: Timestamp,
    /// When the progress deadline passes, by the same clock: [`progress_deadline`].
    pub deadline: Timestamp,
}

/// The status, and when it will change by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The status.
    pub status: DockerDeploymentStatus,
    /// All problems, the most pressing first.
    pub problems: Vec<Problem>,
    /// The progress deadline, while one runs.
    pub deadline: Option<Timestamp>,
}

struct Counts {
    replicas: i32,
    ready: i32,
    updated: i32,
    available: i32,
    wanted: i32,
}

impl Counts {
    fn of(facts: &Facts<'_>) -> Self {
        let desired = facts.desired;
        let count = |keep: &dyn Fn(&&Replica) -> bool| {
            i32::try_from(facts.observed.replicas.iter().filter(keep).count()).unwrap_or(i32::MAX)
        };
        Self {
            replicas: count(&|_| true),
            ready: count(&|r| r.is_ready()),
            updated: count(&|r| is_current(desired, r)),
            available: count(&|r| r.is_available(desired.min_ready_seconds, facts.now)),
            wanted: i32::try_from(desired.replicas).unwrap_or(i32::MAX),
        }
    }

    fn complete(&self) -> bool {
        self.updated == self.wanted && self.replicas == self.wanted && self.available == self.wanted
    }
}

/// Computes the status.
#[must_use]
pub fn summarize(facts: &Facts<'_>) -> Summary {
    let counts = Counts::of(facts);
    let mut problems = problems(
        facts.violations,
        facts.resolution,
        facts.plan,
        facts.reports,
        facts.observed,
        facts.pull_error,
    );
    let complete = counts.complete() && facts.plan.is_empty() && problems.is_empty();
    let deadline = if complete { None } else { Some(facts.deadline) };
    let late = deadline.is_some_and(|at| at <= facts.now) && !facts.desired.paused;
    if late && !problems.iter().any(|p| p.stalled) {
        let message = format!(
            "not ready {} s after the last progress (spec.progressDeadlineSeconds); it goes on trying{}",
            facts.progress_deadline_seconds,
            problems
                .first()
                .map(|p| format!(": {}", p.message))
                .unwrap_or_default()
        );
        problems.push(Problem {
            reason: Reason::ProgressDeadlineExceeded,
            message,
            stalled: true,
        });
    }
    let status = DockerDeploymentStatus {
        observed_generation: facts.desired.generation,
        replicas: counts.replicas,
        ready_replicas: counts.ready,
        updated_replicas: counts.updated,
        available_replicas: counts.available,
        ready: Some(format!("{}/{}", counts.ready.min(counts.wanted), counts.wanted)),
        current_revision: facts
            .desired
            .revision()
            .or_else(|| facts.before.current_revision.clone()),
        selector: facts.selector.clone(),
        conditions: conditions(facts, &counts, complete, late, &problems),
        instances: instances(facts),
        secrets: secrets(facts),
    };
    Summary {
        status,
        problems,
        deadline: deadline.filter(|at| *at > facts.now),
    }
}

/// The deadline moves with every container that comes or gets ready, and starts when reconciling does. One that has passed
/// has passed until there is progress or another generation.
#[must_use]
pub fn progress_deadline(facts: &Facts<'_>) -> Timestamp {
    let patience = SignedDuration::from_secs(i64::from(facts.progress_deadline_seconds));
    let reconciling = find(&facts.before.conditions, ConditionType::Reconciling);
    let passed = find(&facts.before.conditions, ConditionType::Stalled)
        .filter(|c| c.reason == Reason::ProgressDeadlineExceeded.as_str())
        .filter(|c| c.observed_generation == Some(facts.desired.generation));
    let began = match (reconciling, passed) {
        (Some(reconciling), _) => reconciling.last_transition_time.0,
        // As early as it may be: what came since then is progress.
        (None, Some(passed)) => passed.last_transition_time.0 - patience,
        (None, None) => facts.now,
    };
    let newest = facts
        .observed
        .replicas
        .iter()
        .filter(|r| is_current(facts.desired, r))
        .map(|r| {
            // Another run of one that has ended is no progress, or one that ends at once would never be late.
            let restarted = facts
                .restarts
                .get(&r.view.id)
                .is_some_and(|known| known.total > 0);
            let ready = r.health.ready_since.filter(|_| !restarted);
            ready.unwrap_or(r.view.created_at).max(r.view.created_at)
        })
        .max()
        .unwrap_or(began);
    began.max(newest) + patience
}

fn conditions(
    facts: &Facts<'_>,
    counts: &Counts,
    complete: bool,
    late: bool,
    problems: &[Problem],
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let mut made = Conditions::after(&facts.before.conditions, facts.desired.generation, facts.now);
    let serving = format!(
        "{} of {} instances are available",
        counts.available, counts.wanted
    );
    let available = counts.available >= counts.wanted;
    let under_way = progress(facts);
    made.set(
        ConditionType::Available,
        available,
        if available {
            Reason::RolloutComplete
        } else {
            Reason::Unhealthy
        },
        serving.clone(),
    );
    match problems.first() {
        _ if complete => {
            made.set(ConditionType::Ready, true, Reason::RolloutComplete, serving);
            made.set(
                ConditionType::Progressing,
                true,
                Reason::RolloutComplete,
                "what runs is what is written",
            );
        }
        Some(problem) => {
            made.set(
                ConditionType::Ready,
                false,
                problem.reason,
                problem.message.clone(),
            );
            let reason = if late {
                Reason::ProgressDeadlineExceeded
            } else {
                problem.reason
            };
            made.set(
                ConditionType::Progressing,
                !late && !problem.stalled,
                reason,
                problem.message.clone(),
            );
        }
        None => {
            made.set(ConditionType::Ready, false, under_way.0, under_way.1.clone());
            made.set(ConditionType::Progressing, true, under_way.0, under_way.1.clone());
        }
    }
    if let Some(stalled) = problems.iter().find(|p| p.stalled) {
        made.set(
            ConditionType::Stalled,
            true,
            stalled.reason,
            stalled.message.clone(),
        );
    } else if !complete {
        let (reason, message) = problems
            .first()
            .map_or(under_way, |p| (p.reason, p.message.clone()));
        made.set(ConditionType::Reconciling, true, reason, message);
    }
    secrets_resolved(facts, &mut made);
    secrets_delivered(facts, problems, &mut made);
    made.finish()
}

/// What is going on while nothing is wrong.
fn progress(facts: &Facts<'_>) -> (Reason, String) {
    let waits = |wanted: &dyn Fn(&Hold) -> bool| facts.plan.holds.iter().any(wanted);
    if waits(&|h| matches!(h, Hold::Pulling)) {
        return (Reason::Pulling, "the image is being fetched".to_owned());
    }
    if waits(&|h| matches!(h, Hold::Delivering)) {
        return (
            Reason::RolloutStarted,
            "files are delivered before an instance starts".to_owned(),
        );
    }
    if waits(&|h| matches!(h, Hold::Paused)) {
        return (
            Reason::RolloutStarted,
            "the rollout is paused (spec.paused)".to_owned(),
        );
    }
    if waits(&|h| matches!(h, Hold::Withdrawing { .. })) {
        return (
            Reason::RolloutStarted,
            "old instances are taken out of the deployment's names before they end".to_owned(),
        );
    }
    if waits(&|h| matches!(h, Hold::Draining)) {
        return (
            Reason::Killing,
            if facts.desired.rollout.is_exclusive() && facts.desired.rollout != Rollout::Recreate {
                "old instances end before new ones start, since two cannot hold one host port or write one volume"
            } else {
                "old instances end before new ones start"
            }
            .to_owned(),
        );
    }
    (
        Reason::RolloutStarted,
        "instances are being brought to the wanted revision and number".to_owned(),
    )
}

fn instances(facts: &Facts<'_>) -> Vec<InstanceStatus> {
    facts
        .observed
        .replicas
        .iter()
        .take(MOST_INSTANCES)
        .map(|replica| instance(facts, replica))
        .collect()
}

fn instance(facts: &Facts<'_>, replica: &Replica) -> InstanceStatus {
    let view = &replica.view;
    let restarts = facts.restarts.get(&view.id).copied().unwrap_or_default();
    let hold = facts.plan.holds.iter().find_map(|hold| match hold {
        Hold::BackOff { slot, until } if *slot == replica.slot && view.exit.is_some() => Some(*until),
        _ => None,
    });
    let exit = view.exit.as_ref().or_else(|| facts.exits.get(&view.id));
    let ended = exit.map(|exit| LastExit {
        code: i32::try_from(exit.code).unwrap_or(i32::MAX),
        reason: Some(
            if exit.oom_killed {
                "OOMKilled"
            } else if exit.code == 0 {
                "Completed"
            } else {
                "Error"
            }
            .to_owned(),
        ),
        time: Some(MicroTime(exit.finished_at)),
    });
    let before = facts
        .before
        .instances
        .iter()
        .find(|i| i.container_id.as_deref() == Some(view.id.short()));
    InstanceStatus {
        name: view.name.clone(),
        host: Some(facts.host.to_owned()),
        container_id: Some(view.id.short().to_owned()),
        revision: Some(replica.revision.clone()),
        ready: replica.is_ready(),
        ready_since: replica
            .health
            .ready_since
            .filter(|_| replica.is_ready())
            .map(MicroTime),
        reason: (!replica.is_ready()).then(|| match (view.state, hold) {
            (RunState::Exited, Some(_)) => Reason::BackOff.as_str().to_owned(),
            (RunState::Running, _) => unready(replica).to_owned(),
            (state, _) => format!("{state:?}"),
        }),
        message: Some(replica.health.message.clone())
            .filter(|text| view.state == RunState::Running && !replica.is_ready() && !text.is_empty()),
        restarts: i32::try_from(restarts.total).unwrap_or(i32::MAX),
        failures: i32::try_from(restarts.streak).unwrap_or(i32::MAX),
        restart_after: hold.map(MicroTime),
        started_at: view.started_at.map(MicroTime),
        last_exit: ended.or_else(|| before.and_then(|b| b.last_exit.clone())),
    }
}

/// Why a container that runs is not ready.
fn unready(replica: &Replica) -> &'static str {
    let health = &replica.health;
    match (health.alive, health.started) {
        (false, _) => Reason::Unhealthy.as_str(),
        (true, false) => "Starting",
        (true, true) => "Unready",
    }
}
