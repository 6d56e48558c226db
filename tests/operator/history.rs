//! The history of templates: what is kept as a ControllerRevision, under which number, what goes, and that no rollout waits
//! for it.

use serde_json::{Value, json};
use supercargo::{api::DockerDeployment, state::history::Snapshot};

use super::bench::{Bench, NS, container, named, web};

const REVISIONS: &str = "controllerrevisions";

fn entries(bench: &Bench) -> Vec<Value> {
    let mut all = bench.cluster.all(REVISIONS);
    all.retain(|one| one["metadata"]["labels"]["supercargo.dev/deployment"] == "web");
    all.sort_by_key(|one| one["revision"].as_i64());
    all
}

/// Number and image of each, the oldest first.
fn told(bench: &Bench) -> Vec<(i64, String)> {
    let image = |one: &Value| {
        let image = &one["data"]["spec"]["template"]["spec"]["containers"][0]["image"];
        image.as_str().unwrap().to_owned()
    };
    let entries = entries(bench);
    let number = |one: &Value| one["revision"].as_i64().unwrap();
    entries.iter().map(|one| (number(one), image(one))).collect()
}

fn is(wanted: &[(i64, &str)]) -> Vec<(i64, String)> {
    wanted
        .iter()
        .map(|(number, image)| (*number, (*image).to_owned()))
        .collect()
}

async fn becomes(bench: &Bench, wanted: &[(i64, &str)]) {
    bench
        .eventually(&format!("the history {wanted:?}"), |b| told(b) == is(wanted))
        .await;
}

fn image(bench: &Bench, tag: &str) {
    let tag = tag.to_owned();
    bench.edit("web", |o| container(o)["image"] = json!(tag));
}

#[tokio::test(start_paused = true)]
async fn every_template_is_kept_once_with_a_number_a_cause_and_its_owner() {
    let bench = Bench::running();
    let mut object = web(2);
    object["metadata"]["annotations"] = json!({ "kubernetes.io/change-cause": "first" });
    bench.settle(object).await;
    becomes(&bench, &[(1, "app:1")]).await;
    bench.edit("web", |o| {
        container(o)["image"] = json!("app:2");
        o["metadata"]["annotations"]["kubernetes.io/change-cause"] = json!("second");
    });
    bench.ready("web").await;
    becomes(&bench, &[(1, "app:1"), (2, "app:2")]).await;
    let cause = |one: &Value| one["metadata"]["annotations"]["kubernetes.io/change-cause"].clone();
    let entries = entries(&bench);
    assert_eq!(
        entries.iter().map(cause).collect::<Vec<_>>(),
        [json!("first"), json!("second")]
    );
    let owner = &bench.deployment("web")["metadata"];
    for entry in &entries {
        let meta = &entry["metadata"];
        assert!(meta["name"].as_str().unwrap().starts_with("web-"), "{meta}");
        assert_eq!(
            meta["ownerReferences"],
            json!([{
                "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "name": "web", "uid": owner["uid"],
                "controller": true,
            }])
        );
        assert_eq!(meta["labels"]["supercargo.dev/uid"], owner["uid"]);
    }
    let hash = &entries[1]["metadata"]["labels"]["supercargo.dev/template-hash"];
    assert_eq!(bench.of("web")[0].label("supercargo.dev/template-hash"), hash);
}

#[tokio::test(start_paused = true)]
async fn a_template_that_comes_back_is_numbered_anew_and_not_kept_twice() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    becomes(&bench, &[(1, "app:1")]).await;
    let first = entries(&bench)[0]["metadata"]["uid"].clone();
    image(&bench, "app:2");
    bench.ready("web").await;
    image(&bench, "app:1");
    bench.ready("web").await;
    becomes(&bench, &[(2, "app:2"), (3, "app:1")]).await;
    assert_eq!(entries(&bench)[1]["metadata"]["uid"], first);
}

#[tokio::test(start_paused = true)]
async fn scaling_restarting_and_trying_out_while_held_are_no_history() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    becomes(&bench, &[(1, "app:1")]).await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.ready("web").await;
    let before = bench.ids("web");
    bench.edit("web", |o| {
        o["spec"]["template"]["metadata"]["annotations"] = json!({ "supercargo.dev/restartedAt": "now" });
    });
    bench.ready("web").await;
    assert!(bench.ids("web").iter().all(|id| !before.contains(id)));
    let hash = bench.of("web")[0]
        .label("supercargo.dev/template-hash")
        .to_owned();
    bench
        .eventually("the entry knows its containers", |b| {
            entries(b)[0]["metadata"]["labels"]["supercargo.dev/template-hash"] == hash
        })
        .await;
    bench.edit("web", |o| {
        o["spec"]["paused"] = json!(true);
        container(o)["image"] = json!("app:3");
    });
    bench.always(30, "held", |b| told(b) == is(&[(1, "app:1")])).await;
    bench.edit("web", |o| {
        o["spec"]["paused"] = json!(false);
        container(o)["image"] = json!("app:2");
    });
    bench.ready("web").await;
    becomes(&bench, &[(1, "app:1"), (2, "app:2")]).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_invalid_has_no_new_history() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    let mut object = bench.deployment("web");
    container(&mut object)["image"] = json!("not an image");
    bench.apply_unchecked(object);
    bench
        .eventually("refused", |b| b.condition("web", "Stalled").is_some())
        .await;
    bench
        .always(30, "as it was", |b| told(b) == is(&[(1, "app:1")]))
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_when_there_are_more_than_the_limit() {
    let bench = Bench::running();
    let mut object = web(1);
    object["spec"]["revisionHistoryLimit"] = json!(2);
    bench.settle(object).await;
    for number in 2..=5 {
        bench.fake.add_image(&format!("app:{number}"));
        image(&bench, &format!("app:{number}"));
        bench.ready("web").await;
    }
    becomes(&bench, &[(3, "app:3"), (4, "app:4"), (5, "app:5")]).await;
    bench.edit("web", |o| o["spec"]["revisionHistoryLimit"] = json!(0));
    becomes(&bench, &[(5, "app:5")]).await;
}

#[tokio::test(start_paused = true)]
async fn what_still_runs_is_kept_whatever_the_limit() {
    let bench = Bench::running();
    let mut object = web(2);
    object["spec"]["revisionHistoryLimit"] = json!(0);
    bench.settle(object).await;
    image(&bench, "app:none");
    becomes(&bench, &[(1, "app:1"), (2, "app:none")]).await;
    image(&bench, "app:2");
    bench.ready("web").await;
    becomes(&bench, &[(3, "app:2")]).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_removes_or_renumbers_is_put_right() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    becomes(&bench, &[(1, "app:1")]).await;
    let name = entries(&bench)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    bench.cluster.remove(REVISIONS, NS, &name);
    becomes(&bench, &[(1, "app:1")]).await;
    image(&bench, "app:2");
    bench.ready("web").await;
    becomes(&bench, &[(1, "app:1"), (2, "app:2")]).await;
    bench
        .cluster
        .edit(REVISIONS, NS, &name, |o| o["revision"] = json!(9));
    becomes(&bench, &[(9, "app:1"), (10, "app:2")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_history_that_cannot_be_read_or_written_delays_no_rollout_and_is_made_up_for() {
    let mut bench = Bench::still();
    bench.cluster.make_unreadable(Some(REVISIONS));
    bench.start();
    bench.apply(web(2));
    bench.within(3, "two run", |b| b.live("web") == 2).await;
    assert_eq!(told(&bench), []);
    bench.cluster.make_unreadable(None);
    becomes(&bench, &[(1, "app:1")]).await;

    let mut next = bench.deployment("web");
    container(&mut next)["image"] = json!("app:2");
    let next: DockerDeployment = serde_json::from_value(next).unwrap();
    let name = Snapshot::of(&next).name;
    let stranger = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": { "name": name, "namespace": NS },
        "data": {}, "revision": 1,
    });
    bench.cluster.put(REVISIONS, stranger);
    image(&bench, "app:2");
    bench.within(20, "rolled out", |b| b.is_ready("web")).await;
    bench
        .always(30, "not written", |b| told(b) == is(&[(1, "app:1")]))
        .await;
    bench.cluster.remove(REVISIONS, NS, &name);
    becomes(&bench, &[(1, "app:1"), (2, "app:2")]).await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_comes_back_finds_the_history_written() {
    let bench = Bench::running();
    bench.settle(web(1)).await;
    becomes(&bench, &[(1, "app:1")]).await;
    for round in 0..3 {
        bench.cluster.expire_watches();
        let tag = if round % 2 == 0 { "app:2" } else { "app:1" };
        image(&bench, tag);
        bench.ready("web").await;
        bench
            .eventually("the newest is the wanted one", |b| {
                told(b).last().is_some_and(|(_, image)| image == tag)
            })
            .await;
        assert_eq!(told(&bench).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_starts_again_writes_no_history() {
    let mut bench = Bench::running();
    bench.settle(web(1)).await;
    image(&bench, "app:2");
    bench.ready("web").await;
    becomes(&bench, &[(1, "app:1"), (2, "app:2")]).await;
    bench.stop().await;
    bench.cluster.forget_writes();
    bench.start();
    bench.always(90, "ready", |b| b.is_ready("web")).await;
    assert_eq!(bench.cluster.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_idle_history_is_one_request_in_some_minutes() {
    let bench = Bench::running();
    for name in ["web", "api", "worker"] {
        bench.settle(named(name, 1)).await;
    }
    becomes(&bench, &[(1, "app:1")]).await;
    let asked = |bench: &Bench| {
        let reads = bench.cluster.reads();
        reads.iter().filter(|path| path.ends_with(REVISIONS)).count()
    };
    let before = asked(&bench);
    bench.cluster.forget_writes();
    bench.always(1_200, "ready", |b| b.is_ready("web")).await;
    let more = asked(&bench) - before;
    assert!((1..=6).contains(&more), "{more} requests in 20 minutes");
    assert_eq!(bench.cluster.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn the_history_goes_with_its_deployment() {
    let mut bench = Bench::started().await;
    bench.start();
    bench.settle(web(1)).await;
    becomes(&bench, &[(1, "app:1")]).await;
    bench.delete("web");
    becomes(&bench, &[]).await;
}
