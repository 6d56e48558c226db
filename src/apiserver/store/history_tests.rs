//! Lists and watches at any revision against a naive model that keeps a copy of everything after every write: on both
//! grounds, with restarts in between. Owns the model.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::{contract_tests::Ground, *};

const NAMESPACES: [&str; 3] = ["", "a", "b"];
const NAMES: [&str; 4] = ["k", "l", "m", "n"];
const RESOURCES: [&str; 2] = ["configmaps", "secrets"];

#[derive(Debug, Clone)]
enum Step {
    Put(Key),
    Remove(Key),
    Restart,
}

fn key() -> impl Strategy<Value = Key> {
    (0..RESOURCES.len(), 0..NAMESPACES.len(), 0..NAMES.len())
        .prop_map(|(r, ns, n)| Key::new(&GroupResource::new("", RESOURCES[r]), NAMESPACES[ns], NAMES[n]))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => key().prop_map(Step::Put),
        3 => key().prop_map(Step::Remove),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// The revision of every object, after every revision.
type Model = BTreeMap<u64, BTreeMap<Key, u64>>;

async fn play(ground: &Ground, options: &Options, steps: &[Step]) -> (Store, Model) {
    let mut store = ground.open(options.clone());
    let mut model = Model::from([(store.revision(), BTreeMap::new())]);
    for step in steps {
        let mut now = model.last_key_value().unwrap().1.clone();
        match step {
            Step::Restart => {
                store.close().await;
                store = ground.open(options.clone());
                continue;
            }
            Step::Put(key) => {
                let object = json!({"data": "x".repeat(100)});
                let record = match store.get(key) {
                    Some(found) => store.update(key.clone(), found.revision, object).await.unwrap(),
                    None => store.create(key.clone(), object).await.unwrap(),
                };
                now.insert(key.clone(), record.revision);
            }
            Step::Remove(key) => {
                let Some(found) = store.get(key) else { continue };
                store.delete(key.clone(), found.revision).await.unwrap();
                now.remove(key);
            }
        }
        model.insert(store.revision(), now);
    }
    (store, model)
}

fn versions(page: &Page) -> Vec<(Key, u64)> {
    page.records
        .iter()
        .map(|record| (record.key.clone(), record.revision))
        .collect()
}

/// Every list there can be, whole and in pages.
fn check_lists(store: &Store, model: &Model) {
    let oldest = store.shared.read(State::oldest);
    for (&at, then) in model {
        for (resource, namespace) in RESOURCES.iter().flat_map(|r| {
            std::iter::once(None)
                .chain(NAMESPACES.iter().map(Some))
                .map(move |ns| (*r, ns))
        }) {
            let mut range = Range {
                of: GroupResource::new("", resource),
                namespace: namespace.map(|&ns| ns.into()),
                after: None,
            };
            if at < oldest {
                let asked = at;
                let refused = store.list(&range, Some(at), 0).unwrap_err();
                assert_eq!(refused, RevisionError::Expired { asked, oldest });
                continue;
            }
            let wanted = |key: &Key| key.of == range.of && namespace.is_none_or(|&ns| ns == &*key.namespace);
            let expected: Vec<(Key, u64)> = then
                .iter()
                .filter(|(key, _)| wanted(key))
                .map(|(key, at)| (key.clone(), *at))
                .collect();
            let whole = store.list(&range, Some(at), 0).unwrap();
            assert_eq!(
                (versions(&whole), whole.revision, whole.remaining),
                (expected.clone(), at, 0)
            );
            for size in [1, 3] {
                range.after = None;
                let mut seen = Vec::new();
                loop {
                    let page = store.list(&range, Some(at), size).unwrap();
                    assert_eq!(page.remaining, expected.len() - seen.len() - page.records.len());
                    seen.extend(versions(&page));
                    let Some((last, _)) = seen.last().filter(|_| page.remaining > 0) else {
                        break;
                    };
                    range.after = Some((last.namespace.clone(), last.name.clone()));
                }
                assert_eq!(seen, expected);
            }
        }
    }
}

/// A watch from any revision leads from the list there to the list now.
fn check_watches(store: &Store, model: &Model) {
    let oldest = store.shared.read(State::oldest);
    let now = model.last_key_value().unwrap().1;
    for (&from, then) in model.range(oldest..) {
        for resource in RESOURCES {
            let of = GroupResource::new("", resource);
            let mut state: BTreeMap<Key, u64> = then
                .iter()
                .filter(|(key, _)| key.of == of)
                .map(|(key, at)| (key.clone(), *at))
                .collect();
            let mut watch = store.watch(&of, None, from).unwrap();
            while let Some(Next::Event(event)) = watch.try_next() {
                let key = event.key().unwrap().clone();
                let before = event.previous.as_ref().map(|record| record.revision);
                assert_eq!(state.get(&key).copied(), before);
                match &event.record {
                    Some(record) => _ = state.insert(key, record.revision),
                    None => _ = state.remove(&key),
                }
            }
            let expected: BTreeMap<Key, u64> = now
                .iter()
                .filter(|(key, _)| key.of == of)
                .map(|(key, at)| (key.clone(), *at))
                .collect();
            assert_eq!(state, expected);
        }
    }
}

fn check(ground: &Ground, steps: &[Step], bytes: usize) {
    let options = Options {
        window: Window {
            events: 5,
            age: Duration::from_secs(600),
            bytes,
        },
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (store, model) = play(ground, &options, steps).await;
        assert_eq!(store.revision(), *model.last_key_value().unwrap().0);
        check_lists(&store, &model);
        check_watches(&store, &model);
        store.close().await;
        let store = ground.open(options);
        check_lists(&store, &model);
        check_watches(&store, &model);
        store.close().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lists_and_watches_at_any_revision_are_as_if_everything_was_kept(
        steps in steps(), bytes in prop_oneof![Just(4_000_usize), Just(1 << 20)]
    ) {
        check(&Ground::memory(), &steps, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn and_so_they_are_on_disk(steps in steps(), bytes in prop_oneof![Just(4_000_usize), Just(1 << 20)]) {
        check(&Ground::disk(), &steps, bytes);
    }
}

#[test]
fn weights_add_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let steps: Vec<Step> = (0..60)
        .map(|at| {
            let key = Key::new(
                &GroupResource::new("", RESOURCES[at % 2]),
                NAMESPACES[at % 3],
                NAMES[at % 4],
            );
            if at % 5 == 4 {
                Step::Remove(key)
            } else {
                Step::Put(key)
            }
        })
        .collect();
    runtime.block_on(async {
        let (store, _) = play(&Ground::memory(), &Options::default(), &steps).await;
        let range = |resource: &str| Range {
            of: GroupResource::new("", resource),
            namespace: None,
            after: None,
        };
        let weigh = |resource: &str| -> usize {
            let page = store.list(&range(resource), None, 0).unwrap();
            page.records
                .iter()
                .map(|record: &Arc<Record>| record.weight())
                .sum()
        };
        assert_eq!(
            store.shared.read(|state| state.weight),
            weigh("configmaps") + weigh("secrets")
        );
    });
}
