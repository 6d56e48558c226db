//! kill -9 of the operator at random moments of rollouts, scale changes, rotations and deletions. After each restart:
//! the right end state, no orphan, no duplicate. `SUPERCARGO_CHAOS_ROUNDS` says how many times (10).

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2, INSTANCE, SOON,
    case::{Case, container, deployment, from_secret},
    docker_ok, same, until, word, world,
};

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is told by its caller"
)]
fn rounds() -> usize {
    std::env::var("SUPERCARGO_CHAOS_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10)
}

fn random(below: u64) -> u64 {
    word()
        .bytes()
        .fold(0u64, |sum, b| sum.wrapping_mul(131).wrapping_add(b.into()))
        % below
}

pub fn kill_minus_nine() {
    let case = Case::start("chaos", &[]);
    let mut value = case.value();
    case.secret("db", &[("password", &value)]);
    let mut manifest = deployment("web", 2, json!([from_secret("PASSWORD", "db", "password")]));
    case.apply_json(&manifest);
    case.ready("web");
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..rounds() {
        let what = ["rollout", "scale", "rotation", "deletion"][usize::try_from(random(4)).unwrap()];
        match what {
            "rollout" => {
                let image = container(&mut manifest)["image"].clone();
                container(&mut manifest)["image"] = json!(if image == IMAGE { IMAGE_2 } else { IMAGE });
                case.apply_json(&manifest);
            }
            "scale" => {
                let now = manifest["spec"]["replicas"].as_u64().unwrap();
                manifest["spec"]["replicas"] = json!((now + 1 + random(3)) % 4 + 1);
                case.apply_json(&manifest);
            }
            "rotation" => {
                value = case.value();
                case.secret("db", &[("password", &value)]);
            }
            _ => {
                case.kubectl(&["delete", "ddep", "web", "--wait=false"]);
            }
        }
        // The moment itself is what varies: this is no wait for anything.
        std::thread::sleep(Duration::from_millis(random(1500)));
        case.take_operator().kill();
        case.start_operator();
        if what == "deletion" {
            case.kubectl(&["wait", "ddep/web", "--for=delete", "--timeout=60s"]);
            assert!(case.containers("web").is_empty(), "deletion left a container");
            case.apply_json(&manifest);
        }
        case.ready("web");
        right(&case, &manifest, &value);
        *done.entry(what).or_default() += 1;
    }
    println!(
        "kill -9: {} rounds {done:?}, each with the right end state, no orphan, no duplicate",
        rounds()
    );
    case.finish();
}

/// As many containers as wanted, each of the wanted image and value, and no other of this namespace.
fn right(case: &Case, manifest: &Value, value: &str) {
    let wanted = usize::try_from(manifest["spec"]["replicas"].as_u64().unwrap()).unwrap();
    let image = &manifest["spec"]["template"]["spec"]["containers"][0]["image"];
    until("the right end state", SOON, || {
        let ids = case.containers("web");
        same(ids.len(), wanted)?;
        let mut replicas = Vec::new();
        for id in &ids {
            let seen = case.inspect(id)?;
            same(seen["State"]["Running"].clone(), json!(true))?;
            same(seen["Config"]["Image"].clone(), image.clone())?;
            case.has(id, "PASSWORD", value)?;
            replicas.push(seen["Config"]["Labels"]["supercargo.dev/replica"].to_string());
        }
        replicas.sort();
        replicas.dedup();
        same(replicas.len(), wanted)
    });
    let filters = [
        format!("label={INSTANCE}={}", world().instance),
        format!("label=supercargo.dev/namespace={}", case.ns),
    ];
    let all = docker_ok(&["ps", "-aq", "--filter", &filters[0], "--filter", &filters[1]]);
    assert_eq!(all.lines().count(), wanted, "an orphan is in the namespace");
    let networks = docker_ok(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &filters[0],
        "--filter",
        &filters[1],
    ]);
    assert_eq!(networks.lines().count(), 1, "one network per namespace");
}
