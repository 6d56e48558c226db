//! A value that changes under a hundred containers: when each of them sees it, and whether readers who never stop are
//! disturbed by a hundred changes. Reads through the containers' own mounts, by `/proc/PID/root`.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hyper::Method;

use crate::{
    client::Connection,
    engine::{Engine, Events, PATIENCE, now},
    files::with_files,
    subject::Subject,
    table::{Row, Target, Unit, median},
};

const NAMESPACE: &str = "rotation";
const SECRET: &str = "token";
const DEPLOYMENTS: usize = 10;
const REPLICAS: usize = 10;
/// Changes whose spread is timed.
const TIMED: usize = 10;
/// Changes under readers.
const CHANGES: usize = 100;
const READERS: usize = 2;

/// What both files of the secret say in the `n`th set.
fn value(n: usize) -> String {
    format!("{n}-").repeat(64)
}

/// Where a container's files are, and of which deployment it is.
struct Place {
    files: PathBuf,
    deployment: usize,
}

impl Place {
    fn shows(&self, value: &str) -> bool {
        fs::read_to_string(self.files.join("a")).is_ok_and(|found| found == value)
    }
}

struct Readers {
    reads: AtomicU64,
    failed: AtomicU64,
    torn: AtomicU64,
    over: AtomicBool,
}

impl Readers {
    /// Reads both files of one generation: with one that the name `..data` led to.
    fn read(&self, place: &Place) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let generation = fs::read_link(place.files.join("..data"));
        let both = generation.and_then(|generation| {
            let dir = place.files.join(generation);
            Ok((fs::read(dir.join("a"))?, fs::read(dir.join("b"))?))
        });
        match both {
            Ok((a, b)) if a == b && !a.is_empty() => {}
            Ok(_) => _ = self.torn.fetch_add(1, Ordering::Relaxed),
            Err(_) => _ = self.failed.fetch_add(1, Ordering::Relaxed),
        }
        // As a program that opens its file by name.
        self.reads.fetch_add(1, Ordering::Relaxed);
        if fs::read(place.files.join("a")).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn put(connection: &mut Connection, manifest: &str) -> Result<()> {
    let path = format!(
        "/apis/supercargo.dev/v1alpha1/namespaces/{NAMESPACE}/dockersecrets/{SECRET}?fieldManager=bench&force=true"
    );
    let body = Bytes::from(manifest.to_owned());
    connection
        .call(Method::PATCH, &path, "application/apply-patch+yaml", body)
        .await
        .map(drop)
}

/// Until every container shows the value: milliseconds until the first of each deployment did, and until all did.
fn spread(began: Instant, places: &[Place], value: &str) -> Result<(f64, f64)> {
    let mut first = [None; DEPLOYMENTS];
    let mut open: Vec<&Place> = places.iter().collect();
    while !open.is_empty() {
        open.retain(|place| {
            let shows = place.shows(value);
            if shows {
                first[place.deployment].get_or_insert_with(|| began.elapsed());
            }
            !shows
        });
        if began.elapsed() > PATIENCE {
            bail!("{} containers never saw a value", open.len());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let all = began.elapsed();
    let first = first.into_iter().flatten().max().unwrap_or(all);
    Ok((first.as_secs_f64() * 1e3, all.as_secs_f64() * 1e3))
}

async fn places(subject: &Subject, engine: &Engine, events: &Events) -> Result<Vec<Place>> {
    let mut connection = subject.connect().await?;
    let from = now();
    for n in 0..DEPLOYMENTS {
        let manifest = with_files(&format!("app-{n}"), REPLICAS, SECRET);
        subject.apply(&mut connection, NAMESPACE, &manifest).await?;
    }
    let of =
        |event: &crate::engine::Event| (0..DEPLOYMENTS).find(|n| subject.is_of(event, &format!("app-{n}")));
    let patience = 4 * PATIENCE;
    let count = DEPLOYMENTS * REPLICAS;
    let started = events.wait(from, count, patience, |event| {
        event.action == "start" && event.about.contains_key("supercargo.dev/replica") && of(event).is_some()
    });
    let mut places = Vec::with_capacity(count);
    for event in started.await? {
        let path = format!("/containers/{}/json", event.id);
        let seen = engine.call(Method::GET, &path, None).await?;
        let pid = seen["State"]["Pid"].as_i64().context("no process")?;
        places.push(Place {
            files: format!("/proc/{pid}/root/run/secrets/{SECRET}").into(),
            deployment: of(&event).context("a container of nobody")?,
        });
    }
    for n in 0..DEPLOYMENTS {
        subject.settled(NAMESPACE, &format!("app-{n}")).await?;
    }
    Ok(places)
}

/// The rows.
pub async fn run(subject: &Subject, engine: &Engine, events: &Events) -> Result<Vec<Row>> {
    subject.namespace(NAMESPACE, events).await?;
    let mut manifests = Vec::new();
    for n in 0..=TIMED + CHANGES {
        let value = value(n);
        manifests.push(
            subject
                .seal_files(NAMESPACE, SECRET, &[("a", &value), ("b", &value)])
                .await?,
        );
    }
    let mut connection = subject.connect().await?;
    put(&mut connection, &manifests[0]).await?;
    let places = Arc::new(places(subject, engine, events).await?);
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for (n, manifest) in manifests.iter().enumerate().skip(1).take(TIMED) {
        subject.proxy.quiet(Duration::from_millis(500)).await;
        let began = Instant::now();
        put(&mut connection, manifest).await?;
        let (one, whole) = seen(began, &places, n).await?;
        first.push(one);
        all.push(whole);
    }
    eprintln!("rotation, first {first:.0?}, all {all:.0?}");
    let readers = Arc::new(Readers {
        reads: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        torn: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let threads: Vec<_> = (0..READERS)
        .map(|_| {
            let (readers, places) = (Arc::clone(&readers), Arc::clone(&places));
            std::thread::spawn(move || {
                while !readers.over.load(Ordering::Relaxed) {
                    for place in places.iter() {
                        readers.read(place);
                        std::thread::sleep(Duration::from_micros(500));
                    }
                }
            })
        })
        .collect();
    let began = Instant::now();
    let mut outcome = Ok(());
    for (n, manifest) in manifests.iter().enumerate().skip(1 + TIMED) {
        outcome = async {
            put(&mut connection, manifest).await?;
            seen(Instant::now(), &places, n).await.map(drop)
        }
        .await;
        if outcome.is_err() {
            break;
        }
    }
    eprintln!("{CHANGES} changes in {} s", began.elapsed().as_secs());
    readers.over.store(true, Ordering::Relaxed);
    for thread in threads {
        _ = thread.join();
    }
    outcome?;
    Ok(rows(&first, &all, &readers))
}

async fn seen(began: Instant, places: &Arc<Vec<Place>>, n: usize) -> Result<(f64, f64)> {
    let places = Arc::clone(places);
    tokio::task::spawn_blocking(move || spread(began, &places, &value(n))).await?
}

fn rows(first: &[f64], all: &[f64], readers: &Readers) -> Vec<Row> {
    let reads = readers.reads.load(Ordering::Relaxed);
    let bad = readers.failed.load(Ordering::Relaxed) + readers.torn.load(Ordering::Relaxed);
    let reads_bad =
        |what: String, value: u64, target| Row::plain(&what, Unit::Count, value as f64, target, "");
    vec![
        Row::plain(
            "a new value, 100 containers of 10 deployments: until the first container of each sees it, median",
            Unit::Milliseconds,
            median(first),
            Target::AtMost(1000.0),
            "Ten deployments are written one after the other.",
        ),
        Row::plain(
            "- until all see it, median",
            Unit::Milliseconds,
            median(all),
            Target::AtMost(5000.0),
            "Ten deployments are written one after the other.",
        ),
        reads_bad(
            format!("reads of these files during {CHANGES} changes"),
            reads,
            Target::None,
        ),
        reads_bad(
            "- of them failed, or of two sets".to_owned(),
            bad,
            Target::AtMost(0.0),
        ),
    ]
}
