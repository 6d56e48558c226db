//! Steps 1 to 3 as functions of what they need and of nothing else, so that a reconcile and `supercargo plan` go the same
//! way: guard, resolve, desired; and the memory of restarts. Keeps nothing, writes nothing.
//! Called by [`super::deployment`] with watched stores, and by `cli` with single reads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::context::LOCAL_HOST;
use crate::{
    api::{
        validate::{Policy, Validated, validate},
        violation::{Violation, ViolationKind},
    },
    plan::restart::{Restarts, account},
    secrets::{open::Opener, pull, resolve, source::Source},
    state::{
        build::{self, Settings},
        container::{ContainerId, ContainerView},
        desired::{Blocked, Desired},
        observed::{Observed, Replica},
        owner::Owner,
        resolved::Resolution,
    },
};

/// What is wanted, and how that was found out.
pub struct Wish {
    /// What is wanted of the engine.
    pub desired: Desired,
    /// The object, when it breaks no rule.
    pub valid: Option<Validated>,
    /// The rules that it breaks.
    pub violations: Vec<Violation>,
    /// What became of its references.
    pub resolution: Resolution,
    /// At which time: what is opened for it later is judged by the same.
    pub at: Timestamp,
}

/// What a wish is made with.
pub struct Means<'a> {
    /// What manifests may ask for.
    pub policy: &'a Policy,
    /// What containers get when manifests do not say.
    pub settings: &'a Settings,
    /// Where references are looked up.
    pub source: &'a dyn Source,
    /// Opens what is sealed.
    pub opener: &'a Opener,
    /// Our containers of the namespace: they stand in for a number of replicas that an invalid object does not say.
    pub views: &'a [ContainerView],
    /// The time, for secrets that expire.
    pub now: Timestamp,
}

/// Steps 1 to 3: guard, resolve, desired.
#[must_use]
pub fn wish(owner: Owner, generation: i64, raw: &Value, means: &Means<'_>) -> Wish {
    let (valid, violations) = match validate(raw, means.policy) {
        Ok(valid) => (valid, Vec::new()),
        Err(violations) => {
            let invalid = violations.iter().any(|v| v.kind == ViolationKind::InvalidSpec);
            let why = if invalid {
                Blocked::InvalidSpec
            } else {
                Blocked::PolicyViolation
            };
            let replicas = replicas(&owner, raw, means.views);
            return Wish {
                desired: build::blocked(owner, generation, replicas, why, means.settings),
                valid: None,
                violations,
                resolution: Resolution::default(),
                at: means.now,
            };
        }
    };
    let (source, opener) = (means.source, means.opener);
    let want = resolve::Want::Fingerprints;
    let (mut resolution, _no_bytes) =
        resolve::resolve(&valid.deployment, LOCAL_HOST, source, opener, want, means.now);
    let registry = &valid.parsed.image.registry;
    let credentials = pull::credentials(&valid.deployment, registry, source, opener, means.now);
    resolution.uses.extend(credentials.uses);
    if !credentials.failures.is_empty() {
        resolution.failures.extend(credentials.failures);
        resolution.failures.sort();
        resolution.resolved = None;
    }
    let desired = build::desired(owner, &valid, &resolution, means.settings);
    Wish {
        desired,
        valid: Some(valid),
        violations,
        resolution,
        at: means.now,
    }
}

/// How many replicas an object wants that is invalid in other ways; where it says nothing sensible, those that are there.
fn replicas(owner: &Owner, raw: &Value, views: &[ContainerView]) -> u32 {
    let written = raw.get("spec").filter(|spec| spec.is_object()).map(|spec| {
        let number = spec.get("replicas").map_or(Some(1), Value::as_u64)?;
        u32::try_from(number).ok()
    });
    written.flatten().unwrap_or_else(|| {
        let ours = views.iter().filter(|view| owner.owns(&view.labels));
        ours.map(|view| Replica::of(view.clone()).slot.saturating_add(1))
            .max()
            .unwrap_or_default()
    })
}

/// Brings the memory of restarts up to date with a look; what is not in it yet comes from the status.
pub fn account_restarts(
    observed: &Observed,
    remembered: &BTreeMap<ContainerId, Restarts>,
    restarts: &mut BTreeMap<ContainerId, Restarts>,
) {
    for replica in &observed.replicas {
        let id = &replica.view.id;
        let known = restarts.get(id).or_else(|| remembered.get(id)).copied();
        restarts.insert(id.clone(), account(known.unwrap_or_default(), &replica.view));
    }
}
