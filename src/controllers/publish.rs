//! Step 7: writes the status if it differs, the events that are due, and the log line of each action. A write that
//! changes nothing is no write. Called by [`super::deployment`] and [`super::telling`].

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    api::{Patch, PatchParams},
    runtime::controller::Action,
};

use super::{
    deployment::{Error, Pass},
    object::ObjectError,
};
use crate::{
    api::{
        DockerDeploymentSpec, GROUP, VERSION,
        condition::{ConditionType, Reason},
        keys::FIELD_MANAGER,
        status::DockerDeploymentStatus,
    },
    engine::Engine,
    execute::{Outcome, Report},
    state::{desired::Desired, owner::Owner},
    status::{
        EventDraft, Facts,
        conditions::Conditions,
        deployment::Summary,
        events::{clip, drafts},
    },
};

/// How long an engine may be away before people are told.
const AWAY_IS_NEWS: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// One line per action of a plan.
pub(super) fn log(owner: &Owner, reports: &[Report]) {
    for report in reports {
        let (namespace, name, revision) = (&owner.namespace, &owner.name, &report.revision);
        let (action, subject, reason) = (report.verb, &report.subject, report.why.to_string());
        match &report.outcome {
            Outcome::Failed(error) => {
                tracing::warn!(%namespace, %name, %revision, action, %subject, reason, outcome = "failed", %error);
            }
            Outcome::Foreign { id } => {
                tracing::warn!(%namespace, %name, %revision, action, %subject, reason, outcome = "foreign", container = id.short());
            }
            // In an interval, and mostly without a result.
            Outcome::Done if report.verb == "check" => {
                tracing::debug!(%namespace, %name, action, %subject, outcome = "done");
            }
            Outcome::Done => {
                tracing::info!(%namespace, %name, %revision, action, %subject, reason, outcome = "done")
            }
            Outcome::Joined => {
                tracing::debug!(%namespace, %name, %revision, action, %subject, reason, outcome = "still under way")
            }
            Outcome::UnderWay => {
                tracing::info!(%namespace, %name, %revision, action, %subject, reason, outcome = "under way")
            }
            Outcome::Skipped(why) => {
                tracing::info!(%namespace, %name, %revision, action, %subject, reason, outcome = "skipped", why = ?why);
            }
        }
    }
}

/// The selector as text, for the scale subresource: what is written, else the template's labels.
pub(super) fn selector(spec: &DockerDeploymentSpec) -> Option<String> {
    let labels = match &spec.selector {
        Some(selector) if !selector.match_labels.is_empty() => &selector.match_labels,
        _ => &spec.template.metadata.as_ref()?.labels,
    };
    let text = labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect::<Vec<_>>()
        .join(",");
    (!text.is_empty()).then_some(text)
}

/// The object, for events.
pub(super) fn reference<E>(pass: &Pass<'_, E>) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("DockerDeployment".to_owned()),
        namespace: Some(pass.id.owner.namespace.clone()),
        name: Some(pass.id.owner.name.clone()),
        uid: Some(pass.id.owner.uid.clone()),
        ..ObjectReference::default()
    }
}

/// Writes what one reconcile ended with.
pub(super) async fn everything<E: Engine>(
    pass: &Pass<'_, E>,
    facts: &Facts<'_>,
    summary: &Summary,
) -> Result<(), Error> {
    for failure in &facts.resolution.failures {
        pass.ctx.metrics.resolved("error", failure.cause.as_str());
    }
    for _ in &facts.resolution.uses {
        pass.ctx.metrics.resolved("ok", "");
    }
    let about = reference(pass);
    for draft in drafts(facts, &summary.problems, &summary.status) {
        pass.ctx.events.write(&about, &draft, facts.now).await;
    }
    write(pass, &summary.status).await
}

async fn write<E: Engine>(pass: &Pass<'_, E>, status: &DockerDeploymentStatus) -> Result<(), Error> {
    let (uid, version) = (&pass.id.owner.uid, &pass.id.version);
    // As the API server will give it back: times lose their nanoseconds, and that is no difference.
    let body = serde_json::to_value(status).map_err(ObjectError::from)?;
    let status: DockerDeploymentStatus = serde_json::from_value(body.clone()).map_err(ObjectError::from)?;
    let known = pass.ctx.written.or(uid, version, pass.seen.clone());
    if known == status {
        return Ok(());
    }
    let patch = serde_json::json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "DockerDeployment",
        "metadata": { "uid": uid },
        "status": body,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let api = pass.id.api(&pass.ctx.client);
    match api
        .patch_status(&pass.id.owner.name, &params, &Patch::Apply(patch))
        .await
    {
        Ok(object) => {
            let version = object.metadata.resource_version.unwrap_or_default();
            pass.ctx.written.remember(uid, &version, status);
            Ok(())
        }
        // It went while we worked: its deletion wakes us, or there is nobody left to tell.
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The engine is away: what is known stays as it is. After half a minute one condition and one event say so; a new
/// generation is acknowledged at once, as in progress.
pub(super) async fn host_away<E: Engine>(pass: &Pass<'_, E>, desired: &Desired) -> Result<Action, Error> {
    let Err(away) = pass.ctx.host.containers(&pass.id.owner.namespace) else {
        return Ok(Action::requeue(std::time::Duration::ZERO));
    };
    let now = pass.ctx.clock.now();
    let age = jiff::SignedDuration::try_from(away.began.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
    let news = age >= AWAY_IS_NEWS;
    let mut status = pass
        .ctx
        .written
        .or(&pass.id.owner.uid, &pass.id.version, pass.before.clone());
    let new_generation = status.observed_generation != desired.generation;
    if news || new_generation {
        let message =
            format!("{away}; what runs is left as it is, and work goes on as soon as the engine answers");
        let mut changed = Conditions::after(&status.conditions, desired.generation, now);
        if news {
            changed.set(
                ConditionType::HostReachable,
                false,
                Reason::HostUnreachable,
                message.clone(),
            );
            let note = clip(message.clone(), 0);
            let draft = EventDraft {
                reason: Reason::HostUnreachable,
                action: "Connect",
                note,
                related: None,
                key: away.since.to_string(),
            };
            pass.ctx.events.write(&reference(pass), &draft, now).await;
        }
        if new_generation {
            changed.set(
                ConditionType::Ready,
                false,
                Reason::HostUnreachable,
                message.clone(),
            );
            changed.set(ConditionType::Reconciling, true, Reason::HostUnreachable, message);
            status.observed_generation = desired.generation;
        }
        let changed = changed.finish();
        status
            .conditions
            .retain(|old| !changed.iter().any(|new| new.type_ == old.type_));
        status.conditions.extend(changed);
        status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        write(pass, &status).await?;
    }
    if news {
        return Ok(Action::await_change());
    }
    let wait = (AWAY_IS_NEWS - age).max(jiff::SignedDuration::ZERO);
    Ok(Action::requeue(
        std::time::Duration::try_from(wait).unwrap_or_default() + std::time::Duration::from_millis(50),
    ))
}
