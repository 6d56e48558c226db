//! The table: a value, the target, the peer's value and the ratio of both. Owns the words and the file; measures nothing.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::Result;

/// In what a row is told.
#[derive(Clone, Copy)]
pub enum Unit {
    Milliseconds,
    PerSecond,
    Mebibytes,
}

/// What a value must reach.
#[derive(Clone, Copy)]
pub enum Target {
    None,
    AtMost(f64),
    /// So many times the peer's.
    TimesPeer(f64),
}

/// One line of the table.
pub struct Row {
    pub what: String,
    pub unit: Unit,
    pub value: f64,
    pub target: Target,
    /// What the peer has, or why it has nothing.
    pub peer: Result<f64, &'static str>,
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value below which `share` of them are; they are sorted.
pub fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().map_or(f64::NAN, ms)
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn shown(value: f64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Milliseconds => "ms",
        Unit::PerSecond => "/s",
        Unit::Mebibytes => "MiB",
    };
    let digits = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

impl Row {
    fn target(&self) -> (String, Option<bool>) {
        match (self.target, &self.peer) {
            (Target::None, _) => ("-".to_owned(), None),
            (Target::AtMost(most), _) => (
                format!("at most {}", shown(most, self.unit)),
                Some(self.value <= most),
            ),
            (Target::TimesPeer(times), Ok(peer)) => {
                (format!("{times} x peer"), Some(self.value >= times * peer))
            }
            (Target::TimesPeer(times), Err(_)) => (format!("{times} x peer"), None),
        }
    }

    fn line(&self) -> String {
        let (target, reached) = self.target();
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "-",
        };
        let (peer, ratio) = match &self.peer {
            Ok(peer) => (shown(*peer, self.unit), format!("{:.2}", self.value / peer)),
            Err(why) => ((*why).to_owned(), "-".to_owned()),
        };
        format!(
            "| {} | {} | {target} | {reached} | {peer} | {ratio} |",
            self.what,
            shown(self.value, self.unit)
        )
    }
}

/// What was measured on.
pub struct Machine {
    pub text: String,
    load_before: String,
}

fn first(path: &str, field: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        line.strip_prefix(field)?
            .split_once(':')
            .map(|(_, rest)| rest.trim())
    });
    found.unwrap_or("unknown").to_owned()
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

impl Machine {
    /// As it is now.
    pub fn look() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = first("/proc/meminfo", "MemTotal");
        let kib: u64 = memory
            .split(' ')
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            text: format!(
                "{} x {}, {} GiB of memory, Linux {}",
                cores,
                first("/proc/cpuinfo", "model name"),
                kib >> 20,
                kernel.split('-').next().unwrap_or_default().trim(),
            ),
            load_before: load(),
        }
    }
}

/// The whole file.
pub fn write(rows: &[Row], machine: &Machine, peer: &str) -> String {
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let mut text = format!(
        "# Benchmarks\n\nWritten by `make bench`; not edited by hand. Both servers were measured in one run, on the same \
         machine, by the same client, which ran beside them on the same processors.\n\n\
         - Date: {date}\n- Machine: {}\n- Load of the machine (1 min) before the run: {}, after it: {}\n- Peer: {peer}\n\n\
         | What | supercargo standalone | Target | Reached | Peer | Ratio |\n|---|---:|---:|---|---:|---:|\n",
        machine.text,
        machine.load_before,
        load(),
    );
    for row in rows {
        _ = writeln!(text, "{}", row.line());
    }
    text.push_str(NOTES);
    text
}

const NOTES: &str = "
How it is measured: *ready* is from exec to the first 200 of `/readyz` over a new TLS connection, on a store that is there
already, the median of several starts. *Resident* is `VmRSS` ten seconds after a start, with nothing asked meanwhile. Objects
are ConfigMaps of 1 KB, which no deployment names, so that the operator has none of them in memory; and custom objects of 1 KB
whose schema has a list map, a default and a CEL rule. A write counts when its answer is there, and both servers answer when it is on disk; every writer has a connection of its own (HTTP/1.1) and one
write under way. Rates are medians of rounds in which the servers take turns; quantiles are of all rounds. A list is complete
when its last byte was read. Watchers share h2 connections, 100 streams each; their time begins before the write is sent.
";
