//! kill -9 under write load, again and again: what was acknowledged is there, the revision never goes back, and a watch
//! goes on where it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    process::{SOON, Standalone},
    wire::{Wire, revision},
};

const WRITERS: usize = 16;
const OBJECTS: &str = "/api/v1/namespaces/default/configmaps";

/// What is known of one object: its revision and its value; `None` when it was deleted.
type Known = Option<(u64, u64)>;

/// What one writer did.
#[derive(Default)]
struct Diary {
    known: BTreeMap<String, Known>,
    /// Asked for, and not answered: what will be if it was done. `None` is a deletion.
    doubt: Option<(String, Option<u64>)>,
    /// Revisions of acknowledged writes.
    revisions: Vec<u64>,
    count: u64,
}

fn object(name: &str, value: u64, revision: Option<u64>) -> Value {
    let mut metadata = json!({"name": name, "labels": {"kill": "yes"}});
    if let Some(revision) = revision {
        metadata["resourceVersion"] = revision.to_string().into();
    }
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value.to_string()}})
}

/// Creates, updates and deletes its own objects until the server is gone.
async fn write(wire: Wire, writer: usize, diary: &mut Diary, total: &AtomicU64) {
    let Ok(mut line) = wire.line().await else { return };
    loop {
        diary.count += 1;
        let name = format!("w{writer}-{}", diary.count % 7);
        let path = format!("{OBJECTS}/{name}");
        let known = diary.known.get(&name).copied().flatten();
        let delete = known.is_some() && diary.count.is_multiple_of(5);
        diary.doubt = Some((name.clone(), (!delete).then_some(diary.count)));
        let asked = match known {
            None => {
                line.send("POST", OBJECTS, &object(&name, diary.count, None))
                    .await
            }
            Some((revision, _)) if delete => {
                let options = json!({"preconditions": {"resourceVersion": revision.to_string()}});
                line.send("DELETE", &path, &options).await
            }
            Some((revision, _)) => {
                line.send("PUT", &path, &object(&name, diary.count, Some(revision)))
                    .await
            }
        };
        let Ok(answer) = asked else { return };
        assert!(matches!(answer.code, 200 | 201), "{name}: {}", answer.body);
        diary.doubt = None;
        total.fetch_add(1, Ordering::Relaxed);
        let after = (!delete).then(|| (answer.revision(), diary.count));
        diary.known.insert(name, after);
        // The answer of a deletion says nothing about its revision.
        diary.revisions.extend(after.map(|(revision, _)| revision));
    }
}

/// What a watch saw.
#[derive(Default)]
struct Seen {
    last: u64,
    revisions: BTreeSet<u64>,
    state: BTreeMap<String, u64>,
    gaps: usize,
    resumed: usize,
}

impl Seen {
    fn note(&mut self, event: &Value) {
        let kind = event["type"].as_str().unwrap();
        let object = &event["object"];
        let at = revision(object);
        assert!(
            at > self.last || kind == "BOOKMARK",
            "{kind} {at} after {}",
            self.last
        );
        self.last = self.last.max(at);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match kind {
            "ADDED" => assert!(
                self.state.insert(name.clone(), at).is_none(),
                "{name} was there already"
            ),
            "MODIFIED" => assert!(
                self.state.insert(name.clone(), at).is_some(),
                "{name} was not there"
            ),
            "DELETED" => assert!(self.state.remove(&name).is_some(), "{name} was not there"),
            "BOOKMARK" => return,
            other => panic!("{other}: {object}"),
        }
        self.revisions.insert(at);
    }
}

/// Watches from where it was until the connection breaks or `until` is seen.
async fn watch(wire: Wire, seen: Arc<Mutex<Seen>>, until: Option<u64>) {
    let from = seen.lock().unwrap().last;
    let path =
        format!("{OBJECTS}?watch=true&allowWatchBookmarks=true&labelSelector=kill&resourceVersion={from}");
    let Ok(line) = wire.line().await else { return };
    let Ok(mut events) = line.watch(&path).await else {
        return;
    };
    seen.lock().unwrap().resumed += 1;
    while until.is_none_or(|until| seen.lock().unwrap().last < until) {
        let Ok(Some(event)) = events.next().await else {
            return;
        };
        if event["type"] == "ERROR" {
            assert_eq!(event["object"]["code"], 410, "{event}");
            relist(&wire, &seen).await;
            return;
        }
        seen.lock().unwrap().note(&event);
    }
}

async fn relist(wire: &Wire, seen: &Mutex<Seen>) {
    let Ok(list) = wire.get(&format!("{OBJECTS}?labelSelector=kill")).await else {
        return;
    };
    let mut seen = seen.lock().unwrap();
    seen.gaps += 1;
    seen.last = list.revision();
    seen.state = items(&list.body)
        .map(|(name, (revision, _))| (name, revision))
        .collect();
}

fn items(list: &Value) -> impl Iterator<Item = (String, (u64, u64))> {
    list["items"].as_array().unwrap().iter().map(|item| {
        let name = item["metadata"]["name"].as_str().unwrap().to_owned();
        let value = item["data"]["value"].as_str().unwrap().parse().unwrap();
        (name, (revision(item), value))
    })
}

/// Everything that was acknowledged is there and nothing else; settles what was in doubt.
async fn check(wire: &Wire, diaries: &mut [Diary], floor: u64) -> u64 {
    let list = wire.get(&format!("{OBJECTS}?labelSelector=kill")).await.unwrap();
    assert_eq!(list.code, 200, "{}", list.body);
    let now = list.revision();
    assert!(now >= floor, "the revision went back from {floor} to {now}");
    let mut found: BTreeMap<String, (u64, u64)> = items(&list.body).collect();
    for diary in diaries {
        if let Some((name, wanted)) = diary.doubt.take() {
            let before = diary.known.get(&name).copied().flatten();
            let is = found.get(&name).copied();
            let done = is.map(|(_, value)| value) == wanted
                && is.is_none_or(|(at, _)| before.is_none_or(|(b, _)| at > b));
            assert!(
                done || is == before,
                "{name}: {before:?} then {wanted:?}, and it is {is:?}"
            );
            diary.known.insert(name, is);
        }
        for (name, known) in &diary.known {
            assert_eq!(found.remove(name), *known, "{name} after a kill");
        }
    }
    assert!(found.is_empty(), "nobody wrote {found:?}");
    now
}

/// `rounds` times.
pub async fn kill_minus_nine(rounds: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Standalone::new(dir.path());
    let mut diaries: Vec<Diary> = (0..WRITERS).map(|_| Diary::default()).collect();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (mut floor, mut slowest) = (0, Duration::ZERO);
    let mut wire = server.start().await;
    seen.lock().unwrap().last = check(&wire, &mut diaries, floor).await;
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let watching = tokio::spawn({
            let (wire, seen, stop) = (wire.clone(), Arc::clone(&seen), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    watch(wire.clone(), Arc::clone(&seen), None).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        let total = Arc::new(AtomicU64::new(0));
        let mut writing = tokio::task::JoinSet::new();
        for (writer, mut diary) in std::mem::take(&mut diaries).into_iter().enumerate() {
            let (wire, total) = (wire.clone(), Arc::clone(&total));
            writing.spawn(async move {
                write(wire, writer, &mut diary, &total).await;
                (writer, diary)
            });
        }
        // Not the same moment of a batch each time.
        let chance = (round as u64 + 1) * 7_919 + u64::from(std::process::id()) * 31;
        let end = Instant::now() + SOON;
        while total.load(Ordering::Relaxed) < 20 + chance % 300 && Instant::now() < end {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        tokio::time::sleep(Duration::from_micros(chance % 20_000)).await;
        server.kill();
        let mut done = writing.join_all().await;
        done.sort_by_key(|(writer, _)| *writer);
        diaries = done.into_iter().map(|(_, diary)| diary).collect();
        stop.store(true, Ordering::Relaxed);
        watching.await.unwrap();
        floor = diaries
            .iter()
            .flat_map(|diary| &diary.revisions)
            .copied()
            .max()
            .unwrap_or(0)
            .max(floor);
        floor = floor.max(seen.lock().unwrap().last);
        let begun = Instant::now();
        wire = server.start().await;
        slowest = slowest.max(begun.elapsed());
        floor = check(&wire, &mut diaries, floor).await;
    }
    // One more write, so that the watch has something to wait for.
    let last = wire
        .send("POST", OBJECTS, &object("last", 0, None))
        .await
        .unwrap()
        .revision();
    assert!(last > floor);
    tokio::time::timeout(SOON, watch(wire.clone(), Arc::clone(&seen), Some(last)))
        .await
        .unwrap();
    let forgotten = verdict(rounds, &diaries, &seen.lock().unwrap(), last, slowest);
    forget(&mut server, wire, forgotten).await;
}

/// Whether the watch saw all that was acknowledged; answers the first revision that it saw.
fn verdict(rounds: usize, diaries: &[Diary], seen: &Seen, last: u64, slowest: Duration) -> u64 {
    let acknowledged: Vec<u64> = diaries
        .iter()
        .flat_map(|diary| &diary.revisions)
        .copied()
        .collect();
    if seen.gaps == 0 {
        let missed: Vec<&u64> = acknowledged
            .iter()
            .filter(|at| !seen.revisions.contains(at))
            .collect();
        assert!(missed.is_empty(), "the watch missed {missed:?}");
    }
    let there: BTreeMap<String, u64> = diaries
        .iter()
        .flat_map(|diary| &diary.known)
        .filter_map(|(name, known)| Some((name.clone(), (*known)?.0)))
        .chain([("last".to_owned(), last)])
        .collect();
    assert_eq!(seen.state, there, "what the watch adds up to");
    let asked: u64 = diaries.iter().map(|diary| diary.count).sum();
    println!(
        "{rounds} kills: {asked} writes asked for, {} creates and updates acknowledged, all there; the watch resumed {} times \
         with {} gaps; slowest restart {slowest:?}",
        acknowledged.len(),
        seen.resumed,
        seen.gaps,
    );
    assert!(acknowledged.len() >= rounds * 10, "hardly anything was written");
    seen.revisions.first().copied().unwrap_or(last)
}

/// Writes more than the history holds, kills once more, and goes on from where nothing and from where all is known.
async fn forget(server: &mut Standalone, wire: Wire, forgotten: u64) {
    let mut revision = None;
    let path = format!("{OBJECTS}/large");
    let mut before = 0;
    for number in 0..24 {
        let mut large = object("large", number, revision);
        // Twenty of them weigh more than the bytes that the history may.
        large["data"]["filler"] = "x".repeat(900_000).into();
        let asked = match revision {
            None => wire.send("POST", OBJECTS, &large).await,
            Some(_) => wire.send("PUT", &path, &large).await,
        };
        before = revision.unwrap_or_default();
        revision = Some(asked.unwrap().revision());
    }
    server.kill();
    let wire = server.start().await;
    let first = async |from: u64| {
        let path = format!("{OBJECTS}?watch=true&labelSelector=kill&resourceVersion={from}");
        let mut events = wire.line().await.unwrap().watch(&path).await.unwrap();
        tokio::time::timeout(SOON, events.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    };
    let too_old = first(forgotten).await;
    assert_eq!(
        (
            &too_old["type"],
            &too_old["object"]["code"],
            &too_old["object"]["reason"]
        ),
        (&json!("ERROR"), &json!(410), &json!("Expired")),
        "{too_old}"
    );
    let next = first(before).await;
    assert_eq!(next["type"], "MODIFIED", "{}", next["type"]);
    assert_eq!(Some(super::wire::revision(&next["object"])), revision);
}
