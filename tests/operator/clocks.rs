//! A clock that somebody sets, an hour or a day, forward or back: nothing that runs is touched, what is under way goes on,
//! no deadline passes by it, and no pause becomes a day.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use supercargo::{
    clock::Clock,
    controllers::leadership::{Election, Times},
    engine::{Op, Term},
};
use tokio::time::{sleep, timeout};

use super::bench::{Bench, VirtualClock, condition, container, web};
use super::cluster::Cluster;

const JUMPS: [i64; 4] = [3_600, -3_600, 86_400, -86_400];

/// Asked by the operator, every five seconds, and available after five more.
fn asked(replicas: u32) -> Value {
    let mut object = web(replicas);
    container(&mut object)["readinessProbe"] =
        json!({ "exec": { "command": ["check"] }, "periodSeconds": 5 });
    object["spec"]["minReadySeconds"] = json!(5);
    object
}

/// Makes the operator look at it.
fn look(bench: &Bench, word: &str) {
    bench.annotate("web", "supercargo.dev/reconcile-at", word);
}

#[tokio::test(start_paused = true)]
async fn a_jump_restarts_nobody_and_probes_go_on() {
    for jump in JUMPS {
        let bench = Bench::running();
        bench.settle(asked(2)).await;
        let (ids, counts) = (bench.ids("web"), bench.status("web")["availableReplicas"].clone());
        bench.fake.forget_calls();
        bench.clock.jump(jump);
        for minute in 0..3 {
            look(&bench, &minute.to_string());
            for second in 0..60 {
                sleep(Duration::from_secs(1)).await;
                let status = bench.status("web");
                assert!(bench.is_ready("web"), "{jump}, {minute}:{second}: {status}");
                assert_eq!(
                    (bench.ids("web"), &status["availableReplicas"]),
                    (ids.clone(), &counts)
                );
            }
        }
        let asked = bench.fake.count(Op::RunCommand);
        assert!(
            (68..=76).contains(&asked),
            "{jump}: two, every five seconds: {asked}"
        );
        for op in [
            Op::StopContainer,
            Op::StartContainer,
            Op::CreateContainer,
            Op::RemoveContainer,
        ] {
            assert_eq!(bench.fake.count(op), 0, "{jump}: {op:?}");
        }
        let status = bench.status("web");
        let restarts: Vec<&Value> = status["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["restarts"])
            .collect();
        assert_eq!(restarts, [&json!(0), &json!(0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_on_over_a_jump_and_is_not_called_late() {
    for jump in JUMPS {
        let bench = Bench::running();
        bench.settle(asked(3)).await;
        bench.edit("web", |o| container(o)["image"] = json!("app:2"));
        bench
            .eventually("the first of them", |b| {
                assert!(b.rolls_one_at_a_time("web"), "{}", b.live("web"));
                b.of("web").iter().any(|c| c.image == "app:2")
            })
            .await;
        bench.clock.jump(jump);
        bench
            .within(120, &format!("all new after {jump} s"), |b| {
                assert!(b.rolls_one_at_a_time("web"), "{}", b.live("web"));
                b.is_ready("web") && b.of("web").iter().all(|c| c.image == "app:2")
            })
            .await;
        assert_eq!(bench.told("ProgressDeadlineExceeded"), 0, "{jump}");
    }
}

/// Whatever step it is at: withdrawn, stopped, created, not ready for long enough.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_again_and_again_holds_no_rollout() {
    let bench = Bench::running();
    bench.settle(asked(3)).await;
    bench.edit("web", |o| container(o)["image"] = json!("app:2"));
    for moment in 0..120 {
        sleep(Duration::from_millis(173)).await;
        bench.clock.jump(JUMPS[moment % JUMPS.len()]);
    }
    bench
        .within(120, "all new", |b| {
            b.is_ready("web") && b.of("web").iter().all(|c| c.image == "app:2")
        })
        .await;
    assert_eq!(bench.live("web"), 3);
    assert_eq!(bench.told("ProgressDeadlineExceeded"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_passes_by_time_that_passed() {
    for jump in JUMPS {
        let bench = Bench::running();
        bench.settle(asked(1)).await;
        bench.fake.set_exit_code(&["never"], 1);
        bench.edit("web", |o| {
            container(o)["readinessProbe"]["exec"]["command"] = json!(["never"]);
            o["spec"]["progressDeadlineSeconds"] = json!(60);
        });
        let late = |b: &Bench| {
            condition(&b.deployment("web"), "Stalled")
                .is_some_and(|(_, reason, _)| reason == "ProgressDeadlineExceeded")
        };
        bench.eventually("begun", |b| b.live("web") == 2).await;
        bench.clock.jump(jump);
        look(&bench, "now");
        bench
            .always(45, &format!("not late after {jump} s"), |b| !late(b))
            .await;
        bench.within(60, &format!("late after {jump} s"), late).await;
        assert_eq!(bench.live("web"), 2, "nothing is drained");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_restarts_is_never_longer_than_it_is() {
    for jump in JUMPS {
        let bench = Bench::running();
        bench.settle(web(1)).await;
        let id = bench.ids("web")[0].clone();
        for pause in [0, 10] {
            bench.fake.crash(&id, 3);
            if pause > 0 {
                sleep(Duration::from_secs(2)).await;
                bench.clock.jump(jump);
                look(&bench, "now");
            }
            bench
                .within(pause + 2, &format!("again, {jump} s"), |b| b.live("web") == 1)
                .await;
        }
        // No storm follows.
        bench.fake.forget_calls();
        bench.fake.crash(&id, 3);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.fake.count(Op::StartContainer), 1, "{jump}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_is_tried_again_after_its_pause_over_a_jump() {
    for jump in JUMPS {
        let bench = Bench::running();
        let mut object = web(1);
        container(&mut object)["image"] = json!("reg.test/app:1");
        bench.apply(object);
        bench.eventually("told", |b| b.told("ImagePullError") == 1).await;
        bench.clock.jump(jump);
        look(&bench, "now");
        bench.fake.add_registry_image("reg.test/app:1", None);
        bench
            .within(330, &format!("ready after {jump} s"), |b| b.is_ready("web"))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_told_after_half_a_minute_over_a_jump() {
    for jump in JUMPS {
        let bench = Bench::running();
        bench.settle(web(1)).await;
        bench.fake.disconnect();
        sleep(Duration::from_secs(5)).await;
        bench.clock.jump(jump);
        look(&bench, "now");
        let told = |b: &Bench| {
            b.condition("web", "HostReachable")
                .is_some_and(|c| c.0 == "False")
        };
        bench
            .always(20, &format!("nothing is said, {jump} s"), |b| !told(b))
            .await;
        bench.within(10, &format!("told, {jump} s"), told).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_takes_no_leadership_and_gives_none() {
    let clock = VirtualClock::new();
    let cluster = Cluster::new(Arc::<VirtualClock>::clone(&clock));
    cluster.put(
        "namespaces",
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "supercargo-system" } }),
    );
    let candidate = |name: &str| {
        let (term, clock) = (
            Term::not_begun(),
            Arc::<VirtualClock>::clone(&clock) as Arc<dyn Clock>,
        );
        let times = Times::default();
        let client = cluster.client();
        let election = Election::new(
            client,
            "supercargo-system",
            name.to_owned(),
            clock,
            times,
            term.clone(),
        );
        (election, term)
    };
    let ((one, first), (two, second)) = (candidate("one"), candidate("two"));
    let mut held = one.win().await;
    let waits = timeout(Duration::from_secs(400), two.win());
    let leads = timeout(Duration::from_secs(400), one.keep(&mut held));
    let jumps = async {
        for jump in JUMPS {
            sleep(Duration::from_secs(90)).await;
            clock.jump(jump);
            assert!(first.runs() && !second.runs(), "{jump}");
        }
    };
    let (won, lost, ()) = tokio::join!(waits, leads, jumps);
    assert!(won.is_err(), "the second one began");
    assert!(lost.is_err(), "the first one lost it");
    assert!(first.runs() && !second.runs());
}
