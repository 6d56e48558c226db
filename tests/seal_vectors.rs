//! The frozen vectors of the envelope and of the ring's text: opened, and sealed again byte for byte.
//! They were sealed by the independent implementation in `vectors/open_with_python.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use serde::Deserialize;
use supercargo::seal::{
    Context, Entropy, Envelope, NoEntropy, Plaintext, PrivateKey, PublicKey, Ring, ScopeKind, Suite,
    WrittenBy, seal,
};
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<Key>,
    ring: String,
    fingerprints: Vec<Print>,
    opened: Vec<Opened>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Key {
    seed: String,
    kid: String,
    public: String,
}

#[derive(Deserialize)]
struct Print {
    namespace: String,
    value: String,
    fingerprint: String,
}

#[derive(Deserialize)]
struct Opened {
    title: String,
    suite: String,
    kid: String,
    scope: String,
    namespace: String,
    name: String,
    key: String,
    entropy: String,
    value: String,
    envelope: String,
}

#[derive(Deserialize)]
struct Refused {
    title: String,
    namespace: String,
    name: String,
    key: String,
    envelope: String,
    cause: String,
}

/// Gives out exactly one stored draw.
struct Stored(Vec<u8>);

impl Entropy for Stored {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
        if out.len() != self.0.len() {
            return Err(NoEntropy);
        }
        out.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/envelopes.json")).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn ring() -> Ring {
    Ring::from_text(vectors().ring.as_bytes()).unwrap()
}

#[test]
fn keys_are_derived_as_frozen() {
    for key in vectors().keys {
        let seed: [u8; 32] = unhex(&key.seed).try_into().unwrap();
        let private = PrivateKey::from_seed(Zeroizing::new(seed));
        assert_eq!(private.public().to_string(), key.public);
        assert_eq!(private.kid().to_string(), key.kid);
        assert_eq!(key.public.parse::<PublicKey>().unwrap(), *private.public());
    }
}

#[test]
fn the_ring_is_read_and_written_as_frozen() {
    assert_eq!(
        String::from_utf8(ring().to_text().to_vec()).unwrap(),
        vectors().ring
    );
    assert_eq!(ring().primary().to_string(), vectors().keys[0].kid);
}

#[test]
fn fingerprints_are_as_frozen() {
    for case in vectors().fingerprints {
        let value = Plaintext::new(unhex(&case.value));
        assert_eq!(
            ring().fingerprint(&case.namespace, &value).to_string(),
            case.fingerprint
        );
    }
}

#[test]
fn every_vector_opens_to_its_value() {
    for case in vectors().opened {
        let envelope: Envelope = case.envelope.parse().unwrap();
        let context = envelope
            .context_at(&case.namespace, &case.name, &case.key)
            .unwrap();
        let opened = ring().open(&envelope, &context, WrittenBy::Program).unwrap();
        assert_eq!(opened.expose(), unhex(&case.value), "{}", case.title);
    }
}

#[test]
fn every_vector_is_sealed_again_byte_for_byte() {
    for case in vectors().opened {
        let kind = match case.scope.as_str() {
            "s" => ScopeKind::Strict,
            "n" => ScopeKind::Namespace,
            _ => ScopeKind::Cluster,
        };
        let context = Context::at(kind, &case.namespace, &case.name, &case.key).unwrap();
        let mut entropy = Stored(unhex(&case.entropy));
        let value = Plaintext::new(unhex(&case.value));
        let ring = ring();
        let kid = case.kid.parse().unwrap();
        let envelope = if case.suite == "x" {
            seal(ring.member(kid).unwrap().public(), &context, &value, &mut entropy).unwrap()
        } else if kid == ring.primary() {
            ring.seal_own(&context, &value, &mut entropy).unwrap()
        } else {
            continue;
        };
        assert_eq!(envelope.to_string(), case.envelope, "{}", case.title);
        assert_eq!(envelope.suite() == Suite::X, case.suite == "x");
    }
}

#[test]
fn every_refused_vector_has_its_cause() {
    for case in vectors().refused {
        let outcome = case.envelope.parse::<Envelope>().and_then(|envelope| {
            let context = envelope
                .context_at(&case.namespace, &case.name, &case.key)
                .unwrap();
            ring().open(&envelope, &context, WrittenBy::User)
        });
        assert_eq!(outcome.unwrap_err().cause(), case.cause, "{}", case.title);
    }
}
