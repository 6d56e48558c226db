//! What the status of a deployment remembers of its containers, so that a restart of the operator forgets neither how often
//! one was restarted nor that it was ready. Pure. Called by `controllers` and `cli` before a decision.

use std::collections::BTreeMap;

use crate::{
    api::status::{DockerDeploymentStatus, InstanceStatus},
    plan::restart::Restarts,
    state::{
        container::ContainerId,
        observed::{Known, Observed, Replica},
        probe::Health,
    },
};

fn kept<'a>(status: &'a DockerDeploymentStatus, id: &ContainerId) -> Option<&'a InstanceStatus> {
    let mut all = status.instances.iter();
    all.find(|one| one.container_id.as_deref() == Some(id.short()))
}

/// What the status remembers of restarts, by container.
#[must_use]
pub fn remembered(status: &DockerDeploymentStatus, observed: &Observed) -> BTreeMap<ContainerId, Restarts> {
    let recall = |replica: &Replica| {
        let id = replica.view.id.clone();
        let kept = kept(status, &id)?;
        let restarts = Restarts {
            total: u32::try_from(kept.restarts).unwrap_or_default(),
            streak: u32::try_from(kept.failures).unwrap_or_default(),
            started_at: kept.started_at.as_ref().map(|t| t.0),
            ended_at: kept.last_exit.as_ref().and_then(|e| e.time.as_ref()).map(|t| t.0),
        };
        Some((id, restarts))
    };
    observed.replicas.iter().filter_map(recall).collect()
}

/// What the status remembers of health, by container: who was ready is so until somebody says otherwise.
#[must_use]
pub fn remembered_health(
    status: &DockerDeploymentStatus,
    observed: &Observed,
) -> BTreeMap<ContainerId, Known> {
    let recall = |replica: &Replica| {
        let id = replica.view.id.clone();
        let kept = kept(status, &id)?;
        let started_at = replica.view.started_at?;
        // The status keeps microseconds.
        let same = kept.started_at.as_ref()?.0.as_microsecond() == started_at.as_microsecond();
        (same && kept.ready).then(|| {
            let ready_since = kept.ready_since.as_ref().map_or(started_at, |t| t.0);
            let health = Health {
                started: true,
                ready: true,
                ready_since: Some(ready_since),
                alive: true,
                message: String::new(),
            };
            (id, Known { started_at, health })
        })
    };
    observed.replicas.iter().filter_map(recall).collect()
}
