//! `reseal` on files: in place and whole, `--check` for CI, nothing of a file with a value that does not open.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{Place, SECRET, with};

/// A place with `manifests/db.yaml`, sealed to a key that is not primary any more.
fn renewed() -> Place {
    let place = Place::new();
    let manifest = place.ok(&with(&["--key", "password"]), SECRET.as_bytes());
    std::fs::create_dir(place.path().join("manifests")).unwrap();
    place.write("manifests/db.yaml", format!("# ours\n{manifest}"));
    place.ok(&["keys", "renew", "--keyring", "ring"], b"");
    place.ok(&["keys", "promote", "--without-backup", "--keyring", "ring"], b"");
    place
}

const RESEAL: [&str; 5] = ["reseal", "-f", "manifests", "--keyring", "ring"];

fn check() -> Vec<&'static str> {
    RESEAL.iter().chain(&["--check"]).copied().collect()
}

#[test]
fn manifests_are_resealed_in_place_once() {
    let place = renewed();
    let file = place.path().join("manifests/db.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let old = place.read("manifests/db.yaml");
    let found = place.run(&check(), b"");
    assert_eq!(found.code, 1, "{}", found.err);
    assert!(
        found
            .out
            .contains("db.yaml:1 DockerSecret shop/db key \"password\": from key"),
        "{}",
        found.out
    );
    assert_eq!(place.read("manifests/db.yaml"), old, "--check writes nothing");

    place.ok(&RESEAL, b"");
    let new = place.read("manifests/db.yaml");
    let changed = |(a, b): &(&str, &str)| a != b;
    assert_eq!(old.lines().count(), new.lines().count());
    assert_eq!(old.lines().zip(new.lines()).filter(changed).count(), 1);
    let secret = place.secret(&new);
    let envelope = &secret.spec.encrypted_data["password"];
    assert_eq!(place.open(envelope, "shop", "db", "password"), SECRET.as_bytes());
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o640
    );

    let inode = std::fs::metadata(&file).unwrap().ino();
    assert_eq!(place.ok(&RESEAL, b""), "");
    assert_eq!(place.ok(&check(), b""), "");
    assert_eq!(
        (
            place.read("manifests/db.yaml"),
            std::fs::metadata(&file).unwrap().ino()
        ),
        (new, inode)
    );
    assert_eq!(
        std::fs::read_dir(place.path().join("manifests")).unwrap().count(),
        1
    );
}

#[test]
fn of_a_file_with_a_value_that_does_not_open_nothing_changes_and_the_others_go_on() {
    let place = renewed();
    let good = place.read("manifests/db.yaml");
    // Copied to another name, where it does not open.
    let bad = format!("{good}---\n{}", good.replace("name: db", "name: copy"));
    place.write("manifests/bad.yaml", &bad);
    let ran = place.run(&RESEAL, b"");
    assert_eq!(ran.code, 1);
    assert!(
        ran.out
            .contains("bad.yaml:2 DockerSecret shop/copy key \"password\": ScopeMismatch"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("left as it is"), "{}", ran.err);
    assert_eq!(place.read("manifests/bad.yaml"), bad);
    assert_ne!(place.read("manifests/db.yaml"), good);
}

#[test]
fn what_cannot_be_changed_in_place_is_refused() {
    let place = renewed();
    let ran = place.run(&["reseal", "-f", "-", "--keyring", "ring"], b"");
    assert!(ran.code == 2 && ran.err.contains("in place"), "{}", ran.err);
    let ran = place.run(&["reseal", "-f", "absent", "--keyring", "ring"], b"");
    assert!(
        ran.code == 1 && ran.err.contains("absent cannot be read"),
        "{}",
        ran.err
    );
    let ran = place.run(&["reseal", "-f", "manifests"], b"");
    assert!(ran.code == 1 && ran.err.contains("--keyring FILE"), "{}", ran.err);
}
