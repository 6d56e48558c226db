//! The verbs that look and change nothing, as users run them: the real binary, offline, and against an API server and the
//! real engine. The server is a standalone, with `E2E_ON=cluster` a real kube-apiserver; `TEST_KUBECONFIG` overrides it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "harness/apiserver.rs"]
mod apiserver;
#[path = "verbs/lab.rs"]
mod lab;
#[path = "verbs/rollouts.rs"]
mod rollouts;

use lab::{Lab, Running, binary, docker, run};
use serde_json::Value;

const SECRET: &str = "hunter2-do-not-show";

#[test]
fn crds_are_printed_offline_as_they_are_generated() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(binary(dir.path()).arg("crds"), b"");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let documents: Vec<&str> = ran.out.split("---\n").filter(|text| !text.is_empty()).collect();
    assert_eq!(documents.len(), 2);
    for (document, file) in documents
        .iter()
        .zip(["dockerdeployments.yaml", "dockersecrets.yaml"])
    {
        let path = format!("{}/crds/{file}", env!("CARGO_MANIFEST_DIR"));
        let generated = std::fs::read_to_string(path).unwrap();
        assert!(generated.ends_with(document), "{file}");
    }
}

#[test]
fn the_version_is_told_offline_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| run(binary(dir.path()).arg("version").args(args), b"").out;
    let json: Value = serde_json::from_str(&ask(&["-o", "json"])).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["apiVersion"], "supercargo.dev/v1alpha1");
    assert!(ask(&["-o", "yaml"]).contains("apiVersion: supercargo.dev/v1alpha1"));
    assert!(ask(&[]).starts_with("supercargo "));
}

#[test]
fn wrong_usage_is_told_on_stderr_with_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["plan"][..],
        &["plan", "web", "-f", "x.yaml"],
        &["explain"],
        &["logs"],
        &["logs", "pod/web"],
        &["logs", "web", "--since", "yesterday"],
        &["logs", "web", "--docker-host", "nonsense"],
        &["doctor", "--network-pool", "x"],
        &["version", "-o", "xml"],
        &["prune"],
        &["rollout"],
        &["rollout", "status"],
        &["rollout", "restart", "web", "-l", "app=web"],
        &["rollout", "undo", "pod/web"],
        &["rollout", "undo", "web", "--to-revision=-1"],
        &["rollout", "status", "web", "--timeout", "soon"],
        &["prune", "--orphans", "--instance", "one"],
        &["prune", "--orphans", "--images"],
    ] {
        let ran = run(binary(dir.path()).args(args), b"");
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn doctor_without_anything_fails_and_every_failure_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let mut command = binary(dir.path());
    command.args(["doctor", "-o", "json", "--docker-host"]);
    command
        .arg(format!("unix://{}", nowhere.display()))
        .env("KUBECONFIG", &nowhere);
    let ran = run(&mut command, b"");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let checks: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|check| check["level"] == "fail").collect();
    let about: Vec<&str> = failed
        .iter()
        .map(|check| check["what"].as_str().unwrap())
        .collect();
    assert_eq!(about, ["engine", "API server"]);
    for check in failed {
        assert!(!check["detail"].as_str().unwrap().is_empty());
        assert!(!check["next"].as_str().unwrap().is_empty(), "{check}");
    }
}

#[test]
fn what_cannot_be_reached_is_said_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = format!("unix://{}/nowhere", dir.path().display());
    let mut logs = binary(dir.path());
    logs.args(["logs", "web", "--docker-host", &nowhere])
        .env("KUBECONFIG", "/nowhere");
    let ran = run(&mut logs, b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("DOCKER_HOST"), "{}", ran.err);
    for args in [&["plan", "web"][..], &["explain", "web"]] {
        let ran = run(binary(dir.path()).args(args).env("KUBECONFIG", "/nowhere"), b"");
        assert_eq!(ran.code, Some(1));
        assert!(ran.err.contains("set KUBECONFIG"), "{}", ran.err);
    }
}

fn deployment(extra: &str) -> String {
    format!(
        "apiVersion: supercargo.dev/v1alpha1\nkind: DockerDeployment\nmetadata: {{name: web}}\nspec:\n  replicas: 2\n  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - name: web\n        \
         image: {}\n        imagePullPolicy: IfNotPresent\n        command: [sleep, '1000']\n{extra}        env:\n        \
         - {{name: A, valueFrom: {{secretKeyRef: {{name: db, key: password}}}}}}\n        \
         - {{name: B, valueFrom: {{secretKeyRef: {{name: other, key: x, optional: true}}}}}}\n",
        lab::IMAGE
    )
}

fn words(plan: &Value) -> Vec<String> {
    let stages = plan["stages"].as_array().unwrap().iter();
    let actions = stages
        .flat_map(|s| s.as_array().unwrap())
        .flat_map(|c| c.as_array().unwrap());
    actions
        .map(|a| a["action"].as_str().unwrap().to_owned())
        .collect()
}

#[expect(clippy::too_many_lines, reason = "one story on one server")]
#[test]
fn plan_and_explain_tell_what_would_be_done_and_never_a_value() {
    let lab = Lab::start("plan");
    let secret = lab.sealed("db", SECRET);
    let both = lab.file("all.yaml", &format!("{}---\n{secret}", deployment("")));
    let alone = lab.file("web.yaml", &deployment(""));
    let n = lab.namespace.as_str();

    // Before anything is applied, with the secret of the file.
    let ran = lab.supercargo(&["plan", "-n", n, "-f", &both, "--keyring", "ring", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let plans: Value = serde_json::from_str(&ran.out).unwrap();
    let creating = [
        "ensureNetwork",
        "ensureAgent",
        "create",
        "startCreated",
        "create",
        "startCreated",
    ];
    assert_eq!(words(&plans[0]["plan"]), creating);
    assert_eq!(
        (&plans[0]["stored"], &plans[0]["assumed"]),
        (&Value::Bool(false), &Value::Bool(false))
    );
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET));

    // Without the ring it says so; without the secret it holds and says why.
    let ran = lab.supercargo(&["plan", "-n", n, "-f", &both]);
    assert!(
        ran.err.contains("secret values are not known here"),
        "{}",
        ran.err
    );
    assert!(
        ran.out.contains(&format!("{n}/web")) && ran.out.contains("create"),
        "{}",
        ran.out
    );
    let ran = lab.supercargo(&["plan", "-n", n, "-f", &alone]);
    assert!(
        ran.out.contains("hold new containers") && ran.out.contains("because SecretNotFound"),
        "{}",
        ran.out
    );

    // A manifest that would be refused fails, and names the field.
    let bad = lab.file(
        "bad.yaml",
        &deployment("        stdin: true\n        lifecycle: {postStart: {exec: {command: [x]}}}\n"),
    );
    let ran = lab.supercargo(&["plan", "-n", n, "-f", &bad]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("containers[0].lifecycle"), "{}", ran.out);

    // Stored: the same by name, and its references explained.
    lab.kubectl(&["apply", "-n", n, "-f", &both], "");
    let ran = lab.supercargo(&["plan", "web", "-n", n, "--keyring", "ring", "-o", "json"]);
    let plan: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(words(&plan["plan"]), creating);
    assert_eq!(plan["stored"], true);
    let ran = lab.supercargo(&["explain", "web", "-n", n, "--keyring", "ring", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rows: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&rows[0]["state"], &rows[0]["scope"]),
        (&"resolves".into(), &"strict".into())
    );
    assert_eq!(rows[0]["kid"].as_str().unwrap().len(), 16);
    assert_eq!(rows[1]["state"], "left out (optional)");
    assert!(!ran.out.contains(SECRET));
    let force = "supercargo.dev/force-delete=true";
    lab.kubectl(&["annotate", "-n", n, "dsec", "db", force], "");
    lab.kubectl(&["delete", "-n", n, "dsec", "db"], "");
    let ran = lab.supercargo(&["explain", "web", "-n", n, "--keyring", "ring"]);
    assert!(
        ran.out.contains("SecretNotFound") && ran.out.contains("supercargo seal"),
        "{}",
        ran.out
    );

    // Nothing was done to anything.
    let ran = docker(&[
        "ps",
        "-aq",
        "--filter",
        &format!("label=supercargo.dev/namespace={n}"),
    ]);
    assert_eq!(ran.out, "");
    let ran = lab.supercargo(&["plan", "nobody", "-n", n]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("kubectl get ddep"), "{}", ran.err);
}

#[test]
fn logs_come_from_every_instance_and_go_on_with_new_ones() {
    let lab = Lab::start("logs");
    let n = lab.namespace.as_str();
    let none = lab.supercargo(&["logs", "web", "-n", n]);
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("kubectl describe ddep web"), "{}", none.err);

    let talk = "echo one; echo err >&2; sleep 0.3; echo two; exec sleep 1000";
    let first = lab.container("a", "web", 0, talk);
    let _other = lab.container("x", "webshop", 0, "echo other; exec sleep 1000");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let ran = loop {
        let ran = lab.supercargo(&["logs", "deployment/web", "-n", n]);
        if ran.out.lines().count() == 2 || std::time::Instant::now() > until {
            break ran;
        }
    };
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "one\ntwo\n", "err\n")
    );
    let ran = lab.supercargo(&["logs", "web", "-n", n, "--tail", "1", "--timestamps", "--prefix"]);
    assert!(
        ran.out.starts_with(&format!("[{}] 20", first.0)) && ran.out.ends_with("Z two\n"),
        "{}",
        ran.out
    );
    let ran = lab.supercargo(&[
        "logs",
        "web",
        "-n",
        n,
        "--since",
        "2000-01-01T00:00:00Z",
        "--instance",
        "web-0",
    ]);
    assert_eq!(ran.out, "one\ntwo\n");
    let ran = lab.supercargo(&["logs", "web", "-n", n, "--instance", "web-7"]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);

    let running = Running::start(lab.command(&["logs", "-f", "web", "-n", n]));
    assert_eq!(running.expect("two"), "two");
    // One that comes later, and one that is started again, which repeats nothing.
    let second = lab.container("b", "web", 1, "echo new; exec sleep 1000");
    assert_eq!(running.expect("new"), format!("[{}] new", second.0));
    docker(&["restart", "-t", "0", &first.0]);
    assert_eq!(running.expect("one"), format!("[{}] one", first.0));
    assert_eq!(running.expect("two"), format!("[{}] two", first.0));
    assert!(running.rest().is_empty());
    assert_eq!(running.interrupt(), Some(0));

    // With several, each line says whose it is; a reader that goes away is no error.
    let ran = lab.supercargo(&["logs", "web", "-n", n]);
    assert!(ran.out.lines().all(|line| line.starts_with('[')), "{}", ran.out);
    let many = lab.container("c", "loud", 0, "yes | head -n 200000; exec sleep 1000");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let pipe = format!(
        "'{}' logs loud -n {n} | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_supercargo")
    );
    let mut shell = std::process::Command::new("bash");
    let kubeconfig = lab
        .command(&[])
        .get_envs()
        .find(|(k, _)| *k == "KUBECONFIG")
        .unwrap()
        .1
        .unwrap()
        .to_owned();
    let ran = run(shell.args(["-c", &pipe]).env("KUBECONFIG", kubeconfig), b"");
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("y\n0\n", ""), "{}", many.0);
}

#[expect(clippy::too_many_lines, reason = "one story on one server")]
#[test]
fn doctor_finds_what_is_wrong_and_names_it() {
    let lab = Lab::start("doctor");
    let n = lab.namespace.as_str();
    let ask = |args: &[&str]| {
        let ran = lab.supercargo(&[&["doctor", "-o", "json"], args].concat());
        let checks: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
        (ran.code, checks)
    };
    let find = |checks: &[Value], what: &str| {
        let found = checks.iter().find(|check| check["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{what}: {checks:?}"));
        (
            found["level"].as_str().unwrap().to_owned(),
            found["detail"].as_str().unwrap().to_owned(),
        )
    };
    let (code, checks) = ask(&[]);
    assert_eq!(code, Some(0), "{checks:?}");
    let fine = [
        "engine",
        "API server",
        "instance",
        "CRD dockerdeployments.supercargo.dev",
        "CRD dockersecrets.supercargo.dev",
        "right to dockerdeployments/status",
        "engine's clock",
        "API server's clock",
        "idle networks",
        "agents",
        "orphans",
    ];
    for what in fine {
        assert_eq!(find(&checks, what).0, "ok", "{what}: {checks:?}");
    }
    assert_eq!(find(&checks, "key ring").0, "warn");

    // A container whose object does not exist; a value that nobody can open; a ring that others may read.
    let orphan = lab.container("orphan", "gone", 0, "exec sleep 1000");
    let secret = lab.sealed("db", SECRET);
    lab.kubectl(&["apply", "-f", "-"], &secret);
    let (code, checks) = ask(&[]);
    assert_eq!(code, Some(1));
    assert!(find(&checks, "orphans").1.contains(&orphan.0));
    assert_eq!(find(&checks, "key ring").0, "fail");
    assert_eq!(
        find(&ask(&["--keyring", "ring"]).1, "keys of sealed values").0,
        "ok"
    );
    let made = lab.supercargo(&["keys", "init", "--keyring", "another"]);
    assert_eq!(made.code, Some(0));
    let (level, detail) = find(&ask(&["--keyring", "another"]).1, "keys of sealed values");
    assert!(level == "fail" && detail.contains(&format!("{n}/db")), "{detail}");
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(lab.dir.path().join("ring"), open).unwrap();
    assert!(
        find(&ask(&["--keyring", "ring"]).1, "key ring")
            .1
            .contains("chmod 600")
    );

    // Somebody who may do nothing; a definition that somebody changed.
    let (code, checks) = ask(&["--as", "nobody"]);
    assert_eq!(code, Some(1));
    // A cluster lets everybody ask what they may do; standalone knows one user, and the others may not ask either.
    assert_ne!(find(&checks, "right to dockersecrets").0, "ok");
    let remove = r#"[{"op": "remove", "path": "/spec/names/shortNames"}]"#;
    lab.kubectl(
        &[
            "patch",
            "crd",
            "dockersecrets.supercargo.dev",
            "--type=json",
            "-p",
            remove,
        ],
        "",
    );
    let (level, detail) = find(&ask(&[]).1, "CRD dockersecrets.supercargo.dev");
    assert!(level == "warn" && detail.contains("shortNames"), "{detail}");
}
