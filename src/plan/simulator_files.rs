//! Files in the simulator: volumes that are there while somebody who runs has them, holders that write into them, and
//! containers that must never start on an empty one. For the tests of this room.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    file_action::{FileAction, Load, Place, Sight},
    fixtures,
    simulator::{Did, World, is_alive},
};
use crate::{
    api::keys::label,
    state::{
        container::{ContainerId, ContainerSpec, ContainerView, RunState},
        files::{Delivered, FileUser, Holder, Shown, is_holder, mounts, on_host},
        observed::Observed,
    },
};

/// What the engine has of files, and what is known of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelves {
    /// Generation and what has been told, by volume.
    pub(super) content: BTreeMap<String, (String, Option<String>)>,
    delivered: BTreeMap<String, Delivered>,
    shown: BTreeMap<ContainerId, Shown>,
    /// Whose the files are, once somebody has looked.
    pub(super) user: Option<FileUser>,
    /// Whether what stands there is due to be compared.
    pub(super) check: bool,
    /// Containers that do not see what is written, as after a restart of an engine with live restore.
    pub(super) blind: BTreeSet<ContainerId>,
    /// The operator's own directory of the host, and the records in it. What stands in it stays while nobody has it.
    pub(super) host: Option<String>,
    pub(super) records: BTreeMap<String, Holder>,
    /// Signals that were sent.
    pub(super) signals: Vec<(ContainerId, String)>,
}

impl Shelves {
    /// The process that decides is gone.
    pub(super) fn forget(&mut self) {
        (self.delivered, self.shown) = Default::default();
    }

    pub(super) fn show(&self, observed: Observed) -> Observed {
        let root = self.host.clone();
        let below = |path: &str| root.as_ref().is_some_and(|root| path.starts_with(root.as_str()));
        let records = self.records.values().filter(|record| below(&record.name));
        let records = records.cloned().collect();
        let mut observed = observed
            .with_host(self.host.clone(), records)
            .with_files(&self.delivered, &self.shown);
        observed.files.user = self.user;
        observed.files.check = self.check;
        observed.files.lookup = Some(crate::state::files::UserLookup {
            image: "sha256:1".into(),
            user: "app".into(),
        });
        observed
    }
}

/// The volumes with files that a container has.
fn volumes(view: &ContainerView) -> Vec<String> {
    if is_holder(view) {
        Holder::of(view.clone()).volumes.into_keys().collect()
    } else {
        mounts(view).into_keys().collect()
    }
}

impl World {
    /// What nobody has any more is gone.
    pub(super) fn settle_files(&mut self) {
        let held: BTreeSet<String> = self
            .containers
            .iter()
            .filter(|c| is_alive(c))
            .flat_map(volumes)
            .collect();
        let stays = |volume: &String| on_host(volume) || held.contains(volume);
        self.files.content.retain(|volume, _| stays(volume));
    }

    /// A start: whoever reads files finds some.
    pub(super) fn check_files(&mut self, id: &ContainerId) {
        // Each start is another mount.
        self.files.blind.remove(id);
        let started = self.containers.iter().find(|c| c.id == *id && !is_holder(c));
        for volume in started.into_iter().flat_map(volumes) {
            assert!(
                self.files.content.contains_key(&volume),
                "{id} started without the files of {volume}"
            );
        }
    }

    fn holder(&self, name: &str) -> Option<&ContainerView> {
        let found = self.containers.iter().find(|c| c.name == *name);
        found.filter(|c| is_holder(c) && c.state == RunState::Running)
    }

    pub(super) fn ensure(&mut self, spec: &ContainerSpec) -> Did {
        let there = self.containers.iter().find(|c| c.name == spec.name);
        let id = there.map(|c| c.id.clone()).unwrap_or_else(|| {
            self.files.blind.clear();
            let id = self.new_id();
            self.containers
                .push(fixtures::created(spec, id.clone(), self.now));
            id
        });
        self.start(&id)
    }

    /// Who can write, by name.
    fn writer(&self, name: &str) -> Option<Holder> {
        let record = self.files.records.get(name).cloned();
        record.or_else(|| self.holder(name).cloned().map(Holder::of))
    }

    fn note(&mut self, holder: &str, places: impl IntoIterator<Item = String>) -> Did {
        let Some(view) = self.writer(holder) else {
            return Did::Refused;
        };
        for volume in places {
            let found = self.files.content.get(&volume).cloned();
            let delivered = Delivered {
                holder: view.id.clone(),
                started_at: view.started_at.unwrap_or_default(),
                generation: found.as_ref().map(|(generation, _)| generation.clone()),
                told: found.and_then(|(_, told)| told),
            };
            self.files.delivered.insert(volume, delivered);
        }
        Did::Done
    }

    fn write(&mut self, holder: &str, load: &Load) -> Did {
        let Some(view) = self.writer(holder) else {
            return Did::Refused;
        };
        assert!(
            view.volumes.contains_key(&load.volume),
            "{holder} has no {}",
            load.volume
        );
        let before = self
            .files
            .content
            .get(&load.volume)
            .and_then(|(_, told)| told.clone());
        let told = if load.quiet {
            Some(load.generation.clone())
        } else {
            before
        };
        self.files
            .content
            .insert(load.volume.clone(), (load.generation.clone(), told));
        self.note(holder, [load.volume.clone()])
    }

    fn remove_from_host(&mut self, names: &[String]) -> Did {
        for name in names.iter().filter(|name| on_host(name)) {
            let held = |record: &Holder| record.volumes.contains_key(name);
            assert!(self.files.records.values().any(held), "{name} had no owner");
            self.files.content.remove(name);
        }
        Did::Done
    }

    pub(super) fn act_on_files(&mut self, action: &FileAction, made: Option<&ContainerId>) -> Did {
        match action {
            FileAction::FindUser { .. } => {
                self.files.user = Some(FileUser { uid: 7, gid: 8 });
                Did::Done
            }
            FileAction::EnsureHolder { spec } => match self.ensure(spec) {
                Did::Refused if self.holder(&spec.name).is_some() => Did::Done,
                did => did,
            },
            FileAction::EnsureRecord {
                path, labels, holds, ..
            } => {
                let at = self.now;
                let record = Holder {
                    volumes: holds.clone(),
                    ..Holder::on_host(path.clone(), labels, at)
                };
                self.files.records.entry(path.clone()).or_insert(record);
                Did::Done
            }
            FileAction::StartHolder { id, .. } => self.start(id),
            FileAction::RemoveHolder { id, .. } => {
                self.files.records.remove(id.as_str());
                self.containers.retain(|c| c.id != *id);
                self.files.shown.clear();
                Did::Done
            }
            FileAction::RemoveVolumes { volumes: names } => {
                let used = self.containers.iter().flat_map(volumes);
                let used: BTreeSet<String> = used.collect();
                assert!(
                    names.iter().all(|v| !used.contains(v)),
                    "a volume in use was removed"
                );
                self.remove_from_host(names)
            }
            FileAction::Deliver { holder, loads, .. } => {
                let did: Vec<Did> = loads.iter().map(|load| self.write(holder, load)).collect();
                did.into_iter().find(|d| *d != Did::Done).unwrap_or(Did::Done)
            }
            FileAction::Look { holder, places } => {
                self.note(holder, places.iter().map(|Place { volume, .. }| volume.clone()))
            }
            FileAction::Check { .. } => {
                self.files.check = false;
                Did::Done
            }
            FileAction::NoteTold {
                holder,
                place,
                generation,
            } => {
                if let Some((_, told)) = self.files.content.get_mut(&place.volume) {
                    *told = Some(generation.clone());
                }
                self.note(holder, [place.volume.clone()])
            }
            FileAction::Confirm { target, sights, .. } => match target.as_ref().map(|t| &t.id).or(made) {
                Some(id) => self.confirm(id, sights),
                None => Did::EndsChain,
            },
            FileAction::Signal { target, signal } => {
                self.files.signals.push((target.id.clone(), signal.clone()));
                Did::Done
            }
        }
    }

    fn confirm(&mut self, id: &ContainerId, sights: &[Sight]) -> Did {
        let sees = |volume: &str, generation: &str| {
            let there = self.files.content.get(volume);
            !self.files.blind.contains(id) && there.is_some_and(|(now, _)| now == generation)
        };
        let found: BTreeMap<String, (String, bool)> = sights
            .iter()
            .map(|s| {
                let sees = sees(&s.volume, &s.generation);
                (s.volume.clone(), (s.generation.clone(), sees))
            })
            .collect();
        let all = found.values().all(|(_, sees)| *sees);
        let view = self.containers.iter().find(|c| c.id == *id);
        if let Some(started_at) = view.and_then(|view| view.started_at) {
            let shown = Shown {
                started_at,
                volumes: found,
            };
            self.files.shown.insert(id.clone(), shown);
        }
        if all { Did::Done } else { Did::Refused }
    }

    fn new_id(&mut self) -> ContainerId {
        self.made += 1;
        ContainerId::new(format!("made-{:08}", self.made))
    }

    /// The deployment's own containers.
    pub(super) fn replicas(&self) -> impl Iterator<Item = &ContainerView> {
        let ours = fixtures::owner();
        self.containers
            .iter()
            .filter(move |c| !is_holder(c) && c.label(label::AGENT).is_empty() && ours.owns(&c.labels))
    }
}
