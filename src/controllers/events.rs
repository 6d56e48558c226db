//! Writes events (events.k8s.io/v1): one per object, reason and key, under a name derived from them, so that a repeat
//! finds its event again, also after a restart. A repeat counts up; it is written after one minute, then after two, up
//! to an hour apart; that a secret expires is said once a day. A failed write loses an event and nothing else.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};

use crate::{
    api::{GROUP, VERSION, condition::Reason, keys::FIELD_MANAGER},
    state::hash,
    status::EventDraft,
};

const FIRST_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// Between two reminders of a date.
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// Older ones are forgotten past this many: a repeat of them is then written at once.
const REMEMBERED: usize = 10_000;

struct Repeat {
    count: i32,
    written: Timestamp,
    interval: SignedDuration,
}

/// Writes events as one reporter.
pub struct EventWriter {
    client: Client,
    reporter: String,
    repeats: Mutex<BTreeMap<String, Repeat>>,
}

impl EventWriter {
    /// A writer; `reporter` names this process, such as its host or pod.
    #[must_use]
    pub fn new(client: Client, reporter: impl Into<String>) -> Self {
        let mut reporter: String = reporter.into();
        reporter.truncate(128);
        Self {
            client,
            reporter,
            repeats: Mutex::default(),
        }
    }

    /// Writes one event about an object, or counts it.
    pub async fn write(&self, about: &ObjectReference, draft: &EventDraft, now: Timestamp) {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let name = name(about, draft);
        let Some(count) = self.due(&format!("{namespace}/{name}"), draft.reason, now) else {
            return;
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let event = self.event(about, draft, &name, now);
        let result = match api.create(&PostParams::default(), &event).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                repeat(&api, &name, count, now).await
            }
            other => other.map(|_| ()),
        };
        if let Err(error) = result {
            tracing::debug!(%error, event = name, "an event was not written");
        }
    }

    /// The number of this occurrence if it is to be written now.
    fn due(&self, key: &str, reason: Reason, now: Timestamp) -> Option<i32> {
        let (first, longest) = intervals(reason);
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if repeats.len() >= REMEMBERED {
            repeats.retain(|_, r| now.duration_since(r.written) < LONGEST_INTERVAL.max(r.interval));
        }
        match repeats.get_mut(key) {
            None => {
                repeats.insert(
                    key.to_owned(),
                    Repeat {
                        count: 1,
                        written: now,
                        interval: first,
                    },
                );
                Some(1)
            }
            Some(repeat) => {
                repeat.count = repeat.count.saturating_add(1);
                if now.duration_since(repeat.written) < repeat.interval {
                    return None;
                }
                repeat.written = now;
                repeat.interval = (repeat.interval * 2).min(longest);
                Some(repeat.count)
            }
        }
    }

    fn event(&self, about: &ObjectReference, draft: &EventDraft, name: &str, now: Timestamp) -> Event {
        let related = draft.related.as_ref().map(|related| ObjectReference {
            api_version: Some(match related.kind {
                crate::api::reference::SecretKind::DockerSecret => format!("{GROUP}/{VERSION}"),
                crate::api::reference::SecretKind::Secret => "v1".to_owned(),
            }),
            kind: Some(related.kind.as_str().to_owned()),
            namespace: Some(related.namespace.clone()),
            name: Some(related.name.clone()),
            ..ObjectReference::default()
        });
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(draft.action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(draft.note.clone()),
            reason: Some(draft.reason.as_str().to_owned()),
            regarding: Some(about.clone()),
            related,
            reporting_controller: Some(format!("{GROUP}/{FIELD_MANAGER}")),
            reporting_instance: Some(self.reporter.clone()),
            type_: Some(
                if draft.reason.is_warning() {
                    "Warning"
                } else {
                    "Normal"
                }
                .to_owned(),
            ),
            ..Event::default()
        }
    }
}

/// The shortest and the longest time between two writes of one event.
fn intervals(reason: Reason) -> (SignedDuration, SignedDuration) {
    match reason {
        Reason::SecretExpiring | Reason::SecretExpired => (DAILY, DAILY),
        _ => (FIRST_INTERVAL, LONGEST_INTERVAL),
    }
}

/// The note is part of the name: the API server lets nobody change the note of an event.
fn name(about: &ObjectReference, draft: &EventDraft) -> String {
    let uid = about.uid.as_deref().unwrap_or_default();
    let digest = hash::hex(&[uid, draft.reason.as_str(), &draft.key, &draft.note], 16);
    let object = about.name.as_deref().unwrap_or_default();
    let kept: String = object.chars().take(253 - 17).collect();
    format!("{kept}.{digest}")
}

async fn repeat(api: &Api<Event>, name: &str, count: i32, now: Timestamp) -> kube::Result<()> {
    let written = api.get(name).await?.series.map_or(1, |series| series.count);
    let series = EventSeries {
        count: written.saturating_add(1).max(count).max(2),
        last_observed_time: MicroTime(now),
    };
    let patch = serde_json::json!({ "series": series });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map(|_| ())
}
