//! The verb `reseal`: values of manifests that are sealed to another key than the ring's primary are sealed to that one, in
//! place. Owns the files: a file is written whole or not at all, and not at all when one of its values does not open.
//! What changes in a text is `reseal_text`'s. It writes to no API server. Called by `mod`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::reseal_text::{Sheet, reseal};
use super::ring_source::RingArgs;
use super::{Failure, Outcome, output, verify};
use crate::seal::Ring;

/// Flags of `reseal`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Manifests, or directories with *.yaml, *.yml and *.json below them
    #[arg(long = "filename", short = 'f', value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// Write nothing; exit 1 if anything is sealed to another key than the current one
    #[arg(long)]
    check: bool,
    /// Namespace of objects that name none, as with `kubectl apply -n`
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    ring: RingArgs,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    let mut files = BTreeSet::new();
    for path in &args.paths {
        if path == Path::new("-") {
            return Err(Failure::Usage(
                "-f takes files and directories: they are changed in place".to_owned(),
            ));
        }
        files.append(&mut verify::files(path)?);
    }
    let ring = args.ring.load()?;
    let (mut lines, mut changed, mut current, mut problems) = (String::new(), 0, 0, 0);
    for path in &files {
        let sheet = look(path, &ring, args.namespace.as_deref())?;
        current += sheet.current;
        problems += sheet.problems.len();
        let place = path.display();
        let mut tell = |line: &str| lines.push_str(&format!("{place}:{line}\n"));
        sheet.problems.iter().for_each(|line| tell(line));
        if sheet.problems.is_empty() {
            sheet.resealed.iter().for_each(|line| tell(line));
            changed += sheet.resealed.len();
            if !args.check && !sheet.resealed.is_empty() {
                replace(path, &sheet.text)?;
            }
        }
    }
    output::data(&lines)?;
    let did = if args.check { "to be resealed" } else { "resealed" };
    eprintln!(
        "{changed} values {did} to key {}, {current} sealed to it already, {problems} findings in {} files",
        ring.primary(),
        files.len()
    );
    if problems > 0 {
        eprintln!("a file with a finding is left as it is: correct it and run this again");
    }
    let failed = problems > 0 || (args.check && changed > 0);
    Ok(ExitCode::from(u8::from(failed)))
}

fn look(path: &Path, ring: &Ring, namespace: Option<&str>) -> Result<Sheet, Failure> {
    let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(match String::from_utf8(text) {
        Ok(text) => reseal(&text, ring, namespace),
        Err(_) => Sheet {
            problems: vec!["1: not UTF-8 text; give YAML or JSON".to_owned()],
            ..Sheet::default()
        },
    })
}

/// Puts a text in the place of a file: afterwards there is the old one or the new one, with the same permissions.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let unwritable = || format!("{} cannot be written; it is as it was", path.display());
    // A link stays, and leads to the new text.
    let path = &fs::canonicalize(path).with_context(unwritable)?;
    let kept = fs::metadata(path).with_context(unwritable)?.permissions();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let half = path.with_file_name(format!(".{name}.{}.half", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file: File = options.write(true).create_new(true).mode(0o600).open(&half)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(kept.clone())?;
        file.sync_all()?;
        fs::rename(&half, path)
    };
    write()
        .inspect_err(|_| {
            let _ = fs::remove_file(&half);
        })
        .with_context(unwritable)
}
