//! What is asked about an operator as a whole: whether it is ready, and its gauges at this moment. Reads what the shells keep
//! and changes nothing. Asked by the endpoints that `cli` serves.

use std::sync::{Arc, PoisonError};

use super::{context::LOCAL_HOST, keys, run::Operator};
use crate::{engine::Engine, telemetry::metrics::Metrics};

impl<E: Engine> Operator<E> {
    /// Answers whether everything has been seen once: the watches, and the engine.
    #[must_use]
    pub fn readiness(&self) -> crate::telemetry::http::Ready {
        let connected = self.host.connected();
        let synced = Arc::clone(&self.synced);
        Arc::new(move || {
            let synced = synced.lock().unwrap_or_else(PoisonError::into_inner);
            if synced.is_empty() {
                return Err("starting".to_owned());
            }
            let waiting: Vec<&str> = synced
                .iter()
                .filter(|(_, done)| !done())
                .map(|(name, _)| name.as_str())
                .collect();
            if !waiting.is_empty() {
                return Err(format!("not yet listed: {}", waiting.join(", ")));
            }
            if *connected.borrow() {
                Ok(())
            } else {
                Err("the Docker Engine does not answer".to_owned())
            }
        })
    }

    /// Brings gauges up to date before they are read.
    #[must_use]
    pub fn gauges(&self) -> Arc<dyn Fn(&Metrics) + Send + Sync> {
        let host = Arc::clone(&self.host);
        let agents = Arc::clone(&self.agents);
        let connected = self.host.connected();
        let (sealed, ring) = (Arc::clone(&self.sealed), Arc::clone(&self.ring));
        let clock = Arc::clone(&self.setup.clock);
        Arc::new(move |metrics| {
            keys::gauge(metrics, &sealed, &ring, &*clock);
            metrics.agents(LOCAL_HOST, agents.expected(), agents.connected());
            metrics.instances(host.counts().into_iter());
            metrics.engine_connected(LOCAL_HOST, *connected.borrow());
        })
    }
}
