//! The life of a ring in its Secret: changed by its resource version, used values named by the API server, restored.

use serde_json::{Value, json};
use supercargo::seal::Ring;
use supercargo::secrets::keyring_file;

use super::{Cluster, SECRET, publish};

/// A cluster with a ring in its Secret, whose public keys are published, and a recovery ring's public key.
fn with_ring() -> (Cluster, Ring, String) {
    let cluster = Cluster::start("keys");
    let path = cluster.dir.path().join("first");
    cluster.ok(&["keys", "init", "--keyring", path.to_str().unwrap()], b"");
    let ring = keyring_file::read(&path).unwrap();
    publish(&cluster, &ring);
    let recovery = cluster.ok(&["keys", "init", "--keyring", "recovery"], b"");
    (cluster, ring, recovery.trim().to_owned())
}

fn kid(cluster: &Cluster, state: &str) -> String {
    let rows: Value = serde_json::from_str(&cluster.ok(&["keys", "list", "-o", "json"], b"")).unwrap();
    let found = rows.as_array().unwrap().iter().find(|row| row["state"] == state);
    found.unwrap_or_else(|| panic!("no {state}: {rows}"))["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn refused(cluster: &Cluster, args: &[&str], words: &[&str]) {
    let before = ring_secret(cluster);
    let (ok, _, err) = cluster.supercargo(args, b"");
    assert!(!ok, "{args:?}");
    for word in words {
        assert!(err.contains(word), "{args:?}: {word}: {err}");
    }
    assert_eq!(ring_secret(cluster), before, "{args:?} wrote");
}

fn ring_secret(cluster: &Cluster) -> Value {
    let found = cluster.kubectl(
        &[
            "-n",
            &cluster.namespace,
            "get",
            "secret",
            "supercargo-keyring",
            "-o",
            "json",
        ],
        "",
    );
    serde_json::from_str(&found).unwrap()
}

#[test]
fn a_key_in_the_cluster_lives_until_no_value_names_it() {
    let (cluster, ring, recovery) = with_ring();
    let first = ring.primary().to_string();
    let mut labelled = ring_secret(&cluster);
    labelled["metadata"]["labels"] = json!({ "team": "ours" });
    cluster.kubectl(&["replace", "-f", "-"], &labelled.to_string());
    cluster.ok(
        &["secret", "create", "db", "--key", "password"],
        SECRET.as_bytes(),
    );

    cluster.ok(&["keys", "renew"], b"");
    refused(&cluster, &["keys", "promote"], &["in no backup yet"]);
    cluster.ok(&["keys", "backup", "--to", &recovery, "--file", "backup"], b"");
    cluster.ok(&["keys", "promote"], b"");
    assert_eq!(kid(&cluster, "decrypt-only"), first);
    assert_eq!(
        ring_secret(&cluster)["metadata"]["labels"]["team"],
        "ours",
        "only the ring changes"
    );

    let value = format!("{}/db key \"password\"", cluster.namespace);
    refused(&cluster, &["keys", "revoke", &first], &[&value, "add --yes"]);
    let (ok, _, err) = cluster.supercargo(&["keys", "revoke", &first, "--yes"], b"");
    assert!(ok && err.contains(&value), "{err}");
    for args in [
        &["keys", "destroy", &first][..],
        &["keys", "destroy", &first, "--unused"],
    ] {
        refused(&cluster, args, &[&value, "new contents"]);
    }
    cluster.ok(&["secret", "delete", "db"], b"");
    cluster.ok(&["keys", "destroy", &first], b"");
    assert_eq!(kid(&cluster, "destroyed"), first);
}

#[test]
fn of_changes_at_once_none_is_lost() {
    let (cluster, _, recovery) = with_ring();
    let outcomes: Vec<(bool, String, String)> = std::thread::scope(|scope| {
        let renewals: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| cluster.supercargo(&["keys", "renew"], b"")))
            .collect();
        renewals.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|(ok, ..)| *ok).count(), 1);
    for (ok, _, err) in &outcomes {
        assert!(*ok || err.contains("already pending"), "{err}");
    }
    std::thread::scope(|scope| {
        for file in ["a", "b", "c"] {
            let (cluster, recovery) = (&cluster, &recovery);
            scope.spawn(move || cluster.ok(&["keys", "backup", "--to", recovery, "--file", file], b""));
        }
    });
    cluster.ok(&["keys", "promote"], b"");
}

#[test]
fn a_ring_in_a_file_does_not_ask_somebody_elses_api_server() {
    let (cluster, ..) = with_ring();
    cluster.ok(&["keys", "init", "--keyring", "stranger"], b"");
    let on = |verb: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        ["keys", verb, "--keyring", "stranger"]
            .iter()
            .chain(more)
            .copied()
            .collect()
    };
    let first = keyring_file::read(&cluster.dir.path().join("stranger"))
        .unwrap()
        .primary()
        .to_string();
    cluster.ok(&on("renew", &[]), b"");
    cluster.ok(&on("promote", &["--without-backup"]), b"");
    let revoke = ["keys", "revoke", "--keyring", "stranger", &first, "--yes"];
    let (ok, _, err) = cluster.supercargo(&revoke, b"");
    assert!(ok && err.contains("publishes other keys"), "{err}");
    refused(
        &cluster,
        &["keys", "destroy", "--keyring", "stranger", &first],
        &["is not known", "publishes other keys"],
    );
}

#[test]
fn a_lost_secret_is_restored_whole() {
    let (cluster, ring, recovery) = with_ring();
    cluster.ok(&["keys", "backup", "--to", &recovery, "--file", "backup"], b"");
    let before = ring_secret(&cluster)["data"].clone();
    cluster.kubectl(
        &["-n", &cluster.namespace, "delete", "secret", "supercargo-keyring"],
        "",
    );
    let (ok, _, err) = cluster.supercargo(&["keys", "renew"], b"");
    assert!(!ok && err.contains("does not exist"), "{err}");
    cluster.ok(
        &["keys", "restore", "--from", "backup", "--with", "recovery"],
        b"",
    );
    assert_eq!(ring_secret(&cluster)["data"], before);
    assert_eq!(kid(&cluster, "primary"), ring.primary().to_string());
    let (_, _, err) = cluster.supercargo(
        &["keys", "restore", "--from", "backup", "--with", "recovery"],
        b"",
    );
    assert!(err.contains("nothing was changed"), "{err}");
}
