//! Every form in which a value reaches a container, side by side, and every way in which something leaves a container or an
//! engine: what is made of it is put where the canary search at the end of the case looks.

use serde_json::json;

use crate::harness::{
    case::{Case, container, deployment, from_secret},
    docker_ok, run, until,
};

/// What is written about a container, and what can be made of it: archive, image, history, events.
fn take_apart(case: &Case, id: &str) {
    let file = |what: &str| {
        case.dir
            .join(format!("{what}-{}", &id[..12]))
            .display()
            .to_string()
    };
    docker_ok(&["export", "-o", &file("export"), id]);
    let image = format!("supercargo-test/forms:{}", &id[..12]);
    docker_ok(&["commit", "--pause=false", id, &image]);
    docker_ok(&["save", "-o", &file("image"), &image]);
    std::fs::write(
        file("history"),
        docker_ok(&["history", "--no-trunc", "--format", "{{json .}}", &image]),
    )
    .unwrap();
    std::fs::write(file("inspect"), docker_ok(&["inspect", &image, id])).unwrap();
    docker_ok(&["rmi", &image]);
    for what in ["diff", "top", "logs"] {
        std::fs::write(file(what), docker_ok(&[what, id])).unwrap();
    }
}

pub fn every_form() {
    let began = docker_ok(&["info", "--format", "{{.SystemTime}}"]);
    let case = Case::start("forms", &["--audit-log", "{dir}/audit.log"]);
    let (plain, file, protected) = (case.value(), case.file_value(), case.file_value());
    case.secret("plain", &[("token", &plain)]);
    case.secret("shut", &[("file", &file), ("variable", &protected)]);
    let env = json!([from_secret("TOKEN", "plain", "token")]);
    case.apply_json(&deployment("plain", 1, env));
    let mut shut = deployment("shut", 1, json!([from_secret("TOKEN", "shut", "variable")]));
    shut["spec"]["secretEnv"] = json!("Protected");
    shut["spec"]["template"]["spec"]["volumes"] = json!([
        {"name": "files", "secret": {"secretName": "shut", "items": [{"key": "file", "path": "file"}]}}
    ]);
    container(&mut shut)["securityContext"] = json!({"runAsUser": 1000});
    case.apply_json(&shut);
    case.ready("plain");
    case.ready("shut");
    case.settle();
    let one = case.one_of("shut");
    until("the program to have its variable", crate::harness::SOON, || {
        let pid = case.inspect(&one)?["State"]["Pid"]
            .as_u64()
            .ok_or("it does not run")?;
        let environment =
            std::fs::read_to_string(format!("/proc/{pid}/environ")).map_err(|e| e.to_string())?;
        // Values are compared and never shown.
        let has = environment
            .split('\0')
            .any(|v| v.strip_prefix("TOKEN=") == Some(&protected));
        if has { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let read = case.exec(&one, "cat /run/secrets/shut/file").unwrap();
    assert!(read == file, "the file is there");
    take_apart(&case, &one);
    for holder in case.labelled("ps", &["supercargo.dev/holder=shut"]) {
        take_apart(&case, &holder);
    }
    let until_now = docker_ok(&["info", "--format", "{{.SystemTime}}"]);
    let span = ["--since", began.trim(), "--until", until_now.trim()];
    let events = docker_ok(&[&["events"], &span[..], &["--format", "{{json .}}"]].concat());
    assert!(events.contains(&one), "the engine's events are of this case");
    std::fs::write(case.dir.join("events"), events).unwrap();

    // Three values were handed over, the audit file says so, and every line of it counts.
    let audit = case.dir.join("audit.log");
    let path = audit.display().to_string();
    let said = verified(&case, &path);
    assert!(said.ok, "{}{}", said.out, said.err);
    let text = std::fs::read_to_string(&audit).unwrap();
    for form in ["Env (inspectable)", "Env (protected)", "File"] {
        assert_eq!(
            text.lines().filter(|line| line.contains(form)).count(),
            1,
            "{form}: {text}"
        );
    }
    std::fs::write(&audit, text.replacen("File", "Fail", 1)).unwrap();
    let said = verified(&case, &path);
    assert!(!said.ok, "an edit is seen: {}", said.out);
    std::fs::write(&audit, text).unwrap();
    case.finish();
}

/// What `audit verify` says of the file with the ring of the case.
fn verified(case: &Case, path: &str) -> crate::harness::Said {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_supercargo"));
    command.args(["audit", "verify", "--no-head", path]);
    let ring = case.dir.join("data/keyring");
    if ring.exists() {
        command.arg("--keyring").arg(ring);
    } else {
        command.env("KUBECONFIG", &case.kubeconfig);
    }
    run(&mut command, b"")
}
