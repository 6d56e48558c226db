//! Rollouts in whose middle something goes away: the engine, with and without live restore, and the way to it. What serves
//! goes on, nothing is made twice, and the rollout ends.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    IMAGE, IMAGE_2,
    case::{Case, container, deployment},
    controller::tail,
    engine::{Engine, LiveRestore},
    same, until,
};

/// An engine takes some seconds to begin.
const COMPLETE: Duration = Duration::from_secs(120);

/// Three, whose stops take a second each.
fn slow_to_end(image: &str) -> Value {
    let mut manifest = deployment("web", 3, json!([]));
    container(&mut manifest)["image"] = json!(image);
    container(&mut manifest)["command"] = json!([
        "sh",
        "-c",
        "trap 'sleep 1; exit 0' TERM; while :; do sleep 60 & wait; done"
    ]);
    manifest
}

/// Image and process of every container of it that runs.
fn running(case: &Case) -> Result<Vec<(String, u64)>, String> {
    let mut all = Vec::new();
    for id in case.containers("web") {
        // One that has just gone does not run.
        let Ok(seen) = case.inspect(&id) else { continue };
        if seen["State"]["Running"] == true {
            let image = seen["Config"]["Image"].as_str().unwrap_or_default().to_owned();
            all.push((image, seen["State"]["Pid"].as_u64().unwrap_or_default()));
        }
    }
    Ok(all)
}

/// Begins a rollout, and waits until it is in the middle.
fn begin(case: &Case, image: &str) {
    case.apply_json(&slow_to_end(image));
    until("the middle of the rollout", COMPLETE, || {
        let all = running(case)?;
        let new = all.iter().filter(|(of, _)| of == image).count();
        match all.len() - new {
            1..=2 if new > 0 => Ok(()),
            old => Err(format!("{old} old and {new} new ones")),
        }
    });
}

/// Waits for its end; `least` run at every look.
fn ends(case: &Case, image: &str, least: usize) {
    until("the end of the rollout", COMPLETE, || {
        let all = running(case)?;
        assert!(all.len() >= least, "{} run\n{}", all.len(), tail(&case.log()));
        let new = all.iter().filter(|(of, _)| of == image).count();
        same((new, case.containers("web").len()), (3, 3))?;
        let (status, reason, message) = case.condition("web", "Ready")?;
        same((status.as_str(), reason.as_str()), ("True", "RolloutComplete")).map_err(|_| message)
    });
    let mut replicas: Vec<String> = case
        .containers("web")
        .iter()
        .map(|id| case.inspect(id).unwrap()["Config"]["Labels"]["supercargo.dev/replica"].to_string())
        .collect();
    replicas.sort();
    replicas.dedup();
    assert_eq!(replicas.len(), 3, "one of each");
    assert_eq!(case.labelled("ps", &["supercargo.dev/agent"]).len(), 1);
    assert_eq!(case.labelled("network ls", &[]).len(), 1);
}

/// How often its containers were started again.
fn restarts(case: &Case) -> Vec<Value> {
    let status = case.get("ddep/web").unwrap()["status"].clone();
    let instances = status["instances"].as_array().cloned().unwrap_or_default();
    instances.iter().map(|one| one["restarts"].clone()).collect()
}

pub fn engine_restarted() {
    let case = Case::start_on(Engine::start(), "restart");
    case.apply_json(&slow_to_end(IMAGE));
    case.ready("web");
    begin(&case, IMAGE_2);
    let all = running(&case).unwrap();
    case.engine().stop();
    let alive = |(_, pid): &&(String, u64)| Path::new(&format!("/proc/{pid}")).exists();
    assert!(
        all.iter().filter(alive).count() >= 3,
        "three serve without it: {all:?}"
    );
    case.engine().go(LiveRestore::On);
    ends(&case, IMAGE_2, 3);
    assert_eq!(
        restarts(&case),
        [json!(0), json!(0), json!(0)],
        "none was touched"
    );

    // Without it all end with the engine, and are started again by the next operator's look.
    case.engine().stop();
    case.engine().go(LiveRestore::Off);
    ends(&case, IMAGE_2, 0);
    begin(&case, IMAGE);
    case.engine().stop();
    case.engine().go(LiveRestore::Off);
    ends(&case, IMAGE, 0);
    case.finish();
}

/// What becomes of an engine that was killed while it made a network, and whose networks were then taken from it.
pub fn networks_lost() {
    let case = Case::start_on(Engine::start(), "netless");
    case.apply_json(&slow_to_end(IMAGE));
    case.ready("web");
    for live_restore in [LiveRestore::On, LiveRestore::Off] {
        case.engine().stop();
        case.engine().lose_networks();
        case.engine().go(live_restore);
        until("all to stand on a network that is there", COMPLETE, || {
            joined(&case)
        });
        ends(&case, IMAGE, 0);
    }
    case.finish();
}

/// Whether the network of every container, agents included, is the one that the engine has.
fn joined(case: &Case) -> Result<(), String> {
    let networks = case.labelled("network ls", &[]);
    same(networks.len(), 1)?;
    let all = case.labelled("ps", &[]);
    same(all.len(), 4)?;
    for id in &all {
        let seen = case.inspect(id)?;
        let on = seen["NetworkSettings"]["Networks"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        for (name, end) in &on {
            let at = end["NetworkID"].as_str().unwrap_or_default();
            if !at.starts_with(&networks[0]) || end["IPAddress"] == "" {
                return Err(format!("{id} is on {name}: {end}"));
            }
        }
        same(on.len(), 1)?;
    }
    Ok(())
}

/// In standalone form the operator and the store go with it.
pub fn api_server_killed() {
    let case = Case::start("killed", &[]);
    case.apply_json(&slow_to_end(IMAGE));
    case.ready("web");
    begin(&case, IMAGE_2);
    case.kill_server();
    let all = running(&case).unwrap();
    assert!(all.len() >= 3, "{all:?}");
    case.start_server();
    ends(&case, IMAGE_2, 3);
    assert_eq!(
        restarts(&case),
        [json!(0), json!(0), json!(0)],
        "none was touched"
    );
    case.finish();
}

pub fn socket_cut() {
    let case = Case::start("cut", &[]);
    case.apply_json(&slow_to_end(IMAGE));
    case.ready("web");
    for image in [IMAGE_2, IMAGE] {
        begin(&case, image);
        case.proxy.set_away(true);
        until("the operator to notice", COMPLETE, || {
            let metrics = case.operator().as_ref().unwrap().get("/metrics")?;
            let away = metrics.contains("supercargo_engine_connected{host=\"local\"} 0");
            same(away, true)?;
            same(running(&case)?.len() >= 3, true)
        });
        case.proxy.set_away(false);
        ends(&case, image, 3);
        assert_eq!(
            restarts(&case),
            [json!(0), json!(0), json!(0)],
            "none was touched"
        );
    }
    case.finish();
}
