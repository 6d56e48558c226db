//! Owns `keys renew`, `promote`, `revoke` and `destroy`: which key is meant, what has to be known before a key stops to
//! open, and what is said. The transitions are `seal`'s, how they are kept `keys_place`'s, who uses a key `keys_usage`'s.
//! Called by `keys`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::keys::{self, Change};
use super::keys_usage::{self, Usage};
use super::{Failure, Outcome};
use crate::clock::{Clock, System};
use crate::seal::{KeyState, Kid, Ring, SystemEntropy};

/// Flags of `keys renew`.
#[derive(Debug, clap::Args)]
pub(super) struct Renew {
    #[command(flatten)]
    on: Change,
}

/// Flags of `keys promote`.
#[derive(Debug, clap::Args)]
pub(super) struct Promote {
    /// The pending key: its id, or the beginning of it. Without it the one that is pending
    #[arg(value_name = "KID")]
    kid: Option<String>,
    /// Promote a key that is in no backup: what is sealed to it from now on is lost if the ring is
    #[arg(long)]
    without_backup: bool,
    #[command(flatten)]
    on: Change,
}

/// Flags of `keys revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The key: its id, or the beginning of it
    #[arg(value_name = "KID")]
    kid: String,
    /// Do it. Without it only says which values would not open any more
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    on: Change,
}

/// Flags of `keys destroy`.
#[derive(Debug, clap::Args)]
pub(super) struct Destroy {
    /// The revoked key: its id, or the beginning of it
    #[arg(value_name = "KID")]
    kid: String,
    /// You have made sure that no value is sealed to it, where this program cannot: without the ring's API server, or when
    /// a standalone's store has traces of it. A value that is found refuses all the same
    #[arg(long)]
    unused: bool,
    #[command(flatten)]
    on: Change,
}

/// Makes a pending key.
pub(super) fn renew(args: &Renew) -> Outcome {
    let (ring, kid) = args
        .on
        .ring
        .change(|ring| Ok(ring.renew(System.now(), &mut SystemEntropy)?))?;
    eprintln!(
        "made key {kid}, which seals nothing yet; back the ring up (`supercargo keys backup`), then `supercargo keys promote`"
    );
    keys::print(&ring, Some(kid), args.on.output)
}

/// Makes the pending key primary.
pub(super) fn promote(args: &Promote) -> Outcome {
    let (ring, (kid, former)) = args.on.ring.change(|ring| {
        let kid = match &args.kid {
            Some(text) => find(ring, text)?,
            None => pending(ring)?,
        };
        let former = ring.primary();
        // Its state first: no backup makes another key promotable.
        let backed_up = ring.check_backed_up(kid);
        ring.promote(kid)?;
        if !args.without_backup {
            backed_up?;
        }
        Ok((kid, former))
    })?;
    eprintln!(
        "key {kid} is primary: new values are sealed to it; {former} still opens what is sealed to it. Pin the new key (`supercargo keys public`), and seal old values again with `supercargo reseal`"
    );
    keys::print(&ring, Some(kid), args.on.output)
}

/// Refuses to open what is sealed to a key.
pub(super) fn revoke(args: &Revoke) -> Outcome {
    let place = &args.on.ring;
    let mut ring = place.load()?;
    let kid = find(&ring, &args.kid)?;
    // On a copy: that it may not be is said before anybody is asked.
    ring.revoke(kid)?;
    match keys_usage::of(kid, &ring, place)? {
        Usage::By(values) if values.is_empty() => {
            eprintln!("no value of a DockerSecret is sealed to key {kid}");
        }
        Usage::By(values) => {
            eprintln!("sealed to key {kid}, and not to be opened any more once it is revoked:");
            values.iter().for_each(|value| eprintln!("  {value}"));
        }
        Usage::Unknown(why) => eprintln!("which values are sealed to key {kid} is not known: {why}"),
    }
    if !args.yes {
        return Err(anyhow!("nothing was changed; add --yes to revoke key {kid} for good").into());
    }
    let (ring, ()) = place.change(|ring| Ok(ring.revoke(kid)?))?;
    eprintln!(
        "key {kid} is revoked and opens no user's value any more; give values that were sealed to it new contents, if others may know the key"
    );
    keys::print(&ring, Some(kid), args.on.output)
}

/// Wipes a revoked key that nothing names.
pub(super) fn destroy(args: &Destroy) -> Outcome {
    let place = &args.on.ring;
    let mut ring = place.load()?;
    let kid = find(&ring, &args.kid)?;
    ring.destroy(kid)?;
    unused(args, kid, &ring)?;
    let (ring, ()) = place.change(|ring| Ok(ring.destroy(kid)?))?;
    eprintln!("key {kid} is destroyed; only a backup has it now");
    keys::print(&ring, Some(kid), args.on.output)
}

/// Refuses while anything is sealed to the key, and while that is not known, unless somebody answers for it.
fn unused(args: &Destroy, kid: Kid, ring: &Ring) -> Result<(), Failure> {
    let answer = "make sure yourself, and add --unused";
    let usage = keys_usage::of(kid, ring, &args.on.ring)?;
    if let Usage::By(values) = &usage
        && !values.is_empty()
    {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        return Err(anyhow!(
            "values are sealed to key {kid}: {}; give them new contents or delete them first",
            values.join(", ")
        )
        .into());
    }
    if args.unused {
        return Ok(());
    }
    if let Some(store) = args.on.ring.keyring.as_deref().and_then(store_beside) {
        let found = keys_usage::at_rest(&store, kid);
        if found.with_context(|| format!("{} cannot be read; {answer}", store.display()))? {
            return Err(anyhow!(
                "{} has core Secrets that are sealed to key {kid}, or had them: write each again, so that the primary key seals it (`kubectl annotate secrets --all -A --overwrite supercargo.dev/resealed=$(date +%s)`), then {answer}",
                store.display()
            )
            .into());
        }
    }
    match usage {
        Usage::By(_) => Ok(()),
        Usage::Unknown(why) => Err(anyhow!(
            "whether values are sealed to key {kid} is not known: {why}; set KUBECONFIG, or {answer}"
        )
        .into()),
    }
}

/// Where a standalone would keep its store, if this is its ring.
fn store_beside(ring: &Path) -> Option<PathBuf> {
    let ring = std::fs::canonicalize(ring).ok()?;
    Some(super::standalone_data::DataDir(ring.parent()?.to_owned()).store())
}

fn pending(ring: &Ring) -> Result<Kid, Failure> {
    let waiting = ring.members().find(|m| m.state() == KeyState::Pending);
    let waiting =
        waiting.ok_or_else(|| anyhow!("no key is pending; make one with `supercargo keys renew`"))?;
    Ok(waiting.kid())
}

/// The key whose id begins so.
fn find(ring: &Ring, text: &str) -> Result<Kid, Failure> {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if text.len() < 4 || text.len() > 16 || !text.chars().all(hex) {
        return Err(Failure::Usage(format!(
            "{text:?} is not a key id: 16 lower-case hex digits, or the first 4 and more of them"
        )));
    }
    let found: Vec<Kid> = ring
        .members()
        .map(crate::seal::Member::kid)
        .filter(|kid| kid.to_string().starts_with(text))
        .collect();
    match found.as_slice() {
        [kid] => Ok(*kid),
        [] => {
            let held: Vec<String> = ring.members().map(|m| m.kid().to_string()).collect();
            Err(anyhow!(
                "no key of this ring begins with {text}; it holds {}",
                held.join(", ")
            )
            .into())
        }
        several => {
            let names: Vec<String> = several.iter().map(Kid::to_string).collect();
            Err(anyhow!(
                "{text} is the beginning of several keys: {}; give more of it",
                names.join(", ")
            )
            .into())
        }
    }
}
