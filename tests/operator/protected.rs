//! Variables that no inspection shows: where values are and are not, what rolls and what does not, and that nothing is left.

use serde_json::{Value, json};
use supercargo::{
    api::{SecretEnv, keys::label},
    engine::{Op, fake::Fake},
    state::{
        container::{ContainerSpec, RunState},
        image::ImageView,
        revision::Fingerprints,
    },
};

use super::bench::{Bench, container, web, with_secret};

const SECRET: &str = "hunter2";
const NEXT: &str = "correct horse";

fn protected(replicas: u32) -> Value {
    let mut object = with_secret(replicas);
    object["spec"]["secretEnv"] = json!("Protected");
    object
}

fn specs(bench: &Bench) -> Vec<ContainerSpec> {
    let ids = bench.ids("web").into_iter();
    ids.map(|id| bench.fake.spec_of(id.as_str()).unwrap()).collect()
}

/// Whether every container starts through the program, with this value in a file and nothing in its configuration.
fn has(bench: &Bench, value: &str) -> bool {
    let specs = specs(bench);
    let starts = |spec: &ContainerSpec| {
        let command = spec.entrypoint.as_deref().unwrap_or_default();
        command
            .first()
            .is_some_and(|first| first == "/run/supercargo/bin/supercargo")
            && spec.env.iter().all(|var| var.name != "PASSWORD")
    };
    let shelves: Vec<_> = bench.fake.world().delivered.into_values().collect();
    let found = |path: &str| {
        shelves
            .iter()
            .filter_map(|s| s.files.get(path))
            .collect::<Vec<_>>()
    };
    specs.iter().all(starts)
        && found("PASSWORD") == [&(0o400, Fake::digest(value.as_bytes()))]
        && bench.env("web", "PASSWORD").iter().all(String::is_empty)
}

fn form(bench: &Bench) -> Value {
    bench.status("web")["secrets"][0]["form"].clone()
}

fn programs(bench: &Bench) -> usize {
    let names = bench.fake.world().volumes.into_keys();
    names.filter(|name| name.contains("program")).count()
}

#[tokio::test(start_paused = true)]
async fn a_protected_variable_is_a_file_and_in_no_containers_configuration() {
    let bench = Bench::running();
    let image = ImageView {
        id: "sha256:e".to_owned(),
        entrypoint: vec!["/entry".to_owned()],
        cmd: vec!["serve".to_owned()],
        ..ImageView::default()
    };
    bench.fake.add_image_view("app:1", image);
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    let mut object = protected(2);
    container(&mut object)["livenessProbe"] = json!({ "exec": { "command": ["check"] } });
    bench.settle(object).await;
    bench.eventually("protected", |b| has(b, SECRET)).await;
    let spec = specs(&bench).remove(0);
    let command = spec.entrypoint.unwrap();
    assert_eq!(command[1..], ["run", "--", "/entry", "serve"]);
    assert!(spec.labels[label::PROBES].contains("\"run\",\"--\",\"check\""));
    assert!(spec.mounts.iter().all(|mount| mount.read_only));
    bench
        .eventually("told", |b| {
            form(b) == "Env (protected)" && b.status("web")["secrets"][0]["loaded"] == 2
        })
        .await;
    let scraped = bench.scrape();
    assert!(scraped.contains("form=\"protected-env\""), "{scraped}");
    let everything = format!("{:?} {:?}", bench.fake.world(), bench.deployment("web"));
    assert!(!everything.contains(SECRET));
}

#[tokio::test(start_paused = true)]
async fn another_value_and_another_way_roll_and_nothing_of_before_is_left() {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_secret(2)).await;
    let plain = bench.ids("web");
    assert_eq!((form(&bench), programs(&bench)), (json!("Env (inspectable)"), 0));
    bench.edit("web", |object| object["spec"]["secretEnv"] = json!("Protected"));
    bench
        .eventually("protected", |b| has(b, SECRET) && b.is_ready("web"))
        .await;
    assert!(bench.ids("web").iter().all(|id| !plain.contains(id)));
    let before = bench.ids("web");
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("the next value alone", |b| has(b, NEXT) && b.is_ready("web"))
        .await;
    assert!(bench.ids("web").iter().all(|id| !before.contains(id)));
    bench.edit("web", |object| object["spec"]["secretEnv"] = json!("Plain"));
    bench
        .eventually("plain again", |b| {
            form(b) == "Env (inspectable)" && b.is_ready("web")
        })
        .await;
    bench
        .eventually("no volume and no holder", |b| {
            b.fake.world().volumes.is_empty() && b.fake.world().delivered.is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_operators_default_rolls_those_who_have_such_variables_and_do_not_say() {
    let mut bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_secret(1)).await;
    let mut other = web(1);
    other["metadata"]["name"] = json!("other");
    bench.settle(other).await;
    let mut says = with_secret(1);
    says["metadata"]["name"] = json!("says");
    says["spec"]["secretEnv"] = json!("Plain");
    bench.settle(says).await;
    let (unsaid, others, said) = (bench.ids("web"), bench.ids("other"), bench.ids("says"));
    bench.stop().await;
    bench.secret_env = SecretEnv::Protected;
    bench.start();
    bench
        .eventually("protected", |b| has(b, SECRET) && b.is_ready("web"))
        .await;
    assert_ne!(bench.ids("web"), unsaid);
    assert_eq!((bench.ids("other"), bench.ids("says")), (others, said));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_the_program_costs_the_containers_nothing_and_the_next_holder_has_the_new_one() {
    let mut bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(protected(1)).await;
    let (before, revision) = (bench.ids("web"), bench.status("web")["currentRevision"].clone());
    bench.stop().await;
    bench.program = "Cargo.lock";
    bench.fake.forget_calls();
    bench.start();
    bench
        .always(120, "the same containers", |b| b.ids("web") == before)
        .await;
    assert_eq!(bench.fake.count(Op::CreateVolume), 0);
    assert_eq!(bench.status("web")["currentRevision"], revision);
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("the next", |b| has(b, NEXT) && b.is_ready("web"))
        .await;
    bench.eventually("one program", |b| programs(b) == 1).await;
    bench.delete("web");
    bench
        .eventually("nothing", |b| b.fake.world().volumes.is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_everything_none_starts_before_its_variables_are_back() {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(protected(2)).await;
    let before = bench.ids("web");
    bench.fake.restart_engine_without_live_restore();
    bench
        .always(30, "none runs without", |b| {
            let runs = b.of("web").iter().any(|c| c.state == RunState::Running);
            !runs || has(b, SECRET)
        })
        .await;
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn an_optional_variable_that_is_missing_needs_no_program() {
    let bench = Bench::running();
    let mut object = protected(1);
    container(&mut object)["env"][0]["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    bench.settle(object).await;
    assert_eq!(specs(&bench)[0].entrypoint, None);
    let had = |b: &Bench| Fingerprints::from_label("", b.of("web")[0].label(label::FINGERPRINTS));
    assert!(had(&bench).values.is_empty());
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench
        .eventually("protected", |b| has(b, SECRET) && b.is_ready("web"))
        .await;
}
