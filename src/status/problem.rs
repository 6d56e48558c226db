//! What stands between a deployment and being ready, in the order in which a person should hear of it: first what only
//! they can mend, last what mends itself. Each problem has a reason of the closed set, a sentence, and says whether a
//! change of the object is needed.

use crate::{
    api::{
        condition::Reason,
        violation::{Violation, ViolationKind, join},
    },
    plan::{
        Hold, Plan, file_sights,
        outcome::{Outcome, Report},
    },
    state::{
        container::RunState,
        fault::{self, Kind},
        observed::{Observed, Replica},
        resolved::Resolution,
    },
};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The reason.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether it stays until the object is changed.
    pub stalled: bool,
}

impl Problem {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            stalled: false,
        }
    }
}

/// All problems, the most pressing first.
#[must_use]
pub fn problems(
    violations: &[Violation],
    resolution: &Resolution,
    plan: &Plan,
    reports: &[Report],
    observed: &Observed,
    pull_error: Option<&fault::Error>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for kind in [ViolationKind::InvalidSpec, ViolationKind::PolicyViolation] {
        let of_kind: Vec<Violation> = violations.iter().filter(|v| v.kind == kind).cloned().collect();
        if !of_kind.is_empty() {
            found.push(Problem {
                stalled: true,
                ..Problem::new(kind.reason(), join(&of_kind))
            });
        }
    }
    if !resolution.invalid.is_empty() {
        let message = list(&resolution.invalid);
        found.push(Problem {
            stalled: true,
            ..Problem::new(Reason::InvalidSpec, message)
        });
    }
    if !resolution.failures.is_empty() {
        found.push(Problem::new(
            Reason::SecretResolutionError,
            list(&resolution.failures),
        ));
    }
    if !resolution.config.is_empty() {
        found.push(Problem::new(
            Reason::ConfigResolutionError,
            list(&resolution.config),
        ));
    }
    found.extend(reports.iter().filter_map(failed));
    found.extend(file_sights::blind(observed).map(blind));
    found.extend(
        plan.holds
            .iter()
            .filter_map(|hold| held(hold, observed, pull_error)),
    );
    found.extend(observed.replicas.iter().filter_map(unhealthy));
    found
}

/// A container that runs on other files than are delivered. It was reported when it was found; this says that it lasts.
fn blind(replica: &Replica) -> Problem {
    let name = &replica.view.name;
    let message = format!("{name} does not see what was delivered; it is made to by a new start");
    Problem::new(Reason::SecretDeliveryError, message)
}

/// A container that runs and whose probes say no.
fn unhealthy(replica: &Replica) -> Option<Problem> {
    let health = &replica.health;
    let bad = replica.view.state == RunState::Running && !replica.is_ready() && !health.message.is_empty();
    let what_now = if health.alive {
        "nobody is sent to it until it says yes"
    } else {
        "it is restarted"
    };
    bad.then(|| {
        let message = format!("{}: {}; {what_now}", replica.view.name, health.message);
        Problem::new(Reason::Unhealthy, message)
    })
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("\n")
}

fn failed(report: &Report) -> Option<Problem> {
    let error = match &report.outcome {
        Outcome::Failed(error) => error,
        Outcome::Foreign { id } => {
            let message = format!(
                "the name {} is taken by container {}, which is not ours and was not touched; rename or remove it",
                report.subject,
                id.short()
            );
            return Some(Problem::new(Reason::ForeignContainer, message));
        }
        Outcome::Done | Outcome::UnderWay | Outcome::Joined | Outcome::Skipped(_) => return None,
    };
    Some(Problem::new(reason_of(error), sentence(error)))
}

/// The reason under which a failed call is told.
#[must_use]
pub fn reason_of(error: &fault::Error) -> Reason {
    match error.kind {
        Kind::Unreachable => Reason::HostUnreachable,
        Kind::Failed | Kind::NotFound | Kind::Conflict
            if matches!(error.op, fault::Op::Deliver | fault::Op::Confirm) =>
        {
            Reason::SecretDeliveryError
        }
        Kind::PortTaken => Reason::PortConflict,
        Kind::AddressSpace | Kind::NetworkInUse => Reason::NetworkUnavailable,
        Kind::RegistryDenied | Kind::ImageNotFound | Kind::RegistryUnavailable => Reason::ImagePullError,
        Kind::NotFound if error.op == fault::Op::CreateContainer => Reason::ImagePullError,
        Kind::Conflict | Kind::NotFound if error.op.is_network() => Reason::NetworkUnavailable,
        Kind::CommandNotRunnable | Kind::HostPathMissing | Kind::Invalid => Reason::InvalidSpec,
        Kind::Conflict => Reason::ForeignContainer,
        Kind::NotFound | Kind::Unstartable | Kind::MountRefused | Kind::Failed => Reason::BackOff,
    }
}

/// What a person reads of a failed call: what failed, what the engine said, what to do.
#[must_use]
pub fn sentence(error: &fault::Error) -> String {
    let next = match error.kind {
        Kind::Unreachable => "it is tried again; check that the Docker Engine runs and can be reached",
        Kind::PortTaken => "free the host port or choose another hostPort; it is tried again",
        Kind::AddressSpace => {
            "remove networks that are not used, or give the operator another --network-pool"
        }
        Kind::NetworkInUse => "it is tried again; `docker network inspect` shows who is on it",
        Kind::RegistryDenied => {
            "check imagePullSecrets and the credentials in them, or those of the host with useHostCredentials; it is tried again"
        }
        Kind::ImageNotFound => "correct the image, or push it to its registry; it is tried again",
        Kind::RegistryUnavailable => "check that the host reaches the registry; it is tried again",
        Kind::CommandNotRunnable => "correct command, args or the image",
        Kind::HostPathMissing => "create the path on the Docker host, or correct hostPath.path",
        Kind::MountRefused => "it is tried again; `supercargo doctor` says what the host's kernel lacks",
        Kind::Invalid => "correct the field that the engine names",
        Kind::Unstartable => "it is removed, and another is made",
        Kind::NotFound | Kind::Conflict | Kind::Failed => "it is tried again",
    };
    format!("{error}; {next}")
}

fn held(hold: &Hold, observed: &Observed, pull_error: Option<&fault::Error>) -> Option<Problem> {
    let reason = hold.reason()?;
    let message = match hold {
        Hold::BackOff { slot, .. } => {
            let replica = observed.replicas.iter().find(|r| r.slot == *slot && r.view.exit.is_some());
            let code = replica.and_then(|r| r.view.exit.as_ref()).map_or(0, |exit| exit.code);
            let name = replica.map_or("", |r| r.view.name.as_str());
            format!("{name} ended with exit code {code} and is started again after a pause; `supercargo logs` shows why")
        }
        Hold::PullBackOff { .. } => return pull_error.map(|error| Problem::new(reason_of(error), sentence(error))),
        Hold::ImageAbsent => {
            "the engine does not have the image and imagePullPolicy is Never; load the image or change the policy"
                .to_owned()
        }
        Hold::FilesLost { slot } => {
            let replica = observed.replicas.iter().find(|r| r.slot == *slot);
            let name = replica.map_or("", |r| r.view.name.as_str());
            format!("{name} is not started: the files that it was given are gone, and what stood in them cannot be resolved now; \
                     mend the references named above, or delete the container to have it made anew")
        }
        Hold::NoSubnet => {
            "no /24 of the network pool is free; remove networks, or give the operator another --network-pool".to_owned()
        }
        // Told above, with every reference or field by name.
        Hold::Blocked { .. }
        | Hold::Paused
        | Hold::Pulling
        | Hold::Waiting { .. }
        | Hold::Withdrawing { .. }
        | Hold::Delivering
        | Hold::Draining => return None,
    };
    Some(Problem::new(reason, message))
}
