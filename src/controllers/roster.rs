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
            gate: true,
            probes: asked(&replica.probes),
            known: replica.health.clone(),
        })
    };
    observed.replicas.iter().filter_map(member).collect()
}

/// The probes that an agent can ask: all but commands.
fn asked(probes: &Probes) -> Probes {
    let network = |probe: &Option<Probe>| {
        let probe = probe.clone()?;
        (!matches!(probe.check, Check::Exec { .. })).then_some(probe)
    };
    Probes {
        startup: network(&probes.startup),
        readiness: network(&probes.readiness),
        liveness: network(&probes.liveness),
        grace_seconds: std::collections::BTreeMap::new(),
    }
}
