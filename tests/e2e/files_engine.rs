//! Files on an engine that goes away and comes back, and on one that is elsewhere. An engine that is restarted under
//! containers that run on has forgotten who uses its volumes: whoever mounts one next gets another, empty one of the same name.

use serde_json::json;

use super::files::{PASSWORD, all_read, runs, with_volume};
use crate::harness::{
    IMAGE, INSTANCE,
    case::{Case, container, from_secret},
    engine::{Engine, LiveRestore},
    same, until,
};

const PROGRAM: &str = "supercargo.dev/program";

fn scale(case: &Case, replicas: &str) {
    case.kubectl(&["scale", "ddep/web", "--replicas", replicas]);
}

fn web(case: &Case, value: &str) {
    case.secret("db", &[("password", value)]);
    case.apply_json(&with_volume(
        "web",
        2,
        json!({"name": "db", "secret": {"secretName": "db"}}),
    ));
    case.ready("web");
    all_read(case, "web", 2, PASSWORD, value);
}

/// The engine is restarted, with live restore and without; a container that comes later, and a value that changes, are
/// where every container sees them.
pub fn restarted() {
    let case = Case::start_on(Engine::start(), "files-engine");
    let (first, second, third) = (case.file_value(), case.file_value(), case.file_value());
    web(&case, &first);
    let before = runs(&case, "web");
    case.engine().stop();
    case.engine().go(LiveRestore::On);
    until("the operator to see the engine again", super::files::LONG, || {
        same(runs(&case, "web"), before.clone())
    });
    scale(&case, "3");
    all_read(&case, "web", 3, PASSWORD, &first);
    case.ready("web");
    case.secret("db", &[("password", &second)]);
    all_read(&case, "web", 3, PASSWORD, &second);
    case.ready("web");

    // Without it all ended, and nothing is in memory any more.
    case.engine().stop();
    case.engine().go(LiveRestore::Off);
    all_read(&case, "web", 3, PASSWORD, &second);
    case.secret("db", &[("password", &third)]);
    all_read(&case, "web", 3, PASSWORD, &third);
    case.ready("web");
    case.finish();
}

/// An engine that is reached over TCP and TLS alone: nothing of delivery needs its disk.
pub fn remote() {
    let case = Case::start_on(Engine::start_remote(), "files-remote");
    let (first, second) = (case.file_value(), case.file_value());
    web(&case, &first);
    let before = runs(&case, "web");
    case.secret("db", &[("password", &second)]);
    all_read(&case, "web", 2, PASSWORD, &second);
    same(runs(&case, "web"), before).unwrap();
    assert_eq!(
        case.proxy.mark(),
        0,
        "a call went over the local socket, which is no way to this engine"
    );
    case.finish();
}

/// An engine that was killed as it copied the program into its volume: nobody starts through a half of it, and it is made
/// again.
pub fn half_a_program() {
    let case = Case::start_on(Engine::start(), "files-half");
    let value = case.file_value();
    case.secret("db", &[("password", &value)]);
    let mut web = with_volume("web", 1, json!({"name": "db", "secret": {"secretName": "db"}}));
    web["spec"]["secretEnv"] = json!("Protected");
    container(&mut web)["env"] = json!([from_secret("PASSWORD", "db", "password")]);
    case.apply_json(&web);
    case.ready("web");
    let label = format!("{PROGRAM}={}", case.instance);
    let instance = format!("{INSTANCE}={}", case.instance);
    let programs = || {
        let filter = format!("label={label}");
        let listed = case.docker(&["volume", "ls", "-q", "--filter", &filter]);
        listed.out.trim().to_owned()
    };
    let volume = programs();
    assert!(volume.starts_with("supercargo_program_"), "{volume}");
    case.kubectl(&["delete", "ddep", "web", "--timeout=90s"]);
    assert_eq!(programs(), "");

    let made = case.docker(&[
        "volume", "create", "--label", &label, "--label", &instance, &volume,
    ]);
    assert!(made.ok, "{}", made.err);
    let mount = format!("{volume}:/program");
    let half = "head -c 1000000 /dev/urandom > /program/supercargo; chmod 755 /program/supercargo";
    let filled = case.docker(&["run", "--rm", "-v", &mount, IMAGE, "sh", "-c", half]);
    assert!(filled.ok, "{}", filled.err);
    case.apply_json(&web);
    case.ready("web");
    let read = "/run/supercargo/bin/supercargo run -- sh -c 'printf %s \"$PASSWORD\"'";
    assert!(
        case.exec(&case.one("web"), read).unwrap() == value,
        "through a program that is whole"
    );
    let told = case.event("SecretDeliveryError");
    assert!(told.contains("was not whole"), "{told}");
    case.finish();
}
