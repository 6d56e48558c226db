//! kill -9 of the operator at random moments of rollouts, scale changes, rotations and deletions; in standalone form that
//! is the API server and its store, too. After each restart: all that was acknowledged is there, the right end state, no
//! orphan, no duplicate. `SUPERCARGO_CHAOS_ROUNDS` says how many times (10).

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2, SOON,
    case::{Case, container, deployment, from_secret},
    number, same, until, word,
};

fn rounds() -> usize {
    number("SUPERCARGO_CHAOS_ROUNDS", 10)
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
        let acknowledged = spec(&case);
        case.take_operator().kill();
        case.start_operator();
        if what != "deletion" {
            assert_eq!(spec(&case), acknowledged, "an acknowledged write is lost");
        }
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

/// What the API has of the deployment and its secret; nothing of one that is gone.
fn spec(case: &Case) -> [Value; 2] {
    ["ddep/web", "dsec/db"].map(|what| case.get(what).map_or(Value::Null, |o| o["spec"].clone()))
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
    assert_eq!(
        case.labelled("ps", &["supercargo.dev/uid"]).len(),
        wanted,
        "an orphan is in the namespace"
    );
    assert_eq!(
        case.labelled("network ls", &[]).len(),
        1,
        "one network per namespace"
    );
}
