//! One reconcile with its outcome and its time counted, and when an object that could not be reconciled is tried again.
//! The time is that of a stopwatch, not of the clock: it decides nothing. Called by [`super::run`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{api::DynamicObject, runtime::controller::Action};

use super::{
    context::Context,
    deployment,
    describe::describe,
    references::{self, Named},
    secret,
};
use crate::{api::DockerSecret, engine::Engine};

/// How long a reconcile waits for the first lists before it goes on with what has arrived; the rest is denied until
/// then.
pub(super) const FIRST_LISTS: Duration = Duration::from_secs(10);

pub(super) async fn measured_deployment<E: Engine>(
    object: Arc<DynamicObject>,
    ctx: Arc<Context<E>>,
) -> Result<Action, deployment::Error> {
    let listed = async {
        ctx.shelves.wait().await;
        if let Some(namespace) = object.metadata.namespace.as_deref()
            && names_config_map(&object)
        {
            ctx.shelves.config_maps.open(namespace).await;
        }
    };
    let _late = tokio::time::timeout(FIRST_LISTS, listed).await;
    let (start, metrics) = (Instant::now(), ctx.metrics.clone());
    let result = deployment::reconcile(object, ctx).await;
    metrics.reconciled(
        "DockerDeployment",
        if result.is_ok() { "ok" } else { "error" },
        start.elapsed(),
    );
    result
}

fn names_config_map(deployment: &DynamicObject) -> bool {
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let spec = deployment.data.get("spec");
    let named = spec
        .map(|spec| references::of(spec, namespace))
        .unwrap_or_default();
    named.iter().any(|named| matches!(named, Named::ConfigMap(_)))
}

pub(super) async fn measured_secret<E: Engine>(
    object: Arc<DockerSecret>,
    ctx: Arc<secret::SecretContext<E>>,
) -> Result<Action, secret::Error> {
    // Users are unknown until the deployments have been listed.
    let listed = async {
        ctx.shared.shelves.wait().await;
        ctx.neighbours.listed().await;
    };
    let _late = tokio::time::timeout(FIRST_LISTS, listed).await;
    let (start, metrics) = (Instant::now(), ctx.shared.metrics.clone());
    let result = secret::reconcile(object, ctx).await;
    metrics.reconciled(
        "DockerSecret",
        if result.is_ok() { "ok" } else { "error" },
        start.elapsed(),
    );
    result
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that the controller calls"
)]
pub(super) fn failed_deployment<E: Engine>(
    object: Arc<DynamicObject>,
    error: &deployment::Error,
    ctx: Arc<Context<E>>,
) -> Action {
    let uid = object.metadata.uid.clone().unwrap_or_default();
    tracing::warn!(
        namespace = object.metadata.namespace,
        name = object.metadata.name,
        error = describe(error),
        "the deployment could not be reconciled; it is tried again"
    );
    Action::requeue(ctx.failures.add(&uid))
}

pub(super) fn retry(kind: &str, error: &(dyn std::error::Error + 'static)) -> Action {
    tracing::warn!(
        kind,
        error = describe(error),
        "an object could not be reconciled; it is tried again"
    );
    Action::requeue(Duration::from_secs(5))
}
