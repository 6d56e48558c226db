//! The verb `keys`: make the first ring, list its members, print the public keys to be pinned in git; and the flags and
//! the output that its other verbs share: `keys_change`, `keys_backup`. It shows ids, states and ages, never key
//! material. Rings at rest are `secrets::keyring*`. Called by `mod`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::output::{self, Format};
use super::ring_source::RingArgs;
use super::{Outcome, keys_backup, keys_change, keys_source};
use crate::clock::{Clock, System};
use crate::seal::{Kid, Member, Ring, SystemEntropy};
use crate::secrets::keyring::KeyringError;
use crate::secrets::keyring_file;
use crate::secrets::keyring_public::PublicKeys;

/// Flags of `keys`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make the first key ring in a file, offline; its key is primary at once
    Init(Init),
    /// List the ring's keys: id, state, when made, when last backed up
    List(Change),
    /// Print the public keys, the one to seal to first: the content of .supercargo-keys
    Public(RingArgs),
    /// Make a new key, which waits as pending until it is promoted
    Renew(keys_change::Renew),
    /// Make the pending key the one to seal to; refused until it is in a backup
    Promote(keys_change::Promote),
    /// Refuse to open what is sealed to a key; names the values first
    Revoke(keys_change::Revoke),
    /// Wipe a revoked key that no value is sealed to
    Destroy(keys_change::Destroy),
    /// Write the ring to a file that only another ring's key opens
    Backup(keys_backup::Backup),
    /// Bring a backed up ring back, or the keys of it that are missing
    Restore(keys_backup::Restore),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
}

/// Flags of a verb that shows or changes keys of a ring.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    #[command(flatten)]
    pub(super) ring: RingArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// A key as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    kid: String,
    state: &'static str,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    backed_up: Option<String>,
    public: String,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    match args.verb {
        Verb::Init(args) => init(&args.keyring),
        Verb::List(args) => print(&args.ring.load()?, None, args.output),
        Verb::Public(from) => public(&from),
        Verb::Renew(args) => keys_change::renew(&args),
        Verb::Promote(args) => keys_change::promote(&args),
        Verb::Revoke(args) => keys_change::revoke(&args),
        Verb::Destroy(args) => keys_change::destroy(&args),
        Verb::Backup(args) => keys_backup::backup(&args),
        Verb::Restore(args) => keys_backup::restore(&args),
    }
}

fn init(path: &Path) -> Outcome {
    let ring = Ring::generate(System.now(), &mut SystemEntropy)
        .map_err(|source| KeyringError::NotMade { source })?;
    keyring_file::create(path, &ring)?;
    eprintln!(
        "made {} with primary key {}; back it up now: without it nothing that is sealed to it opens again",
        path.display(),
        ring.primary()
    );
    print_public(&ring)
}

/// Prints the keys of a ring, or one of them.
pub(super) fn print(ring: &Ring, only: Option<Kid>, format: Format) -> Outcome {
    let mut members: Vec<_> = ring
        .members()
        .filter(|m| only.is_none_or(|kid| kid == m.kid()))
        .collect();
    members.sort_by_key(|m| (m.state(), m.created(), m.kid()));
    match format {
        Format::Name => {
            let names: String = members.iter().map(|m| format!("{}\n", m.kid())).collect();
            output::data(&names)?;
        }
        Format::Table => {
            let now = System.now().as_second();
            let age = |at: jiff::Timestamp| output::age(now - at.as_second());
            let row = |m: &&Member| {
                vec![
                    m.kid().to_string(),
                    m.state().to_string(),
                    m.created().to_string(),
                    age(m.created()),
                    m.backed_up()
                        .map_or_else(|| "never".to_owned(), |at| format!("{} ago", age(at))),
                ]
            };
            let rows: Vec<_> = members.iter().map(row).collect();
            let header = ["KID", "STATE", "CREATED", "AGE", "BACKED UP"];
            output::data(&output::table(&header, &rows))?;
        }
        Format::Json | Format::Yaml => {
            let row = |m: &&Member| Row {
                kid: m.kid().to_string(),
                state: m.state().word(),
                created: m.created().to_string(),
                backed_up: m.backed_up().map(|at| at.to_string()),
                public: m.public().to_string(),
            };
            output::document(&members.iter().map(row).collect::<Vec<_>>(), format)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn public(from: &RingArgs) -> Outcome {
    if from.keyring.is_some() {
        return print_public(&from.load()?);
    }
    // The ConfigMap is for everybody; the ring's Secret is not.
    let keys = keys_source::from_api(&from.operator_namespace)?;
    output::data(&keys.to_pinned())?;
    Ok(ExitCode::SUCCESS)
}

fn print_public(ring: &Ring) -> Outcome {
    if let Some(keys) = PublicKeys::of(ring) {
        output::data(&keys.to_pinned())?;
    }
    Ok(ExitCode::SUCCESS)
}
