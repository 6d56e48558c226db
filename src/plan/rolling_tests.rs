//! What must hold of every rollout, whatever its budget: generated rollouts in the simulator, good and broken ones; how a
//! container leaves; and the agent's life. Tests are sentences.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::{
    Action, Hold, Inputs, Plan, Why, agent,
    fixtures::{self, desired, made, now, observed},
    plan,
    simulator::{World, is_alive},
};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerId, ContainerView, RunState},
        desired::{Budget, Desired, Rollout},
        observed::Observed,
    },
};

const OLD: &str = "t1-old";
const NEW: &str = "t1-new";
/// More rounds than a rollout of eight places needs, one at a time.
const ROUNDS: usize = 120;

fn wish(replicas: u32, template: &str, budget: Budget) -> Desired {
    Desired {
        rollout: Rollout::Rolling(budget),
        ..desired(replicas, template)
    }
}

fn all_running(desired: &Desired) -> Vec<ContainerView> {
    (0..desired.replicas).map(|slot| made(desired, slot)).collect()
}

fn budgets() -> impl Strategy<Value = Budget> {
    (0..4_u32, 0..4_u32, any::<bool>()).prop_map(|(surge, unavailable, exclusive)| {
        let surge = if exclusive { 0 } else { surge };
        Budget {
            surge,
            unavailable: if surge == 0 {
                unavailable.max(1)
            } else {
                unavailable
            },
            exclusive,
        }
    })
}

/// The containers of the deployment that serve: alive, well, and found by the deployment's name.
fn serving(world: &World, desired: &Desired) -> usize {
    let ours = |c: &&ContainerView| desired.owner.owns(&c.labels);
    let serves = |c: &&ContainerView| is_alive(c) && world.is_well(c) && !world.out.contains_key(&c.id);
    world.containers.iter().filter(ours).filter(serves).count()
}

/// Those that run; and those of them that have not been taken out of the names to end.
fn alive(world: &World, desired: &Desired) -> (usize, usize) {
    let ours = |c: &&ContainerView| desired.owner.owns(&c.labels) && is_alive(c);
    let all = world.containers.iter().filter(ours);
    (
        all.clone().count(),
        all.filter(|c| !world.out.contains_key(&c.id)).count(),
    )
}

fn revisions(world: &World, desired: &Desired) -> Vec<String> {
    let ours = |c: &&ContainerView| desired.owner.owns(&c.labels) && is_alive(c);
    let mut all: Vec<String> = world
        .containers
        .iter()
        .filter(ours)
        .map(|c| c.label(label::TEMPLATE_HASH).to_owned())
        .collect();
    all.sort();
    all
}

fn is_over(plan: &Plan) -> bool {
    plan.is_empty() && plan.holds.is_empty()
}

/// Rolls until nothing is left to do; at each action at least so many serve and at most so many exist as the budget says.
fn roll(world: &mut World, desired: &Desired, budget: Budget) -> bool {
    let wanted = desired.replicas as usize;
    let least = wanted.saturating_sub(budget.unavailable as usize);
    let most = wanted + budget.surge as usize;
    let leaving = (budget.surge + budget.unavailable) as usize;
    let is_within = |world: &World| {
        let (all, staying) = alive(world, desired);
        staying <= most && all <= most + leaving
    };
    for _ in 0..ROUNDS {
        let plan = world.plan(desired);
        if is_over(&plan) {
            return true;
        }
        assert!(serving(world, desired) >= least, "too few serve after {plan}");
        world.carry_out(&plan, usize::MAX, &mut |world, action| {
            assert!(is_within(world), "too many before {action}");
        });
        assert!(is_within(world), "too many after {plan}");
        world.pass(1);
    }
    false
}

proptest! {
    #[test]
    fn a_rollout_stays_within_its_budget_and_ends(
        replicas in 1..8_u32, budget in budgets(), ready in 0..3_u32,
    ) {
        let new = Desired { min_ready_seconds: ready, ..wish(replicas, NEW, budget) };
        let mut world = World::of(all_running(&wish(replicas, OLD, budget)));
        prop_assert!(roll(&mut world, &new, budget), "it does not end");
        prop_assert_eq!(revisions(&world, &new), vec![NEW; replicas as usize]);
    }

    #[test]
    fn a_broken_revision_takes_no_more_than_the_budget_and_is_taken_back(
        replicas in 1..8_u32, budget in budgets(),
    ) {
        let (old, new) = (wish(replicas, OLD, budget), wish(replicas, NEW, budget));
        let mut world = World::of(all_running(&old));
        world.broken = Some(NEW);
        prop_assert!(!roll(&mut world, &new, budget), "it ends");
        let least = replicas.saturating_sub(budget.unavailable);
        prop_assert!(serving(&world, &new) >= least as usize);
        // Back to what worked: nobody who serves goes on the way.
        for _ in 0..ROUNDS {
            let plan = world.plan(&old);
            let stopped = plan.actions().filter_map(|a| match a {
                Action::Stop { target, .. } => Some(&target.id),
                _ => None,
            });
            for id in stopped {
                let view = world.containers.iter().find(|c| c.id == *id).unwrap();
                prop_assert_eq!(view.label(label::TEMPLATE_HASH), NEW);
            }
            world.carry_out(&plan, usize::MAX, &mut |_, _| {});
            world.pass(1);
        }
        prop_assert_eq!(revisions(&world, &old), vec![OLD; replicas as usize]);
    }

    #[test]
    fn whoever_is_found_by_name_is_taken_out_of_it_half_a_second_before_the_signal(
        replicas in 2..6_u32, budget in budgets(), shrink in 0..2_u32,
    ) {
        let new = wish(replicas - shrink, NEW, budget);
        let mut world = World::of(all_running(&wish(replicas, OLD, budget)));
        for _ in 0..ROUNDS {
            let plan = world.plan(&new);
            let agent = world.containers.iter().any(|c| !c.label(label::AGENT).is_empty() && is_alive(c));
            let others = serving(&world, &new) > 1;
            for action in plan.actions() {
                let Action::Stop { target, why: Why::Replaced | Why::ScaledDown, .. } = action else { continue };
                let since = world.out.get(&target.id).map(|at| world.now.duration_since(*at));
                let waited = since.is_some_and(|since| since >= super::leave::SETTLE);
                prop_assert!(!agent || !others || waited, "{action}");
            }
            world.carry_out(&plan, usize::MAX, &mut |_, _| {});
            world.pass(1);
        }
    }
}

fn with_agent(views: Vec<ContainerView>) -> Observed {
    let mut observed = observed(views);
    let Action::EnsureAgent { spec } = agent_of(&desired(1, NEW), &observed) else {
        panic!("no agent");
    };
    let mut agent = fixtures::created(&spec, ContainerId::new("agent"), now());
    agent.state = RunState::Running;
    agent
        .networks
        .values_mut()
        .for_each(|place| place.ip = "10.213.0.254".into());
    observed.agent = Some(agent);
    observed
}

fn agent_of(desired: &Desired, observed: &Observed) -> Action {
    agent::ensure(desired, observed, "10.213.0.0/24")
        .unwrap()
        .remove(0)
}

#[test]
fn an_agent_is_at_the_last_address_and_every_container_asks_it_first() {
    let plan = plan(&desired(1, NEW), &observed(vec![]), &fixtures::inputs());
    let mut seen = 0;
    for action in plan.actions() {
        match action {
            Action::EnsureAgent { spec } => {
                let address = spec.network.as_ref().unwrap().address.unwrap();
                assert_eq!(address.to_string(), "10.213.0.254");
                assert!(spec.restarts && spec.dns.is_empty() && spec.read_only_rootfs);
                seen += 1;
            }
            Action::Create { spec, .. } => {
                assert_eq!(spec.dns[0].to_string(), "10.213.0.254");
                assert!(spec.network.as_ref().unwrap().aliases.is_empty());
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen, 2, "{plan}");
}

#[test]
fn an_agent_that_is_as_it_should_be_is_left_alone_and_any_other_is_mended() {
    let wanted = desired(1, NEW);
    let verbs = |change: &dyn Fn(&mut ContainerView)| {
        let mut observed = with_agent(vec![made(&wanted, 0)]);
        change(observed.agent.as_mut().unwrap());
        let plan = plan(&wanted, &observed, &fixtures::inputs());
        plan.actions().map(Action::verb).collect::<Vec<_>>()
    };
    assert_eq!(verbs(&|_| {}), [""; 0]);
    assert_eq!(verbs(&|a| a.state = RunState::Exited), ["ensure-agent"]);
    assert_eq!(verbs(&|a| a.state = RunState::Restarting), [""; 0]);
    let anew = ["remove-agent", "ensure-agent"];
    assert_eq!(verbs(&|a| a.state = RunState::Paused), anew);
    assert_eq!(
        verbs(&|a| _ = a.labels.insert(label::AGENT.into(), "2".into())),
        anew
    );
    let moved = |a: &mut ContainerView| a.networks.values_mut().for_each(|p| p.ip = "10.213.0.7".into());
    assert_eq!(verbs(&moved), anew);
}

#[test]
fn the_agent_goes_with_the_last_container_and_before_the_network() {
    let nothing = Desired::nothing(fixtures::owner(), 2, 1);
    let plan = plan(&nothing, &with_agent(vec![]), &fixtures::inputs());
    let verbs: Vec<_> = plan.actions().map(Action::verb).collect();
    assert_eq!(verbs, ["remove-agent", "remove-network"]);
}

#[test]
fn a_container_that_leaves_waits_for_the_agents_word_and_then_half_a_second() {
    let (one, two) = (desired(1, NEW), desired(2, NEW));
    let views = all_running(&two);
    let (leaving, slot) = (views[1].id.clone(), 1);
    let observed = with_agent(views);
    let at = |out: &[(ContainerId, i64)]| {
        let out = out
            .iter()
            .map(|(id, ms)| (id.clone(), now() - SignedDuration::from_millis(*ms)));
        let inputs = Inputs {
            out_of_service: out.collect(),
            ..fixtures::inputs()
        };
        plan(&one, &observed, &inputs)
    };
    let unsaid = at(&[]);
    assert_eq!(unsaid.withdrawn, [leaving.clone()].into());
    assert_eq!(unsaid.holds, [Hold::Withdrawing { slot, until: None }]);
    let just = at(&[(leaving.clone(), 100)]);
    let until = Some(now() + SignedDuration::from_millis(400));
    assert!(
        just.is_empty() && just.holds == [Hold::Withdrawing { slot, until }],
        "{just}"
    );
    let long = at(&[(leaving.clone(), 500)]);
    assert!(
        long.actions().any(|a| a.verb() == "stop") && long.withdrawn == [leaving].into(),
        "{long}"
    );
}

#[test]
fn the_last_one_leaves_at_once_as_nobody_could_be_sent_elsewhere() {
    for (wanted, views) in [
        (desired(0, NEW), all_running(&desired(2, NEW))),
        (
            Desired::nothing(fixtures::owner(), 2, 1),
            all_running(&desired(2, NEW)),
        ),
    ] {
        let plan = plan(&wanted, &with_agent(views), &fixtures::inputs());
        assert_eq!(plan.actions().filter(|a| a.verb() == "stop").count(), 2, "{plan}");
    }
}

#[test]
fn a_container_whose_probe_says_that_it_is_dead_is_stopped_and_started_again() {
    let wanted = desired(1, NEW);
    let mut observed = with_agent(all_running(&wanted));
    observed.replicas[0].health.alive = false;
    observed.replicas[0].probes.grace_seconds = [(crate::state::probe::Role::Liveness, 7)].into();
    let plan = plan(&wanted, &observed, &fixtures::inputs());
    let stop = plan.actions().next().unwrap();
    assert!(
        matches!(
            stop,
            Action::Stop {
                grace_seconds: 7,
                why: Why::Unhealthy,
                ..
            }
        ),
        "{plan}"
    );
}
