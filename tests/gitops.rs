//! GitOps: Flux's own controllers, as processes, apply a git repository to an API server of ours or to a real one
//! (`E2E_ON=cluster`), and kstatus and Argo CD's check are right about every event on the way. Part `gitops` of `make
//! conformance`; `cargo test --test gitops WORD` runs the cases whose name contains the word.
//! `GITOPS_STILL_SECONDS` says for how long nothing may be written at the end, 300 by default.
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
    time::Instant,
};

#[path = "gitops/flux.rs"]
mod flux;
#[path = "gitops/git.rs"]
mod git;
#[expect(dead_code, reason = "the end-to-end cases use the rest of it")]
mod harness;
#[path = "gitops/health.rs"]
mod health;
#[path = "gitops/story.rs"]
mod story;
#[path = "gitops/stream.rs"]
mod stream;
#[path = "gitops/transitions.rs"]
mod transitions;

const CASES: [(&str, fn()); 2] = [
    ("every_event_is_judged_as_it_is", transitions::judged),
    ("flux_creates_changes_repairs_waits_and_prunes", story::story),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    let chosen = CASES
        .iter()
        .filter(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word.as_str())));
    let chosen: Vec<_> = chosen.collect();
    harness::World::start();
    let mut failed = 0;
    for (name, case) in &chosen {
        let begun = Instant::now();
        let fine = catch_unwind(AssertUnwindSafe(case)).is_ok();
        failed += usize::from(!fine);
        let word = if fine { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:.1} s)", begun.elapsed().as_secs_f64());
    }
    let left = harness::World::end(harness::world());
    if !left.is_empty() {
        println!("left behind in Docker: {}", left.join(" "));
        failed += 1;
    }
    let dir = harness::world().dir.path();
    let fine = failed == 0 && !chosen.is_empty();
    if fine {
        let _ = std::fs::remove_dir_all(dir);
    } else {
        println!("logs are kept in {}", dir.display());
    }
    println!(
        "test result: {} on {:?}. {} passed; {failed} failed; 0 ignored",
        if fine { "ok" } else { "FAILED" },
        harness::form(),
        chosen.len().saturating_sub(failed)
    );
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
