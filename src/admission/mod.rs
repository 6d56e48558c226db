//! Admission: what may be written and deleted, as a pure way from a review to a verdict. The API server of `standalone`
//! asks it in the process, a cluster through the webhooks of `supercargo controller`; there is no second way. Every rule
//! is held again by somebody behind it: invalid objects by the guard of each reconcile, secrets in use by their finalizer.
//! So a webhook that is away opens nothing. Only the definitions of our kinds have nobody behind them; see
//! [`configuration`] for who is asked what, and what happens when nobody answers. Nothing here waits or looks anything up:
//! [`deletion::need`] says which facts a verdict needs, and the shell brings them.

pub mod configuration;
pub mod deletion;
pub mod references;
pub mod review;
pub mod verdict;
mod warnings;
pub mod wire;
mod written;

pub use deletion::{Facts, Need, Objects, User};
pub use review::{Operation, Review, review};
pub use verdict::{Refusal, Verdict};
