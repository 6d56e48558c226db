//! `controller --webhook-addr`: the flags of the webhooks, and starting them. They answer as long as the process runs, also
//! while it stands by or finishes what is under way. What they are made of is `controllers::webhook`'s. Called by
//! `controller`.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use kube::Client;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::Failure;
use crate::{
    admission::configuration,
    api::validate::Policy,
    clock::System,
    controllers::webhook::{CERTIFICATE_SECRET, Setup, Webhook},
    engine::Term,
    telemetry::{http::Ready, metrics::Metrics},
    tls::rotation::Times,
};

/// Flags of the webhooks.
#[derive(Debug, clap::Args)]
pub(super) struct WebhookArgs {
    /// Where admission reviews are answered, such as 0.0.0.0:9443. Not at all without it
    #[arg(long, value_name = "ADDRESS")]
    webhook_addr: Option<SocketAddr>,
    /// The Service of the operator's namespace through which the API server reaches the webhooks
    #[arg(long, value_name = "NAME", default_value = configuration::SERVICE)]
    webhook_service: String,
    /// The ValidatingWebhookConfiguration that is told whom to trust
    #[arg(long, value_name = "NAME", default_value = configuration::NAME)]
    webhook_configuration: String,
    /// The Secret of the operator's namespace that keeps the certificate of the webhooks; made at the first start
    #[arg(long, value_name = "NAME", default_value = CERTIFICATE_SECRET)]
    webhook_secret: String,
}

/// Whose the webhooks are.
pub(super) struct Owner<'a> {
    pub(super) client: &'a Client,
    pub(super) policy: &'a Policy,
    pub(super) namespace: &'a str,
    pub(super) term: &'a Term,
    pub(super) metrics: &'a Metrics,
}

/// Webhooks that run, or none.
pub(super) struct Running(Option<(Ready, watch::Sender<bool>, JoinHandle<()>)>);

impl WebhookArgs {
    /// Starts them, if they are wanted.
    pub(super) async fn start(self, owner: &Owner<'_>) -> Result<Running, Failure> {
        let Some(address) = self.webhook_addr else {
            return Ok(Running(None));
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot serve webhooks on {address}; choose another --webhook-addr"))?;
        let setup = Setup {
            client: owner.client.clone(),
            policy: owner.policy.clone(),
            namespace: owner.namespace.to_owned(),
            service: self.webhook_service,
            secret: self.webhook_secret,
            configuration: self.webhook_configuration,
            term: owner.term.clone(),
            times: Times::default(),
            clock: Arc::new(System),
            metrics: owner.metrics.clone(),
        };
        let webhook = Webhook::new(setup, listener);
        tracing::info!(webhooks = %webhook.address()?, "the webhooks start");
        let (stop, stopped) = watch::channel(false);
        let ready = webhook.readiness();
        let running = tokio::spawn(webhook.run(stopped));
        Ok(Running(Some((ready, stop, running))))
    }
}

impl Running {
    /// Ready when both are.
    pub(super) fn readiness(&self, of_operator: Ready) -> Ready {
        match &self.0 {
            None => of_operator,
            Some((of_webhooks, ..)) => {
                let of_webhooks = Arc::clone(of_webhooks);
                Arc::new(move || of_webhooks().and_then(|()| of_operator()))
            }
        }
    }

    /// Ends them; what is being answered is answered.
    pub(super) async fn stop(self) {
        if let Some((_, stop, running)) = self.0 {
            stop.send_replace(true);
            // A panic in there is none of a stop's concern.
            let _ended = running.await;
        }
    }
}
