//! Which of several operators works: the one that holds a Lease, as client-go's leader election has it
//! (`k8s.io/client-go/tools/leaderelection`). Owns asking for it, renewing it and giving it back; what may be done with
//! it is the [`Term`]'s. A rival's lease is judged by our own stopwatch, from when we saw it last change: clocks of two
//! machines need not agree. Called by `cli`.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, timeout};

use super::describe::describe;
use crate::{clock::Clock, engine::Term};

/// The name of the Lease, in the operator's namespace.
pub const LEASE: &str = "supercargo-controller";

/// How long things take. Docker knows no fencing: a change that began right before the term's end may go on until the
/// engine's time for one call (30 s) is over, and a rival must not begin before that. So `lease - renew` is longer.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long a lease must not have changed before somebody else takes it.
    pub lease: Duration,
    /// How long after the last renewal a leader may act.
    pub renew: Duration,
    /// How often a leader renews, and the others look.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            renew: Duration::from_secs(25),
            retry: Duration::from_secs(2),
        }
    }
}

/// Asks for the Lease.
pub struct Election {
    leases: Api<Lease>,
    /// Of this process: no other one, also not the one before it on this machine, may have it.
    me: String,
    clock: Arc<dyn Clock>,
    times: Times,
    term: Term,
}

/// The Lease is ours, as of this version.
pub struct Held(Lease);

/// A rival's lease, and since when it has not changed.
struct Seen {
    holder: String,
    version: Option<String>,
    since: Instant,
}

/// What to do about a lease that was found.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Take,
    StandBy,
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// `unchanged`: for how long the lease has been as it is.
fn step(found: Option<&Lease>, unchanged: Duration, times: &Times) -> Step {
    let Some(lease) = found else {
        return Step::Create;
    };
    // A rival that says that it takes longer is given as long.
    let said = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let said = Duration::from_secs(said.and_then(|s| u64::try_from(s).ok()).unwrap_or(0));
    if holder(lease).is_empty() || unchanged >= said.max(times.lease) {
        Step::Take
    } else {
        Step::StandBy
    }
}

impl Election {
    /// For the Lease in `namespace`. While it is held, `term` runs.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        me: String,
        clock: Arc<dyn Clock>,
        times: Times,
        term: Term,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            me,
            clock,
            times,
            term,
        }
    }

    /// Waits until the Lease is ours.
    pub async fn win(&self) -> Held {
        let mut seen: Option<Seen> = None;
        loop {
            let asked = Instant::now();
            match self.try_once(&mut seen).await {
                Ok(Some(lease)) => {
                    self.term.extend(asked + self.times.renew);
                    tracing::info!(lease = LEASE, identity = self.me, "this operator leads");
                    return Held(lease);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    lease = LEASE,
                    error = describe(&error),
                    "the lease cannot be had; it is tried again: check that the operator's account may get, create and \
                     update leases in its namespace"
                ),
            }
            sleep(self.times.retry).await;
        }
    }

    /// Renews it for as long as that goes; then the term is over, and the text says why.
    pub async fn keep(&self, held: &mut Held) -> String {
        let why = self.renew_on(held).await;
        self.term.end();
        why
    }

    /// Lets it go, so that a rival need not wait. To be called when nothing of ours changes anything any more.
    pub async fn release(&self, held: Held) {
        self.term.end();
        let mut lease = held.0;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(self.clock.now()));
        let how = PostParams::default();
        let released = self.leases.replace(LEASE, &how, &lease);
        // A rival takes it in a minute all the same.
        match timeout(self.times.retry, released).await {
            Ok(Ok(_)) => tracing::info!(lease = LEASE, "the lease is given back"),
            Ok(Err(error)) => tracing::warn!(error = describe(&error), "the lease could not be given back"),
            Err(_) => tracing::warn!("the lease could not be given back in time"),
        }
    }

    async fn renew_on(&self, held: &mut Held) -> String {
        let mut renewed = Instant::now();
        loop {
            sleep(self.times.retry).await;
            let asked = Instant::now();
            let left = (renewed + self.times.renew).saturating_duration_since(asked);
            if left.is_zero() {
                return format!("it could not be renewed for {} s", self.times.renew.as_secs());
            }
            match timeout(left, self.renew(held)).await {
                Ok(Ok(true)) => {
                    renewed = asked;
                    self.term.extend(asked + self.times.renew);
                }
                Ok(Ok(false)) => return format!("{} holds it", holder(&held.0)),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = describe(&error),
                        "the lease could not be renewed; it is tried again"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Whether it is still ours, renewed.
    async fn renew(&self, held: &mut Held) -> kube::Result<bool> {
        let wanted = self.filled(held.0.clone(), false);
        match self.leases.replace(LEASE, &PostParams::default(), &wanted).await {
            Ok(lease) => held.0 = lease,
            // Also when an answer was lost: then what is there is our own.
            Err(kube::Error::Api(refused)) if refused.is_conflict() || refused.is_not_found() => {
                match self.leases.get_opt(LEASE).await? {
                    Some(lease) => held.0 = lease,
                    None => held.0.spec.get_or_insert_default().holder_identity = None,
                }
                if holder(&held.0) == self.me {
                    return Box::pin(self.renew(held)).await;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(holder(&held.0) == self.me)
    }

    async fn try_once(&self, seen: &mut Option<Seen>) -> kube::Result<Option<Lease>> {
        let found = self.leases.get_opt(LEASE).await?;
        let unchanged = found.as_ref().map_or(Duration::ZERO, |lease| look(seen, lease));
        let took = match (step(found.as_ref(), unchanged, &self.times), found) {
            (Step::StandBy, _) => return Ok(None),
            (_, None) => {
                let new = Lease {
                    metadata: ObjectMeta {
                        name: Some(LEASE.to_owned()),
                        ..ObjectMeta::default()
                    },
                    spec: None,
                };
                let new = self.filled(new, true);
                self.leases.create(&PostParams::default(), &new).await
            }
            (_, Some(lease)) => {
                let ours = self.filled(lease, true);
                self.leases.replace(LEASE, &PostParams::default(), &ours).await
            }
        };
        match took {
            Ok(lease) => Ok(Some(lease)),
            // Somebody else was faster.
            Err(kube::Error::Api(refused)) if refused.is_conflict() || refused.is_already_exists() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The lease as ours. Its version stays, as a precondition.
    fn filled(&self, lease: Lease, new: bool) -> Lease {
        let now = MicroTime(self.clock.now());
        let before = lease.spec.unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0);
        let changes = new && lease.metadata.resource_version.is_some();
        Lease {
            metadata: lease.metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(self.times.lease.as_secs()).ok(),
                acquire_time: if new {
                    Some(now.clone())
                } else {
                    before.acquire_time
                },
                renew_time: Some(now),
                lease_transitions: Some(transitions.saturating_add(i32::from(changes))),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// For how long a lease has been as it is, as far as we have seen.
fn look(seen: &mut Option<Seen>, lease: &Lease) -> Duration {
    let version = &lease.metadata.resource_version;
    match seen {
        Some(seen) if seen.version == *version => seen.since.elapsed(),
        _ => {
            let holder = holder(lease).to_owned();
            if seen.as_ref().is_none_or(|seen| seen.holder != holder) && !holder.is_empty() {
                tracing::info!(
                    lease = LEASE,
                    leader = holder,
                    "another operator leads; this one stands by"
                );
            }
            *seen = Some(Seen {
                holder,
                version: version.clone(),
                since: Instant::now(),
            });
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, seconds: i32) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(seconds),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    #[test]
    fn a_lease_is_taken_when_nobody_has_it_or_when_it_stood_still_for_long() {
        let times = Times::default();
        let after = |lease: &Lease, seconds| step(Some(lease), Duration::from_secs(seconds), &times);
        assert_eq!(step(None, Duration::ZERO, &times), Step::Create);
        assert_eq!(after(&Lease::default(), 0), Step::Take);
        assert_eq!(after(&lease("", 1), 0), Step::Take);
        assert_eq!(after(&lease("x", 60), 59), Step::StandBy);
        assert_eq!(after(&lease("x", 60), 60), Step::Take);
        assert_eq!(
            after(&lease("x", 1), 2),
            Step::StandBy,
            "shorter than ours counts as ours"
        );
        assert_eq!(after(&lease("x", 120), 119), Step::StandBy);
        assert_eq!(after(&lease("x", -5), 60), Step::Take);
    }

    #[test]
    fn a_change_that_began_in_time_ends_before_a_rival_begins() {
        let times = Times::default();
        let longest_call = Duration::from_secs(30);
        assert!(times.renew + longest_call < times.lease);
        assert!(times.retry * 5 < times.renew);
    }
}
