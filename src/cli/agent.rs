//! The hidden verb `agent`: the program of a namespace's own container, started by the operator and by nobody else, and
//! `agent session`, which joins stdin and stdout to the agent that runs in the same network namespace, so that an operator
//! reaches it with nothing but the engine's exec. Called by `mod`.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::{fd::AsFd, linux::net::SocketAddrExt, unix::net as unix},
    process::ExitCode,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context;
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, block_on};
use crate::{
    agent::{
        protocol::SOCKET,
        serve::{Agent, Options},
    },
    clock::System,
    telemetry::logs,
};

/// How long a session waits for an agent that is about to begin.
const BEGINNING: Duration = Duration::from_secs(3);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// Flags of `agent`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The namespace whose names it answers for
    #[arg(long, required = true)]
    namespace: Option<String>,
    /// Where it answers for names, over UDP and TCP
    #[arg(long, default_value = "0.0.0.0:53")]
    dns: SocketAddr,
    /// Who knows all other names
    #[arg(long, default_value = "127.0.0.11:53")]
    upstream: SocketAddr,
    /// The abstract unix socket of its sessions
    #[arg(long, default_value = SOCKET)]
    socket: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Join stdin and stdout to a session of the agent, until either ends
    Session {
        /// The abstract unix socket of the agent's sessions
        #[arg(long, default_value = SOCKET)]
        socket: String,
    },
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    if let Some(Verb::Session { socket }) = args.verb {
        return relay(&socket);
    }
    logs::start(logs::Format::Text, "warn").map_err(|e| anyhow::anyhow!(e))?;
    let options = Options {
        namespace: args.namespace.unwrap_or_default(),
        dns: args.dns,
        upstream: args.upstream,
        socket: args.socket,
    };
    block_on(async {
        // The first process of a container has no default for either.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let agent = Agent::bind(options, Arc::new(System)).await?;
        tokio::select! {
            () = agent.run() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Two threads that copy; the process ends with the first of them. Nothing is kept between, so that what the operator
/// reads is what the agent says.
fn relay(socket: &str) -> Outcome {
    let stream = connect(socket).with_context(|| format!("there is no agent at @{socket}"))?;
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (ended, first) = mpsc::channel();
    let copy = |mut from: Box<dyn io::Read + Send>, mut to: Box<dyn io::Write + Send>| {
        let ended = ended.clone();
        // Either side may end without a word.
        std::thread::spawn(move || ended.send(io::copy(&mut from, &mut to).map(drop)));
    };
    copy(Box::new(stdin), Box::new(stream.try_clone()?));
    copy(Box::new(stream), Box::new(stdout));
    first.recv().map_err(Failure::from)?.map_err(Failure::from)?;
    Ok(ExitCode::SUCCESS)
}

fn connect(socket: &str) -> io::Result<unix::UnixStream> {
    let address = unix::SocketAddr::from_abstract_name(socket)?;
    let mut waited = Duration::ZERO;
    loop {
        match unix::UnixStream::connect_addr(&address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && waited < BEGINNING => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            outcome => return outcome,
        }
    }
}
