//! Rollouts that wait for probes: never ready, late, dead, asked by a command; and the agent that tells.

use serde_json::{Value, json};
use supercargo::{
    engine::Op,
    state::container::{ContainerId, RunState},
};

use super::bench::{Bench, container, web};

fn probed(replicas: u32) -> Value {
    let mut object = web(replicas);
    container(&mut object)["readinessProbe"] = json!({ "httpGet": { "port": 80 } });
    object["spec"]["progressDeadlineSeconds"] = json!(20);
    object
}

async fn serving(bench: &Bench, replicas: u32) -> Vec<ContainerId> {
    bench.apply(probed(replicas));
    bench
        .eventually("they run", |b| b.live("web") == replicas as usize)
        .await;
    assert!(!bench.is_ready("web"), "nobody has said yes");
    let ids = bench.ids("web");
    for id in &ids {
        bench.fake.set_health(id, true, true, "");
    }
    bench.eventually("ready", |b| b.is_ready("web")).await;
    ids
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_never_gets_ready_is_told_once_and_for_all_and_ends_nothing() {
    let bench = Bench::running();
    let old = serving(&bench, 2).await;
    let mut broken = probed(2);
    container(&mut broken)["image"] = json!("app:2");
    bench.apply(broken);
    bench.eventually("one beside them", |b| b.live("web") == 3).await;
    let new = bench.ids("web").into_iter().find(|id| !old.contains(id)).unwrap();
    bench.fake.set_health(&new, false, true, "readiness probe: no");
    let late = |b: &Bench| {
        b.condition("web", "Stalled")
            .is_some_and(|(_, reason, _)| reason == "ProgressDeadlineExceeded")
    };
    bench.eventually("late", late).await;
    bench
        .always(300, "late, and all serve", |b| late(b) && b.live("web") == 3)
        .await;
    assert_eq!(bench.told("ProgressDeadlineExceeded"), 1);
    assert!(bench.told("Unhealthy") >= 1);
    // It was only late.
    bench.fake.set_health(&new, true, true, "");
    bench
        .eventually("the next one", |b| {
            b.ids("web").iter().filter(|id| !old.contains(id)).count() == 2
        })
        .await;
    assert!(bench.condition("web", "Stalled").is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dead_by_its_probe_is_started_again_and_counted() {
    let bench = Bench::running();
    let ids = serving(&bench, 1).await;
    let started = bench.of("web")[0].started_at;
    bench.fake.set_health(&ids[0], true, false, "liveness probe: no");
    bench
        .eventually("another run", |b| {
            let view = &b.of("web")[0];
            view.state == RunState::Running && view.started_at != started
        })
        .await;
    assert_eq!(bench.ids("web"), ids);
    assert!(bench.told("Unhealthy") == 1, "{:?}", bench.events());
    bench.fake.set_health(&ids[0], true, true, "");
    bench.eventually("ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.status("web")["instances"][0]["restarts"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_operator_forgets_nobody_who_was_ready() {
    let mut bench = Bench::running();
    serving(&bench, 2).await;
    let before = bench.status("web");
    bench.kill().await;
    bench.start();
    bench
        .always(120, "ready", |b| {
            b.is_ready("web") && b.status("web")["instances"] == before["instances"]
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_a_command_is_asked_by_the_operator() {
    let bench = Bench::running();
    bench.fake.set_exit_code(&["check"], 1);
    let mut object = web(2);
    container(&mut object)["readinessProbe"] =
        json!({ "exec": { "command": ["check"] }, "periodSeconds": 5 });
    bench.apply(object);
    let message = |b: &Bench| {
        b.condition("web", "Ready")
            .map(|(_, _, message)| message)
            .unwrap_or_default()
    };
    bench
        .eventually("told", |b| message(b).contains("exit code 1"))
        .await;
    assert!(!bench.is_ready("web"));
    bench.fake.set_exit_code(&["check"], 0);
    bench.eventually("ready", |b| b.is_ready("web")).await;
    let asked = bench.fake.count(Op::RunCommand);
    tokio::time::sleep(std::time::Duration::from_secs(50)).await;
    let more = bench.fake.count(Op::RunCommand) - asked;
    assert!(
        (18..=22).contains(&more),
        "two containers, every five seconds: {more}"
    );
    bench.fake.set_exit_code(&["check"], 7);
    bench
        .eventually("unready", |b| message(b).contains("exit code 7"))
        .await;
    bench.delete("web");
    bench.eventually("gone", |b| b.deployment("web").is_null()).await;
    let asked = bench.fake.count(Op::RunCommand);
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(
        bench.fake.count(Op::RunCommand),
        asked,
        "nobody is asked any more"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_gone_comes_back_and_makes_nobody_unready() {
    let bench = Bench::running();
    serving(&bench, 2).await;
    let agent = |b: &Bench| {
        let all = b.fake.containers();
        all.into_iter()
            .find(|c| !c.label("supercargo.dev/agent").is_empty() && c.state == RunState::Running)
    };
    for round in 0..2 {
        let before = agent(&bench).unwrap();
        match round {
            0 => bench.fake.kill(&before.id),
            _ => bench.fake.remove_by_hand(&before.id),
        }
        bench
            .eventually("another run of it", |b| {
                agent(b).is_some_and(|now| (now.id, now.started_at) != (before.id.clone(), before.started_at))
            })
            .await;
        bench
            .always(30, "ready", |b| b.is_ready("web") && b.live("web") == 2)
            .await;
    }
}
