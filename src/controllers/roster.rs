//! What the agent is to know about a deployment's containers: every one that runs, whether it may be named, and what is
//! asked of it. Pure. Called by [`super::deployment`] after each plan.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    agent::protocol::Member,
    state::{
        container::{ContainerId, RunState},
        desired::Desired,
        observed::{Observed, Replica},
        probe::{Check, Probe, Probes},
    },
};

/// The members of a deployment, in the order of their places.
pub(super) fn members(
    desired: &Desired,
    observed: &Observed,
    withdrawn: &BTreeSet<ContainerId>,
) -> Vec<Member> {
    let member = |replica: &Replica| {
        let view = &replica.view;
        let address: IpAddr = view.networks.get(&desired.network)?.ip.parse().ok()?;
        (view.state == RunState::Running).then_some(Member {
            container: view.id.clone(),
            started_at: view.started_at?,
            address,
            serving: !withdrawn.contains(&view.id),
            gate: replica.gate,
            probes: asked(replica),
            known: replica.health.clone(),
        })
    };
    observed.replicas.iter().filter_map(member).collect()
}

fn is_command(probe: &Probe) -> bool {
    matches!(probe.check, Check::Exec { .. })
}

/// The probes that an agent can ask: all but commands; after a startup probe that is one, the others once it said yes.
fn asked(replica: &Replica) -> Probes {
    let probes = &replica.probes;
    let held = probes.startup.as_ref().is_some_and(is_command) && !replica.health.started;
    let network = |probe: &Option<Probe>| probe.clone().filter(|probe| !is_command(probe) && !held);
    Probes {
        startup: network(&probes.startup),
        readiness: network(&probes.readiness),
        liveness: network(&probes.liveness),
        grace_seconds: std::collections::BTreeMap::new(),
    }
}
