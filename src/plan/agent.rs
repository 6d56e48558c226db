//! The agent of a namespace's network: when it is needed, what it is, and what mends it. It answers for the names of all
//! deployments there and asks their probes, so each of them wants it, and the last one takes it away with the network.
//! Restarting it is the engine's: names must come back also while the operator is away.

use std::net::{IpAddr, Ipv4Addr};

use super::{Action, Chain, Why, subnet::Cidr};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerSpec, Limits, RunState},
        desired::Desired,
        names,
        network::NetworkJoin,
        observed::Observed,
        owner::namespace_labels,
    },
};

/// More than it ever needs; a bound for the case of a mistake.
const MEMORY: i64 = 128 << 20;

/// Where the agent of a network is: the last address, which the engine gives to a container last.
#[must_use]
pub fn address(subnet: &str) -> Option<Ipv4Addr> {
    subnet.parse::<Cidr>().ok()?.last_host()
}

/// What brings the agent, or brings it up to date; `None` when it is as it should be.
#[must_use]
pub fn ensure(desired: &Desired, observed: &Observed, subnet: &str) -> Option<Chain> {
    let ensure = Action::EnsureAgent {
        spec: Box::new(spec(desired, address(subnet)?)),
    };
    let Some(agent) = &observed.agent else {
        return Some(vec![ensure]);
    };
    let remove = |why| Action::RemoveAgent {
        id: agent.id.clone(),
        name: agent.name.clone(),
        why,
    };
    let outdated = agent.label(label::AGENT) != desired.agent.version;
    let placed = |at: Ipv4Addr| {
        let place = agent.networks.get(&desired.network);
        // An address is shown while it runs.
        place.is_some_and(|place| place.ip.is_empty() || place.ip == at.to_string())
    };
    let stranded = observed.stranded.contains(&agent.id);
    match agent.state {
        RunState::Removing => None,
        _ if stranded => Some(vec![remove(Why::NetworkLost), ensure]),
        _ if outdated || !address(subnet).is_some_and(placed) => Some(vec![remove(Why::Outdated), ensure]),
        RunState::Running | RunState::Restarting => None,
        RunState::Created | RunState::Exited => Some(vec![ensure]),
        RunState::Paused | RunState::Dead => Some(vec![remove(Why::Broken), ensure]),
    }
}

/// The container: as little as answering on port 53 needs.
fn spec(desired: &Desired, address: Ipv4Addr) -> ContainerSpec {
    let owner = &desired.owner;
    let mut labels = namespace_labels(&owner.instance, &owner.namespace);
    labels.insert(label::AGENT.to_owned(), desired.agent.version.clone());
    ContainerSpec {
        name: names::agent(&owner.instance, &owner.namespace),
        image: desired.agent.image.clone(),
        entrypoint: Some(["/supercargo", "agent"].map(str::to_owned).to_vec()),
        cmd: Some(vec!["--namespace".to_owned(), owner.namespace.clone()]),
        working_dir: None,
        env: Vec::new(),
        labels,
        hostname: Some("agent".to_owned()),
        user: None,
        read_only_rootfs: true,
        no_new_privileges: true,
        privileged: false,
        cap_add: vec!["NET_BIND_SERVICE".to_owned()],
        cap_drop: vec!["ALL".to_owned()],
        limits: Limits {
            memory: Some(MEMORY),
            nano_cpus: None,
        },
        pids: None,
        ports: Vec::new(),
        mounts: Vec::new(),
        network: Some(NetworkJoin {
            name: desired.network.clone(),
            aliases: Vec::new(),
            address: Some(IpAddr::V4(address)),
        }),
        dns: Vec::new(),
        restarts: true,
        stop_timeout: 1,
    }
}
