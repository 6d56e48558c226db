//! Keeps the certificate: serves what the Secret has, and, while this process leads, makes it, renews it and tells the
//! webhooks' configuration whom to trust. One writer, so that two versions of the program never take turns; a write goes
//! over the version that was seen, so that a lease that changed hands in between does no harm. Level-triggered: a Secret
//! or a configuration that was changed, removed or made later is put right when the watch shows it.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, sleep};

use super::kept;
use crate::{
    api::keys::FIELD_MANAGER,
    clock::Clock,
    controllers::describe::describe,
    engine::Term,
    secrets::keyring::wipe,
    telemetry::metrics::Metrics,
    tls::{
        rotation::{Kept, Step, Times},
        serving::Serving,
    },
};

/// How often time is looked at when nothing happens; a look costs no request.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// See the file's header.
pub(super) struct Keeper {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) secret: String,
    pub(super) configuration: String,
    pub(super) names: Vec<String>,
    pub(super) term: Term,
    pub(super) times: Times,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) serving: Arc<Serving>,
    pub(super) metrics: Metrics,
}

/// What a watch has shown of one object.
enum Seen<T> {
    NotYet,
    Absent,
    There(T),
}

/// A watch of one object.
struct Watched<T> {
    seen: Seen<T>,
    /// Whether the list that is under way has shown it.
    listed: bool,
}

/// What is known.
struct Known {
    secret: Watched<Secret>,
    /// What the Secret keeps. Nothing when it is absent or damaged: then another certificate is made, and who removed it
    /// because its key was seen gets what he wants.
    kept: Option<Kept>,
    configuration: Watched<ValidatingWebhookConfiguration>,
    /// The certificate that is served.
    served: String,
    /// Since when the configuration trusts what is served and what will be.
    told: Option<Instant>,
}

impl<T> Watched<T> {
    const fn new() -> Self {
        Self {
            seen: Seen::NotYet,
            listed: false,
        }
    }

    /// Takes what the watch shows; whether it is another object now, or none.
    fn take(&mut self, event: watcher::Event<T>) -> bool {
        self.seen = match event {
            // What was known stays until the new list is there.
            watcher::Event::Init => {
                self.listed = false;
                return false;
            }
            watcher::Event::InitDone if self.listed => return false,
            watcher::Event::InitDone | watcher::Event::Delete(_) => Seen::Absent,
            watcher::Event::InitApply(one) | watcher::Event::Apply(one) => {
                self.listed = true;
                Seen::There(one)
            }
        };
        true
    }
}

impl Keeper {
    /// Runs for ever.
    pub(super) async fn run(self) {
        let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let mut secret = watcher(secrets.clone(), named(&self.secret))
            .default_backoff()
            .boxed();
        let mut configuration = watcher(configurations.clone(), named(&self.configuration))
            .default_backoff()
            .boxed();
        let mut known = Known {
            secret: Watched::new(),
            kept: None,
            configuration: Watched::new(),
            served: String::new(),
            told: None,
        };
        let mut pause: Option<Instant> = None;
        loop {
            tokio::select! {
                Some(event) = secret.next() => match event {
                    Ok(event) => known.take_secret(event),
                    Err(error) => denied("Secret", &self.secret, &error),
                },
                Some(event) = configuration.next() => match event {
                    Ok(event) => {
                        known.configuration.take(event);
                    }
                    Err(error) => denied("ValidatingWebhookConfiguration", &self.configuration, &error),
                },
                () = sleep(LOOK) => {}
            }
            self.serve(&mut known);
            if !self.term.runs() || pause.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let done = async {
                self.renew(&secrets, &mut known).await?;
                self.tell(&configurations, &mut known).await
            };
            pause = match done.await {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!(
                        error,
                        "the certificate of the webhooks could not be kept; it is tried again"
                    );
                    Some(Instant::now() + AGAIN)
                }
            };
        }
    }

    /// What the Secret has is served.
    fn serve(&self, known: &mut Known) {
        let Some(kept) = &known.kept else { return };
        let issued = &kept.serving;
        if known.served == issued.pair.certificate {
            return;
        }
        match self.serving.swap(&issued.pair) {
            Ok(()) => {
                tracing::info!(until = %issued.facts.not_after, "the webhooks serve a certificate");
                self.metrics
                    .webhook_certificate(issued.facts.not_after.as_second());
                known.served.clone_from(&issued.pair.certificate);
            }
            Err(error) => tracing::warn!(%error, "the certificate of the webhooks cannot be served"),
        }
    }

    /// Makes the certificate, or takes the next step of its renewal.
    async fn renew(&self, secrets: &Api<Secret>, known: &mut Known) -> Result<(), String> {
        let now = self.clock.now();
        let (times, names) = (&self.times, self.names.as_slice());
        let found = match &known.secret.seen {
            Seen::NotYet => return Ok(()),
            Seen::Absent => None,
            Seen::There(found) => Some(found),
        };
        let (step, wanted) = match &known.kept {
            None => (Step::Replace, Kept::first(now, times, names)),
            Some(kept) => match kept.step(now, times, names, known.told.map(|since| since.elapsed())) {
                Step::Rest => return Ok(()),
                step => (step, kept.after(step, now, times, names)),
            },
        };
        let wanted = wanted.map_err(|error| describe(&error))?;
        let mut draft = kept::secret(&self.secret, &wanted, found);
        let how = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match found {
            None => secrets.create(&how, &draft).await,
            Some(_) => secrets.replace(&self.secret, &how, &draft).await,
        };
        if let Some(data) = &mut draft.data {
            wipe(data);
        }
        match written {
            Ok(secret) => {
                tracing::info!(
                    ?step,
                    secret = self.secret,
                    "the certificate of the webhooks is written"
                );
                known.take_secret(watcher::Event::Apply(secret));
                self.serve(known);
                Ok(())
            }
            // Somebody else was faster; the watch brings what is there now.
            Err(kube::Error::Api(refused)) if refused.is_conflict() || refused.is_already_exists() => Ok(()),
            Err(error) => Err(format!("Secret {}: {}", self.secret, describe(&error))),
        }
    }

    /// Tells the configuration whom to trust.
    async fn tell(
        &self,
        configurations: &Api<ValidatingWebhookConfiguration>,
        known: &mut Known,
    ) -> Result<(), String> {
        let Some(kept) = &known.kept else { return Ok(()) };
        match &known.configuration.seen {
            Seen::NotYet => return Ok(()),
            // Nobody calls, so that nobody has to be told.
            Seen::Absent => {}
            Seen::There(found) => {
                if let Some(patch) = kept::patch(found, &kept.bundle()).map(Patch::Apply) {
                    known.told = None;
                    let how = PatchParams::apply(FIELD_MANAGER).force();
                    let patched = configurations.patch(&self.configuration, &how, &patch);
                    let patched = patched.await.map_err(|error| {
                        let name = &self.configuration;
                        format!("ValidatingWebhookConfiguration {name}: {}", describe(&error))
                    })?;
                    tracing::info!(
                        configuration = self.configuration,
                        "the webhooks' configuration trusts their certificate"
                    );
                    known.configuration.seen = Seen::There(patched);
                }
            }
        }
        known.told.get_or_insert_with(Instant::now);
        Ok(())
    }
}

impl Known {
    fn take_secret(&mut self, event: watcher::Event<Secret>) {
        if !self.secret.take(event) {
            return;
        }
        let before = self.kept.take().map(|kept| kept.bundle());
        if let Seen::There(secret) = &mut self.secret.seen {
            self.kept = kept::read(secret);
            if let Some(mut data) = secret.data.take() {
                wipe(&mut data);
            }
        }
        if self.kept.as_ref().map(Kept::bundle) != before {
            self.told = None;
        }
    }
}

fn denied(kind: &str, name: &str, error: &watcher::Error) {
    tracing::warn!(
        kind,
        name,
        error = describe(error),
        "the webhooks cannot watch it; check that the operator's account may get, list and watch it"
    );
}
