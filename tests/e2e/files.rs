//! Secrets and ConfigMaps as files: what the container sees, what nobody else does, values that change under containers
//! that run, and what happens to them when a holder, a container or everything goes.

use std::{collections::BTreeMap, time::Instant};

use serde_json::{Value, json};

use crate::harness::{
    SOON,
    case::{Case, container, deployment},
    docker, docker_ok, same, until,
};

/// An engine takes some seconds to begin.
pub const LONG: std::time::Duration = std::time::Duration::from_secs(120);

/// `app` of uid 1000, which is in the image's own list with its group, mounting `volume`.
pub fn with_volume(name: &str, replicas: u32, volume: Value) -> Value {
    let mut manifest = deployment(name, replicas, json!([]));
    container(&mut manifest)["securityContext"] = json!({"runAsUser": 1000, "readOnlyRootFilesystem": true});
    manifest["spec"]["template"]["spec"]["volumes"] = json!([volume]);
    manifest
}

pub fn holders(case: &Case, name: &str) -> Vec<String> {
    case.labelled("ps", &[&format!("supercargo.dev/holder={name}")])
}

/// Ids and starts: the same ones are the same runs.
pub fn runs(case: &Case, name: &str) -> BTreeMap<String, Value> {
    let ids = case.containers(name).into_iter();
    ids.map(|id| {
        let started = case.inspect(&id).unwrap()["State"]["StartedAt"].clone();
        (id, started)
    })
    .collect()
}

/// Waits until every container of a deployment reads this from a file.
pub fn all_read(case: &Case, name: &str, count: usize, path: &str, value: &str) {
    until(
        &format!("{count} containers of {name} to read {path}"),
        SOON,
        || {
            let ids = case.containers(name);
            same(ids.len(), count)?;
            ids.iter().try_for_each(|id| {
                let found = case.exec(id, &format!("cat {path}"))?;
                // Values are compared and never shown.
                if found == value {
                    Ok(())
                } else {
                    Err("another value".to_owned())
                }
            })
        },
    );
}

pub const PASSWORD: &str = "/run/secrets/db/password";

/// At rest nothing is planned, whether values can be opened or not; another value would be delivered, and nothing else.
pub fn is_planned(case: &Case, manifest: &Value, change: &[(&str, &str)]) {
    let plan = |more: &[&str]| {
        let said = case.supercargo(&[&["plan", "-n", &case.ns], more].concat(), b"");
        assert!(said.ok, "{}", said.err);
        said.out
    };
    let rest = plan(&["web"]);
    assert!(rest.contains("nothing to do"), "{rest}");
    let ring = case.dir.join("data/keyring");
    if let Some(ring) = ring.to_str().filter(|_| ring.exists()) {
        let rest = plan(&["web", "--keyring", ring]);
        assert!(rest.contains("nothing to do"), "{rest}");
        let changed = case.dir.join("changed.yaml");
        std::fs::write(&changed, format!("{}---\n{manifest}", case.sealed("db", change))).unwrap();
        let planned = plan(&["-f", changed.to_str().unwrap(), "--keyring", ring]);
        let does: Vec<&str> = planned
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .collect();
        assert_eq!(does[1..], ["deliver"], "{planned}");
    }
}

/// One value through all that can happen to it.
pub fn main_story() {
    let case = Case::start("files", &[]);
    let (first, second, other) = (case.file_value(), case.file_value(), case.file_value());
    case.secret("db", &[("password", &first), ("user", &other)]);
    let volume = json!({"name": "db", "secret": {"secretName": "db", "items": [
        {"key": "password", "path": "password"},
        {"key": "user", "path": "deep/er/user", "mode": 0o440},
    ]}});
    let manifest = with_volume("web", 2, volume);
    case.apply_json(&manifest);
    case.ready("web");
    all_read(&case, "web", 2, PASSWORD, &first);
    all_read(&case, "web", 2, "/run/secrets/db/deep/er/user", &other);
    let before = runs(&case, "web");
    let one = case.one_of("web");
    let seen = |line: &str| case.exec(&one, line).unwrap();
    assert_eq!(
        seen(&format!("stat -L -c '%a %u %g' {PASSWORD}")).trim(),
        "400 1000 1000"
    );
    assert_eq!(seen("stat -L -c '%a' /run/secrets/db/deep/er/user").trim(), "440");
    assert!(seen("grep ' /run/secrets/db ' /proc/mounts").contains("tmpfs"));
    let refused = case.docker(&["exec", "-u", "0", &one, "touch", "/run/secrets/db/mine"]);
    assert!(!refused.ok && refused.err.contains("ead-only"), "{}", refused.err);
    let (status, _, message) = case.condition("web", "SecretsDelivered").unwrap();
    assert_eq!(status, "True", "{message}");
    let loaded = |case: &Case| {
        let uses = case.get("ddep/web")?["status"]["secrets"].clone();
        let file = uses
            .as_array()
            .into_iter()
            .flatten()
            .find(|u| u["key"] == "password")
            .cloned();
        file.map(|u| (u["form"].clone(), u["loaded"].clone()))
            .ok_or("no use".to_owned())
    };
    assert_eq!(loaded(&case).unwrap(), (json!("File"), json!(2)));
    // What leaves the container as an image or an archive has nothing of it.
    let exported = case.dir.join("export.tar");
    docker_ok(&["export", "-o", exported.to_str().unwrap(), &one]);

    case.settle();
    is_planned(&case, &manifest, &[("password", &second), ("user", &other)]);

    // A new value, under containers that run.
    let began = Instant::now();
    case.secret("db", &[("password", &second), ("user", &other)]);
    all_read(&case, "web", 2, PASSWORD, &second);
    println!(
        "a new value was visible after {} ms, sealing and kubectl included",
        began.elapsed().as_millis()
    );
    case.event("SecretRefreshed");
    assert_eq!(runs(&case, "web"), before, "nobody was restarted");

    // The holder is killed, then removed: who runs notices nothing, and the next value comes all the same.
    for (verb, value) in [("kill", &first), ("rm", &second)] {
        let held = holders(&case, "web");
        assert_eq!(held.len(), 1);
        if verb == "kill" {
            docker_ok(&["kill", &held[0]]);
        } else {
            docker_ok(&["rm", "-f", &held[0]]);
        }
        case.secret("db", &[("password", value), ("user", &other)]);
        all_read(&case, "web", 2, PASSWORD, value);
        assert_eq!(runs(&case, "web"), before, "nobody was restarted");
    }

    // A value that goes takes away nothing that was delivered.
    case.kubectl(&["annotate", "dsec", "db", "supercargo.dev/force-delete=true"]);
    case.kubectl(&["delete", "dsec", "db", "--wait=false"]);
    let message = case.not_ready("web", "SecretResolutionError");
    assert!(message.contains("volumes[0].secret"), "{message}");
    docker_ok(&["kill", &one]);
    until("the one that ended to run again with what it had", SOON, || {
        same(case.exec(&one, &format!("cat {PASSWORD}"))? == second, true)
    });
    case.secret("db", &[("password", &first), ("user", &other)]);
    all_read(&case, "web", 2, PASSWORD, &first);
    case.ready("web");
    case.finish();
}

/// Everything that is volatile goes while nobody is there: as after a reboot of the host.
pub fn reboot() {
    let case = Case::start("files-reboot", &[]);
    let value = case.file_value();
    case.secret("db", &[("password", &value)]);
    case.apply_json(&with_volume(
        "web",
        2,
        json!({"name": "db", "secret": {"secretName": "db"}}),
    ));
    case.ready("web");
    case.settle();
    let before: Vec<String> = case.containers("web");
    case.take_operator().kill();
    let all = [before.clone(), holders(&case, "web")].concat();
    let mut args = vec!["kill"];
    args.extend(all.iter().map(String::as_str));
    docker_ok(&args);
    // Docker starts again what has its restart policy, as the engine does when it comes up: on an empty tmpfs.
    docker_ok(&["start", &holders(&case, "web")[0]]);
    case.start_operator();
    all_read(&case, "web", 2, PASSWORD, &value);
    case.ready("web");
    assert_eq!(
        case.containers("web"),
        before,
        "they are the same containers, started again"
    );
    case.finish();
}

/// Root on the host does what it likes to delivered files; whoever asks gets them as they were, and nobody is restarted.
pub fn tampered() {
    let case = Case::start("files-tampered", &[]);
    let value = case.file_value();
    case.secret("db", &[("password", &value)]);
    case.apply_json(&with_volume(
        "web",
        1,
        json!({"name": "db", "secret": {"secretName": "db"}}),
    ));
    case.ready("web");
    all_read(&case, "web", 1, PASSWORD, &value);
    let before = runs(&case, "web");
    let found = case.inspect(&case.one("web")).unwrap();
    let mounts = found["Mounts"].as_array().unwrap();
    let mount = mounts
        .iter()
        .find(|m| m["Destination"] == "/run/secrets/db")
        .unwrap();
    let volume = format!("{}:/v", mount["Name"].as_str().unwrap());
    let image = found["Image"].as_str().unwrap();
    let harms = [
        ("printf changed > /v/..data/password", "another size"),
        ("chmod 444 /v/..data/password", "another mode"),
        ("chown 0:0 /v/..data/password", "another owner"),
        ("touch /v/more", "a file that was not placed"),
        // Nothing is there, as after a reboot: it is written, and nobody is accused.
        ("rm /v/..data", ""),
        ("rm /v/password && printf changed > /v/password", "is missing"),
    ];
    for (number, (harm, words)) in harms.into_iter().enumerate() {
        docker_ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-u",
            "0",
            "-v",
            &volume,
            "--entrypoint",
            "sh",
            image,
            "-c",
            harm,
        ]);
        let ask = format!("supercargo.dev/reconcile-at={number}");
        case.kubectl(&["annotate", "--overwrite", "ddep", "web", &ask]);
        all_read(&case, "web", 1, PASSWORD, &value);
        until(&format!("an event about {words}"), SOON, || {
            let events = case.get("events")?["items"].clone();
            let told = |e: &Value| {
                let note = e["message"].as_str().or(e["note"].as_str()).unwrap_or_default();
                e["reason"] == "SecretDeliveryError" && note.contains(words)
            };
            same(
                words.is_empty() || events.as_array().unwrap().iter().any(told),
                true,
            )
        });
        let line = "cd /run/secrets/db && ls && stat -L -c '%a %u' password";
        until(&format!("all to be as it was after {harm}"), SOON, || {
            let seen = case.exec(&case.one("web"), line)?;
            same(
                seen.split_whitespace().collect::<Vec<_>>(),
                vec!["password", "400", "1000"],
            )
        });
    }
    assert_eq!(runs(&case, "web"), before, "nobody was restarted");
    case.ready("web");
    case.finish();
}

/// Files that are missing hold, by name and place, and come at once.
pub fn missing() {
    let case = Case::start("files-missing", &[]);
    let value = case.file_value();
    case.apply_json(&with_volume(
        "web",
        1,
        json!({"name": "db", "secret": {"secretName": "db"}}),
    ));
    let message = case.not_ready("web", "SecretResolutionError");
    assert!(
        message.contains("SecretNotFound") && message.contains("spec.template.spec.volumes[0].secret"),
        "{message}"
    );
    case.event("SecretResolutionError");
    assert_eq!(case.containers("web"), Vec::<String>::new());
    case.secret("db", &[("password", &value)]);
    case.ready("web");
    all_read(&case, "web", 1, PASSWORD, &value);
    case.finish();
}

/// What a change does, as each volume says.
pub fn on_change() {
    let case = Case::start("files-change", &[]);
    let (first, second) = (case.file_value(), case.file_value());
    case.secret("db", &[("password", &first)]);
    let volume =
        |on_change: &str| json!({"name": "db", "secret": {"secretName": "db", "onChange": on_change}});
    let mut told = with_volume("told", 2, volume("Signal"));
    container(&mut told)["command"] = json!([
        "sh",
        "-c",
        "trap 'echo heard' HUP; trap 'exit 0' TERM; while :; do sleep 60 & wait; done"
    ]);
    case.apply_json(&told);
    case.apply_json(&with_volume("anew", 2, volume("Restart")));
    case.ready("told");
    case.ready("anew");
    let (told, anew) = (runs(&case, "told"), runs(&case, "anew"));
    case.secret("db", &[("password", &second)]);
    all_read(&case, "told", 2, PASSWORD, &second);
    all_read(&case, "anew", 2, PASSWORD, &second);
    assert_eq!(runs(&case, "told"), told, "a signal restarts nobody");
    let heard = |id: &String| docker(&["logs", id]).out.matches("heard").count();
    until("one signal each", SOON, || {
        same(told.keys().map(heard).collect::<Vec<_>>(), vec![1, 1])
    });
    assert!(
        runs(&case, "anew").keys().all(|id| !anew.contains_key(id)),
        "they were replaced"
    );
    case.ready("anew");
    case.settle();
    // The same value, sealed anew, is no change.
    let after = (runs(&case, "told"), runs(&case, "anew"));
    case.secret("db", &[("password", &second)]);
    case.settle();
    assert_eq!((runs(&case, "told"), runs(&case, "anew")), after);
    assert_eq!(told.keys().map(heard).collect::<Vec<_>>(), vec![1, 1]);
    case.finish();
}

/// A secret and a ConfigMap in one directory, and the path of a file in a variable.
pub fn projected() {
    let case = Case::start("files-projected", &[]);
    let value = case.file_value();
    case.secret("db", &[("password", &value)]);
    case.kubectl(&["create", "configmap", "app", "--from-literal=level=debug"]);
    let volume = json!({"name": "all", "projected": {"sources": [
        {"secret": {"name": "db", "items": [{"key": "password", "path": "secret/password"}]}},
        {"configMap": {"name": "app"}},
        {"secret": {"name": "absent", "optional": true}},
    ]}});
    let mut manifest = with_volume("web", 1, volume);
    container(&mut manifest)["volumeMounts"] = json!([{"name": "all", "mountPath": "/etc/app"}]);
    container(&mut manifest)["env"] =
        json!([{"name": "PASSWORD_FILE", "fileRef": {"volume": "all", "key": "password"}}]);
    case.apply_json(&manifest);
    case.ready("web");
    all_read(&case, "web", 1, "$PASSWORD_FILE", &value);
    all_read(&case, "web", 1, "/etc/app/level", "debug");
    let before = runs(&case, "web");
    case.kubectl(&[
        "patch",
        "configmap",
        "app",
        "--type=merge",
        "-p",
        r#"{"data":{"level":"info","more":"x"}}"#,
    ]);
    all_read(&case, "web", 1, "/etc/app/level", "info");
    all_read(&case, "web", 1, "/etc/app/more", "x");
    assert_eq!(runs(&case, "web"), before);
    case.finish();
}

/// Somebody reads all the time while values change: whole old or whole new sets, and never an error.
pub fn hammered() {
    let case = Case::start("files-hammer", &[]);
    let rotations = crate::harness::number("ROTATIONS", 10);
    let set = |n: usize| format!("{n:06}");
    case.secret("db", &[("one", &set(0)), ("two", &set(0))]);
    let mut manifest = with_volume("web", 1, json!({"name": "db", "secret": {"secretName": "db"}}));
    // A set is what stands behind `..data` at one moment; whoever reads two files goes there once.
    container(&mut manifest)["command"] = json!(["sh", "-c", "trap 'exit 0' TERM; n=0; bad=0
        while :; do
            d=$(readlink /run/secrets/db/..data) && a=$(cat /run/secrets/db/$d/one) && b=$(cat /run/secrets/db/$d/two) \
                && [ \"$a\" = \"$b\" ] && c=$(cat /run/secrets/db/one) || bad=$((bad+1))
            n=$((n+1)); [ $((n % 50)) = 0 ] && echo read $n bad $bad last $c
        done"]);
    case.apply_json(&manifest);
    case.ready("web");
    for n in 1..=rotations {
        case.secret("db", &[("one", &set(n)), ("two", &set(n))]);
        all_read(&case, "web", 1, "/run/secrets/db/two", &set(n));
    }
    let id = case.one("web");
    let last = || {
        let said = docker(&["logs", "--tail", "1", &id]).out;
        let words: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
        words.get(5).cloned().map(|last| (words, last)).ok_or(said)
    };
    let seen = until("the reader to see the last set", SOON, || {
        let (words, last) = last()?;
        same(last, set(rotations)).map(|()| words)
    });
    println!("{rotations} rotations: {}", seen.join(" "));
    assert_eq!(seen[3], "0", "{seen:?}");
    case.finish();
}
