//! What one reconcile has seen: carried from look to look, because a restart hides the end before it, and because a look at
//! what is around the containers is needed once while only containers change. Owned by [`super::deployment`].

use std::{collections::BTreeMap, sync::Arc};

use super::{looks::Around, wish};
use crate::{
    plan::restart::Restarts,
    state::{
        container::{ContainerId, ExitInfo},
        observed::Observed,
    },
};

/// See the file's header.
#[derive(Default, Clone)]
pub(super) struct Memory {
    pub(super) restarts: BTreeMap<ContainerId, Restarts>,
    pub(super) exits: BTreeMap<ContainerId, ExitInfo>,
    /// Until something was done that may have changed it.
    pub(super) around: Option<Arc<Around>>,
}

impl Memory {
    /// Brings it up to date with a look at the containers; what is not in it yet comes from the status.
    pub(super) fn account(&mut self, observed: &Observed, remembered: &BTreeMap<ContainerId, Restarts>) {
        wish::account_restarts(observed, remembered, &mut self.restarts);
        for replica in &observed.replicas {
            if let Some(exit) = &replica.view.exit {
                self.exits.insert(replica.view.id.clone(), exit.clone());
            }
        }
    }
}
