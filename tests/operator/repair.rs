//! What hands and programs do to containers, and how it is put right; what is not ours.

use std::collections::BTreeMap;

use serde_json::json;
use supercargo::state::container::{Limits, RunState};

use super::bench::{Bench, container, web};

#[tokio::test(start_paused = true)]
async fn what_hands_did_is_undone() {
    let bench = Bench::running();
    let mut object = web(1);
    container(&mut object)["resources"] = json!({ "limits": { "memory": "64Mi" } });
    bench.settle(object).await;
    let world = bench.fake.world();
    let id = bench.ids("web")[0].clone();
    let network = world.networks.keys().next().unwrap().clone();
    let fake = &bench.fake;
    type Hand<'a> = Box<dyn Fn() + 'a>;
    let hands: Vec<(&str, Hand<'_>)> = vec![
        ("pause", Box::new(|| fake.docker_pause(&id))),
        ("rename", Box::new(|| fake.rename_by_hand(&id, "x"))),
        (
            "limits",
            Box::new(|| {
                fake.set_limits_by_hand(
                    &id,
                    Limits {
                        memory: Some(1 << 30),
                        nano_cpus: None,
                    },
                )
            }),
        ),
        (
            "policy",
            Box::new(|| fake.set_restart_policy_by_hand(&id, "always")),
        ),
        ("disconnect", Box::new(|| fake.disconnect_by_hand(&network, &id))),
        ("connect", Box::new(|| fake.connect_by_hand("bridge", &id))),
        ("kill", Box::new(|| fake.kill(&id))),
        (
            "cpus",
            Box::new(|| {
                fake.set_limits_by_hand(
                    &id,
                    Limits {
                        memory: Some(64 << 20),
                        nano_cpus: Some(7),
                    },
                )
            }),
        ),
    ];
    for (name, hand) in hands {
        hand();
        assert_ne!(bench.fake.world(), world, "{name}");
        bench.within(90, name, |b| b.fake.world() == world).await;
    }
    bench.fake.remove_by_hand(&bench.ids("web")[0]);
    bench.within(90, "removed", |b| b.fake.world() == world).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_backs_off_and_the_status_remembers_across_a_restart_of_the_operator() {
    let mut bench = Bench::running();
    bench.settle(web(1)).await;
    let id = bench.ids("web")[0].clone();
    let mut pauses = Vec::new();
    for round in 0..5 {
        bench.fake.crash(&id, 3);
        let ended = tokio::time::Instant::now();
        if round == 3 {
            bench
                .eventually("told", |b| b.status("web")["instances"][0]["reason"] == "BackOff")
                .await;
            bench.kill().await;
            bench.start();
        }
        bench.eventually("again", |b| b.live("web") == 1).await;
        pauses.push(ended.elapsed().as_secs());
        bench
            .eventually("counted", |b| {
                b.status("web")["instances"][0]["restarts"] == round + 1
            })
            .await;
    }
    assert_eq!(pauses, [0, 10, 20, 40, 80]);
    assert_eq!(bench.status("web")["instances"][0]["lastExit"]["code"], 3);
}

#[tokio::test(start_paused = true)]
async fn an_end_for_lack_of_memory_is_told_although_the_restart_is_at_once() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    bench.fake.out_of_memory(&bench.ids("web")[0]);
    bench.eventually("told", |b| b.told("OOMKilled") == 1).await;
    bench
        .eventually("kept", |b| {
            b.status("web")["instances"][0]["lastExit"]["reason"] == "OOMKilled"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_container_under_our_name_is_named_and_not_touched() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    let name = bench.of("web")[0].name.clone();
    bench.annotate("web", "supercargo.dev/suspend", "true");
    bench.fake.remove_by_hand(&bench.ids("web")[0]);
    let foreign = bench.fake.add_foreign_container(&name, BTreeMap::new()).unwrap();
    bench.annotate("web", "supercargo.dev/suspend", "false");
    bench
        .eventually("told", |b| b.told("ForeignContainer") == 1)
        .await;
    bench
        .always(60, "untouched", |b| {
            b.fake
                .containers()
                .iter()
                .any(|c| c.id == foreign && c.state == RunState::Running)
        })
        .await;
    bench.fake.remove_by_hand(&foreign);
    bench.ready("web").await;
}
