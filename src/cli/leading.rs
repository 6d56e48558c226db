//! `controller --leader-elect`: work happens while the Lease is held. Owns what becomes of the process when it is won and
//! lost; how it is won is `controllers::leadership`'s. Called by `controller`.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use super::{Failure, controller::reporter};
use crate::{
    clock::System,
    controllers::leadership::{Election, Times},
    engine::Term,
    telemetry::http::Ready,
};

/// The term of an operator that has yet to win an election, or that is alone.
pub(super) fn term(elected: bool) -> Term {
    if elected {
        Term::not_begun()
    } else {
        Term::endless()
    }
}

/// Whether others may lead.
pub(super) struct Leading {
    election: Option<Election>,
    term: Term,
}

impl Leading {
    /// `term` is the one of the engine.
    pub(super) fn new(elected: bool, client: &Client, namespace: &str, term: Term) -> Self {
        let election = elected.then(|| {
            let (clock, times) = (Arc::new(System), Times::default());
            Election::new(client.clone(), namespace, identity(), clock, times, term.clone())
        });
        Self { election, term }
    }

    /// Who stands by is ready: it can take over.
    pub(super) fn readiness(&self, of_leader: Ready) -> Ready {
        let term = self.term.clone();
        Arc::new(move || if term.runs() { of_leader() } else { Ok(()) })
    }

    /// Works while it leads, and gives the Lease back at the end.
    ///
    /// # Errors
    /// Somebody else may lead by now.
    pub(super) async fn during(
        &self,
        work: impl Future<Output = ()>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let Some(election) = &self.election else {
            work.await;
            return Ok(());
        };
        let mut held = tokio::select! {
            held = election.win() => held,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let lost = tokio::select! {
            () = work => None,
            why = election.keep(&mut held) => Some(why),
        };
        let Some(why) = lost else {
            election.release(held).await;
            return Ok(());
        };
        // Nothing of ours may go on: whatever starts this process again makes one that stands by.
        Err(anyhow::anyhow!(
            "this operator no longer leads: {why}. It ends at once; started again, it stands by"
        )
        .into())
    }
}

/// Names this process and no other one, also not the one before it on this machine.
fn identity() -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    format!("{}_{}", reporter(), random.trim())
}
