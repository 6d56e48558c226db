//! States for the tests of this room and of `execute`: a deployment `web` in `shop`, and containers of it, complete enough
//! that a plan for one of them is a plan that could happen. Called by tests only.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Inputs;
use crate::{
    api::keys::label,
    state::{
        build::Settings,
        container::{Attachment, ContainerId, ContainerSpec, ContainerView, Limits, RunState},
        desired::{AgentImage, Desired, Prototype, PullPolicy, Rollout, Template},
        names,
        network::{NetworkJoin, NetworkView},
        observed::Observed,
        owner::{Instance, Owner, namespace_labels},
        revision::{Fingerprints, TemplateHash},
    },
};

pub(crate) fn owner() -> Owner {
    Owner {
        instance: Instance::new("instance"),
        namespace: "shop".into(),
        name: "web".into(),
        uid: "uid-1".into(),
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(2_000_000).unwrap()
}

pub(crate) fn spec() -> ContainerSpec {
    ContainerSpec {
        name: String::new(),
        image: "app:1".into(),
        entrypoint: None,
        cmd: None,
        working_dir: None,
        env: Vec::new(),
        labels: BTreeMap::new(),
        hostname: None,
        user: None,
        read_only_rootfs: false,
        no_new_privileges: false,
        privileged: false,
        cap_add: Vec::new(),
        cap_drop: Vec::new(),
        limits: Limits::default(),
        pids: None,
        ports: Vec::new(),
        mounts: Vec::new(),
        network: Some(NetworkJoin {
            name: names::network(&owner().instance, "shop"),
            aliases: Vec::new(),
            address: None,
        }),
        dns: Vec::new(),
        restarts: false,
        stop_timeout: 30,
    }
}

pub(crate) fn desired(replicas: u32, template: &str) -> Desired {
    Desired {
        owner: owner(),
        generation: 1,
        replicas,
        deleting: false,
        paused: false,
        rollout: Rollout::NEW_FIRST,
        min_ready_seconds: 0,
        grace_seconds: 30,
        template_hash: Some(TemplateHash(template.into())),
        fingerprints: Some(Fingerprints::default()),
        template: Template::Known(Box::new(Prototype {
            spec: spec(),
            pull: PullPolicy::IfNotPresent,
            volumes: Vec::new(),
            files: Vec::new(),
        })),
        network: names::network(&owner().instance, "shop"),
        agent: agent_image(),
        dns: Vec::new(),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        publish_address: "0.0.0.0".into(),
        agent: agent_image(),
        dns: Vec::new(),
    }
}

pub(crate) fn agent_image() -> AgentImage {
    AgentImage {
        image: "supercargo/agent:1".into(),
        version: "1".into(),
    }
}

/// A running container as `desired` would have made it.
pub(crate) fn made(desired: &Desired, slot: u32) -> ContainerView {
    let spec = desired.container(slot).unwrap();
    let mut view = view(&desired.owner.name, slot, "");
    view.id = ContainerId::new(format!("{:0<64}", crate::state::hash::hex(&[&spec.name], 20)));
    view.name = spec.name;
    view.labels = spec.labels;
    let aliases = spec.network.unwrap().aliases;
    view.networks = BTreeMap::from([(
        desired.network.clone(),
        Attachment {
            aliases,
            ..Attachment::default()
        },
    )]);
    view
}

pub(crate) fn view(deployment: &str, slot: u32, revision: &str) -> ContainerView {
    let mut labels = owner().labels();
    labels.insert(label::DEPLOYMENT.into(), deployment.into());
    labels.insert(label::REPLICA.into(), slot.to_string());
    labels.insert(label::REVISION.into(), revision.into());
    ContainerView {
        id: ContainerId::new(format!("{deployment}-{slot}-{revision}")),
        name: format!("{deployment}-{slot}"),
        image: "app:1".into(),
        image_id: "sha256:1".into(),
        labels,
        state: RunState::Running,
        created_at: now(),
        started_at: Some(now()),
        exit: None,
        limits: Limits::default(),
        swap_bounded: true,
        restart_policy: "no".into(),
        networks: BTreeMap::new(),
    }
}

pub(crate) fn network() -> NetworkView {
    NetworkView {
        id: "n1".into(),
        name: names::network(&owner().instance, "shop"),
        subnets: vec!["10.213.0.0/24".into()],
        labels: namespace_labels(&owner().instance, "shop"),
    }
}

pub(crate) fn observed(views: Vec<ContainerView>) -> Observed {
    Observed::of(&owner(), views, &[network()], &[], true)
}

pub(crate) fn inputs() -> Inputs {
    Inputs::at(now(), "10.213.0.0/16".parse().unwrap())
}

/// A container of this spec as an engine shows it right after its creation.
pub(crate) fn created(spec: &ContainerSpec, id: ContainerId, at: Timestamp) -> ContainerView {
    let networks = spec.network.iter().map(|join| {
        let attached = Attachment {
            aliases: join.aliases.clone(),
            ..Attachment::default()
        };
        (join.name.clone(), attached)
    });
    ContainerView {
        id,
        name: spec.name.clone(),
        image: spec.image.clone(),
        image_id: "sha256:1".into(),
        labels: spec.labels.clone(),
        state: RunState::Created,
        created_at: at,
        started_at: None,
        exit: None,
        limits: spec.limits,
        swap_bounded: true,
        restart_policy: "no".into(),
        networks: networks.collect(),
    }
}
