//! The key ring's life: which transitions exist, what opens in which state, and that its text at rest is read back
//! exactly, while anything damaged is refused without being repeated.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

use jiff::Timestamp;
use supercargo::seal::{
    Context, Envelope, Error, KeyState, Kid, OpenError, Plaintext, Ring, ScopeKind, SystemEntropy, WrittenBy,
    seal,
};

fn at() -> Timestamp {
    "2026-11-22T00:00:00Z".parse().unwrap()
}

fn ring() -> Ring {
    Ring::generate(at(), &mut SystemEntropy).unwrap()
}

fn context() -> Context {
    Context::at(ScopeKind::Strict, "shop", "db", "password").unwrap()
}

fn sealed_to(ring: &Ring, kid: Kid) -> Envelope {
    let to = ring.member(kid).unwrap().public();
    seal(to, &context(), &Plaintext::new(b"v".to_vec()), &mut SystemEntropy).unwrap()
}

fn opens(ring: &Ring, envelope: &Envelope) -> Result<(), OpenError> {
    ring.open(envelope, &context(), WrittenBy::User).map(|_| ())
}

#[test]
fn the_first_key_is_primary_at_once() {
    let ring = ring();
    assert_eq!(ring.member(ring.primary()).unwrap().state(), KeyState::Primary);
    assert_eq!(ring.members().count(), 1);
}

#[test]
fn a_key_lives_from_pending_to_destroyed() {
    let mut ring = ring();
    let first = ring.primary();
    let old = sealed_to(&ring, first);
    let second = ring.renew(at(), &mut SystemEntropy).unwrap();
    assert_eq!(ring.primary(), first, "a pending key is not primary");
    assert_eq!(opens(&ring, &sealed_to(&ring, second)), Ok(()));

    ring.promote(second).unwrap();
    assert_eq!(ring.primary(), second);
    assert_eq!(ring.member(first).unwrap().state(), KeyState::DecryptOnly);
    assert_eq!(opens(&ring, &old), Ok(()), "old values still open");

    ring.revoke(first).unwrap();
    assert_eq!(
        opens(&ring, &old),
        Err(OpenError::KeyRevoked {
            kid: first,
            state: KeyState::Revoked
        })
    );
    ring.destroy(first).unwrap();
    assert_eq!(
        opens(&ring, &old),
        Err(OpenError::KeyRevoked {
            kid: first,
            state: KeyState::Destroyed
        })
    );
    assert_eq!(
        ring.public_keys().iter().map(|m| m.kid()).collect::<Vec<_>>(),
        [second]
    );
}

#[test]
fn every_other_transition_is_refused_and_changes_nothing() {
    let mut ring = ring();
    let first = ring.primary();
    let unknown: Kid = "0123456789abcdef".parse().unwrap();
    let before = ring.to_text();
    assert!(matches!(ring.promote(first), Err(Error::WrongState { .. })));
    assert!(matches!(
        ring.revoke(first),
        Err(Error::WrongState {
            state: KeyState::Primary,
            ..
        })
    ));
    assert!(matches!(ring.destroy(first), Err(Error::WrongState { .. })));
    for outcome in [ring.promote(unknown), ring.revoke(unknown), ring.destroy(unknown)] {
        assert_eq!(outcome, Err(Error::NoSuchKey { kid: unknown }));
    }
    assert_eq!(*ring.to_text(), *before);

    let second = ring.renew(at(), &mut SystemEntropy).unwrap();
    assert_eq!(
        ring.renew(at(), &mut SystemEntropy),
        Err(Error::AlreadyPending { kid: second })
    );
    ring.revoke(second).unwrap();
    assert!(matches!(ring.promote(second), Err(Error::WrongState { .. })));
    assert!(matches!(ring.revoke(second), Err(Error::WrongState { .. })));
    ring.destroy(second).unwrap();
    assert!(matches!(ring.destroy(second), Err(Error::WrongState { .. })));
}

#[test]
fn an_unknown_kid_names_itself_and_what_the_ring_holds() {
    let (ours, theirs) = (ring(), ring());
    let err = opens(&ours, &sealed_to(&theirs, theirs.primary())).unwrap_err();
    assert_eq!(err.cause(), "UnknownKeyId");
    let text = err.to_string();
    assert!(
        text.contains(&theirs.primary().to_string()) && text.contains(&ours.primary().to_string()),
        "{text}"
    );
}

#[test]
fn fingerprints_survive_renewal_and_differ_between_rings_and_namespaces() {
    let mut ring = ring();
    let value = Plaintext::new(b"hunter2".to_vec());
    let (before, id) = (ring.fingerprint("shop", &value), ring.fingerprint_root_id());
    let kid = ring.renew(at(), &mut SystemEntropy).unwrap();
    ring.promote(kid).unwrap();
    let read = Ring::from_text(&ring.to_text()).unwrap();
    assert_eq!(
        (read.fingerprint("shop", &value), read.fingerprint_root_id()),
        (before, id)
    );
    assert_ne!(ring.fingerprint("bank", &value), before);
    assert_ne!(
        Ring::generate(at(), &mut SystemEntropy)
            .unwrap()
            .fingerprint_root_id(),
        id
    );
}

/// A ring with a key in every state.
fn full() -> Ring {
    let mut ring = ring();
    for _ in 0..3 {
        let kid = ring.renew(at(), &mut SystemEntropy).unwrap();
        ring.promote(kid).unwrap();
    }
    let old: Vec<_> = ring
        .members()
        .filter(|m| m.state() == KeyState::DecryptOnly)
        .map(|m| m.kid())
        .collect();
    ring.revoke(old[0]).unwrap();
    ring.revoke(old[1]).unwrap();
    ring.destroy(old[1]).unwrap();
    ring.renew(at(), &mut SystemEntropy).unwrap();
    ring.set_cluster_scope(true);
    ring
}

#[test]
fn a_ring_with_every_state_reads_back_exactly() {
    let ring = full();
    let text = ring.to_text();
    let read = Ring::from_text(&text).unwrap();
    assert_eq!(read, ring);
    assert_eq!(*read.to_text(), *text);
    let states: std::collections::BTreeSet<_> = read.members().map(|m| m.state()).collect();
    assert_eq!(states.len(), 5);
}

#[test]
fn a_cut_ring_is_never_a_smaller_ring() {
    let text = full().to_text();
    for at in 0..text.len() {
        assert!(Ring::from_text(&text[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn no_changed_byte_gives_another_ring_with_the_same_facts() {
    let ring = full();
    let text = ring.to_text();
    for at in 0..text.len() {
        let mut bad = text.to_vec();
        bad[at] ^= 1;
        // A date may become another date; nothing else may change without being noticed.
        if let Ok(read) = Ring::from_text(&bad) {
            let facts = |r: &Ring| r.members().map(|m| (m.kid(), m.state())).collect::<Vec<_>>();
            assert_eq!(facts(&read), facts(&ring), "byte {at}");
            assert_eq!(read.fingerprint_root_id(), ring.fingerprint_root_id());
        }
    }
}

#[test]
fn bad_rings_are_named_by_line_and_never_repeated() {
    let text = String::from_utf8(ring().to_text().to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let seed = lines[3].rsplit('.').next().unwrap();
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "line 1: it is empty"),
        (
            "apiVersion: v1\nkind: Secret\n".into(),
            "line 1: it does not begin",
        ),
        (text.replace("keyring 1", "keyring 3"), "line 1: a later version"),
        (
            text.replace("refused", "perhaps"),
            "line 2: cluster-scope is neither",
        ),
        (
            text.replace("fingerprint-root", "fingerprints"),
            "line 3: fingerprint-root is missing",
        ),
        (text.replace("primary", "first"), "line 4: the key's state"),
        (
            text.replace("primary", "decrypt-only"),
            "line 5: no key is primary",
        ),
        (text.replace("2026-11", "2026-13"), "line 4: the key's date"),
        (text.replace("scsec1", "scpub1"), "line 4: a key is scsec1"),
        (
            text.replace("primary", "destroyed"),
            "line 4: a destroyed key is its public key",
        ),
        (text.replace(seed, &seed[1..]), "line 4: the seed"),
        (
            text.replace(seed, &format!("B{}", &seed[1..])),
            "line 4: the key id",
        ),
        (
            text.replace("end", &format!("{}\nend", lines[3])),
            "line 5: a second primary",
        ),
        (
            text.replace("end", &format!("{}\nend", lines[3].replace("primary", "revoked"))),
            "line 5: a key that stands",
        ),
        (format!("{text}more"), "line 6: something follows"),
        (text.trim_end().to_owned(), "line 5: the text ends before"),
    ];
    for (bad, expected) in cases {
        if bad == text {
            continue;
        }
        let err = Ring::from_text(bad.as_bytes()).unwrap_err().to_string();
        assert!(err.contains(expected), "{expected}: {err}");
        assert!(!err.contains(&seed[2..]), "the seed is in the error");
    }
}
