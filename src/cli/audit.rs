//! The verb `audit`: whether audit files are as the operator wrote them, told by the key of the ring, offline if the ring is
//! in a file. Names the first bad line of each kind of harm; shows names and fingerprints, never a value. What a chain is,
//! `audit` knows; the files are read as `controllers` reads them. Called by `mod`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::output::{self, Format};
use super::ring_source::RingArgs;
use super::{Failure, Outcome};
use crate::audit::check::{Checker, Finding, Found, Wrong};
use crate::controllers::audit_file;

/// Flags of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check audit files, the oldest first: exit 1 names what was edited, removed, reordered or cut
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The files, from the oldest to the newest; the head beside the last one tells whether its tail was cut
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Do without the head beside the last file: for rotated or copied files, of which a cut tail is not seen then
    #[arg(long)]
    no_head: bool,
    #[command(flatten)]
    ring: RingArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// What `-o json` shows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    ok: bool,
    records: u64,
    deliveries: u64,
    lost: u64,
    torn: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    root: &'a str,
    chains: Vec<Chain<'a>>,
    wrong: usize,
    findings: Vec<Told>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chain<'a> {
    chain: &'a str,
    file: String,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Wrong>,
    continued: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    file: String,
    line: u64,
    wrong: Wrong,
    message: String,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    match &args.verb {
        Verb::Verify(args) => verify(args),
    }
}

fn verify(args: &Verify) -> Outcome {
    if args.output == Format::Name {
        return Err(Failure::Usage(
            "-o name: there is nothing with a name here; use table, json or yaml".to_owned(),
        ));
    }
    let ring = args.ring.load()?;
    let (key, root) = (ring.chain_key(), ring.fingerprint_root_id().to_string());
    let mut checker = Checker::new(&key, &root);
    for (at, path) in args.files.iter().enumerate() {
        if at > 0 {
            checker.next_file();
        }
        let place = path.display();
        let there = audit_file::read_lines(path, &mut checker)
            .with_context(|| format!("the audit file {place} cannot be read; run as the operator's user"))?;
        if !there {
            return Err(anyhow!("the audit file {place} does not exist").into());
        }
    }
    let found = match args.files.last().filter(|_| !args.no_head) {
        None => checker.end(),
        Some(path) => {
            let head = audit_file::read_head(path, &key, &root).with_context(|| {
                format!(
                    "the head {} cannot be read",
                    audit_file::head_path(path).display()
                )
            })?;
            checker.end_with(head.as_ref().map_err(|wrong| *wrong))
        }
    };
    print(args, &root, &found)?;
    Ok(ExitCode::from(u8::from(found.wrong > 0)))
}

fn print(args: &Verify, root: &str, found: &Found) -> Result<(), Failure> {
    let name = |file: usize| {
        let path = args.files.get(file);
        path.map(|path| path.display().to_string()).unwrap_or_default()
    };
    let told = |finding: &Finding| Told {
        file: name(finding.file),
        line: finding.line,
        wrong: finding.wrong,
        message: message(finding),
    };
    let report = Report {
        ok: found.wrong == 0,
        records: found.records,
        deliveries: found.deliveries,
        lost: found.lost,
        torn: found.torn,
        first: found.times.map(|(first, _)| first.to_string()),
        last: found.times.map(|(_, last)| last.to_string()),
        root,
        chains: found
            .chains
            .iter()
            .map(|begin| Chain {
                chain: &begin.chain,
                file: name(begin.file),
                line: begin.line,
                why: begin.why,
                continued: begin.continued,
            })
            .collect(),
        wrong: found.wrong,
        findings: found.findings.iter().map(told).collect(),
    };
    match args.output {
        Format::Json | Format::Yaml => output::document(&report, args.output)?,
        Format::Table | Format::Name => output::data(&text(&report))?,
    }
    Ok(())
}

fn message(finding: &Finding) -> String {
    if finding.detail.is_empty() {
        finding.wrong.words().to_owned()
    } else {
        format!("{} ({})", finding.wrong.words(), finding.detail)
    }
}

fn text(report: &Report<'_>) -> String {
    let mut out = format!(
        "{} records, {} of them deliveries",
        report.records, report.deliveries
    );
    if let (Some(first), Some(last)) = (&report.first, &report.last) {
        out.push_str(&format!(", from {first} to {last}"));
    }
    out.push('\n');
    if report.lost > 0 {
        out.push_str(&format!(
            "{} records were lost before they could be written\n",
            report.lost
        ));
    }
    if report.torn > 0 {
        out.push_str(&format!(
            "{} torn lines, each closed by the record after it\n",
            report.torn
        ));
    }
    for chain in &report.chains {
        let (name, file, line) = (chain.chain, &chain.file, chain.line);
        out.push_str(&match chain.why {
            None if chain.continued => {
                format!("chain {name} goes on in {file}, from a file that was not given\n")
            }
            None => format!("chain {name} begins in {file}, line {line}\n"),
            Some(why) => format!(
                "chain {name} begins in {file}, line {line}, because of what the operator found: {}\n",
                why.words()
            ),
        });
    }
    for told in &report.findings {
        let place = if told.line == 0 {
            told.file.clone()
        } else {
            format!("{}, line {}", told.file, told.line)
        };
        out.push_str(&format!("BAD {place}: {}\n", told.message));
    }
    if report.wrong > report.findings.len() {
        out.push_str(&format!(
            "BAD and {} more\n",
            report.wrong - report.findings.len()
        ));
    }
    if report.ok {
        out.push_str("ok: the records are as they were written\n");
    }
    out
}
