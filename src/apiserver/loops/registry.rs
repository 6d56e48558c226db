//! Keeps the set of kinds in step with the CRD objects, and the CRD objects in step with what is served: accepted names,
//! `Established` only once the kind is served, instances deleted before their CRD. Owns the set and its edition.
//! What a CRD means is `kinds::custom`'s. [`Registry::load`] runs before the first request.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::watch;

use super::{feed::Feed, user, writing};
use crate::apiserver::{
    kinds::{Kind, Kinds, custom},
    names::{GroupResource, Key},
    object, schema,
    status::{Result, Status},
    store::{Range, Record},
    verbs::{Api, Deletion, Propagation},
};

/// After a write that the store refused.
const RETRY: Duration = Duration::from_secs(1);
/// Of a kind that is being removed: upstream's, without those that make or change.
const ENDING: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];

/// The resource of CRDs.
fn resource() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// What kinds are made from: the generation of a CRD, and whether it is being deleted, which is none.
type Made = (i64, bool);

/// What is served, and what it was made from.
pub struct Registry {
    api: Api,
    built_in: Vec<Arc<Kind>>,
    editions: watch::Sender<u64>,
    /// By CRD: its revision's schema, parsed. Statuses change more often than schemas.
    parsed: BTreeMap<Key, (Made, Vec<Arc<Kind>>)>,
}

impl Registry {
    /// Serves the built-in kinds and what the CRDs in the store establish.
    ///
    /// # Errors
    /// A CRD that cannot be read.
    pub fn load(api: Api, built_in: Vec<Kind>) -> (Self, watch::Receiver<u64>) {
        let (editions, watching) = watch::channel(1);
        let built_in = built_in.into_iter().map(Arc::new).collect();
        let mut made = Self {
            api,
            built_in,
            editions,
            parsed: BTreeMap::new(),
        };
        let definitions = made.definitions();
        made.serve(&definitions);
        (made, watching)
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut feed = Feed::new(self.api.store.clone());
        feed.follow(&resource());
        let mut instances: Vec<GroupResource> = Vec::new();
        loop {
            let settled = self.pass(&mut instances).await;
            for of in instances.drain(..) {
                // What is left of a kind that is being removed: its news are looked at, too.
                feed.follow(&of);
            }
            let retry = async {
                if settled.is_ok() {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(RETRY).await
                }
            };
            tokio::select! {
                news = feed.next() => if news.is_none() { return },
                () = retry => {}
            }
            while feed.try_next().is_some() {}
        }
    }

    fn definitions(&self) -> Vec<(Arc<Record>, Value)> {
        let all = Range {
            of: resource(),
            namespace: None,
            after: None,
        };
        let records = self
            .api
            .store
            .list(&all, None, 0)
            .map(|page| page.records)
            .unwrap_or_default();
        let mut read: Vec<(Arc<Record>, Value)> = records
            .into_iter()
            .filter_map(|record| Some((record.clone(), self.api.store.object(&record).ok()?)))
            .collect();
        // Who was there first keeps its names.
        read.sort_by(|(_, a), (_, b)| {
            object::meta(a, "creationTimestamp").cmp(object::meta(b, "creationTimestamp"))
        });
        read
    }

    /// One look at everything: what is accepted is served, then said to be established; what ends is emptied.
    async fn pass(&mut self, ending: &mut Vec<GroupResource>) -> Result<()> {
        let before = self.definitions();
        let now = format!("{:.0}", self.api.clock.now());
        let all: Vec<&Value> = before.iter().map(|(_, definition)| definition).collect();
        let statuses: Vec<Value> = all
            .iter()
            .map(|definition| {
                let others: Vec<&Value> = all
                    .iter()
                    .filter(|other| object::uid(other) != object::uid(definition))
                    .copied()
                    .collect();
                let mut status = custom::status(definition, &others, &now);
                if object::is_deleting(definition) {
                    terminate(&mut status, &now);
                }
                status
            })
            .collect();
        let after: Vec<(Arc<Record>, Value)> = before
            .iter()
            .zip(&statuses)
            .map(|((record, definition), status)| {
                let mut changed = definition.clone();
                changed["status"] = status.clone();
                (record.clone(), changed)
            })
            .collect();
        self.serve(&after);
        for ((record, definition), status) in before.iter().zip(statuses) {
            if definition.get("status") != Some(&status) {
                self.report(&record.key, &status).await?;
            }
        }
        for (record, definition) in &after {
            if object::is_deleting(definition) {
                ending.extend(self.end(&record.key, definition).await?);
            }
        }
        Ok(())
    }

    /// Replaces the set of kinds, if it changed.
    fn serve(&mut self, definitions: &[(Arc<Record>, Value)]) {
        let mut kinds = self.built_in.clone();
        let mut parsed = BTreeMap::new();
        for (record, definition) in definitions {
            if !custom::is_established(definition) {
                continue;
            }
            let generation = definition
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            let ends = object::is_deleting(definition);
            let of_this = match self.parsed.remove(&record.key) {
                Some((at, kinds)) if at == (generation, ends) => kinds,
                before => {
                    let before = before.map(|(_, kinds)| kinds).unwrap_or_default();
                    let made = custom::kinds(definition).into_iter();
                    made.map(|mut kind| {
                        if ends {
                            kind.verbs = ENDING;
                        }
                        kind.fills_defaults = self.fills_defaults(&kind, &before);
                        Arc::new(kind)
                    })
                    .collect()
                }
            };
            kinds.extend(of_this.iter().cloned());
            parsed.insert(record.key.clone(), ((generation, ends), of_this));
        }
        self.parsed = parsed;
        let served = self.api.kinds.load();
        let same = served.iter().count() == kinds.len()
            && kinds.iter().all(|kind| {
                served
                    .get(&kind.version, &kind.resource.resource)
                    .is_some_and(|old| Arc::ptr_eq(old, kind))
            });
        if !same {
            let edition = served.edition + 1;
            self.api.kinds.store(Arc::new(Kinds::new(kinds, edition)));
            self.editions.send_replace(edition);
        }
    }

    /// Whether an object may lack a default. Where the defaults are as they were, so is the answer. Where they changed, it
    /// is yes until the next start, as a write that began before may end after any look at the store. Otherwise the
    /// objects tell: most often none lacks one, and all go out as they are stored.
    fn fills_defaults(&self, kind: &Kind, before: &[Arc<Kind>]) -> bool {
        let defaults = schema::defaults(&kind.schema);
        if defaults.is_empty() {
            return false;
        }
        if let Some(before) = before.iter().find(|before| before.version == kind.version) {
            return before.fills_defaults || schema::defaults(&before.schema) != defaults;
        }
        let all = Range {
            of: kind.stored_as.clone(),
            namespace: None,
            after: None,
        };
        let stored = self.api.store.list(&all, None, 0).map(|page| page.records);
        stored.unwrap_or_default().iter().any(|record| {
            self.api.store.object(record).is_ok_and(|object| {
                let mut filled = object.clone();
                schema::default(&mut filled, &kind.schema);
                filled != object
            })
        })
    }

    async fn report(&self, key: &Key, status: &Value) -> Result<()> {
        let Some(kind) = self.api.kinds.load().stored(&key.of).cloned() else {
            return Ok(());
        };
        let by = user();
        let change = |stored: &Value| {
            let mut changed = stored.clone();
            changed["status"] = status.clone();
            Ok(changed)
        };
        gone_is_fine(
            self.api
                .modify(&kind, key, "status", &writing(&by), &change)
                .await
                .map(drop),
        )
    }

    /// Deletes the instances of a CRD that is being deleted, and lets it go when there are none. Returns the resource whose
    /// instances are waited for.
    async fn end(&self, key: &Key, definition: &Value) -> Result<Option<GroupResource>> {
        if !object::finalizers(definition).any(|held| held == custom::CLEANUP) {
            return Ok(None);
        }
        let text = |pointer: &str| {
            definition
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let of = GroupResource::new(text("/spec/group"), text("/spec/names/plural"));
        let by = user();
        let all = Range {
            of: of.clone(),
            namespace: None,
            after: None,
        };
        let instances = || {
            self.api
                .store
                .list(&all, None, 0)
                .map(|page| page.records)
                .unwrap_or_default()
        };
        if let Some(kind) = self.api.kinds.load().stored(&of).cloned() {
            for record in instances() {
                if self
                    .api
                    .store
                    .object(&record)
                    .is_ok_and(|left| object::is_deleting(&left))
                {
                    continue;
                }
                let options = Deletion {
                    propagation: Some(Propagation::Background),
                    ..Deletion::default()
                };
                gone_is_fine(
                    self.api
                        .delete(&kind, &record.key, &options, &writing(&by))
                        .await
                        .map(drop),
                )?;
            }
        }
        if !instances().is_empty() {
            return Ok(Some(of));
        }
        let Some(kind) = self.api.kinds.load().stored(&key.of).cloned() else {
            return Ok(None);
        };
        let change = |stored: &Value| {
            let mut changed = stored.clone();
            if let Some(Value::Array(finalizers)) = object::metadata_mut(&mut changed).get_mut("finalizers") {
                finalizers.retain(|held| held != custom::CLEANUP);
            }
            Ok(changed)
        };
        gone_is_fine(
            self.api
                .modify(&kind, key, "", &writing(&by), &change)
                .await
                .map(drop),
        )?;
        Ok(None)
    }
}

/// Says that the instances are being deleted.
fn terminate(status: &mut Value, now: &str) {
    if let Value::Object(status) = status {
        let message = "CustomResource deletion is in progress";
        custom::terminating(status, "InstanceDeletionInProgress", message, now);
    }
}

/// Whoever deleted it meanwhile was faster.
fn gone_is_fine(answer: Result<()>) -> Result<()> {
    match answer {
        Ok(()) | Err(Status { code: 404, .. }) => Ok(()),
        Err(other) => Err(other),
    }
}
