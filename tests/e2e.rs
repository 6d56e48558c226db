//! End to end: the real binary, real kubectl and real Docker, on `supercargo standalone` or, with `E2E_ON=cluster`, as
//! `supercargo controller` on a real kube-apiserver: the same cases with the same results. Every case has its own namespace
//! and operator. After each case its secrets are searched for wherever they must not be. `cargo test --test e2e WORD` runs
//! the cases whose name contains the word.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may"
)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};

#[path = "e2e/admission.rs"]
mod admission;
#[path = "e2e/chaos.rs"]
mod chaos;
#[path = "e2e/convert.rs"]
mod convert;
#[path = "e2e/delivery.rs"]
mod delivery;
#[path = "e2e/faults.rs"]
mod faults;
#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/files_engine.rs"]
mod files_engine;
#[path = "e2e/forms.rs"]
mod forms;
#[path = "e2e/hammer.rs"]
mod hammer;
mod harness;
#[path = "e2e/host_tmpfs.rs"]
mod host_tmpfs;
#[path = "e2e/kubectl.rs"]
mod kubectl;
#[path = "e2e/leadership.rs"]
mod leadership;
#[path = "e2e/lifecycle.rs"]
mod lifecycle;
#[path = "e2e/misbehaving.rs"]
mod misbehaving;
#[path = "e2e/outages.rs"]
mod outages;
#[path = "e2e/protected.rs"]
mod protected;
#[path = "e2e/rollouts.rs"]
mod rollouts;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/standalone.rs"]
mod standalone;

use harness::{
    Form,
    rights::{Rights, rights},
};

type Test = (&'static str, fn());

/// Side by side. Those that wait longest first.
const TOGETHER: &[Test] = &[
    (
        "twenty_rollouts_and_three_broken_versions_lose_no_request",
        hammer::hammered,
    ),
    (
        "a_killed_agent_harms_no_connection_and_comes_back",
        hammer::agent_killed,
    ),
    (
        "a_stopped_leader_is_replaced_and_makes_nothing_twice",
        leadership::a_stopped_leader,
    ),
    (
        "random_kills_and_outages_leave_no_orphan_and_no_duplicate",
        chaos::kills_and_outages,
    ),
    (
        "an_engine_that_is_restarted_in_the_middle_of_a_rollout_loses_and_doubles_nothing",
        outages::engine_restarted,
    ),
    (
        "no_form_of_a_secret_leaves_a_trace_where_it_must_not",
        forms::every_form,
    ),
    (
        "files_are_where_all_see_them_after_the_engine_was_restarted",
        files_engine::restarted,
    ),
    ("files_reach_an_engine_over_tls", files_engine::remote),
    (
        "half_a_program_in_its_volume_is_made_again_and_nobody_starts_through_it",
        files_engine::half_a_program,
    ),
    (
        "an_engine_that_lost_its_networks_gets_them_back_and_every_container_stands_on_one",
        outages::networks_lost,
    ),
    (
        "a_socket_that_is_cut_in_the_middle_of_a_rollout_loses_and_doubles_nothing",
        outages::socket_cut,
    ),
    (
        "a_webhook_certificate_is_renewed_and_no_request_fails",
        admission::renewed_while_asked,
    ),
    (
        "docker_away_damages_no_status_and_work_goes_on_after",
        faults::docker_away,
    ),
    (
        "a_bad_command_says_so_and_an_absent_image_too",
        faults::bad_command_and_image,
    ),
    (
        "a_probe_that_passes_late_and_then_flaps_restarts_nobody",
        misbehaving::late_and_flapping,
    ),
    (
        "a_program_that_ends_at_once_is_started_ever_more_rarely",
        misbehaving::ends_at_once,
    ),
    (
        "a_program_that_ignores_sigterm_is_killed_and_its_rollout_goes_on",
        misbehaving::ignores_sigterm,
    ),
    (
        "a_private_registry_takes_right_wrong_and_no_credentials",
        delivery::private_registry,
    ),
    ("deletion_orphan_force_and_namespace", lifecycle::deletion),
    ("renewing_nothing_changes_nothing", secrets::quiet),
    (
        "what_nobody_answers_for_is_held_by_the_operator",
        admission::nobody_answers,
    ),
    (
        "webhooks_are_answered_by_who_leads_and_by_who_stands_by",
        admission::both_answer,
    ),
    (
        "what_is_wrong_is_refused_when_it_is_written",
        admission::refused_when_written,
    ),
    ("what_is_in_use_is_not_deleted", admission::kept_while_used),
    ("the_main_story", secrets::main_story),
    ("a_missing_secret_holds_and_recovers_at_once", secrets::missing),
    ("kubectl_works_as_with_any_resource", kubectl::verbs),
    (
        "an_apps_v1_deployment_with_two_lines_changed_runs",
        kubectl::apps_v1,
    ),
    ("a_rollout_goes_back_and_what_runs_already_stays", rollouts::undo),
    ("drift_is_repaired", lifecycle::drift),
    ("a_host_port_that_is_taken_is_waited_for", faults::host_port),
    ("the_children_of_a_program_go_with_it", misbehaving::forks),
    (
        "a_program_that_fills_its_disk_harms_nobody_else",
        misbehaving::fills_its_disk,
    ),
    (
        "a_network_pool_that_strangers_have_is_waited_for",
        faults::network_pool,
    ),
    ("secrets_as_files_from_birth_to_death", files::main_story),
    (
        "after_a_reboot_nothing_starts_before_its_files_are_back",
        files::reboot,
    ),
    (
        "files_that_root_changed_are_found_and_written_again",
        files::tampered,
    ),
    ("files_of_a_missing_secret_hold_and_come_at_once", files::missing),
    ("a_change_updates_signals_or_restarts", files::on_change),
    ("secrets_and_configuration_in_one_directory", files::projected),
    ("a_reader_sees_whole_sets_of_files_only", files::hammered),
    (
        "files_in_a_directory_of_the_host_from_birth_to_death",
        host_tmpfs::story,
    ),
    ("a_host_directory_on_a_disk_is_refused", host_tmpfs::refused),
    (
        "images_of_every_shape_start_with_protected_variables",
        protected::images,
    ),
    (
        "a_program_with_protected_variables_is_its_own_process",
        protected::process,
    ),
    ("volumes_of_three_kinds", delivery::volumes),
    ("env_from_with_a_collision", delivery::env_from),
    (
        "a_foreign_container_of_our_name_is_not_touched",
        faults::foreign_name,
    ),
    ("a_rollout_goes_on_after_sigterm", lifecycle::sigterm),
    ("the_examples_run_as_written", delivery::examples),
    (
        "a_compose_file_is_converted_and_comes_up_with_its_secrets",
        convert::compose,
    ),
    ("an_idle_control_plane_writes_nothing", standalone::idle),
    (
        "a_start_applies_the_definitions_that_are_not_as_it_left_them",
        standalone::definitions,
    ),
    (
        "a_stop_takes_no_second_and_a_start_adopts",
        standalone::stop_and_adopt,
    ),
    (
        "a_lost_store_is_said_and_both_ways_on_work",
        standalone::lost_store,
    ),
    ("a_core_secret_is_sealed_at_rest", standalone::sealed_at_rest),
];

/// The cases of one form alone, and why there is nothing to hold on the other. Where a case of both differs by form, its
/// harness says so: `Case::refused`, for what standalone refuses already when it is written.
const ONE_FORM: &[(&str, Form, &str)] = &[
    (
        "a_stopped_leader_is_replaced_and_makes_nothing_twice",
        Form::Cluster,
        "one process has the store, so that there is no second operator",
    ),
    (
        "a_webhook_certificate_is_renewed_and_no_request_fails",
        Form::Cluster,
        "the rules are asked in the process, without a webhook",
    ),
    (
        "what_nobody_answers_for_is_held_by_the_operator",
        Form::Cluster,
        "the rules are asked in the process, without a webhook",
    ),
    (
        "webhooks_are_answered_by_who_leads_and_by_who_stands_by",
        Form::Cluster,
        "the rules are asked in the process, without a webhook",
    ),
    (
        "an_idle_control_plane_writes_nothing",
        Form::Standalone,
        "a kube-apiserver writes leases of its own all the time",
    ),
    (
        "a_stop_takes_no_second_and_a_start_adopts",
        Form::Standalone,
        "the store that outlives the process is the API server's there; renewing_nothing_changes_nothing restarts an operator",
    ),
    (
        "a_start_applies_the_definitions_that_are_not_as_it_left_them",
        Form::Standalone,
        "the definitions come with a chart there, and all cases share them",
    ),
    (
        "a_lost_store_is_said_and_both_ways_on_work",
        Form::Standalone,
        "the operator has no store and the cluster tells who it is",
    ),
    (
        "a_core_secret_is_sealed_at_rest",
        Form::Standalone,
        "whether etcd holds plain text is decided by who runs the cluster",
    ),
];

/// The cases for which an operator needs its rights in all namespaces, and why.
const EVERYWHERE: &[(&str, &str)] = &[(
    "deletion_orphan_force_and_namespace",
    "with a namespace go the Roles in it, before the operator has finished (docs/install.md)",
)];

/// One by one, by the main thread, and in cluster form only on a server that is ours to stop.
const ALONE: &[Test] = &[
    ("the_api_server_goes_away_and_comes_back", faults::api_server_away),
    (
        "an_api_server_that_is_killed_in_the_middle_of_a_rollout_loses_and_doubles_nothing",
        outages::api_server_killed,
    ),
];

const THREADS: usize = 4;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = words.iter().filter(|w| !w.starts_with('-')).collect();
    let chosen = |tests: &[Test]| -> Vec<Test> {
        tests
            .iter()
            .filter(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())))
            .copied()
            .collect()
    };
    let (mut together, mut alone) = (chosen(TOGETHER), chosen(ALONE));
    let form = harness::form();
    let mut elsewhere = 0;
    for (name, only, why) in ONE_FORM.iter().filter(|(_, only, _)| *only != form) {
        let before = together.len();
        together.retain(|(other, _)| other != name);
        if together.len() < before {
            elsewhere += 1;
            println!("only on {only:?}: {name}, as {why}");
        }
    }
    if form == Form::Cluster && rights() == Rights::Namespaces {
        for (name, why) in EVERYWHERE {
            let before = together.len();
            together.retain(|(other, _)| other != name);
            elsewhere += before - together.len();
            println!("only with E2E_RIGHTS=cluster: {name}, as {why}");
        }
    }
    if words.iter().any(|w| w == "--list") {
        together
            .iter()
            .chain(&alone)
            .for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if together.is_empty() && alone.is_empty() {
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    harness::World::start();
    let cluster = harness::world().cluster.as_ref();
    if cluster.is_some() && catch_unwind(make_keys).is_err() {
        harness::world().end();
        return ExitCode::FAILURE;
    }
    if cluster.is_some_and(|cluster| !cluster.is_ours()) {
        for (name, _) in alone.drain(..) {
            println!(
                "not run: {name}, as the server of TEST_KUBECONFIG is not ours to stop; unset it to run this on one of our own"
            );
        }
    }
    println!(
        "\nrunning {} end-to-end tests on {form:?}; set-up took {:.1} s",
        together.len() + alone.len(),
        begun.elapsed().as_secs_f64()
    );
    let count = together.len() + alone.len();
    let failed = Mutex::new(Vec::new());
    together.reverse();
    let queue = Mutex::new(together);
    let (queue, results) = (&queue, &failed);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(test) = next else { return };
                    let thread = std::thread::Builder::new().name(test.0.to_owned());
                    thread
                        .spawn_scoped(scope, move || one(test, results))
                        .unwrap()
                        .join()
                        .unwrap();
                }
            });
        }
    });
    for test in alone {
        one(test, results);
    }
    let left = harness::world().end();
    let mut failed = failed.into_inner().unwrap();
    let denied = cluster.map(harness::cluster::Cluster::denied).unwrap_or_default();
    if !denied.is_empty() {
        println!("the chart's rights are too few: an operator was denied {denied:#?}");
        failed.push("the_rights_of_the_chart_are_enough");
    }
    if !left.is_empty() {
        println!("left behind in Docker: {}", left.join(" "));
    }
    let word = if failed.is_empty() && left.is_empty() {
        "ok"
    } else {
        "FAILED"
    };
    println!(
        "\ntest result: {word}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.1}s",
        count.saturating_sub(failed.len()),
        failed.len(),
        TOGETHER.len() + ALONE.len() - count - elsewhere,
        begun.elapsed().as_secs_f64()
    );
    failed.iter().for_each(|name| println!("    {name}"));
    let dir = harness::world().dir.path();
    if word == "ok" {
        let _ = std::fs::remove_dir_all(dir);
        return ExitCode::SUCCESS;
    }
    println!("logs are kept in {}", dir.display());
    ExitCode::FAILURE
}

fn one(test: Test, failed: &Mutex<Vec<&'static str>>) {
    let begun = Instant::now();
    let fine = catch_unwind(AssertUnwindSafe(test.1)).is_ok();
    if !fine {
        failed.lock().unwrap().push(test.0);
    }
    println!(
        "test {} ... {} ({:.1} s)",
        test.0,
        if fine { "ok" } else { "FAILED" },
        begun.elapsed().as_secs_f64()
    );
}

/// The first operator of a cluster makes the key ring; its public keys are pinned for all cases.
fn make_keys() {
    let case = harness::case::Case::start("first", &[]);
    let keys = harness::until("the public keys", harness::SOON, || case.public_keys());
    std::fs::write(harness::world().dir.path().join(".supercargo-keys"), keys).unwrap();
    case.finish();
}
