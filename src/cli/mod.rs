//! The command line: one file per verb, and here only the list of them, the exit codes and the two output streams.
//! Data goes to stdout, everything else to stderr; 0 is done, 1 failed, 2 wrong usage.
//! The only room that reads the environment: every long flag is also `SUPERCARGO_<FLAG>`. Called by `main`.

mod agent;
mod audit;
mod connect;
mod controller;
mod convert;
mod convert_place;
mod crds;
mod doctor;
mod doctor_agents;
mod doctor_cluster;
mod doctor_engine;
mod doctor_keys;
mod doctor_rights;
mod doctor_standalone;
mod doctor_uninstall;
mod doctor_webhook;
mod explain;
mod holder;
mod holder_program;
mod host_tmpfs;
mod kept_by;
mod keys;
mod keys_backup;
mod keys_change;
mod keys_place;
mod keys_source;
mod keys_usage;
mod leading;
mod logs;
mod logs_args;
mod logs_lines;
mod lookup;
mod output;
mod plan;
mod plan_files;
mod plan_manifest;
mod prune;
mod reseal;
mod reseal_text;
mod ring_source;
mod rollout;
mod rollout_change;
mod rollout_history;
mod rollout_status;
mod rollout_undo;
mod run;
mod seal;
mod seal_manifest;
mod seal_merge;
mod seal_values;
mod secret;
mod secret_change;
mod secret_diff;
mod secret_edit;
mod secret_editor;
mod secret_manifest;
mod secret_users;
mod standalone;
mod standalone_admission;
mod standalone_data;
mod standalone_install;
mod standalone_notify;
mod standalone_plane;
mod standalone_ring;
mod verify;
mod version;
mod webhook;

use std::{ffi::OsStr, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{controllers::describe::describe, secrets::harden_process};

/// kubectl apply for plain Docker hosts, with secrets that nobody else sees.
#[derive(Debug, Parser)]
#[command(
    name = "supercargo",
    version,
    about,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run everything on a Docker host without a cluster: an API server for kubectl, and the operator
    Standalone(Box<standalone::Args>),
    /// Run the operator against the current kubeconfig or in-cluster account
    Controller(Box<controller::Args>),
    /// Seal values with a public key, offline: an envelope or a whole DockerSecret manifest
    Seal(Box<seal::Args>),
    /// Check manifests offline, without any key: envelopes, key ids, scopes, sizes
    Verify(verify::Args),
    /// Seal values of manifests again, to the ring's current key; every other byte of a file stays
    Reseal(Box<reseal::Args>),
    /// Make custom resources of Compose files, manifests of Ring and of apps/v1; secrets are sealed on the way
    Convert(Box<convert::Args>),
    /// Create, list, describe and delete DockerSecrets
    Secret(secret::Args),
    /// Make, renew, promote, revoke and destroy keys; back the key ring up and restore it; print public keys
    Keys(keys::Args),
    /// Check the file that tells which value was handed to whom
    Audit(audit::Args),
    /// Print what the operator would do to Docker now; changes nothing
    Plan(Box<plan::Args>),
    /// Show every secret reference of a deployment: whence, sealed to which key, loaded by whom, why not; never a value
    Explain(explain::Args),
    /// Print the output of a deployment's instances, straight from the engine
    Logs(logs_args::Args),
    /// Wait for a rollout, show the history, go back, restart, pause and resume: as `kubectl rollout` does for its kinds
    Rollout(rollout::Args),
    /// Remove what a control plane that is gone left on the Docker host; shows it first
    Prune(prune::Args),
    /// Check engine, API server, CRDs, rights, key ring, clocks, networks and leftovers; exit 1 if anything fails
    Doctor(Box<doctor::Args>),
    /// Print the custom resource definitions: `supercargo crds | kubectl apply --server-side -f -`
    Crds,
    /// Answer for the names of one namespace and ask its probes; the operator starts it in a container of its own
    #[command(hide = true)]
    Agent(agent::Args),
    /// Keep the volumes of a container mounted; the operator starts it in a container of its own
    #[command(hide = true)]
    Hold,
    /// Read a parcel of files on stdin, put them in their places, print what is there; the operator runs it in a holder
    #[command(hide = true)]
    Deliver,
    /// Print the version of this program and of the API that it serves
    Version(version::Args),
}

/// How a verb ends other than well.
#[derive(Debug)]
enum Failure {
    /// The command line asks for something that cannot be meant: exit code 2.
    Usage(String),
    /// It was tried and failed: exit code 1.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

type Outcome = Result<ExitCode, Failure>;

/// Runs one verb and turns its outcome into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Before all else: every start of a container waits for it, and a program that comes after may write cores.
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() == Some(OsStr::new(run::VERB)) {
        return run::run(args);
    }
    if let Err(e) = harden_process() {
        eprintln!("warning: core dumps could not be turned off ({e}); a crash may write secrets to disk");
    }
    let cli = match command()
        .try_get_matches()
        .and_then(|m| Cli::from_arg_matches(&m))
    {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let outcome = match cli.verb {
        Verb::Standalone(args) => standalone::run(*args),
        Verb::Controller(args) => controller::run(*args),
        Verb::Seal(args) => seal::run(*args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Reseal(args) => reseal::run(&args),
        Verb::Convert(args) => convert::run(&args),
        Verb::Secret(args) => secret::run(args),
        Verb::Keys(args) => keys::run(args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Plan(args) => plan::run(*args),
        Verb::Explain(args) => explain::run(args),
        Verb::Logs(args) => logs::run(args),
        Verb::Rollout(args) => rollout::run(args),
        Verb::Prune(args) => prune::run(&args),
        Verb::Doctor(args) => doctor::run(*args),
        Verb::Crds => crds::run(),
        Verb::Agent(args) => agent::run(args),
        Verb::Hold => holder::hold(),
        Verb::Deliver => holder::deliver(),
        Verb::Version(args) => version::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("error: {}", describe(error.as_ref()));
            ExitCode::from(1)
        }
    }
}

/// The clap command with an environment variable for every long flag.
fn command() -> clap::Command {
    with_environment(Cli::command())
}

fn with_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| match arg.get_long() {
            None | Some("help" | "version") => arg,
            Some(long) => {
                let name = format!("SUPERCARGO_{}", long.replace('-', "_").to_uppercase());
                // clap wants a name that lives as long as the program, and this is made once.
                arg.env(&*Box::leak(name.into_boxed_str())).hide_env_values(true)
            }
        })
        .mut_subcommands(with_environment)
}

/// Runs what needs the network; offline verbs never come here.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // kube and bollard share one TLS provider; a second call finds it installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_long_flag_has_its_environment_variable() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                if let Some(long) = arg.get_long().filter(|l| !matches!(*l, "help" | "version")) {
                    let name = arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
                    assert!(
                        name.starts_with("SUPERCARGO_"),
                        "--{long} of {}",
                        command.get_name()
                    );
                }
            }
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }
}
