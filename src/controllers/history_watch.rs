//! What the API server has of histories, as this process knows it: one watch of our ControllerRevisions, of which it keeps
//! name, number, hash and cause, and not the templates. A watch and not a list at each change, because it costs one request
//! in five minutes and notices what somebody else does. Own writes are in what is known before the watch tells of them.
//! Decides nothing. Started by `run`.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use super::{
    history::{History, Known, read},
    host::Subject,
    streams::{quiet, stopped},
};
use crate::api::keys::label;

impl History {
    /// Follows the histories until told to stop. Without the right to it, or while the API server is away, it tries again.
    pub(super) async fn follow(self: Arc<Self>, api: Api<ControllerRevision>, stop: watch::Receiver<bool>) {
        let events = watcher(api, quiet().labels(label::UID)).default_backoff();
        let mut events = events.take_until(stopped(stop)).boxed();
        let mut listing = Known::new();
        let mut told = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    told = false;
                    let subjects = self.see(event, &mut listing);
                    self.wake(subjects);
                }
                Err(error) => {
                    // Once: it is tried again for as long as it lasts, and nothing but the history waits for it.
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "histories cannot be read, so that none is kept; the operator needs to list and watch controllerrevisions.apps");
                    }
                }
            }
        }
    }

    /// Takes an event in; answers whose history is no longer as it was known.
    fn see(&self, event: watcher::Event<ControllerRevision>, listing: &mut Known) -> Vec<Subject> {
        let mut state = self.lock();
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(revision) => {
                if let Some((uid, kept)) = read(&revision) {
                    let of = listing.entry(uid).or_default();
                    of.insert(kept.entry.name.clone(), kept);
                }
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(listing);
                let before = state.known.replace(listed);
                let mut concerned = std::mem::take(&mut state.waiting);
                let now = state.known.as_ref();
                for (uid, kept) in before.iter().flatten() {
                    if now.and_then(|known| known.get(uid)) != Some(kept) {
                        concerned.extend(kept.values().map(|kept| kept.owner.clone()));
                    }
                }
                return concerned.into_iter().collect();
            }
            watcher::Event::Apply(revision) => {
                if let (Some((uid, kept)), Some(known)) = (read(&revision), state.known.as_mut()) {
                    let of = known.entry(uid).or_default();
                    let name = kept.entry.name.clone();
                    if of
                        .get(&name)
                        .is_some_and(|seen| !is_later(&kept.version, &seen.version))
                    {
                        return Vec::new();
                    }
                    let owner = kept.owner.clone();
                    let before = of.insert(name, kept.clone());
                    if before.is_none_or(|before| before.entry != kept.entry) {
                        return vec![owner];
                    }
                }
            }
            watcher::Event::Delete(revision) => {
                if let (Some((uid, kept)), Some(known)) = (read(&revision), state.known.as_mut()) {
                    return forget(known, &uid, &kept.entry.name).into_iter().collect();
                }
            }
        }
        Vec::new()
    }
}

/// Takes an entry out; answers whose it was if it was still known.
fn forget(known: &mut Known, uid: &str, name: &str) -> Option<Subject> {
    let of: &mut BTreeMap<_, _> = known.get_mut(uid)?;
    let gone = of.remove(name);
    if of.is_empty() {
        known.remove(uid);
    }
    gone.map(|kept| kept.owner)
}

/// Whether a version is later than another one; what is no number is taken for later.
fn is_later(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_as_numbers() {
        assert!(is_later("10", "9") && !is_later("9", "10") && !is_later("9", "9"));
        assert!(is_later("b", "a") && !is_later("a", "a"));
    }

    #[test]
    fn an_entry_is_forgotten_once() {
        let kept = super::super::history::read(&revision("web-1", 1)).unwrap().1;
        let mut known = Known::from([("u".to_owned(), BTreeMap::from([("web-1".to_owned(), kept)]))]);
        assert_eq!(forget(&mut known, "u", "web-2"), None);
        let owner = forget(&mut known, "u", "web-1").unwrap();
        assert_eq!((owner.namespace.as_str(), owner.name.as_str()), ("shop", "web"));
        assert_eq!(forget(&mut known, "u", "web-1"), None);
        assert!(known.is_empty());
    }

    fn revision(name: &str, number: i64) -> ControllerRevision {
        let object = serde_json::json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {
                "name": name, "namespace": "shop", "resourceVersion": "5",
                "ownerReferences": [{
                    "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "name": "web", "uid": "u",
                    "controller": true,
                }],
            },
            "revision": number, "data": {},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_is_nobodys_is_no_entry() {
        let mut orphan = revision("web-1", 1);
        orphan.metadata.owner_references = None;
        assert_eq!(read(&orphan), None);
    }
}
