//! What only a store on disk can do: be locked, be of another version, be damaged, have modes, and survive the death of
//! its process. The dying processes are this test binary, started again in a directory of its own.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use redb::{Database, TableDefinition};
use serde_json::{Value, json};

use super::{contract_tests::open_again, *};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");

fn key(name: &str) -> Key {
    Key::new(&GroupResource::new("", "configmaps"), "n", name)
}

fn object(count: u64) -> Value {
    json!({"data": {"count": count}, "metadata": {"name": "n"}})
}

fn open(path: &Path) -> Result<Store, OpenError> {
    open_again(path, &Options::default())
}

async fn filled(path: &Path) {
    let store = open(path).unwrap();
    for name in ["a", "b", "c"] {
        store.create(key(name), object(0)).await.unwrap();
    }
    store.close().await;
}

fn change(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    // As in `open_again`: a process that is just being started has the lock, too.
    let database = loop {
        match Database::open(path) {
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_closes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let store = open(&path).unwrap();
    let refused = Store::open(&path, Options::default()).err().unwrap();
    assert!(
        matches!(&refused, OpenError::InUse(of) if *of == path),
        "{refused}"
    );
    assert!(refused.to_string().contains("in use by another process"));
    store.create(key("a"), object(0)).await.unwrap();
    store.close().await;
    assert_eq!(open(&path).unwrap().revision(), 3);
}

#[tokio::test]
async fn a_newer_state_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    filled(&path).await;
    change(&path, |t| {
        _ = t.open_table(META).unwrap().insert("version", 2).unwrap()
    });
    let refused = open(&path).err().unwrap();
    assert!(matches!(
        refused,
        OpenError::Newer {
            found: 2,
            known: 1,
            ..
        }
    ));
    let text = refused.to_string();
    assert!(
        text.contains("state version 2") && text.contains("versions up to 1"),
        "{text}"
    );
    change(&path, |t| {
        _ = t.open_table(META).unwrap().insert("version", 1).unwrap()
    });
    assert_eq!(open(&path).unwrap().revision(), 5);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "no database".repeat(1_000)).unwrap();
    assert!(matches!(open(&text), Err(OpenError::Unreadable(_))));
    assert_eq!(fs::read_to_string(&text).unwrap(), "no database".repeat(1_000));
    let foreign = dir.path().join("foreign");
    drop(Database::create(&foreign).unwrap());
    let refused = open(&foreign).err().unwrap().to_string();
    assert!(refused.contains("no state version"), "{refused}");
    let nowhere = dir.path().join("no/such/directory");
    assert!(matches!(open(&nowhere), Err(OpenError::Unreadable(_))));
}

#[tokio::test]
async fn an_unfinished_creation_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    fs::write(dir.path().join("state.new"), "half").unwrap();
    filled(&path).await;
    assert!(!dir.path().join("state.new").exists());
    assert_eq!(open(&path).unwrap().revision(), 5);
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    filled(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    filled_again(&path).await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
    }
}

async fn filled_again(path: &Path) {
    open(path).unwrap().close().await;
}

#[tokio::test]
async fn a_history_that_does_not_fit_begins_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    filled(&path).await;
    change(&path, |t| _ = t.open_table(HISTORY).unwrap().remove(4).unwrap());
    let store = open(&path).unwrap();
    assert!(store.watch(&key("a").of, None, 4).is_ok());
    assert_eq!(
        store.watch(&key("a").of, None, 3).err(),
        Some(RevisionError::Expired { asked: 3, oldest: 4 })
    );
    store.close().await;
    change(&path, |t| {
        t.open_table(HISTORY).unwrap().retain(|_, _| false).unwrap()
    });
    let store = open(&path).unwrap();
    assert_eq!(store.shared.read(State::oldest), 5);
    assert_eq!(store.create(key("d"), object(0)).await.unwrap().revision, 6);
}

#[tokio::test]
async fn an_entry_that_cannot_be_understood_is_an_error_and_no_panic() {
    for bytes in [&b""[..], b"\x00short", b"\x07aaaaaaaabbbbbbbb{}"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        filled(&path).await;
        change(&path, |t| {
            t.open_table(OBJECTS)
                .unwrap()
                .insert(&b"\0configmaps\0n\0z"[..], bytes)
                .unwrap();
        });
        let refused = open(&path).err().unwrap().to_string();
        assert!(refused.contains("cannot be understood"), "{refused}");
    }
}

/// Starts `case` of this file as a process whose working directory is `dir`.
fn start(case: &str, dir: &Path, through: Option<&str>) -> Child {
    fs::write(dir.join("go"), "").unwrap();
    let path = module_path!().split_once("::").unwrap().1;
    let binary = std::env::current_exe().unwrap();
    let mut command = match through {
        None => Command::new(&binary),
        Some(script) => {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
                .arg(&binary);
            shell
        }
    };
    command
        .args(["--exact", &format!("{path}::{case}"), "--nocapture"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether this process was made by [`start`].
fn started() -> bool {
    Path::new("go").exists()
}

/// Counts up in eight objects and says every count that was acknowledged.
async fn count_until_killed() {
    let store = open(Path::new("state")).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for counter in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let place = key(&format!("c{counter}"));
            loop {
                let record = match store.get(&place) {
                    None => store.create(place.clone(), object(1)).await.unwrap(),
                    Some(now) => {
                        let count = store.object(&now).unwrap()["data"]["count"].as_u64().unwrap();
                        store
                            .update(place.clone(), now.revision, object(count + 1))
                            .await
                            .unwrap()
                    }
                };
                let count = store.object(&record).unwrap()["data"]["count"].as_u64().unwrap();
                println!("written {counter} {count} {}", record.revision);
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn every_acknowledged_write_survives_kill_9() {
    if started() {
        return count_until_killed().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = BTreeMap::new();
    let mut newest = 2;
    for round in 0..8 {
        let mut child = start("every_acknowledged_write_survives_kill_9", dir.path(), None);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: &str| {
            let Some(rest) = line.strip_prefix("written ") else {
                return false;
            };
            let mut numbers = rest.split(' ').map(|number| number.parse::<u64>().unwrap());
            let mut next = || numbers.next().unwrap();
            let (counter, count, revision) = (next(), next(), next());
            last.insert(counter, count);
            newest = newest.max(revision);
            true
        };
        let mut seen = 0;
        while seen < 20 + 37 * round {
            seen += usize::from(note(&lines.next().unwrap().unwrap()));
        }
        child.kill().unwrap();
        // What it said before it died counts; a line cut off does not.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        for line in &rest[..rest.len().saturating_sub(1)] {
            note(line);
        }
        child.wait().unwrap();
        let store = open(&dir.path().join("state")).unwrap();
        assert!(store.revision() >= newest);
        for (counter, count) in &last {
            let record = store.get(&key(&format!("c{counter}"))).unwrap();
            assert!(record.revision <= store.revision());
            let found = store.object(&record).unwrap()["data"]["count"].as_u64().unwrap();
            assert!(
                found >= *count,
                "counter {counter} is at {found} and was acknowledged at {count}"
            );
        }
        assert_eq!(
            store.shared.read(State::oldest),
            2,
            "the history leads back to the beginning"
        );
        newest = store.revision();
        store.close().await;
    }
}

async fn write_until_full() {
    let store = open(Path::new("state")).unwrap();
    for at in 0.. {
        let object = json!({"data": {"count": at, "filling": "x".repeat(20_000)}});
        match store.create(key(&format!("o{at:05}")), object).await {
            Ok(_) => {}
            Err(WriteError::Unavailable(why)) => {
                assert_eq!(store.writable(), Err(why));
                assert_eq!(store.revision(), at + 2);
                assert!(store.get(&key(&format!("o{:05}", at - 1))).is_some());
                // Again and again, without a panic. What the failure gave back may be enough for one.
                let mut written = at;
                for again in 0..5 {
                    let object = json!({"data": "x".repeat(20_000)});
                    written += u64::from(store.create(key(&format!("p{again}")), object).await.is_ok());
                }
                assert_eq!(store.revision(), written + 2);
                println!("full at {written}");
                return;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_grow_refuses_writes_and_keeps_what_it_has() {
    if started() {
        return write_until_full().await;
    }
    let dir = tempfile::tempdir().unwrap();
    // Blocks of 512 bytes or of 1,024, whatever the shell counts in.
    let mut child = start(
        "a_file_that_cannot_grow_refuses_writes_and_keeps_what_it_has",
        dir.path(),
        Some("trap '' XFSZ; ulimit -f 8192"),
    );
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let said: Vec<String> = lines.filter(|line| line.starts_with("full at ")).collect();
    assert!(child.wait().unwrap().success());
    let written: u64 = said[0].strip_prefix("full at ").unwrap().parse().unwrap();
    assert!(written > 10);
    let store = open(&dir.path().join("state")).unwrap();
    let range = Range {
        of: key("a").of,
        namespace: None,
        after: None,
    };
    let records: Vec<Arc<Record>> = store.list(&range, None, 0).unwrap().records;
    // The one that was refused last may be there: it was whole or not at all.
    let there = records.len() as u64;
    assert!((written..=written + 1).contains(&there), "{there} of {written}");
    assert_eq!(store.revision(), there + 2);
    store.create(key("new"), object(0)).await.unwrap();
}
