//! A bounded, deterministic mutation fuzz of the envelope's and the ring's parsers, for a stable toolchain.
//! It is no substitute for `fuzz/` (coverage-guided, needs nightly and cargo-fuzz); it runs in every `make test`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use supercargo::seal::{Envelope, Ring, WrittenBy};

const ROUNDS: usize = 60_000;

/// xorshift64*: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }
}

fn seeds() -> (Vec<String>, String) {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors/envelopes.json")).unwrap();
    let of = |list: &str| {
        let texts = vectors[list].as_array().unwrap().iter();
        texts
            .map(|c| c["envelope"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    (
        [of("opened"), of("refused")].concat(),
        vectors["ring"].as_str().unwrap().to_owned(),
    )
}

/// One to eight of: change, insert, remove, double a piece, join with another seed, cut.
fn mutate(numbers: &mut Numbers, seed: &str, other: &str) -> Vec<u8> {
    const LIKELY: &[u8] = b".-_=scxgqn0123456789abcdefAZ \n\0\xFF";
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(bytes.len());
        let byte = LIKELY[numbers.below(LIKELY.len())];
        match numbers.below(6) {
            0 if !bytes.is_empty() => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            3 => {
                let piece = bytes[at..(at + numbers.below(80)).min(bytes.len())].to_vec();
                let to = numbers.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => {
                let from = numbers.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other.as_bytes()[from..]);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn mutated_envelopes_never_panic_and_have_one_spelling() {
    let (seeds, ring) = seeds();
    let ring = Ring::from_text(ring.as_bytes()).unwrap();
    let mut numbers = Numbers(0x5EA1);
    let (mut parsed, mut opened) = (0, 0);
    for round in 0..ROUNDS {
        let (seed, other) = (&seeds[round % seeds.len()], &seeds[numbers.below(seeds.len())]);
        let bytes = mutate(&mut numbers, seed, other);
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        let Ok(envelope) = text.parse::<Envelope>() else {
            continue;
        };
        assert_eq!(envelope.to_string(), text);
        parsed += 1;
        let context = envelope.context_at("shop", "db", "password").unwrap();
        if ring.open(&envelope, &context, WrittenBy::Program).is_ok() {
            assert!(seeds.iter().any(|s| s == text), "a mutation was opened");
            opened += 1;
        }
    }
    println!("{ROUNDS} mutations: {parsed} parsed, {opened} opened (all of them unchanged seeds)");
    assert!(
        parsed > 100,
        "the mutations are too wild to reach the inside: {parsed}"
    );
}

#[test]
fn mutated_rings_never_panic_and_read_back() {
    let (_, seed) = seeds();
    let mut numbers = Numbers(0x0217);
    let mut read = 0;
    for _ in 0..ROUNDS / 4 {
        let bytes = mutate(&mut numbers, &seed, &seed);
        if let Ok(ring) = Ring::from_text(&bytes) {
            assert_eq!(Ring::from_text(&ring.to_text()).unwrap(), ring);
            read += 1;
        }
    }
    println!("{} mutations: {read} read", ROUNDS / 4);
}
