//! What the user is told, computed and not sent: the status of an object and the events of one reconcile. Pure: the
//! same facts give the same words, and facts that have not changed give the status that is there already, transition
//! times included. Nothing in it ticks. Called by `controllers` (step 7).

pub mod conditions;
pub mod deployment;
pub mod events;
pub mod problem;
pub mod remembered;
pub mod secret;
mod secrets;

pub use deployment::{Facts, summarize};
pub use events::EventDraft;
