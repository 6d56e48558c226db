//! The table of deployments, as values and words: what was measured, the floor, the target, the peers. Pure; measures
//! nothing and reads nothing. `page` puts it into the file.

use std::fmt::Write as _;

/// In what a row is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Megabytes,
    Percent,
    /// Requests a minute.
    Requests,
    /// Seconds of a processor a minute.
    Processor,
    Count,
}

/// What a value must not pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    None,
    AtMost(f64),
    /// The floor and so much more.
    FloorPlus(f64),
    /// So many times the floor.
    FloorTimes(f64),
}

/// What a peer has, or a word for why it has nothing.
pub type Cell = Result<f64, String>;

/// One line.
#[derive(Debug, Clone)]
pub struct Row {
    pub what: String,
    pub unit: Unit,
    pub value: f64,
    pub floor: Option<f64>,
    pub target: Target,
    /// Compose, Swarm, Ring.
    pub peers: [Cell; 3],
    /// Why it may be missed; written by hand, shown only when it is.
    pub behind: &'static str,
}

/// A cell without a value.
pub fn none(why: &str) -> Cell {
    Err(why.to_owned())
}

/// No peer does this, or it means nothing there.
pub fn nobody() -> [Cell; 3] {
    [none("-"), none("-"), none("-")]
}

impl Row {
    /// A row without floor and peers.
    pub fn plain(what: &str, unit: Unit, value: f64, target: Target, behind: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            value,
            floor: None,
            target,
            peers: nobody(),
            behind,
        }
    }

    /// The greatest good value.
    pub fn limit(&self) -> Option<f64> {
        match self.target {
            Target::None => None,
            Target::AtMost(most) => Some(most),
            Target::FloorPlus(more) => self.floor.map(|floor| floor + more),
            Target::FloorTimes(times) => self.floor.map(|floor| floor * times),
        }
    }

    /// Whether the target is missed.
    pub fn is_missed(&self) -> bool {
        // Not a number is no success.
        self.limit()
            .is_some_and(|limit| self.value.is_nan() || self.value > limit)
    }

    fn target(&self) -> String {
        let limit = self.limit().map(|limit| shown(limit, self.unit));
        match (self.target, limit) {
            (Target::FloorPlus(more), Some(limit)) => format!("floor + {} = {limit}", shown(more, self.unit)),
            (Target::FloorTimes(times), Some(limit)) => format!("{times} x floor = {limit}"),
            (_, Some(limit)) => format!("at most {limit}"),
            (_, None) => "-".to_owned(),
        }
    }

    fn line(&self) -> String {
        let reached = match (self.limit(), self.is_missed()) {
            (None, _) => "-",
            (_, true) => "**no**",
            (_, false) => "yes",
        };
        let floor = self.floor.map_or("-".to_owned(), |floor| shown(floor, self.unit));
        let mut line = format!(
            "| {} | {} | {floor} | {} | {reached} |",
            self.what,
            shown(self.value, self.unit),
            self.target(),
        );
        for peer in &self.peers {
            let text = peer
                .as_ref()
                .map_or_else(Clone::clone, |value| shown(*value, self.unit));
            _ = write!(line, " {text} |");
        }
        line
    }

    /// What is missed, by how much, and why.
    pub fn excuse(&self) -> Option<String> {
        let limit = self.limit().filter(|_| self.is_missed())?;
        Some(format!(
            "- **{}**: {} where {} was to be reached. {}",
            self.what,
            shown(self.value, self.unit),
            shown(limit, self.unit),
            self.behind
        ))
    }
}

/// A value as it is told.
pub fn shown(value: f64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Megabytes => "MB",
        Unit::Percent => "%",
        Unit::Requests => "/min",
        Unit::Processor => "s/min",
        Unit::Count => return format!("{value:.0}"),
    };
    let digits = match value {
        v if v.abs() < 10.0 => 2,
        v if v.abs() < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    let mut text = "| What | supercargo | Floor | Target | Reached | Compose | Swarm | Ring |\n\
                    |---|---:|---:|---:|---|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        _ = writeln!(text, "{}", row.line());
    }
    text
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The value below which `share` of them are.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, target: Target) -> Row {
        Row {
            floor: Some(300.0),
            ..Row::plain(
                "a start",
                Unit::Milliseconds,
                value,
                target,
                "Docker is slow today.",
            )
        }
    }

    #[test]
    fn a_row_is_missed_only_above_its_target() {
        assert!(!row(350.0, Target::FloorPlus(50.0)).is_missed());
        assert!(row(351.0, Target::FloorPlus(50.0)).is_missed());
        assert!(!row(330.0, Target::FloorTimes(1.1)).is_missed());
        assert!(row(331.0, Target::FloorTimes(1.1)).is_missed());
        assert!(!row(9e9, Target::None).is_missed());
        assert!(row(f64::NAN, Target::AtMost(1.0)).is_missed());
    }

    #[test]
    fn only_a_missed_row_has_an_excuse() {
        assert_eq!(row(310.0, Target::FloorPlus(50.0)).excuse(), None);
        let said = row(400.0, Target::FloorPlus(50.0)).excuse().unwrap();
        assert_eq!(
            said,
            "- **a start**: 400 ms where 350 ms was to be reached. Docker is slow today."
        );
    }

    #[test]
    fn a_peer_without_a_value_says_why() {
        let mut row = row(310.0, Target::FloorPlus(50.0));
        row.peers = [Ok(500.0), none("never"), none("-")];
        assert_eq!(
            table(&[row]).lines().last().unwrap(),
            "| a start | 310 ms | 300 ms | floor + 50.0 ms = 350 ms | yes | 500 ms | never | - |"
        );
    }

    #[test]
    fn the_median_of_an_even_number_is_between_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.99), 3.0);
    }
}
