//! What must be there before a container can be made: its image, the namespace's network, its data volumes. Answers
//! with the actions that bring them, or with the hold that says what is waited for. Nothing is taken away for the sake
//! of a new container before that one could be made.

use super::{Action, Chain, Hold, Inputs, Pull, files, subnet};
use crate::state::{
    desired::{Desired, Prototype, PullPolicy, Template},
    network::NetworkSpec,
    observed::Observed,
    owner::namespace_labels,
};

/// Whether a container can be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// After these chains, yes.
    After(Vec<Chain>),
    /// Not now.
    NotYet {
        /// What brings it nearer.
        chain: Chain,
        /// What is waited for.
        hold: Hold,
    },
}

/// Decides what is missing.
#[must_use]
pub fn prepare(desired: &Desired, observed: &Observed, inputs: &Inputs) -> Prepared {
    let prototype = match &desired.template {
        Template::Known(prototype) => prototype,
        Template::Blocked(why) => {
            return Prepared::NotYet {
                chain: Chain::new(),
                hold: Hold::Blocked { why: *why },
            };
        }
    };
    if let Some((chain, hold)) = image(prototype, observed, inputs) {
        return Prepared::NotYet { chain, hold };
    }
    if let Some((chain, hold)) = files::unknown(desired, observed) {
        return Prepared::NotYet { chain, hold };
    }
    let mut chains: Vec<Chain> = prototype
        .volumes
        .iter()
        .map(|volume| {
            vec![Action::EnsureVolume {
                volume: volume.clone(),
            }]
        })
        .collect();
    match network(desired, observed, inputs) {
        None => {}
        Some(Ok(ensure)) => chains.push(vec![ensure]),
        Some(Err(hold)) => {
            return Prepared::NotYet {
                chain: Chain::new(),
                hold,
            };
        }
    }
    Prepared::After(chains)
}

/// What makes the namespace's network, or why nothing can; `None` when it is there.
pub fn network(desired: &Desired, observed: &Observed, inputs: &Inputs) -> Option<Result<Action, Hold>> {
    if observed.network.is_some() {
        return None;
    }
    let Some(subnet) = subnet::free(inputs.pool, &observed.subnets) else {
        return Some(Err(Hold::NoSubnet));
    };
    let network = NetworkSpec {
        name: desired.network.clone(),
        subnet: subnet.to_string(),
        labels: namespace_labels(&desired.owner.instance, &desired.owner.namespace),
    };
    Some(Ok(Action::EnsureNetwork { network }))
}

/// What the image still needs; `None` when it is as the policy wants it.
fn image(prototype: &Prototype, observed: &Observed, inputs: &Inputs) -> Option<(Chain, Hold)> {
    let pull = Action::Pull {
        image: prototype.spec.image.clone(),
        policy: prototype.pull,
    };
    let wanted = match prototype.pull {
        PullPolicy::Never if observed.image_present => return None,
        PullPolicy::Never => return Some((Chain::new(), Hold::ImageAbsent)),
        PullPolicy::IfNotPresent => !observed.image_present,
        PullPolicy::Always => inputs.pull != Pull::Done || !observed.image_present,
    };
    if !wanted {
        return None;
    }
    Some(match inputs.pull {
        Pull::Running => (Chain::new(), Hold::Pulling),
        Pull::Failed(until) if until > inputs.now => (Chain::new(), Hold::PullBackOff { until }),
        Pull::NotAsked | Pull::Done | Pull::Failed(_) => (vec![pull], Hold::Pulling),
    })
}
