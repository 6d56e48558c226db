//! What the agent reads from others: the first byte chooses a DNS packet, a line of a session, or a replica's answer to a
//! probe. Mutations start from the seeds of the bounded test, so that no corpus is needed.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use supercargo_fuzz::{
    fuzzing::mutate::{Numbers, mutate},
    hearing::TARGETS,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, input)) = bytes.split_first() else { return };
    let (_, run, _) = TARGETS[usize::from(*choice) % TARGETS.len()];
    run(input);
});

// Half of the changes know words and the shape of inputs, the others are libFuzzer's.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 && size > 1 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut numbers = Numbers::new(u64::from(seed) << 16 | 0xA6E7);
    let choice = if size > 1 { usize::from(data[0]) % TARGETS.len() } else { numbers.below(TARGETS.len()) };
    let (_, _, seeds) = TARGETS[choice];
    let other = seeds[numbers.below(seeds.len())];
    let mut bytes = data[..size].get(1..).unwrap_or_default().to_vec();
    if numbers.below(50) == 0 || bytes.is_empty() {
        bytes = other.to_vec();
    }
    mutate(&mut numbers, &mut bytes, other);
    bytes.insert(0, choice as u8);
    bytes.truncate(max_size);
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
});
