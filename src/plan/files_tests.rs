//! What must hold of delivered files, in the simulator: no start on an empty directory, swaps without restarts, one signal
//! for one change, and nothing left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Hold, Why,
    file_action::FileAction,
    files::retire,
    fixtures::{desired, now},
    simulator::{World, is_alive},
};
use crate::{
    api::keys::label,
    state::{
        container::{
            ContainerId, ContainerSpec, ContainerView, ExitInfo, Mount, MountSource, RunState, SlotId,
        },
        desired::{Blocked, Desired, Template},
        files::{FileSlot, FileUser, FileVolume, Holder, OnChange, is_holder},
        protected,
        revision::TemplateHash,
    },
};

const ROUNDS: usize = 40;

/// `db` with the value `fingerprint`, mounted.
fn wish(replicas: u32, fingerprint: &str, on_change: OnChange) -> Desired {
    let mut desired = desired(replicas, "t1-files");
    let restarts = on_change == OnChange::Restart;
    if let Template::Known(prototype) = &mut desired.template {
        prototype.spec.mounts = vec![Mount {
            target: "/run/secrets/db".into(),
            read_only: true,
            source: MountSource::Files("db".into()),
        }];
        prototype.files = vec![FileVolume {
            entry: "db".into(),
            definition: "d1".into(),
            on_change,
            mode: 0o700,
            targets: vec!["/run/secrets/db".into()],
            files: vec![FileSlot {
                path: "password".into(),
                mode: 0o400,
                slot: SlotId::of_file("db", "password"),
                fingerprint: fingerprint.into(),
            }],
        }];
    }
    if restarts && let Some(known) = &mut desired.fingerprints {
        known.values.insert("db/password".into(), fingerprint.into());
    }
    desired
}

fn blocked(desired: &Desired) -> Desired {
    Desired {
        template: Template::Blocked(Blocked::SecretsUnresolved),
        fingerprints: None,
        ..desired.clone()
    }
}

fn generation(desired: &Desired) -> String {
    desired.files()[0].generation()
}

/// Carries out plans until there is nothing to do; answers what was done.
fn settle(world: &mut World, desired: &Desired) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let plan = world.plan(desired);
        let stays = |h: &Hold| {
            matches!(
                h,
                Hold::FilesLost { .. } | Hold::Blocked { .. } | Hold::Waiting { .. } | Hold::Paused
            )
        };
        if plan.is_empty() && plan.holds.iter().all(stays) {
            return done;
        }
        world.carry_out(&plan, usize::MAX, &mut |_, action| done.push(action.to_string()));
        world.pass(1);
    }
    panic!("no end after {ROUNDS} rounds: {done:#?}");
}

fn started(replicas: u32, value: &str, on_change: OnChange) -> (World, Desired) {
    let desired = wish(replicas, value, on_change);
    let mut world = World::of(Vec::new());
    settle(&mut world, &desired);
    assert_eq!(
        world.replicas().filter(|c| is_alive(c)).count(),
        replicas as usize
    );
    (world, desired)
}

fn holders(world: &World) -> Vec<&ContainerView> {
    world.containers.iter().filter(|c| is_holder(c)).collect()
}

fn count(done: &[String], word: &str) -> usize {
    done.iter().filter(|line| line.starts_with(word)).count()
}

fn all_see(world: &World, wanted: &Desired) {
    let contents: Vec<&String> = world.files.content.values().map(|(now, _)| now).collect();
    assert_eq!(contents, [&generation(wanted)]);
}

#[test]
fn files_are_delivered_before_the_first_container_starts() {
    let desired = wish(2, "v1", OnChange::Update);
    let mut world = World::of(Vec::new());
    let done = settle(&mut world, &desired);
    let at = |word: &str| done.iter().position(|line| line.starts_with(word)).unwrap();
    assert!(at("find-user") < at("ensure-holder"), "{done:#?}");
    assert!(
        at("ensure-holder") < at("deliver") && at("deliver") < at("create"),
        "{done:#?}"
    );
    assert_eq!(
        (count(&done, "deliver"), count(&done, "confirm")),
        (1, 2),
        "{done:#?}"
    );
    all_see(&world, &desired);
    assert!(world.plan(&desired).is_empty());
}

#[test]
fn an_operator_that_comes_back_looks_and_writes_nothing() {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    world.forget();
    world.files.user = None;
    let done = settle(&mut world, &desired);
    assert_eq!(count(&done, "find-user"), 0, "the holder knows it: {done:#?}");
    assert_eq!(count(&done, "look"), 1, "{done:#?}");
    assert_eq!(
        count(&done, "deliver") + count(&done, "create") + count(&done, "stop"),
        0,
        "{done:#?}"
    );
}

#[test]
fn a_new_value_is_swapped_under_containers_that_run() {
    let (mut world, _) = started(3, "v1", OnChange::Update);
    let wanted = wish(3, "v2", OnChange::Update);
    let done = settle(&mut world, &wanted);
    assert_eq!(
        (count(&done, "deliver"), count(&done, "confirm")),
        (1, 3),
        "{done:#?}"
    );
    assert_eq!(
        count(&done, "create") + count(&done, "stop") + count(&done, "start"),
        0,
        "{done:#?}"
    );
    all_see(&world, &wanted);
    assert!(world.files.signals.is_empty());
}

#[test]
fn whoever_wants_a_signal_gets_one_for_each_change_also_when_the_operator_dies_in_between() {
    let hup = || OnChange::Signal("SIGHUP".into());
    let (mut world, _) = started(2, "v1", hup());
    assert!(world.files.signals.is_empty(), "nobody reads yet");
    let wanted = wish(2, "v2", hup());
    let plan = world.plan(&wanted);
    world.carry_out(&plan, 1, &mut |_, action| {
        assert!(action.to_string().starts_with("deliver"))
    });
    world.forget();
    settle(&mut world, &wanted);
    assert_eq!(world.files.signals.len(), 2, "{:?}", world.files.signals);
    settle(&mut world, &wanted);
    assert_eq!(world.files.signals.len(), 2);
}

#[test]
fn what_is_to_restart_is_replaced_and_the_old_ones_never_see_the_new_value() {
    let (mut world, _) = started(2, "v1", OnChange::Restart);
    let old = generation(&wish(2, "v1", OnChange::Restart));
    let wanted = wish(2, "v2", OnChange::Restart);
    let before: Vec<ContainerView> = world.replicas().cloned().collect();
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let plan = world.plan(&wanted);
        if plan.is_empty() && plan.holds.is_empty() {
            break;
        }
        world.carry_out(&plan, usize::MAX, &mut |world, action| {
            let volumes: Vec<String> = before
                .iter()
                .filter(|old| world.replicas().any(|c| c.id == old.id && is_alive(c)))
                .flat_map(|old| crate::state::files::mounts(old).into_keys())
                .collect();
            for volume in volumes {
                assert_eq!(world.files.content.get(&volume).map(|(now, _)| now), Some(&old));
            }
            done.push(action.to_string());
        });
        world.pass(1);
    }
    assert_eq!(count(&done, "create"), 2, "{done:#?}");
    assert_eq!(count(&done, "remove-volumes"), 1, "{done:#?}");
    assert_eq!(
        holders(&world).len(),
        1,
        "the old holder went with its last reader"
    );
    all_see(&world, &wanted);
}

fn reboot(world: &mut World, holders_come_back: bool) {
    for view in &mut world.containers {
        view.state = RunState::Exited;
        view.exit = Some(ExitInfo {
            code: 137,
            oom_killed: false,
            finished_at: world.now,
        });
    }
    world.settle_files();
    world.pass(5);
    for view in world
        .containers
        .iter_mut()
        .filter(|c| holders_come_back && is_holder(c))
    {
        (view.state, view.started_at, view.exit) = (RunState::Running, Some(world.now), None);
    }
}

#[test]
fn after_a_reboot_nothing_starts_before_its_files_are_back() {
    for holders_come_back in [true, false] {
        let (mut world, desired) = started(2, "v1", OnChange::Update);
        reboot(&mut world, holders_come_back);
        world.forget();
        world.files.user = None;
        let done = settle(&mut world, &desired);
        assert_eq!(count(&done, "create"), 0, "{done:#?}");
        assert_eq!(count(&done, "start "), 2, "{done:#?}");
        assert_eq!(world.replicas().filter(|c| is_alive(c)).count(), 2);
        all_see(&world, &desired);
    }
}

#[test]
fn while_a_secret_does_not_resolve_a_container_that_ended_starts_again_with_what_it_has() {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    let victim = world.replicas().next().unwrap().id.clone();
    let ended = now();
    for view in world.containers.iter_mut().filter(|c| c.id == victim) {
        view.state = RunState::Exited;
        view.exit = Some(ExitInfo {
            code: 1,
            oom_killed: false,
            finished_at: ended,
        });
    }
    world.forget();
    let done = settle(&mut world, &blocked(&desired));
    assert_eq!(count(&done, "start "), 1, "{done:#?}");
    assert_eq!(count(&done, "deliver") + count(&done, "remove"), 0, "{done:#?}");
}

#[test]
fn while_a_secret_does_not_resolve_nothing_starts_on_an_empty_directory_and_nothing_goes() {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    reboot(&mut world, true);
    let there = world.containers.len();
    let wish = blocked(&desired);
    let done = settle(&mut world, &wish);
    assert_eq!(count(&done, "start ") + count(&done, "remove"), 0, "{done:#?}");
    let lost = |h: &&Hold| matches!(h, Hold::FilesLost { .. });
    assert_eq!(world.plan(&wish).holds.iter().filter(lost).count(), 2);
    assert_eq!(world.containers.len(), there);
    settle(&mut world, &desired);
    assert_eq!(
        world.replicas().filter(|c| is_alive(c)).count(),
        2,
        "the value is back"
    );
}

#[test]
fn a_holder_that_is_killed_or_removed_comes_back_and_nobody_restarts() {
    for removed in [true, false] {
        let (mut world, desired) = started(2, "v1", OnChange::Update);
        if removed {
            world.containers.retain(|c| !is_holder(c));
        } else {
            world
                .containers
                .iter_mut()
                .filter(|c| is_holder(c))
                .for_each(|c| c.state = RunState::Exited);
        }
        let done = settle(&mut world, &desired);
        assert_eq!(
            count(&done, "deliver") + count(&done, "stop") + count(&done, "create"),
            0,
            "{done:#?}"
        );
        assert_eq!(count(&done, "look"), 1, "{done:#?}");
        assert_eq!(holders(&world).len(), 1);
    }
}

/// Makes one of two containers see another tmpfs than its holder, as after a restart of an engine with live restore.
fn blinded(holder_is_newer: bool) -> Vec<String> {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    if holder_is_newer {
        world
            .containers
            .iter_mut()
            .filter(|c| is_holder(c))
            .for_each(|c| c.state = RunState::Exited);
        settle(&mut world, &desired);
    } else {
        let later = world.now;
        let ours: Vec<_> = world.replicas().map(|c| c.id.clone()).collect();
        let replicas = world.containers.iter_mut().filter(|c| ours.contains(&c.id));
        replicas.for_each(|c| c.started_at = Some(later));
    }
    let blind = world.replicas().next().unwrap().id.clone();
    world.files.blind.insert(blind);
    world.forget();
    let done = settle(&mut world, &desired);
    assert_eq!(world.replicas().filter(|c| is_alive(c)).count(), 2);
    assert!(
        world.files.blind.is_empty() && world.plan(&desired).is_empty(),
        "{done:#?}"
    );
    done
}

#[test]
fn a_container_that_came_later_and_sees_another_tmpfs_moves_to_volumes_of_another_name() {
    let done = blinded(false);
    // One of two: the other one sees its files and stays with them, and its holder with it.
    assert_eq!(
        (
            count(&done, "remove-holder"),
            count(&done, "stop"),
            count(&done, "ensure-holder"),
            count(&done, "create")
        ),
        (0, 1, 1, 1),
        "{done:#?}"
    );
}

#[test]
fn a_container_that_was_there_before_its_holder_and_sees_another_tmpfs_is_started_again() {
    let done = blinded(true);
    assert_eq!(
        (count(&done, "remove-holder"), count(&done, "stop")),
        (0, 1),
        "{done:#?}"
    );
    assert_eq!(count(&done, "start "), 1, "{done:#?}");
}

#[test]
fn a_deletion_leaves_no_holder_and_no_volume_and_needs_no_value() {
    let (mut world, wanted) = started(2, "v1", OnChange::Update);
    let nothing = Desired::nothing(wanted.owner.clone(), 2, 30);
    world.forget();
    let done = settle(&mut world, &nothing);
    assert_eq!(holders(&world).len(), 0, "{done:#?}");
    assert_eq!(count(&done, "remove-volumes"), 1, "{done:#?}");
    assert_eq!(count(&done, "deliver") + count(&done, "look"), 0, "{done:#?}");
}

#[test]
fn a_deployment_of_no_replicas_holds_nothing() {
    let (mut world, wanted) = started(2, "v1", OnChange::Update);
    settle(
        &mut world,
        &Desired {
            replicas: 0,
            ..wanted
        },
    );
    assert!(holders(&world).is_empty() && world.files.content.is_empty());
}

#[test]
fn a_template_with_other_files_is_another_volume() {
    let (mut world, wanted) = started(1, "v1", OnChange::Update);
    let mut other = wanted.clone();
    other.template_hash = Some(crate::state::revision::TemplateHash("t1-other".into()));
    if let Template::Known(prototype) = &mut other.template {
        prototype.files[0].definition = "d2".into();
    }
    let before: Vec<String> = world.files.content.keys().cloned().collect();
    let done = settle(&mut world, &other);
    let after: Vec<String> = world.files.content.keys().cloned().collect();
    assert!(after.len() == 1 && after != before, "{done:#?}");
}

#[test]
fn a_consumer_says_on_its_label_which_volumes_it_has_and_mounts_them_read_only() {
    let (world, _) = started(1, "v1", OnChange::Update);
    let one = world.replicas().next().unwrap();
    let mounts = crate::state::files::mounts(one);
    assert_eq!(mounts.values().next().unwrap(), &["/run/secrets/db"]);
    assert!(
        mounts
            .keys()
            .all(|volume| world.files.content.contains_key(volume))
    );
    assert!(one.label(label::HOLDS_FOR).is_empty());
}

#[test]
fn the_bytes_are_asked_for_when_files_are_written_and_not_when_they_are_looked_at() {
    let (mut world, _) = started(1, "v1", OnChange::Update);
    let plan = world.plan(&wish(1, "v2", OnChange::Update));
    let delivers = |a: &Action| {
        matches!(
            a,
            Action::Files(FileAction::Deliver {
                why: Why::FilesChanged,
                ..
            })
        )
    };
    assert!(plan.needs_bytes() && plan.actions().any(delivers));
    world.forget();
    assert!(!world.plan(&wish(1, "v2", OnChange::Update)).needs_bytes());
}

const HOST: &str = "/run/files/abc123";

fn records(world: &World) -> usize {
    world.files.records.len()
}

#[test]
fn in_a_directory_of_the_host_files_come_before_the_first_start_without_a_holder_and_go_last() {
    let mut world = World::of(Vec::new());
    world.files.host = Some(HOST.into());
    let first = wish(2, "v1", OnChange::Signal("SIGHUP".into()));
    let done = settle(&mut world, &first);
    assert_eq!(world.replicas().filter(|c| is_alive(c)).count(), 2);
    assert_eq!((holders(&world).len(), records(&world)), (0, 1));
    assert_eq!(count(&done, "ensure-volume"), 0, "{done:#?}");
    assert!(world.files.content.keys().all(|volume| volume.starts_with(HOST)));
    all_see(&world, &first);
    let second = wish(2, "v2", OnChange::Signal("SIGHUP".into()));
    let done = settle(&mut world, &second);
    all_see(&world, &second);
    assert_eq!(
        (count(&done, "signal"), count(&done, "create")),
        (2, 0),
        "{done:#?}"
    );
    let nothing = Desired {
        deleting: true,
        replicas: 0,
        ..second
    };
    let done = settle(&mut world, &nothing);
    assert_eq!((records(&world), world.files.content.len()), (0, 0), "{done:#?}");
    let at = |verb: &str| done.iter().position(|line| line.starts_with(verb)).unwrap();
    assert!(at("remove-volumes") < at("remove-holder"), "{done:#?}");
}

#[test]
fn a_directory_of_the_host_is_no_reason_to_replace_who_has_a_holder_and_its_loss_is_one() {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    let before: Vec<_> = world.replicas().map(|c| c.id.clone()).collect();
    world.files.host = Some(HOST.into());
    assert_eq!(settle(&mut world, &desired), [""; 0]);
    let next = wish(2, "v2", OnChange::Update);
    settle(&mut world, &next);
    all_see(&world, &next);
    assert!(world.replicas().map(|c| &c.id).eq(&before));
    // As many are made anew as are taken away.
    let mut world = World::of(Vec::new());
    world.files.host = Some(HOST.into());
    settle(&mut world, &desired);
    world.files.host = None;
    let done = settle(&mut world, &desired);
    assert_eq!(
        (count(&done, "create"), holders(&world).len()),
        (2, 1),
        "{done:#?}"
    );
    assert!(
        done.iter().any(|line| line.contains(&Why::FilesLost.to_string())),
        "{done:#?}"
    );
}

#[test]
fn what_is_due_is_compared_once_and_only_what_is_known_and_wanted() {
    let (mut world, desired) = started(2, "v1", OnChange::Update);
    world.files.check = true;
    let done = settle(&mut world, &desired);
    assert_eq!((done.len(), count(&done, "check")), (1, 1), "{done:#?}");
    world.files.check = true;
    assert!(
        world.plan(&blocked(&desired)).is_empty(),
        "nobody knows what it should be"
    );
    let changed = wish(2, "v2", OnChange::Update);
    let plan = world.plan(&changed);
    let words: Vec<&str> = plan.actions().map(Action::verb).collect();
    assert_eq!(words, ["deliver"], "what is known to be another is written first");
    world.forget();
    let plan = world.plan(&desired);
    assert!(plan.actions().all(|a| a.verb() == "look"), "{plan}");
}

/// The same volume, as protected variables.
fn protected(replicas: u32, fingerprint: &str) -> Desired {
    let mut desired = wish(replicas, fingerprint, OnChange::Restart);
    if let Template::Known(prototype) = &mut desired.template {
        let files = prototype.files[0].files.clone();
        prototype.spec.entrypoint = Some(vec!["serve".into()]);
        prototype.spec.mounts = vec![protected::mount()];
        prototype.files = protected::volume(&files).into_iter().collect();
    }
    desired
}

fn created(plan: &super::Plan) -> Vec<ContainerSpec> {
    let spec = |action: &Action| match action {
        Action::Create { spec, .. } => Some((**spec).clone()),
        _ => None,
    };
    plan.actions().filter_map(spec).collect()
}

fn program_of(spec: &ContainerSpec) -> &Mount {
    spec.mounts
        .iter()
        .find(|m| m.target == protected::PROGRAM_DIRECTORY)
        .unwrap()
}

#[test]
fn a_container_with_protected_variables_starts_through_the_program_of_its_holder() {
    let mut desired = protected(1, "v1");
    let mut world = World::of(Vec::new());
    settle(&mut world, &desired);
    let held = holders(&world)[0].label(label::PROGRAM).to_owned();
    assert_eq!(held, "supercargo_program_1_010a51");
    // After an upgrade of the operator nothing is done, and one more has the program that its holder has.
    desired.agent.version = "2".into();
    desired.agent.image = "supercargo/agent:2".into();
    let done = settle(&mut world, &desired);
    assert!(done.iter().all(|line| line.contains("agent")), "{done:#?}");
    desired.replicas = 2;
    let more = created(&world.plan(&desired));
    assert_eq!(program_of(&more[0]).source, MountSource::Files(held));
    assert!(more[0].mounts.iter().all(|mount| mount.read_only));
    assert_eq!(
        more[0].entrypoint.as_deref().unwrap(),
        ["/run/supercargo/bin/supercargo", "run", "--", "serve"]
    );
    // Another value is another holder, of the new version.
    let mut next = protected(2, "v2");
    next.agent = desired.agent.clone();
    let next = created(&world.plan(&next));
    assert_ne!(program_of(&next[0]).source, program_of(&more[0]).source);
}

#[test]
fn protected_variables_of_before_stay_with_those_who_have_them_while_others_come() {
    let (first, second) = (protected(2, "v1"), protected(2, "v2"));
    let mut world = World::of(Vec::new());
    settle(&mut world, &first);
    let before: Vec<String> = world.files.content.keys().cloned().collect();
    settle(&mut world, &second);
    let after: Vec<String> = world.files.content.keys().cloned().collect();
    assert!(before.len() == 1 && after.len() == 1 && before != after);
    assert_eq!(holders(&world).len(), 1);
}

/// The volume as files, and the same value as a protected variable beside it.
fn both(replicas: u32, fingerprint: &str) -> Desired {
    let mut desired = wish(replicas, fingerprint, OnChange::Update);
    desired.template_hash = Some(TemplateHash("t2-both".into()));
    if let Template::Known(prototype) = &mut desired.template {
        let files = prototype.files[0].files.clone();
        prototype.spec.entrypoint = Some(vec!["serve".into()]);
        prototype.spec.mounts.push(protected::mount());
        prototype.files.extend(protected::volume(&files));
    }
    desired
}

#[test]
fn protected_variables_need_a_holder_whatever_directory_of_the_host_there_is() {
    let mut world = World::of(Vec::new());
    world.files.host = Some(HOST.into());
    let desired = both(1, "v1");
    let spec = loop {
        let plan = world.plan(&desired);
        if let Some(spec) = created(&plan).pop() {
            break spec;
        }
        world.carry_out(&plan, usize::MAX, &mut |_, _| ());
        world.pass(1);
    };
    settle(&mut world, &desired);
    assert_eq!((holders(&world).len(), records(&world)), (1, 0));
    let program = holders(&world)[0].label(label::PROGRAM).to_owned();
    assert!(!program.is_empty());
    assert_eq!(program_of(&spec).source, MountSource::Files(program));
    assert_eq!(world.files.content.len(), 2);
    assert!(!world.files.content.keys().any(|volume| volume.starts_with('/')));
}

#[test]
fn who_has_files_on_the_host_keeps_them_and_their_changes_until_its_variables_are_protected() {
    let mut world = World::of(Vec::new());
    world.files.host = Some(HOST.into());
    settle(&mut world, &wish(2, "v1", OnChange::Update));
    assert_eq!((holders(&world).len(), records(&world)), (0, 1));
    // Nobody is replaced while the rollout is paused, and files change all the same.
    let paused = Desired {
        paused: true,
        ..both(2, "v2")
    };
    settle(&mut world, &paused);
    let wanted = generation(&paused);
    let on_host = |world: &World| {
        let content = world.files.content.clone().into_iter();
        content
            .filter(|(volume, _)| volume.starts_with(HOST))
            .collect::<Vec<_>>()
    };
    let found = on_host(&world);
    assert_eq!(
        (found.len(), &found[0].1.0),
        (1, &wanted),
        "and no variable is there"
    );
    settle(&mut world, &both(2, "v2"));
    assert_eq!((holders(&world).len(), records(&world)), (1, 0));
    assert!(on_host(&world).is_empty());
    assert_eq!(world.replicas().filter(|c| is_alive(c)).count(), 2);
    // And back.
    let mut plain = wish(2, "v3", OnChange::Update);
    plain.template_hash = Some(TemplateHash("t3-plain".into()));
    settle(&mut world, &plain);
    assert_eq!((holders(&world).len(), records(&world)), (0, 1));
    assert_eq!((on_host(&world).len(), world.files.content.len()), (1, 1));
}

#[test]
fn a_volume_goes_with_the_last_holder_that_has_it() {
    let held = |name: &str, volumes: &[&str]| Holder {
        id: ContainerId::new(name),
        name: name.into(),
        state: RunState::Running,
        started_at: None,
        volumes: volumes
            .iter()
            .map(|v| ((*v).to_owned(), (*v).to_owned()))
            .collect(),
        user: FileUser { uid: 1, gid: 1 },
        round: 0,
        program: String::new(),
        blind: BTreeMap::new(),
    };
    let (one, other) = (
        held("one", &["shared", "a"]),
        held("other", &["shared", "b", "kept", "used"]),
    );
    let chains = retire(
        &[&one, &other],
        &BTreeSet::from(["kept"]),
        &BTreeSet::from(["used".to_owned()]),
    );
    let [chain] = chains.try_into().unwrap();
    let done: Vec<String> = chain
        .iter()
        .map(|action| match action {
            Action::Files(FileAction::RemoveVolumes { volumes }) => volumes.join(" "),
            Action::Files(FileAction::RemoveHolder { name, .. }) => format!("holder {name}"),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(done, ["holder one", "a", "holder other", "b shared"]);
}
