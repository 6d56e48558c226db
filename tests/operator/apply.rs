//! What people apply, and what comes of it: creation, scale, rollouts, pause, suspension, idleness.

use serde_json::json;
use supercargo::state::container::RunState;

use super::bench::{Bench, container, named, web};

fn image(bench: &Bench, tag: &str) {
    let tag = tag.to_owned();
    bench.edit("web", |o| container(o)["image"] = json!(tag));
}

#[tokio::test(start_paused = true)]
async fn an_applied_deployment_runs_at_once_and_says_so() {
    let bench = Bench::running();
    bench.apply(web(3));
    bench.within(3, "three run", |b| b.live("web") == 3).await;
    bench.ready("web").await;
    let status = bench.status("web");
    assert_eq!(status["ready"], "3/3");
    assert_eq!(status["instances"].as_array().unwrap().len(), 3);
    assert_eq!(bench.told("Created"), 3);
    assert_eq!(bench.told("RolloutComplete"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_manifest_again_and_a_restart_of_the_operator_change_nothing() {
    let mut bench = Bench::running();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(super::bench::with_secret(2)).await;
    bench.within(200, "quiet", |_| true).await;
    bench.always(5, "ready", |b| b.is_ready("web")).await;
    bench.fake.forget_calls();
    bench.cluster.forget_writes();
    bench.apply(super::bench::with_secret(2));
    bench.seal("db", &[("password", b"one")]);
    bench.always(90, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    bench.cluster.forget_writes();
    bench.stop().await;
    bench.start();
    bench.always(90, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.fake.calls(), []);
    assert_eq!(bench.cluster.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn scale_goes_up_and_down_from_the_end() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    let before = bench.ids("web");
    bench.edit("web", |o| o["spec"]["replicas"] = json!(4));
    bench.ready("web").await;
    assert_eq!(bench.live("web"), 4);
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.eventually("two are left", |b| b.of("web").len() == 2).await;
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), before);
    assert_eq!(bench.told("Scaled"), 2);
    bench.edit("web", |o| o["spec"]["replicas"] = json!(0));
    bench.eventually("none is left", |b| b.of("web").is_empty()).await;
    bench
        .eventually("no network is left", |b| b.fake.world().networks.is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_image_surges_one_at_a_time() {
    let bench = Bench::running();
    bench.settle(web(3)).await;
    let before = bench.ids("web");
    image(&bench, "app:2");
    bench
        .within(120, "all new", |b| {
            assert!(b.rolls_one_at_a_time("web"), "{}", b.live("web"));
            b.is_ready("web")
        })
        .await;
    assert!(
        bench
            .of("web")
            .iter()
            .all(|c| c.image == "app:2" && !before.contains(&c.id))
    );
    assert_eq!(bench.told("RolloutStarted"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_port_stops_the_old_one_first() {
    let bench = Bench::running();
    let mut object = web(1);
    container(&mut object)["ports"] = json!([{ "containerPort": 80, "hostPort": 8080 }]);
    bench.settle(object).await;
    image(&bench, "app:2");
    bench
        .within(60, "new", |b| {
            assert!(b.live("web") <= 1);
            b.is_ready("web") && b.of("web").len() == 1
        })
        .await;
    assert_eq!(bench.told("PortConflict"), 0);
    assert_eq!(bench.of("web")[0].image, "app:2");
}

#[tokio::test(start_paused = true)]
async fn recreate_ends_every_old_one_before_the_first_new_one() {
    let bench = Bench::running();
    let mut object = web(3);
    object["spec"]["strategy"] = json!({ "type": "Recreate" });
    bench.settle(object).await;
    image(&bench, "app:2");
    bench
        .within(60, "new", |b| {
            let alive = |image: &str| {
                b.of("web")
                    .iter()
                    .any(|c| c.state == RunState::Running && c.image == image)
            };
            assert!(!(alive("app:1") && alive("app:2")));
            b.is_ready("web")
        })
        .await;
    assert_eq!(bench.live("web"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_restarts_and_scales_and_does_not_roll() {
    let bench = Bench::running();
    let mut object = web(2);
    object["spec"]["paused"] = json!(true);
    bench.settle(object).await;
    image(&bench, "app:2");
    bench.fake.kill(&bench.ids("web")[0]);
    bench.eventually("restarted", |b| b.live("web") == 2).await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(1));
    bench.eventually("scaled down", |b| b.of("web").len() == 1).await;
    bench.always(60, "old", |b| b.of("web")[0].image == "app:1").await;
    bench.edit("web", |o| o["spec"]["paused"] = json!(false));
    bench.ready("web").await;
    assert_eq!(bench.of("web")[0].image, "app:2");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_deployment_is_watched_and_left_alone() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    bench.annotate("web", "supercargo.dev/suspend", "true");
    bench.fake.kill(&bench.ids("web")[0]);
    bench
        .eventually("said", |b| b.status("web")["readyReplicas"] == 1)
        .await;
    bench.fake.forget_calls();
    image(&bench, "app:2");
    bench.always(60, "alone", |b| b.fake.calls().is_empty()).await;
    bench.annotate("web", "supercargo.dev/suspend", "false");
    bench.ready("web").await;
    assert!(bench.of("web").iter().all(|c| c.image == "app:2"));
}

#[tokio::test(start_paused = true)]
async fn ready_is_never_said_of_an_older_generation_and_progress_is_said_at_the_start() {
    let bench = Bench::running();
    let mut object = web(2);
    object["spec"]["minReadySeconds"] = json!(20);
    bench.apply(object);
    bench
        .eventually("begun", |b| {
            b.status("web")["observedGeneration"] == 1 && b.condition("web", "Reconciling").is_some()
        })
        .await;
    bench.ready("web").await;
    image(&bench, "app:2");
    bench
        .within(2, "the second generation reconciles", |b| {
            b.status("web")["observedGeneration"] == 2 && b.condition("web", "Reconciling").is_some()
        })
        .await;
    bench
        .within(120, "ready", |b| {
            let new = b.of("web").iter().filter(|c| c.image == "app:2").count();
            if b.is_ready("web") {
                assert_eq!((new, b.of("web").len()), (2, 2));
            }
            b.is_ready("web")
        })
        .await;
    assert!(bench.condition("web", "Reconciling").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_invalid_object_keeps_what_runs_and_names_every_field() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    let before = bench.ids("web");
    let mut invalid = web(2);
    invalid["spec"]["template"]["spec"]["runAsNonRoot"] = json!(true);
    invalid["spec"]["template"]["spec"]["affinity"] = json!({});
    container(&mut invalid)["image"] = json!("Not An Image");
    bench.apply_unchecked(invalid);
    bench
        .eventually("told", |b| b.condition("web", "Stalled").is_some())
        .await;
    let (_, reason, message) = bench.condition("web", "Ready").unwrap();
    assert_eq!(reason, "InvalidSpec");
    for field in ["runAsNonRoot", "affinity", "image"] {
        assert!(message.contains(field), "{field}: {message}");
    }
    bench.fake.kill(&before[0]);
    bench.eventually("restarted", |b| b.live("web") == 2).await;
    assert_eq!(bench.ids("web"), before);
    bench.apply(web(2));
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_forbids_is_a_policy_violation() {
    let bench = Bench::running();
    let mut object = web(1);
    container(&mut object)["securityContext"] = json!({ "privileged": true });
    bench.apply(object);
    bench
        .eventually("told", |b| {
            b.condition("web", "Ready").is_some_and(|(_, reason, message)| {
                reason == "PolicyViolation" && message.contains("privileged")
            })
        })
        .await;
    assert_eq!(bench.of("web").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_no_deployment_is_data_and_disturbs_nobody() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    let mut broken = super::bench::named("broken", 1);
    broken["spec"]["replicas"] = json!("many");
    broken["spec"]["template"] = json!([1, 2]);
    bench.apply_unchecked(broken);
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.ready("web").await;
    // Nonsense instead of a number takes nothing away either.
    let mut nonsense = web(2);
    nonsense["spec"]["replicas"] = json!("many");
    bench.apply_unchecked(nonsense);
    bench.always(30, "both run", |b| b.live("web") == 2).await;
    // No API server takes a status for what its own schema refuses, so that nobody can be told there.
}

#[tokio::test(start_paused = true)]
async fn many_namespaces_at_once_get_their_networks_without_a_collision() {
    let bench = Bench::running();
    for n in 0..12 {
        let mut object = named(&format!("web-{n}"), 1);
        object["metadata"]["namespace"] = json!(format!("team-{n}"));
        bench.apply(object);
    }
    bench
        .within(5, "all run", |b| {
            (0..12).all(|n| b.live(&format!("web-{n}")) == 1)
        })
        .await;
    assert_eq!(bench.told("NetworkUnavailable"), 0);
}
