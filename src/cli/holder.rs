//! The hidden verbs of a holder, the container that keeps a volume with secret files mounted: `hold`, its first process, which
//! does nothing, and `deliver`, which an exec in it runs: a parcel comes on stdin, the receipt goes to stdout. Started by
//! the operator and by nobody else, as any user without capabilities, on a root that is read-only. Called by `mod`.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::{Outcome, holder_program};
use crate::{
    clock::{Clock, System},
    delivery::{
        parcel::{HEADER_BYTES, Malformed, Parcel},
        receipt::Receipt,
    },
    shelf,
    state::protected,
};

/// Runs `hold`: until it is told to end.
pub(super) fn hold() -> Outcome {
    // One thread and no timers: this is in memory for as long as anything has files.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        // The first process of a container has no default for either.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `deliver`. Nothing is changed before all of the parcel is here and has been found well formed.
pub(super) fn deliver() -> Outcome {
    // Without the buffer of std's stdin, which nobody wipes.
    let parcel = receive(File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
    // What a container gets is to be started by a program that is whole.
    if !holder_program::is_whole(Path::new(protected::SOURCE_DIRECTORY))? {
        return Err(anyhow::anyhow!(protected::BROKEN).into());
    }
    let now = System.now();
    let shelves: Result<_, shelf::Fault> = parcel
        .loads
        .iter()
        .map(|load| shelf::carry_out(load, &parcel.key, now, None))
        .collect();
    let receipt = serde_json::to_vec(&Receipt { shelves: shelves? })?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&receipt)
        .and_then(|()| stdout.flush())
        .context("cannot write the receipt to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Reads as many bytes as the parcel says that it has, and does not wait for the end of the stream.
fn receive(mut stream: impl Read) -> anyhow::Result<Parcel> {
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => anyhow::Error::from(Malformed::Cut),
        _ => anyhow::Error::from(error).context("cannot read the parcel from stdin"),
    };
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).map_err(cut)?;
    let mut bytes = Zeroizing::new(vec![0; Parcel::announced(&header)?]);
    let (start, rest) = bytes
        .split_at_mut_checked(HEADER_BYTES)
        .ok_or(Malformed::Length)?;
    start.copy_from_slice(&header);
    stream.read_exact(rest).map_err(cut)?;
    Ok(Parcel::read(&bytes)?)
}
