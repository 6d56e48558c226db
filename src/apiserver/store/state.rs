//! What is in memory and visible: objects by resource, what happened to them, and the revision of it all.
//! Owns reading, also as of an older revision. Pure: no lock, no waiting, no disk.
//! Changed by the writer alone, after the commit; read by `Store` and `Watch` under a lock that is held briefly.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    Page, Range, RevisionError,
    history::{History, Logged},
    record::{ByKey, Event, Record},
};
use crate::apiserver::names::{GroupResource, Key};

/// The revision of a store in which nothing ever was: 0 and 1 have meanings of their own to clients.
pub(super) const FIRST: u64 = 2;

/// Everything visible.
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) history: History,
    resources: BTreeMap<GroupResource, Resource>,
    /// Weight of all objects.
    pub(super) weight: usize,
    /// Whether more can happen.
    pub(super) open: bool,
}

/// The objects of one resource.
struct Resource {
    objects: BTreeSet<ByKey>,
    /// The part of the history that is about them.
    events: VecDeque<Arc<Event>>,
    /// The newest of its events that are forgotten; 0 when none is.
    forgotten: u64,
    /// Wakes its watches and no others.
    wake: watch::Sender<()>,
}

impl Resource {
    fn new() -> Self {
        Self {
            objects: BTreeSet::new(),
            events: VecDeque::new(),
            forgotten: 0,
            wake: watch::Sender::new(()),
        }
    }

    /// Its events after `revision`.
    fn events_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Event>> {
        let from = self.events.partition_point(|event| event.revision <= revision);
        self.events.range(from..)
    }
}

impl State {
    /// A state with these objects, and then with what happened lately. `events` are in order, without gaps, and lead
    /// to these objects.
    pub(super) fn new(revision: u64, objects: Vec<Arc<Record>>, events: Vec<Logged>) -> Self {
        let mut state = Self {
            revision,
            history: History::default(),
            resources: BTreeMap::new(),
            weight: objects.iter().map(|record| record.weight()).sum(),
            open: true,
        };
        // Sets are built from sorted runs, much faster than one by one.
        for run in objects.chunk_by(|a, b| a.key.of == b.key.of) {
            let mut set = run.iter().cloned().map(ByKey).collect();
            state.resource(&run[0].key.of).objects.append(&mut set);
        }
        for logged in events {
            state.remember(logged);
        }
        state
    }

    fn resource(&mut self, of: &GroupResource) -> &mut Resource {
        // Not `entry`, which wants a key of its own.
        if !self.resources.contains_key(of) {
            self.resources.insert(of.clone(), Resource::new());
        }
        match self.resources.get_mut(of) {
            Some(resource) => resource,
            None => unreachable!("put there two lines above"),
        }
    }

    fn remember(&mut self, logged: Logged) {
        if let Some(key) = logged.event.key() {
            let of = key.of.clone();
            self.resource(&of).events.push_back(logged.event.clone());
            self.history.push(logged);
        }
    }

    /// The revision from which watches and lists are possible.
    pub(super) fn oldest(&self) -> u64 {
        self.history.first().map_or(self.revision, |first| first - 1)
    }

    /// Whether everything after `asked` is known.
    pub(super) fn known(&self, asked: u64) -> Result<(), RevisionError> {
        let (oldest, current) = (self.oldest(), self.revision);
        if asked > current {
            Err(RevisionError::Future { asked, current })
        } else if asked < oldest {
            Err(RevisionError::Expired { asked, oldest })
        } else {
            Ok(())
        }
    }

    /// The newest version of an object.
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Record>> {
        self.resources
            .get(&key.of)?
            .objects
            .get(key)
            .map(|found| &found.0)
    }

    /// Makes `events` visible and forgets what is not after `forget`; answers whom to wake.
    pub(super) fn publish(&mut self, events: Vec<Logged>, forget: u64) -> Vec<watch::Sender<()>> {
        let mut touched: BTreeMap<GroupResource, watch::Sender<()>> = BTreeMap::new();
        for logged in events {
            self.revision = logged.event.revision;
            self.apply(&logged.event);
            if let Some(key) = logged.event.key()
                && !touched.contains_key(&key.of)
            {
                touched.insert(key.of.clone(), self.resource(&key.of).wake.clone());
            }
            self.remember(logged);
        }
        while let Some(event) = self.history.pop_up_to(forget) {
            if let Some(key) = event.key() {
                let resource = self.resource(&key.of);
                resource.events.pop_front();
                resource.forgotten = event.revision;
            }
        }
        touched.into_values().collect()
    }

    fn apply(&mut self, event: &Event) {
        self.weight += event.record.as_ref().map_or(0, |record| record.weight());
        self.weight -= event.previous.as_ref().map_or(0, |record| record.weight());
        match (&event.record, &event.previous) {
            (Some(record), _) => {
                _ = self
                    .resource(&record.key.of)
                    .objects
                    .replace(ByKey(record.clone()))
            }
            (None, Some(gone)) => _ = self.resource(&gone.key.of).objects.remove(&gone.key),
            (None, None) => {}
        }
    }

    /// A page of objects, now or as of `at`.
    pub(super) fn list(&self, range: &Range, at: Option<u64>, limit: usize) -> Result<Page, RevisionError> {
        let revision = at.unwrap_or(self.revision);
        self.known(revision)?;
        let mut page = Page {
            records: Vec::new(),
            revision,
            remaining: 0,
        };
        let Some(resource) = self.resources.get(&range.of) else {
            return Ok(page);
        };
        let from = begin(range);
        // Undoes what happened since: the first event of each object says what it was.
        let mut undone: BTreeMap<&Key, Option<&Arc<Record>>> = BTreeMap::new();
        for event in resource.events_after(revision) {
            if let Some(key) = event.key().filter(|key| contains(range, &from, key)) {
                undone.entry(key).or_insert(event.previous.as_ref());
            }
        }
        let now = resource
            .objects
            .range::<Key, _>((from.as_ref(), Bound::Unbounded))
            .map(|found| &found.0)
            .take_while(|record| {
                range
                    .namespace
                    .as_ref()
                    .is_none_or(|ns| *ns == record.key.namespace)
            });
        if undone.is_empty() {
            fill(&mut page, now, limit);
        } else {
            let unchanged = now.filter(|record| !undone.contains_key(&record.key));
            let then = undone.values().copied().flatten();
            fill(&mut page, merge(unchanged, then), limit);
        }
        Ok(page)
    }

    /// Where a watch of `of` waits.
    pub(super) fn waiting_room(&mut self, of: &GroupResource) -> watch::Receiver<()> {
        self.resource(of).wake.subscribe()
    }

    /// The next event of `of` after `position`, in `namespace` if one is given.
    ///
    /// # Errors
    /// Some of them are forgotten. Those of other resources do not count.
    pub(super) fn next_event(
        &self,
        of: &GroupResource,
        namespace: Option<&str>,
        position: u64,
    ) -> Result<Option<Arc<Event>>, RevisionError> {
        let Some(resource) = self.resources.get(of) else {
            return Ok(None);
        };
        if position < resource.forgotten {
            return Err(RevisionError::Expired {
                asked: position,
                oldest: self.oldest(),
            });
        }
        let wanted = |key: &Key| namespace.is_none_or(|ns| ns == &*key.namespace);
        let mut after = resource.events_after(position);
        Ok(after.find(|event| event.key().is_some_and(wanted)).cloned())
    }

    /// Everybody who may wait.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &watch::Sender<()>> {
        self.resources.values().map(|resource| &resource.wake)
    }
}

/// Where a range begins.
fn begin(range: &Range) -> Bound<Key> {
    let key = |namespace: &Arc<str>, name: &Arc<str>| Key {
        of: range.of.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
    };
    let first = key(&range.namespace.clone().unwrap_or_default(), &Arc::default());
    match &range.after {
        Some((namespace, name)) if key(namespace, name) >= first => Bound::Excluded(key(namespace, name)),
        _ => Bound::Included(first),
    }
}

fn contains(range: &Range, from: &Bound<Key>, key: &Key) -> bool {
    let begun = match from {
        Bound::Included(first) => key >= first,
        Bound::Excluded(last) => key > last,
        Bound::Unbounded => true,
    };
    begun && range.namespace.as_ref().is_none_or(|ns| *ns == key.namespace)
}

fn fill<'a>(page: &mut Page, mut records: impl Iterator<Item = &'a Arc<Record>>, limit: usize) {
    let most = if limit == 0 { usize::MAX } else { limit };
    page.records = records.by_ref().take(most).cloned().collect();
    page.remaining = records.count();
}

/// Two sequences in order of keys as one.
fn merge<'a>(
    a: impl Iterator<Item = &'a Arc<Record>>,
    b: impl Iterator<Item = &'a Arc<Record>>,
) -> impl Iterator<Item = &'a Arc<Record>> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x.key > y.key => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
