//! The verb `keys`: make the first ring, list its members, print the public keys to be pinned in git.
//! It shows ids, states and ages, never key material. Renewal, promotion and revocation come with their own issue.
//! Rings at rest are `secrets::keyring*`. Called by `mod`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde::Serialize;

use super::output::{self, Format};
use super::{Failure, Outcome, block_on, keys_source};
use crate::clock::{Clock, System};
use crate::seal::{Ring, SystemEntropy};
use crate::secrets::keyring::{self, KEYRING_SECRET, KeyringError, OPERATOR_NAMESPACE};
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
    /// List the ring's keys: id, state, when made
    List(List),
    /// Print the public keys, the one to seal to first: the content of .supercargo-keys
    Public(Where),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    keyring: PathBuf,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    from: Where,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Debug, clap::Args)]
struct Where {
    /// The ring's file; without it the cluster is asked
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Namespace of the operator
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,
}

/// A key as `-o json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    kid: String,
    state: &'static str,
    created: String,
    public: String,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    match args.verb {
        Verb::Init(args) => init(&args.keyring),
        Verb::List(args) => list(&args),
        Verb::Public(from) => public(&from),
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

fn list(args: &List) -> Outcome {
    let ring = load(&args.from)?;
    let mut members: Vec<_> = ring.members().collect();
    members.sort_by_key(|m| (m.state(), m.created(), m.kid()));
    match args.output {
        Format::Name => {
            let names: String = members.iter().map(|m| format!("{}\n", m.kid())).collect();
            output::data(&names)?;
        }
        Format::Table => {
            let now = System.now();
            let row = |m: &&crate::seal::Member| {
                let age = output::age(now.as_second() - m.created().as_second());
                vec![
                    m.kid().to_string(),
                    m.state().to_string(),
                    m.created().to_string(),
                    age,
                ]
            };
            let rows: Vec<_> = members.iter().map(row).collect();
            output::data(&output::table(&["KID", "STATE", "CREATED", "AGE"], &rows))?;
        }
        Format::Json | Format::Yaml => {
            let row = |m: &&crate::seal::Member| Row {
                kid: m.kid().to_string(),
                state: m.state().word(),
                created: m.created().to_string(),
                public: m.public().to_string(),
            };
            output::document(&members.iter().map(row).collect::<Vec<_>>(), args.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn public(from: &Where) -> Outcome {
    if from.keyring.is_some() {
        return print_public(&load(from)?);
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

fn load(from: &Where) -> Result<Ring, Failure> {
    if let Some(path) = &from.keyring {
        return Ok(keyring_file::read(path)?);
    }
    let namespace = &from.operator_namespace;
    block_on(async {
        let client = Client::try_default()
            .await
            .context("no cluster to ask; give --keyring FILE")?;
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        let secret = secrets.get(KEYRING_SECRET).await.with_context(|| {
            format!("the Secret {namespace}/{KEYRING_SECRET} cannot be read; give --operator-namespace, or --keyring FILE")
        })?;
        let mut data = secret.data.unwrap_or_default();
        let ring = keyring::from_secret_data(&data);
        keyring::wipe(&mut data);
        Ok(ring?)
    })
}
