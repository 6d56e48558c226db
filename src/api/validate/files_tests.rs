//! Tests of [`super`]: pods with volumes of files, and the violations that each must give, by path.
//! Manifests are data here: nothing is looked up and no API server is asked.

use serde_json::{Value, json};

use crate::api::{Policy, validate};

const VOLUMES: &str = "spec.template.spec.volumes";
const C: &str = "spec.template.spec.containers[0]";

fn violations(volumes: &Value, container: &Value) -> Vec<String> {
    let mut web = json!({ "name": "web", "image": "nginx:1.29" });
    for (key, value) in container.as_object().expect("an object") {
        web[key] = value.clone();
    }
    let object = json!({
        "apiVersion": "supercargo.dev/v1alpha1",
        "kind": "DockerDeployment",
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "template": { "spec": { "containers": [web], "volumes": volumes } } },
    });
    match validate(&object, &Policy::default()) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

/// Each of `expected` is a path and words of the message; there is nothing else.
#[track_caller]
fn refused(volumes: &Value, container: &Value, expected: &[(&str, &str)]) {
    let found = violations(volumes, container);
    for (path, words) in expected {
        assert!(
            found
                .iter()
                .any(|text| text.starts_with(&format!("{path}: ")) && text.contains(words)),
            "{path} {words}: {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[track_caller]
fn accepted(volumes: &Value, container: &Value) {
    assert_eq!(violations(volumes, container), [""; 0]);
}

fn secret(items: Value) -> Value {
    json!([{ "name": "db", "secret": { "secretName": "db", "items": items } }])
}

#[test]
fn volumes_of_files_are_accepted_mounted_or_not() {
    let volumes = json!([
        { "name": "db", "secret": { "secretName": "db", "kind": "Secret", "namespace": "shop", "optional": true,
            "defaultMode": 256, "onChange": "Signal", "signal": "SIGUSR1", "items": [{ "key": "a", "path": "x/a", "mode": 511 }] } },
        { "name": "app", "configMap": { "name": "app", "onChange": "Restart" } },
        { "name": "all", "projected": { "onChange": "Update", "sources": [
            { "secret": { "name": "db", "items": [{ "key": "a", "path": "a" }] } },
            { "configMap": { "name": "app", "optional": true } } ] } },
        { "name": "idle", "configMap": { "name": "app" } },
    ]);
    let mounts = json!([
        { "name": "app", "mountPath": "/etc/app", "readOnly": false },
        { "name": "all", "mountPath": "/etc/all" },
    ]);
    accepted(&volumes, &json!({ "volumeMounts": mounts }));
}

#[test]
fn paths_stay_below_the_volume() {
    let item = |path: &str| json!({ "key": "k", "path": path });
    let paths = ["/etc/passwd", "../x", "a//b", "a/./b", "..data", "a/", "x\u{0}"];
    for path in paths {
        refused(
            &secret(json!([item(path)])),
            &json!({}),
            &[(&format!("{VOLUMES}[0].secret.items[0].path"), ":")],
        );
    }
    let long = format!("a/{}", "x".repeat(256));
    refused(
        &secret(json!([item(&long)])),
        &json!({}),
        &[(&format!("{VOLUMES}[0].secret.items[0].path"), "255 bytes")],
    );
    accepted(&secret(json!([item("a/.b/c..d")])), &json!({}));
}

#[test]
fn two_files_do_not_have_one_path_nor_stand_below_each_other() {
    let items = json!([
        { "key": "a", "path": "a" },
        { "key": "b", "path": "a" },
        { "key": "c", "path": "a/c" },
        { "key": "d", "path": "x/y/z" },
        { "key": "e", "path": "x/y" },
        { "key": "f", "path": "x-y" },
    ]);
    let at = |n: usize| format!("{VOLUMES}[0].secret.items[{n}].path");
    refused(
        &secret(items),
        &json!({}),
        &[(&at(1), "items[0]"), (&at(2), "\"a\""), (&at(4), "\"x/y/z\"")],
    );
    let volumes = json!([{ "name": "all", "projected": { "sources": [
        { "secret": { "name": "db", "items": [{ "key": "k", "path": "tls" }] } },
        { "configMap": { "name": "app", "items": [{ "key": "k", "path": "tls/crt" }] } },
    ] } }]);
    refused(
        &volumes,
        &json!({}),
        &[(
            &format!("{VOLUMES}[0].projected.sources[1].configMap.items[0].path"),
            "spec.template.spec.volumes[0].projected.sources[0].secret.items[0]",
        )],
    );
}

#[test]
fn modes_names_and_keys_are_checked() {
    let volumes = json!([
        { "name": "a", "secret": { "secretName": "No", "defaultMode": 512,
            "items": [{ "key": "a/b", "path": "a", "mode": -1 }] } },
        { "name": "b", "configMap": { "name": "b..c" } },
        { "name": "c", "projected": { "defaultMode": 1000, "sources": [{ "secret": { "name": "-" } }] } },
    ]);
    refused(
        &volumes,
        &json!({}),
        &[
            (&format!("{VOLUMES}[0].secret.secretName"), "not a name"),
            (&format!("{VOLUMES}[0].secret.defaultMode"), "0777"),
            (&format!("{VOLUMES}[0].secret.items[0].key"), "not a key"),
            (&format!("{VOLUMES}[0].secret.items[0].mode"), "0777"),
            (&format!("{VOLUMES}[1].configMap.name"), "not a name"),
            (&format!("{VOLUMES}[2].projected.defaultMode"), "0777"),
            (
                &format!("{VOLUMES}[2].projected.sources[0].secret.name"),
                "not a name",
            ),
        ],
    );
}

#[test]
fn a_signal_goes_with_on_change_signal_only() {
    for on_change in [Value::Null, json!("Update"), json!("Restart")] {
        let volumes =
            json!([{ "name": "a", "configMap": { "name": "a", "onChange": on_change, "signal": "SIGHUP" } }]);
        refused(
            &volumes,
            &json!({}),
            &[(&format!("{VOLUMES}[0].configMap.signal"), "onChange Signal")],
        );
    }
    for signal in ["SIGKILL", "SIGSTOP", "HUP", "1"] {
        let volumes =
            json!([{ "name": "a", "configMap": { "name": "a", "onChange": "Signal", "signal": signal } }]);
        refused(
            &volumes,
            &json!({}),
            &[(
                &format!("{VOLUMES}[0].configMap.signal"),
                "expected one of `SIGHUP`",
            )],
        );
    }
}

#[test]
fn a_volume_and_a_projected_source_are_of_one_kind() {
    let volumes = json!([
        { "name": "a", "secret": { "secretName": "a" }, "configMap": { "name": "a" } },
        { "name": "b", "projected": { "sources": [{}, { "secret": { "name": "a" }, "configMap": { "name": "a" } }] } },
    ]);
    let sources = format!("{VOLUMES}[1].projected.sources");
    refused(
        &volumes,
        &json!({}),
        &[
            (&format!("{VOLUMES}[0]"), "more than one source"),
            (&format!("{sources}[0]"), "exactly one of secret and configMap"),
            (&format!("{sources}[1]"), "exactly one of secret and configMap"),
        ],
    );
}

#[test]
fn what_nobody_delivers_is_refused_by_name() {
    let volumes = json!([{ "name": "a", "projected": { "sources": [
        { "serviceAccountToken": { "path": "token" } },
        { "downwardAPI": {} },
    ] } }, { "name": "b", "secret": { "secretName": "b", "defaultUser": 5 } }]);
    let sources = format!("{VOLUMES}[0].projected.sources");
    let found = violations(&volumes, &json!({}));
    for path in [
        format!("{sources}[0].serviceAccountToken"),
        format!("{sources}[1].downwardAPI"),
        format!("{VOLUMES}[1].secret.defaultUser"),
    ] {
        assert!(
            found.iter().any(|text| text.starts_with(&format!("{path}: "))),
            "{path}: {found:#?}"
        );
    }
    let volumes = json!([{ "name": "b", "secret": { "secretName": "b" } }]);
    let mounts = json!([{ "name": "b", "mountPath": "/b", "subPath": "key" }]);
    refused(
        &volumes,
        &json!({ "volumeMounts": mounts }),
        &[(&format!("{C}.volumeMounts[0].subPath"), "would never change")],
    );
}

#[test]
fn nothing_is_mounted_where_files_stand_or_below() {
    let volumes = json!([
        { "name": "db", "secret": { "secretName": "db" } },
        { "name": "tmp", "emptyDir": {} },
    ]);
    let mounted = |path: &str| json!({ "volumeMounts": [{ "name": "tmp", "mountPath": path }] });
    let volume = format!("{VOLUMES}[0]");
    for path in ["/run/secrets/db", "/run/secrets/db/", "/run//secrets/./db"] {
        refused(&volumes, &mounted(path), &[(&volume, "volumeMounts[0]")]);
    }
    let mount = format!("{C}.volumeMounts[0].mountPath");
    refused(&volumes, &mounted("/run/secrets/db/x"), &[(&mount, &volume)]);
    for path in ["/run/secrets", "/run", "/run/secrets/db2", "/run/secrets/d"] {
        accepted(&volumes, &mounted(path));
    }
}

#[test]
fn two_volumes_of_files_do_not_stand_in_one_place() {
    let same = json!([
        { "name": "a", "secret": { "secretName": "db" } },
        { "name": "b", "secret": { "secretName": "db", "kind": "Secret" } },
    ]);
    refused(
        &same,
        &json!({}),
        &[(&format!("{VOLUMES}[1]"), "/run/secrets/db is not free")],
    );
    let elsewhere = json!([{ "name": "b", "mountPath": "/etc/db" }]);
    accepted(&same, &json!({ "volumeMounts": elsewhere }));
    let both = json!([{ "name": "a", "mountPath": "/etc/db" }, { "name": "b", "mountPath": "/etc/db/" }]);
    refused(
        &same,
        &json!({ "volumeMounts": both }),
        &[(&format!("{C}.volumeMounts[1].mountPath"), "mounted twice")],
    );
    let nested = json!([{ "name": "a", "mountPath": "/etc/db/a" }, { "name": "b", "mountPath": "/etc/db" }]);
    refused(
        &same,
        &json!({ "volumeMounts": nested }),
        &[(&format!("{C}.volumeMounts[0].mountPath"), "volumeMounts[1]")],
    );
}

#[test]
fn a_file_ref_needs_a_mounted_volume_of_files_with_the_key() {
    let volumes = json!([
        { "name": "db", "secret": { "secretName": "db", "items": [
            { "key": "k", "path": "a" }, { "key": "two", "path": "b" }, { "key": "two", "path": "c" }] } },
        { "name": "idle", "configMap": { "name": "app" } },
        { "name": "tmp", "emptyDir": {} },
        { "name": "any", "secret": { "secretName": "any" } },
    ]);
    let env = |volume: &str, key: &str| json!({ "env": [{ "name": "F", "fileRef": { "volume": volume, "key": key } }] });
    let at = format!("{C}.env[0].fileRef");
    let (volume, key) = (format!("{at}.volume"), format!("{at}.key"));
    accepted(&volumes, &env("db", "k"));
    accepted(&volumes, &env("any", "whatever"));
    refused(
        &volumes,
        &env("nope", "k"),
        &[(&volume, "no secret, configMap or projected volume")],
    );
    refused(
        &volumes,
        &env("tmp", "k"),
        &[(&volume, "no secret, configMap or projected volume")],
    );
    refused(&volumes, &env("idle", "k"), &[(&volume, "not mounted")]);
    refused(&volumes, &env("db", "other"), &[(&key, "not among the items")]);
    refused(&volumes, &env("db", "two"), &[(&key, "more than one file")]);
}

#[test]
fn a_file_ref_of_a_projected_volume_is_in_exactly_one_source() {
    let volumes = |second: Value| {
        json!([{ "name": "all", "projected": { "sources": [
            { "secret": { "name": "a", "items": [{ "key": "k", "path": "a" }] } },
            { "secret": { "name": "b", "items": second } },
        ] } }])
    };
    let container = json!({
        "env": [{ "name": "F", "fileRef": { "volume": "all", "key": "k" } }],
        "volumeMounts": [{ "name": "all", "mountPath": "/all" }],
    });
    accepted(&volumes(json!([{ "key": "l", "path": "b" }])), &container);
    // Which keys an unlisted source has is known only after resolving.
    accepted(&volumes(json!([])), &container);
    refused(
        &volumes(json!([{ "key": "k", "path": "b" }])),
        &container,
        &[(&format!("{C}.env[0].fileRef.key"), "more than one file")],
    );
}

#[test]
fn a_variable_has_one_of_value_value_from_and_file_ref() {
    let volumes = secret(json!([]));
    let file = json!({ "volume": "db", "key": "k" });
    let at = format!("{C}.env[0].fileRef");
    for other in [
        json!({ "name": "F", "fileRef": file, "value": "x" }),
        json!({ "name": "F", "fileRef": file, "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }),
    ] {
        refused(&volumes, &json!({ "env": [other] }), &[(&at, "keep one")]);
    }
    accepted(
        &volumes,
        &json!({ "env": [{ "name": "F", "fileRef": file, "value": "" }] }),
    );
}
