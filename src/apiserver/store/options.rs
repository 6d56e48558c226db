//! What a store is opened with, and why it is not opened. Owns the port by which `cli` injects encryption at rest.
//! Decides nothing. Read by `Store`.

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc};

use super::Window;
use crate::{
    apiserver::names::GroupResource,
    clock::{self, Clock},
    telemetry::metrics::Metrics,
};

/// Encrypts what is stored, on disk and in memory. Injected by `cli`, which holds the key ring.
pub trait AtRest: Send + Sync + 'static {
    /// Seals `plain` for the object at `place` (`resource/namespace/name`, authenticated).
    ///
    /// # Errors
    /// One sentence; the write is refused.
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, String>;

    /// Opens what [`AtRest::seal`] made for the same place.
    ///
    /// # Errors
    /// One sentence; the object cannot be read until the key is back.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, String>;
}

/// How a store behaves.
#[derive(Clone)]
pub struct Options {
    /// How much of what happened is remembered.
    pub window: Window,
    /// Seals and opens objects of the resources in `sealed`. Without it they are neither written nor read.
    pub at_rest: Option<Arc<dyn AtRest>>,
    /// Resources whose objects are sealed from their next write on.
    pub sealed: BTreeSet<GroupResource>,
    /// Tells the age of events.
    pub clock: Arc<dyn Clock>,
    /// Gets the time of every durable commit.
    pub metrics: Metrics,
}

/// Nothing is sealed, and the machine's clock.
impl Default for Options {
    fn default() -> Self {
        Self {
            window: Window::default(),
            at_rest: None,
            sealed: BTreeSet::new(),
            clock: Arc::new(clock::System),
            metrics: Metrics::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("window", &self.window)
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

/// Why a store was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by another process; stop that one first", .0.display())]
    InUse(PathBuf),
    /// A newer program wrote it.
    #[error(
        "{} has state version {found}, and this program knows versions up to {known}: start the newer program \
         again, or put back a backup from before the upgrade", path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version that can be opened.
        known: u64,
    },
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}
