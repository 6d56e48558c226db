//! Any parser of the API server, or whole requests: `FUZZ_TARGET` names the target (`tests/fuzzing/mod.rs` lists them).
//! Mutations start from its seeds, so that no corpus is needed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use supercargo_fuzz::fuzzing::{
    mutate::{Numbers, mutate},
    seeds, target,
};

static NAME: LazyLock<String> =
    LazyLock::new(|| std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET=query, apply, request, ..."));
static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| target(&NAME));
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds::of(&NAME));

fuzz_target!(|bytes: &[u8]| TARGET(bytes));

// Half of the changes know words and the shape of inputs, the others are libFuzzer's.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut numbers = Numbers::new(u64::from(seed) << 16 | 0x9E37);
    let mut bytes = data[..size].to_vec();
    let other = &SEEDS[numbers.below(SEEDS.len())];
    if numbers.below(50) == 0 || bytes.len() < 2 {
        bytes.clone_from(other);
    }
    mutate(&mut numbers, &mut bytes, other);
    bytes.truncate(max_size);
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
});
