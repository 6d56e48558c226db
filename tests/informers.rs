//! Whether informers of other people end with what the server holds, after broken connections and a kill -9 of it: the
//! watcher of kube-rs in both its modes and, with `--all`, client-go and the Python client, over 10,000 objects. Each
//! reaches the server through a proxy that cuts connections at random moments while a writer creates, updates and deletes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may"
)]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

#[path = "informers/child.rs"]
mod child;
#[path = "informers/proxy.rs"]
mod proxy;
#[path = "informers/server.rs"]
mod server;
#[path = "informers/watching.rs"]
mod watching;
#[path = "informers/writer.rs"]
mod writer;

/// The names of objects, and their resource versions.
type Set = BTreeMap<String, String>;

/// What is held by something that watches.
trait Informer: Send {
    fn name(&self) -> &str;
    fn held(&mut self) -> Set;
}

/// How big a run is.
struct Size {
    objects: usize,
    /// How long connections are cut and objects written.
    unrest: Duration,
}

const SMALL: Size = Size {
    objects: 1_000,
    unrest: Duration::from_secs(6),
};
const LARGE: Size = Size {
    objects: 10_000,
    unrest: Duration::from_secs(30),
};
/// A bound for what takes a few seconds: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// Moments and objects are chosen by a generator with a printed seed.
pub struct Dice(AtomicU64);

impl Dice {
    /// A number below the bound.
    pub fn below(&self, bound: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }
}

fn main() -> ExitCode {
    let all = std::env::args().any(|word| word == "--all");
    let _installed_once = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let failed = runtime.block_on(run(if all { &LARGE } else { &SMALL }, all, seed));
    let passed = if all { 4 } else { 2 } - failed;
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How many informers do not end with the server's set.
async fn run(size: &Size, all: bool, seed: u64) -> usize {
    let dice = Arc::new(Dice(AtomicU64::new(seed)));
    let programs = all.then(child::programs);
    let mut server = server::Server::start();
    let direct = server.client(server.port).await;
    let writer = writer::Writer::new(direct.clone());
    writer.fill(size.objects).await;
    let proxy = proxy::Proxy::start(server.port);
    let mut informers: Vec<Box<dyn Informer>> = Vec::new();
    for streaming in [false, true] {
        let client = server.client(proxy.port).await;
        informers.push(Box::new(watching::Watching::start(client, streaming)));
    }
    if let Some(programs) = &programs {
        let kubeconfig = server.kubeconfig_for(proxy.port);
        informers.extend(child::start(programs, &kubeconfig));
    }
    until_same(&mut informers, &writer.set().await, "before the unrest");

    let end = Instant::now() + size.unrest;
    let writing = tokio::spawn(writer.clone().unrest(Arc::clone(&dice), end));
    let mut cuts = 0_usize;
    let mut killed = false;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50 + dice.below(900))).await;
        cuts += proxy.cut(&dice);
        if !killed && Instant::now() + size.unrest / 2 > end {
            server.kill_and_restart();
            killed = true;
        }
    }
    let writes = writing.await.unwrap();
    println!("{writes} writes, {cuts} connections cut, one kill -9");
    assert!(
        killed && writes > 0 && cuts > 0,
        "a run without unrest proves nothing"
    );
    let truth = writer.set().await;
    println!("the server holds {} objects", truth.len());
    until_same(&mut informers, &truth, "at the end")
}

/// Waits until the informers hold the set; how many do not in time, and in what they differ.
fn until_same(informers: &mut [Box<dyn Informer>], truth: &Set, when: &str) -> usize {
    let start = Instant::now();
    let mut failed = 0;
    for informer in informers {
        loop {
            let held = informer.held();
            if held == *truth {
                println!("{}: the server's set {when}", informer.name());
                break;
            }
            if start.elapsed() > PATIENCE {
                failed += 1;
                let missing = truth.iter().filter(|(name, _)| !held.contains_key(*name)).count();
                let extra = held.keys().filter(|name| !truth.contains_key(*name)).count();
                println!(
                    "---- {} {when}: {missing} objects are missing, {extra} are none of the server's, of {}",
                    informer.name(),
                    truth.len()
                );
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    failed
}
