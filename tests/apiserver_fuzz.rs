//! A bounded, deterministic fuzz of every parser of the API server and of whole requests, for a stable toolchain and in
//! every `make test`. The targets are those of `fuzz/`, which is guided by coverage. `SUPERCARGO_FUZZ_SECONDS` lets each
//! target run that long instead, from a seed of the moment, which is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod fuzzing;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fuzzing::{
    mutate::{Numbers, mutate},
    seeds, target,
};
// The targets find them at the root of the crate that includes them.
use supercargo::{admission, api, apiserver, clock, telemetry};

/// Nothing that takes longer is an answer.
const HANG: Duration = Duration::from_secs(120);

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn seconds() -> Option<u64> {
    std::env::var("SUPERCARGO_FUZZ_SECONDS").ok()?.parse().ok()
}

/// The input that is worked on, and since when.
type Current = Arc<Mutex<Option<(Vec<u8>, Instant)>>>;

/// Ends the process when an input takes too long.
fn watch(name: &'static str, current: &Current) {
    let current = Arc::downgrade(current);
    std::thread::spawn(move || {
        while let Some(current) = current.upgrade() {
            if let Some((input, since)) = &*current.lock().unwrap()
                && since.elapsed() > HANG
            {
                eprintln!("{name} hangs on {:?}", String::from_utf8_lossy(input));
                std::process::abort();
            }
            drop(current);
            // Nothing waits for this: it is how often a hang is looked for.
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

fn fuzz(name: &'static str, rounds: usize) {
    let run = target(name);
    let seeds = seeds::of(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let end = seconds().map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let start = if end.is_some() {
        u64::from(std::process::id()) << 20 | 0x5EED
    } else {
        0x5EED
    };
    let mut numbers = Numbers::new(start);
    let current = Current::default();
    watch(name, &current);
    let mut one = |input: Vec<u8>| {
        *current.lock().unwrap() = Some((input.clone(), Instant::now()));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&input))) {
            eprintln!("{name}, from {start:#x}: {:?}", String::from_utf8_lossy(&input));
            eprintln!("as bytes: {input:?}");
            resume_unwind(panic);
        }
        *current.lock().unwrap() = None;
    };
    seeds.iter().cloned().for_each(&mut one);
    let mut done = seeds.len();
    while end.map_or(done < rounds, |end| Instant::now() < end) {
        let mut input = seeds[numbers.below(seeds.len())].clone();
        let other = &seeds[numbers.below(seeds.len())];
        mutate(&mut numbers, &mut input, other);
        one(input);
        done += 1;
    }
    println!("{name}: {done} inputs from {start:#x}");
}

macro_rules! fuzzed {
    ($($test:ident: $name:literal, $rounds:literal;)*) => {
        $(#[test]
        fn $test() {
            fuzz($name, $rounds);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$($name),*];
            let known: Vec<&str> = fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(run.as_slice(), known);
        }
    };
}

fuzzed! {
    any_path_is_read_or_refused: "path", 20_000;
    any_query_is_read_or_refused: "query", 10_000;
    any_label_selector_is_read_or_refused: "label_selector", 20_000;
    any_field_selector_is_read_or_refused: "field_selector", 20_000;
    any_accept_header_is_read_or_refused: "accept", 20_000;
    any_json_is_read_or_refused: "json", 4_000;
    any_yaml_is_read_or_refused: "yaml", 2_000;
    any_protobuf_is_read_or_refused: "protobuf", 10_000;
    any_delete_options_are_read_or_refused: "delete_options", 5_000;
    any_json_patch_is_applied_or_refused: "json_patch", 10_000;
    any_merge_patch_is_applied_or_refused: "merge_patch", 5_000;
    any_strategic_patch_is_applied_or_refused: "strategic_patch", 4_000;
    any_apply_is_done_once_and_again_the_same_or_refused: "apply", 2_000;
    any_schema_is_read_or_refused_and_used: "schema", 4_000;
    any_cel_rule_is_run_or_refused: "cel", 400;
    any_column_shows_a_cell: "columns", 4_000;
    any_crd_is_read_or_refused: "definition", 300;
    any_review_is_judged_or_refused: "admission", 6_000;
    any_continue_token_goes_on_or_is_refused: "continue_token", 1_500;
    any_request_is_answered_well: "request", 1_500;
}
