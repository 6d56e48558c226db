//! The table: a value, the target, the peer's value and the ratio of both. Owns the words and the file; measures nothing.

use std::{fmt::Write as _, time::Duration};

/// In what a row is told.
#[derive(Clone, Copy)]
pub enum Unit {
    Milliseconds,
    PerSecond,
    Mebibytes,
    Megabytes,
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
        Unit::Megabytes => "MB",
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

    /// What is missed, and why.
    pub fn excuse(&self) -> Option<String> {
        let (target, reached) = self.target();
        (reached == Some(false)).then(|| {
            let value = shown(self.value, self.unit);
            format!(
                "- **{}**: {value} where {target} was to be reached. {}",
                self.what,
                behind(&self.what)
            )
        })
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

/// The table.
pub fn table(rows: &[Row], peer: &str) -> String {
    let mut text = format!(
        "Peer: {peer}.\n\n\
         | What | supercargo standalone | Target | Reached | Peer | Ratio |\n|---|---:|---:|---|---:|---:|\n"
    );
    for row in rows {
        _ = writeln!(text, "{}", row.line());
    }
    text
}

/// Why a row of this name may miss its target; shown only when it does.
fn behind(what: &str) -> &'static str {
    match what {
        "size of the program" => {
            "One static program holds an API server, an operator, the agent, two TLS servers and CEL, and every type of Kubernetes that kubectl asks for."
        }
        "ready after exec, 1,000 objects" => {
            "The store is read and checked, and the kinds are prepared, before the first answer; both take one processor."
        }
        _ => {
            "It was reached before on a quiet machine; whoever sees this should look at the load above first."
        }
    }
}

/// How it is measured.
pub const NOTES: &str = "
How it is measured: *ready* is from exec to the first 200 of `/readyz` over a new TLS connection, on a store that is there
already, the median of several starts. *Resident* is `VmRSS` ten seconds after a start, with nothing asked meanwhile. Objects
are ConfigMaps of 1 KB, which no deployment names, so that the operator has none of them in memory; and custom objects of 1 KB
whose schema has a list map, a default and a CEL rule. A write counts when its answer is there, and both servers answer when it is on disk; every writer has a connection of its own (HTTP/1.1) and one
write under way. Rates are medians of rounds in which the servers take turns; quantiles are of all rounds. A list is complete
when its last byte was read. Watchers share h2 connections, 100 streams each; their time begins before the write is sent.
";
