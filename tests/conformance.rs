//! Whether the embedded API server and a real kube-apiserver answer the same: every case runs on both, asserts what the
//! protocol demands, and then the two records are compared, step by step. Accepted differences are a table, and one that
//! no longer differs fails. Nothing here knows either server's code: they are two base URLs.
//! `cargo test --test conformance WORD` runs the cases whose name contains the word.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may"
)]

use std::{collections::BTreeMap, future::Future, pin::Pin, process::ExitCode, sync::Arc, time::Instant};

use serde_json::Value;
use tokio::sync::Semaphore;

#[path = "conformance/access.rs"]
mod access;
#[path = "conformance/applying.rs"]
mod applying;
#[path = "conformance/client.rs"]
mod client;
#[path = "conformance/creating.rs"]
mod creating;
#[path = "conformance/definitions.rs"]
mod definitions;
#[path = "conformance/deleting.rs"]
mod deleting;
#[path = "conformance/describing.rs"]
mod describing;
#[path = "conformance/deviations.rs"]
mod deviations;
mod pair;
#[path = "conformance/protobuf.rs"]
mod protobuf;
#[path = "conformance/reading.rs"]
mod reading;
#[path = "conformance/revisions.rs"]
mod revisions;
#[path = "conformance/servers.rs"]
mod servers;
#[path = "conformance/session.rs"]
mod session;
#[path = "conformance/shapes.rs"]
mod shapes;
#[path = "conformance/updating.rs"]
mod updating;
#[path = "conformance/watching.rs"]
mod watching;

use servers::Servers;
use session::{Server, Session, Step};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// The name of a case, and the case.
pub type Case = (&'static str, fn(Arc<Session>) -> Running);

/// A list of cases from the names of functions, which are sentences.
#[macro_export]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[$crate::Case] = &[
            $((stringify!($case), |session| Box::pin(async move { $case(&session).await }))),*
        ];
    };
}

/// How many cases run at once on each server.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let pair = pair::Pair::start();
    runtime.block_on(run_all(&Servers::of(&pair), &words))
}

async fn run_all(servers: &Servers, words: &[String]) -> ExitCode {
    let run = format!(
        "{:08x}",
        std::process::id() ^ Instant::now().elapsed().subsec_nanos()
    );
    let group = format!("conformance-{run}.example.dev");
    let (subject, oracle) = (servers.subject.clone(), servers.oracle.clone());
    for server in [&subject, &oracle] {
        definitions::define(server, &group).await;
    }
    let all = [
        describing::CASES,
        creating::CASES,
        updating::CASES,
        applying::CASES,
        deleting::CASES,
        reading::CASES,
        watching::CASES,
        shapes::CASES,
        revisions::CASES,
        access::CASES,
        definitions::CASES,
    ];
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    let mut namespaces = Vec::new();
    for (number, case) in all.into_iter().flatten().enumerate() {
        if !words.is_empty() && !words.iter().any(|word| case.0.contains(word.as_str())) {
            continue;
        }
        let (name, start) = *case;
        let (subject, oracle, slots) = (subject.clone(), oracle.clone(), slots.clone());
        let (group, namespace) = (group.clone(), format!("c{number}-{run}"));
        namespaces.push(namespace.clone());
        running.push((
            name,
            tokio::spawn(async move {
                let _slot = slots.acquire().await.unwrap();
                // Names differ between the two, because both may be one server.
                let on = |server: Arc<Server>, letter| {
                    on_one(server, group.clone(), format!("{namespace}{letter}"), start)
                };
                tokio::join!(on(subject, 'a'), on(oracle, 'b'))
            }),
        ));
    }
    let (mut passed, mut failed) = (0, Vec::new());
    let mut used = BTreeMap::new();
    for (name, running) in running {
        let (subject, oracle) = running.await.unwrap();
        match verdict(name, subject, oracle, servers.same, &mut used) {
            Ok(()) => passed += 1,
            Err(why) => {
                println!("---- {name}\n{why}\n");
                failed.push(name);
            }
        }
    }
    if words.is_empty() && !servers.same {
        for deviation in deviations::DEVIATIONS {
            if !used.contains_key(&(deviation.case, deviation.step)) {
                println!(
                    "---- {} no longer differs in {:?}: remove it from the table, where it stood because: {}\n",
                    deviation.case, deviation.step, deviation.reason
                );
                failed.push(deviation.case);
            }
        }
    }
    for (server, letter) in [(&subject, 'a'), (&oracle, 'b')] {
        for namespace in &namespaces {
            servers::remove_namespace(server, &format!("{namespace}{letter}")).await;
        }
        definitions::remove(server, &group).await;
    }
    failed.iter().for_each(|name| println!("failed: {name}"));
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "test result: {result}. {passed} passed; {} failed; 0 ignored",
        failed.len()
    );
    if failed.is_empty() && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The record of a case on one server, and what it panicked with.
type Record = (Vec<Step>, Option<String>);

async fn on_one(
    server: Arc<Server>,
    group: String,
    namespace: String,
    start: fn(Arc<Session>) -> Running,
) -> Record {
    let session = Arc::new(Session::new(server, &group, &namespace));
    let task = tokio::spawn({
        let session = session.clone();
        async move {
            servers::make_namespace(&session).await;
            start(session).await;
        }
    });
    let panicked = task.await.err().map(|e| {
        let panic = e.into_panic();
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    });
    (session.steps(), panicked)
}

fn verdict(
    name: &'static str,
    subject: Record,
    oracle: Record,
    same: bool,
    used: &mut BTreeMap<(&'static str, &'static str), ()>,
) -> Result<(), String> {
    if let Some(why) = oracle.1 {
        return Err(format!(
            "the case does not hold on the real API server, so that it proves nothing: {why}"
        ));
    }
    let whole = deviations::DEVIATIONS
        .iter()
        .find(|known| known.case == name && known.step == "*");
    if let Some(whole) = whole.filter(|_| !same) {
        if subject.1.is_some() || subject.0 != oracle.0 {
            used.insert((whole.case, whole.step), ());
        }
        return Ok(());
    }
    let mut why = Vec::new();
    why.extend(subject.1.map(|panic| format!("fails: {panic}")));
    for at in 0..subject.0.len().max(oracle.0.len()) {
        let (ours, theirs) = (subject.0.get(at), oracle.0.get(at));
        if ours == theirs {
            continue;
        }
        let label = ours.or(theirs).map(|step| step.label.clone()).unwrap_or_default();
        let known = deviations::DEVIATIONS
            .iter()
            .find(|known| known.case == name && known.step == label);
        if let Some(known) = known.filter(|_| !same) {
            used.insert((known.case, known.step), ());
            continue;
        }
        let outcome = |step: Option<&Step>| step.map_or(Value::Null, |step| step.outcome.clone());
        let mut differences = Vec::new();
        differ("", &outcome(ours), &outcome(theirs), &mut differences);
        why.push(format!("{label}\n{}", differences.join("\n")));
    }
    if why.is_empty() {
        Ok(())
    } else {
        Err(why.join("\n"))
    }
}

/// Where two values differ, and how.
fn differ(at: &str, ours: &Value, theirs: &Value, into: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left
                .keys()
                .chain(right.keys().filter(|key| !left.contains_key(*key)))
            {
                differ(&format!("{at}/{key}"), &ours[key], &theirs[key], into);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (number, (left, right)) in left.iter().zip(right).enumerate() {
                differ(&format!("{at}/{number}"), left, right, into);
            }
        }
        _ if ours != theirs => into.push(format!("  {at}\n    ours:   {ours}\n    theirs: {theirs}")),
        _ => {}
    }
}
