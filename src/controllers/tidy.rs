//! Removes images of agents of other versions of this program, which every upgrade leaves on the host: once all agents of
//! this instance are of its own version, and then now and again. Which images may go is [`Program`]'s; the engine itself
//! keeps what a container is made from. Started by [`super::run`].

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::host::Host;
use crate::{clock::Clock, engine::Engine, execute::Program};

/// After the start, and while an agent of another version is still there: nothing of it is urgent.
const SOON: Duration = Duration::from_secs(5 * 60);
/// How often afterwards: the image that another operator left.
const LATER: Duration = Duration::from_secs(60 * 60);

/// Goes on until `stop` says so.
pub(super) async fn keep<E: Engine>(
    host: Arc<Host<E>>,
    program: Program,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    let mut pause = SOON;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        pause = SOON;
        let settled = host.agents().is_ok_and(|agents| {
            agents
                .iter()
                .all(|agent| agent.version == program.image().version)
        });
        if !settled {
            continue;
        }
        match program.tidy(host.engine().as_ref(), clock.now()).await {
            Ok(removed) => {
                for image in removed {
                    tracing::info!(image, "removed the image of agents of another version");
                }
                pause = LATER;
            }
            Err(error) => tracing::debug!(%error, "old images of agents could not be removed"),
        }
    }
}
