//! The life of a ring in a file, as people lead it: renewed, backed up, promoted, revoked, destroyed, lost and restored.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{DB, Place, SECRET};

const RING: [&str; 2] = ["--keyring", "ring"];

fn on<'a>(verb: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    ["keys", verb].iter().chain(&RING).chain(args).copied().collect()
}

impl Place {
    fn rows(&self) -> Vec<(String, String, bool)> {
        let rows: Value = serde_json::from_str(&self.ok(&on("list", &["-o", "json"]), b"")).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let row = |v: &Value| (text(&v["kid"]), text(&v["state"]), !v["backedUp"].is_null());
        rows.as_array().unwrap().iter().map(row).collect()
    }

    fn kid(&self, state: &str) -> String {
        let rows = self.rows();
        let mut found = rows.iter().filter(|(_, s, _)| s == state);
        let kid = found
            .next()
            .unwrap_or_else(|| panic!("no {state}: {rows:?}"))
            .0
            .clone();
        assert!(found.next().is_none(), "{rows:?}");
        kid
    }

    fn refused(&self, args: &[&str], words: &[&str]) {
        let before = std::fs::read(self.path().join("ring")).ok();
        let ran = self.run(args, b"");
        assert_ne!(ran.code, 0, "{args:?}: {}", ran.out);
        for word in words {
            assert!(ran.err.contains(word), "{args:?}: {word}: {}", ran.err);
        }
        assert_eq!(
            std::fs::read(self.path().join("ring")).ok(),
            before,
            "{args:?} wrote"
        );
    }

    /// A recovery ring in `recovery`, and its public key.
    fn recovery(&self) -> String {
        let made = self.ok(&["keys", "init", "--keyring", "recovery"], b"");
        made.trim().to_owned()
    }

    fn sealed(&self) -> String {
        let args: Vec<&str> = ["seal", "--raw", "--key", "password"]
            .iter()
            .chain(&DB)
            .copied()
            .collect();
        self.ok(&args, SECRET.as_bytes()).trim().to_owned()
    }

    fn opens(&self, envelope: &str) -> bool {
        self.open(envelope, "shop", "db", "password") == SECRET.as_bytes()
    }
}

#[test]
fn a_renewed_key_is_promoted_after_its_backup_and_the_old_one_goes_step_by_step() {
    let place = Place::new();
    let (old, first) = (place.sealed(), place.kid("primary"));
    let second = place.ok(&on("renew", &["-o", "name"]), b"").trim().to_owned();
    assert_eq!(
        (place.kid("primary"), place.kid("pending")),
        (first.clone(), second.clone())
    );
    place.refused(&on("renew", &[]), &[&second, "already pending"]);
    place.refused(&on("promote", &[]), &[&second, "keys backup", "--without-backup"]);
    place.refused(
        &on("promote", &[&first]),
        &[&first, "primary", "only a pending key"],
    );

    let to = place.recovery();
    place.ok(&on("backup", &["--to", &to, "--file", "backup"]), b"");
    assert!(place.rows().iter().all(|(_, _, backed_up)| *backed_up));
    let table = place.ok(&on("promote", &[&second[..6]]), b"");
    assert!(
        table.contains(&second) && table.contains("primary") && !table.contains(&first),
        "{table}"
    );
    assert_eq!(place.kid("decrypt-only"), first);
    assert!(place.opens(&old));
    let pinned = place.ok(&["keys", "public", "--keyring", "ring"], b"");
    assert!(pinned.starts_with(&format!("scpub1.{second}")), "{pinned}");

    place.refused(
        &on("revoke", &[&second, "--yes"]),
        &["renew and promote another key"],
    );
    place.refused(
        &on("destroy", &[&first, "--unused"]),
        &["only a revoked key is destroyed"],
    );
    place.refused(&on("revoke", &[&first]), &["is not known", "add --yes"]);
    place.ok(&on("revoke", &[&first, "--yes"]), b"");
    assert_eq!(place.kid("revoked"), first);
    place.refused(
        &on("destroy", &[&first]),
        &["not known", "--unused", "no API server"],
    );
    place.ok(&on("destroy", &[&first, "--unused"]), b"");
    assert_eq!(place.kid("destroyed"), first);
    let ring = place.read("ring");
    assert_eq!(ring.matches("scsec1").count(), 1);
    let mode = std::fs::metadata(place.path().join("ring"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_key_may_be_promoted_without_a_backup_by_whoever_says_so() {
    let place = Place::new();
    place.ok(&on("renew", &[]), b"");
    let pending = place.kid("pending");
    place.ok(&on("promote", &["--without-backup"]), b"");
    assert_eq!(place.kid("primary"), pending);
    place.refused(
        &on("promote", &["--without-backup"]),
        &["no key is pending", "keys renew"],
    );
}

#[test]
fn a_backup_of_before_the_renewal_does_not_count_for_the_new_key() {
    let place = Place::new();
    let to = place.recovery();
    place.ok(&on("backup", &["--to", &to, "--file", "backup"]), b"");
    place.ok(&on("renew", &[]), b"");
    place.refused(&on("promote", &[]), &["in no backup yet"]);
    place.refused(
        &on("backup", &["--to", &to, "--file", "backup"]),
        &["already a file"],
    );
    place.refused(&on("promote", &[]), &["in no backup yet"]);
    place.ok(&on("backup", &["--to", &to, "--file", "second"]), b"");
    place.ok(&on("promote", &[]), b"");
}

#[test]
fn a_key_that_is_unknown_ambiguous_or_no_key_id_is_named() {
    let place = Place::new();
    place.refused(&on("revoke", &["xyz!"]), &["is not a key id", "first 4"]);
    place.refused(&on("revoke", &["abc"]), &["first 4"]);
    let kid = place.kid("primary");
    let other = if kid.starts_with("0000") { "ffff" } else { "0000" };
    place.refused(
        &on("revoke", &[other]),
        &["no key of this ring begins with", &kid],
    );
    place.refused(
        &["keys", "renew", "--keyring", "absent"],
        &["no key ring at absent"],
    );
}

#[test]
fn what_a_standalone_keeps_at_rest_holds_a_key_that_would_be_destroyed() {
    let place = Place::new();
    let first = place.kid("primary");
    place.ok(&on("renew", &[]), b"");
    place.ok(&on("promote", &["--without-backup"]), b"");
    place.ok(&on("revoke", &[&first, "--yes"]), b"");
    place.write("store.redb", format!("..sc1.g.{first}.s0123456789abcdef.AAAA.."));
    place.refused(
        &on("destroy", &[&first]),
        &["store.redb has core Secrets", "kubectl annotate", "--unused"],
    );
    place.write("store.redb", "..sc1.g.0123456789abcdef.s0123456789abcdef.AAAA..");
    place.refused(&on("destroy", &[&first]), &["is not known"]);
}

#[test]
fn a_lost_ring_comes_back_whole_and_opens_everything() {
    let place = Place::new();
    let old = place.sealed();
    place.ok(&on("renew", &[]), b"");
    let to = place.recovery();
    place.ok(&on("backup", &["--to", &to, "--file", "backup"]), b"");
    let (before, rows) = (place.read("ring"), place.rows());
    let text = place.read("backup");
    assert!(!text.contains("scsec1") && !text.contains("scroot1"), "{text}");
    for (kid, state, _) in &rows {
        assert!(text.contains(kid) && text.contains(state), "{text}");
    }
    let mode = std::fs::metadata(place.path().join("backup"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);

    std::fs::remove_file(place.path().join("ring")).unwrap();
    let ran = place.run(&on("restore", &["--from", "backup", "--with", "recovery"]), b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("pinned in git"), "{}", ran.err);
    // Every byte: keys, states, dates, fingerprint root, policy.
    assert_eq!(place.read("ring"), before);
    assert!(place.opens(&old));
    // A second time there is nothing to do.
    let again = place.run(&on("restore", &["--from", "backup", "--with", "recovery"]), b"");
    assert!(
        again.code == 0 && again.err.contains("nothing was changed"),
        "{}",
        again.err
    );
    assert_eq!(place.read("ring"), before);
}

#[test]
fn a_restore_adds_what_a_ring_lacks_and_refuses_what_is_not_its_own() {
    let place = Place::new();
    let (old, lost) = (place.sealed(), place.kid("primary"));
    let to = place.recovery();
    place.ok(&on("backup", &["--to", &to, "--file", "backup"]), b"");
    std::fs::remove_file(place.path().join("ring")).unwrap();
    place.ok(&["keys", "init", "--keyring", "ring"], b"");
    let now = place.kid("primary");
    let restore = |more: &[&'static str]| {
        let mut args = on("restore", &["--from", "backup", "--with", "recovery"]);
        args.extend(more);
        args
    };
    place.refused(&restore(&[]), &["of another ring", "--of-another-ring"]);
    place.ok(&restore(&["--of-another-ring"]), b"");
    assert_eq!((place.kid("primary"), place.kid("decrypt-only")), (now, lost));
    assert!(place.opens(&old));

    place.ok(&["keys", "init", "--keyring", "stranger"], b"");
    place.refused(
        &on("restore", &["--from", "backup", "--with", "stranger"]),
        &["was made for key"],
    );
    place.write("cut", &place.read("backup").as_bytes()[..200]);
    place.refused(
        &on("restore", &["--from", "cut", "--with", "recovery"]),
        &["cannot be restored from", "line"],
    );
}

#[test]
fn a_ring_is_not_backed_up_to_its_own_key_nor_to_no_key() {
    let place = Place::new();
    let own = place.read(".supercargo-keys");
    let own = own.trim();
    place.refused(
        &on("backup", &["--to", own, "--file", "backup"]),
        &["recovery.ring", "together with it"],
    );
    place.refused(
        &on("backup", &["--to", "scpub1.x", "--file", "backup"]),
        &["--to", "not a public key"],
    );
    assert!(!place.path().join("backup").exists());
    assert!(place.rows().iter().all(|(_, _, backed_up)| !backed_up));
}
