//! What a sealed resource means: no plaintext in the file, in the history or in memory, and a missing key that costs no
//! more than the objects it sealed. The cipher here only has to be recognizable; the real one is not the store's.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{contract_tests::open_again, record::Body, *};

/// Binds to the place and turns every byte around.
struct Inverse;

impl AtRest for Inverse {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        if place.ends_with("/unsealable") {
            return Err("the ring has no key to seal with".to_owned());
        }
        let mut sealed = place.as_bytes().to_vec();
        sealed.push(0);
        sealed.extend(plain.iter().map(|byte| !byte));
        Ok(sealed)
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let end = place.len() + 1;
        match sealed.split_at_checked(end) {
            Some((head, body)) if head[..end - 1] == *place.as_bytes() => {
                Ok(Zeroizing::new(body.iter().map(|byte| !byte).collect()))
            }
            _ => Err("sealed for another place".to_owned()),
        }
    }
}

fn secrets() -> GroupResource {
    GroupResource::new("", "secrets")
}

fn key(name: &str) -> Key {
    Key::new(&secrets(), "n", name)
}

fn options(at_rest: Option<Arc<dyn AtRest>>) -> Options {
    Options {
        at_rest,
        sealed: BTreeSet::from([secrets()]),
        ..Options::default()
    }
}

fn open(path: &Path) -> Store {
    open_again(path, &options(Some(Arc::new(Inverse)))).unwrap()
}

fn secret(text: &str) -> Value {
    json!({"data": {"password": text}, "kind": "Secret", "metadata": {"labels": {"team": "plain-label"}, "name": "s"}})
}

fn occurs(needle: &str, dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    })
}

#[tokio::test]
async fn no_plaintext_is_in_the_file_and_the_object_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let store = open(&path);
    let first = store.create(key("s"), secret("first-password")).await.unwrap();
    let second = store
        .update(key("s"), first.revision, secret("second-password"))
        .await
        .unwrap();
    let kept = store.create(key("kept"), secret("third-password")).await.unwrap();
    let gone = store.delete(key("s"), second.revision).await.unwrap();
    let map = Key::new(&GroupResource::new("", "configmaps"), "n", "m");
    store.create(map, json!({"data": "not-sealed"})).await.unwrap();
    for (record, text) in [
        (&first, "first"),
        (&second, "second"),
        (&kept, "third"),
        (&gone, "second"),
    ] {
        let mut expected = secret(&format!("{text}-password"));
        expected["metadata"]["resourceVersion"] = record.revision.to_string().into();
        assert_eq!(store.object(record).unwrap(), expected);
        assert_eq!(
            store.json(record).unwrap(),
            serde_json::to_vec(&expected).unwrap()
        );
        let Body::Sealed { sealed, .. } = &record.body else {
            panic!("not sealed in memory");
        };
        assert!(!sealed.windows(8).any(|window| window == b"password"));
    }
    store.close().await;
    assert!(occurs("not-sealed", dir.path()), "the search finds what is there");
    for text in [
        "first-password",
        "second-password",
        "third-password",
        "plain-label",
        "password",
    ] {
        assert!(!occurs(text, dir.path()), "{text}");
    }
    let store = open(&path);
    let mut watch = store.watch(&secrets(), None, 2).unwrap();
    let Some(Next::Event(event)) = watch.try_next() else {
        panic!("no event");
    };
    let object = store.object(event.record.as_ref().unwrap()).unwrap();
    assert_eq!(object["data"]["password"], "first-password");
    assert_eq!(
        store.object(&store.get(&key("kept")).unwrap()).unwrap()["data"]["password"],
        "third-password"
    );
}

#[tokio::test]
async fn a_sealed_object_opens_at_its_place_only() {
    let store = Store::in_memory(options(Some(Arc::new(Inverse))));
    let record = store.create(key("s"), secret("x")).await.unwrap();
    let elsewhere = Record {
        key: key("t"),
        ..(*record).clone()
    };
    assert_eq!(
        store.object(&elsewhere),
        Err("sealed for another place".to_owned())
    );
}

#[tokio::test]
async fn a_missing_key_costs_only_what_it_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let store = open(&path);
    let map = Key::new(&GroupResource::new("", "configmaps"), "n", "m");
    store.create(key("s"), secret("x")).await.unwrap();
    store.create(map.clone(), json!({"data": {}})).await.unwrap();
    store.close().await;
    let store = open_again(&path, &options(None)).unwrap();
    let record = store.get(&key("s")).unwrap();
    let why = store.object(&record).unwrap_err();
    assert!(why.contains("no key"), "{why}");
    assert_eq!(store.json(&record).unwrap_err(), why);
    assert!(store.object(&store.get(&map).unwrap()).is_ok());
    // Nothing of it is written in the clear instead.
    let refused = store.update(key("s"), record.revision, secret("y")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))));
    // It can be taken away.
    store.delete(key("s"), record.revision).await.unwrap();
}

#[tokio::test]
async fn a_seal_that_cannot_be_made_refuses_the_write_and_no_other() {
    let store = Store::in_memory(options(Some(Arc::new(Inverse))));
    let refused = store.create(key("unsealable"), secret("x")).await;
    assert!(
        matches!(refused, Err(WriteError::Unavailable(why)) if why == "the ring has no key to seal with")
    );
    assert_eq!((store.writable(), store.revision()), (Ok(()), 2));
    store.create(key("s"), secret("x")).await.unwrap();
}

#[tokio::test]
async fn what_opens_to_no_json_is_named_without_its_content() {
    let store = Store::in_memory(options(Some(Arc::new(Inverse))));
    let mut record = (*store.create(key("s"), secret("x")).await.unwrap()).clone();
    let sealed = Inverse.seal("secrets/n/s", b"hunter2").unwrap().into();
    record.body = Body::Sealed { sealed, gap: 9_999 };
    assert_eq!(
        store.object(&record),
        Err("what is stored of s is no JSON".to_owned())
    );
}

#[tokio::test]
async fn a_record_that_is_printed_shows_no_content() {
    let store = Store::in_memory(Options::default());
    let record = store.create(key("s"), secret("hunter2")).await.unwrap();
    let mut watch = store.watch(&secrets(), None, 2).unwrap();
    let printed = format!("{record:?} {:?}", watch.try_next());
    assert!(
        !printed.contains("hunter2") && printed.contains("secrets"),
        "{printed}"
    );
}
