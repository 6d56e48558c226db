//! How a container leaves: out of its deployment's names first, then a moment for those who have just looked it up, then
//! the signal, then the removal. Where nobody else would serve in its stead, the first two are left out. Decides when and
//! in which order; which one leaves is `rollout`'s.

use jiff::SignedDuration;

use super::{Action, Chain, Hold, Inputs, Why, heal::target, rollout::Decision};
use crate::state::{
    container::RunState,
    desired::{Desired, Rollout},
    observed::{Observed, Replica},
};

/// How long an address may still be connected to after it was last looked up; answers have a time to live of zero.
pub const SETTLE: SignedDuration = SignedDuration::from_millis(500);

/// The next step of one container on its way out.
pub fn leave(
    desired: &Desired,
    observed: &Observed,
    inputs: &Inputs,
    (replica, why): (&Replica, Why),
    decision: &mut Decision<'_>,
) {
    if is_missed(desired, observed, replica, why) {
        decision.withdrawn.insert(replica.view.id.clone());
        let settled = inputs.out_of_service.get(&replica.view.id).map(|at| *at + SETTLE);
        if settled.is_none_or(|at| at > inputs.now) {
            decision.holds.push(Hold::Withdrawing {
                slot: replica.slot,
                until: settled,
            });
            return;
        }
    }
    decision.chains.push(retire(desired, replica, why));
}

/// Whether somebody may look it up who could be sent to another one: then it is taken out of the names first.
fn is_missed(desired: &Desired, observed: &Observed, replica: &Replica, why: Why) -> bool {
    let together = desired.rollout == Rollout::Recreate && why == Why::Replaced;
    let named = replica.is_ready()
        && observed
            .agent
            .as_ref()
            .is_some_and(|agent| agent.state == RunState::Running);
    let another = || {
        observed
            .replicas
            .iter()
            .any(|other| other.view.id != replica.view.id && other.is_ready())
    };
    desired.replicas > 0 && !together && named && another()
}

/// Signal or removal, whichever is next.
fn retire(desired: &Desired, replica: &Replica, why: Why) -> Chain {
    let target = target(desired, replica);
    let stop = |target| Action::Stop {
        target,
        grace_seconds: desired.grace_seconds,
        why,
    };
    match replica.view.state {
        // A frozen process hears no signal: thaw it, so that it can end in order.
        RunState::Paused => vec![
            Action::Unpause {
                target: target.clone(),
                why,
            },
            stop(target),
        ],
        RunState::Running | RunState::Restarting => vec![stop(target)],
        RunState::Created | RunState::Exited | RunState::Dead => vec![Action::Remove { target, why }],
        RunState::Removing => Vec::new(),
    }
}
