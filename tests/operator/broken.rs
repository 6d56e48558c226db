//! What people and programs do that is not well: edits without a pause, images that are missing or end at once, probes
//! that flap, ports and networks that strangers have.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use supercargo::{
    engine::{Networks, Op, fake::Fake},
    state::{
        container::{ContainerId, Protocol, PublishedPort, RunState},
        network::NetworkSpec,
    },
};

use super::bench::{Bench, container, named, web};

fn late(b: &Bench) -> bool {
    b.condition("web", "Stalled")
        .is_some_and(|(_, reason, _)| reason == "ProgressDeadlineExceeded")
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_edited_every_second_keeps_its_budget_and_ends_at_the_last_edit() {
    let bench = Bench::running();
    let mut object = web(3);
    object["spec"]["revisionHistoryLimit"] = json!(3);
    container(&mut object)["readinessProbe"] =
        json!({ "exec": { "command": ["check"] }, "periodSeconds": 1 });
    bench.settle(object).await;
    let serving = |b: &Bench| {
        let live = b.live("web");
        // Four may be there, and those that have been told to end.
        assert!((3..=6).contains(&live), "the budget: {live} run");
        assert!(b.of("web").len() <= 6, "what ends is not kept");
        true
    };
    for edit in 1..=40 {
        let round = json!([{ "name": "ROUND", "value": edit.to_string() }]);
        bench.edit("web", |o| container(o)["env"] = round);
        bench.always(1, "the budget", serving).await;
    }
    bench
        .within(60, "the last edit", |b| serving(b) && b.is_ready("web"))
        .await;
    let last = Fake::digest(b"40");
    assert_eq!(bench.env("web", "ROUND"), [last.clone(), last.clone(), last]);
    let history = |b: &Bench| b.cluster.all("controllerrevisions").len();
    bench.eventually("a short history", |b| history(b) <= 4).await;
    assert!(bench.told("RolloutStarted") <= 41);
    assert_eq!(bench.told("ProgressDeadlineExceeded"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_is_late_drains_nothing_and_is_left_behind_by_the_next_edit() {
    for policy in ["Never", "IfNotPresent"] {
        let bench = Bench::running();
        let mut object = web(2);
        object["spec"]["progressDeadlineSeconds"] = json!(20);
        bench.settle(object.clone()).await;
        let old = bench.ids("web");
        let mut broken = object.clone();
        container(&mut broken)["image"] = json!("reg.test/app:none");
        container(&mut broken)["imagePullPolicy"] = json!(policy);
        bench.apply(broken);
        let both = |b: &Bench| b.ids("web") == old && b.live("web") == 2;
        bench
            .within(60, "late", |b| {
                assert!(both(b), "the old ones serve");
                late(b)
            })
            .await;
        bench
            .always(300, "late, and both serve", |b| late(b) && both(b))
            .await;
        // Once before its cause was known, and once with it.
        assert!(
            (1..=2).contains(&bench.told("ProgressDeadlineExceeded")),
            "{policy}"
        );
        let (_, _, message) = bench.condition("web", "Stalled").unwrap();
        assert!(message.contains("image"), "{policy}: {message}");
        bench.apply(object);
        bench.ready("web").await;
        assert!(both(&bench));
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_ends_at_once_is_late_and_drains_nothing() {
    let bench = Bench::running();
    let mut object = web(2);
    object["spec"]["progressDeadlineSeconds"] = json!(60);
    object["spec"]["minReadySeconds"] = json!(5);
    bench.settle(object.clone()).await;
    let old = bench.ids("web");
    container(&mut object)["image"] = json!("app:2");
    bench.apply(object);
    let mut starts = 0;
    for _ in 0..1200 {
        let new = bench.of("web").into_iter().find(|c| c.image == "app:2");
        if let Some(new) = new.filter(|c| c.state == RunState::Running) {
            bench.fake.crash(&new.id, 1);
            starts += 1;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let alive = |id: &ContainerId| {
            bench
                .of("web")
                .iter()
                .any(|c| c.id == *id && c.state == RunState::Running)
        };
        assert!(old.iter().all(alive), "the old ones serve");
    }
    // In five minutes: at once, at once again, then after 10, 20, 40, 80 and 160 s.
    assert!((6..=7).contains(&starts), "{starts}");
    assert!(late(&bench));
    assert!((1..=2).contains(&bench.told("ProgressDeadlineExceeded")));
    let (_, _, message) = bench.condition("web", "Stalled").unwrap();
    assert!(message.contains("exit code 1"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_that_flaps_restarts_nobody_and_is_no_storm_of_events() {
    let bench = Bench::running();
    let mut object = web(2);
    container(&mut object)["readinessProbe"] = json!({ "httpGet": { "port": 80 } });
    bench.apply(object);
    bench.eventually("they run", |b| b.live("web") == 2).await;
    let ids = bench.ids("web");
    ids.iter()
        .for_each(|id| bench.fake.set_health(id, true, true, ""));
    bench.ready("web").await;
    bench.fake.forget_calls();
    bench.cluster.forget_writes();
    let ready = |count: u32| move |b: &Bench| b.status("web")["readyReplicas"] == count;
    for _ in 0..30 {
        bench
            .fake
            .set_health(&ids[0], false, true, "readiness probe: answered 503");
        bench.within(3, "one is ready", ready(1)).await;
        bench.fake.set_health(&ids[0], true, true, "");
        bench.within(3, "both are ready", ready(2)).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), ids);
    for op in [Op::StopContainer, Op::StartContainer, Op::CreateContainer] {
        assert_eq!(bench.fake.count(op), 0, "{op:?}");
    }
    let restarts = |n: usize| bench.status("web")["instances"][n]["restarts"].clone();
    assert_eq!((restarts(0), restarts(1)), (json!(0), json!(0)));
    assert_eq!(bench.told("Unhealthy"), 1, "one event, which counts");
    let writes = bench.cluster.writes();
    let events = writes.iter().filter(|write| write.contains("/events")).count();
    assert!(events <= 6, "{events} writes of events in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_a_strangers_container_has_is_named_and_taken_as_soon_as_it_is_free() {
    let bench = Bench::running();
    let port = PublishedPort {
        container_port: 80,
        protocol: Protocol::Tcp,
        host_ip: "127.0.0.1".to_owned(),
        host_port: 8080,
    };
    let stranger = bench
        .fake
        .add_foreign_container_with_ports("stranger", BTreeMap::new(), vec![port])
        .unwrap();
    let mut object = web(1);
    container(&mut object)["ports"] = json!([{ "containerPort": 80, "hostPort": 8080 }]);
    bench.apply(object);
    bench.eventually("told", |b| b.told("PortConflict") == 1).await;
    let (_, _, message) = bench.condition("web", "Ready").unwrap();
    for part in ["8080", "free the host port or choose another hostPort"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let runs = |b: &Bench| {
        let all = b.fake.containers();
        all.iter()
            .any(|c| c.id == stranger && c.state == RunState::Running)
    };
    bench.always(300, "it is not touched", runs).await;
    assert_eq!(
        bench.of("web").len(),
        1,
        "one attempt, which is started when it can be"
    );
    bench.fake.remove_by_hand(&stranger);
    bench.within(6, "it has the port", |b| b.live("web") == 1).await;
    bench.ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_a_free_network_is_told_and_what_serves_rolls_on() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    // Strangers have all that is left of it.
    let mut strangers = Vec::new();
    for n in 0..256 {
        let spec = NetworkSpec {
            name: format!("stranger-{n}"),
            subnet: format!("10.213.{n}.0/24"),
            labels: BTreeMap::new(),
        };
        strangers.extend(bench.fake.create_network(&spec).await.ok());
    }
    assert_eq!(strangers.len(), 255, "all but ours");
    let mut other: Value = named("api", 1);
    other["metadata"]["namespace"] = json!("elsewhere");
    bench.apply(other);
    let api = |b: &Bench| b.cluster.get("dockerdeployments", "elsewhere", "api").unwrap();
    let told = |b: &Bench| super::bench::condition(&api(b), "Ready");
    bench
        .eventually("told", |b| {
            told(b).is_some_and(|(_, reason, _)| reason == "NetworkUnavailable")
        })
        .await;
    let (_, _, message) = told(&bench).unwrap();
    assert!(
        message.contains("--network-pool") && message.contains("remove networks"),
        "{message}"
    );
    bench.edit("web", |o| container(o)["image"] = json!("app:2"));
    bench
        .within(60, "rolled", |b| {
            assert!(b.live("web") >= 2, "the old ones serve");
            b.is_ready("web") && b.of("web").iter().all(|c| c.image == "app:2")
        })
        .await;
    assert_eq!(bench.live("api"), 0);
    bench.fake.remove_network(&strangers[7]).await.unwrap();
    bench.within(7, "it runs", |b| b.live("api") == 1).await;
}
