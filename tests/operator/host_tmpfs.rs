//! Files in the operator's own directory of the host: without a holder the same promises hold, whatever becomes of the
//! directory, of the operator and of the flag.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use supercargo::{
    api::keys::label,
    engine::{Containers, Term, fake::Fake},
    execute::HostFiles,
    state::{container::ContainerView, owner::Instance},
};
use tokio::time::sleep;

use super::{
    bench::{Bench, DEPLOYMENTS, NS, SECRETS, container},
    files::with_files,
};

const SECRET: &str = "hunter2";
const NEXT: &str = "correct horse";

/// A directory as the flag wants it, which goes away.
fn memory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in("/dev/shm")
        .expect("/dev/shm is needed, and is a tmpfs on every Linux")
}

fn flag(dir: &Path) -> HostFiles {
    HostFiles::open(dir, Term::endless()).expect("files are given to their users: run this as root")
}

async fn settled(dir: &Path, more: Value) -> Bench {
    let mut bench = Bench::still();
    bench.host_files = Some(flag(dir));
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(2, &more)).await;
    bench.eventually("seen", |b| is_seen(b, dir, SECRET)).await;
    bench
}

/// Everything right below what the control plane has there, but records.
fn volumes(bench: &Bench, dir: &Path) -> Vec<PathBuf> {
    let root = dir.join(Instance::new(bench.instance.clone()).short());
    let entries = fs::read_dir(root).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// Whether the one volume has this password, and people are told that every instance sees it.
fn is_seen(bench: &Bench, dir: &Path, password: &str) -> bool {
    let volumes = volumes(bench, dir);
    let has = |at: &PathBuf| fs::read(at.join("password")).is_ok_and(|found| found == password.as_bytes());
    volumes.len() == 1 && volumes.iter().all(has) && condition(bench).0 == "True"
}

fn condition(bench: &Bench) -> (String, String, String) {
    bench.condition("web", "SecretsDelivered").unwrap_or_default()
}

fn is_told_with(bench: &Bench, words: &str) -> bool {
    let (status, reason, message) = condition(bench);
    status == "False" && reason == "SecretDeliveryError" && message.contains(words)
}

fn holders(bench: &Bench) -> Vec<ContainerView> {
    let mut views = bench.fake.containers();
    views.retain(|c| !c.label(label::HOLDS_FOR).is_empty());
    views
}

/// How many of the deployment's containers have their files in a directory of the host.
fn on_host(bench: &Bench) -> usize {
    let views = bench.of("web");
    let is_path = |view: &&ContainerView| view.label(label::FILES).starts_with("{\"/");
    views.iter().filter(is_path).count()
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test(start_paused = true)]
async fn files_come_without_a_holder_to_whom_they_belong_and_leave_nothing_behind() {
    let dir = memory();
    let mut bench = Bench::still();
    bench.host_files = Some(flag(dir.path()));
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    let mut object = with_files(2, &json!({ "defaultMode": 0o440 }));
    container(&mut object)["securityContext"] = json!({ "runAsUser": 1000, "runAsGroup": 1001 });
    bench.settle(object).await;
    bench.eventually("seen", |b| is_seen(b, dir.path(), SECRET)).await;
    assert_eq!((holders(&bench).len(), on_host(&bench)), (0, 2));
    assert!(bench.fake.world().volumes.is_empty());
    let may_swap = !flag(dir.path()).noswap();
    assert_eq!(condition(&bench).2.contains("mounted without noswap"), may_swap);
    let at = volumes(&bench, dir.path()).remove(0);
    let file = fs::metadata(at.join("password")).unwrap();
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.gid()),
        (0o440, 1000, 1001)
    );
    let volume = fs::metadata(&at).unwrap();
    assert_eq!((volume.uid(), volume.gid()), (1000, 1001));
    let everything = format!("{:?} {:?}", bench.cluster.all(DEPLOYMENTS), bench.fake.world());
    assert!(!everything.contains(SECRET));
    bench.delete("web");
    bench
        .eventually("gone", |b| b.cluster.all(DEPLOYMENTS).is_empty())
        .await;
    assert!(is_empty(dir.path()));
}

#[tokio::test(start_paused = true)]
async fn a_new_value_comes_under_containers_that_run_and_is_told_once_also_after_a_kill() {
    let dir = memory();
    let mut bench = settled(dir.path(), json!({ "onChange": "Signal", "signal": "SIGHUP" })).await;
    let before = bench.ids("web");
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("the next", |b| is_seen(b, dir.path(), NEXT))
        .await;
    bench.kill().await;
    bench.fake.forget_calls();
    bench.start();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        bench.fake.calls(),
        [],
        "who begins again looks and changes nothing"
    );
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench
        .eventually("the first", |b| is_seen(b, dir.path(), SECRET))
        .await;
    let told = |b: &Bench| b.ids("web").iter().all(|id| b.fake.signals(id) == [1, 1]);
    bench.eventually("told twice", told).await;
    bench.always(60, "no more", told).await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn old_replicas_never_see_a_value_for_which_they_are_replaced_and_their_files_go_with_them() {
    let dir = memory();
    let bench = settled(dir.path(), json!({ "onChange": "Restart" })).await;
    let before = bench.ids("web");
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("the next", |b| is_seen(b, dir.path(), NEXT))
        .await;
    assert!(bench.ids("web").iter().all(|id| !before.contains(id)));
}

#[tokio::test(start_paused = true)]
async fn files_that_somebody_took_away_are_delivered_again_under_those_who_run() {
    let dir = memory();
    let bench = settled(dir.path(), json!({})).await;
    let before = bench.ids("web");
    let at = volumes(&bench, dir.path()).remove(0);
    for entry in fs::read_dir(&at).unwrap() {
        let path = entry.unwrap().path();
        let is_link = path.symlink_metadata().unwrap().is_symlink();
        if is_link {
            fs::remove_file(path)
        } else {
            fs::remove_dir_all(path)
        }
        .unwrap();
    }
    bench.annotate("web", "touch", "1");
    bench
        .eventually("again", |b| is_seen(b, dir.path(), SECRET))
        .await;
    assert_eq!(bench.ids("web"), before);
}

/// When the deployment's containers were started.
fn runs(bench: &Bench) -> Vec<Option<jiff::Timestamp>> {
    bench.of("web").iter().map(|view| view.started_at).collect()
}

#[tokio::test(start_paused = true)]
async fn who_has_mounted_a_directory_that_was_removed_is_started_again_once() {
    let dir = memory();
    for whole in [false, true] {
        let bench = settled(dir.path(), json!({})).await;
        let before = runs(&bench);
        let gone = volumes(&bench, dir.path()).remove(0);
        fs::remove_dir_all(if whole { gone.parent().unwrap() } else { &gone }).unwrap();
        bench.annotate("web", "touch", "1");
        bench
            .eventually("started again", |b| {
                let now = runs(b);
                now.len() == 2
                    && now.iter().all(|run| !before.contains(run))
                    && is_seen(b, dir.path(), SECRET)
            })
            .await;
        bench.ready("web").await;
        let after = runs(&bench);
        bench.always(60, "and no more", |b| runs(b) == after).await;
        bench.delete("web");
        bench
            .eventually("gone", |b| b.cluster.all(DEPLOYMENTS).is_empty())
            .await;
        assert!(is_empty(dir.path()));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_none_starts_before_its_files_are_back_nor_without_the_secret() {
    let dir = memory();
    let mut bench = settled(dir.path(), json!({})).await;
    let before = bench.ids("web");
    bench.cluster.edit(SECRETS, NS, "db", |o| {
        o["metadata"]["annotations"]["supercargo.dev/force-delete"] = json!("true");
    });
    bench.cluster.remove(SECRETS, NS, "db");
    bench
        .always(30, "what runs stays", |b| {
            b.live("web") == 2 && volumes(b, dir.path()).len() == 1
        })
        .await;
    bench.kill().await;
    bench.fake.restart_engine_without_live_restore();
    for entry in fs::read_dir(dir.path()).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    bench.start();
    bench
        .always(60, "none starts on nothing", |b| b.live("web") == 0)
        .await;
    assert!(
        is_told_with(&bench, "the files that it was given are gone"),
        "{:?}",
        condition(&bench)
    );
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.eventually("both run", |b| b.live("web") == 2).await;
    bench.eventually("seen", |b| is_seen(b, dir.path(), SECRET)).await;
    assert_eq!(bench.ids("web"), before);
}

#[tokio::test(start_paused = true)]
async fn an_engine_on_another_host_gets_no_value_and_is_named() {
    let dir = memory();
    let mut bench = Bench::still();
    bench.host_files = Some(flag(dir.path()));
    bench.fake.move_elsewhere();
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.apply(with_files(2, &json!({})));
    let words = "--host-tmpfs: the Docker Engine does not see the directory";
    bench.eventually("told", |b| is_told_with(b, words)).await;
    bench
        .always(120, "nothing is there", |b| b.of("web").is_empty())
        .await;
    assert_eq!(bench.told("SecretDeliveryError"), 1);
    assert!(is_empty(dir.path()) && holders(&bench).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_others_may_enter_by_now_gets_no_value_until_it_is_closed() {
    let dir = memory();
    let bench = settled(dir.path(), json!({})).await;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("told", |b| is_told_with(b, "is open to others; close it"))
        .await;
    let at = volumes(&bench, dir.path()).remove(0);
    assert_eq!(fs::read_to_string(at.join("password")).unwrap(), SECRET);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    bench
        .eventually("the next", |b| is_seen(b, dir.path(), NEXT))
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_another_control_plane_or_a_person_has_there_is_not_touched() {
    let dir = memory();
    let other = dir.path().join("0ther1");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "theirs").unwrap();
    let bench = settled(dir.path(), json!({})).await;
    let root = volumes(&bench, dir.path()).remove(0).parent().unwrap().to_owned();
    fs::create_dir(root.join("shop_web_files_mine_1")).unwrap();
    fs::write(root.join("shop_web_files_mine_2"), "{}").unwrap();
    bench.delete("web");
    bench
        .eventually("gone", |b| b.cluster.all(DEPLOYMENTS).is_empty())
        .await;
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "theirs");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn with_the_flag_who_runs_keeps_its_holder_until_it_is_replaced() {
    let dir = memory();
    let mut bench = Bench::running();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(2, &json!({}))).await;
    let before = bench.ids("web");
    bench.stop().await;
    bench.host_files = Some(flag(dir.path()));
    bench.start();
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench
        .eventually("the next", |b| super::files::is_delivered(b, NEXT))
        .await;
    // Also when it has to be made anew.
    let holder = holders(&bench).remove(0).id;
    bench.fake.remove_container(&holder, true).await.unwrap();
    bench.annotate("web", "touch", "1");
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench
        .eventually("the first", |b| super::files::is_delivered(b, SECRET))
        .await;
    assert_eq!((bench.ids("web"), on_host(&bench)), (before, 0));
    bench.edit("web", |o| container(o)["image"] = json!("app:2"));
    bench
        .eventually("moved", |b| {
            on_host(b) == 2 && b.is_ready("web") && b.of("web").len() == 2
        })
        .await;
    bench.eventually("seen", |b| is_seen(b, dir.path(), SECRET)).await;
    bench
        .eventually("no holder", |b| {
            holders(b).is_empty() && b.fake.world().volumes.is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_the_flag_or_with_another_directory_who_has_files_there_is_replaced() {
    let (dir, other) = (memory(), memory());
    let mut bench = settled(dir.path(), json!({})).await;
    bench.stop().await;
    bench.host_files = Some(flag(other.path()));
    bench.start();
    bench
        .eventually("moved", |b| is_seen(b, other.path(), SECRET) && b.is_ready("web"))
        .await;
    bench.stop().await;
    bench.host_files = None;
    bench.start();
    bench
        .eventually("held", |b| {
            on_host(b) == 0 && super::files::is_delivered(b, SECRET) && b.is_ready("web")
        })
        .await;
    assert_eq!((bench.live("web"), holders(&bench).len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_in_the_directory_is_found_told_and_written_again() {
    type Harm = fn(&Path);
    let cases: [(Harm, &str, &str); 4] = [
        (
            |at| fs::write(at.join("..data/password"), "hunter3").unwrap(),
            "content",
            "file password has another content",
        ),
        (
            |at| {
                let open = Permissions::from_mode(0o666);
                fs::set_permissions(at.join("..data/password"), open).unwrap();
            },
            "mode",
            "file password has another mode",
        ),
        (
            |at| std::os::unix::fs::chown(at.join("..data/password"), Some(7), None).unwrap(),
            "owner",
            "file password has another owner",
        ),
        (
            |at| fs::write(at.join("more"), "").unwrap(),
            "unexpected",
            "a file that was not placed",
        ),
    ];
    for (harm, property, words) in cases {
        let dir = memory();
        let bench = settled(dir.path(), json!({})).await;
        // The comparison that follows the first delivery is over.
        sleep(Duration::from_secs(120)).await;
        let (at, before) = (volumes(&bench, dir.path()).remove(0), runs(&bench));
        let told = |b: &Bench| b.told("SecretDeliveryError");
        assert_eq!(told(&bench), 0);
        harm(&at);
        let line = format!("supercargo_secret_file_drifts_total{{property=\"{property}\"}} 1");
        bench.within(700, property, |b| b.scrape().contains(&line)).await;
        bench
            .eventually("written again", |b| {
                let file = fs::metadata(at.join("password"));
                let whole = file.is_ok_and(|f| (f.mode() & 0o7777, f.uid()) == (0o400, 0));
                whole && !at.join("more").exists() && is_seen(b, dir.path(), SECRET)
            })
            .await;
        let mut events = bench.cluster.all("events");
        events.retain(|e| e["reason"] == "SecretDeliveryError");
        assert!(
            events.iter().any(|e| e["note"].as_str().unwrap().contains(words)),
            "{events:?}"
        );
        assert_eq!(runs(&bench), before, "nothing is restarted");
    }
}

#[tokio::test(start_paused = true)]
async fn protected_variables_have_a_holder_and_files_go_with_them_and_come_back() {
    let dir = memory();
    let bench = settled(dir.path(), json!({})).await;
    bench.edit("web", |o| {
        o["spec"]["secretEnv"] = json!("Protected");
        container(o)["env"] = json!([{
            "name": "PASSWORD",
            "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } },
        }]);
    });
    let has = |b: &Bench, value: &str| {
        let shelves = b.fake.world().delivered;
        let found = |path: &str| {
            let mut digests = shelves.values().filter_map(|shelf| shelf.files.get(path));
            digests.any(|(_, digest)| *digest == Fake::digest(value.as_bytes()))
        };
        let through_program = |id: &String| {
            let command = b.fake.spec_of(id).unwrap().entrypoint.unwrap_or_default();
            command.first().map(String::as_str) == Some("/run/supercargo/bin/supercargo")
        };
        b.is_ready("web")
            && b.ids("web").iter().all(|id| through_program(&id.to_string()))
            && b.env("web", "PASSWORD").iter().all(String::is_empty)
            && found("password")
            && found("PASSWORD")
    };
    bench
        .eventually("protected", |b| has(b, SECRET) && on_host(b) == 0)
        .await;
    assert_eq!(holders(&bench).len(), 1);
    bench
        .eventually("nothing is left there", |b| volumes(b, dir.path()).is_empty())
        .await;
    bench.seal("db", &[("password", NEXT.as_bytes())]);
    bench.eventually("the next", |b| has(b, NEXT)).await;
    assert!(volumes(&bench, dir.path()).is_empty());
    bench.edit("web", |o| o["spec"]["secretEnv"] = json!("Plain"));
    bench
        .eventually("back", |b| {
            on_host(b) == 2 && b.of("web").len() == 2 && is_seen(b, dir.path(), NEXT)
        })
        .await;
    bench
        .eventually("no holder and no program", |b| {
            holders(b).is_empty() && b.fake.world().volumes.is_empty()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_audit_file_names_the_directory_that_got_a_value() {
    let dir = memory();
    let mut bench = Bench::still();
    bench.host_files = Some(flag(dir.path()));
    bench.audit_log = Some(bench.dir.path().join("audit"));
    bench.start();
    bench.seal("db", &[("password", SECRET.as_bytes())]);
    bench.settle(with_files(1, &json!({}))).await;
    bench.eventually("seen", |b| is_seen(b, dir.path(), SECRET)).await;
    bench.stop().await;
    let text = fs::read_to_string(bench.audit_log.as_ref().unwrap()).unwrap();
    assert!(!text.contains(SECRET));
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told = lines.iter().find(|l| l["form"] == "File").unwrap();
    let at = volumes(&bench, dir.path()).remove(0);
    assert_eq!(told["volume"].as_str(), at.to_str());
    assert_eq!(
        [&told["secret"], &told["key"], &told["file"], &told["outcome"]],
        ["db", "password", "password", "delivered"]
    );
}
