//! Drift, stops in the middle, and the end of things.

use serde_json::{Value, json};

use crate::harness::{
    SOON,
    case::{Case, container, deployment, from_secret},
    docker_ok, same, until,
};

pub fn drift() {
    let case = Case::start("drift", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let mut manifest = deployment("web", 1, json!([from_secret("PASSWORD", "db", "password")]));
    container(&mut manifest)["resources"] = json!({"limits": {"memory": "64Mi"}});
    case.apply_json(&manifest);
    case.ready("web");
    let id = case.one("web");
    let name = case.inspect(&id).unwrap()["Name"]
        .as_str()
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let network = docker_ok(&[
        "network",
        "ls",
        "--filter",
        &format!("label=supercargo.dev/namespace={}", case.ns),
        "--format",
        "{{.Name}}",
    ]);
    let mended = |what: &str, fine: &dyn Fn(&Value) -> Result<(), String>| {
        until(what, SOON, || fine(&case.inspect(&id)?));
        assert_eq!(case.one("web"), id, "{what}: in place");
    };
    docker_ok(&["pause", &id]);
    mended("a paused one to go on", &|c| {
        same(c["State"]["Status"].clone(), json!("running"))
    });
    docker_ok(&["rename", &id, &format!("{}-renamed", case.ns)]);
    mended("the name to come back", &|c| {
        same(c["Name"].clone(), json!(format!("/{name}")))
    });
    docker_ok(&["update", "--memory", "96m", "--memory-swap", "96m", &id]);
    mended("the limit to come back", &|c| {
        same(c["HostConfig"]["Memory"].clone(), json!(64 << 20))
    });
    docker_ok(&["network", "disconnect", &network, &id]);
    mended("the network to come back", &|c| {
        let place = c["NetworkSettings"]["Networks"][&network].clone();
        if place.is_object() {
            Ok(())
        } else {
            Err(place.to_string())
        }
    });
    docker_ok(&["update", "--restart", "always", &id]);
    mended("the restart policy to come back", &|c| {
        same(c["HostConfig"]["RestartPolicy"]["Name"].clone(), json!("no"))
    });
    let started = case.inspect(&id).unwrap()["State"]["StartedAt"].clone();
    docker_ok(&["kill", &id]);
    mended("a killed one to run again", &|c| {
        same(c["State"]["Running"].clone(), json!(true))?;
        if c["State"]["StartedAt"] == started {
            Err("not started yet".to_owned())
        } else {
            Ok(())
        }
    });
    docker_ok(&["rm", "-f", &id]);
    until("another to come", SOON, || {
        let ids = case.containers("web");
        same(ids.len(), 1)?;
        if ids[0] == id {
            Err("still the old one".to_owned())
        } else {
            case.has(&ids[0], "PASSWORD", &value)
        }
    });
    case.ready("web");
    case.settle();
    let object = case.get("ddep/web").unwrap();
    assert_eq!(
        object["status"]["instances"][0]["restarts"],
        json!(0),
        "a new container has not been restarted: {}",
        object["status"]
    );
    case.finish();
}

/// The operator is told to stop while a rollout is under way; the next process goes on, with no container too many.
pub fn sigterm() {
    let case = Case::start("sigterm", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let mut manifest = deployment("web", 3, json!([from_secret("PASSWORD", "db", "password")]));
    // Each stop takes two seconds.
    container(&mut manifest)["command"] = json!([
        "sh",
        "-c",
        "trap 'sleep 2; exit 0' TERM; while :; do sleep 60 & wait; done"
    ]);
    case.apply_json(&manifest);
    case.ready("web");
    let before = case.containers("web");
    container(&mut manifest)["image"] = json!(crate::harness::IMAGE_2);
    case.apply_json(&manifest);
    until("the rollout to begin", SOON, || {
        let new = case
            .containers("web")
            .iter()
            .filter(|id| !before.contains(id))
            .count();
        if new > 0 {
            Ok(())
        } else {
            Err("no new container".to_owned())
        }
    });
    case.take_operator().stop();
    let gone = before
        .iter()
        .filter(|id| !case.containers("web").contains(id))
        .count();
    assert!(gone < 3, "it was stopped in the middle");
    case.start_operator();
    case.ready("web");
    case.settle();
    let after = case.containers("web");
    assert_eq!(after.len(), 3);
    for id in &after {
        assert_eq!(case.exec(id, "cat /etc/version").unwrap(), "2");
    }
    case.finish();
}

pub fn deletion() {
    let case = Case::start("deletion", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let env = json!([from_secret("PASSWORD", "db", "password")]);
    for name in ["plain", "orphan", "forced", "inside"] {
        case.apply_json(&deployment(name, 1, env.clone()));
    }
    ["plain", "orphan", "forced", "inside"]
        .iter()
        .for_each(|name| case.ready(name));
    let object = case.get("ddep/plain").unwrap();
    assert!(
        object["metadata"]["finalizers"]
            .to_string()
            .contains("supercargo.dev/teardown")
    );
    case.kubectl(&["delete", "ddep/plain", "--timeout=60s"]);
    assert!(case.containers("plain").is_empty());
    case.kubectl(&["annotate", "ddep/orphan", "supercargo.dev/deletion-policy=Orphan"]);
    case.kubectl(&["delete", "ddep/orphan", "--timeout=60s"]);
    let orphan = case.one("orphan");
    assert_eq!(
        case.inspect(&orphan).unwrap()["State"]["Running"],
        json!(true),
        "an orphan runs on"
    );
    // Docker is away: only force lets it go.
    case.proxy.set_away(true);
    case.kubectl(&["delete", "ddep/forced", "--wait=false"]);
    case.kubectl(&["annotate", "ddep/forced", "supercargo.dev/force-delete=true"]);
    case.kubectl(&["wait", "ddep/forced", "--for=delete", "--timeout=60s"]);
    case.proxy.set_away(false);
    let forced = case.one("forced");
    docker_ok(&["rm", "-f", &orphan, &forced]);
    // A namespace goes with a secret in use and its user.
    let said = case.ask(&["delete", "namespace", &case.ns, "--timeout=120s"], "");
    assert!(said.ok, "{}", said.err);
    assert!(case.containers("inside").is_empty());
    until("the network to go", SOON, || {
        same(case.labelled("network ls", &[]), Vec::new())
    });
    case.finish();
}
