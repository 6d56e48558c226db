//! The whole way of a repository: what is committed runs, what is changed by hand is put back, what is not ready is not
//! called so, what is broken is reported, what is removed goes; and after all that nothing is written any more.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    flux::{APPLIED, Flux, documented},
    git::{Repository, author},
    harness::{
        IMAGE_2, SOON, Said,
        case::{Case, container, deployment, from_secret},
        docker_ok, number, project, run, same, until, world,
    },
    stream::Stream,
};

const VERSION: &str = "/metadata/resourceVersion";
/// What the operator writes, besides events.
const WRITTEN: &str = "dockerdeployments,dockersecrets,controllerrevisions,configmaps";

pub fn story() {
    let case = Case::start("flux", &[]);
    until("the public keys", SOON, || case.public_keys());
    let repository = Repository::start(&case.dir);
    let values = [case.value(), case.value()];
    let mut web = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    repository.write("web.yaml", Some(&web.to_string()));
    let first = documented_commit(&case, &repository, "supercargo keys public", &values[0]);
    let applied = Stream::start(&case, "ddep");
    let flux = Flux::start(&case, &repository);
    let told = Stream::start(&case, APPLIED.split('/').next().unwrap());

    flux.applied(&case, &first);
    case.all_have("web", 2, "PASSWORD", &values[0]);
    // `wait: true`: Flux is ready when we are, and not before.
    let ready = applied.find("the deployment to be ready", |e| {
        e.is_observed() && e.condition("Ready")["status"] == "True"
    });
    let said = told.find("Flux to be ready", |e| e.condition("Ready")["status"] == "True");
    assert!(
        ready.version() < said.version(),
        "Flux called it ready before it was"
    );
    drop((applied, told));

    // A new value and a new image are rollouts.
    let second = documented_commit(&case, &repository, "--into", &values[1]);
    flux.applied(&case, &second);
    case.all_have("web", 2, "PASSWORD", &values[1]);
    container(&mut web)["image"] = json!(IMAGE_2);
    repository.write("web.yaml", Some(&web.to_string()));
    let third = repository.commit("The second image");
    flux.applied(&case, &third);
    images(&case, IMAGE_2, 2);
    argo(&case);
    kustomized(&case, &web);

    drift(&case, &flux);
    gated(&case, &flux, &repository);
    broken(&case, &flux, &repository, &web);
    still(&case, &flux);

    // One commit takes away all: the secret goes after who uses it, in whatever order they are deleted.
    for file in ["db.yaml", "web.yaml"] {
        repository.write(file, None);
    }
    repository.write(
        "note.yaml",
        Some(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}}).to_string()),
    );
    let last = repository.commit("Closed");
    flux.applied(&case, &last);
    until("everything to be gone", SOON, || {
        same(case.kubectl(&["get", "ddep,dsec", "-o", "name"]), String::new())?;
        same(case.labelled("ps", &[]), Vec::new())
    });
    flux.end(&case);
    case.finish();
}

/// Runs a block of the page in the repository, for this case's namespace and with this value; the commit that it makes.
fn documented_commit(case: &Case, repository: &Repository, says: &str, value: &str) -> String {
    let block = documented("sh", says).replace("--namespace shop", &format!("--namespace {}", case.ns));
    let (before, after) = block.split_once("printf %s '").unwrap();
    let after = after.split_once('\'').unwrap().1;
    let said = bash(
        case,
        &repository.work,
        &format!("{before}printf %s '{value}'{after}"),
    );
    assert!(said.ok, "{block}{}{}", said.out, said.err);
    repository.revision()
}

fn bash(case: &Case, dir: &Path, lines: &str) -> Said {
    let bin = case.dir.join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, bin.join(name)).unwrap();
        link(env!("CARGO_BIN_EXE_supercargo"), "supercargo");
        link(&world().kubectl, "kubectl");
    }
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", lines])
        .current_dir(dir)
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("KUBECONFIG", &case.kubeconfig);
    run(author(&mut command), b"")
}

/// The command that teaches Argo CD, on a ConfigMap that has settings already.
fn argo(case: &Case) {
    let ask = |args: &[&str]| {
        let said = case.ask(args, "");
        assert!(said.ok, "{args:?}: {}", said.err);
        said.out
    };
    ask(&["create", "namespace", "argocd"]);
    ask(&[
        "-n",
        "argocd",
        "create",
        "configmap",
        "argocd-cm",
        "--from-literal=url=x",
    ]);
    let said = bash(case, project(), &documented("sh", "argocd-cm"));
    assert!(said.ok, "{}", said.err);
    let found = ask(&["-n", "argocd", "get", "configmap", "argocd-cm", "-o", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["data"].as_object().unwrap().len(), 3, "{found}");
    ask(&["delete", "namespace", "argocd", "--wait=false"]);
}

/// The page's kustomization: the deployment follows the name that was made of the setting.
fn kustomized(case: &Case, web: &Value) {
    let dir = case.dir.join("kustomize");
    std::fs::create_dir(&dir).unwrap();
    let mut web = web.clone();
    container(&mut web)["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    std::fs::write(dir.join("web.yaml"), web.to_string()).unwrap();
    std::fs::write(
        dir.join("db.yaml"),
        case.sealed("db", &[("password", "of no interest")]),
    )
    .unwrap();
    std::fs::write(
        dir.join("kustomization.yaml"),
        documented("yaml", "configMapGenerator"),
    )
    .unwrap();
    let names = project().join("packaging/kustomize/namereference.yaml");
    std::fs::copy(names, dir.join("namereference.yaml")).unwrap();
    let said = bash(case, &dir, "kubectl kustomize .");
    assert!(said.ok, "{}", said.err);
    let named = |text: &str| said.out.lines().filter(|line| line.contains(text)).count();
    assert_eq!(named("name: settings-"), 2, "{}", said.out);
    assert!(!said.out.contains("name: settings\n"), "{}", said.out);
}

fn images(case: &Case, image: &str, count: usize) {
    until(&format!("{count} instances of {image}"), SOON, || {
        let ids = case.containers("web");
        let images: Result<Vec<Value>, String> = ids
            .iter()
            .map(|id| Ok(case.inspect(id)?["Config"]["Image"].clone()))
            .collect();
        same(images?, vec![json!(image); count])
    });
}

/// What somebody changes by hand is as in git after the next look: a value, a field more, the whole object.
fn drift(case: &Case, flux: &Flux) {
    let spec = || case.get("ddep/web").map(|web| web["spec"].clone());
    let wanted = spec().unwrap();
    let before = case.containers("web");
    let editor = case.dir.join("editor");
    // The first is the one of the spec.
    let edits = "0,/^  replicas: 2/s//  replicas: 1\\n  minReadySeconds: 1/";
    std::fs::write(&editor, format!("#!/bin/sh\nexec sed -i '{edits}' \"$1\"\n")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&editor, executable).unwrap();
    let mut edit = case.kubectl_command();
    edit.args(["-n", &case.ns, "edit", "ddep", "web"])
        .env("KUBE_EDITOR", &editor);
    let said = run(&mut edit, b"");
    assert!(said.ok && said.out.contains("edited"), "{}{}", said.out, said.err);
    flux.look(case);
    assert_eq!(spec().unwrap(), wanted, "the edit was not undone");
    images(case, IMAGE_2, 2);
    let kept = case
        .containers("web")
        .iter()
        .filter(|id| before.contains(id))
        .count();
    println!("of 2 instances {kept} are the same after the edit was undone");

    let uid = || case.get("ddep/web").map(|web| web["metadata"]["uid"].clone());
    let before = uid().unwrap();
    case.kubectl(&["delete", "ddep", "web", "--timeout=60s"]);
    flux.look(case);
    assert_ne!(uid().unwrap(), before);
    images(case, IMAGE_2, 2);
}

/// Flux waits for a probe, and what goes from git goes from the host.
fn gated(case: &Case, flux: &Flux, repository: &Repository) {
    let mut gated = deployment("gated", 1, json!([]));
    container(&mut gated)["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/open"]}, "periodSeconds": 1});
    repository.write("gated.yaml", Some(&gated.to_string()));
    let revision = repository.commit("One that waits to be opened");
    flux.says(case, &revision, "Unknown", "Progressing");
    let id = until("its instance", SOON, || {
        case.containers("gated").pop().ok_or("there is none".to_owned())
    });
    until("its probe to say no", SOON, || {
        same(case.condition("gated", "Ready")?.1.as_str(), "Unhealthy")
    });
    let told = Stream::start(case, "ddep");
    flux.says(case, &revision, "Unknown", "Progressing");
    docker_ok(&["exec", &id, "touch", "/tmp/open"]);
    flux.applied(case, &revision);
    told.find("the gated one to be ready", |e| {
        e.name() == "gated" && e.condition("Ready")["status"] == "True"
    });
    repository.write("gated.yaml", None);
    let revision = repository.commit("Without it");
    flux.applied(case, &revision);
    until("the container to be gone", SOON, || {
        same(case.containers("gated"), Vec::new())
    });
    assert!(case.get("ddep/gated").is_err());
}

/// A version that cannot run is reported as failed, and what ran goes on; a commit more and all is well.
fn broken(case: &Case, flux: &Flux, repository: &Repository, good: &Value) {
    let before = case.containers("web");
    let mut web = good.clone();
    container(&mut web)["image"] = json!("supercargo-test/no-such-image:1");
    container(&mut web)["imagePullPolicy"] = json!("Never");
    web["spec"]["progressDeadlineSeconds"] = json!(3);
    repository.write("web.yaml", Some(&web.to_string()));
    let revision = repository.commit("A version that cannot run");
    let said = flux.says(case, &revision, "False", "HealthCheckFailed");
    assert!(
        said.contains(&format!("DockerDeployment/{}/web", case.ns)),
        "{said}"
    );
    assert!(said.contains("Failed"), "{said}");
    assert!(
        before.iter().all(|id| case.containers("web").contains(id)),
        "what ran was taken away"
    );
    images(case, IMAGE_2, 2);
    repository.write("web.yaml", Some(&good.to_string()));
    let revision = repository.commit("Back");
    flux.applied(case, &revision);
    assert_eq!(case.containers("web"), before);
}

/// Versions of all that the operator writes, and how many events it has told.
fn written(case: &Case) -> BTreeMap<String, String> {
    let list = |what: &str| -> Vec<Value> {
        let said = case.kubectl(&["get", what, "-o", "json"]);
        serde_json::from_str::<Value>(&said).unwrap()["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    let word = |object: &Value, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut found: BTreeMap<String, String> = list(WRITTEN)
        .iter()
        .map(|o| {
            (
                format!("{} {}", word(o, "/kind"), word(o, "/metadata/name")),
                word(o, VERSION),
            )
        })
        .collect();
    for event in list("events.events.k8s.io") {
        if word(&event, "/regarding/apiVersion").starts_with("supercargo.dev/") {
            found.insert(
                format!("Event {}", word(&event, "/metadata/name")),
                word(&event, VERSION),
            );
        }
    }
    for id in case.labelled("ps", &[]) {
        found.insert(format!("container {id}"), String::new());
    }
    found
}

/// While Flux applies everything anew every ten seconds, nothing of ours is written.
fn still(case: &Case, flux: &Flux) {
    case.settle();
    let window = Duration::from_secs(number("GITOPS_STILL_SECONDS", 300).try_into().unwrap());
    let (before, rounds) = (written(case), flux.rounds());
    assert!(
        before.keys().any(|what| what.starts_with("DockerDeployment")),
        "{before:?}"
    );
    std::thread::sleep(window);
    let rounds = flux.rounds() - rounds;
    assert_eq!(written(case), before, "something of ours was written");
    assert!(rounds > 0, "Flux did nothing meanwhile: {}", flux.logs());
    println!(
        "{} objects, events and containers stood still for {} s, while Flux applied everything {rounds} times",
        before.len(),
        window.as_secs()
    );
}
