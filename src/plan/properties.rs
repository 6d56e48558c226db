//! What must hold of every decision, whatever the world looks like: generated worlds in the simulator, and a table for
//! each hold and each kind of drift. Tests are sentences.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::{
    Action, Hold, Inputs, Plan, Pull, Why,
    fixtures::{self, desired, made, now, observed},
    plan,
    restart::Restarts,
    rollout::is_current,
    simulator::{World, is_alive},
};
use crate::{
    api::keys::label,
    state::{
        build,
        container::{Attachment, ContainerId, ContainerView, ExitInfo, Limits, RunState},
        desired::{Blocked, Desired, PullPolicy, Rollout, Template},
        observed::{Observed, Replica},
        revision::Fingerprints,
    },
};

/// More rounds than any world of four places needs.
const ROUNDS: usize = 80;
const MEMORY: i64 = 64 << 20;

fn wish(replicas: u32, template: &str, rollout: Rollout) -> Desired {
    let mut desired = Desired {
        rollout,
        ..desired(replicas, template)
    };
    if let Template::Known(prototype) = &mut desired.template {
        prototype.spec.limits.memory = Some(MEMORY);
    }
    desired
}

fn running(desired: &Desired, slot: u32) -> ContainerView {
    ContainerView {
        limits: Limits {
            memory: Some(MEMORY),
            nano_cpus: None,
        },
        ..made(desired, slot)
    }
}

fn all_running(desired: &Desired) -> Vec<ContainerView> {
    (0..desired.replicas).map(|slot| running(desired, slot)).collect()
}

/// A container of one place, and what has happened to it.
#[derive(Debug, Clone)]
struct Fate {
    revision: usize,
    state: RunState,
    renamed: bool,
    limits: u8,
    networks: u8,
}

fn states() -> impl Strategy<Value = RunState> {
    prop_oneof![
        4 => Just(RunState::Running),
        2 => Just(RunState::Exited),
        1 => Just(RunState::Created),
        1 => Just(RunState::Paused),
        1 => Just(RunState::Restarting),
        1 => Just(RunState::Removing),
        1 => Just(RunState::Dead),
    ]
}

fn fates() -> impl Strategy<Value = Fate> {
    (
        prop_oneof![3 => Just(0_usize), 1 => Just(1), 1 => Just(2)],
        states(),
        prop::bool::weighted(0.2),
        prop_oneof![4 => Just(0_u8), 1 => 1..5_u8],
        prop_oneof![4 => Just(0_u8), 1 => 1..5_u8],
    )
        .prop_map(|(revision, state, renamed, limits, networks)| Fate {
            revision,
            state,
            renamed,
            limits,
            networks,
        })
}

/// Up to three containers in each of four places, and strangers.
fn worlds() -> impl Strategy<Value = (World, Vec<ContainerView>)> {
    let places = prop::collection::vec(prop::collection::vec(fates(), 0..=2), 0..=4);
    (places, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(places, network, image, neighbour)| {
        let mut containers: Vec<ContainerView> = Vec::new();
        for (slot, fates) in (0_u32..).zip(&places) {
            for fate in fates {
                let view = befallen(slot, fate, containers.len(), &containers);
                containers.push(view);
            }
        }
        let strangers = strangers(neighbour);
        let anybody = containers.iter().chain(&strangers).any(is_alive);
        containers.extend(strangers.clone());
        let mut world = World::of(containers);
        world.image = image;
        if !network && !anybody {
            world.network = None;
        }
        (world, strangers)
    })
}

fn befallen(slot: u32, fate: &Fate, number: usize, others: &[ContainerView]) -> ContainerView {
    let template = ["t1-new", "t1-old", "t1-older"][fate.revision];
    let mut view = running(&wish(4, template, Rollout::NEW_FIRST), slot);
    view.id = ContainerId::new(format!("{number:0>12}"));
    if fate.renamed || others.iter().any(|o| o.name == view.name) {
        view.name = format!("{}-by-hand-{number}", view.name);
    }
    view.state = fate.state;
    match fate.state {
        RunState::Created => view.started_at = None,
        RunState::Exited | RunState::Dead => {
            view.exit = Some(ExitInfo {
                code: 1,
                oom_killed: false,
                finished_at: now(),
            });
        }
        RunState::Running | RunState::Paused | RunState::Restarting | RunState::Removing => {}
    }
    match fate.limits {
        0 => {}
        1 => view.limits.memory = Some(2 * MEMORY),
        2 => view.limits.memory = None,
        3 => view.limits.nano_cpus = Some(1),
        _ => (view.swap_bounded, view.restart_policy) = (false, "always".into()),
    }
    let ours = fixtures::network().name;
    match fate.networks {
        0 => {}
        1 => view.networks.clear(),
        2 => {
            view.networks.insert("other".into(), Attachment::default());
        }
        3 => {
            view.networks.insert(ours, Attachment::default());
        }
        // On one that is gone, or that has a successor.
        _ => view.networks.entry(ours).or_default().network_id = "lost".into(),
    }
    view
}

/// Somebody's, another instance's, and perhaps another deployment's in the same namespace.
fn strangers(neighbour: bool) -> Vec<ContainerView> {
    let mut somebody = fixtures::view("web", 0, "r");
    (somebody.id, somebody.name) = (ContainerId::new("somebody"), "somebody".into());
    somebody.labels.clear();
    let mut foreign = fixtures::view("web", 0, "r");
    (foreign.id, foreign.name) = (ContainerId::new("foreign"), "foreign".into());
    foreign.labels.insert(label::INSTANCE.into(), "another".into());
    let mut beside = fixtures::view("db", 0, "r");
    (beside.id, beside.name) = (ContainerId::new("beside"), "beside".into());
    beside.labels.insert(label::UID.into(), "uid-2".into());
    let mut all = vec![somebody, foreign];
    if neighbour {
        all.push(beside);
    }
    all
}

fn rollouts() -> impl Strategy<Value = Rollout> {
    prop_oneof![
        Just(Rollout::NEW_FIRST),
        Just(Rollout::OLD_FIRST),
        Just(Rollout::Recreate)
    ]
}

/// Plans and acts until there is nothing to do and nothing to wait for. Panics when that does not come.
fn converge(world: &mut World, desired: &Desired, watch: &mut dyn FnMut(&World, &Action)) {
    let mut trace = Vec::new();
    for _ in 0..ROUNDS {
        let plan = world.plan(desired);
        let at_work = |c: &&ContainerView| matches!(c.state, RunState::Removing | RunState::Restarting);
        if plan.is_empty() && plan.holds.is_empty() && !own(world, desired).iter().any(at_work) {
            return;
        }
        trace.push(plan.to_string());
        world.carry_out(&plan, usize::MAX, watch);
        world.pass(400);
    }
    panic!("no end after {ROUNDS} rounds:\n{}", trace.join("--\n"));
}

fn own<'a>(world: &'a World, desired: &Desired) -> Vec<&'a ContainerView> {
    world
        .containers
        .iter()
        .filter(|c| desired.owner.owns(&c.labels))
        .collect()
}

/// What a world must be in the end, and nothing else.
fn assert_is_what_is_wanted(world: &World, desired: &Desired, strangers: &[ContainerView]) {
    let mut own = own(world, desired);
    own.sort_by_key(|c| c.label(label::REPLICA).parse::<u32>().unwrap());
    let names: Vec<&str> = own.iter().map(|c| c.name.as_str()).collect();
    let specs: Vec<_> = (0..desired.replicas)
        .map(|slot| desired.container(slot).unwrap())
        .collect();
    let wanted: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, wanted);
    for (view, spec) in own.iter().zip(&specs) {
        assert_eq!(
            (view.state, view.limits, view.swap_bounded, &*view.restart_policy),
            (RunState::Running, spec.limits, true, "no")
        );
        let join = spec.network.as_ref().unwrap();
        let networks: Vec<_> = view.networks.keys().collect();
        assert_eq!(networks, [&join.name]);
        assert_eq!(view.networks[&join.name].aliases, join.aliases);
        assert_ne!(view.networks[&join.name].network_id, "lost");
    }
    for stranger in strangers.iter().filter(|s| s.state == RunState::Running) {
        assert!(
            world.containers.contains(stranger),
            "{} was touched",
            stranger.name
        );
    }
}

proptest! {
    #[test]
    fn every_world_becomes_what_is_wanted_and_then_nothing_is_left_to_do(
        (mut world, strangers) in worlds(), replicas in 0..5_u32, rollout in rollouts(),
    ) {
        let desired = wish(replicas, "t1-new", rollout);
        converge(&mut world, &desired, &mut |_, _| {});
        assert_is_what_is_wanted(&world, &desired, &strangers);
        world.pass(4_000);
        prop_assert!(world.plan(&desired).is_empty());
    }

    #[test]
    fn a_crash_after_any_action_leaves_no_orphan_and_no_duplicate(
        (mut world, strangers) in worlds(), replicas in 0..5_u32, rollout in rollouts(),
        crashes in prop::collection::vec(0..6_usize, 1..4),
    ) {
        let desired = wish(replicas, "t1-new", rollout);
        for prefix in crashes {
            let plan = world.plan(&desired);
            world.carry_out(&plan, prefix, &mut |_, _| {});
            world.forget();
            world.pass(1);
        }
        converge(&mut world, &desired, &mut |_, _| {});
        assert_is_what_is_wanted(&world, &desired, &strangers);
    }

    #[test]
    fn the_order_of_a_listing_means_nothing(
        (mut world, _) in worlds(), replicas in 0..5_u32, rollout in rollouts(), by in 0..20_usize,
    ) {
        let desired = wish(replicas, "t1-new", rollout);
        let plan = world.plan(&desired);
        let mut other = world.clone();
        other.containers.reverse();
        let by = by % other.containers.len().max(1);
        other.containers.rotate_left(by);
        prop_assert_eq!(plan, other.plan(&desired));
    }

    #[test]
    fn no_action_names_a_container_of_somebody_else(
        (mut world, _) in worlds(), replicas in 0..5_u32, rollout in rollouts(),
        paused in any::<bool>(), blocked in any::<bool>(), deleting in any::<bool>(),
    ) {
        let mut wanted = Desired { paused, ..wish(replicas, "t1-new", rollout) };
        if blocked { wanted.template = Template::Blocked(Blocked::ConfigUnresolved); }
        if deleting { wanted = Desired::nothing(fixtures::owner(), 2, 1); }
        for _ in 0..8 {
            let plan = world.plan(&wanted);
            for target in plan.actions().filter_map(Action::target) {
                let view = world.containers.iter().find(|c| c.id == target.id).unwrap();
                prop_assert!(wanted.owner.owns(&view.labels), "{}", view.name);
                prop_assert_eq!(&target.owner_uid, &wanted.owner.uid);
                prop_assert_eq!(&target.revision, view.label(label::REVISION));
            }
            world.carry_out(&plan, usize::MAX, &mut |_, _| {});
            world.pass(400);
        }
    }

    #[test]
    fn what_is_blocked_is_neither_made_nor_taken_away(
        (mut world, _) in worlds(), replicas in 0..5_u32, rollout in rollouts(), invalid in any::<bool>(),
    ) {
        let mut wanted = wish(replicas, "t1-new", rollout);
        wanted.template = Template::Blocked(Blocked::SecretsUnresolved);
        wanted.fingerprints = None;
        if invalid {
            wanted = build::blocked(fixtures::owner(), 2, replicas, Blocked::InvalidSpec, &fixtures::settings());
        }
        for _ in 0..8 {
            let plan = world.plan(&wanted);
            for action in plan.actions() {
                match action {
                    Action::Create { .. } | Action::StartCreated { .. } => prop_assert!(false, "{action}"),
                    Action::Stop { target, .. } | Action::Remove { target, .. } => {
                        let view = world.containers.iter().find(|c| c.id == target.id).unwrap();
                        let slot: u32 = view.label(label::REPLICA).parse().unwrap();
                        prop_assert!(slot >= replicas, "{}", action);
                    }
                    _ => {}
                }
            }
            world.carry_out(&plan, usize::MAX, &mut |_, _| {});
            world.pass(400);
        }
        // What can run, runs.
        for view in own(&world, &wanted).iter().filter(|c| c.state != RunState::Dead) {
            let lesser = own(&world, &wanted).iter()
                .filter(|c| c.label(label::REPLICA) == view.label(label::REPLICA)).count() > 1;
            prop_assert!(lesser || view.state == RunState::Running, "{:?}", view);
        }
    }

    #[test]
    fn a_paused_rollout_stops_nothing_and_restarts_what_ends(
        (mut world, _) in worlds(), replicas in 1..5_u32, rollout in rollouts(),
    ) {
        let wanted = Desired { paused: true, ..wish(replicas, "t1-new", rollout) };
        for _ in 0..8 {
            let plan = world.plan(&wanted);
            let rolling = plan.holds.contains(&Hold::Paused);
            for action in plan.actions() {
                if let (true, Action::Stop { why, .. } | Action::Create { why, .. }) = (rolling, action) {
                    prop_assert_eq!(*why, Why::ScaledDown, "{}", action);
                }
            }
            world.carry_out(&plan, usize::MAX, &mut |_, _| {});
            world.pass(400);
        }
    }

    #[test]
    fn deletion_removes_everything_and_the_network_with_the_last((mut world, strangers) in worlds()) {
        let nothing = Desired::nothing(fixtures::owner(), 2, 1);
        converge(&mut world, &nothing, &mut |_, _| {});
        prop_assert!(own(&world, &nothing).is_empty());
        let alone = !strangers.iter().any(|s| s.name == "beside");
        prop_assert!(world.network.is_none() || !alone);
    }

    #[test]
    fn a_surge_keeps_what_serves_and_adds_one(replicas in 1..5_u32, ready in 0..30_u32) {
        let old = wish(replicas, "t1-old", Rollout::NEW_FIRST);
        let new = Desired { min_ready_seconds: ready, ..wish(replicas, "t1-new", Rollout::NEW_FIRST) };
        let mut world = World::of(all_running(&old));
        for _ in 0..ROUNDS {
            let plan = world.plan(&new);
            world.carry_out(&plan, usize::MAX, &mut |world, _| {
                let serving = own(world, &new).into_iter().cloned().map(Replica::of)
                    .filter(|r| r.is_available(ready, world.now)).count();
                let alive = own(world, &new).into_iter().filter(|c| is_alive(c)).count();
                assert!(serving >= replicas as usize && alive <= replicas as usize + 1, "{serving} {alive}");
            });
            world.pass(7);
        }
        assert_is_what_is_wanted(&world, &new, &[]);
    }

    #[test]
    fn stop_first_never_starts_one_beside_another_of_its_place((mut world, _) in worlds(), replicas in 1..5_u32) {
        let wanted = wish(replicas, "t1-new", Rollout::OLD_FIRST);
        converge(&mut world, &wanted, &mut |world, action| {
            if let Some(starting) = starting(world, action) {
                let slot = starting.label(label::REPLICA);
                let beside = own(world, &wanted).into_iter()
                    .find(|c| c.id != starting.id && is_alive(c) && c.label(label::REPLICA) == slot);
                assert!(beside.is_none(), "{action}");
            }
        });
    }

    #[test]
    fn recreate_never_starts_one_revision_beside_another((mut world, _) in worlds(), replicas in 1..5_u32) {
        world.image = true;
        let wanted = wish(replicas, "t1-new", Rollout::Recreate);
        converge(&mut world, &wanted, &mut |world, action| {
            let Some(starting) = starting(world, action) else { return };
            if is_current(&wanted, &Replica::of(starting.clone())) {
                let old = own(world, &wanted).into_iter().cloned().map(Replica::of)
                    .find(|r| is_alive(&r.view) && !is_current(&wanted, r));
                assert!(old.is_none(), "{action}");
            }
        });
    }
}

/// The container that an action is about to start.
fn starting<'a>(world: &'a World, action: &Action) -> Option<&'a ContainerView> {
    let found = |wanted: &dyn Fn(&ContainerView) -> bool| world.containers.iter().find(|c| wanted(c));
    match action {
        Action::Start { target, .. } => found(&|c| c.id == target.id),
        Action::StartCreated { name } => found(&|c| c.name == *name),
        _ => None,
    }
}

fn verbs(desired: &Desired, views: Vec<ContainerView>) -> Vec<String> {
    let plan = plan(desired, &observed(views), &fixtures::inputs());
    but_for_agents(&plan)
        .map(|a| format!("{} {}", a.verb(), a.why()))
        .collect()
}

/// The actions of a plan for worlds that have no agent, without the one that would make it.
fn but_for_agents(plan: &Plan) -> impl Iterator<Item = &Action> {
    plan.actions()
        .filter(|a| !matches!(a, Action::EnsureAgent { .. }))
}

fn changed(desired: &Desired, change: impl FnOnce(&mut ContainerView)) -> Vec<ContainerView> {
    let mut view = running(desired, 0);
    change(&mut view);
    vec![view]
}

fn exit(view: &mut ContainerView) {
    view.state = RunState::Exited;
    view.exit = Some(ExitInfo {
        code: 1,
        oom_killed: false,
        finished_at: now(),
    });
}

type Change = Box<dyn FnOnce(&mut ContainerView)>;

#[test]
fn each_kind_of_drift_has_its_remedy() {
    let desired = wish(1, "t1-new", Rollout::NEW_FIRST);
    let table: Vec<(&str, Change, &[&str])> = vec![
        ("nothing", Box::new(|_| {}), &[]),
        ("killed", Box::new(exit), &["start Exited"]),
        (
            "never started",
            Box::new(|v| v.state = RunState::Created),
            &["start NeverStarted"],
        ),
        (
            "paused",
            Box::new(|v| v.state = RunState::Paused),
            &["unpause PausedByHand"],
        ),
        ("renamed", Box::new(|v| v.name = "x".into()), &["rename Renamed"]),
        (
            "half removed",
            Box::new(|v| v.state = RunState::Dead),
            &["remove Broken"],
        ),
        ("going", Box::new(|v| v.state = RunState::Removing), &[]),
        (
            "more memory",
            Box::new(|v| v.limits.memory = Some(1 << 30)),
            &["update LimitsChanged"],
        ),
        (
            "swap",
            Box::new(|v| v.swap_bounded = false),
            &["update LimitsChanged"],
        ),
        (
            "restart policy",
            Box::new(|v| v.restart_policy = "always".into()),
            &["update LimitsChanged"],
        ),
        (
            "a limit that cannot be taken away",
            Box::new(|v| v.limits.nano_cpus = Some(5)),
            &["stop LimitsChanged"],
        ),
        (
            "off the network",
            Box::new(|v| v.networks.clear()),
            &["connect NetworksChanged"],
        ),
        (
            "another network",
            Box::new(|v| {
                v.networks.insert("x".into(), Attachment::default());
            }),
            &["disconnect NetworksChanged"],
        ),
    ];
    for (name, change, expected) in table {
        assert_eq!(verbs(&desired, changed(&desired, change)), expected, "{name}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn each_hold_says_what_is_waited_for() {
    let wanted = wish(1, "t1-new", Rollout::NEW_FIRST);
    let old = all_running(&wish(1, "t1-old", Rollout::NEW_FIRST));
    let soon = now() + SignedDuration::from_secs(10);
    let empty = || observed(Vec::new());
    let holds =
        |desired: &Desired, observed: Observed, inputs: Inputs| plan(desired, &observed, &inputs).holds;
    let with = |change: &dyn Fn(&mut Desired)| {
        let mut changed = wanted.clone();
        change(&mut changed);
        changed
    };
    let policy = |policy| {
        with(&|d: &mut Desired| {
            if let Template::Known(prototype) = &mut d.template {
                prototype.pull = policy;
            }
        })
    };
    let absent = || Observed {
        image_present: false,
        ..empty()
    };
    let pull = |pull| Inputs {
        pull,
        ..fixtures::inputs()
    };

    let blocked = with(&|d| d.template = Template::Blocked(Blocked::SecretsUnresolved));
    let why = Blocked::SecretsUnresolved;
    assert_eq!(
        holds(&blocked, empty(), fixtures::inputs()),
        [Hold::Blocked { why }]
    );
    let paused = with(&|d| d.paused = true);
    assert_eq!(
        holds(&paused, observed(old.clone()), fixtures::inputs()),
        [Hold::Paused]
    );
    assert_eq!(holds(&wanted, absent(), pull(Pull::NotAsked)), [Hold::Pulling]);
    assert_eq!(holds(&wanted, absent(), pull(Pull::Running)), [Hold::Pulling]);
    let until = soon;
    assert_eq!(
        holds(&wanted, absent(), pull(Pull::Failed(soon))),
        [Hold::PullBackOff { until }]
    );
    assert_eq!(
        holds(&wanted, absent(), pull(Pull::Failed(now()))),
        [Hold::Pulling]
    );
    let never = policy(PullPolicy::Never);
    assert_eq!(holds(&never, absent(), fixtures::inputs()), [Hold::ImageAbsent]);
    let always = policy(PullPolicy::Always);
    assert_eq!(holds(&always, empty(), fixtures::inputs()), [Hold::Pulling]);
    assert_eq!(holds(&always, empty(), pull(Pull::Done)), []);
    let ready = with(&|d| d.min_ready_seconds = 10);
    let waiting = Hold::Waiting {
        slot: 0,
        until: Some(soon),
    };
    assert_eq!(
        holds(&ready, observed(all_running(&wanted)), fixtures::inputs()),
        [waiting]
    );
    let recreate = with(&|d| d.rollout = Rollout::Recreate);
    assert_eq!(
        holds(&recreate, observed(old), fixtures::inputs()),
        [Hold::Draining]
    );
    let full = Observed {
        network: None,
        subnets: vec!["10.213.0.0/16".into()],
        ..empty()
    };
    assert_eq!(holds(&wanted, full, fixtures::inputs()), [Hold::NoSubnet]);
    let crashed = changed(&wanted, exit);
    let restarts = BTreeMap::from([(
        crashed[0].id.clone(),
        Restarts {
            streak: 1,
            ..Restarts::default()
        },
    )]);
    let inputs = Inputs {
        restarts,
        ..fixtures::inputs()
    };
    let back_off = Hold::BackOff { slot: 0, until };
    let slot = 0;
    assert_eq!(
        holds(&wanted, observed(crashed), inputs),
        [back_off, Hold::Waiting { slot, until: None }]
    );
}

#[test]
fn an_unresolved_secret_keeps_every_revision_and_restarts_in_place() {
    let given = |value: &str| Fingerprints {
        root: "r".into(),
        values: BTreeMap::from([("db/pw".into(), value.into())]),
    };
    let mut one = wish(2, "t1-new", Rollout::NEW_FIRST);
    one.fingerprints = Some(given("1"));
    let mut two = one.clone();
    two.fingerprints = Some(given("2"));
    let mut dead = running(&two, 1);
    exit(&mut dead);
    let mut unresolved = one.clone();
    (unresolved.fingerprints, unresolved.template) = (None, Template::Blocked(Blocked::SecretsUnresolved));
    assert_eq!(
        verbs(&unresolved, vec![running(&one, 0), running(&two, 0), dead]),
        ["start Exited"]
    );
}

#[test]
fn an_old_replica_that_ends_beside_a_successor_that_does_not_serve_is_started_again() {
    let new = wish(1, "t1-new", Rollout::NEW_FIRST);
    let mut old = running(&wish(1, "t1-old", Rollout::NEW_FIRST), 0);
    exit(&mut old);
    let mut broken = running(&new, 0);
    exit(&mut broken);
    let restarts = Restarts {
        streak: 5,
        ..Restarts::default()
    };
    let inputs = Inputs {
        restarts: BTreeMap::from([(broken.id.clone(), restarts)]),
        ..fixtures::inputs()
    };
    let plan = plan(&new, &observed(vec![old.clone(), broken]), &inputs);
    let started: Vec<_> = plan.actions().filter_map(Action::target).map(|t| &t.id).collect();
    assert_eq!(started, [&old.id]);
}

#[test]
fn limits_that_cannot_be_taken_away_are_renewed_one_replica_at_a_time_and_only_with_an_image() {
    let desired = wish(3, "t1-new", Rollout::NEW_FIRST);
    let views: Vec<_> = all_running(&desired)
        .into_iter()
        .map(|mut v| {
            v.limits.nano_cpus = Some(5);
            v
        })
        .collect();
    assert_eq!(verbs(&desired, views.clone()), ["stop LimitsChanged"]);
    let absent = Observed {
        image_present: false,
        ..observed(views)
    };
    let plan = plan(&desired, &absent, &fixtures::inputs());
    assert!(but_for_agents(&plan).all(|a| a.verb() == "pull"), "{plan}");
}

#[test]
fn two_names_that_were_exchanged_are_exchanged_back() {
    let desired = wish(2, "t1-new", Rollout::NEW_FIRST);
    let mut views = all_running(&desired);
    let name = views[0].name.clone();
    views[0].name = std::mem::replace(&mut views[1].name, name);
    let mut world = World::of(views);
    converge(&mut world, &desired, &mut |_, _| {});
    assert_is_what_is_wanted(&world, &desired, &[]);
}

#[test]
fn a_network_that_was_removed_while_nothing_ran_comes_back_before_the_restart() {
    let desired = wish(1, "t1-new", Rollout::NEW_FIRST);
    let mut world = World::of(changed(&desired, exit));
    world.network = None;
    let plan = world.plan(&desired);
    let verbs: Vec<_> = plan.actions().map(Action::verb).collect();
    assert_eq!(
        verbs,
        ["ensure-network", "disconnect", "connect", "start", "ensure-agent"]
    );
    converge(&mut world, &desired, &mut |_, _| {});
    assert_is_what_is_wanted(&world, &desired, &[]);
}

/// What runs there serves nobody by name, but it may serve by its port: never all at once.
#[test]
fn containers_on_a_network_that_the_engine_lost_are_made_anew_on_its_successor_one_at_a_time() {
    let desired = wish(3, "t1-new", Rollout::NEW_FIRST);
    let mut views = all_running(&desired);
    for view in &mut views {
        for place in view.networks.values_mut() {
            place.network_id = "lost".into();
        }
    }
    let mut world = World::of(views);
    world.network = None;
    let verbs: Vec<_> = world.plan(&desired).actions().map(Action::verb).collect();
    assert_eq!(verbs, ["ensure-network", "stop", "ensure-agent"]);
    let mut alive = Vec::new();
    converge(&mut world, &desired, &mut |world, _| {
        alive.push(own(world, &desired).iter().filter(|c| is_alive(c)).count());
    });
    assert_eq!(alive.iter().min(), Some(&2));
    assert_is_what_is_wanted(&world, &desired, &[]);
}

#[test]
fn a_fingerprint_under_an_unknown_root_is_adopted() {
    let given = |root: &str, value: &str| Fingerprints {
        root: root.into(),
        values: BTreeMap::from([("db/pw".into(), value.into())]),
    };
    let mut before = wish(2, "t1-new", Rollout::NEW_FIRST);
    before.fingerprints = Some(given("r1", "1"));
    let mut after = before.clone();
    after.fingerprints = Some(given("r2", "2"));
    assert_eq!(verbs(&after, all_running(&before)), Vec::<String>::new());
}

#[test]
fn scaling_down_takes_the_last_places() {
    let views = all_running(&wish(3, "t1-new", Rollout::NEW_FIRST));
    let names: Vec<String> = views[1..].iter().map(|v| v.name.clone()).collect();
    let plan = plan(
        &wish(1, "t1-new", Rollout::NEW_FIRST),
        &observed(views),
        &fixtures::inputs(),
    );
    let stopped: Vec<_> = but_for_agents(&plan).map(|a| a.subject().to_owned()).collect();
    assert_eq!(stopped, names);
}
