//! Tests of [`super`]: what absent fields mean, where volumes stand, and which paths cannot be beside each other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn pod(volumes: Value, mounts: Value) -> PodSpec {
    serde_json::from_value(json!({
        "containers": [{ "name": "web", "image": "nginx", "volumeMounts": mounts }],
        "volumes": volumes,
    }))
    .expect("a pod")
}

#[test]
fn a_secret_without_a_mount_stands_in_run_secrets_and_other_kinds_nowhere() {
    let volumes = json!([
        { "name": "db", "secret": { "secretName": "db-login" } },
        { "name": "app", "configMap": { "name": "app" } },
        { "name": "all", "projected": { "sources": [] } },
        { "name": "tmp", "emptyDir": {} },
    ]);
    let pod = pod(volumes, json!([{ "name": "tmp", "mountPath": "/tmp" }]));
    let mounts = file_mounts(&pod);
    let seen: Vec<_> = mounts
        .iter()
        .map(|m| (m.volume.name.as_str(), m.path.as_str(), m.written))
        .collect();
    assert_eq!(seen, [("db", "/run/secrets/db-login", None)]);
}

#[test]
fn every_mount_of_a_volume_counts_in_its_order() {
    let volumes = json!([{ "name": "db", "secret": { "secretName": "db" } }]);
    let mounts = json!([
        { "name": "db", "mountPath": "/b/" },
        { "name": "db", "mountPath": "/a" },
    ]);
    let pod = pod(volumes, mounts);
    let mounts = file_mounts(&pod);
    let seen: Vec<_> = mounts.iter().map(|m| (m.path.as_str(), m.written)).collect();
    assert_eq!(seen, [("/b", Some(0)), ("/a", Some(1))]);
}

#[test]
fn absent_fields_are_the_strictest_mode_an_update_and_sighup() {
    let of = |volume: Value| -> (u32, OnChange, Option<Signal>) {
        let volume: Volume = serde_json::from_value(volume).expect("a volume");
        let files = volume.files().expect("files");
        (files.mode(None), files.on_change, files.signal())
    };
    assert_eq!(
        of(json!({ "name": "a", "secret": { "secretName": "a" } })),
        (0o400, OnChange::Update, None)
    );
    assert_eq!(
        of(json!({ "name": "a", "configMap": { "name": "a", "onChange": "Signal" } })),
        (0o444, OnChange::Signal, Some(Signal::SigHup))
    );
    assert_eq!(
        of(json!({ "name": "a", "projected": { "onChange": "Signal", "signal": "SIGUSR1" } })),
        (0o400, OnChange::Signal, Some(Signal::SigUsr1))
    );
    assert_eq!(
        of(json!({ "name": "a", "projected": { "defaultMode": 416, "onChange": "Restart" } })),
        (0o640, OnChange::Restart, None)
    );
}

#[test]
fn the_mode_of_an_item_wins() {
    let volume = json!({ "name": "a", "secret": { "secretName": "a", "defaultMode": 288,
        "items": [{ "key": "k", "path": "k", "mode": 0 }, { "key": "l", "path": "l" }] } });
    let volume: Volume = serde_json::from_value(volume).expect("a volume");
    let files = volume.files().expect("files");
    let modes: Vec<u32> = files.sources[0]
        .items
        .iter()
        .map(|i| files.mode(Some(i)))
        .collect();
    assert_eq!(modes, [0, 0o440]);
}

#[test]
fn only_names_of_usual_signals_are_read_and_each_is_written_as_it_was() {
    for refused in [
        json!("HUP"),
        json!(1),
        json!("SIGKILL"),
        json!("SIGSTOP"),
        json!("sighup"),
    ] {
        assert!(
            serde_json::from_value::<Signal>(refused.clone()).is_err(),
            "{refused}"
        );
    }
    for name in [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT", "SIGWINCH",
    ] {
        let signal: Signal = serde_json::from_value(json!(name)).expect(name);
        assert_eq!(signal.as_str(), name);
        assert_eq!(serde_json::to_value(signal).expect("json"), name);
    }
}

#[test]
fn a_path_stays_below_its_volume_and_beside_the_generations() {
    for right in ["a", "a/b.c", ".hidden", "a/.b", "a..b", "tls.crt", "Ä b"] {
        assert_eq!(path_problem(right), None, "{right}");
    }
    let long = "x".repeat(256);
    for wrong in [
        "", "/a", "a/", "a//b", ".", "./a", "a/./b", "..", "../a", "a/..", "..data", "a/..b", "a\0", &long,
    ] {
        assert!(path_problem(wrong).is_some(), "{wrong:?}");
    }
    assert_eq!(path_problem(&"x".repeat(255)), None);
    assert_eq!(path_problem(&["x"; 32].join("/")), None);
    assert!(path_problem(&["x"; 33].join("/")).is_some());
}

#[test]
fn files_above_below_and_of_the_same_path_stand_in_the_way_and_neighbours_do_not() {
    let taken: BTreeMap<String, u8> = [("a/b", 1), ("a-b", 2), ("a.b", 3), ("c", 4)]
        .into_iter()
        .map(|(path, n)| (path.to_owned(), n))
        .collect();
    let found = |path: &str| in_the_way(&taken, path).map(|(path, n)| (path.to_owned(), *n));
    assert_eq!(found("a/b"), Some(("a/b".into(), 1)));
    assert_eq!(found("a"), Some(("a/b".into(), 1)));
    assert_eq!(found("a/b/c/d"), Some(("a/b".into(), 1)));
    assert_eq!(found("c/x"), Some(("c".into(), 4)));
    for free in ["a/c", "a/b.c", "b", "a-b.c", "cc"] {
        assert_eq!(found(free), None, "{free}");
    }
}
