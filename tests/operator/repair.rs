//! What hands and programs do to containers, and how it is put right; what is not ours.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use supercargo::{
    engine::{Containers, Kind, Networks, Op, SecretEnv, decorate::Decorator, fake::Fake, limited::Limited},
    execute::Program,
    state::container::{Limits, RunState},
};

use super::bench::{Bench, container, named, web};

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
async fn a_host_at_rest_is_asked_four_times_a_minute() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let mut bench = Bench::still();
    let count = move |op: Op, _: Result<(), Kind>, _: Duration| seen.lock().unwrap().push(op);
    bench.start_on(Limited::new(bench.fake.clone(), 4, count));
    bench.settle(web(3)).await;
    // The first list after a change looks at what has changed.
    tokio::time::sleep(Duration::from_secs(150)).await;
    asked.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = asked.lock().unwrap().clone();
    let lists = calls.iter().filter(|op| **op == Op::ListContainers).count();
    assert!(
        lists >= 9 && calls.len() <= 41,
        "{} calls in ten minutes: {calls:?}",
        calls.len()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_event_would_have_told_is_found_by_the_next_list() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    tokio::time::sleep(Duration::from_secs(150)).await;
    let id = bench.ids("web")[0].clone();
    bench.fake.lose_events(|fake| fake.kill(&id));
    bench.within(90, "it runs again", |b| b.live("web") == 2).await;
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

#[tokio::test(start_paused = true)]
async fn a_container_or_an_agent_that_no_engine_can_start_any_more_is_made_anew() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    let agent = |b: &Bench| {
        let all = b.fake.containers();
        let found = all.iter().find(|c| !c.label("supercargo.dev/agent").is_empty());
        found.map(|c| (c.id.clone(), c.state))
    };
    let (old, old_agent) = (bench.ids("web")[0].clone(), agent(&bench).unwrap().0);
    for id in [&old, &old_agent] {
        bench.fake.forget_start(id);
        bench.fake.crash(id, 1);
    }
    bench
        .within(90, "others run", |b| {
            let another = |(id, state)| id != old_agent && state == RunState::Running;
            b.live("web") == 1 && !b.ids("web").contains(&old) && agent(b).is_some_and(another)
        })
        .await;
    let ids: Vec<_> = bench.fake.containers().into_iter().map(|c| c.id).collect();
    assert!(!ids.contains(&old) && !ids.contains(&old_agent), "{ids:?}");
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_lost_its_networks_gets_them_back_and_never_all_at_once() {
    let bench = Bench::running();
    bench.settle(web(3)).await;
    let old = bench.ids("web");
    bench.fake.lose_networks();
    let least = std::cell::Cell::new(3);
    bench
        .within(120, "others run, on a network that is there", |b| {
            least.set(least.get().min(b.live("web")));
            b.live("web") == 3 && b.ids("web").iter().all(|id| !old.contains(id))
        })
        .await;
    assert!(least.get() >= 2, "{} ran", least.get());
    let networks = bench.fake.list_networks().await.unwrap();
    let there = |id: &String| networks.iter().any(|network| network.id == *id);
    for one in bench.fake.containers() {
        assert!(
            one.networks.values().all(|place| there(&place.network_id)),
            "{one:?}"
        );
    }
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn images_of_other_versions_agents_go_unless_a_container_is_made_from_them() {
    let bench = Bench::running();
    let [old, used, young, theirs] = [
        "supercargo/agent:000000000001",
        "supercargo/agent:000000000002",
        "supercargo/agent:000000000003",
        "supercargo/agent:1.0",
    ];
    for image in [old, used, theirs] {
        bench.fake.add_image(image);
    }
    bench.settle(web(1)).await;
    let own = Program::of_file(std::path::Path::new("Cargo.toml")).unwrap();
    let own = own.image().image.clone();
    // Another operator's agent, of another version, which is stopped at the moment.
    let mut spec = bench
        .fake
        .world()
        .containers
        .values()
        .next()
        .unwrap()
        .spec
        .clone();
    spec.name = "another-operators".to_owned();
    spec.image = used.to_owned();
    spec.labels = BTreeMap::new();
    spec.network = None;
    let other = bench
        .fake
        .create_container(&spec, &SecretEnv::new())
        .await
        .unwrap();
    let there = |image: &str| bench.fake.world().images.contains(image);
    // An hour and a quarter: longer than it waits between two looks and an image is young.
    let later = || tokio::time::sleep(Duration::from_secs(75 * 60));
    tokio::time::sleep(Duration::from_secs(280)).await;
    assert!(there(old) && there(used), "nothing goes at once");
    later().await;
    assert!(!there(old) && there(used) && there(&own) && there(theirs));
    bench.fake.remove_by_hand(&other);
    bench.fake.add_image(young);
    tokio::time::sleep(Duration::from_secs(9 * 60)).await;
    assert!(there(young), "whoever brought it may be about to use it");
    later().await;
    assert!(!there(used) && !there(young) && there(&own) && there(theirs));
    // The last deployment goes, and its agent: the image of this version stays for the next one.
    bench.delete("web");
    bench
        .eventually("it is gone", |b| b.deployment("web").is_null())
        .await;
    later().await;
    assert!(there(&own));
}

/// An engine that is slow with networks: it makes one a second late, and what it says of them was so two seconds ago.
struct Late(Fake);

impl Decorator for Late {
    type Inner = Fake;

    fn inner(&self) -> &Fake {
        &self.0
    }

    async fn around<T: Send>(
        &self,
        op: Op,
        _: &str,
        call: impl Future<Output = Result<T, supercargo::engine::Error>> + Send,
    ) -> Result<T, supercargo::engine::Error> {
        if op == Op::CreateNetwork {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let answer = call.await;
        if op == Op::ListNetworks {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_newer_than_what_the_engine_said_of_networks_is_not_taken_for_lost() {
    let mut bench = Bench::still();
    bench.start_on(Late(bench.fake.clone()));
    let names: Vec<String> = (0..6).map(|n| format!("web-{n}")).collect();
    for name in &names {
        bench.apply(named(name, 1));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for name in &names {
        bench.ready(name).await;
    }
    assert_eq!(bench.fake.count(Op::RemoveContainer), 0);
}
