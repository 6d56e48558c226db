//! Files on their way into volumes and containers: deliveries that go wrong, engines and operators that begin again, what
//! a change does, whose the files are, and that nothing is left behind.

use std::time::Duration;

use serde_json::{Value, json};
use supercargo::{
    api::keys::label,
    engine::{
        Op,
        fake::{Breakage, Delivered, Fake},
    },
    state::{
        container::{ContainerView, RunState},
        image::ImageView,
    },
};
use tokio::time::sleep;

use super::bench::{Bench, DEPLOYMENTS, NS, SECRETS, container, web};

const SECRET: &str = "hunter2";
const NEXT: &str = "correct horse";

/// A deployment with the secret `db` as files; `more` says how.
pub fn with_files(replicas: u32, more: &Value) -> Value {
    let mut secret = json!({ "secretName": "db" });
    for (key, value) in more.as_object().unwrap() {
        secret[key] = value.clone();
    }
    let mut object = web(replicas);
    object["spec"]["template"]["spec"]["volumes"] = json!([{ "name": "db", "secret": secret }]);
    object
}

async fn settled(more: Value) -> Bench {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(2, &more)).await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
    bench
}

fn holders(bench: &Bench) -> Vec<ContainerView> {
    let mut views = bench.fake.containers();
    views.retain(|c| !c.label(label::HOLDS_FOR).is_empty());
    views
}

/// What stands in the volumes that the deployment's containers have been given.
fn shelves(bench: &Bench) -> Vec<Delivered> {
    let world = bench.fake.world();
    world.delivered.into_values().collect()
}

/// Whether all of them have this password, and people are told that every instance sees it.
pub fn is_delivered(bench: &Bench, password: &str) -> bool {
    let shelves = shelves(bench);
    let has = |shelf: &Delivered| {
        shelf
            .files
            .get("password")
            .is_some_and(|(_, digest)| *digest == Fake::digest(password.as_bytes()))
    };
    !shelves.is_empty() && shelves.iter().all(has) && condition(bench).0 == "True"
}

fn condition(bench: &Bench) -> (String, String, String) {
    bench.condition("web", "SecretsDelivered").unwrap_or_default()
}

fn is_told_with(bench: &Bench, words: &str) -> bool {
    let (status, reason, message) = condition(bench);
    status == "False" && reason == "SecretDeliveryError" && message.contains(words)
}

/// No value is where people or programs read.
fn nothing_leaked(bench: &Bench) {
    let everything = format!(
        "{:?} {:?} {:?}",
        bench.cluster.all(DEPLOYMENTS),
        bench.cluster.all("events"),
        bench.fake.world()
    );
    assert!(!everything.contains(SECRET) && !everything.contains(NEXT));
}

/// What goes wrong before a container is there, and the words in which it is told.
const BROKEN: [(Breakage, &str); 7] = [
    (Breakage::CutOff, "was cut off"),
    (Breakage::Lost, "was cut off"),
    (Breakage::Fails, "the holder could not write the files"),
    (Breakage::WrongDigest, "file password has another content"),
    (Breakage::WrongOwner, "file password has another owner"),
    (Breakage::NotMemory, "not on a tmpfs"),
    (Breakage::OtherProgram, "was not whole in its volume"),
];

#[tokio::test(start_paused = true)]
async fn no_container_starts_on_a_delivery_that_went_wrong_and_the_next_good_one_mends_it() {
    for (breakage, words) in BROKEN {
        let bench = Bench::running();
        bench.fake.break_delivery(Some(breakage));
        bench.seal("db", &[("password", SECRET.as_bytes())]);
        bench.apply(with_files(2, &json!({})));
        bench
            .eventually(&format!("{breakage:?} is told"), |b| is_told_with(b, words))
            .await;
        let (_, reason, _) = bench.condition("web", "Ready").unwrap();
        assert_eq!(reason, "SecretDeliveryError", "{breakage:?}");
        assert_eq!(bench.told("SecretDeliveryError"), 1, "{breakage:?}");
        let before = bench.fake.count(Op::Exec);
        bench
            .always(300, "none, and told", |b| {
                b.of("web").is_empty() && is_told_with(b, words)
            })
            .await;
        let tried = bench.fake.count(Op::Exec) - before;
        assert!((1..60).contains(&tried), "{breakage:?}: {tried} in 300 s");
        bench.fake.break_delivery(None);
        bench.ready("web").await;
        bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
        assert_eq!(holders(&bench).len(), 1);
        nothing_leaked(&bench);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_value_that_cannot_be_delivered_is_told_disturbs_nobody_and_comes_when_it_can() {
    for (breakage, words) in BROKEN {
        let bench = settled(json!({})).await;
        let before = bench.ids("web");
        bench.fake.break_delivery(Some(breakage));
        bench.seal("db", &[("password", NEXT.as_bytes())]);
        bench
            .eventually(&format!("{breakage:?} is told"), |b| is_told_with(b, words))
            .await;
        bench
            .always(120, &format!("{breakage:?} is told, both run"), |b| {
                b.live("web") == 2 && is_told_with(b, words)
            })
            .await;
        bench.fake.break_delivery(None);
        bench.eventually("the next", |b| is_delivered(b, NEXT)).await;
        bench.ready("web").await;
        assert_eq!(bench.ids("web"), before);
        nothing_leaked(&bench);
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_does_not_see_what_is_delivered_is_found_out_and_replaced() {
    let bench = settled(json!({})).await;
    bench.fake.break_delivery(Some(Breakage::Astray));
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("told", |b| is_told_with(b, "what was delivered"))
        .await;
    assert!(bench.told("SecretDeliveryError") > 0);
    assert!(!bench.is_ready("web"));
    bench.fake.forget_calls();
    sleep(Duration::from_secs(300)).await;
    let made = bench.fake.count(Op::CreateContainer);
    assert!(made < 60, "{made} in 300 s");
    bench.fake.break_delivery(None);
    bench
        .within(600, "the next", |b| is_delivered(b, NEXT) && b.is_ready("web"))
        .await;
    assert_eq!((bench.live("web"), holders(&bench).len()), (2, 1));
    nothing_leaked(&bench);
}

#[tokio::test(start_paused = true)]
async fn after_an_engine_restart_the_files_are_delivered_before_a_container_starts() {
    let bench = settled(json!({})).await;
    let before = bench.ids("web");
    bench.fake.break_delivery(Some(Breakage::Fails));
    bench.fake.restart_engine_without_live_restore();
    assert!(shelves(&bench).is_empty());
    bench
        .always(60, "none starts on nothing", |b| b.live("web") == 0)
        .await;
    assert!(is_told_with(&bench, "could not"), "{:?}", condition(&bench));
    bench.fake.break_delivery(None);
    bench.eventually("both run", |b| b.live("web") == 2).await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
    bench.ready("web").await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn after_an_engine_restart_without_the_secret_what_ended_is_held_and_says_so() {
    let bench = settled(json!({})).await;
    bench.cluster.edit(SECRETS, NS, "db", |o| {
        o["metadata"]["annotations"]["supercargo.dev/force-delete"] = json!("true");
    });
    bench.cluster.remove(SECRETS, NS, "db");
    bench
        .always(30, "what runs stays, and so does what it was given", |b| {
            b.live("web") == 2 && shelves(b).len() == 1
        })
        .await;
    bench.fake.restart_engine_without_live_restore();
    bench
        .eventually("told", |b| {
            is_told_with(b, "the files that it was given are gone")
        })
        .await;
    bench.always(60, "held", |b| b.live("web") == 0).await;
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.eventually("both run", |b| b.live("web") == 2).await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_ended_is_not_started_on_a_volume_that_was_emptied_meanwhile() {
    let mut bench = settled(json!({})).await;
    let before = bench.ids("web");
    let volume = bench.fake.world().delivered.into_keys().next().unwrap();
    bench.kill().await;
    before.iter().for_each(|id| bench.fake.crash(id, 1));
    bench.fake.empty_volume(&volume);
    bench.fake.break_delivery(Some(Breakage::Fails));
    bench.start();
    bench
        .always(60, "none starts on nothing", |b| b.live("web") == 0)
        .await;
    bench.fake.break_delivery(None);
    bench
        .eventually("seen", |b| (b.live("web"), is_delivered(b, SECRET)) == (2, true))
        .await;
    assert_eq!(bench.ids("web"), before);
}

/// Whether the volumes that containers have are kept out of swap.
fn noswap(bench: &Bench) -> Vec<bool> {
    let volumes = bench.fake.world().volumes.into_keys();
    volumes
        .filter_map(|name| Some(bench.fake.volume(&name)?.memory?.noswap))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_cannot_keep_files_out_of_swap_gets_volumes_without_that() {
    for (kernel, expected) in [("6.3.0-1-amd64", false), ("6.4.0", true), ("", false)] {
        let mut bench = Bench::still();
        bench.fake.set_kernel(kernel);
        bench.start();
        bench.seal("db", &[("password", SECRET.as_bytes())]);
        bench.settle(with_files(1, &json!({}))).await;
        assert_eq!(noswap(&bench), [expected], "{kernel}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mount_that_is_refused_is_made_without_what_the_kernel_did_not_know() {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(1, &json!({}))).await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(0));
    bench
        .eventually("nothing", |b| b.fake.world().volumes.is_empty())
        .await;
    // It has said 6.8, and only the mount tells otherwise.
    bench.fake.set_kernel("6.3.0");
    bench.edit("web", |o| o["spec"]["replicas"] = json!(1));
    bench.ready("web").await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
    bench.eventually("one volume", |b| noswap(b) == [false]).await;
    assert_eq!(holders(&bench).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_with_another_kernel_starts_all_again() {
    for (before, after) in [("6.8.0", "6.3.0"), ("6.3.0", "6.8.0")] {
        let mut bench = Bench::still();
        bench.fake.set_kernel(before);
        bench.start();
        bench.seal("db", &[("password", SECRET.as_bytes())]);
        bench.settle(with_files(2, &json!({}))).await;
        bench.fake.set_kernel(after);
        bench.fake.restart_engine_without_live_restore();
        bench
            .eventually(&format!("from {before} to {after}"), |b| {
                b.live("web") == 2 && is_delivered(b, SECRET) && b.is_ready("web")
            })
            .await;
        bench.seal("db", &[("password", NEXT.as_bytes())]);
        bench.eventually("the next", |b| is_delivered(b, NEXT)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_begins_again_looks_and_changes_nothing() {
    let mut bench = settled(json!({ "onChange": "Signal", "signal": "SIGHUP" })).await;
    let world = bench.fake.world();
    for polite in [true, false] {
        if polite {
            bench.stop().await;
        } else {
            bench.kill().await;
        }
        bench.fake.forget_calls();
        bench.start();
        sleep(Duration::from_secs(60)).await;
        let calls = bench.fake.calls();
        assert!(calls.iter().all(|call| call.op == Op::Exec), "{calls:?}");
        assert!(bench.fake.count(Op::Exec) > 0);
        assert_eq!(bench.fake.world(), world);
        assert!(is_delivered(&bench, SECRET) && bench.is_ready("web"));
    }
    assert!(
        bench
            .ids("web")
            .iter()
            .all(|id| bench.fake.signals(id).is_empty())
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_that_changed_while_no_operator_ran_is_delivered_and_told_once() {
    let mut bench = settled(json!({ "onChange": "Signal", "signal": "SIGHUP" })).await;
    bench.kill().await;
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench.start();
    bench.eventually("the next", |b| is_delivered(b, NEXT)).await;
    bench
        .always(60, "told once", |b| {
            b.ids("web").iter().all(|id| b.fake.signals(id) == [1])
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_and_no_replicas_leave_neither_holder_nor_volume() {
    let bench = settled(json!({})).await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(0));
    bench
        .eventually("nothing", |b| {
            let world = b.fake.world();
            world.containers.is_empty() && world.volumes.is_empty() && world.networks.is_empty()
        })
        .await;
    bench.edit("web", |o| o["spec"]["replicas"] = json!(2));
    bench.ready("web").await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
    bench.delete("web");
    bench.eventually("gone", |b| b.deployment("web").is_null()).await;
    let world = bench.fake.world();
    assert!(world.containers.is_empty() && world.volumes.is_empty() && world.networks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn other_items_are_another_volume_and_the_old_one_goes_with_its_last_reader() {
    let bench = settled(json!({})).await;
    let before = bench.fake.world().volumes;
    bench.edit("web", |o| {
        o["spec"]["template"]["spec"]["volumes"][0]["secret"]["items"] =
            json!([{ "key": "password", "path": "other", "mode": 256 }]);
    });
    bench.ready("web").await;
    bench
        .eventually("one volume", |b| b.fake.world().volumes.len() == 1)
        .await;
    let world = bench.fake.world();
    assert!(world.volumes.keys().all(|name| !before.contains_key(name)));
    let shelves = shelves(&bench);
    assert_eq!(shelves.len(), 1);
    assert_eq!(
        shelves[0].files.get("other"),
        Some(&(0o400, Fake::digest(SECRET.as_bytes())))
    );
    assert_eq!((shelves[0].files.len(), holders(&bench).len()), (1, 1));
}

/// An image whose program runs as this user.
fn image_of(bench: &Bench, user: &str) -> Value {
    let image = ImageView {
        id: format!("sha256:{}", Fake::digest(user.as_bytes())),
        repo_digests: Vec::new(),
        entrypoint: Vec::new(),
        cmd: vec!["sh".to_owned()],
        user: user.to_owned(),
    };
    bench.fake.add_image_view("named:1", image);
    let mut object = with_files(1, &json!({}));
    container(&mut object)["image"] = json!("named:1");
    object
}

#[tokio::test(start_paused = true)]
async fn a_user_whom_only_the_image_knows_owns_the_files() {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    let object = image_of(&bench, "app");
    let lists: [(&str, &[u8]); 2] = [
        ("/etc/passwd", b"root:x:0:0::/:/sh\napp:x:1234:77::/:/sh\n"),
        ("/etc/group", b"app:x:77:\n"),
    ];
    for (path, list) in lists {
        bench.fake.add_image_file("named:1", path, list);
    }
    bench.settle(object).await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
    let world = bench.fake.world();
    let users: Vec<_> = world
        .volumes
        .keys()
        .filter_map(|name| bench.fake.volume(name)?.memory)
        .map(|memory| memory.user.to_string())
        .collect();
    assert_eq!(users, ["1234:77"]);
    // Nothing is left of the one that was made to look.
    assert_eq!(world.containers.len(), 3, "{:?}", world.containers.keys());
}

#[tokio::test(start_paused = true)]
async fn a_user_whom_the_image_does_not_know_is_an_invalid_spec_that_names_the_field() {
    let bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    let object = image_of(&bench, "nobody-here");
    bench.apply(object.clone());
    bench
        .eventually("told", |b| {
            b.condition("web", "Ready")
                .is_some_and(|(status, reason, message)| {
                    status == "False"
                        && reason == "InvalidSpec"
                        && message.contains("nobody-here")
                        && message.contains("runAsUser")
                })
        })
        .await;
    bench.always(60, "none", |b| b.of("web").is_empty()).await;
    let mut object = object;
    container(&mut object)["securityContext"] = json!({ "runAsUser": 5, "runAsGroup": 6 });
    bench.settle(object).await;
    bench.eventually("seen", |b| is_delivered(b, SECRET)).await;
}

#[tokio::test(start_paused = true)]
async fn each_change_signals_every_running_container_once_and_restarts_none() {
    let bench = settled(json!({ "onChange": "Signal", "signal": "SIGUSR1" })).await;
    let before = bench.ids("web");
    for (count, value) in [(1, NEXT), (2, SECRET)] {
        bench.seal("db", &[("password", value.as_bytes())]);
        bench.eventually("the next", |b| is_delivered(b, value)).await;
        let told = |b: &Bench| {
            let all = b.ids("web").into_iter();
            all.map(|id| b.fake.signals(&id)).collect::<Vec<_>>()
        };
        bench
            .eventually("told", |b| told(b) == vec![vec![10; count]; 2])
            .await;
        bench
            .always(60, "no more", |b| told(b) == vec![vec![10; count]; 2])
            .await;
    }
    assert_eq!(bench.ids("web"), before);
    assert!(bench.of("web").iter().all(|c| c.state == RunState::Running));
}

#[tokio::test(start_paused = true)]
async fn two_changes_in_one_second_are_two_and_the_last_one_stands() {
    let bench = settled(json!({ "onChange": "Signal" })).await;
    let before = bench.ids("web");
    let signals = |b: &Bench| {
        let all = b.ids("web").into_iter();
        all.map(|id| b.fake.signals(&id).len()).collect::<Vec<_>>()
    };
    let began = tokio::time::Instant::now();
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .within(1, "the first", |b| is_delivered(b, NEXT) && signals(b) == [1, 1])
        .await;
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    assert!(began.elapsed() < Duration::from_secs(1));
    bench
        .eventually("the second", |b| is_delivered(b, SECRET) && signals(b) == [2, 2])
        .await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn the_largest_number_of_keys_and_values_of_any_bytes_are_files_as_they_are_and_more_is_refused() {
    let bench = Bench::running();
    let keys: Vec<String> = (0..1000).map(|n| format!("key-{n:03}")).collect();
    let values: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let mut all: Vec<(&str, &[u8])> = keys
        .iter()
        .map(String::as_str)
        .zip(values.iter().map(Vec::as_slice))
        .collect();
    let told = bench.cluster.refusal(SECRETS, &bench.sealed("db", &all));
    assert!(
        told.contains("spec.encryptedData: Too many: 1000: must have at most 256 items"),
        "{told}"
    );
    all.truncate(254);
    all.extend([("empty", &b""[..]), ("binary", &b"\0\xff\r\n"[..])]);
    bench.seal("db", &all);
    bench.settle(with_files(1, &json!({}))).await;
    let files = shelves(&bench).remove(0).files;
    assert_eq!(files.len(), all.len());
    for (key, value) in all {
        assert_eq!(files[key].1, Fake::digest(value), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_with_restart_replaces_every_container_and_no_old_one_sees_it() {
    let bench = settled(json!({ "onChange": "Restart" })).await;
    let (before, volumes) = (bench.ids("web"), bench.fake.world().volumes);
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("replaced, the old volume untouched until it goes", |b| {
            let old = volumes.keys().filter_map(|name| b.fake.delivered(name));
            for shelf in old {
                assert_eq!(shelf.files["password"].1, Fake::digest(SECRET.as_bytes()));
            }
            b.is_ready("web") && is_delivered(b, NEXT)
        })
        .await;
    assert!(bench.ids("web").iter().all(|id| !before.contains(id)));
    assert_eq!((bench.live("web"), holders(&bench).len()), (2, 1));
}
