//! The webhooks of `supercargo controller`: a socket with TLS, the facts that a verdict needs, and the certificate that
//! keeps itself. Owns putting these together; every verdict is `crate::admission`'s. Every replica answers, whoever leads:
//! a review needs no engine. Who leads renews the certificate. Called by `cli`.

mod answer;
mod keeper;
pub mod kept;
mod lookup;
mod server;
#[cfg(test)]
mod server_tests;

use std::{net::SocketAddr, sync::Arc};

use kube::Client;
use tokio::{net::TcpListener, sync::watch};

pub use kept::CERTIFICATE_SECRET;

use crate::{
    api::validate::Policy,
    clock::Clock,
    engine::Term,
    telemetry::metrics::Metrics,
    tls::{rotation::Times, serving::Serving},
};

/// What webhooks are made of.
pub struct Setup {
    /// Client of the API server.
    pub client: Client,
    /// What manifests may ask for: the same as the guard's.
    pub policy: Policy,
    /// The operator's namespace.
    pub namespace: String,
    /// The Service through which the API server reaches us.
    pub service: String,
    /// The Secret of the certificate.
    pub secret: String,
    /// The `ValidatingWebhookConfiguration` that is told whom to trust.
    pub configuration: String,
    /// Runs while this process may write.
    pub term: Term,
    /// How long a certificate lasts.
    pub times: Times,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
}

/// Webhooks that are put together.
pub struct Webhook {
    server: server::Server<lookup::Cluster>,
    keeper: keeper::Keeper,
    serving: Arc<Serving>,
}

impl Webhook {
    /// On a socket that is bound.
    #[must_use]
    pub fn new(setup: Setup, listener: TcpListener) -> Self {
        let serving = Arc::new(Serving::default());
        let answerer = answer::Answerer {
            policy: setup.policy,
            lookup: lookup::Cluster(setup.client.clone()),
            clock: Arc::clone(&setup.clock),
            metrics: setup.metrics.clone(),
        };
        let keeper = keeper::Keeper {
            client: setup.client,
            names: kept::names(&setup.service, &setup.namespace),
            namespace: setup.namespace,
            secret: setup.secret,
            configuration: setup.configuration,
            term: setup.term,
            times: setup.times,
            clock: setup.clock,
            serving: Arc::clone(&serving),
            metrics: setup.metrics,
        };
        Self {
            server: server::Server::new(listener, Arc::clone(&serving), answerer),
            keeper,
            serving,
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.server.address()
    }

    /// Answers whether it has a certificate to answer with.
    #[must_use]
    pub fn readiness(&self) -> crate::telemetry::http::Ready {
        let serving = Arc::clone(&self.serving);
        Arc::new(move || match serving.is_there() {
            true => Ok(()),
            false => Err("the webhooks have no certificate yet".to_owned()),
        })
    }

    /// Answers and keeps the certificate until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let serving = self.server.serve(stop.clone());
        let keeping = async {
            tokio::select! {
                () = self.keeper.run() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        };
        tokio::join!(serving, keeping);
    }
}
