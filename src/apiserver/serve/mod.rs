//! The server: everything of this room put together, behind a socket and behind a service in this process. Owns the
//! assembly, the way of a request around the verbs (identity, authorization, limits, health, metrics), TLS and
//! certificates. What a request does is `verbs`'. Built by `cli`, which injects what this room must not know.

mod attributes;
mod body;
mod handler;
mod health;
mod identity;
mod impersonate;
pub mod kubeconfig;
mod listener;
pub mod pki;
pub mod private_file;
mod routes;
mod stall;
mod tls;

#[cfg(test)]
mod handler_tests;
#[cfg(test)]
mod listener_tests;

use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

pub use handler::Handler;
pub use health::Check;
pub use listener::{ListenError, Listener};
pub use routes::{Refresh, Routes};
pub use tls::{Tls, TlsError};

use super::{
    admission::Admission,
    authorize::SharedAuthorizer,
    documents::Documents,
    kinds::{Kinds, builtin},
    loops,
    store::Store,
    verbs::Api,
};
use crate::{clock::Clock, telemetry::metrics::Metrics};

/// What a control plane is made of.
pub struct Options {
    /// Opened, with its encryption at rest.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Refuses and remarks on writes.
    pub admission: Arc<dyn Admission>,
    /// Who may.
    pub authorizer: SharedAuthorizer,
    /// Counts.
    pub metrics: Metrics,
    /// Brings the gauges of others up to date before `/metrics` shows them.
    pub refresh: Refresh,
    /// `HOST:PORT` under which clients reach it, as discovery tells them.
    pub address: String,
    /// What `/readyz` looks at besides this room's own.
    pub checks: Vec<Check>,
    /// What the loops need.
    pub loops: loops::Options,
}

/// A control plane that is put together.
pub struct Server {
    api: Api,
    handler: Handler,
    stop: watch::Sender<bool>,
    loops: loops::Options,
    running: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Puts it together. It answers at once; nothing is listened on.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (stop, stopped) = watch::channel(false);
        let api = Api {
            store: options.store,
            kinds: Arc::new(ArcSwap::from_pointee(Kinds::default())),
            admission: options.admission,
            authorizer: Arc::clone(&options.authorizer),
            clock: Arc::clone(&options.clock),
        };
        let mut checks = own_checks(&api, &stopped);
        checks.extend(options.checks);
        let routes = routes::ApiRoutes {
            api: api.clone(),
            documents: Documents::new(builtin::definitions(), options.address, options.clock),
            metrics: options.metrics.clone(),
            refresh: options.refresh,
        };
        let handler = Handler::new(handler::Shared {
            routes: Arc::new(routes),
            authorizer: options.authorizer,
            checks,
            metrics: options.metrics,
            stop: stopped,
            patience: handler::PATIENCE,
            reads: Semaphore::new(handler::READS),
            writes: Semaphore::new(handler::WRITES),
        });
        Self {
            api,
            handler,
            stop,
            loops: options.loops,
            running: std::sync::Mutex::default(),
        }
    }

    /// What the verbs work on: for the loops.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Answers requests; those without a user are anonymous. See [`Handler::acting_as`] for a client in this process.
    #[must_use]
    pub fn handler(&self) -> Handler {
        self.handler.clone()
    }

    /// Turns true when the server stops.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Serves the built-in kinds and what the CRDs in the store establish, makes what a fresh store must hold, and starts
    /// the loops. `identity` is the uid that namespace kube-system gets when it is made. Returns when `/readyz` may say so;
    /// the loops run until [`Server::stop`].
    ///
    /// # Errors
    /// One sentence: what a fresh store must hold could not be written.
    pub async fn start(&self, identity: Option<&str>) -> Result<(), String> {
        let built_in = builtin::kinds(&self.api.authorizer, &self.api.clock);
        let (registry, editions) = loops::registry::Registry::load(self.api.clone(), built_in);
        loops::bootstrap::run(&self.api, identity)
            .await
            .map_err(|refused| refused.to_string())?;
        let mut stopped = self.stopped();
        let stop = async move {
            // An error is the end of the server, too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let task = tokio::spawn(loops::run(
            self.api.clone(),
            self.loops.clone(),
            registry,
            editions,
            stop,
        ));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    /// Ends watches, refuses what is new, ends listeners, then closes the store: returns when it is durable.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let loops = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(loops) = loops {
            // A loop that panicked is none of a stop's concern.
            let _ = loops.await;
        }
        self.api.store.close().await;
    }
}

fn own_checks(api: &Api, stopped: &watch::Receiver<bool>) -> Vec<Check> {
    let (store, stopped) = (api.store.clone(), stopped.clone());
    vec![
        Check::live("ping", || Ok(())),
        Check::ready("store", move || store.writable()),
        Check::ready("shutdown", move || match *stopped.borrow() {
            true => Err("process is shutting down".to_owned()),
            false => Ok(()),
        }),
    ]
}
