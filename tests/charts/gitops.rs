//! What is shipped for GitOps tools: the health of our kinds in Argo CD, run by the Lua that Argo CD has inside, and
//! kustomize's names, by the kustomize that kubectl has inside.

use std::{fmt::Write as _, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{project, run, script},
    render::documents,
};

/// A value as Lua writes it; a null is absent, as in what Argo CD hands over.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // Decimal escapes of bytes are Lua's one way for all of them.
        Value::String(text) => {
            text.bytes().fold("\"".to_owned(), |mut lua, byte| {
                let _written = write!(lua, "\\{byte:03}");
                lua
            }) + "\""
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("[{key:?}]={}", literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}

/// The health of each object.
pub fn health(objects: &[Value]) -> Vec<String> {
    let check = std::fs::read_to_string(project().join("packaging/argocd/health.lua")).unwrap();
    let mut program = format!("local obj\nlocal function health()\n{check}\nend\nlocal told\n");
    for object in objects {
        let object = literal(object);
        let _written = write!(
            program,
            "obj = {object}\ntold = health()\nassert(type(told.message) == 'string')\nprint(told.status)\n"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("health.lua");
    std::fs::write(&file, program).unwrap();
    let said = run(Command::new(script("lua", &[])).arg(&file), b"");
    assert!(said.ok && said.err.is_empty(), "{}{}", said.out, said.err);
    said.out.lines().map(str::to_owned).collect()
}

/// kstatus' rules for a kind that it does not know (cli-utils, `pkg/kstatus/status`).
pub fn kstatus(object: &Value) -> &'static str {
    let status = &object["status"];
    let is = |kind: &str, value: &str| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == kind && condition["status"] == value)
    };
    if object["metadata"].get("deletionTimestamp").is_some() {
        "Terminating"
    } else if status
        .get("observedGeneration")
        .is_some_and(|seen| *seen != object["metadata"]["generation"])
        || is("Reconciling", "True")
    {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "False") || is("Ready", "Unknown") {
        "InProgress"
    } else {
        "Current"
    }
}

/// Whether Argo CD and kstatus say the same of it.
pub fn agree(object: &Value, health: &str) -> bool {
    match (kstatus(object), health) {
        ("Current", "Healthy") | ("Failed", "Degraded") | ("Terminating", "Progressing") => true,
        ("InProgress", word) => matches!(word, "Progressing" | "Suspended"),
        // A secret with a value that does not open is finished, and somebody has to look at it.
        ("Current", "Degraded") => object["kind"] == "DockerSecret",
        ("Current", "Progressing") => object["kind"] == "DockerSecret",
        _ => false,
    }
}

fn deployment(generation: i64, seen: i64, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status)| json!({"type": kind, "status": status, "message": format!("{kind} \"{status}\"\n")}))
        .collect();
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": {"name": "web", "generation": generation}, "spec": {},
        "status": {"observedGeneration": seen, "conditions": conditions},
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

fn secret(valid: Option<&str>, cause: Option<&str>) -> Value {
    let conditions: Vec<Value> = valid
        .map(|status| json!({"type": "Valid", "status": status, "message": "m"}))
        .into_iter()
        .chain([json!({"type": "InUse", "status": "False", "message": "m"})])
        .collect();
    let keys: Vec<Value> = cause
        .map(|cause| json!({"name": "k", "reason": cause}))
        .into_iter()
        .collect();
    json!({"kind": "DockerSecret", "metadata": {"generation": 1}, "spec": {},
        "status": {"observedGeneration": 1, "conditions": conditions, "keys": keys}})
}

#[test]
fn argo_cd_sees_the_health_of_every_state_as_kstatus_does() {
    let ready = [("Ready", "True"), ("Available", "True")];
    let rolling = [("Ready", "False"), ("Reconciling", "True")];
    let stalled = [("Ready", "False"), ("Stalled", "True")];
    let fresh = json!({"kind": "DockerDeployment", "metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": -1}});
    let mut bare = fresh.clone();
    bare.as_object_mut().unwrap().remove("status");
    let suspend = json!({"supercargo.dev/suspend": "true"});
    let cases = [
        (fresh, "Progressing"),
        (deployment(1, 1, &rolling), "Progressing"),
        (deployment(1, 1, &ready), "Healthy"),
        // Written again, and not seen since.
        (deployment(2, 1, &ready), "Progressing"),
        (deployment(2, 1, &stalled), "Progressing"),
        (deployment(2, 2, &stalled), "Degraded"),
        (deployment(3, 3, &[("Ready", "False")]), "Progressing"),
        (deployment(3, 3, &[("Ready", "Unknown")]), "Progressing"),
        (
            deployment(3, 3, &[("Ready", "True"), ("Reconciling", "True")]),
            "Progressing",
        ),
        (
            deployment(
                3,
                3,
                &[("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")],
            ),
            "Healthy",
        ),
        (
            with(deployment(3, 3, &rolling), "/spec/paused", json!(true)),
            "Suspended",
        ),
        (
            with(
                deployment(3, 3, &rolling),
                "/metadata/annotations",
                suspend.clone(),
            ),
            "Suspended",
        ),
        (
            with(deployment(3, 3, &ready), "/metadata/annotations", suspend),
            "Healthy",
        ),
        (
            with(
                deployment(3, 3, &ready),
                "/metadata/deletionTimestamp",
                json!("2026-01-01T00:00:00Z"),
            ),
            "Progressing",
        ),
        (secret(Some("True"), None), "Healthy"),
        (secret(Some("False"), Some("ScopeMismatch")), "Degraded"),
        (secret(Some("False"), Some("KeyRingUnavailable")), "Progressing"),
    ];
    let objects: Vec<Value> = cases.iter().map(|(object, _)| object.clone()).collect();
    for ((object, wanted), found) in cases.iter().zip(health(&objects)) {
        assert_eq!(found, *wanted, "{object}");
        assert!(
            agree(object, &found),
            "kstatus says {}: {object}",
            kstatus(object)
        );
    }
    // Here kstatus would say that all is well of what nobody has seen; the definition has a default against that.
    assert_eq!(
        health(&[bare, secret(None, None)]),
        ["Progressing", "Progressing"]
    );
}

#[test]
fn what_argo_cd_is_given_is_the_check_that_is_tested() {
    let folder = project().join("packaging/argocd");
    let check = std::fs::read_to_string(folder.join("health.lua")).unwrap();
    let patch: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(folder.join("argocd-cm.yaml")).unwrap()).unwrap();
    let data = patch["data"].as_object().unwrap();
    assert_eq!(data.len(), 2);
    for kind in ["DockerDeployment", "DockerSecret"] {
        let key = format!("resource.customizations.health.supercargo.dev_{kind}");
        assert_eq!(data[&key].as_str().unwrap().trim(), check.trim(), "{kind}");
    }
}

fn kustomize(dir: &Path) -> Vec<Value> {
    let said = run(
        Command::new(script("kubectl", &[])).arg("kustomize").arg(dir),
        b"",
    );
    assert!(said.ok, "{}", said.err);
    documents(&said.out)
}

const KUSTOMIZATION: &str = "
namePrefix: shop-
configurations: [namereference.yaml]
resources: [objects.json]
secretGenerator: [{name: api, literals: [token=x]}, {name: pull, literals: [a=b]}]
configMapGenerator: [{name: settings, literals: [MODE=a]}]
";

#[test]
fn kustomizes_names_reach_every_reference_of_a_deployment() {
    let dir = tempfile::tempdir().unwrap();
    let names = project().join("packaging/kustomize/namereference.yaml");
    std::fs::copy(names, dir.path().join("namereference.yaml")).unwrap();
    let from = |name: &str, kind: &str| json!({"secretKeyRef": {"name": name, "key": "k", "kind": kind}});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret", "metadata": {"name": "db"}},
        {"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": "web"},
         "spec": {"template": {"spec": {"imagePullSecrets": [{"name": "pull"}], "containers": [
            {"name": "web", "image": "x", "env": [
                {"name": "A", "valueFrom": from("db", "DockerSecret")},
                {"name": "B", "valueFrom": from("api", "Secret")},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}},
                {"name": "D", "valueFrom": from("elsewhere", "DockerSecret")}],
             "envFrom": [{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "settings"}}]}]}}}},
    ]});
    let write = |mode: &str| {
        std::fs::write(
            dir.path().join("kustomization.yaml"),
            KUSTOMIZATION.replace("MODE=a", mode),
        )
        .unwrap();
        std::fs::write(dir.path().join("objects.json"), objects.to_string()).unwrap();
        let made = kustomize(dir.path());
        let name = |kind: &str, part: &str| {
            let mut names = made
                .iter()
                .filter(|o| o["kind"] == kind)
                .filter_map(|o| o["metadata"]["name"].as_str());
            names.find(|name| name.contains(part)).unwrap().to_owned()
        };
        let names = [
            name("DockerSecret", "db"),
            name("Secret", "api"),
            name("ConfigMap", "settings"),
            name("Secret", "pull"),
        ];
        let web = made
            .iter()
            .find(|object| object["kind"] == "DockerDeployment")
            .unwrap()
            .clone();
        (names, web["spec"]["template"]["spec"].clone())
    };
    let ([db, api, settings, pull], pod) = write("MODE=a");
    assert_eq!(db, "shop-db");
    for hashed in [&api, &settings, &pull] {
        assert!(
            hashed.starts_with("shop-") && hashed.len() > "shop-settings".len(),
            "{hashed}"
        );
    }
    let container = &pod["containers"][0];
    let reference = |n: usize, kind: &str| container["env"][n]["valueFrom"][kind]["name"].clone();
    assert_eq!(reference(0, "secretKeyRef"), db);
    assert_eq!(reference(1, "secretKeyRef"), api);
    assert_eq!(reference(2, "configMapKeyRef"), settings);
    assert_eq!(
        reference(3, "secretKeyRef"),
        "elsewhere",
        "what is not of the kustomization keeps its name"
    );
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], db);
    assert_eq!(container["envFrom"][1]["configMapRef"]["name"], settings);
    assert_eq!(pod["imagePullSecrets"][0]["name"], pull);
    // A new value is a new name, and the deployment follows it: it rolls.
    let ([_, _, changed, _], pod) = write("MODE=b");
    assert_ne!(changed, settings);
    assert_eq!(
        pod["containers"][0]["envFrom"][1]["configMapRef"]["name"],
        changed
    );
}
