//! The last step of a reconcile: the facts of the pass become a status and events, and the pause until the next look. What they
//! say is `status`'s, the writing is [`super::publish`]'s. Called by [`super::deployment`].

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{
    context::LOCAL_HOST,
    deployment::{Error, Pass},
    memory::Memory,
    publish,
    wish::Wish,
};
use crate::{
    api::status::DockerDeploymentStatus,
    engine::{Engine, Kind},
    execute::{Outcome, Report},
    plan::{Hold, Plan},
    state::{files::Holder, observed::Observed},
    status::{self, Facts},
};

/// What a stranger has is asked for this often: no event of ours tells when it is free.
const STRANGERS: Duration = Duration::from_secs(5);

impl<E: Engine> Pass<'_, E> {
    /// Step 7.
    pub(super) async fn publish(
        &mut self,
        wish: &Wish,
        observed: &Observed,
        plan: &Plan,
        reports: &[Report],
        memory: &Memory,
    ) -> Result<Action, Error> {
        let (next, status) = self.tell(wish, observed, plan, reports, memory).await?;
        // What was told once is not told again at the end of this pass.
        self.before = status;
        Ok(next)
    }

    /// Writes what is due; answers when to look again, and the status that people have been told.
    pub(super) async fn tell(
        &self,
        wish: &Wish,
        observed: &Observed,
        plan: &Plan,
        reports: &[Report],
        memory: &Memory,
    ) -> Result<(Action, DockerDeploymentStatus), Error> {
        let spec = wish.valid.as_ref().map(|v| &v.deployment.spec);
        let pull_error = self.pull(wish).1;
        let now = self.ctx.clock.now();
        let mut facts = Facts {
            before: &self.before,
            desired: &wish.desired,
            observed,
            plan,
            reports,
            resolution: &wish.resolution,
            violations: &wish.violations,
            pull_error: pull_error.as_ref(),
            restarts: &memory.restarts,
            exits: &memory.exits,
            progress_deadline_seconds: spec
                .map_or(600, crate::api::DockerDeploymentSpec::progress_deadline_seconds),
            selector: spec
                .and_then(publish::selector)
                .or_else(|| self.before.selector.clone()),
            host: LOCAL_HOST,
            now,
            deadline: now,
        };
        let deadline = status::deployment::progress_deadline(&facts);
        facts.deadline = self.ctx.moments.deadline(&self.id.owner.uid, deadline, now);
        let summary = status::summarize(&facts);
        publish::everything(self, &facts, &summary).await?;
        let check = self.next_check(observed, now);
        let next = self.next(plan, reports, summary.deadline.into_iter().chain(check).min());
        Ok((next, summary.status))
    }

    /// When files are to be compared. What is due and could not be compared waits for whatever hinders it to change.
    fn next_check(&self, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
        let has_files = observed.files.holders.iter().any(Holder::runs);
        let due = has_files.then(|| self.ctx.checks.due(&self.id.owner.uid, now));
        due.flatten().filter(|due| *due > now)
    }

    fn next(&self, plan: &Plan, reports: &[Report], deadline: Option<Timestamp>) -> Action {
        let failed = reports
            .iter()
            .any(|r| matches!(r.outcome, Outcome::Failed(_) | Outcome::Foreign { .. }));
        let no_subnet = plan.holds.contains(&Hold::NoSubnet);
        let strangers = no_subnet || reports.iter().any(is_of_a_stranger);
        let pause = if failed || no_subnet {
            let pause = self.ctx.failures.add(&self.id.owner.uid);
            Some(if strangers { pause.min(STRANGERS) } else { pause })
        } else {
            self.ctx.failures.clear(&self.id.owner.uid);
            None
        };
        let now = self.ctx.clock.now();
        let until = plan.look_again_at().into_iter().chain(deadline).min();
        let until = until.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        match [pause, until].into_iter().flatten().min() {
            // A millisecond more than the moment itself, so that it has passed when we look.
            Some(wait) => Action::requeue(wait + Duration::from_millis(1)),
            None => Action::await_change(),
        }
    }
}

/// Whether it waits for what somebody has whom we do not watch.
fn is_of_a_stranger(report: &Report) -> bool {
    matches!(&report.outcome, Outcome::Failed(error) if matches!(error.kind, Kind::PortTaken | Kind::AddressSpace))
}
