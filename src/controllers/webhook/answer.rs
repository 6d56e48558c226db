//! One request: read, its facts looked up, judged, counted, answered. What could not be found out is no verdict but a
//! failure of the webhook, so that the `failurePolicy` of the configuration says what follows.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::lookup::Lookup;
use crate::{
    admission::{
        self, Facts, Need, deletion,
        wire::{self, Malformed},
    },
    api::validate::Policy,
    clock::Clock,
    telemetry::metrics::Metrics,
};

/// How long is looked up what only a warning depends on.
const FOR_WARNINGS: Duration = Duration::from_secs(1);

/// Answers requests.
pub(super) struct Answerer<L> {
    pub(super) policy: Policy,
    pub(super) lookup: L,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
}

/// There is no verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// No review was asked for.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A fact could not be found out.
    #[error("what the verdict depends on could not be found out: {0}")]
    Unknown(String),
}

impl Failed {
    pub(super) const fn code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unknown(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl<L: Lookup> Answerer<L> {
    /// The answer to the body of a request.
    pub(super) async fn answer(&self, body: &[u8]) -> Result<Value, Failed> {
        let begun = Instant::now();
        let request = wire::read(body).inspect_err(|malformed| {
            self.metrics
                .reviewed("Other", "OTHER", "malformed", begun.elapsed());
            tracing::warn!(error = %malformed, "a webhook was sent what is no review");
        })?;
        let review = request.review();
        let facts = match deletion::need(&review) {
            Need::Nothing => Ok(Facts::default()),
            // A warning is not worth a wait, and its absence no failure.
            need @ Need::Keys { .. } => {
                let known = tokio::time::timeout(FOR_WARNINGS, self.lookup.facts(need)).await;
                Ok(known.ok().and_then(Result::ok).unwrap_or_default())
            }
            need => self.lookup.facts(need).await,
        };
        let count = |outcome| {
            let (kind, operation) = (review.subject().as_str(), review.operation.as_str());
            self.metrics.reviewed(kind, operation, outcome, begun.elapsed());
        };
        let mut facts = facts.map_err(|why| {
            count("failed");
            tracing::warn!(error = why, "a review has no verdict");
            Failed::Unknown(why)
        })?;
        facts.now = self.clock.now();
        let verdict = admission::review(&review, &facts, &self.policy);
        count(match &verdict.refusal {
            Some(_) => "refused",
            None if verdict.warnings.is_empty() => "admitted",
            None => "warned",
        });
        Ok(wire::answer(&request.uid, &verdict))
    }
}
