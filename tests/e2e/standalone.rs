//! What only `supercargo standalone` promises: rest, a quick stop with everything running, one process to a store, ways on
//! when the store is lost, and core Secrets that are sealed where they are stored.

use std::{process::Command, thread, time::Duration};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::harness::{
    INSTANCE, SOON, Said,
    case::{Case, container, deployment},
    docker_ok, number, run, same, until, word,
};

const EVERYTHING: &str = "namespaces,configmaps,secrets,serviceaccounts,events,leases.coordination.k8s.io,\
                          controllerrevisions.apps,customresourcedefinitions,dockerdeployments,dockersecrets";

/// Every object with its version, and the store's own revision, which every write moves.
fn versions(case: &Case) -> Vec<String> {
    let said = case.ask(&["get", EVERYTHING, "-A", "-o", "json"], "");
    assert!(said.ok, "{}", said.err);
    let list: Value = serde_json::from_str(&said.out).unwrap();
    let mut all: Vec<String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| {
            let meta = &o["metadata"];
            format!(
                "{} {}/{} {}",
                o["kind"], meta["namespace"], meta["name"], meta["resourceVersion"]
            )
        })
        .collect();
    all.sort();
    let raw = case.ask(&["get", "--raw", "/api/v1/namespaces"], "");
    let list: Value = serde_json::from_str(&raw.out).unwrap();
    all.push(format!("revision {}", list["metadata"]["resourceVersion"]));
    all
}

/// `E2E_IDLE_DEPLOYMENTS` (8) deployments, looked at for `E2E_IDLE_SECONDS` (20).
pub fn idle() {
    let (count, seconds) = (number("E2E_IDLE_DEPLOYMENTS", 8), number("E2E_IDLE_SECONDS", 20));
    let case = Case::start("idle", &[]);
    let names: Vec<String> = (0..count).map(|n| format!("web-{n}")).collect();
    let manifests: Vec<Value> = names.iter().map(|name| deployment(name, 1, json!([]))).collect();
    case.apply_json(&json!({"apiVersion": "v1", "kind": "List", "items": manifests}));
    names.iter().for_each(|name| case.ready(name));
    case.settle();
    let reconciles = || case.operator().as_ref().unwrap().reconciles().unwrap();
    let store = || std::fs::metadata(case.dir.join("data/store.redb")).unwrap();
    let (mark, done, written) = (case.proxy.mark(), reconciles(), store().modified().unwrap());
    let before = versions(&case);
    assert!(before.len() > count, "everything is looked at: {before:?}");
    // This is the time in which nothing may happen; nothing is waited for.
    thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap()));
    assert_eq!(versions(&case), before, "versions stand still");
    assert_eq!(reconciles(), done, "no reconcile");
    assert_eq!(store().modified().unwrap(), written, "no write to the store");
    assert_eq!(
        case.proxy.mutations(mark),
        Vec::<String>::new(),
        "no write to the engine"
    );
    println!("idle: {count} deployments stood still for {seconds} s");
    case.finish();
}

/// A definition is applied when it is not what this program applied last, and only then.
pub fn definitions() {
    const DEFINITION: &str = "dockersecrets.supercargo.dev";
    let case = Case::start("definitions", &[]);
    let definition = || {
        let said = case.ask(&["get", "crd", DEFINITION, "-o", "json"], "");
        assert!(said.ok, "{}", said.err);
        serde_json::from_str::<Value>(&said.out).unwrap()
    };
    let restart = || {
        case.take_operator().stop();
        case.start_operator();
        definition()
    };
    let first = definition();
    assert_eq!(restart(), first, "nothing is written");
    let edits = [
        r#"[{"op": "remove", "path": "/spec/names/shortNames"}]"#,
        r#"[{"op": "add", "path": "/spec/names/categories", "value": ["mine"]}]"#,
        r#"[{"op": "replace", "path": "/metadata/annotations/supercargo.dev~1installed", "value": "another version"}]"#,
    ];
    for edit in edits {
        let said = case.ask(&["patch", "crd", DEFINITION, "--type=json", "-p", edit], "");
        assert!(said.ok, "{}", said.err);
        let edited = definition();
        let again = restart();
        assert_ne!(again, edited, "{edit}");
        for what in ["/spec", "/metadata/annotations"] {
            assert_eq!(again.pointer(what), first.pointer(what), "{edit}");
        }
        assert_eq!(restart(), again, "nothing is written after {edit}");
    }
    // Whoever has it removed gets it again.
    let said = case.ask(&["delete", "crd", DEFINITION, "--timeout=60s"], "");
    assert!(said.ok, "{}", said.err);
    assert_eq!(restart().pointer("/spec"), first.pointer("/spec"));
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    case.finish();
}

fn standalone(case: &Case, data: &str, more: &[&str]) -> Said {
    let data = case.dir.join(data);
    let docker = format!("unix://{}", case.proxy.path.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_supercargo"));
    command
        .args(["standalone", "--listen", "127.0.0.1:0", "--docker-host", &docker])
        .arg("--data-dir")
        .arg(data)
        .args(more)
        .env_remove("KUBECONFIG")
        .env_remove("DOCKER_HOST");
    run(&mut command, b"")
}

/// Since when each runs.
fn running(case: &Case, name: &str) -> Vec<(String, Value)> {
    let ids = case.containers(name);
    ids.into_iter()
        .map(|id| {
            let state = case.inspect(&id).unwrap()["State"].clone();
            assert_eq!(state["Running"], json!(true));
            (id, state["StartedAt"].clone())
        })
        .collect()
}

fn settled(case: &Case) {
    until("readiness", SOON, || {
        let answer = case.operator().as_ref().unwrap().get("/readyz")?;
        if answer.starts_with("HTTP/1.1 200") {
            Ok(())
        } else {
            Err(answer)
        }
    });
    case.settle();
}

pub fn stop_and_adopt() {
    let case = Case::start("adopt", &[]);
    for name in ["web", "other"] {
        case.apply_json(&deployment(name, 2, json!([])));
    }
    // One that never comes to rest by itself.
    let mut crash = deployment("crash", 1, json!([]));
    container(&mut crash)["command"] = json!(["sh", "-c", "exit 7"]);
    case.apply_json(&crash);
    case.ready("web");
    case.ready("other");
    case.not_ready("crash", "BackOff");
    case.kubectl(&["delete", "ddep/crash", "--timeout=60s"]);
    case.settle();
    let before = [running(&case, "web"), running(&case, "other")];
    // A client that watches does not hold it up.
    let mut watch = case.kubectl_command();
    let mut watch = watch
        .args(["get", "ddep", "-A", "-w"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let said = standalone(&case, "data", &[]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(
        said.err.contains("is used by another supercargo already") && said.err.contains("--data-dir"),
        "{}",
        said.err
    );
    let took = case.take_operator().stop();
    let _ = watch.kill();
    let _ = watch.wait();
    println!(
        "standalone ended {:.0} ms after SIGTERM",
        took.as_secs_f64() * 1e3
    );
    // It promises one second; the machine of a test may be busy with three others.
    assert!(took < Duration::from_secs(4), "it took {took:?}");
    assert_eq!([running(&case, "web"), running(&case, "other")], before);
    let mark = case.proxy.mark();
    case.start_operator();
    settled(&case);
    assert!(case.proxy.mark() > mark, "the new process looked at the engine");
    assert_eq!(
        case.proxy.mutations(mark),
        Vec::<String>::new(),
        "what runs is adopted as it is"
    );
    assert_eq!([running(&case, "web"), running(&case, "other")], before);
    let log = std::fs::read_to_string(case.log()).unwrap();
    assert_eq!(
        log.matches("Back up").count(),
        1,
        "only the first start says what to back up"
    );
    case.ready("web");
    case.kubectl(&["scale", "ddep/web", "--replicas=3"]);
    case.ready("web");
    assert_eq!(case.containers("web").len(), 3);
    case.finish();
}

pub fn lost_store() {
    let case = Case::start("lost", &[]);
    let manifest = deployment("web", 2, json!([]));
    case.apply_json(&manifest);
    case.ready("web");
    case.settle();
    let before = running(&case, "web");
    let uid = case.instance.clone();
    let said = case.supercargo(&["prune", "--instance", &uid, "--yes"], b"");
    assert!(
        said.code == Some(1) && said.err.contains("delete its objects instead"),
        "one that answers is not gone: {}{}",
        said.out,
        said.err
    );
    case.take_operator().stop();
    std::fs::rename(case.dir.join("data"), case.dir.join("lost")).unwrap();

    // An empty store takes no host on which another control plane left something.
    let mark = case.proxy.mark();
    for _ in 0..2 {
        let said = standalone(&case, "data", &[]);
        assert_eq!(said.code, Some(1), "{}", said.err);
        for part in [
            uid.as_str(),
            "supercargo standalone --instance ",
            "supercargo prune --instance ",
        ] {
            assert!(said.err.contains(part), "{part} is not in: {}", said.err);
        }
    }
    assert_eq!(case.proxy.mutations(mark), Vec::<String>::new());

    // The first way on: as the one it was. A deployment that is made again is another owner, so what its predecessor
    // left runs on beside its own until somebody says that it may go.
    let flag = ["--instance", uid.as_str()];
    case.start_operator_with(&flag);
    settled(&case);
    assert_eq!(
        running(&case, "web"),
        before,
        "what nobody has applied yet runs on"
    );
    let said = case.ask(&["create", "namespace", &case.ns], "");
    assert!(said.ok, "{}", said.err);
    let kube_system = case.ask(
        &["get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}"],
        "",
    );
    assert_eq!(kube_system.out, uid);
    case.apply_json(&manifest);
    case.ready("web");
    case.settle();
    let old: Vec<String> = before.iter().map(|(id, _)| id.clone()).collect();
    let new: Vec<String> = case
        .containers("web")
        .into_iter()
        .filter(|id| !old.contains(id))
        .collect();
    assert_eq!(new.len(), 2, "{:?}", case.containers("web"));
    let orphans = |flags: &[&str]| {
        let said = case.supercargo(&[&["prune", "--orphans"], flags].concat(), b"");
        assert!(said.ok, "{}", said.err);
        (said.out.lines().count(), said.err)
    };
    let (count, told) = orphans(&[]);
    assert!(count == 2 && told.contains("--yes"), "{count}: {told}");
    assert_eq!(case.containers("web").len(), 4, "a look removes nothing");
    assert_eq!(orphans(&["--yes"]).0, 2);
    assert_eq!(case.containers("web"), new);
    assert_eq!(orphans(&["--yes"]).0, 0);
    let other = crate::harness::uid();
    case.take_operator().stop();
    let said = standalone(&case, "data", &["--instance", &other]);
    assert!(
        said.code == Some(1) && said.err.contains(&uid),
        "a store has its identity: {}",
        said.err
    );

    // The second: what was left is removed, after a look.
    let left = running(&case, "web");
    let said = case.supercargo(&["prune", "--instance", &uid], b"");
    assert!(
        said.ok
            && said
                .out
                .lines()
                .filter(|l| l.contains("remove container"))
                .count()
                == 2,
        "{}{}",
        said.out,
        said.err
    );
    assert!(said.out.contains("remove network") && said.err.contains("--yes"));
    assert_eq!(running(&case, "web"), left, "a look removes nothing");
    // What is another's stays: the other cases, which run beside this one, would notice, and so would this one.
    let foreign = docker_ok(&[
        "create",
        "--label",
        &format!("{INSTANCE}={other}"),
        crate::harness::IMAGE,
        "true",
    ]);
    let said = case.supercargo(&["prune", "--instance", &uid, "--yes"], b"");
    assert!(said.ok, "{}", said.err);
    assert_eq!(case.containers("web"), Vec::<String>::new());
    assert_eq!(case.labelled("network ls", &[]), Vec::<String>::new());
    docker_ok(&["rm", &foreign]);
    let said = case.supercargo(&["prune", "--instance", &uid, "--yes"], b"");
    assert!(
        said.ok && said.err.contains("nothing of control plane"),
        "{}",
        said.err
    );
    case.start_operator();
    // The status is still the one of before: what is asked for is on the engine.
    until("the store brings it back", SOON, || {
        same(case.containers("web").len(), 2)
    });
    case.settle();
    case.ready("web");
    assert_eq!(running(&case, "web").len(), 2);
    case.finish();
}

/// A value of a core Secret is plain text to who may read it, reaches the container, and is in no file.
pub fn sealed_at_rest() {
    let case = Case::start("core", &["--core-secrets-namespace", "{ns}"]);
    let values = [word(), word()];
    values.iter().for_each(|value| case.watch_files_for(value));
    let secret = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plain"},
            "stringData": {"password": value}})
        .to_string()
    };
    let said = case.try_kubectl(&["create", "-f", "-"], &secret(&values[0]));
    assert!(said.ok, "{}", said.err);
    let env = json!([{"name": "PASSWORD", "valueFrom":
        {"secretKeyRef": {"kind": "Secret", "name": "plain", "key": "password"}}}]);
    case.apply_json(&deployment("web", 1, env));
    case.ready("web");
    case.all_have("web", 1, "PASSWORD", &values[0]);
    // Both ways of writing: the second leaves a copy in an annotation.
    case.apply(&secret(&values[1]));
    case.all_have("web", 1, "PASSWORD", &values[1]);
    case.take_operator().kill();
    case.start_operator();
    let shown = case.get("secret/plain").unwrap()["data"]["password"].clone();
    assert_eq!(
        shown,
        json!(Base64::encode_string(values[1].as_bytes())),
        "who may read it reads it"
    );
    case.ready("web");
    case.kubectl(&["delete", "secret", "plain"]);
    case.finish();
}
