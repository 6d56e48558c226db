//! A world as small as decisions need it: containers, one network, one image, and an engine that does at once what an
//! action says or refuses it. For the tests of this room; what the real engine does is the contract suite's.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, Inputs, Plan, Pull, fixtures, plan,
    restart::{self, Restarts},
    simulator_files::Shelves,
};
use crate::{
    api::keys::label,
    state::{
        container::{Attachment, ContainerId, ContainerView, ExitInfo, RunState},
        desired::Desired,
        network::NetworkView,
        observed::Observed,
    },
};

/// See the file's header.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) containers: Vec<ContainerView>,
    pub(super) network: Option<NetworkView>,
    pub(super) image: bool,
    pub(super) pull: Pull,
    pub(super) now: Timestamp,
    pub(super) restarts: BTreeMap<ContainerId, Restarts>,
    /// What no name leads to any more.
    pub(super) out: BTreeMap<ContainerId, Timestamp>,
    /// The template whose containers run and are never ready.
    pub(super) broken: Option<&'static str>,
    pub(super) files: Shelves,
    pub(super) made: u32,
}

/// What came of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    Done,
    EndsChain,
    Refused,
}

impl World {
    pub(super) fn of(containers: Vec<ContainerView>) -> Self {
        Self {
            containers,
            network: Some(fixtures::network()),
            image: true,
            pull: Pull::NotAsked,
            now: fixtures::now() + SignedDuration::from_hours(1),
            restarts: BTreeMap::new(),
            out: BTreeMap::new(),
            broken: None,
            files: Shelves::default(),
            made: 0,
        }
    }

    pub(super) fn plan(&mut self, desired: &Desired) -> Plan {
        for view in &self.containers {
            let known = self.restarts.get(&view.id).copied().unwrap_or_default();
            self.restarts
                .insert(view.id.clone(), restart::account(known, view));
        }
        let networks: Vec<NetworkView> = self.network.iter().cloned().collect();
        let mut observed = Observed::of(
            &desired.owner,
            self.containers.clone(),
            &networks,
            &[],
            self.image,
        );
        observed = self.files.show(observed);
        observed.files.now = self.now;
        for replica in &mut observed.replicas {
            replica.health.ready = self.is_well(&replica.view);
        }
        let inputs = Inputs {
            now: self.now,
            restarts: self.restarts.clone(),
            pull: self.pull,
            out_of_service: self.out.clone(),
            ..fixtures::inputs()
        };
        let plan = plan(desired, &observed, &inputs);
        self.out.retain(|id, _| plan.withdrawn.contains(id));
        for id in &plan.withdrawn {
            self.out.entry(id.clone()).or_insert(self.now);
        }
        plan
    }

    /// Whether it would say that it is ready.
    pub(super) fn is_well(&self, view: &ContainerView) -> bool {
        self.broken != Some(view.label(label::TEMPLATE_HASH))
    }

    /// Time passes, and the engine finishes what it had begun.
    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.containers.retain(|c| c.state != RunState::Removing);
        for container in &mut self.containers {
            if container.state == RunState::Restarting {
                container.state = RunState::Running;
            }
        }
    }

    /// The process that decides is gone, with all that it remembered.
    pub(super) fn forget(&mut self) {
        self.restarts.clear();
        self.out.clear();
        self.files.forget();
        self.pull = Pull::NotAsked;
    }

    /// Carries out at most `most` actions; tells `watch` of each, with the world before it. Answers how many there were.
    pub(super) fn carry_out(
        &mut self,
        plan: &Plan,
        most: usize,
        watch: &mut dyn FnMut(&Self, &Action),
    ) -> usize {
        let mut count = 0;
        for stage in &plan.stages {
            let mut refused = false;
            for chain in stage {
                let mut made = None;
                for action in chain {
                    if count == most {
                        return count;
                    }
                    count += 1;
                    watch(self, action);
                    let did = self.act(action, made.as_ref());
                    if let Action::Create { spec, .. } = action {
                        let view = self.containers.iter().find(|c| c.name == spec.name);
                        made = view.map(|view| view.id.clone());
                    }
                    self.settle_files();
                    match did {
                        Did::Done => {}
                        Did::EndsChain => break,
                        Did::Refused => {
                            refused = true;
                            break;
                        }
                    }
                }
            }
            if refused {
                break;
            }
        }
        count
    }

    fn named(&self, name: &str) -> bool {
        self.containers.iter().any(|c| c.name == name)
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn act(&mut self, action: &Action, made: Option<&ContainerId>) -> Did {
        match action {
            Action::EnsureNetwork { network } => {
                self.network.get_or_insert(NetworkView {
                    id: "n".into(),
                    name: network.name.clone(),
                    subnets: vec![network.subnet.clone()],
                    labels: network.labels.clone(),
                });
                Did::Done
            }
            Action::EnsureVolume { .. } => Did::Done,
            Action::Files(files) => self.act_on_files(files, made),
            Action::EnsureAgent { spec } => self.ensure(spec),
            Action::RemoveAgent { id, .. } => {
                self.containers.retain(|c| c.id != *id);
                Did::Done
            }
            Action::Pull { .. } => {
                (self.image, self.pull) = (true, Pull::Done);
                Did::EndsChain
            }
            Action::Create { spec, .. } => {
                if self.named(&spec.name) || !self.image {
                    return Did::Refused;
                }
                self.made += 1;
                let id = ContainerId::new(format!("made-{:08}", self.made));
                self.containers.push(fixtures::created(spec, id, self.now));
                self.pull = Pull::NotAsked;
                Did::Done
            }
            Action::StartCreated { name } => {
                let id = self
                    .containers
                    .iter()
                    .find(|c| c.name == *name)
                    .map(|c| c.id.clone());
                id.map_or(Did::Refused, |id| self.start(&id))
            }
            Action::RemoveNetwork { .. } => {
                let network = self.network.take();
                let used = |c: &ContainerView| {
                    c.state == RunState::Running
                        && network.as_ref().is_some_and(|n| c.networks.contains_key(&n.name))
                };
                assert!(!self.containers.iter().any(used), "a network in use was removed");
                Did::Done
            }
            Action::Start { target, .. } => self.start(&target.id),
            Action::Rename { to, .. } if self.named(to) => Did::Refused,
            Action::Remove { target, .. } => {
                let before = self.containers.len();
                self.containers.retain(|c| c.id != target.id || is_alive(c));
                if self.containers.len() == before {
                    Did::Refused
                } else {
                    Did::Done
                }
            }
            Action::Stop { target, .. } => {
                let now = self.now;
                self.with(&target.id, |c| {
                    c.state = RunState::Exited;
                    c.exit = Some(ExitInfo {
                        code: 0,
                        oom_killed: false,
                        finished_at: now,
                    });
                });
                Did::EndsChain
            }
            Action::Unpause { target, .. } => self.with(&target.id, |c| c.state = RunState::Running),
            Action::Rename { target, to } => self.with(&target.id, |c| c.name.clone_from(to)),
            Action::Update { target, limits } => self.with(&target.id, |c| {
                c.limits.memory = limits.memory.or(c.limits.memory);
                c.limits.nano_cpus = limits.nano_cpus.or(c.limits.nano_cpus);
                (c.swap_bounded, c.restart_policy) = (true, "no".into());
            }),
            Action::Connect {
                target,
                network,
                aliases,
            } => {
                let there = self.network.as_ref().filter(|n| n.name == *network);
                let attached = Attachment {
                    aliases: aliases.clone(),
                    network_id: there.map(|n| n.id.clone()).unwrap_or_default(),
                    ..Attachment::default()
                };
                self.with(&target.id, |c| {
                    c.networks.insert(network.clone(), attached);
                })
            }
            Action::Disconnect { target, network } => self.with(&target.id, |c| {
                c.networks.remove(network);
            }),
        }
    }

    fn with(&mut self, id: &ContainerId, change: impl FnOnce(&mut ContainerView)) -> Did {
        match self.containers.iter_mut().find(|c| c.id == *id) {
            Some(container) => {
                change(container);
                Did::Done
            }
            None => Did::Refused,
        }
    }

    pub(super) fn start(&mut self, id: &ContainerId) -> Did {
        self.check_files(id);
        let (now, network) = (self.now, self.network.as_ref().map(|n| n.id.clone()));
        let Some(container) = self.containers.iter_mut().find(|c| c.id == *id) else {
            return Did::Refused;
        };
        let ours = fixtures::network().name;
        if !matches!(container.state, RunState::Created | RunState::Exited) {
            return Did::Refused;
        }
        if let Some(place) = container.networks.get_mut(&ours) {
            match network {
                Some(id) if place.network_id.is_empty() || place.network_id == id => place.network_id = id,
                _ => return Did::Refused,
            }
        }
        (container.state, container.started_at, container.exit) = (RunState::Running, Some(now), None);
        Did::Done
    }
}

/// Whether it has a process.
pub(super) fn is_alive(view: &ContainerView) -> bool {
    matches!(
        view.state,
        RunState::Running | RunState::Paused | RunState::Restarting
    )
}
