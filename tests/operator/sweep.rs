//! Single faults: every engine call of every scenario in turn refused, its answer lost, or never answered, with and
//! without effect. The whole operator runs; the world in the end is the one of the run without a fault.

use std::{
    io::Write as _,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use serde_json::json;
use supercargo::engine::{Fault, FaultKind, Faulty, Kind, fake::Snapshot};

use super::{
    bench::{Bench, SECRETS, container, named, web, with_secret},
    files::{is_delivered, with_files},
};

const KINDS: [FaultKind; 4] = [
    FaultKind::Refuse(Kind::Failed),
    FaultKind::Lose,
    FaultKind::Hang,
    FaultKind::HangAfter,
];

type Scenario = for<'a> fn(&'a Bench) -> BoxFuture<'a, ()>;

async fn ready(bench: &Bench, name: &str) {
    bench.within(900, "ready", |b| b.is_ready(name)).await;
}

fn rollout<'a>(bench: &'a Bench, mut object: serde_json::Value) -> BoxFuture<'a, ()> {
    async move {
        bench.apply(object.clone());
        ready(bench, "web").await;
        container(&mut object)["image"] = json!("app:2");
        bench.apply(object);
        ready(bench, "web").await;
    }
    .boxed()
}

const SCENARIOS: [(&str, Scenario); 14] = [
    ("first apply", |b| {
        async move {
            b.seal("db", &[("password", b"one")]);
            b.apply(with_secret(2));
            ready(b, "web").await;
        }
        .boxed()
    }),
    ("surge", |b| rollout(b, web(2))),
    ("surge with probes", |b| {
        let mut object = web(1);
        container(&mut object)["readinessProbe"] = json!({ "exec": { "command": ["check"] } });
        rollout(b, object)
    }),
    ("stop first", |b| {
        let mut object = web(1);
        container(&mut object)["ports"] = json!([{ "containerPort": 80, "hostPort": 8080 }]);
        rollout(b, object)
    }),
    ("recreate", |b| {
        let mut object = web(2);
        object["spec"]["strategy"] = json!({ "type": "Recreate" });
        rollout(b, object)
    }),
    ("scale up", |b| {
        async move {
            b.apply(web(1));
            ready(b, "web").await;
            b.apply(web(3));
            ready(b, "web").await;
        }
        .boxed()
    }),
    ("scale down", |b| {
        async move {
            b.apply(web(3));
            ready(b, "web").await;
            b.apply(web(1));
            ready(b, "web").await;
        }
        .boxed()
    }),
    ("crash", |b| {
        async move {
            b.apply(web(2));
            ready(b, "web").await;
            b.fake.crash(&b.ids("web")[0], 1);
            b.within(900, "both run", |b| b.live("web") == 2).await;
        }
        .boxed()
    }),
    ("deletion", |b| {
        async move {
            b.apply(web(2));
            ready(b, "web").await;
            b.delete("web");
            b.within(900, "gone", |b| b.deployment("web").is_null()).await;
        }
        .boxed()
    }),
    ("drift", |b| {
        async move {
            b.apply(web(3));
            ready(b, "web").await;
            let ids = b.ids("web");
            b.fake.docker_pause(&ids[0]);
            b.fake.rename_by_hand(&ids[1], "mine");
            b.fake.remove_by_hand(&ids[2]);
            b.fake.set_restart_policy_by_hand(&ids[0], "always");
            b.fake.connect_by_hand("bridge", &ids[1]);
            b.within(900, "three run", |b| b.live("web") == 3).await;
        }
        .boxed()
    }),
    ("rotation", |b| {
        async move {
            b.seal("db", &[("password", b"one")]);
            b.apply(with_secret(2));
            ready(b, "web").await;
            b.seal("db", &[("password", b"two")]);
            b.within(900, "two everywhere", |b| {
                b.env("web", "PASSWORD") == vec![supercargo::engine::fake::Fake::digest(b"two"); 2]
            })
            .await;
        }
        .boxed()
    }),
    ("pull with credentials", |b| {
        async move {
            b.fake.add_registry_image("reg.test/app:1", Some(("me", b"pw")));
            let config = br#"{"auths":{"reg.test":{"auth":"bWU6cHc="}}}"#;
            let mut secret = b.sealed("reg", &[(".dockerconfigjson", config)]);
            secret["spec"]["type"] = json!("kubernetes.io/dockerconfigjson");
            b.cluster.put(SECRETS, secret);
            let mut object = web(2);
            container(&mut object)["image"] = json!("reg.test/app:1");
            object["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{ "name": "reg" }]);
            b.apply(object);
            ready(b, "web").await;
        }
        .boxed()
    }),
    ("two in one namespace and their deletion", |b| {
        async move {
            b.apply(named("web", 1));
            b.apply(named("api", 2));
            ready(b, "web").await;
            ready(b, "api").await;
            b.delete("web");
            b.delete("api");
            b.within(900, "both are gone", |b| {
                b.deployment("web").is_null() && b.deployment("api").is_null()
            })
            .await;
        }
        .boxed()
    }),
    ("files, their change and deletion", |b| {
        async move {
            b.seal("db", &[("password", b"one")]);
            b.apply(with_files(
                1,
                &json!({ "onChange": "Signal", "signal": "SIGHUP" }),
            ));
            ready(b, "web").await;
            b.seal("db", &[("password", b"two")]);
            b.within(900, "the next, told", |b| {
                is_delivered(b, "two") && b.ids("web").iter().all(|id| b.fake.signals(id).contains(&1))
            })
            .await;
            b.delete("web");
            b.within(900, "gone", |b| b.deployment("web").is_null()).await;
        }
        .boxed()
    }),
];

/// Runs a scenario with one fault; answers how many calls there were until its end.
async fn run(scenario: Scenario, fault: Fault, expected: Option<&Snapshot>) -> (usize, Snapshot) {
    let mut bench = Bench::still();
    let engine = Faulty::new(bench.fake.clone(), fault);
    bench.start_on(engine.clone());
    scenario(&bench).await;
    match expected {
        None => tokio::time::sleep(Duration::from_secs(2)).await,
        Some(world) => {
            bench
                .within(900, "the same world", |b| b.fake.world() == *world)
                .await
        }
    }
    (engine.calls(), bench.fake.world())
}

fn case(scenario: Scenario, fault: Fault, expected: Option<&Snapshot>) -> (usize, Snapshot) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(scenario, fault, expected))
}

/// One case: which scenario, and the fault.
type Case = (usize, Fault);

/// What a scenario is without a fault.
struct Whole {
    calls: usize,
    world: Snapshot,
}

/// Does `work` for each number below `count`, on as many threads as there are processors and one at a time: none of them
/// is without work before the last ones.
fn spread(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    work(index);
                }
            });
        }
    });
}

/// Every scenario without a fault.
fn wholes() -> Vec<Whole> {
    let cells: Vec<OnceLock<Whole>> = SCENARIOS.iter().map(|_| OnceLock::new()).collect();
    let none = Fault {
        nth: 0,
        kind: FaultKind::Lose,
    };
    spread(SCENARIOS.len(), |index| {
        let (calls, world) = case(SCENARIOS[index].1, none, None);
        let _first = cells[index].set(Whole { calls, world });
    });
    cells
        .into_iter()
        .map(|cell| {
            cell.into_inner()
                .expect("each ran, or the sweep has ended by its panic")
        })
        .collect()
}

/// Every call of every scenario with every kind of fault.
fn cases(wholes: &[Whole]) -> Vec<Case> {
    let of = |(scenario, whole): (usize, &Whole)| {
        let calls = 1..=whole.calls;
        calls.flat_map(move |nth| KINDS.map(|kind| (scenario, Fault { nth, kind })))
    };
    wholes.iter().enumerate().flat_map(of).collect()
}

#[test]
fn after_any_single_fault_the_world_is_the_same_in_the_end() {
    let wholes = wholes();
    let cases = cases(&wholes);
    let failed = Mutex::new(Vec::new());
    spread(cases.len(), |index| {
        let (scenario, fault) = cases[index];
        let (name, steps) = SCENARIOS[scenario];
        let whole = &wholes[scenario];
        if std::panic::catch_unwind(|| case(steps, fault, Some(&whole.world))).is_err() {
            let told = format!("{name}: {fault:?} of {} calls", whole.calls);
            failed.lock().unwrap().push((index, told));
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    for ((name, _), whole) in SCENARIOS.iter().zip(&wholes) {
        println!(
            "{name}: {} calls, {} faults",
            whole.calls,
            whole.calls * KINDS.len()
        );
    }
    // Past the capture of a test that passes: the number is part of what the sweep says.
    let (passed, count) = (cases.len() - failed.len(), cases.len());
    writeln!(
        std::io::stderr().lock(),
        "single-fault sweep: {passed} of {count} cases end in the same world"
    )
    .unwrap();
    assert_eq!(failed, Vec::<(usize, String)>::new());
}
