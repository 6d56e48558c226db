//! What a store does when what it stands on fails: refusals, parts of a file written, a crash of the writer, and the way
//! back. Owns a backend and a disk that fail on demand.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use redb::{Builder, Database, DatabaseError, StorageBackend, backends::FileBackend};
use serde_json::{Value, json};

use super::{
    backend::{Batch, Loaded, Memory},
    contract_tests::open_again,
    *,
};

#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Work,
    Refuse,
    WriteAndRefuse,
    RefuseToReopen,
    Panic,
}

#[derive(Clone)]
struct Faulty {
    memory: Memory,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    fn new() -> Self {
        Self {
            memory: Memory::default(),
            plan: Arc::new(Mutex::new(Plan::Work)),
        }
    }

    fn open(&self) -> Store {
        Store::behind_thread(Box::new(self.clone()), Options::default()).unwrap()
    }

    fn will(&self, plan: Plan) {
        *self.plan.lock().unwrap() = plan;
    }

    fn plan(&self) -> Plan {
        *self.plan.lock().unwrap()
    }
}

impl Backend for Faulty {
    fn load(&mut self) -> Result<Loaded, String> {
        self.memory.load()
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        match self.plan() {
            Plan::Work => self.memory.commit(batch),
            Plan::Refuse | Plan::RefuseToReopen => Err("no space".to_owned()),
            Plan::WriteAndRefuse => {
                self.memory.commit(batch)?;
                Err("no sync".to_owned())
            }
            Plan::Panic => panic!("as planned"),
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        match self.plan() {
            Plan::RefuseToReopen => Err("no file".to_owned()),
            _ => Ok(()),
        }
    }
}

fn key(name: &str) -> Key {
    Key::new(&GroupResource::new("", "configmaps"), "n", name)
}

fn object(text: &str) -> Value {
    json!({"data": {"text": text}, "metadata": {"name": "n"}})
}

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, WriteError>) -> String {
    match outcome {
        Err(WriteError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Names and texts of everything.
fn contents(store: &Store) -> Vec<(String, Value)> {
    let range = Range {
        of: GroupResource::new("", "configmaps"),
        namespace: None,
        after: None,
    };
    let page = store.list(&range, None, 0).unwrap();
    let shown = |record: &Arc<Record>| (record.key.name.to_string(), store.object(record).unwrap());
    page.records.iter().map(shown).collect()
}

async fn writable(store: &Store) {
    while store.writable().is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_failed_write_is_refused_and_invisible_and_reads_go_on() {
    let faulty = Faulty::new();
    let store = faulty.open();
    let record = store.create(key("a"), object("one")).await.unwrap();
    let mut watch = store.watch(&record.key.of, None, 3).unwrap();
    for plan in [Plan::Refuse, Plan::RefuseToReopen] {
        faulty.will(plan);
        for _ in 0..3 {
            unavailable(store.update(key("a"), 3, object("two")).await);
            unavailable(store.create(key("b"), object("x")).await);
            unavailable(store.delete(key("a"), 3).await);
            assert!(store.writable().is_err());
            assert_eq!((store.revision(), contents(&store).len()), (3, 1));
            assert!(watch.try_next().is_none());
        }
    }
    faulty.will(Plan::Work);
    assert_eq!(
        store.update(key("a"), 3, object("two")).await.unwrap().revision,
        4
    );
    assert_eq!(store.writable(), Ok(()));
    assert!(matches!(watch.try_next(), Some(Next::Event(event)) if event.revision == 4));
}

#[tokio::test]
async fn the_reason_is_told() {
    let faulty = Faulty::new();
    let store = faulty.open();
    faulty.will(Plan::Refuse);
    assert_eq!(unavailable(store.create(key("a"), object("x")).await), "no space");
    assert_eq!(store.writable(), Err("no space".to_owned()));
    faulty.will(Plan::RefuseToReopen);
    assert_eq!(unavailable(store.create(key("a"), object("x")).await), "no file");
}

#[tokio::test]
async fn a_store_becomes_writable_by_itself() {
    let faulty = Faulty::new();
    let store = faulty.open();
    faulty.will(Plan::Refuse);
    unavailable(store.create(key("a"), object("x")).await);
    faulty.will(Plan::Work);
    writable(&store).await;
}

#[tokio::test]
async fn what_was_refused_but_written_is_taken_back() {
    let faulty = Faulty::new();
    let store = faulty.open();
    for name in ["changed", "deleted"] {
        store.create(key(name), object("before")).await.unwrap();
    }
    let before = contents(&store);
    faulty.will(Plan::WriteAndRefuse);
    let (created, changed, deleted) = futures::join!(
        store.create(key("created"), object("x")),
        store.update(key("changed"), 3, object("after")),
        store.delete(key("deleted"), 4),
    );
    unavailable(created);
    unavailable(changed);
    unavailable(deleted);
    assert_eq!(contents(&store), before);
    faulty.will(Plan::Work);
    writable(&store).await;
    store.close().await;
    let store = faulty.open();
    assert_eq!((contents(&store), store.revision()), (before, 4));
    // The history does not have it, either.
    let created = store.create(key("created"), object("y")).await.unwrap();
    store.close().await;
    let store = faulty.open();
    let mut watch = store.watch(&created.key.of, None, 4).unwrap();
    assert!(
        matches!(watch.try_next(), Some(Next::Event(event)) if event.record.as_ref().unwrap().key == created.key)
    );
    assert!(watch.try_next().is_none());
}

#[tokio::test]
async fn a_refusal_that_speaks_of_a_failed_write_is_no_conflict() {
    let faulty = Faulty::new();
    let store = faulty.open();
    faulty.will(Plan::Refuse);
    let (first, second) = futures::join!(
        store.create(key("a"), object("x")),
        store.create(key("a"), object("y")),
    );
    unavailable(first);
    unavailable(second);
}

#[tokio::test]
async fn a_panic_of_the_writer_hangs_nobody() {
    let faulty = Faulty::new();
    let store = faulty.open();
    let record = store.create(key("a"), object("x")).await.unwrap();
    let mut watch = store.watch(&record.key.of, None, 3).unwrap();
    faulty.will(Plan::Panic);
    let outcomes =
        futures::future::join_all((0..50).map(|at| store.create(key(&format!("b{at}")), object("x")))).await;
    outcomes.into_iter().for_each(|outcome| _ = unavailable(outcome));
    assert!(matches!(watch.next(Duration::from_secs(600)).await, Next::Closed));
    let why = store.writable().unwrap_err();
    assert!(why.contains("restart"), "{why}");
    assert_eq!(unavailable(store.create(key("c"), object("x")).await), why);
    assert!(store.get(&record.key).is_some());
    store.close().await;
}

/// A disk that takes so many more operations.
#[derive(Debug)]
struct Failing {
    file: FileBackend,
    left: Arc<AtomicI64>,
}

impl Failing {
    fn spend(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.left.store(0, Ordering::SeqCst);
        Err(io::Error::from_raw_os_error(libc::ENOSPC))
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.spend()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.spend()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Err(full) = self.spend() {
            // Half of it got there.
            self.file.write(offset, &data[..data.len() / 2])?;
            return Err(full);
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn open_failing(path: &Path, left: &Arc<AtomicI64>) -> Store {
    let left = left.clone();
    let opener = move |file: File| -> Result<Database, DatabaseError> {
        Builder::new().create_with_backend(Failing {
            file: FileBackend::new(file)?,
            left: left.clone(),
        })
    };
    let disk = Disk::open(path, Box::new(opener)).unwrap();
    Store::behind_thread(Box::new(disk), Options::default()).unwrap()
}

/// Creates, changes and deletes until the disk is full; answers how many writes went well.
async fn write_until_full(store: &Store) -> usize {
    for round in 0.. {
        let name = format!("o{}", round % 7);
        let big = "x".repeat(3_000);
        let outcome = match store.get(&key(&name)) {
            None => store.create(key(&name), object(&big)).await,
            Some(now) if round % 3 == 0 => store.delete(key(&name), now.revision).await,
            Some(now) => {
                store
                    .update(key(&name), now.revision, object(&format!("{round}{big}")))
                    .await
            }
        };
        if outcome.is_err() {
            let why = unavailable(outcome);
            assert!(
                why.contains("No space left") && why.contains("free space"),
                "{why}"
            );
            return round;
        }
    }
    unreachable!("every disk is full in the end")
}

#[tokio::test]
async fn a_full_disk_tears_nothing_wherever_it_fails() {
    let mut written = 0;
    for operations in 1..60 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let store = open_failing(&path, &left);
        store.create(key("first"), object("x")).await.unwrap();
        left.store(operations, Ordering::SeqCst);
        written += write_until_full(&store).await;
        let (before, revision) = (contents(&store), store.revision());
        assert!(store.writable().unwrap_err().contains("No space left"));
        // Room again: what is written from here on follows what was acknowledged.
        left.store(i64::MAX, Ordering::SeqCst);
        let after = store.create(key("after"), object("x")).await.unwrap();
        assert_eq!(after.revision, revision + 1);
        store.close().await;
        let store = open_again(&path, &Options::default()).unwrap();
        let mut now = contents(&store);
        now.retain(|(name, _)| name != "after");
        assert_eq!(
            (now, store.revision()),
            (before, revision + 1),
            "after {operations} operations"
        );
        assert_eq!(store.shared.read(State::oldest), 2);
    }
    assert!(written > 20, "{written}");
}

#[tokio::test]
async fn a_crash_on_a_full_disk_leaves_all_of_a_write_or_nothing() {
    for operations in 1..60 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let store = open_failing(&path, &left);
        store.create(key("first"), object("x")).await.unwrap();
        left.store(operations, Ordering::SeqCst);
        write_until_full(&store).await;
        let (before, revision) = (contents(&store), store.revision());
        // Still full when it ends, so that nothing is set straight.
        store.close().await;
        let store = open_again(&path, &Options::default()).unwrap();
        assert!((revision..=revision + 1).contains(&store.revision()));
        if store.revision() == revision {
            assert_eq!(contents(&store), before);
        }
        let then = store.list(
            &Range {
                of: key("a").of,
                namespace: None,
                after: None,
            },
            Some(revision),
            0,
        );
        let then = then.unwrap().records;
        let shown: Vec<_> = then
            .iter()
            .map(|record| (record.key.name.to_string(), store.object(record).unwrap()))
            .collect();
        assert_eq!(shown, before);
    }
}
