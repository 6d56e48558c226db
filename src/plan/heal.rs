//! One container of ours against what it should be, apart from its revision: is it up, under its name, within its
//! limits, on its network? Answers with the chain that mends it, or with the hold that says when. What an engine cannot
//! change on a living container is [`outgrown`]: `rollout` says when it makes room for a new one.

use crate::{
    plan::{Action, Chain, Hold, Inputs, Target, Why, restart},
    state::{
        container::{ContainerSpec, ContainerView, Limits, RunState},
        desired::Desired,
        observed::Replica,
        probe::Role,
    },
};

/// What is to be done about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Fine,
    /// This mends it.
    Mend(Chain),
    /// Something is awaited: the engine, or a back-off.
    Wait(Option<Hold>),
}

/// Names a container for an action.
#[must_use]
pub fn target(desired: &Desired, replica: &Replica) -> Target {
    Target {
        id: replica.view.id.clone(),
        name: replica.view.name.clone(),
        revision: replica.revision.clone(),
        owner_uid: desired.owner.uid.clone(),
    }
}

/// Whether no engine can make it what is wanted: a limit can be raised and lowered on a living container, not taken away.
#[must_use]
pub fn outgrown(wanted: &ContainerSpec, view: &ContainerView) -> bool {
    let (wanted, seen) = (&wanted.limits, &view.limits);
    (wanted.memory.is_none() && seen.memory.is_some())
        || (wanted.nano_cpus.is_none() && seen.nano_cpus.is_some())
}

/// Mends a container that stays. `wanted` is its spec where that is known (the current revision, nothing blocked).
#[must_use]
pub fn heal(
    desired: &Desired,
    replica: &Replica,
    wanted: Option<&ContainerSpec>,
    inputs: &Inputs,
) -> Verdict {
    let view = &replica.view;
    let mut chain = Chain::new();
    if let Some(spec) = wanted {
        if !outgrown(spec, view) && drifted(&spec.limits, view) {
            chain.push(Action::Update {
                target: target(desired, replica),
                limits: spec.limits,
            });
        }
        if view.name != spec.name {
            chain.push(Action::Rename {
                target: target(desired, replica),
                to: spec.name.clone(),
            });
        }
        chain.extend(networks(desired, replica, spec));
    }
    match run(desired, replica, inputs) {
        Verdict::Mend(more) => chain.extend(more),
        Verdict::Wait(hold) if chain.is_empty() => return Verdict::Wait(hold),
        Verdict::Wait(_) | Verdict::Fine => {}
    }
    if chain.is_empty() {
        Verdict::Fine
    } else {
        Verdict::Mend(chain)
    }
}

fn run(desired: &Desired, replica: &Replica, inputs: &Inputs) -> Verdict {
    let view = &replica.view;
    let target = target(desired, replica);
    match view.state {
        RunState::Running if !replica.health.alive => Verdict::Mend(vec![Action::Stop {
            target,
            grace_seconds: grace(desired, replica),
            why: Why::Unhealthy,
        }]),
        RunState::Running => Verdict::Fine,
        RunState::Paused => Verdict::Mend(vec![Action::Unpause {
            target,
            why: Why::PausedByHand,
        }]),
        RunState::Created => Verdict::Mend(vec![Action::Start {
            target,
            why: Why::NeverStarted,
        }]),
        RunState::Exited => {
            let restarts = inputs.restarts.get(&view.id).copied().unwrap_or_default();
            let until = restart::due(restarts, view, inputs.now);
            if until <= inputs.now {
                Verdict::Mend(vec![Action::Start {
                    target,
                    why: Why::Exited,
                }])
            } else {
                Verdict::Wait(Some(Hold::BackOff {
                    slot: replica.slot,
                    until,
                }))
            }
        }
        RunState::Dead => Verdict::Mend(vec![Action::Remove {
            target,
            why: Why::Broken,
        }]),
        // The engine is at work; its event wakes us.
        RunState::Removing | RunState::Restarting => Verdict::Wait(None),
    }
}

/// Seconds between signal and kill of a container that does not work: what the probe that failed says, else the pod's.
fn grace(desired: &Desired, replica: &Replica) -> i64 {
    let role = if replica.health.started {
        Role::Liveness
    } else {
        Role::Startup
    };
    let own = replica.probes.grace_seconds.get(&role);
    own.copied().unwrap_or(desired.grace_seconds)
}

fn drifted(wanted: &Limits, view: &ContainerView) -> bool {
    *wanted != view.limits || !view.swap_bounded || view.restart_policy != "no"
}

/// Takes a container that does not run off its network and puts it back: it remembers the id of a network that is gone,
/// and would not start on its successor.
#[must_use]
pub fn rejoin(desired: &Desired, replica: &Replica) -> Chain {
    let Some(attached) = replica.view.networks.get(&desired.network) else {
        return Chain::new();
    };
    vec![
        Action::Disconnect {
            target: target(desired, replica),
            network: desired.network.clone(),
        },
        Action::Connect {
            target: target(desired, replica),
            network: desired.network.clone(),
            aliases: attached.aliases.clone(),
        },
    ]
}

fn networks(desired: &Desired, replica: &Replica, spec: &ContainerSpec) -> Chain {
    let Some(join) = &spec.network else {
        return Chain::new();
    };
    let mut chain = Chain::new();
    let attached = replica.view.networks.get(&join.name);
    let complete = attached.is_some_and(|a| join.aliases.iter().all(|alias| a.aliases.contains(alias)));
    for name in replica.view.networks.keys() {
        if *name != join.name || !complete {
            chain.push(Action::Disconnect {
                target: target(desired, replica),
                network: name.clone(),
            });
        }
    }
    if !complete {
        chain.push(Action::Connect {
            target: target(desired, replica),
            network: join.name.clone(),
            aliases: join.aliases.clone(),
        });
    }
    chain
}
