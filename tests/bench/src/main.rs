//! `make bench`: measures `supercargo` on a real engine beside the engine itself, Compose and Swarm, and its API server
//! beside a real one, and writes the page. Owns the order of the parts. The client is this program; it has no part of what
//! it measures.

mod args;
mod client;
mod crowd;
mod engine;
mod fifty;
mod files;
mod floor;
mod load;
mod page;
mod peers;
mod plane;
mod plane_report;
mod probes;
mod proxy;
mod rollout;
mod rotation;
#[path = "../../../src/seal/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "what opens and seals is used here, and nothing else"
)]
mod seal;
mod server;
mod starts;
mod subject;
mod table;
mod values;
mod watching;

use std::{collections::BTreeSet, fs, time::Instant};

use anyhow::{Result, bail};
use args::{Args, DEPLOYMENTS};
use engine::Engine;
use floor::Floor;
use hyper::Method;
use page::{Machine, Run};
use peers::Peers;
use subject::Subject;
use table::Row;

fn main() -> Result<()> {
    _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let args = Args::read()?;
    let outcome = runtime.block_on(run(&args));
    // What was measured in is of no use, unless something went wrong.
    if outcome.is_ok() {
        _ = fs::remove_dir_all(&args.dir);
    }
    outcome
}

async fn run(args: &Args) -> Result<()> {
    let machine = Machine::look();
    let engine = Engine::find()?;
    let version = engine.call(Method::GET, "/version", None).await?;
    let mut run = Run {
        machine,
        engine: format!(
            "Docker {}",
            version["Version"].as_str().unwrap_or("of unknown version")
        ),
        plane: Vec::new(),
        plane_peer: args.peer_name.clone(),
        deployments: Vec::new(),
        unmeasured: None,
        peers: std::array::from_fn(|_| "not asked for in this run".to_owned()),
    };
    fs::create_dir_all(&args.dir)?;
    let began = Instant::now();
    if DEPLOYMENTS.iter().any(|part| args.wants(part)) {
        let images = agents(&engine).await?;
        let measured = deployments(args, &engine, &mut run).await;
        // Agents' images that were not there before are this run's.
        for image in agents(&engine).await?.difference(&images) {
            _ = engine
                .call(Method::DELETE, &format!("/images/{image}"), None)
                .await;
        }
        if let Err(error) = measured {
            eprintln!("{error:?}");
            run.unmeasured = Some(format!("{error:#}"));
        }
    }
    eprintln!("deployments: {} s", began.elapsed().as_secs());
    let began = Instant::now();
    if plane::PARTS.iter().any(|part| args.wants(part)) {
        run.plane = plane::run(args, &args.dir.join("plane")).await?;
    }
    eprintln!("the API server: {} s", began.elapsed().as_secs());
    let page = run.page();
    println!("{page}");
    if let Some(path) = &args.out {
        fs::write(path, page)?;
    }
    match run.unmeasured {
        Some(why) => bail!("not everything was measured: {why}"),
        None => Ok(()),
    }
}

/// The tags of agents' images in the engine.
async fn agents(engine: &Engine) -> Result<BTreeSet<String>> {
    let images = engine.call(Method::GET, "/images/json", None).await?;
    let tags = images.as_array().into_iter().flatten();
    let tags = tags.flat_map(|image| image["RepoTags"].as_array().cloned().unwrap_or_default());
    let tags = tags.filter_map(|tag| tag.as_str().map(str::to_owned));
    Ok(tags.filter(|tag| tag.starts_with("supercargo/agent:")).collect())
}

async fn deployments(args: &Args, engine: &Engine, run: &mut Run) -> Result<()> {
    let events = engine.events().await?;
    let floor = Floor::new(engine, &events, args.deployments.div_ceil(800).max(1)).await?;
    let peers = if args.wants("starts") || args.wants("fifty") {
        Some(Peers::meet(&args.peers, &floor, &args.dir).await)
    } else {
        None
    };
    let mut rows = Vec::new();
    let measured = parts(args, engine, &events, (&floor, peers.as_ref()), &mut rows).await;
    if let Some(peers) = peers {
        run.peers = peers.names();
        peers.end().await;
    }
    floor.end().await?;
    run.deployments = rows;
    measured
}

async fn parts(
    args: &Args,
    engine: &Engine,
    events: &engine::Events,
    (floor, peers): (&Floor, Option<&Peers>),
    rows: &mut Vec<Row>,
) -> Result<()> {
    let begin = async |name: &str| Subject::start(&args.ours, &args.dir.join(name), engine, &[]).await;
    if let Some(peers) = peers.filter(|_| args.wants("starts")) {
        let subject = begin("starts").await?;
        let rounds = starts::Rounds {
            subject: &subject,
            engine,
            events,
            floor,
            peers,
            kubectl: &args.kubectl,
            dir: args.dir.clone(),
            verbose: args.verbose,
        };
        let measured = rounds.run(args.rounds).await;
        subject.end().await?;
        floor.clear().await?;
        rows.extend(measured?);
    }
    if args.wants("files") {
        rows.extend(files::run(&args.ours, &args.dir, engine, events, args.rounds).await?);
    }
    if args.wants("rotation") {
        let subject = begin("rotation").await?;
        let measured = rotation::run(&subject, engine, events).await;
        subject.end().await?;
        rows.extend(measured?);
    }
    if args.wants("values") {
        rows.extend(tokio::task::spawn_blocking(values::run).await??);
    }
    if let Some(peers) = peers.filter(|_| args.wants("fifty")) {
        let (subject, theirs, measured) = fifty::start(begin, events, floor, peers, args.idle).await?;
        rows.extend(measured);
        rows.push(fifty::again(&subject).await?);
        rows.extend(fifty::idle(&subject, args.idle, &theirs).await?);
        subject.end().await?;
    }
    if args.wants("rollout") {
        let subject = begin("rollout").await?;
        let measured = rollout::run(&subject, events, floor).await;
        subject.end().await?;
        rows.extend(measured?);
    }
    if args.wants("probes") {
        rows.extend(probes::run(args.ours.path()).await?);
    }
    if args.wants("thousand") {
        rows.extend(crowd::thousand(&begin, events, floor, args.deployments).await?);
    }
    if args.wants("crowd") {
        let subject = begin("crowd").await?;
        let measured = crowd::change(&subject, events, args.managed).await;
        subject.end().await?;
        rows.extend(measured?);
    }
    Ok(())
}
