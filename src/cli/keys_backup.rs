//! Owns `keys backup` and `keys restore`. A backup counts when its file has been read back, and only then the ring is told;
//! a restore fills an empty place with the whole ring, or a ring with the keys that it lacks, and overwrites nothing.
//! The backup's form is `seal`'s, its file `secrets::keyring_backup`'s. Called by `keys`.

use std::path::PathBuf;

use anyhow::anyhow;

use super::keys::{self, Change};
use super::{Failure, Outcome};
use crate::clock::{Clock, System};
use crate::seal::{self, Kid, Member, PublicKey, Ring, SystemEntropy};
use crate::secrets::{keyring::KeyringError, keyring_backup, keyring_file};

/// Flags of `keys backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The public key (scpub1...) of a ring that is kept elsewhere: make it there with `supercargo keys init --keyring recovery.ring`
    #[arg(long, value_name = "SCPUB1")]
    to: String,
    /// The file to make; it must not exist
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    on: Change,
}

/// Flags of `keys restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The ring that it was made for
    #[arg(long, value_name = "FILE")]
    with: PathBuf,
    /// Take keys also from the backup of another ring than the one that is there, to open what is sealed to them
    #[arg(long)]
    of_another_ring: bool,
    #[command(flatten)]
    on: Change,
}

/// Writes a backup, and remembers in the ring that there is one.
pub(super) fn backup(args: &Backup) -> Outcome {
    let to: PublicKey = args
        .to
        .parse()
        .map_err(|error| Failure::Usage(format!("--to: {error}")))?;
    let mut ring = args.on.ring.load()?;
    let made = System.now();
    let kids: Vec<Kid> = ring.members().map(Member::kid).collect();
    // Before it is sealed, so that the restored ring knows it too.
    ring.mark_backed_up(&kids, made);
    let text = seal::Backup::seal(&ring, &to, made, &mut SystemEntropy)?;
    let written = keyring_backup::create(&args.file, &text)?;
    // A key that came in between is not in the file, and stays without a date.
    let (ring, ()) = args.on.ring.change(|ring| {
        ring.mark_backed_up(written.kids(), written.made());
        Ok(())
    })?;
    eprintln!(
        "backed {} keys of {} up to {}; only key {} opens it: keep that ring elsewhere, and try `supercargo keys restore` once",
        written.kids().len(),
        args.on.ring.place(),
        args.file.display(),
        written.recipient()
    );
    keys::print(&ring, None, args.on.output)
}

/// Brings a ring back.
pub(super) fn restore(args: &Restore) -> Outcome {
    let place = args.on.ring.place();
    let open = || -> Result<Ring, Failure> {
        let with = keyring_file::read(&args.with)?;
        let opened = keyring_backup::read(&args.from)?.open(&with);
        Ok(opened.map_err(|source| KeyringError::BadBackup {
            path: args.from.clone(),
            source,
        })?)
    };
    let whole = open()?;
    if args.on.ring.create(&whole)? {
        eprintln!(
            "restored {place} with primary key {}; compare it with the key that is pinned in git before anything is sealed to it",
            whole.primary()
        );
        return keys::print(&whole, None, args.on.output);
    }
    let (ring, taken) = args.on.ring.change(|ring| {
        let backup = open()?;
        if backup.fingerprint_root_id() != ring.fingerprint_root_id() && !args.of_another_ring {
            return Err(anyhow!(
                "{} is of another ring than {place}; nothing was changed: restore it elsewhere, or add --of-another-ring to take its keys too",
                args.from.display()
            )
            .into());
        }
        Ok(ring.take_missing(backup))
    })?;
    if taken.is_empty() {
        eprintln!("{place} has every key of the backup already; nothing was changed");
    } else {
        let names: Vec<String> = taken.iter().map(Kid::to_string).collect();
        eprintln!(
            "took into {place} what it lacked, to open and not to seal: {}",
            names.join(", ")
        );
    }
    keys::print(&ring, None, args.on.output)
}
