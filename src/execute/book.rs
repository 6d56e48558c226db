//! What was found out about files, for the next plan: what stands in each volume, what each container sees of it, who an
//! image's users are. Kept for speed alone: whoever does not know looks. Holds no bytes. Written by [`super::files`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::user;
use crate::{
    engine::{self, Engine},
    state::{
        container::ContainerId,
        files::{Delivered, FileUser, Shown, UserLookup, mounts},
        observed::Observed,
    },
};

/// What is known about files, by what was found last. Kept for speed: whoever does not know looks.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
pub(super) struct Pages {
    connection: u64,
    pub(super) delivered: BTreeMap<String, Delivered>,
    pub(super) shown: BTreeMap<ContainerId, Shown>,
    pub(super) users: BTreeMap<UserLookup, FileUser>,
    pub(super) noswap: Option<bool>,
    /// Whether the engine was found to see the operator's own directory of the host.
    pub(super) shares_host: bool,
    pub(super) drifts: Vec<&'static str>,
    /// Holders, by name, that were removed for a program that was not whole.
    pub(super) unmade: BTreeSet<String>,
}

impl Book {
    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was found over an earlier connection to the engine: it may have lost every tmpfs since.
    pub fn at_connection(&self, number: u64) {
        let mut pages = self.pages();
        if pages.connection != number {
            pages.connection = number;
            pages.delivered.clear();
            pages.shown.clear();
            pages.noswap = None;
            pages.shares_host = false;
            pages.unmade.clear();
        }
    }

    /// What is known about a deployment: what stands in each volume that it has, and what each of its containers sees.
    #[must_use]
    pub fn of(&self, seen: &Observed) -> (BTreeMap<String, Delivered>, BTreeMap<ContainerId, Shown>) {
        let pages = self.pages();
        let volumes = seen.files.holders.iter().flat_map(|held| held.volumes.keys());
        let delivered = volumes.filter_map(|name| Some((name.clone(), pages.delivered.get(name)?.clone())));
        let ids = seen.replicas.iter().map(|replica| &replica.view.id);
        let shown = ids.filter_map(|id| Some((id.clone(), pages.shown.get(id)?.clone())));
        (delivered.collect(), shown.collect())
    }

    /// Forgets all that is known about a deployment's volumes and about what its containers see of them.
    pub fn forget_owner(&self, seen: &Observed) {
        let mut pages = self.pages();
        for volume in seen.files.holders.iter().flat_map(|held| held.volumes.keys()) {
            pages.delivered.remove(volume);
        }
        for replica in &seen.replicas {
            for volume in mounts(&replica.view).keys() {
                pages.delivered.remove(volume);
            }
            pages.shown.remove(&replica.view.id);
        }
    }

    /// The numbers of a user, when they have been looked up.
    #[must_use]
    pub fn user(&self, lookup: &UserLookup) -> Option<FileUser> {
        self.pages().users.get(lookup).copied()
    }

    /// Whether the engine's kernel can keep a tmpfs out of swap.
    ///
    /// # Errors
    /// The engine's.
    pub async fn noswap<E: Engine>(&self, engine: &E) -> engine::Result<bool> {
        let known = self.pages().noswap;
        if let Some(known) = known {
            return Ok(known);
        }
        let found = user::knows_noswap(&engine.info().await?.kernel);
        self.pages().noswap = Some(found);
        Ok(found)
    }

    /// In what files were found changed by somebody else since this was last asked, in one word for each volume.
    #[must_use]
    pub fn take_drifts(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.pages().drifts)
    }

    /// Forgets what was found about a container.
    pub(super) fn forget(&self, id: &ContainerId) {
        self.pages().shown.remove(id);
    }

    /// Forgets what stands in these volumes and who sees it: what was seen of it says nothing about what comes there.
    pub(super) fn forget_contents(&self, is_meant: impl Fn(&String) -> bool) {
        let mut pages = self.pages();
        pages.delivered.retain(|volume, _| !is_meant(volume));
        pages
            .shown
            .retain(|_, shown| !shown.volumes.keys().any(&is_meant));
    }

    /// Forgets what was found in volumes in which something else stands now, as of `standing`.
    pub(super) fn compare(&self, standing: &BTreeMap<String, Option<String>>) {
        let other: BTreeSet<String> = {
            let pages = self.pages();
            let now = |volume: &String| standing.get(volume).cloned().flatten();
            let differs = |(volume, found): &(&String, &Delivered)| {
                standing.contains_key(*volume)
                    && found.generation.is_some()
                    && found.generation != now(volume)
            };
            let delivered = pages.delivered.iter().filter(differs);
            delivered.map(|(volume, _)| volume.clone()).collect()
        };
        if !other.is_empty() {
            self.forget_contents(|volume| other.contains(volume));
        }
    }

    /// Notes that nothing good stands in these volumes, so that it is written again: a look would find the name of what
    /// was to stand there.
    pub(super) fn distrust(&self, volumes: &[String]) {
        let mut pages = self.pages();
        let found = pages.delivered.iter_mut();
        for (_, found) in found.filter(|(name, _)| volumes.contains(name)) {
            found.generation = None;
        }
    }

    /// Forgets what was found in these volumes.
    pub(super) fn forget_volumes(&self, volumes: &[String]) {
        self.pages().delivered.retain(|name, _| !volumes.contains(name));
    }
}
