//! Deletion: everything of ours goes, with the finalizer last; orphans and force leave Docker alone.

use super::bench::{Bench, DEPLOYMENTS, NS, SECRETS, web, with_secret};

#[tokio::test(start_paused = true)]
async fn deletion_takes_everything_away_and_then_the_object() {
    let bench = Bench::running();
    bench.settle(web(2)).await;
    bench.delete("web");
    bench.eventually("gone", |b| b.deployment("web").is_null()).await;
    let world = bench.fake.world();
    assert!(world.containers.is_empty() && world.networks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphan_and_force_leave_the_containers() {
    for (key, value) in [("deletion-policy", "Orphan"), ("force-delete", "true")] {
        let bench = Bench::running();
        bench.settle(web(2)).await;
        bench.annotate("web", &format!("supercargo.dev/{key}"), value);
        bench.delete("web");
        bench.eventually("gone", |b| b.deployment("web").is_null()).await;
        assert_eq!(bench.live("web"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn two_operators_on_one_engine_do_not_touch_each_other() {
    let one = Bench::running();
    let mut two = Bench::still();
    two.cluster.uids_from(1_000);
    (two.instance, two.fake) = ("instance-2".to_owned(), one.fake.clone());
    two.start();
    one.settle(web(2)).await;
    two.settle(web(1)).await;
    // Each has its agent besides.
    assert_eq!(one.fake.containers().len(), 3 + 2);
    one.delete("web");
    one.eventually("gone", |b| b.deployment("web").is_null()).await;
    assert_eq!(
        (one.fake.containers().len(), one.fake.world().networks.len()),
        (1 + 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_takes_all_of_it_with_it() {
    let mut bench = Bench::started().await;
    bench.start();
    bench.seal("db", &[("password", b"one")]);
    bench.settle(with_secret(2)).await;
    bench.cluster.remove("namespaces", "", NS);
    bench
        .eventually("gone", |b| b.cluster.get("namespaces", "", NS).is_none())
        .await;
    assert!(bench.cluster.all(DEPLOYMENTS).is_empty() && bench.cluster.all(SECRETS).is_empty());
    let world = bench.fake.world();
    assert!(world.containers.is_empty() && world.networks.is_empty());
}
