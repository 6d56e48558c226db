//! What a store promises, whatever it stands on: the same cases run in memory and on disk, also across a restart.
//! Owns no case that only one of them can have: those are in `disk_tests` and `fault_tests`.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{backend::Memory, *};
use crate::clock::Fixed;

/// Something a store can stand on, more than once.
pub(super) enum Ground {
    Memory(Memory),
    /// Memory as the disk is used: behind the thread.
    Queued(Memory),
    Disk(tempfile::TempDir),
}

/// Opens a store that was closed a moment ago: another test that starts a process holds our locks, too, from its fork to
/// its exec.
pub(super) fn open_again(path: &Path, options: &Options) -> Result<Store, OpenError> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match Store::open(path, options.clone()) {
            Err(OpenError::InUse(_)) if Instant::now() < end => std::thread::yield_now(),
            other => return other,
        }
    }
}

impl Ground {
    pub(super) fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    pub(super) fn queued() -> Self {
        Self::Queued(Memory::default())
    }

    pub(super) fn disk() -> Self {
        Self::Disk(tempfile::tempdir().unwrap())
    }

    pub(super) fn open(&self, options: Options) -> Store {
        match self {
            Self::Memory(memory) => Store::inside(memory.clone(), options),
            Self::Queued(memory) => Store::behind_thread(Box::new(memory.clone()), options).unwrap(),
            Self::Disk(dir) => open_again(&dir.path().join("state"), &options).unwrap(),
        }
    }

    fn store(&self) -> Store {
        self.open(Options::default())
    }
}

macro_rules! on_every_ground {
    ($($case:ident)*) => {
        mod in_memory {
            $(#[tokio::test] async fn $case() { super::$case(super::Ground::memory()).await })*
        }
        mod in_memory_behind_the_thread {
            $(#[tokio::test] async fn $case() { super::$case(super::Ground::queued()).await })*
        }
        mod on_disk {
            $(#[tokio::test] async fn $case() { super::$case(super::Ground::disk()).await })*
        }
    };
}

on_every_ground! {
    a_new_store_is_empty_and_at_a_revision_above_one
    what_is_created_is_read_with_its_resource_version
    a_resource_version_that_came_along_is_replaced
    a_create_over_something_is_refused_with_what_is_there
    an_update_of_another_version_is_refused_with_what_is_there
    a_deletion_answers_with_the_last_state_under_a_revision_of_its_own
    a_refused_write_takes_no_revision
    commits_are_measured_and_refused_writes_are_not
    keys_differ_by_group_resource_namespace_and_name
    a_name_with_a_nul_is_refused
    a_list_is_in_order_and_in_pages
    a_list_stays_in_its_namespace_and_resource
    a_list_as_of_an_older_revision_shows_what_was
    a_continued_list_shows_one_state_on_every_page
    a_list_in_the_future_or_before_the_history_is_refused
    everything_survives_a_restart
    deleted_objects_stay_deleted_and_the_revision_stays
    a_watch_goes_on_after_a_restart
    a_watch_from_before_the_history_expires_also_after_a_restart
    an_old_history_is_forgotten_when_it_is_long_enough
    a_heavy_history_is_forgotten_however_young
    a_watch_shows_what_happened_before_it_was_opened
    a_watch_shows_each_change_once_and_in_order
    a_watch_of_a_namespace_shows_no_other
    a_quiet_watch_tells_the_newest_revision
    a_change_of_another_resource_does_not_wake_a_watch
    a_slow_watch_expires_and_holds_nobody_up
    a_watch_of_a_quiet_resource_outlives_the_history_of_others
    a_watch_in_the_future_is_refused
    a_dropped_wait_loses_no_event
    a_closed_store_ends_its_watches_refuses_writes_and_can_be_read
    many_writers_of_one_object_are_as_if_one_after_the_other
    sixteen_writers_and_their_watchers_agree
    a_thousand_watchers_see_a_change
}

fn maps() -> GroupResource {
    GroupResource::new("", "configmaps")
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new(&maps(), namespace, name)
}

fn all() -> Range {
    Range {
        of: maps(),
        namespace: None,
        after: None,
    }
}

fn object(text: &str) -> Value {
    json!({"apiVersion": "v1", "data": {"text": text}, "metadata": {"name": "n", "labels": {"a": "b"}, "uid": "u"}})
}

async fn create(store: &Store, namespace: &str, name: &str) -> Arc<Record> {
    store.create(key(namespace, name), object(name)).await.unwrap()
}

async fn touch(store: &Store, record: &Record, text: &str) -> Arc<Record> {
    store
        .update(record.key.clone(), record.revision, object(text))
        .await
        .unwrap()
}

fn text(store: &Store, record: &Record) -> String {
    store.object(record).unwrap()["data"]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn names(page: &Page) -> Vec<String> {
    let name = |record: &Arc<Record>| format!("{}/{}", record.key.namespace, record.key.name);
    page.records.iter().map(name).collect()
}

/// Everything that is there already.
fn drain(watch: &mut Watch) -> Vec<Arc<Event>> {
    std::iter::from_fn(|| match watch.try_next()? {
        Next::Event(event) => Some(event),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn small_window(events: usize) -> Options {
    Options {
        window: Window {
            events,
            age: Duration::ZERO,
            bytes: 1 << 20,
        },
        ..Options::default()
    }
}

async fn a_new_store_is_empty_and_at_a_revision_above_one(ground: Ground) {
    let store = ground.store();
    assert_eq!(store.revision(), 2);
    assert!(store.get(&key("a", "b")).is_none());
    let page = store.list(&all(), None, 0).unwrap();
    assert_eq!((page.records.len(), page.revision, page.remaining), (0, 2, 0));
    assert_eq!(store.writable(), Ok(()));
}

async fn what_is_created_is_read_with_its_resource_version(ground: Ground) {
    let store = ground.store();
    let record = create(&store, "a", "b").await;
    assert_eq!(record.revision, 3);
    assert_eq!(store.revision(), 3);
    let found = store.get(&key("a", "b")).unwrap();
    assert!(Arc::ptr_eq(&record, &found));
    let mut expected = object("b");
    expected["metadata"]["resourceVersion"] = "3".into();
    assert_eq!(store.object(&found).unwrap(), expected);
    let json = store.json(&found).unwrap();
    assert_eq!(serde_json::to_vec(&expected).unwrap(), json);
}

async fn a_resource_version_that_came_along_is_replaced(ground: Ground) {
    let store = ground.store();
    for (at, object) in [
        json!({"metadata": {"resourceVersion": "777", "uid": "u"}}),
        json!({"metadata": {"resourceVersion": 1}}),
        json!({"metadata": {}}),
        json!({"metadata": null, "a": 1}),
        json!({"zeta": 1}),
        json!({}),
        json!("no object"),
    ]
    .into_iter()
    .enumerate()
    {
        let record = store.create(key("a", &at.to_string()), object).await.unwrap();
        let stored = store.object(&record).unwrap();
        assert_eq!(stored["metadata"]["resourceVersion"], record.revision.to_string());
        assert_eq!(stored["metadata"].get("uid").is_some(), at == 0);
    }
}

async fn a_create_over_something_is_refused_with_what_is_there(ground: Ground) {
    let store = ground.store();
    let record = create(&store, "a", "b").await;
    match store.create(key("a", "b"), object("other")).await {
        Err(WriteError::Exists(found)) => assert!(Arc::ptr_eq(&found, &record)),
        other => panic!("{other:?}"),
    }
}

async fn an_update_of_another_version_is_refused_with_what_is_there(ground: Ground) {
    let store = ground.store();
    let first = create(&store, "a", "b").await;
    let second = touch(&store, &first, "two").await;
    for expected in [first.revision, second.revision + 1, 0] {
        match store.update(key("a", "b"), expected, object("three")).await {
            Err(WriteError::Changed(Some(found))) => assert_eq!(found.revision, second.revision),
            other => panic!("{other:?}"),
        }
        let refused = store.delete(key("a", "b"), expected).await;
        assert!(matches!(refused, Err(WriteError::Changed(Some(_)))));
    }
    let absent = store.update(key("a", "absent"), 3, object("x")).await;
    assert!(matches!(absent, Err(WriteError::Changed(None))));
    let absent = store.delete(key("a", "absent"), 3).await;
    assert!(matches!(absent, Err(WriteError::Changed(None))));
}

async fn a_deletion_answers_with_the_last_state_under_a_revision_of_its_own(ground: Ground) {
    let store = ground.store();
    let mut record = create(&store, "a", "b").await;
    // From one digit to two.
    while record.revision < 9 {
        record = touch(&store, &record, "last").await;
    }
    let mut watch = store.watch(&maps(), None, record.revision).unwrap();
    let gone = store.delete(record.key.clone(), record.revision).await.unwrap();
    assert_eq!(gone.revision, 10);
    let mut expected = object("last");
    expected["metadata"]["resourceVersion"] = "10".into();
    assert_eq!(store.object(&gone).unwrap(), expected);
    assert!(store.get(&record.key).is_none());
    let events = drain(&mut watch);
    assert_eq!(events.len(), 1);
    assert!(events[0].record.is_none());
    let previous = events[0].previous.as_ref().unwrap();
    assert_eq!((events[0].revision, previous.revision), (10, 9));
    assert_eq!(store.object(&previous.under(10)).unwrap(), expected);
}

async fn commits_are_measured_and_refused_writes_are_not(ground: Ground) {
    let metrics = crate::telemetry::metrics::Metrics::default();
    let store = ground.open(Options {
        metrics: metrics.clone(),
        ..Options::default()
    });
    let count = || {
        let text = metrics.text();
        let line = text
            .lines()
            .find(|line| line.contains("store_commit_duration_seconds_count"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(count(), Some(0));
    let key = Key::new(&GroupResource::new("", "configmaps"), "default", "measured");
    let object = json!({"metadata": {"name": "measured"}});
    store.create(key.clone(), object.clone()).await.unwrap();
    assert_eq!(count(), Some(1));
    assert!(store.create(key, object).await.is_err());
    assert_eq!(count(), Some(1));
}

async fn a_refused_write_takes_no_revision(ground: Ground) {
    let store = ground.store();
    create(&store, "a", "b").await;
    _ = store.create(key("a", "b"), object("x")).await.unwrap_err();
    _ = store.delete(key("a", "c"), 3).await.unwrap_err();
    assert_eq!(store.revision(), 3);
    assert_eq!(create(&store, "a", "c").await.revision, 4);
}

async fn keys_differ_by_group_resource_namespace_and_name(ground: Ground) {
    let store = ground.store();
    let of = |group, resource| GroupResource::new(group, resource);
    let keys = [
        Key::new(&of("", "a"), "b", "c"),
        Key::new(&of("a", ""), "b", "c"),
        Key::new(&of("", "a"), "", "bc"),
        Key::new(&of("", "a"), "bc", ""),
        Key::new(&of("", "ab"), "", "c"),
        Key::new(&of("", "a"), "b", "c\u{0}d"),
    ];
    for key in &keys {
        store.create(key.clone(), object("x")).await.unwrap();
    }
    store.close().await;
    let store = ground.store();
    for (key, revision) in keys.iter().zip(3..) {
        assert_eq!(store.get(key).unwrap().revision, revision);
    }
}

async fn a_name_with_a_nul_is_refused(ground: Ground) {
    let store = ground.store();
    let refused = store.create(key("a\u{0}b", "c"), object("x")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))));
    create(&store, "a", "b").await;
}

async fn a_list_is_in_order_and_in_pages(ground: Ground) {
    let store = ground.store();
    for (namespace, name) in [("b", "x"), ("a", "y"), ("a", "x"), ("a-a", "z"), ("", "cluster")] {
        create(&store, namespace, name).await;
    }
    let everything = ["/cluster", "a/x", "a/y", "a-a/z", "b/x"];
    assert_eq!(names(&store.list(&all(), None, 0).unwrap()), everything);
    let mut range = all();
    let mut seen = Vec::new();
    for remaining in [3, 1, 0] {
        let page = store.list(&range, None, 2).unwrap();
        assert_eq!(page.remaining, remaining);
        let last = &page.records.last().unwrap().key;
        range.after = Some((last.namespace.clone(), last.name.clone()));
        seen.extend(names(&page));
    }
    assert_eq!(seen, everything);
    assert_eq!(store.list(&range, None, 2).unwrap().records.len(), 0);
}

async fn a_list_stays_in_its_namespace_and_resource(ground: Ground) {
    let store = ground.store();
    for (namespace, name) in [("a", "x"), ("b", "w"), ("b", "x"), ("b", "y"), ("c", "x")] {
        create(&store, namespace, name).await;
        let secret = Key::new(&GroupResource::new("", "secrets"), namespace, "s");
        _ = store.create(secret, object("s")).await;
        let other = Key::new(&GroupResource::new("g", "configmaps"), namespace, "s");
        _ = store.create(other, object("s")).await;
    }
    let list = |namespace: &str, after: Option<(&str, &str)>| {
        let range = Range {
            of: maps(),
            namespace: Some(namespace.into()),
            after: after.map(|(namespace, name)| (namespace.into(), name.into())),
        };
        names(&store.list(&range, None, 0).unwrap())
    };
    assert_eq!(list("b", None), ["b/w", "b/x", "b/y"]);
    assert_eq!(list("b", Some(("b", "w"))), ["b/x", "b/y"]);
    assert_eq!(
        list("b", Some(("b", "wx"))),
        ["b/x", "b/y"],
        "a name that is gone"
    );
    assert_eq!(list("b", Some(("a", "z"))), ["b/w", "b/x", "b/y"]);
    assert_eq!(list("b", Some(("c", ""))), [""; 0]);
    assert_eq!(list("nowhere", None), [""; 0]);
}

async fn a_list_as_of_an_older_revision_shows_what_was(ground: Ground) {
    let store = ground.store();
    let kept = create(&store, "a", "kept").await;
    let changed = create(&store, "a", "changed").await;
    let deleted = create(&store, "a", "deleted").await;
    let then = store.revision();
    let changed = touch(&store, &changed, "once").await;
    touch(&store, &changed, "twice").await;
    store.delete(deleted.key.clone(), deleted.revision).await.unwrap();
    create(&store, "a", "added").await;
    let again = create(&store, "a", "deleted").await;
    store.delete(kept.key.clone(), kept.revision).await.unwrap();
    let page = store.list(&all(), Some(then), 0).unwrap();
    assert_eq!(page.revision, then);
    assert_eq!(names(&page), ["a/changed", "a/deleted", "a/kept"]);
    let texts: Vec<_> = page.records.iter().map(|record| text(&store, record)).collect();
    assert_eq!(texts, ["changed", "deleted", "kept"]);
    let page = store.list(&all(), Some(again.revision), 0).unwrap();
    assert_eq!(names(&page), ["a/added", "a/changed", "a/deleted", "a/kept"]);
    let page = store.list(&all(), None, 0).unwrap();
    assert_eq!(names(&page), ["a/added", "a/changed", "a/deleted"]);
}

async fn a_continued_list_shows_one_state_on_every_page(ground: Ground) {
    let store = ground.store();
    for name in ["a", "c", "e", "g"] {
        create(&store, "n", name).await;
    }
    let first = store.list(&all(), None, 2).unwrap();
    assert_eq!(
        (names(&first), first.remaining),
        (vec!["n/a".to_owned(), "n/c".to_owned()], 2)
    );
    let gone = store.get(&key("n", "e")).unwrap();
    store.delete(gone.key.clone(), gone.revision).await.unwrap();
    create(&store, "n", "d").await;
    create(&store, "n", "f").await;
    let range = Range {
        after: Some(("n".into(), "c".into())),
        ..all()
    };
    let second = store.list(&range, Some(first.revision), 1).unwrap();
    assert_eq!((names(&second), second.remaining), (vec!["n/e".to_owned()], 1));
    assert_eq!(second.revision, first.revision);
}

async fn a_list_in_the_future_or_before_the_history_is_refused(ground: Ground) {
    let store = ground.open(small_window(2));
    let mut record = create(&store, "a", "b").await;
    for _ in 0..5 {
        record = touch(&store, &record, "x").await;
    }
    let current = store.revision();
    assert_eq!(current, 8);
    let future = store.list(&all(), Some(9), 0).unwrap_err();
    assert_eq!(future, RevisionError::Future { asked: 9, current });
    // Age zero means that a millisecond decides how many are kept beyond two.
    let oldest = store.shared.read(State::oldest);
    assert!(store.list(&all(), Some(oldest), 0).is_ok());
    let expired = store.list(&all(), Some(oldest - 1), 0).unwrap_err();
    assert_eq!(
        expired,
        RevisionError::Expired {
            asked: oldest - 1,
            oldest
        }
    );
}

async fn everything_survives_a_restart(ground: Ground) {
    let store = ground.store();
    let first = create(&store, "a", "b").await;
    let second = touch(&store, &first, "two").await;
    create(&store, "c", "d").await;
    store.close().await;
    let store = ground.store();
    assert_eq!(store.revision(), 5);
    let found = store.get(&first.key).unwrap();
    assert_eq!(found.revision, second.revision);
    assert_eq!(text(&store, &found), "two");
    assert_eq!(names(&store.list(&all(), None, 0).unwrap()), ["a/b", "c/d"]);
    let then = store.list(&all(), Some(first.revision), 0).unwrap();
    assert_eq!(text(&store, &then.records[0]), "b");
    assert_eq!(touch(&store, &found, "three").await.revision, 6);
}

async fn deleted_objects_stay_deleted_and_the_revision_stays(ground: Ground) {
    let store = ground.store();
    let record = create(&store, "a", "b").await;
    store.delete(record.key.clone(), record.revision).await.unwrap();
    store.close().await;
    let store = ground.store();
    assert_eq!(store.revision(), 4);
    assert!(store.get(&record.key).is_none());
    assert_eq!(create(&store, "a", "b").await.revision, 5);
}

async fn a_watch_goes_on_after_a_restart(ground: Ground) {
    let store = ground.store();
    let first = create(&store, "a", "b").await;
    let second = touch(&store, &first, "two").await;
    store.delete(first.key.clone(), second.revision).await.unwrap();
    let again = create(&store, "a", "b").await;
    let before: Vec<_> = drain(&mut store.watch(&maps(), None, 2).unwrap());
    store.close().await;
    let store = ground.store();
    let after = drain(&mut store.watch(&maps(), None, 2).unwrap());
    let shape = |event: &Arc<Event>| {
        let version = |record: &Option<Arc<Record>>| {
            let record = record.as_ref()?;
            Some((record.revision, store.json(record).unwrap()))
        };
        (event.revision, version(&event.record), version(&event.previous))
    };
    assert_eq!(
        before.iter().map(shape).collect::<Vec<_>>(),
        after.iter().map(shape).collect::<Vec<_>>()
    );
    assert_eq!(after.len(), 4);
    assert_eq!(
        drain(&mut store.watch(&maps(), None, again.revision).unwrap()).len(),
        0
    );
    assert_eq!(
        drain(&mut store.watch(&maps(), None, again.revision - 1).unwrap()).len(),
        1
    );
}

async fn a_watch_from_before_the_history_expires_also_after_a_restart(ground: Ground) {
    let store = ground.open(small_window(3));
    for at in 0..20 {
        create(&store, "a", &at.to_string()).await;
    }
    let oldest = store.shared.read(State::oldest);
    store.close().await;
    let store = ground.open(small_window(3));
    assert_eq!(store.shared.read(State::oldest), oldest);
    let asked = oldest - 1;
    let expired = store.watch(&maps(), None, asked).err();
    assert_eq!(expired, Some(RevisionError::Expired { asked, oldest }));
    let mut watch = store.watch(&maps(), None, oldest).unwrap();
    let revisions: Vec<_> = drain(&mut watch).iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (oldest + 1..=22).collect::<Vec<_>>());
}

async fn an_old_history_is_forgotten_when_it_is_long_enough(ground: Ground) {
    let clock = Fixed::at(Timestamp::UNIX_EPOCH);
    let store = ground.open(Options {
        window: Window {
            events: 3,
            age: Duration::from_secs(600),
            bytes: 1 << 20,
        },
        clock: Arc::new(clock.clone()),
        ..Options::default()
    });
    for at in 0..10 {
        create(&store, "a", &at.to_string()).await;
    }
    clock.advance(SignedDuration::from_secs(600));
    create(&store, "a", "10").await;
    assert_eq!(
        store.shared.read(State::oldest),
        2,
        "ten minutes are not more than ten minutes"
    );
    clock.advance(SignedDuration::from_secs(1));
    create(&store, "a", "11").await;
    assert_eq!(store.shared.read(State::oldest), store.revision() - 3);
}

async fn a_heavy_history_is_forgotten_however_young(ground: Ground) {
    let store = ground.open(Options {
        window: Window {
            bytes: 20_000,
            ..Window::default()
        },
        ..Options::default()
    });
    let mut record = create(&store, "a", "b").await;
    for _ in 0..50 {
        record = touch(&store, &record, &"x".repeat(1_000)).await;
    }
    let kept = store.revision() - store.shared.read(State::oldest);
    assert!((10..20).contains(&kept), "{kept}");
}

async fn a_watch_shows_what_happened_before_it_was_opened(ground: Ground) {
    let store = ground.store();
    let from = store.revision();
    let first = create(&store, "a", "b").await;
    touch(&store, &first, "two").await;
    let mut watch = store.watch(&maps(), None, from).unwrap();
    let events = drain(&mut watch);
    assert_eq!(
        events.iter().map(|event| event.revision).collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(events[0].previous.is_none());
    assert_eq!(text(&store, events[0].record.as_ref().unwrap()), "b");
    assert_eq!(text(&store, events[1].previous.as_ref().unwrap()), "b");
    assert_eq!(text(&store, events[1].record.as_ref().unwrap()), "two");
    assert!(watch.try_next().is_none());
}

async fn a_watch_shows_each_change_once_and_in_order(ground: Ground) {
    let store = ground.store();
    let mut watch = store.watch(&maps(), None, store.revision()).unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for at in 0..50 {
                create(&store, "a", &at.to_string()).await;
            }
        }
    });
    for expected in 3..53 {
        match watch.next(Duration::from_secs(600)).await {
            Next::Event(event) => assert_eq!(event.revision, expected),
            other => panic!("{other:?}"),
        }
    }
    writer.await.unwrap();
    assert!(watch.try_next().is_none());
}

async fn a_watch_of_a_namespace_shows_no_other(ground: Ground) {
    let store = ground.store();
    let mut watch = store.watch(&maps(), Some("a"), 2).unwrap();
    for namespace in ["b", "a", "c", "a", "b"] {
        create(&store, namespace, &store.revision().to_string()).await;
    }
    let revisions: Vec<_> = drain(&mut watch).iter().map(|event| event.revision).collect();
    assert_eq!(revisions, [4, 6]);
}

async fn a_quiet_watch_tells_the_newest_revision(ground: Ground) {
    let store = ground.store();
    let mut watch = store.watch(&maps(), Some("a"), 2).unwrap();
    assert!(matches!(watch.next(Duration::ZERO).await, Next::Quiet(2)));
    create(&store, "b", "x").await;
    store
        .create(
            Key::new(&GroupResource::new("", "secrets"), "a", "x"),
            object("x"),
        )
        .await
        .unwrap();
    assert!(matches!(watch.next(Duration::ZERO).await, Next::Quiet(4)));
    create(&store, "a", "x").await;
    assert!(matches!(watch.next(Duration::ZERO).await, Next::Event(event) if event.revision == 5));
}

async fn a_change_of_another_resource_does_not_wake_a_watch(ground: Ground) {
    let store = ground.store();
    let mut watch = store.watch(&maps(), None, 2).unwrap();
    watch.wake.mark_unchanged();
    let other = Key::new(&GroupResource::new("", "secrets"), "a", "x");
    store.create(other, object("x")).await.unwrap();
    assert!(!watch.wake.has_changed().unwrap());
    create(&store, "a", "x").await;
    assert!(watch.wake.has_changed().unwrap());
}

async fn a_slow_watch_expires_and_holds_nobody_up(ground: Ground) {
    let store = ground.open(Options {
        window: Window {
            bytes: 10_000,
            ..Window::default()
        },
        ..Options::default()
    });
    let mut slow = store.watch(&maps(), None, 2).unwrap();
    let mut record = create(&store, "a", "b").await;
    for _ in 0..100 {
        record = touch(&store, &record, "x").await;
    }
    let oldest = store.shared.read(State::oldest);
    assert!(oldest > 2);
    for next in [
        slow.try_next().unwrap(),
        slow.next(Duration::from_secs(600)).await,
    ] {
        match next {
            Next::Expired(error) => assert_eq!(error, RevisionError::Expired { asked: 2, oldest }),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_watch_of_a_quiet_resource_outlives_the_history_of_others(ground: Ground) {
    let store = ground.open(Options {
        window: Window {
            bytes: 10_000,
            ..Window::default()
        },
        ..Options::default()
    });
    let quiet = GroupResource::new("", "secrets");
    let mut watch = store.watch(&quiet, None, 2).unwrap();
    let mut record = create(&store, "a", "b").await;
    for _ in 0..100 {
        record = touch(&store, &record, "x").await;
    }
    assert!(store.shared.read(State::oldest) > 2);
    let late = store
        .create(Key::new(&quiet, "a", "x"), object("x"))
        .await
        .unwrap();
    let events = drain(&mut watch);
    assert_eq!(
        events.iter().map(|event| event.revision).collect::<Vec<_>>(),
        [late.revision]
    );
}

async fn a_watch_in_the_future_is_refused(ground: Ground) {
    let store = ground.store();
    let refused = store.watch(&maps(), None, 3).err();
    assert_eq!(refused, Some(RevisionError::Future { asked: 3, current: 2 }));
    assert!(store.watch(&maps(), None, 2).is_ok());
    let refused = store.watch(&maps(), None, 1).err();
    assert_eq!(refused, Some(RevisionError::Expired { asked: 1, oldest: 2 }));
}

async fn a_dropped_wait_loses_no_event(ground: Ground) {
    let store = ground.store();
    let mut watch = store.watch(&maps(), None, 2).unwrap();
    for expected in 3..20 {
        {
            // Polled once, then dropped.
            let wait = std::pin::pin!(watch.next(Duration::from_secs(600)));
            assert!(futures::poll!(wait).is_pending());
        }
        create(&store, "a", &expected.to_string()).await;
        match watch.next(Duration::from_secs(600)).await {
            Next::Event(event) => assert_eq!(event.revision, expected),
            other => panic!("{other:?}"),
        }
    }
}

async fn a_closed_store_ends_its_watches_refuses_writes_and_can_be_read(ground: Ground) {
    let store = ground.store();
    let record = create(&store, "a", "b").await;
    let mut waiting = store.watch(&maps(), None, 3).unwrap();
    let waits = tokio::spawn(async move { waiting.next(Duration::from_secs(600)).await });
    let mut behind = store.watch(&maps(), None, 2).unwrap();
    store.close().await;
    assert!(matches!(waits.await.unwrap(), Next::Closed));
    assert!(
        matches!(behind.try_next(), Some(Next::Event(_))),
        "what happened comes first"
    );
    assert!(matches!(behind.try_next(), Some(Next::Closed)));
    let refused = store.create(key("a", "c"), object("x")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(why)) if why == "the store is closed"));
    assert_eq!(store.writable(), Err("the store is closed".to_owned()));
    assert_eq!(store.get(&record.key).unwrap().revision, 3);
    store.close().await;
}

#[test]
fn a_write_in_memory_is_done_when_it_is_first_looked_at() {
    let store = Ground::memory().store();
    let made = store
        .create(key("a", "b"), object("one"))
        .now_or_never()
        .unwrap()
        .unwrap();
    let changed = store
        .update(made.key.clone(), made.revision, object("two"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(
        (changed.revision, store.revision()),
        (made.revision + 1, made.revision + 1)
    );
    store.close().now_or_never().unwrap();
}

async fn many_writers_of_one_object_are_as_if_one_after_the_other(ground: Ground) {
    let store = ground.store();
    let first = create(&store, "a", "b").await;
    // Queued together, so that they share batches: of those that expect one version, one wins.
    let racing = (0..300).map(|at| {
        let expected = first.revision + at % 3;
        store.update(key("a", "b"), expected, object(&at.to_string()))
    });
    let outcomes = futures::future::join_all(racing).await;
    let winners: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    let revisions: Vec<_> = winners.iter().map(|record| record.revision).collect();
    assert_eq!(revisions, [4, 5, 6]);
    for outcome in &outcomes {
        if let Err(error) = outcome {
            assert!(matches!(error, WriteError::Changed(Some(_))), "{error:?}");
        }
    }
    let events = drain(&mut store.watch(&maps(), None, 3).unwrap());
    for (event, winner) in events.iter().zip(&winners) {
        assert!(Arc::ptr_eq(event.record.as_ref().unwrap(), winner));
        assert_eq!(event.previous.as_ref().unwrap().revision, event.revision - 1);
    }
    // A life in one batch.
    let life = futures::join!(
        store.create(key("a", "short"), object("x")),
        store.delete(key("a", "short"), 7),
        store.create(key("a", "short"), object("y")),
        store.create(key("a", "short"), object("z")),
        store.delete(key("a", "short"), 9),
        store.delete(key("a", "short"), 9),
    );
    assert_eq!(
        [
            life.0.unwrap().revision,
            life.1.unwrap().revision,
            life.2.unwrap().revision
        ],
        [7, 8, 9]
    );
    assert!(matches!(life.3, Err(WriteError::Exists(found)) if found.revision == 9));
    assert_eq!(life.4.unwrap().revision, 10);
    assert!(matches!(life.5, Err(WriteError::Changed(None))));
    store.close().await;
    let store = ground.store();
    assert_eq!(
        (store.get(&key("a", "short")).is_none(), store.revision()),
        (true, 10)
    );
}

async fn sixteen_writers_and_their_watchers_agree(ground: Ground) {
    const EACH: usize = 60;
    let store = ground.store();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..16_usize {
        let store = store.clone();
        tasks.spawn(async move {
            let mut written = BTreeSet::new();
            let mut last: Option<Arc<Record>> = None;
            for round in 0..EACH {
                let place = key(&format!("n{}", writer % 4), &format!("w{writer}"));
                let next = match last.take() {
                    None => store.create(place, object(&round.to_string())).await.unwrap(),
                    Some(now) if round % 5 == 4 => {
                        written.insert(store.delete(place, now.revision).await.unwrap().revision);
                        continue;
                    }
                    Some(now) => store
                        .update(place, now.revision, object(&round.to_string()))
                        .await
                        .unwrap(),
                };
                // What is answered is visible.
                assert!(store.revision() >= next.revision);
                assert_eq!(store.get(&next.key).unwrap().revision, next.revision);
                written.insert(next.revision);
                last = Some(next);
            }
            written
        });
    }
    let mut watching = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut watch = store.watch(&maps(), None, 2).unwrap();
        watching.spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 16 * EACH {
                match watch.next(Duration::from_secs(600)).await {
                    Next::Event(event) => seen.push(event.revision),
                    other => panic!("{other:?}"),
                }
            }
            seen
        });
    }
    let written: BTreeSet<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let expected: Vec<u64> = (3..3 + 16 * EACH as u64).collect();
    assert_eq!(written.into_iter().collect::<Vec<_>>(), expected);
    for seen in watching.join_all().await {
        assert_eq!(seen, expected);
    }
}

async fn a_thousand_watchers_see_a_change(ground: Ground) {
    let store = ground.store();
    let mut watching = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let mut watch = store.watch(&maps(), None, 2).unwrap();
        watching.spawn(async move { watch.next(Duration::from_secs(600)).await });
    }
    tokio::task::yield_now().await;
    create(&store, "a", "b").await;
    for next in watching.join_all().await {
        assert!(matches!(next, Next::Event(event) if event.revision == 3));
    }
}
