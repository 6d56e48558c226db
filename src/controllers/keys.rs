//! What the keys of the ring are used for: sealed values of all watched namespaces, counted by key, the age of each key, and
//! a reminder when the primary one is due for renewal. Gauges are made when they are read, so nothing is counted in between.
//! Renews nothing by itself. Called by [`super::run`]; [`super::ring`] asks which keys are named.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::watch;

use super::{context::Ring as Current, events::EventWriter, watched::Shelf};
use crate::{
    api::{DockerSecret, condition::Reason, keys::PUBLIC_KEYS_CONFIG_MAP},
    clock::Clock,
    seal::{Envelope, KeyState, Kid, Ring},
    status::EventDraft,
    telemetry::metrics::Metrics,
};

/// When a key is due for renewal: 90 days.
const DUE: i64 = 90 * 24 * 3_600;
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(3_600);

type Shelves = Vec<Arc<Shelf<DockerSecret>>>;

/// The sealed secrets of every namespace that is watched.
#[derive(Default)]
pub struct Sealed {
    shelves: Mutex<Shelves>,
    /// What was parsed before, by uid and resource version.
    kids: Mutex<BTreeMap<(String, String), Vec<Kid>>>,
}

impl Sealed {
    /// Adds the secrets of one watch. All are to be added before anybody waits.
    pub(super) fn add(&self, shelf: Arc<Shelf<DockerSecret>>) {
        self.shelves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(shelf);
    }

    fn shelves(&self) -> Shelves {
        self.shelves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until all of them have been listed.
    pub(super) async fn wait(&self) {
        for shelf in self.shelves() {
            shelf.wait().await;
        }
    }

    /// How many values are sealed to each key.
    pub(super) fn counts(&self) -> BTreeMap<Kid, i64> {
        let mut counts = BTreeMap::new();
        let mut known = self.kids.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeMap::new();
        for secret in self.shelves().iter().flat_map(|shelf| shelf.all()) {
            let meta = &secret.metadata;
            let id = (
                meta.uid.clone().unwrap_or_default(),
                meta.resource_version.clone().unwrap_or_default(),
            );
            let kids = known.remove(&id).unwrap_or_else(|| kids_of(&secret));
            for kid in &kids {
                *counts.entry(*kid).or_default() += 1;
            }
            now.insert(id, kids);
        }
        *known = now;
        counts
    }

    /// When secrets expire, in seconds since 1970, by namespace and name; those that say it.
    fn ends(&self) -> Vec<((String, String), i64)> {
        let shelves = self.shelves();
        let secrets = shelves.iter().flat_map(|shelf| shelf.all());
        let end = |secret: Arc<DockerSecret>| {
            let end = secret.spec.not_after.as_ref()?.0.as_second();
            let namespace = secret.metadata.namespace.clone().unwrap_or_default();
            Some(((namespace, secret.metadata.name.clone().unwrap_or_default()), end))
        };
        secrets.filter_map(end).collect()
    }

    /// The keys that sealed values name.
    pub(super) fn kids(&self) -> BTreeSet<Kid> {
        self.counts().into_keys().collect()
    }
}

fn kids_of(secret: &DockerSecret) -> Vec<Kid> {
    let texts = secret.spec.encrypted_data.values();
    texts
        .filter_map(|text| Some(text.parse::<Envelope>().ok()?.kid()))
        .collect()
}

/// Brings the gauges of keys and of dates up to date. A key that the ring lacks is `unknown`; without a ring, all are.
pub(super) fn gauge(metrics: &Metrics, sealed: &Sealed, current: &Current, clock: &dyn Clock) {
    metrics.secrets_not_after(sealed.ends().into_iter());
    let opener = current.opener();
    let ring = opener.ring().ok();
    let state = |kid: Kid| match ring.and_then(|ring| ring.member(kid)) {
        Some(member) => member.state().word(),
        None => "unknown",
    };
    let mut counts = sealed.counts();
    // A key that nothing names is told as 0: that is what permits to destroy it.
    for member in ring.iter().flat_map(|ring| ring.members()) {
        counts.entry(member.kid()).or_default();
    }
    metrics.sealed_values(
        counts
            .into_iter()
            .map(|(kid, count)| ((kid.to_string(), state(kid)), count)),
    );
    let now = clock.now().as_second();
    let members = || ring.iter().flat_map(|ring| ring.members());
    let usable = members().filter(|m| m.state().opens());
    metrics.key_ages(usable.map(|m| (m.kid().to_string(), now - m.created().as_second())));
    let dated = members().filter_map(|m| Some((m.kid(), m.backed_up()?)));
    metrics.key_backup_ages(dated.map(|(kid, at)| (kid.to_string(), now - at.as_second())));
}

/// What is told about a primary key that is older than 90 days.
fn due(ring: &Ring, now: jiff::Timestamp) -> Option<String> {
    let primary = ring.member(ring.primary())?;
    let age = now.as_second() - primary.created().as_second();
    if age < DUE {
        return None;
    }
    let next = match ring.members().find(|m| m.state() == KeyState::Pending) {
        Some(pending) => format!(
            "key {} is pending: `supercargo keys backup`, then `supercargo keys promote`",
            pending.kid()
        ),
        None => "`supercargo keys renew` makes another one".to_owned(),
    };
    // Whole months, so that the note, and with it the event, stays the same for a while.
    let days = age / 86_400 / 30 * 30;
    Some(format!(
        "the key {} to which values are sealed is over {days} days old; {next}",
        primary.kid()
    ))
}

/// Whom to remind, and of what.
pub(super) struct Reminder {
    /// Client of the API server.
    pub(super) client: Client,
    /// Names this process in events.
    pub(super) reporter: String,
    /// The operator's namespace.
    pub(super) namespace: String,
    /// The ring.
    pub(super) current: Arc<Current>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
}

impl Reminder {
    /// Reminds until there are no changes of the ring to hear of any more. The event is about the ConfigMap of public keys,
    /// which is there wherever the ring is kept.
    pub(super) async fn run(self, mut changes: watch::Receiver<u64>) {
        let events = EventWriter::new(self.client, self.reporter);
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("ConfigMap".to_owned()),
            namespace: Some(self.namespace),
            name: Some(PUBLIC_KEYS_CONFIG_MAP.to_owned()),
            ..ObjectReference::default()
        };
        loop {
            let (opener, now) = (self.current.opener(), self.clock.now());
            if let Some(note) = opener.ring().ok().and_then(|ring| due(ring, now)) {
                tracing::warn!(note, "the key ring should be renewed");
                let draft = EventDraft {
                    reason: Reason::KeyRenewalDue,
                    action: "Renew",
                    note,
                    related: None,
                    key: String::new(),
                };
                events.write(&about, &draft, now).await;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SystemEntropy;

    fn at(day: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(day * 86_400).unwrap()
    }

    #[test]
    fn a_key_is_due_after_ninety_days_and_a_renewed_one_is_not() {
        let mut ring = Ring::generate(at(0), &mut SystemEntropy).unwrap();
        assert_eq!(due(&ring, at(89)), None);
        let note = due(&ring, at(90)).unwrap();
        assert!(
            note.contains(&ring.primary().to_string()) && note.contains("over 90 days"),
            "{note}"
        );
        assert!(note.contains("keys renew"), "{note}");
        assert_eq!(
            due(&ring, at(119)).unwrap(),
            note,
            "the note does not change every day"
        );
        let pending = ring.renew(at(91), &mut SystemEntropy).unwrap();
        let note = due(&ring, at(91)).unwrap();
        assert!(
            note.contains(&pending.to_string()) && note.contains("keys promote"),
            "{note}"
        );
        ring.promote(pending).unwrap();
        assert_eq!(due(&ring, at(92)), None);
    }
}
