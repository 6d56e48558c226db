//! Keeps the history of each deployment: one ControllerRevision a template, as StatefulSets have. `plan::history` decides;
//! here it is written, beside the reconcile and not on its way: a history that cannot be written delays no rollout and ends
//! none. What fails is logged, and decided anew after a pause. Remembers what it wrote, so that two decisions in a row do
//! not need the watch, which is `history_watch`'s. Called by `deployment`, with one line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::apps::v1::ControllerRevision,
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        runtime::RawExtension,
    },
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{context::Failures, deployment::Pass, describe::describe, host::Subject, wish::Wish};
use crate::{
    api::{
        GROUP, VERSION,
        keys::{FIELD_MANAGER, annotation, label},
    },
    engine::Engine,
    plan::history::{Change, Current, Entry, Inputs, changes},
    state::{container::ContainerView, history::Snapshot, owner::Owner, revision::TemplateHash},
};

/// Labels of Kubernetes objects have at most as many characters.
const LONGEST_LABEL: usize = 63;

/// An entry and the version in which it was seen or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) version: String,
    pub(super) owner: Subject,
}

/// The entries of each object, by its uid and their names.
pub(super) type Known = BTreeMap<String, BTreeMap<String, Kept>>;

#[derive(Default)]
pub(super) struct State {
    /// All entries there are, once they have been listed.
    pub(super) known: Option<Known>,
    /// Objects that asked before that.
    pub(super) waiting: BTreeSet<Subject>,
    /// Objects whose history is being written, and whether they asked again meanwhile.
    busy: BTreeMap<String, bool>,
}

/// See the file's header.
pub struct History {
    client: Client,
    state: Mutex<State>,
    failures: Failures,
    wake: Box<dyn Fn(Subject) + Send + Sync>,
}

impl History {
    /// One that knows nothing yet; `wake` asks for another reconcile.
    #[must_use]
    pub fn new(client: Client, wake: Box<dyn Fn(Subject) + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            client,
            state: Mutex::default(),
            failures: Failures::default(),
            wake,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self, subjects: impl IntoIterator<Item = Subject>) {
        subjects.into_iter().for_each(&self.wake);
    }

    /// Decides, and begins to write what is to be written. Waits for nothing.
    fn keep(self: &Arc<Self>, owner: &Owner, snapshot: Snapshot, inputs: Inputs<'_>) {
        let mut state = self.lock();
        let Some(known) = &state.known else {
            state.waiting.insert(subject(owner));
            return;
        };
        let kept = known.get(&owner.uid).cloned().unwrap_or_default();
        if let Some(again) = state.busy.get_mut(&owner.uid) {
            *again = true;
            return;
        }
        let entries: Vec<Entry> = kept.values().map(|kept| kept.entry.clone()).collect();
        let changes = changes(&Inputs {
            entries: &entries,
            ..inputs
        });
        if changes.is_empty() {
            return;
        }
        state.busy.insert(owner.uid.clone(), false);
        drop(state);
        let (history, owner) = (Arc::clone(self), owner.clone());
        tokio::spawn(async move { history.write(&owner, &snapshot, kept, changes).await });
    }

    async fn write(
        &self,
        owner: &Owner,
        snapshot: &Snapshot,
        kept: BTreeMap<String, Kept>,
        changes: Vec<Change>,
    ) {
        let mut failed = None;
        for change in changes {
            if let Err(error) = self.carry_out(owner, snapshot, &kept, change).await {
                failed = Some(error);
                break;
            }
        }
        if let Some(error) = &failed {
            let pause = self.failures.add(&owner.uid);
            let (namespace, name, why) = (&owner.namespace, &owner.name, describe(error));
            tracing::warn!(%namespace, %name, error = %why, again_in = ?pause, "the history of a deployment was not written");
            tokio::time::sleep(pause).await;
        } else {
            self.failures.clear(&owner.uid);
        }
        let again = self.lock().busy.remove(&owner.uid).unwrap_or_default();
        if again || failed.is_some() {
            (self.wake)(subject(owner));
        }
    }

    async fn carry_out(
        &self,
        owner: &Owner,
        snapshot: &Snapshot,
        kept: &BTreeMap<String, Kept>,
        change: Change,
    ) -> kube::Result<()> {
        let api: Api<ControllerRevision> = Api::namespaced(self.client.clone(), &owner.namespace);
        let version = |name: &str| kept.get(name).map(|kept| kept.version.clone());
        let written = match change {
            Change::Create(entry) => {
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PostParams::default()
                };
                api.create(&params, &made(owner, snapshot, &entry)).await?
            }
            Change::Update(entry) => {
                // Not a patch: the API server compares `data` byte by byte, and a patch would write its `&` as `\u0026`.
                let mut kept = api.get(&entry.name).await?;
                renew(&mut kept, &entry, version(&entry.name));
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PostParams::default()
                };
                api.replace(&entry.name, &params, &kept).await?
            }
            Change::Delete(name) => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        resource_version: version(&name),
                        uid: None,
                    }),
                    ..DeleteParams::default()
                };
                match api.delete(&name, &params).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    other => drop(other?),
                }
                if let Some(known) = self
                    .lock()
                    .known
                    .as_mut()
                    .and_then(|known| known.get_mut(&owner.uid))
                {
                    known.remove(&name);
                }
                return Ok(());
            }
        };
        if let (Some((uid, kept)), Some(known)) = (read(&written), self.lock().known.as_mut()) {
            known
                .entry(uid)
                .or_default()
                .insert(kept.entry.name.clone(), kept);
        }
        Ok(())
    }
}

/// Brings the history of a deployment to what its template says; the object is valid, or nothing happens.
pub(super) fn keep<E: Engine>(pass: &Pass<'_, E>, wish: &Wish) {
    let Some(valid) = &wish.valid else {
        return;
    };
    let (owner, object) = (&pass.id.owner, &valid.deployment);
    let snapshot = Snapshot::of(object);
    let annotations = object.metadata.annotations.as_ref();
    let views = pass.ctx.host.containers(&owner.namespace);
    let inputs = Inputs {
        current: Some(Current {
            name: snapshot.name.clone(),
            hash: snapshot.hash.clone(),
            cause: annotations
                .and_then(|all| all.get(annotation::CHANGE_CAUSE))
                .cloned(),
            paused: object.spec.paused.unwrap_or(false),
        }),
        entries: &[],
        live: views.ok().map(|views| live(owner, &views)),
        limit: usize::try_from(object.spec.revision_history_limit()).unwrap_or_default(),
    };
    pass.ctx.history.keep(owner, snapshot, inputs);
}

/// What the containers of a deployment carry that are there.
fn live(owner: &Owner, views: &[ContainerView]) -> BTreeSet<TemplateHash> {
    let ours = views.iter().filter(|view| owner.owns(&view.labels));
    ours.map(|view| TemplateHash(view.label(label::TEMPLATE_HASH).to_owned()))
        .collect()
}

fn subject(owner: &Owner) -> Subject {
    Subject {
        namespace: owner.namespace.clone(),
        name: owner.name.clone(),
    }
}

/// A new ControllerRevision. It goes with the deployment; it does not hold up its deletion, for which the operator would
/// need a right to the deployment's finalizers on some clusters.
fn made(owner: &Owner, snapshot: &Snapshot, entry: &Entry) -> ControllerRevision {
    let mut labels = BTreeMap::from([
        (label::UID.to_owned(), owner.uid.clone()),
        (label::TEMPLATE_HASH.to_owned(), entry.hash.0.clone()),
    ]);
    if owner.name.len() <= LONGEST_LABEL {
        labels.insert(label::DEPLOYMENT.to_owned(), owner.name.clone());
    }
    let cause = entry.cause.clone();
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(entry.name.clone()),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels),
            annotations: cause.map(|cause| BTreeMap::from([(annotation::CHANGE_CAUSE.to_owned(), cause)])),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{GROUP}/{VERSION}"),
                kind: "DockerDeployment".to_owned(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        data: RawExtension(snapshot.data()),
        revision: Some(entry.number),
    }
}

/// Changes what may change of one, over the version that was seen.
fn renew(kept: &mut ControllerRevision, entry: &Entry, version: Option<String>) {
    let meta = &mut kept.metadata;
    meta.resource_version = version.or(meta.resource_version.take());
    // Whoever manages which field is the server's to say.
    meta.managed_fields = None;
    let labels = meta.labels.get_or_insert_default();
    labels.insert(label::TEMPLATE_HASH.to_owned(), entry.hash.0.clone());
    if let Some(cause) = &entry.cause {
        let annotations = meta.annotations.get_or_insert_default();
        annotations.insert(annotation::CHANGE_CAUSE.to_owned(), cause.clone());
    }
    kept.revision = Some(entry.number);
}

/// An entry out of its object, and whose it is; nothing where it is not a deployment's.
pub(super) fn read(revision: &ControllerRevision) -> Option<(String, Kept)> {
    let meta = &revision.metadata;
    let owners = meta.owner_references.as_ref()?;
    let owner = owners
        .iter()
        .find(|owner| owner.controller == Some(true) && owner.kind == "DockerDeployment")?;
    let labels = meta.labels.as_ref();
    let hash = labels.and_then(|labels| labels.get(label::TEMPLATE_HASH));
    let annotations = meta.annotations.as_ref();
    let kept = Kept {
        entry: Entry {
            name: meta.name.clone()?,
            number: revision.revision.unwrap_or_default(),
            hash: TemplateHash(hash.cloned().unwrap_or_default()),
            cause: annotations
                .and_then(|all| all.get(annotation::CHANGE_CAUSE))
                .cloned(),
        },
        version: meta.resource_version.clone()?,
        owner: Subject {
            namespace: meta.namespace.clone()?,
            name: owner.name.clone(),
        },
    };
    Some((owner.uid.clone(), kept))
}
