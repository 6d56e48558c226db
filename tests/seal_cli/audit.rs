//! `audit verify` as people run it: on a file that the operator's writer has made, and on what somebody made of it.

use jiff::Timestamp;
use serde_json::Value;
use supercargo::{
    audit::record::{Delivery, Record},
    controllers::audit_file::AuditFile,
};

use super::*;

/// A place with an audit file of so many deliveries, ended in order.
fn with_file(deliveries: u32) -> Place {
    let place = Place::new();
    let ring = keyring_file::read(&place.path().join("ring")).unwrap();
    let key = (ring.chain_key(), ring.fingerprint_root_id().to_string());
    let path = place.path().join("audit");
    let at = |n: u32| Timestamp::from_second(1_790_000_000 + i64::from(n)).unwrap();
    let (mut file, why) = AuditFile::open(&path, key, None, at(0)).unwrap();
    assert_eq!(why, None);
    for n in 1..=deliveries {
        let delivery = Delivery {
            secret: format!("db-{n}"),
            ..Delivery::default()
        };
        file.append(&[(at(n), Record::Delivery(delivery))]).unwrap();
    }
    file.write_head(&path, at(deliveries), true).unwrap();
    place
}

fn verify(place: &Place, more: &[&str]) -> Ran {
    let args = [&["audit", "verify", "--keyring", "ring"], more].concat();
    place.run(&args, b"")
}

#[test]
fn a_whole_audit_file_is_verified_with_its_count_and_times() {
    let place = with_file(3);
    let ran = verify(&place, &["audit"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in [
        "4 records, 3 of them deliveries",
        "from 2026-09-21T14:13:20Z to 2026-09-21T14:13:23Z",
        "begins in audit, line 1",
        "ok:",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[test]
fn each_harm_to_an_audit_file_is_named_by_its_line() {
    type Harm = fn(&mut Vec<String>);
    let cases: [(Harm, &str); 5] = [
        (
            |l| l[2] = l[2].replace("db-2", "db-9"),
            "BAD audit, line 3: edited",
        ),
        (
            |l| drop(l.remove(2)),
            "BAD audit, line 3: records are missing (3 to 3)",
        ),
        (|l| l.swap(2, 3), "out of order"),
        (
            |l| l.truncate(3),
            "BAD audit: the tail is cut (the head says 4, the file has 3)",
        ),
        (|l| l.push("{\"seq\"".to_owned()), "BAD audit, line 5: edited"),
    ];
    for (harm, words) in cases {
        let place = with_file(3);
        let mut lines: Vec<String> = place.read("audit").lines().map(str::to_owned).collect();
        harm(&mut lines);
        place.write("audit", lines.join("\n") + "\n");
        let ran = verify(&place, &["audit"]);
        assert_eq!(ran.code, 1);
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let place = with_file(3);
    place.write("audit", place.read("audit") + "{\"seq\"");
    let ran = verify(&place, &["audit"]);
    assert!(
        ran.code == 1 && ran.out.contains("BAD audit, line 5: torn"),
        "{}",
        ran.out
    );
}

#[test]
fn without_its_head_an_audit_file_is_verified_only_when_asked_to() {
    let place = with_file(1);
    std::fs::remove_file(place.path().join("audit.head")).unwrap();
    let ran = verify(&place, &["audit"]);
    assert!(ran.code == 1 && ran.out.contains("no head"), "{}", ran.out);
    assert_eq!(verify(&place, &["audit", "--no-head"]).code, 0);
}

#[test]
fn the_ring_of_another_time_says_so() {
    let place = with_file(1);
    place.ok(&["keys", "init", "--keyring", "other"], b"");
    let ran = place.run(&["audit", "verify", "--keyring", "other", "audit"], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("another root"), "{}", ran.out);
}

#[test]
fn programs_get_the_findings_as_json() {
    let place = with_file(2);
    let ran = verify(&place, &["audit", "-o", "json"]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&found["ok"], &found["deliveries"]), (&true.into(), &2.into()));
    place.write("audit", place.read("audit").replace("db-1", "db-7"));
    let ran = verify(&place, &["audit", "-o", "json"]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 1);
    assert_eq!(
        (&found["findings"][0]["line"], &found["findings"][0]["wrong"]),
        (&2.into(), &"edited".into())
    );
}

#[test]
fn a_file_that_is_not_there_and_wrong_usage_have_their_own_exit_codes() {
    let place = with_file(1);
    let ran = verify(&place, &["nothing"]);
    assert!(
        ran.code == 1 && ran.err.contains("nothing does not exist"),
        "{}",
        ran.err
    );
    assert_eq!(verify(&place, &[]).code, 2);
    assert_eq!(verify(&place, &["audit", "-o", "name"]).code, 2);
}
