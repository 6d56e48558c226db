//! `rollout`, on an API server whose operator looks away: what the verbs read they find as an operator would have written it.

use serde_json::{Value, json};

use crate::lab::{Lab, Running};

fn manifest(lab: &Lab, image: &str) -> Value {
    json!({
        "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment",
        "metadata": { "name": "web", "namespace": lab.namespace, "labels": { "app": "web" } },
        "spec": { "replicas": 3, "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } },
    })
}

fn apply(lab: &Lab, object: &Value) {
    lab.kubectl(&["apply", "-f", "-"], &object.to_string());
}

fn web(lab: &Lab) -> Value {
    let text = lab.kubectl(&["get", "ddep", "web", "-n", &lab.namespace, "-o", "json"], "");
    serde_json::from_str(&text).unwrap()
}

/// Counts and conditions, as an operator that has seen the newest generation.
fn status(lab: &Lab, counts: [i32; 3], condition: (&str, &str)) {
    let status = json!({ "status": {
        "observedGeneration": web(lab)["metadata"]["generation"],
        "replicas": counts[0], "updatedReplicas": counts[1], "availableReplicas": counts[2],
        "conditions": [{
            "type": condition.0, "status": "True", "reason": condition.1, "message": "as it was found",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }],
    } });
    let (n, patch) = (lab.namespace.as_str(), status.to_string());
    lab.kubectl(
        &[
            "patch",
            "ddep",
            "web",
            "-n",
            n,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ],
        "",
    );
}

fn rollout(lab: &Lab, args: &[&str]) -> (Option<i32>, String, String) {
    let ran = lab.supercargo(&[&["rollout"], args, &["-n", &lab.namespace]].concat());
    (ran.code, ran.out, ran.err)
}

#[test]
fn status_waits_in_the_words_of_kubectl_and_fails_when_it_cannot_get_there() {
    let lab = Lab::start("status");
    apply(&lab, &manifest(&lab, "app:1"));
    let ask = |args: &[&str]| rollout(&lab, &[&["status"], args].concat());
    let (code, out, _) = ask(&["web", "--watch=false"]);
    let unseen = "Waiting for deployment spec update to be observed...\n";
    assert_eq!((code, out.as_str()), (Some(0), unseen));
    let (code, out, err) = ask(&["ddep/web", "--timeout", "300ms"]);
    assert_eq!((code, out.as_str()), (Some(1), unseen));
    assert!(
        err.contains("within 300ms") && err.contains("kubectl describe ddep web"),
        "{err}"
    );

    let running = Running::start(lab.command(&["rollout", "status", "-l", "app=web", "-n", &lab.namespace]));
    running.expect("to be observed");
    status(&lab, [4, 1, 3], ("Reconciling", "RolloutStarted"));
    running.expect("1 out of 3 new replicas have been updated...");
    status(&lab, [4, 3, 3], ("Reconciling", "RolloutStarted"));
    running.expect("1 old replicas are pending termination...");
    status(&lab, [3, 3, 3], ("Ready", "RolloutComplete"));
    running.expect("deployment \"web\" successfully rolled out");
    assert_eq!(running.ended(), Some(0));

    status(&lab, [3, 0, 3], ("Stalled", "ProgressDeadlineExceeded"));
    let (code, _, err) = ask(&["web"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("exceeded its progress deadline: as it was found"),
        "{err}"
    );
    let (code, _, err) = ask(&["none"]);
    assert!(code == Some(1) && err.contains("kubectl get ddep"), "{err}");
    assert_eq!(ask(&["-l", "app=none"]).0, Some(1));
}

#[test]
fn pause_resume_and_restart_change_one_thing_and_refuse_what_is_so_already() {
    let lab = Lab::start("change");
    apply(&lab, &manifest(&lab, "app:1"));
    let ask = |args: &[&str]| rollout(&lab, args);
    assert_eq!(ask(&["resume", "web"]).0, Some(1));
    assert_eq!(
        ask(&["pause", "dockerdeployment/web"]).1,
        "dockerdeployment.supercargo.dev/web paused\n"
    );
    assert_eq!(web(&lab)["spec"]["paused"], true);
    for refused in [&["pause", "web"][..], &["restart", "web"], &["undo", "web"]] {
        let (code, out, err) = ask(refused);
        assert!(
            code == Some(1) && out.is_empty() && err.contains("paused"),
            "{refused:?}: {err}"
        );
    }
    assert_eq!(
        ask(&["resume", "-l", "app=web"]).1,
        "dockerdeployment.supercargo.dev/web resumed\n"
    );
    assert_eq!(web(&lab)["spec"].get("paused"), None);
    let generation = web(&lab)["metadata"]["generation"].as_i64().unwrap();
    let (code, out, err) = ask(&["restart", "web", "none"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(1), "dockerdeployment.supercargo.dev/web restarted\n")
    );
    assert!(err.contains("1 of 2"), "{err}");
    let object = web(&lab);
    assert_eq!(object["metadata"]["generation"], generation + 1);
    assert!(object["spec"]["template"]["metadata"]["annotations"]["supercargo.dev/restartedAt"].is_string());
}

/// What an operator would have kept of two templates before.
fn keep_two(lab: &Lab) {
    let n = lab.namespace.as_str();
    let uid = web(lab)["metadata"]["uid"].clone();
    for (number, cause) in [(1, "first"), (2, "second")] {
        let revision = json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {
                "name": format!("web-{number}"), "namespace": n, "labels": { "supercargo.dev/uid": uid },
                "annotations": { "kubernetes.io/change-cause": cause },
            },
            "revision": number,
            "data": { "spec": { "template": manifest(lab, &format!("app:{number}"))["spec"]["template"] } },
        });
        lab.kubectl(&["create", "-f", "-"], &revision.to_string());
    }
}

#[test]
fn history_shows_what_is_kept() {
    let lab = Lab::start("undo");
    let ask = |args: &[&str]| rollout(&lab, args);
    apply(&lab, &manifest(&lab, "app:3"));
    let (code, out, err) = ask(&["history", "web"]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "dockerdeployment.supercargo.dev/web\nREVISION   CHANGE-CAUSE\n"
        )
    );
    assert!(err.contains("no history"), "{err}");
    let (code, _, err) = ask(&["undo", "web"]);
    assert!(code == Some(1) && err.contains("no earlier revision"), "{err}");

    keep_two(&lab);
    let (_, out, err) = ask(&["history", "ddep/web"]);
    assert_eq!(
        (out.as_str(), err.as_str()),
        (
            "dockerdeployment.supercargo.dev/web\nREVISION   CHANGE-CAUSE\n1          first\n2          second\n",
            ""
        )
    );
    let (_, out, _) = ask(&["history", "web", "-o", "json"]);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&rows[1]["revision"], &rows[1]["changeCause"], &rows[1]["current"]),
        (&json!(2), &json!("second"), &json!(false))
    );
    let (_, out, _) = ask(&["history", "web", "--revision=1"]);
    assert!(
        out.starts_with("dockerdeployment.supercargo.dev/web with revision #1\n")
            && out.contains("image: app:1"),
        "{out}"
    );
    let (code, out, err) = ask(&["history", "web", "none"]);
    assert!(code == Some(1) && out.contains("second"), "{out}");
    assert!(err.contains("1 of 2 could not be shown: none"), "{err}");
    let (code, out, _) = ask(&["history", "-l", "app=web", "-o", "name"]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "controllerrevision.apps/web-1\ncontrollerrevision.apps/web-2\n"
        )
    );
    let (code, _, err) = ask(&["history", "web", "--revision=7"]);
    assert!(code == Some(1) && err.contains("rollout history web"), "{err}");
    let (code, _, err) = ask(&["status", "web", "--revision=1"]);
    assert!(code == Some(1) && err.contains("no revision yet"), "{err}");
}

#[test]
fn undo_goes_back_to_what_is_kept() {
    let lab = Lab::start("back");
    let n = lab.namespace.as_str();
    let ask = |args: &[&str]| rollout(&lab, args);
    apply(&lab, &manifest(&lab, "app:3"));
    keep_two(&lab);
    let image = || web(&lab)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let (code, out, _) = ask(&["undo", "web", "--dry-run=client"]);
    assert!(
        code == Some(0) && out.contains("rolled back (dry run)\n") && out.contains("image: app:2"),
        "{out}"
    );
    let (code, out, err) = ask(&["undo", "none", "web", "--dry-run=server"]);
    assert!(
        code == Some(1)
            && out.contains("server dry run")
            && err.contains("1 of 2 were not rolled back: none"),
        "{out}{err}"
    );
    let (code, out, _) = ask(&["undo", "web", "--dry-run=server"]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "dockerdeployment.supercargo.dev/web rolled back (server dry run)\n"
        )
    );
    assert_eq!(image(), "app:3");
    assert_eq!(ask(&["restart", "web"]).0, Some(0));
    let restarted = web(&lab)["spec"]["template"]["metadata"].clone();
    let (code, out, err) = ask(&["undo", "web"]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Some(0), "dockerdeployment.supercargo.dev/web rolled back\n", "")
    );
    assert_eq!(image(), "app:2");
    let object = web(&lab);
    assert_eq!(
        object["metadata"]["annotations"]["kubernetes.io/change-cause"],
        "second"
    );
    assert_eq!(
        object["spec"]["template"]["metadata"], restarted,
        "the restart stays"
    );

    lab.kubectl(
        &[
            "label",
            "ddep",
            "web",
            "-n",
            n,
            "kustomize.toolkit.fluxcd.io/name=apps",
            "kustomize.toolkit.fluxcd.io/namespace=flux",
        ],
        "",
    );
    let (code, _, err) = ask(&["undo", "web", "--to-revision=1"]);
    assert!(
        code == Some(0) && err.contains("Flux (Kustomization flux/apps)"),
        "{err}"
    );
    assert_eq!(image(), "app:1");
    assert_eq!(ask(&["undo", "web", "--to-revision=5"]).0, Some(1));
}
