//! A bounded, deterministic fuzz of what the agent reads from others: DNS packets, lines of a session, and the answers of
//! replicas. The targets are those of `fuzz/`; `SUPERCARGO_FUZZ_ROUNDS` does more of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "fuzzing/hearing.rs"]
mod hearing;
#[path = "fuzzing/mutate.rs"]
mod mutate;

use mutate::{Numbers, mutate};
// The targets find it at the root of the crate that includes them.
use supercargo::agent;

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn rounds() -> usize {
    let asked = std::env::var("SUPERCARGO_FUZZ_ROUNDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

/// Runs on the seeds and on changes of them; true from it says that an input got through.
fn fuzz(index: usize) {
    let (name, run, seeds) = hearing::TARGETS[index];
    let mut numbers = Numbers::new(0xA6E7);
    let mut through = 0;
    for round in 0..rounds() {
        let mut input = seeds[round % seeds.len()].to_vec();
        if round >= seeds.len() {
            let other = seeds[numbers.below(seeds.len())];
            mutate(&mut numbers, &mut input, other);
        }
        through += usize::from(run(&input));
    }
    println!("{name}: {} inputs, {through} of them good", rounds());
    assert!(through > rounds() / 100, "the changes are too wild: {through}");
}

#[test]
fn any_packet_is_a_question_or_refused() {
    fuzz(0);
}

#[test]
fn any_line_is_an_order_or_refused_without_its_words() {
    fuzz(1);
}

#[test]
fn any_answer_is_a_status_or_none_however_it_is_cut() {
    fuzz(2);
}
