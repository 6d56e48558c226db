//! What goes wrong around the operator: Docker, the API server, ports, names, commands, images.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{
    IMAGE, SOON,
    case::{Case, container, deployment, from_secret},
    docker, docker_ok, same, until,
};

/// A minute without Docker: the status stays what it was, says after half a minute that the host is away, and what was
/// asked for meanwhile is done when it is back.
pub fn docker_away() {
    let case = Case::start("away", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    case.apply_json(&deployment(
        "web",
        2,
        json!([from_secret("PASSWORD", "db", "password")]),
    ));
    case.apply_json(&deployment("other", 1, json!([])));
    case.ready("web");
    case.ready("other");
    case.settle();
    let counts = |case: &Case| {
        let status = case.get("ddep/web").unwrap()["status"].clone();
        [
            "replicas",
            "readyReplicas",
            "updatedReplicas",
            "availableReplicas",
            "ready",
        ]
        .map(|k| status[k].clone())
    };
    let (before, ids) = (counts(&case), case.containers("web"));
    case.proxy.set_away(true);
    case.kubectl(&["scale", "ddep/other", "--replicas=2"]);
    let begun = Instant::now();
    until("HostReachable to be False", Duration::from_secs(75), || {
        let (status, reason, _) = case.condition("web", "HostReachable")?;
        same((status.as_str(), reason.as_str()), ("False", "HostUnreachable"))
    });
    assert!(
        begun.elapsed() > Duration::from_secs(15),
        "a short absence is no news"
    );
    assert_eq!(counts(&case), before, "what is known stays");
    assert_eq!(case.condition("web", "Ready").unwrap().0, "True");
    assert!(case.event("HostUnreachable").contains("Docker Engine"));
    let gauge = case.operator().as_ref().unwrap().get("/metrics").unwrap();
    assert!(gauge.contains("supercargo_engine_connected{host=\"local\"} 0"));
    case.proxy.set_away(false);
    until("recovery", Duration::from_secs(30), || {
        same(case.containers("other").len(), 2)?;
        match case.condition("web", "HostReachable") {
            Ok((status, ..)) if status == "False" => Err("HostReachable is still False".to_owned()),
            _ => Ok(()),
        }
    });
    case.ready("other");
    assert_eq!(case.containers("web"), ids, "nothing was replaced");
    case.finish();
}

/// In standalone form the operator goes with it.
pub fn api_server_away() {
    let case = Case::start("apiserver", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let manifest = deployment("web", 1, json!([from_secret("PASSWORD", "db", "password")]));
    case.apply_json(&manifest);
    case.ready("web");
    let id = case.one("web");
    case.stop_server();
    // Nobody can be asked, so nothing is done; and nothing is undone.
    docker_ok(&["kill", &id]);
    case.start_server();
    until("the container to run again", Duration::from_secs(90), || {
        same(case.inspect(&id)?["State"]["Running"].clone(), json!(true))
    });
    case.kubectl(&["scale", "ddep/web", "--replicas=2"]);
    case.ready("web");
    assert!(case.containers("web").contains(&id));
    case.all_have("web", 2, "PASSWORD", &value);
    case.finish();
}

pub fn host_port() {
    let case = Case::start("port", &["--publish-address", "127.0.0.1"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut manifest = deployment("web", 1, json!([]));
    container(&mut manifest)["ports"] = json!([{"containerPort": 8080, "hostPort": port}]);
    container(&mut manifest)["command"] = json!([
        "sh",
        "-c",
        "trap 'exit 0' TERM; echo served > /www/index.html; httpd -p 8080 -h /www; while :; do sleep 60 & wait; done"
    ]);
    case.apply_json(&manifest);
    // A container that is none of ours has another one: the engine says so in other words.
    let stranger = ["run", "-d", "-p", "127.0.0.1::80", "--label"];
    let label = format!("supercargo-e2e={}", case.instance);
    let stranger = Foreign(docker_ok(
        &[&stranger[..], &[&label, IMAGE, "sleep", "600"]].concat(),
    ));
    let other = docker_ok(&["port", &stranger.0, "80"]);
    let other = other.rsplit(':').next().unwrap();
    let mut beside = manifest.clone();
    beside["metadata"]["name"] = json!("beside");
    container(&mut beside)["ports"] =
        json!([{"containerPort": 8080, "hostPort": other.parse::<u16>().unwrap()}]);
    case.apply_json(&beside);
    for (name, port) in [("web", port.to_string()), ("beside", other.to_owned())] {
        let message = case.not_ready(name, "PortConflict");
        for part in [port.as_str(), "free the host port or choose another hostPort"] {
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    drop(taken);
    case.ready("web");
    let id = case.one("beside");
    drop(stranger);
    case.ready("beside");
    assert_eq!(case.one("beside"), id, "one attempt, started when it could be");
    let page = until("the published port", SOON, || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").map_err(|e| e.to_string())?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).map_err(|e| e.to_string())?;
        if text.is_empty() {
            Err("no answer".to_owned())
        } else {
            Ok(text)
        }
    });
    assert!(page.contains("served"), "{page}");
    // Another revision takes the port over: the old one ends first.
    let old = case.one("web");
    container(&mut manifest)["workingDir"] = json!("/tmp");
    case.apply_json(&manifest);
    case.ready("web");
    assert_ne!(case.one("web"), old);
    case.finish();
}

/// Its only network belongs to somebody; what already runs elsewhere is not concerned.
pub fn network_pool() {
    let octet = u16::from(Sha256::digest(crate::harness::word().as_bytes())[0]);
    let pool = format!("10.98.{octet}.0/24");
    let case = Case::start("pool", &["--network-pool", &pool]);
    // A part of it is enough to be in the way.
    let theirs = format!("{}-theirs", case.ns);
    let subnet = format!("10.98.{octet}.64/26");
    let stranger = Network(theirs.clone());
    docker_ok(&["network", "create", "--subnet", &subnet, &theirs]);
    case.apply_json(&deployment("web", 1, json!([])));
    let message = case.not_ready("web", "NetworkUnavailable");
    for part in ["network pool", "--network-pool", "remove networks"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(case.containers("web").is_empty());
    drop(stranger);
    case.ready("web");
    // Now it is ours, a rollout needs no other, and another one's end elsewhere takes nothing away.
    let mut manifest = deployment("web", 1, json!([]));
    container(&mut manifest)["image"] = json!(crate::harness::IMAGE_2);
    case.apply_json(&manifest);
    case.ready("web");
    assert_eq!(case.labelled("network ls", &[]).len(), 1);
    case.finish();
}

pub fn bad_command_and_image() {
    let case = Case::start("bad", &[]);
    let value = case.value();
    case.secret("db", &[("password", &value)]);
    let env = json!([from_secret("PASSWORD", "db", "password")]);
    let mut bad = deployment("command", 1, env.clone());
    container(&mut bad)["command"] = json!(["/no/such/program"]);
    case.apply_json(&bad);
    let mut image = deployment("image", 1, env.clone());
    container(&mut image)["image"] = json!("supercargo-test/no-such-image:1");
    container(&mut image)["imagePullPolicy"] = json!("Never");
    case.apply_json(&image);
    let mut crash = deployment("crash", 1, env);
    container(&mut crash)["command"] = json!(["sh", "-c", "exit 7"]);
    case.apply_json(&crash);
    let message = case.not_ready("command", "InvalidSpec");
    assert!(
        message.contains("/no/such/program") || message.contains("command"),
        "{message}"
    );
    let message = case.not_ready("image", "ImagePullError");
    assert!(message.contains("imagePullPolicy"), "{message}");
    let message = case.not_ready("crash", "BackOff");
    assert!(message.contains("exit code 7"), "{message}");
    // All three recover by a change of the spec alone.
    for name in ["command", "image", "crash"] {
        let mut good = deployment(name, 1, json!([from_secret("PASSWORD", "db", "password")]));
        container(&mut good)["imagePullPolicy"] = Value::Null;
        container(&mut good)["image"] = json!(IMAGE);
        case.apply_json(&good);
    }
    for name in ["command", "image", "crash"] {
        case.ready(name);
        case.all_have(name, 1, "PASSWORD", &value);
    }
    case.finish();
}

pub fn foreign_name() {
    let case = Case::start("foreign", &[]);
    case.apply_json(&deployment("web", 1, json!([])));
    case.ready("web");
    let id = case.one("web");
    let name = case.inspect(&id).unwrap()["Name"]
        .as_str()
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    // While the operator is down, somebody takes the name.
    case.take_operator().stop();
    docker_ok(&["rm", "-f", &id]);
    let foreign = Foreign(docker_ok(&[
        "run",
        "-d",
        "--name",
        &name,
        "--label",
        &format!("supercargo-e2e={}", case.instance),
        IMAGE,
        "sleep",
        "600",
    ]));
    case.start_operator();
    let message = case.not_ready("web", "ForeignContainer");
    assert!(message.contains(&name), "{message}");
    let seen = case.inspect(&foreign.0).unwrap();
    assert_eq!(
        (&seen["State"]["Running"], &seen["RestartCount"]),
        (&json!(true), &json!(0)),
        "it is not touched"
    );
    docker_ok(&["rename", &foreign.0, &format!("{}-elsewhere", case.ns)]);
    case.ready("web");
    assert_eq!(case.inspect(&foreign.0).unwrap()["State"]["Running"], json!(true));
    drop(foreign);
    case.finish();
}

/// A network that is nobody's; goes with the case.
struct Network(String);

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

/// A container that is nobody's; goes with the case.
struct Foreign(String);

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}
