//! What the seal room promises, as properties: every value comes back where it was sealed for, nowhere else, and
//! every damaged byte has its own proper error. Vectors are in `seal_vectors.rs`, the ring in `seal_ring.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use proptest::prelude::*;
use supercargo::seal::{
    Context, Entropy, Envelope, Error, MAX_ENVELOPE_CHARS, MAX_VALUE_BYTES, NoEntropy, OpenError, Plaintext,
    PrivateKey, Ring, Scope, ScopeKind, SystemEntropy, WrittenBy, open, seal,
};

fn ring() -> Ring {
    Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap()
}

fn value(bytes: &[u8]) -> Plaintext {
    Plaintext::new(bytes.to_vec())
}

fn sealed(ring: &Ring, context: &Context, bytes: &[u8]) -> Envelope {
    let to = ring.member(ring.primary()).unwrap().public();
    seal(to, context, &value(bytes), &mut SystemEntropy).unwrap()
}

fn strict() -> Context {
    Context::at(ScopeKind::Strict, "shop", "db", "password").unwrap()
}

#[test]
fn a_value_comes_back_in_every_scope() {
    let mut ring = ring();
    ring.set_cluster_scope(true);
    for kind in [ScopeKind::Strict, ScopeKind::Namespace, ScopeKind::Cluster] {
        let context = Context::at(kind, "shop", "db", "password").unwrap();
        let text = sealed(&ring, &context, b"line one\nline \0 two\xFF").to_string();
        let envelope: Envelope = text.parse().unwrap();
        let at = envelope.context_at("shop", "db", "password").unwrap();
        let opened = ring.open(&envelope, &at, WrittenBy::User).unwrap();
        assert_eq!(opened.expose(), b"line one\nline \0 two\xFF");
    }
}

#[test]
fn the_programs_own_suite_opens_for_the_program_and_is_refused_in_a_manifest() {
    let ring = ring();
    let envelope = ring
        .seal_own(&strict(), &value(b"made here"), &mut SystemEntropy)
        .unwrap();
    let opened = ring.open(&envelope, &strict(), WrittenBy::Program).unwrap();
    assert_eq!(opened.expose(), b"made here");
    let err = ring.open(&envelope, &strict(), WrittenBy::User).unwrap_err();
    assert_eq!(err.cause(), "UnsupportedEnvelope");
}

#[test]
fn a_value_is_opened_nowhere_but_where_it_was_sealed_for() {
    let mut ring = ring();
    ring.set_cluster_scope(true);
    let places = [
        ("shop", "db", "password"),
        ("shop2", "db", "password"),
        ("shop", "db2", "password"),
        ("shop", "db", "password2"),
        ("shopd", "b", "password"),
    ];
    let kinds = [ScopeKind::Strict, ScopeKind::Namespace, ScopeKind::Cluster];
    for kind in kinds {
        let context = Context::at(kind, "shop", "db", "password").unwrap();
        let envelope = sealed(&ring, &context, b"v");
        for other in kinds {
            for (namespace, name, key) in places {
                let at = Context::at(other, namespace, name, key).unwrap();
                let outcome = ring.open(&envelope, &at, WrittenBy::User);
                if at == context {
                    assert!(outcome.is_ok());
                } else {
                    assert_eq!(outcome.unwrap_err().cause(), "ScopeMismatch", "{context} at {at}");
                }
            }
        }
    }
}

#[test]
fn a_forged_scope_in_the_header_fails_the_commitment() {
    let ring = ring();
    let other = Context::at(ScopeKind::Strict, "shop", "db", "other").unwrap();
    let text = sealed(&ring, &strict(), b"v").to_string();
    let forged = text.replace(&strict().tag().to_string(), &other.tag().to_string());
    let err = ring
        .open(&forged.parse().unwrap(), &other, WrittenBy::User)
        .unwrap_err();
    assert_eq!(
        err,
        OpenError::IntegrityError {
            what: "the key commitment"
        }
    );
}

#[test]
fn cluster_scope_is_refused_unless_the_policy_allows_it() {
    let mut ring = ring();
    let context = Context::new(Scope::Cluster, "password").unwrap();
    let envelope = sealed(&ring, &context, b"v");
    assert_eq!(
        ring.open(&envelope, &context, WrittenBy::User).unwrap_err(),
        OpenError::ClusterScopeRefused
    );
    ring.set_cluster_scope(true);
    assert!(ring.open(&envelope, &context, WrittenBy::User).is_ok());
}

/// The cause that a flip in this part of the envelope may have.
fn allowed_causes(part: usize) -> &'static [&'static str] {
    match part {
        0 => &["UnsupportedEnvelope", "MalformedEnvelope"],
        1 => &["UnsupportedEnvelope", "MalformedEnvelope", "IntegrityError"],
        2 => &["UnknownKeyId", "MalformedEnvelope"],
        3 => &["ScopeMismatch", "MalformedEnvelope"],
        _ => &["IntegrityError", "MalformedEnvelope"],
    }
}

#[test]
fn every_flipped_bit_of_an_envelope_has_its_proper_error() {
    let ring = ring();
    let mut flips = 0;
    for (envelope, by) in [
        (sealed(&ring, &strict(), b"hunter2hunter2"), WrittenBy::User),
        (
            ring.seal_own(&strict(), &value(b"hunter2hunter2"), &mut SystemEntropy)
                .unwrap(),
            WrittenBy::Program,
        ),
    ] {
        let text = envelope.to_string().into_bytes();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bad = text.clone();
                bad[at] ^= 1 << bit;
                let Ok(bad) = String::from_utf8(bad) else { continue };
                let part = bad.bytes().take(at).filter(|b| *b == b'.').count();
                let outcome = bad.parse::<Envelope>().and_then(|e| ring.open(&e, &strict(), by));
                let cause = outcome.expect_err("a flipped bit was not noticed").cause();
                let dot_broken = text[at] == b'.';
                assert!(
                    dot_broken || allowed_causes(part).contains(&cause),
                    "bit {bit} of {at}: {cause}"
                );
                flips += 1;
            }
        }
    }
    assert!(flips > 2500, "only {flips} flips were tried");
}

#[test]
fn every_cut_and_every_doubled_byte_is_refused() {
    let ring = ring();
    let text = sealed(&ring, &strict(), b"v").to_string();
    for at in 0..text.len() {
        assert!(text[..at].parse::<Envelope>().is_err(), "cut at {at}");
        let doubled = format!("{}{}", &text[..=at], &text[at..]);
        assert!(doubled.parse::<Envelope>().is_err(), "doubled at {at}");
    }
    for around in [
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}="),
        format!("{text}."),
    ] {
        assert_eq!(
            around.parse::<Envelope>().unwrap_err().cause(),
            "MalformedEnvelope"
        );
    }
}

#[test]
fn two_seals_of_equal_bytes_share_nothing_but_the_header() {
    let ring = ring();
    for (a, b) in [
        (
            sealed(&ring, &strict(), b"same"),
            sealed(&ring, &strict(), b"same"),
        ),
        (
            ring.seal_own(&strict(), &value(b"same"), &mut SystemEntropy)
                .unwrap(),
            ring.seal_own(&strict(), &value(b"same"), &mut SystemEntropy)
                .unwrap(),
        ),
    ] {
        let (a, b) = (a.to_string(), b.to_string());
        assert_ne!(a, b);
        assert_eq!(a.rsplit_once('.').unwrap().0, b.rsplit_once('.').unwrap().0);
    }
}

#[test]
fn values_of_one_bucket_make_envelopes_of_one_length() {
    let ring = ring();
    let length = |n: usize| sealed(&ring, &strict(), &vec![7; n]).to_string().len();
    assert_eq!(length(0), length(60));
    assert_eq!(length(61), length(124));
    assert_ne!(length(60), length(61));
    assert_eq!(length(2045), length(2100));
}

#[test]
fn the_largest_value_fits_and_its_envelope_is_exactly_the_limit() {
    let ring = ring();
    let envelope = sealed(&ring, &strict(), &vec![1; MAX_VALUE_BYTES]);
    assert_eq!(envelope.to_string().len(), MAX_ENVELOPE_CHARS);
    assert_eq!(
        ring.open(&envelope, &strict(), WrittenBy::User).unwrap().len(),
        MAX_VALUE_BYTES
    );
    let to = ring.member(ring.primary()).unwrap().public();
    let err = seal(
        to,
        &strict(),
        &value(&vec![1; MAX_VALUE_BYTES + 1]),
        &mut SystemEntropy,
    )
    .unwrap_err();
    assert_eq!(
        err,
        Error::ValueTooLarge {
            size: MAX_VALUE_BYTES + 1,
            limit: MAX_VALUE_BYTES
        }
    );
    let long = format!("{envelope}A").parse::<Envelope>().unwrap_err();
    assert_eq!(
        long,
        OpenError::ValueTooLarge {
            size: MAX_ENVELOPE_CHARS + 1,
            limit: MAX_ENVELOPE_CHARS
        }
    );
}

#[test]
fn plaintext_in_the_place_of_an_envelope_is_never_repeated_in_the_error() {
    for pasted in [
        "hunter2",
        "sc1.hunter2.a.b.c",
        "schunter2.x",
        "sc1.x.hunter2.b.c",
        "sc1.x.0123456789abcdef.hunter2.c",
    ] {
        let err = pasted.parse::<Envelope>().unwrap_err();
        assert!(!format!("{err} {err:?}").contains("hunter2"), "{err}");
        assert_eq!(err.cause(), "MalformedEnvelope");
    }
}

#[test]
fn versions_and_suites_of_the_future_are_named() {
    let text = sealed(&ring(), &strict(), b"v").to_string();
    for (from, to, named) in [
        ("sc1.", "sc2.", "version sc2"),
        (".x.", ".q.", "suite q"),
        (".x.", ".z.", "suite z"),
    ] {
        let err = text.replacen(from, to, 1).parse::<Envelope>().unwrap_err();
        assert_eq!(err.cause(), "UnsupportedEnvelope");
        assert!(err.to_string().contains(named), "{err}");
    }
}

#[test]
fn a_failing_random_source_seals_nothing() {
    struct Broken(usize);
    impl Entropy for Broken {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), NoEntropy> {
            self.0 = self.0.checked_sub(1).ok_or(NoEntropy)?;
            out.fill(7);
            Ok(())
        }
    }
    let ring = ring();
    let to = ring.member(ring.primary()).unwrap().public();
    assert_eq!(
        seal(to, &strict(), &value(b"v"), &mut Broken(0)).unwrap_err(),
        Error::NoEntropy
    );
    assert_eq!(
        ring.seal_own(&strict(), &value(b"v"), &mut Broken(0))
            .unwrap_err(),
        Error::NoEntropy
    );
    for calls in 0..2 {
        assert!(Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut Broken(calls)).is_err());
    }
}

#[test]
fn nothing_is_sealed_to_a_key_of_low_order() {
    let weak = supercargo::seal::PublicKey::from_bytes([0; 32]);
    let err = seal(&weak, &strict(), &value(b"v"), &mut SystemEntropy).unwrap_err();
    assert_eq!(err, Error::WeakPublicKey { kid: weak.kid() });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..3000), key in "[-._a-zA-Z0-9]{1,40}") {
        let private = PrivateKey::generate(&mut SystemEntropy).unwrap();
        let context = Context::at(ScopeKind::Strict, "shop", "db", &key).unwrap();
        let envelope = seal(private.public(), &context, &value(&bytes), &mut SystemEntropy).unwrap();
        let read: Envelope = envelope.to_string().parse().unwrap();
        prop_assert_eq!(&read, &envelope);
        let opened = open(&private, &read, &context).unwrap();
        prop_assert_eq!(opened.expose(), &bytes[..]);
    }

    #[test]
    fn any_two_places_differ(a in "[a-z]{1,5}", b in "[a-z]{1,5}", c in "[a-z]{1,5}", d in "[a-z]{1,5}") {
        let (one, two) = (
            Context::at(ScopeKind::Strict, &a, &b, "k").unwrap(),
            Context::at(ScopeKind::Strict, &c, &d, "k").unwrap(),
        );
        prop_assert_eq!(one == two, one.tag() == two.tag());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_parser_is_total_and_accepts_only_its_own_spelling(text in "(sc1\\.|sc9\\.)?(x\\.|g\\.|q\\.)?([0-9a-f]{16}\\.)?([snc][0-9a-f]{16}\\.)?([A-Za-z0-9_-]{0,200}|\\PC*)") {
        if let Ok(envelope) = text.parse::<Envelope>() {
            prop_assert_eq!(envelope.to_string(), text);
        }
    }

    #[test]
    fn the_parser_of_rings_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Ring::from_text(&bytes).is_err());
    }
}
