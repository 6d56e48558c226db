//! Deletion: the seven steps with nothing desired, and then the finalizer. Resolves nothing: deleting never needs a
//! secret. The finalizer goes when a fresh list of the engine shows nothing of this owner, and the namespace's network
//! is gone or has been tried often enough: the engine can believe in an endpoint that nobody has.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action;

use super::{
    deployment::{Error, Pass},
    memory::Memory,
    publish,
};
use crate::{
    api::{condition::Reason, keys::label},
    engine::{Engine, Kind, LabelFilter},
    execute::{Outcome, Report, Supplies},
    plan::{self, restart::Restarts},
    state::{
        build::DEFAULT_GRACE, container::ContainerId, desired::Desired, observed::Observed,
        resolved::Resolution,
    },
    status::{self, EventDraft, Facts},
};

/// How many tries to remove the network hold an object back.
const NETWORK_TRIES: u32 = 5;
const ROUNDS: usize = 12;

/// Takes away what one deployment owns, and lets it go.
pub(super) async fn run<E: Engine>(pass: &Pass<'_, E>) -> Result<Action, Error> {
    if !pass.id.has_finalizer {
        forget(pass);
        return Ok(Action::await_change());
    }
    if pass.id.force_delete || pass.id.orphan {
        return leave(pass).await;
    }
    let grace = pass
        .raw
        .pointer("/spec/template/spec/terminationGracePeriodSeconds")
        .and_then(serde_json::Value::as_i64);
    let desired = Desired::nothing(
        pass.id.owner.clone(),
        pass.id.generation,
        grace.unwrap_or(DEFAULT_GRACE).max(0),
    );
    if pass.ctx.host.containers(&pass.id.owner.namespace).is_err() {
        return publish::host_away(pass, &desired).await;
    }
    // Nobody is to be sent to what is about to end.
    pass.ctx.agents.forget(&pass.subject());
    pass.ctx.commands.forget(&pass.subject());
    let mut reports: Vec<Report> = Vec::new();
    for _ in 0..ROUNDS {
        let observed = pass.observe(&desired, &mut Memory::default()).await?;
        let inputs = plan::Inputs::at(pass.ctx.clock.now(), pass.ctx.options.pool);
        let plan = plan::plan(&desired, &observed, &inputs);
        if pass.id.suspended && !plan.is_empty() {
            tracing::info!(
                namespace = pass.id.owner.namespace,
                name = pass.id.owner.name,
                "deletion waits: suspended"
            );
            return Ok(Action::await_change());
        }
        if plan.is_empty() {
            return let_go(pass).await;
        }
        let (ended, touched) = pass
            .ctx
            .executor
            .run(&pass.id.owner, &plan, Supplies::default())
            .await;
        publish::log(&pass.id.owner, &ended);
        for id in touched {
            pass.ctx.host.refresh(&id).await?;
        }
        let waits = ended
            .iter()
            .any(|r| !matches!(r.outcome, Outcome::Done | Outcome::Skipped(_)));
        reports.extend(ended);
        if waits {
            return wait(pass, &desired, &observed, &plan, &reports).await;
        }
    }
    Ok(Action::requeue(Duration::from_secs(1)))
}

/// Something takes time or failed: says so, and comes back.
async fn wait<E: Engine>(
    pass: &Pass<'_, E>,
    desired: &Desired,
    observed: &Observed,
    plan: &plan::Plan,
    reports: &[Report],
) -> Result<Action, Error> {
    let failed: Vec<_> = reports
        .iter()
        .filter_map(|r| match &r.outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        })
        .collect();
    if let Some(error) = failed.iter().find(|e| e.kind == Kind::Unreachable) {
        return Err((*error).clone().into());
    }
    let only_network = !failed.is_empty() && failed.iter().all(|e| e.op.is_network());
    let pause = (!failed.is_empty()).then(|| pass.ctx.failures.add(&pass.id.owner.uid));
    if only_network && pause.is_some_and(|p| p >= Duration::from_secs(1 << (NETWORK_TRIES - 1))) {
        tracing::warn!(
            namespace = pass.id.owner.namespace,
            name = pass.id.owner.name,
            network = desired.network,
            "the network cannot be removed and is left behind; `supercargo doctor` lists it"
        );
        return let_go(pass).await;
    }
    publish_progress(pass, desired, observed, plan, reports).await?;
    Ok(pause.map_or_else(Action::await_change, Action::requeue))
}

async fn publish_progress<E: Engine>(
    pass: &Pass<'_, E>,
    desired: &Desired,
    observed: &Observed,
    plan: &plan::Plan,
    reports: &[Report],
) -> Result<(), Error> {
    let resolution = Resolution::default();
    let restarts: BTreeMap<ContainerId, Restarts> = status::remembered::remembered(&pass.before, observed);
    let facts = Facts {
        before: &pass.before,
        desired,
        observed,
        plan,
        reports,
        resolution: &resolution,
        violations: &[],
        pull_error: None,
        restarts: &restarts,
        exits: &BTreeMap::new(),
        progress_deadline_seconds: i32::MAX,
        selector: pass.before.selector.clone(),
        host: super::context::LOCAL_HOST,
        now: pass.ctx.clock.now(),
        // Nobody is late who goes.
        deadline: jiff::Timestamp::MAX,
    };
    let summary = status::summarize(&facts);
    publish::everything(pass, &facts, &summary).await
}

/// Asks the engine once more, past every cache, and takes the finalizer off.
async fn let_go<E: Engine>(pass: &Pass<'_, E>) -> Result<Action, Error> {
    let filter = LabelFilter {
        key: label::UID.to_owned(),
        value: pass.id.owner.uid.clone(),
    };
    let left = pass.ctx.host.engine().list_containers(&filter).await?;
    if !left.is_empty() {
        for one in &left {
            pass.ctx.host.refresh(&one.id).await?;
        }
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    if !without_files(pass).await? {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    pass.id.drop_finalizer(&pass.ctx.client).await?;
    forget(pass);
    Ok(Action::await_change())
}

/// Whether no holder is left, and takes away volumes whose holder went before them, also in a directory of the host.
async fn without_files<E: Engine>(pass: &Pass<'_, E>) -> Result<bool, Error> {
    let engine = pass.ctx.host.engine();
    let filter = LabelFilter {
        key: label::HOLDS_FOR.to_owned(),
        value: pass.id.owner.uid.clone(),
    };
    let holders = engine.list_containers(&filter).await?;
    for one in &holders {
        pass.ctx.host.refresh(&one.id).await?;
    }
    if holders.is_empty() {
        pass.ctx.executor.clear_host(&pass.id.owner).await?;
        for volume in engine.list_volumes(&filter).await? {
            engine.remove_volume(&volume.name).await?;
        }
    }
    Ok(holders.is_empty())
}

/// The user asked us to leave Docker alone: says what is left, and goes.
async fn leave<E: Engine>(pass: &Pass<'_, E>) -> Result<Action, Error> {
    let owner = &pass.id.owner;
    let left = match pass.ctx.host.containers(&owner.namespace) {
        Ok(views) => {
            let names: Vec<String> = views
                .into_iter()
                .filter(|v| owner.owns(&v.labels))
                .map(|v| v.name)
                .collect();
            if names.is_empty() {
                "no container".to_owned()
            } else {
                names.join(", ")
            }
        }
        Err(away) => format!("unknown containers ({away})"),
    };
    let word = if pass.id.force_delete {
        "force-delete"
    } else {
        "deletion-policy: Orphan"
    };
    let note = format!(
        "{word}: deleted without touching Docker; left on the host: {left}; remove with `docker rm -f` or `supercargo \
         prune --orphans`"
    );
    tracing::warn!(namespace = owner.namespace, name = owner.name, "{note}");
    let draft = EventDraft {
        reason: Reason::Killing,
        action: "Delete",
        note: status::events::clip(note, 0),
        related: None,
        key: "left".to_owned(),
    };
    pass.ctx
        .events
        .write(&about(pass), &draft, pass.ctx.clock.now())
        .await;
    pass.id.drop_finalizer(&pass.ctx.client).await?;
    forget(pass);
    Ok(Action::await_change())
}

fn about<E>(pass: &Pass<'_, E>) -> ObjectReference {
    publish::reference(pass)
}

fn forget<E: Engine>(pass: &Pass<'_, E>) {
    let uid = &pass.id.owner.uid;
    pass.ctx.written.forget(uid);
    pass.ctx.failures.clear(uid);
    pass.ctx.moments.forget(uid);
    pass.ctx.asked.forget(uid);
    pass.ctx.checks.forget(uid);
    pass.ctx.executor.watched().forget_owner(uid);
    pass.ctx.agents.forget(&pass.subject());
}
