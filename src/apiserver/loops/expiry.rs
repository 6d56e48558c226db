//! Removes events that were not seen for a while, as a cluster does by leases of its store. Owns their order in time;
//! how long is an option. Straight on the store: an event has no finalizers and no dependents to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::feed::{Feed, News};
use crate::apiserver::{
    names::{GroupResource, Key},
    object,
    store::Record,
    verbs::Api,
};

/// After a write that the store refused.
const RETRY: Duration = Duration::from_secs(10);

/// Runs until it is dropped.
pub(super) async fn run(api: Api, ttl: Duration) {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::from_hours(1));
    let mut feed = Feed::new(api.store.clone());
    feed.follow(&GroupResource::new("", "events"));
    let mut queue = Queue::default();
    loop {
        let now = api.clock.now();
        let mut refused = false;
        while let Some(key) = queue.due(now, ttl) {
            if !expire(&api, &key, now, ttl).await {
                refused = true;
                break;
            }
            queue.forget(&key);
        }
        let pause = if refused {
            Some(RETRY)
        } else {
            queue.pause(now, ttl)
        };
        let wait = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = feed.next() => match news {
                Some(News::Listed(_, records)) => {
                    queue = Queue::default();
                    for record in &records {
                        note(&api, &mut queue, record);
                    }
                }
                Some(News::Changed(event)) => match (&event.record, &event.previous) {
                    (Some(record), _) => note(&api, &mut queue, record),
                    (None, Some(previous)) => queue.forget(&previous.key),
                    (None, None) => {}
                },
                None => return,
            },
            () = wait => {}
        }
    }
}

fn note(api: &Api, queue: &mut Queue, record: &Record) {
    if let Ok(event) = api.store.object(record) {
        queue.note(&record.key, last_seen(&event).unwrap_or_else(|| api.clock.now()));
    }
}

/// Whether it is settled: removed, gone already, or seen again meanwhile.
async fn expire(api: &Api, key: &Key, now: Timestamp, ttl: SignedDuration) -> bool {
    let Some(record) = api.store.get(key) else {
        return true;
    };
    let fresh = api
        .store
        .object(&record)
        .ok()
        .and_then(|event| last_seen(&event))
        .is_some_and(|seen| seen + ttl > now);
    if fresh {
        return true;
    }
    match api.store.delete(key.clone(), record.revision).await {
        Ok(_) | Err(crate::apiserver::store::WriteError::Changed(_)) => true,
        Err(_) => false,
    }
}

/// The newest of the times in an event.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = [
        Some(object::meta(event, "creationTimestamp")),
        event.get("lastTimestamp").and_then(Value::as_str),
        event.get("eventTime").and_then(Value::as_str),
        event.pointer("/series/lastObservedTime").and_then(Value::as_str),
    ];
    times
        .into_iter()
        .flatten()
        .filter_map(|text| text.parse().ok())
        .max()
}

/// Events by the time when they were last seen.
#[derive(Debug, Default)]
struct Queue {
    by_time: BTreeSet<(Timestamp, Key)>,
    times: BTreeMap<Key, Timestamp>,
}

impl Queue {
    fn note(&mut self, key: &Key, seen: Timestamp) {
        self.forget(key);
        self.by_time.insert((seen, key.clone()));
        self.times.insert(key.clone(), seen);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(seen) = self.times.remove(key) {
            self.by_time.remove(&(seen, key.clone()));
        }
    }

    /// The oldest, if its time has come.
    fn due(&self, now: Timestamp, ttl: SignedDuration) -> Option<Key> {
        let (seen, key) = self.by_time.first()?;
        (now.duration_since(*seen) >= ttl).then(|| key.clone())
    }

    /// How long until the oldest is due.
    fn pause(&self, now: Timestamp, ttl: SignedDuration) -> Option<Duration> {
        let (seen, _) = self.by_time.first()?;
        let left = ttl - now.duration_since(*seen);
        // At least a moment: a clock that stands still must not make this spin.
        Some(
            Duration::try_from(left)
                .unwrap_or_default()
                .max(Duration::from_millis(100)),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_newest_time_of_an_event_counts() {
        let event = json!({"metadata": {"creationTimestamp": "1970-01-01T00:00:10Z"},
            "series": {"lastObservedTime": "1970-01-01T00:01:00.000000Z"}, "eventTime": null});
        assert_eq!(last_seen(&event), Some(at(60)));
        assert_eq!(last_seen(&json!({"metadata": {}})), None);
    }

    #[test]
    fn an_event_is_due_after_its_time_and_again_after_it_was_seen_again() {
        let key = Key::new(&GroupResource::new("", "events"), "a", "x");
        let ttl = SignedDuration::from_secs(10);
        let mut queue = Queue::default();
        queue.note(&key, at(0));
        assert_eq!(queue.due(at(9), ttl), None);
        assert_eq!(queue.due(at(10), ttl), Some(key.clone()));
        queue.note(&key, at(5));
        assert_eq!(queue.due(at(10), ttl), None);
        assert_eq!(queue.pause(at(10), ttl), Some(Duration::from_secs(5)));
        queue.forget(&key);
        assert!(queue.by_time.is_empty() && queue.pause(at(10), ttl).is_none());
    }
}
