//! Owns how lists are printed: `-o table|json|yaml|name`, and writing to a pipe that may close.
//! It prints nothing secret because it is given nothing secret. Called by verbs that list.

use std::io::{self, Write};

use serde::Serialize;

/// How to print a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Columns for people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// One name to a line
    Name,
}

/// Writes data to stdout. A reader that went away is no error.
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes a serializable value as one JSON or YAML document.
pub(super) fn document(value: &impl Serialize, format: Format) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value)?,
        Format::Table | Format::Json | Format::Name => serde_json::to_string_pretty(value)? + "\n",
    };
    Ok(data(&text)?)
}

/// Lays out rows under a header, as kubectl does: two or more spaces between columns, none at a line's end.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("   ").trim_end().to_owned() + "\n"
    };
    let mut out = line(&mut header.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// An age as kubectl prints it: the largest unit or two.
pub(super) fn age(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..120 => format!("{s}s"),
        120..7_200 => format!("{}m", s / 60),
        7_200..172_800 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_spaces() {
        let text = table(
            &["KID", "STATE"],
            &[vec!["0123".into(), "x".into()], vec!["1".into(), String::new()]],
        );
        assert_eq!(text, "KID    STATE\n0123   x\n1\n");
    }

    #[test]
    fn ages_use_one_unit() {
        assert_eq!(
            [age(-1), age(90), age(600), age(7_200), age(864_000)],
            ["0s", "90s", "10m", "2h", "10d"]
        );
    }
}
