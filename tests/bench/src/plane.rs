//! The embedded API server beside a real kube-apiserver: starts, durable writes, watches, lists. Owns the order of these
//! measurements and their targets. The client is this program; it has no part of the servers.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, bail};

use crate::{
    args::Args,
    client::Http,
    load::{self, CONFIG_MAPS, Write},
    plane_report::{Row, Target, Unit, median, ms, quantile},
    server::{Program, Server},
    watching,
};

/// How long one round of writes lasts.
const ROUND: Duration = Duration::from_secs(3);
/// Rounds of writes, and starts, of which the median counts.
const ROUNDS: usize = 3;
const STARTS: usize = 7;

/// The parts that `--only` can name.
pub const PARTS: [&str; 6] = ["ready", "writes", "slow", "watchers", "list", "100,000"];

/// All that is wanted, in a directory of its own.
pub async fn run(args: &Args, dir: &Path) -> Result<Vec<Row>> {
    let mut bench = Bench {
        args,
        dir,
        rows: Vec::new(),
    };
    let mut ours = Server::new(&args.ours, dir.join("ours"))?;
    let mut peer = match &args.peer {
        Ok(program) => Ok(Server::new(program, dir.join("peer"))?),
        Err(why) => Err(*why),
    };
    for server in std::iter::once(&mut ours).chain(peer.as_mut().ok()) {
        server.start().await?;
        load::prepare(&server.access()?).await?;
        load::fill(&server.access()?, "few", 1_000).await?;
    }
    bench.starts(&mut ours, &mut peer).await?;
    bench.writes(&ours, &peer).await?;
    bench.slow_watcher(&ours, &peer).await?;
    bench.watchers(&ours, &peer).await?;
    bench.lists(&mut ours, &mut peer).await?;
    bench.many_objects(&mut ours).await?;
    bench.sizes()?;
    Ok(bench.rows)
}

type Peer = Result<Server, &'static str>;

struct Bench<'a> {
    args: &'a Args,
    dir: &'a Path,
    rows: Vec<Row>,
}

impl Bench<'_> {
    fn wanted(&self, what: &str) -> bool {
        self.args.wants(what)
    }

    fn row(&mut self, what: &str, unit: Unit, value: f64, target: Target, peer: Result<f64, &'static str>) {
        let row = Row {
            what: what.to_owned(),
            unit,
            value,
            target,
            peer,
        };
        eprintln!("{what}: {value:.2}, peer {peer:?}");
        self.rows.push(row);
    }

    async fn starts(&mut self, ours: &mut Server, peer: &mut Peer) -> Result<()> {
        if !self.wanted("ready") {
            return Ok(());
        }
        let mine = restarts(ours, STARTS).await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (resident, threads) = (mebibytes(ours)?, ours.status("Threads")?);
        let (other, other_resident) = match peer {
            Ok(peer) => {
                let ready = restarts(peer, ROUNDS).await?;
                tokio::time::sleep(Duration::from_secs(10)).await;
                (Ok(ready), mebibytes(peer).map(Ok)?)
            }
            Err(why) => (Err(*why), Err(*why)),
        };
        eprintln!("threads: {threads}");
        self.row(
            "ready after exec, 1,000 objects",
            Unit::Milliseconds,
            mine,
            Target::AtMost(100.0),
            other,
        );
        let target = Target::AtMost(40.0);
        self.row(
            "resident, 1,000 objects, idle",
            Unit::Mebibytes,
            resident,
            target,
            other_resident,
        );
        Ok(())
    }

    async fn writes(&mut self, ours: &Server, peer: &Peer) -> Result<()> {
        if !self.wanted("writes") {
            return Ok(());
        }
        for (custom, of) in [(false, "ConfigMap"), (true, "custom object")] {
            for (what, word) in [(Write::Create, "create"), (Write::Update, "update")] {
                for writers in [1, 16] {
                    let (mut mine, mut other) = (Rounds::default(), Rounds::default());
                    for round in 0..ROUNDS {
                        let name = format!("{word}-{writers}-{round}");
                        mine.add(load::write(&ours.access()?, what, custom, writers, ROUND, &name).await?);
                        if let Ok(peer) = peer {
                            other.add(
                                load::write(&peer.access()?, what, custom, writers, ROUND, &name).await?,
                            );
                        }
                    }
                    let name = format!("durable writes: {of} {word}, {writers} at once");
                    let target = if writers == 16 {
                        Target::TimesPeer(2.0)
                    } else {
                        Target::None
                    };
                    let by =
                        |f: &dyn Fn(&Rounds) -> f64| peer.as_ref().map(|_| f(&other)).map_err(|why| *why);
                    let rate = |rounds: &Rounds| median(rounds.rates.clone());
                    self.row(&name, Unit::PerSecond, rate(&mine), target, by(&rate));
                    for (share, word) in [(0.5, "p50"), (0.99, "p99")] {
                        let at = |rounds: &Rounds| quantile(&rounds.sorted(), share);
                        self.row(
                            &format!("- {word}"),
                            Unit::Milliseconds,
                            at(&mine),
                            Target::None,
                            by(&at),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    async fn slow_watcher(&mut self, ours: &Server, peer: &Peer) -> Result<()> {
        if !self.wanted("slow") {
            return Ok(());
        }
        let mut found = Vec::new();
        for server in std::iter::once(ours).chain(peer.as_ref().ok()) {
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let name = format!("quiet-{round}");
                let access = server.access()?;
                without.push(
                    load::write(&access, Write::Create, false, 16, ROUND, &name)
                        .await?
                        .rate,
                );
                with.push(
                    watching::beside_a_slow_one(&access, ROUND, &format!("slow-{round}"))
                        .await?
                        .rate,
                );
            }
            found.push((median(without), median(with)));
        }
        let other = |f: &dyn Fn(&(f64, f64)) -> f64| match peer {
            Ok(_) => Ok(found.get(1).map_or(f64::NAN, f)),
            Err(why) => Err(*why),
        };
        let rows = [
            ("16 writers, no watcher", found[0].0, other(&|pair| pair.0)),
            (
                "16 writers beside a watcher that reads nothing",
                found[0].1,
                other(&|pair| pair.1),
            ),
        ];
        for (what, value, other) in rows {
            self.row(what, Unit::PerSecond, value, Target::None, other);
        }
        Ok(())
    }

    async fn watchers(&mut self, ours: &Server, peer: &Peer) -> Result<()> {
        if !self.wanted("watchers") {
            return Ok(());
        }
        let mine = watching::fan_out(&ours.access()?, 1_000, 30).await?;
        let other = match peer {
            Ok(peer) => Ok(watching::fan_out(&peer.access()?, 1_000, 30).await?),
            Err(why) => Err(*why),
        };
        let rows = [
            ("p50", 0.5, Target::None),
            ("p99", 0.99, Target::AtMost(50.0)),
            ("max", 1.0, Target::None),
        ];
        for (word, share, target) in rows {
            let other = other
                .as_ref()
                .map(|took| quantile(took, share))
                .map_err(|why| *why);
            let what = format!("a change reaches 1,000 watchers, {word}");
            self.row(&what, Unit::Milliseconds, quantile(&mine, share), target, other);
        }
        Ok(())
    }

    /// Only for this measurement there are 10,000: on a store of its own.
    async fn lists(&mut self, ours: &mut Server, peer: &mut Peer) -> Result<()> {
        if !self.wanted("list") {
            return Ok(());
        }
        ours.stop()?;
        if let Ok(peer) = peer {
            peer.stop()?;
        }
        let mut found = Vec::new();
        for (program, name) in std::iter::once((&self.args.ours, "ours-list"))
            .chain(self.args.peer.as_ref().ok().map(|program| (program, "peer-list")))
        {
            let mut server = Server::new(program, self.dir.join(name))?;
            server.start().await?;
            let access = server.access()?;
            load::prepare(&access).await?;
            load::fill(&access, "many", 10_000).await?;
            let mut medians = Vec::new();
            for http in [Http::One, Http::Two] {
                let mut took = Vec::new();
                let mut connection = access.connect(http).await?;
                for _ in 0..15 {
                    let from = std::time::Instant::now();
                    let body = connection.get(CONFIG_MAPS).await?;
                    took.push(ms(from.elapsed()));
                    if body.len() < 10_000_000 {
                        bail!("the list has {} bytes only", body.len());
                    }
                }
                medians.push(median(took));
            }
            medians.push(mebibytes(&server)?);
            found.push(medians);
        }
        let rows = [
            (
                "list of 10,000 objects, HTTP/1.1",
                Unit::Milliseconds,
                Target::AtMost(100.0),
            ),
            (
                "list of 10,000 objects, h2",
                Unit::Milliseconds,
                Target::AtMost(100.0),
            ),
            (
                "resident after writing and listing 10,000 objects",
                Unit::Mebibytes,
                Target::None,
            ),
        ];
        for (at, (what, unit, target)) in rows.into_iter().enumerate() {
            let other = match &self.args.peer {
                Ok(_) => Ok(found[1][at]),
                Err(why) => Err(*why),
            };
            self.row(what, unit, found[0][at], target, other);
        }
        Ok(())
    }

    async fn many_objects(&mut self, ours: &mut Server) -> Result<()> {
        if !self.wanted("100,000") {
            return Ok(());
        }
        ours.stop()?;
        let mut server = Server::new(&self.args.ours, self.dir.join("ours-many"))?;
        server.start().await?;
        load::prepare(&server.access()?).await?;
        load::fill(&server.access()?, "many", 100_000).await?;
        let took = restarts(&mut server, ROUNDS).await?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let why = "not measured: it takes minutes to fill";
        self.row(
            "ready after exec, 100,000 objects",
            Unit::Milliseconds,
            took,
            Target::AtMost(1000.0),
            Err(why),
        );
        self.row(
            "resident, 100,000 objects, idle",
            Unit::Mebibytes,
            mebibytes(&server)?,
            Target::None,
            Err(why),
        );
        Ok(())
    }

    fn sizes(&mut self) -> Result<()> {
        if !self.wanted("ready") {
            return Ok(());
        }
        let size = |program: &Program| anyhow::Ok(fs::metadata(program.path())?.len() as f64 / 1e6);
        let other = match &self.args.peer {
            Ok(peer) => Ok(size(peer)?),
            Err(why) => Err(*why),
        };
        self.row(
            "size of the program",
            Unit::Megabytes,
            size(&self.args.ours)?,
            Target::AtMost(20.0),
            other,
        );
        Ok(())
    }
}

#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    took: Vec<Duration>,
}

impl Rounds {
    fn add(&mut self, outcome: load::Outcome) {
        self.rates.push(outcome.rate);
        self.took.extend(outcome.took);
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.took.clone();
        sorted.sort();
        sorted
    }
}

/// The median of so many starts, in milliseconds. It runs afterwards.
async fn restarts(server: &mut Server, times: usize) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..times {
        server.stop()?;
        took.push(ms(server.start().await?));
    }
    eprintln!("starts: {took:.0?}");
    Ok(median(took))
}

fn mebibytes(server: &Server) -> Result<f64> {
    Ok(server.status("VmRSS")? as f64 / 1024.0)
}
