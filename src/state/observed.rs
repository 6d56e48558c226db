//! What the engine has of one deployment: one consistent snapshot, stale the moment it is taken, with what its labels
//! say read out. Built by `controllers` from the cache; read by `plan` and `status`. An observation that could not be
//! made is no [`Observed`] at all: unknown is not empty.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    container::{ContainerId, ContainerView, RunState},
    desired::{Desired, Template},
    files::{Delivered, FileUser, Holder, Shown, UserLookup, is_holder, user_of},
    image::ImageView,
    network::NetworkView,
    owner::Owner,
    probe::{Health, Probes},
    probes,
    revision::{Fingerprints, TemplateHash},
};
use crate::api::keys::label;

/// A container of the deployment: the view, and its labels' meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// Its place, from 0.
    pub slot: u32,
    /// The revision it was made from.
    pub revision: String,
    /// The template it was made from.
    pub template_hash: TemplateHash,
    /// What it was given.
    pub fingerprints: Fingerprints,
    /// How it is asked.
    pub probes: Probes,
    /// What was found about its present run.
    pub health: Health,
    /// Whether those of its probes that are commands say yes.
    pub gate: bool,
    /// The container.
    pub view: ContainerView,
}

impl Replica {
    /// Reads the labels; a label that somebody broke gives the last slot and no revision, so that it is replaced.
    #[must_use]
    pub fn of(view: ContainerView) -> Self {
        let probes = probes::from_label(view.label(label::PROBES));
        Self {
            slot: view.label(label::REPLICA).parse().unwrap_or(u32::MAX),
            revision: view.label(label::REVISION).to_owned(),
            template_hash: TemplateHash(view.label(label::TEMPLATE_HASH).to_owned()),
            fingerprints: Fingerprints::from_label(
                view.label(label::FINGERPRINT_ROOT),
                view.label(label::FINGERPRINTS),
            ),
            health: Health::beginning(&probes, view.started_at),
            gate: true,
            probes,
            view,
        }
    }

    /// Whether it serves: its process runs and is not frozen, and its probes say so.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.view.state == RunState::Running && self.health.ready && self.health.alive
    }

    /// Whether it has been ready for at least `seconds`.
    #[must_use]
    pub fn is_available(&self, seconds: u32, now: Timestamp) -> bool {
        self.is_ready() && (seconds == 0 || self.available_at(seconds).is_some_and(|at| at <= now))
    }

    /// When it will have been ready for `seconds`; `None` before its first start.
    #[must_use]
    pub fn available_at(&self, seconds: u32) -> Option<Timestamp> {
        let since = self.health.ready_since.or(self.view.started_at);
        since.map(|at| at + jiff::SignedDuration::from_secs(i64::from(seconds)))
    }
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The deployment's containers, sorted by slot, then age, then id, whatever order the engine listed them in.
    pub replicas: Vec<Replica>,
    /// The namespace's network, when it exists.
    pub network: Option<NetworkView>,
    /// How many containers of other deployments of ours are in the same namespace.
    pub neighbours: usize,
    /// The agent of the namespace.
    pub agent: Option<ContainerView>,
    /// Those of them all, the agent included, whose network of the namespace's name is gone, whether or not it has a
    /// successor: the engine lost it, or somebody removed it and made it again. What runs there has an address that
    /// leads nowhere, and what does not run does not start (20.10).
    #[serde(default)]
    pub stranded: BTreeSet<ContainerId>,
    /// Subnets of all networks of the engine and routes of the host, in CIDR form.
    pub subnets: Vec<String>,
    /// Whether the engine has the wanted image; unknown (as absent) while nothing is wanted.
    pub image_present: bool,
    /// What is there for the deployment's files.
    #[serde(default)]
    pub files: ObservedFiles,
}

/// What is there for a deployment's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedFiles {
    /// What holds them, containers sorted by name.
    pub holders: Vec<Holder>,
    /// Whose they have to be, as the template or the image says; `None` while that is not known.
    pub user: Option<FileUser>,
    /// What the image says about its user, to be looked up in its own list of users.
    pub lookup: Option<UserLookup>,
    /// The image's entrypoint and command, of which a program with protected variables is started.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// See above.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// Whether memory can be kept out of swap.
    pub noswap: bool,
    /// The operator's own directory of the host, in which new volumes are then made, such as `/run/files/1b671a`.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether memory there may be swapped.
    #[serde(default)]
    pub host_swaps: bool,
    /// Whether what stands there is to be compared with what is wanted, although it has the right name.
    #[serde(default)]
    pub check: bool,
    /// The time of this look.
    #[serde(default)]
    pub now: Timestamp,
    /// What stands in each volume, as the present run of its holder said; absent when nobody has looked.
    pub delivered: BTreeMap<String, Delivered>,
    /// What the present run of a container was found to see.
    pub shown: BTreeMap<ContainerId, Shown>,
}

impl ObservedFiles {
    /// Finds out whose files have to be; `known` says what has been looked up before.
    pub fn find_user(
        &mut self,
        desired: &Desired,
        image: Option<&ImageView>,
        known: impl Fn(&UserLookup) -> Option<FileUser>,
    ) {
        let (Template::Known(prototype), Some(image)) = (&desired.template, image) else {
            return;
        };
        self.entrypoint.clone_from(&image.entrypoint);
        self.cmd.clone_from(&image.cmd);
        match user_of(prototype.spec.user.as_deref(), image) {
            Ok(user) => self.user = Some(user),
            Err(lookup) => {
                self.user = known(&lookup);
                self.lookup = Some(lookup);
            }
        }
    }
}

impl Observed {
    /// Takes the owner's containers out of a listing; others are counted or left alone.
    #[must_use]
    pub fn of(
        owner: &Owner,
        views: Vec<ContainerView>,
        networks: &[NetworkView],
        host_routes: &[String],
        image_present: bool,
    ) -> Self {
        let mut neighbours = 0;
        let mut agent: Option<ContainerView> = None;
        let mut holders = Vec::new();
        let mut replicas = Vec::new();
        let name = super::names::network(&owner.instance, &owner.namespace);
        let gone = |id: &str| !id.is_empty() && networks.iter().all(|network| network.id != id);
        let is_stranded = |view: &&ContainerView| {
            view.networks
                .get(&name)
                .is_some_and(|place| gone(&place.network_id))
        };
        let stranded = views
            .iter()
            .filter(is_stranded)
            .map(|view| view.id.clone())
            .collect();
        for view in views {
            if owner.owns(&view.labels) {
                replicas.push(Replica::of(view));
            } else if view.label(label::INSTANCE) != owner.instance.as_str()
                || view.label(label::NAMESPACE) != owner.namespace
            {
            } else if is_agent(&view) {
                agent = Some(view);
            } else if is_holder(&view) {
                if view.label(label::HOLDS_FOR) == owner.uid {
                    holders.push(Holder::of(view));
                }
            } else {
                neighbours += 1;
            }
        }
        holders.sort_by(|a, b| a.name.cmp(&b.name));
        replicas.sort_by(|a, b| {
            (a.slot, a.view.created_at, &a.view.id).cmp(&(b.slot, b.view.created_at, &b.view.id))
        });
        let network = networks
            .iter()
            .filter(|n| n.name == name)
            .find(|n| n.labels.get(label::INSTANCE).map(String::as_str) == Some(owner.instance.as_str()))
            .cloned();
        let mut subnets: Vec<String> = networks.iter().flat_map(|n| n.subnets.clone()).collect();
        subnets.extend_from_slice(host_routes);
        subnets.sort();
        subnets.dedup();
        Self {
            replicas,
            network,
            neighbours,
            agent,
            stranded,
            subnets,
            image_present,
            files: ObservedFiles {
                holders,
                ..ObservedFiles::default()
            },
        }
    }

    /// Adds the operator's own directory of the host, and what holds volumes there.
    #[must_use]
    pub fn with_host(mut self, root: Option<String>, holders: Vec<Holder>) -> Self {
        self.files.host = root;
        self.files.holders.extend(holders);
        self
    }

    /// Adds what is known about files; what another run of a holder or of a container said is nothing about this one.
    #[must_use]
    pub fn with_files(
        mut self,
        delivered: &BTreeMap<String, Delivered>,
        shown: &BTreeMap<ContainerId, Shown>,
    ) -> Self {
        let files = &mut self.files;
        for holder in files.holders.iter().filter(|h| h.runs()) {
            let this_run = |d: &&Delivered| d.holder == holder.id && Some(d.started_at) == holder.started_at;
            for volume in holder.volumes.keys() {
                if let Some(found) = delivered.get(volume).filter(this_run) {
                    files.delivered.insert(volume.clone(), found.clone());
                }
            }
        }
        for replica in self.replicas.iter().filter(|r| r.view.state == RunState::Running) {
            let found = shown
                .get(&replica.view.id)
                .filter(|s| Some(s.started_at) == replica.view.started_at);
            if let Some(found) = found {
                files.shown.insert(replica.view.id.clone(), found.clone());
            }
        }
        self
    }

    /// Adds what is known about the containers' health; what is known about another run of one is nothing about this.
    #[must_use]
    pub fn with_health(mut self, known: &BTreeMap<ContainerId, Known>) -> Self {
        for replica in &mut self.replicas {
            let id = &replica.view.id;
            let found = known
                .get(id)
                .filter(|k| Some(k.started_at) == replica.view.started_at);
            if let Some(known) = found {
                replica.health.clone_from(&known.health);
            }
        }
        self
    }
}

impl Observed {
    /// Adds what others have found who were asked something else about the same run: all must say yes.
    #[must_use]
    pub fn with_answers(mut self, answers: &BTreeMap<ContainerId, Known>) -> Self {
        for replica in &mut self.replicas {
            let id = &replica.view.id;
            let found = answers
                .get(id)
                .filter(|k| Some(k.started_at) == replica.view.started_at);
            if let Some(known) = found {
                replica.gate = known.health.started && known.health.ready && known.health.alive;
                replica.health = replica.health.and(&known.health);
            }
        }
        self
    }
}

/// What is known about the health of one run of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// When that run began.
    pub started_at: Timestamp,
    /// What is known.
    pub health: Health,
}

/// The namespace that a container of ours belongs to.
#[must_use]
pub fn namespace_of(view: &ContainerView) -> &str {
    view.label(label::NAMESPACE)
}

/// Whether a container of ours is the agent of its namespace, and so nobody's replica.
#[must_use]
pub fn is_agent(view: &ContainerView) -> bool {
    !view.label(label::AGENT).is_empty()
}
