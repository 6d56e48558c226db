//! What is shipped for GitOps tools: the health of our kinds in Argo CD, run by the Lua that Argo CD has inside, and
//! kustomize's names, by the kustomize that kubectl has inside.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{project, run, script},
    health::{agree, kstatus, lua},
    render::documents,
};

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

/// With the conditions that `status::secret` sets: nobody has looked, every value opens, or one does not for a cause.
fn secret(valid: Option<bool>, cause: Option<&str>) -> Value {
    let also = match (valid, cause) {
        (None, _) => &[][..],
        (Some(true), _) => &[("Valid", "True"), ("Ready", "True")],
        (_, Some("KeyRingUnavailable")) => &[("Valid", "False"), ("Ready", "False"), ("Reconciling", "True")],
        _ => &[("Valid", "False"), ("Ready", "False"), ("Stalled", "True")],
    };
    let mut made = deployment(1, 1, &[&[("InUse", "False")], also].concat());
    made["kind"] = json!("DockerSecret");
    let keys: Vec<Value> = cause
        .map(|cause| json!({"name": "k", "reason": cause}))
        .into_iter()
        .collect();
    made["status"]["keys"] = json!(keys);
    made
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
        (secret(Some(true), None), "Healthy"),
        (secret(Some(false), Some("ScopeMismatch")), "Degraded"),
        (secret(Some(false), Some("KeyRingUnavailable")), "Progressing"),
    ];
    let objects: Vec<Value> = cases.iter().map(|(object, _)| object.clone()).collect();
    let told = lua(&objects).into_iter().zip(kstatus(&objects));
    for ((object, wanted), (found, kstatus)) in cases.iter().zip(told) {
        assert_eq!(found, *wanted, "{object}");
        assert!(agree(&kstatus, &found), "kstatus says {kstatus}: {object}");
    }
    // Here kstatus would say that all is well of what nobody has seen; the definition has a default against that.
    let unseen = [bare, secret(None, None)];
    assert_eq!(kstatus(&unseen), ["Current", "Current"]);
    assert_eq!(lua(&unseen), ["Progressing", "Progressing"]);
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

/// A deployment that names other objects of the kustomization wherever it can, and one that is not of it.
fn named() -> Value {
    let from = |name: &str, kind: &str| json!({"secretKeyRef": {"name": name, "key": "k", "kind": kind}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret", "metadata": {"name": "db"}},
        {"apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": "web"},
         "spec": {"template": {"spec": {"imagePullSecrets": [{"name": "pull"}], "volumes": [
            {"name": "a", "secret": {"secretName": "db"}},
            {"name": "b", "secret": {"secretName": "api", "kind": "Secret"}},
            {"name": "c", "configMap": {"name": "settings"}},
            {"name": "d", "projected": {"sources": [{"secret": {"name": "db"}}, {"configMap": {"name": "settings"}}]}}],
          "containers": [
            {"name": "web", "image": "x", "env": [
                {"name": "A", "valueFrom": from("db", "DockerSecret")},
                {"name": "B", "valueFrom": from("api", "Secret")},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}},
                {"name": "D", "valueFrom": from("elsewhere", "DockerSecret")}],
             "envFrom": [{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "settings"}}]}]}}}},
    ]})
}

#[test]
fn kustomizes_names_reach_every_reference_of_a_deployment() {
    let dir = tempfile::tempdir().unwrap();
    let names = project().join("packaging/kustomize/namereference.yaml");
    std::fs::copy(names, dir.path().join("namereference.yaml")).unwrap();
    let objects = named();
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
    let volumes = &pod["volumes"];
    assert_eq!(volumes[0]["secret"]["secretName"], db);
    assert_eq!(volumes[1]["secret"]["secretName"], api);
    assert_eq!(volumes[2]["configMap"]["name"], settings);
    assert_eq!(volumes[3]["projected"]["sources"][0]["secret"]["name"], db);
    assert_eq!(
        volumes[3]["projected"]["sources"][1]["configMap"]["name"],
        settings
    );
    // A new value is a new name, and the deployment follows it: it rolls.
    let ([_, _, changed, _], pod) = write("MODE=b");
    assert_ne!(changed, settings);
    assert_eq!(
        pod["containers"][0]["envFrom"][1]["configMapRef"]["name"],
        changed
    );
}
