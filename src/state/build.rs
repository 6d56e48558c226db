//! A validated object and its resolved references -> what is wanted of the engine. Pure and infallible: what could fail
//! has failed before, in `api::validate` or in `secrets::resolve`, and arrives here as the reason why nothing new is made.

use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{
    container::{ContainerSpec, Limits, Mount, MountSource, Protocol, PublishedPort},
    desired::{AgentImage, Blocked, Budget, Desired, Prototype, PullPolicy, Rollout, Template},
    files::{FileVolume, OnChange, VolumeFiles},
    hash::hex,
    names,
    network::NetworkJoin,
    owner::{Owner, namespace_labels},
    protected,
    resolved::{Resolution, Resolved},
    revision::TemplateHash,
    volume::Volume,
};
use crate::api::{
    Container, ContainerPort, DockerDeployment, DockerDeploymentSpec, ImagePullPolicy, PodTemplate,
    Protocol as ApiProtocol, SecurityContext, VolumeMount,
    files::{FileVolume as WrittenFiles, OnChange as ApiOnChange, file_mounts},
    keys,
    quantity::Quantity,
    validate::Validated,
};

/// What the operator's flags decide about containers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host's address for published ports that name none.
    pub publish_address: String,
    /// What agents are made from.
    pub agent: AgentImage,
    /// Name servers after the agent.
    pub dns: Vec<IpAddr>,
}

/// The deployment as wanted while its object is valid.
#[must_use]
pub fn desired(owner: Owner, valid: &Validated, resolution: &Resolution, settings: &Settings) -> Desired {
    let object = &valid.deployment;
    let spec = &object.spec;
    let pod = &spec.template.spec;
    let network = names::network(&owner.instance, &owner.namespace);
    let template = match (&resolution.resolved, pod.container()) {
        (Some(resolved), Some(container)) => {
            let parts = Parts {
                owner: &owner,
                valid,
                container,
                settings,
            };
            let mut prototype = parts.prototype(resolved);
            prototype.spec.network = Some(NetworkJoin {
                name: network.clone(),
                // The agent answers for the deployment's name: the engine's own names do not follow readiness.
                aliases: Vec::new(),
                address: None,
            });
            Template::Known(Box::new(prototype))
        }
        _ if !resolution.invalid.is_empty() => Template::Blocked(Blocked::InvalidSpec),
        _ if !resolution.failures.is_empty() => Template::Blocked(Blocked::SecretsUnresolved),
        _ => Template::Blocked(Blocked::ConfigUnresolved),
    };
    Desired {
        generation: object.metadata.generation.unwrap_or_default(),
        replicas: u32::try_from(spec.replicas()).unwrap_or_default(),
        deleting: false,
        paused: spec.paused.unwrap_or(false),
        rollout: rollout(spec),
        min_ready_seconds: u32::try_from(spec.min_ready_seconds()).unwrap_or_default(),
        grace_seconds: pod.termination_grace_period_seconds(),
        template_hash: Some(template_hash(object)),
        fingerprints: resolution.resolved.as_ref().map(|r| r.fingerprints.clone()),
        template,
        network,
        agent: settings.agent.clone(),
        dns: settings.dns.clone(),
        owner,
    }
}

/// The deployment as wanted while its object is invalid or forbidden: as many as before or as it says, nothing new.
#[must_use]
pub fn blocked(owner: Owner, generation: i64, replicas: u32, why: Blocked, settings: &Settings) -> Desired {
    Desired {
        deleting: false,
        replicas,
        template: Template::Blocked(why),
        agent: settings.agent.clone(),
        dns: settings.dns.clone(),
        ..Desired::nothing(owner, generation, DEFAULT_GRACE)
    }
}

/// `terminationGracePeriodSeconds` where nothing says otherwise, as in Kubernetes.
pub const DEFAULT_GRACE: i64 = 30;

/// Hash of the template as the user wrote it; quantities in their canonical form, so that `1Gi` is `1024Mi`.
#[must_use]
pub fn template_hash(object: &DockerDeployment) -> TemplateHash {
    let mut template = serde_json::to_value(&object.spec.template).unwrap_or(Value::Null);
    if let Some(containers) = template
        .pointer_mut("/spec/containers")
        .and_then(Value::as_array_mut)
    {
        for container in containers {
            if let Some(Value::Object(limits)) = container.pointer_mut("/resources/limits") {
                for (name, value) in limits.iter_mut() {
                    if let Some(canonical) = canonical_quantity(name, value) {
                        *value = canonical;
                    }
                }
            }
        }
    }
    let annotations = object.metadata.annotations.as_ref();
    let restarted = annotations.and_then(|a| a.get(keys::annotation::RESTARTED_AT));
    let hash = TemplateHash::of(&template, restarted.map(String::as_str));
    if object.spec.is_protected() {
        hash.protected()
    } else {
        hash
    }
}

fn canonical_quantity(name: &str, value: &Value) -> Option<Value> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let quantity = Quantity::parse(&text).ok()?;
    Some(Value::from(if name == "cpu" {
        quantity.millis()
    } else {
        quantity.units()
    }))
}

fn rollout(spec: &DockerDeploymentSpec) -> Rollout {
    if spec.is_recreate() {
        return Rollout::Recreate;
    }
    let pod = &spec.template.spec;
    let holds_port = pod
        .containers
        .iter()
        .any(|c| c.ports.iter().any(|p| p.host_port.is_some()));
    // Two revisions writing the same directory corrupt what is in it, and a lock file does not see into another container.
    let writes = pod.containers.iter().flat_map(|c| &c.volume_mounts).any(|mount| {
        !mount.read_only.unwrap_or(false)
            && pod
                .volumes
                .iter()
                .any(|v| v.name == mount.name && v.empty_dir.is_none() && v.files().is_none())
    });
    let update = spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    let of = u32::try_from(spec.replicas()).unwrap_or_default();
    let surge = update.and_then(|u| u.max_surge.as_ref());
    let unavailable = update.and_then(|u| u.max_unavailable.as_ref());
    let surge = surge.map_or(1, |share| count(share, of, Round::Up));
    let unavailable = unavailable.map_or(0, |share| count(share, of, Round::Down));
    let exclusive = holds_port || writes;
    let surge = if exclusive { 0 } else { surge };
    Rollout::Rolling(Budget {
        surge,
        // Both can come out as zero, of percentages or by force; then nothing could ever be replaced.
        unavailable: if surge == 0 {
            unavailable.max(1)
        } else {
            unavailable
        },
        exclusive,
    })
}

enum Round {
    Up,
    Down,
}

/// A number, or a share of `of` in percent: surge is rounded up and unavailability down, as in Kubernetes.
fn count(share: &IntOrString, of: u32, round: Round) -> u32 {
    match share {
        IntOrString::Int(number) => u32::try_from(*number).unwrap_or_default(),
        IntOrString::String(text) => {
            let percent: u64 = text.trim_end_matches('%').parse().unwrap_or_default();
            let product = u64::from(of) * percent;
            let whole = match round {
                Round::Up => product.div_ceil(100),
                Round::Down => product / 100,
            };
            u32::try_from(whole).unwrap_or(u32::MAX)
        }
    }
}

/// What a container is built from.
struct Parts<'a> {
    owner: &'a Owner,
    valid: &'a Validated,
    container: &'a Container,
    settings: &'a Settings,
}

impl Parts<'_> {
    fn template(&self) -> &PodTemplate {
        &self.valid.deployment.spec.template
    }

    fn prototype(&self, resolved: &Resolved) -> Prototype {
        let pod = &self.template().spec;
        let mut labels = self
            .template()
            .metadata
            .as_ref()
            .map(|m| m.labels.clone())
            .unwrap_or_default();
        labels.insert(keys::label::CONTAINER.to_owned(), self.container.name.clone());
        let protected = !resolved.protected.is_empty();
        labels.extend(super::probes::label(self.container, protected));
        let mut spec = ContainerSpec {
            name: String::new(),
            image: self.container.image.clone(),
            entrypoint: (!resolved.command.is_empty()).then(|| resolved.command.clone()),
            cmd: (!resolved.args.is_empty()).then(|| resolved.args.clone()),
            working_dir: self.container.working_dir.clone().filter(|dir| !dir.is_empty()),
            env: resolved.env.clone(),
            labels,
            hostname: None,
            user: None,
            read_only_rootfs: false,
            no_new_privileges: false,
            privileged: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            limits: self.limits(),
            pids: None,
            ports: self.ports(),
            mounts: self
                .mounts()
                .into_iter()
                .chain(protected.then(protected::mount))
                .collect(),
            network: None,
            dns: Vec::new(),
            restarts: false,
            stop_timeout: pod.termination_grace_period_seconds(),
        };
        if let Some(context) = &self.container.security_context {
            secure(&mut spec, context);
        }
        let pull = match self.valid.parsed.pull_policy {
            ImagePullPolicy::Always => PullPolicy::Always,
            ImagePullPolicy::IfNotPresent => PullPolicy::IfNotPresent,
            ImagePullPolicy::Never => PullPolicy::Never,
        };
        let volumes = pod
            .volumes
            .iter()
            .filter_map(|v| v.docker_volume.as_ref())
            .map(|v| self.volume(&v.name));
        Prototype {
            spec,
            pull,
            volumes: volumes.collect(),
            files: self.files(resolved),
        }
    }

    /// The volumes with files that are mounted, with what stands in them.
    fn files(&self, resolved: &Resolved) -> Vec<FileVolume> {
        let mounted = file_mounts(&self.template().spec);
        let volume = |entry: &VolumeFiles| {
            let here: Vec<_> = mounted.iter().filter(|m| m.volume.name == entry.volume).collect();
            let volume = here.first()?.volume;
            let written = volume.files()?;
            let definition = serde_json::to_string(volume).unwrap_or_default();
            let on_change = match (written.on_change, written.signal()) {
                (ApiOnChange::Restart, _) => OnChange::Restart,
                (_, Some(signal)) => OnChange::Signal(signal.as_str().to_owned()),
                (_, None) => OnChange::Update,
            };
            Some(FileVolume {
                entry: entry.volume.clone(),
                definition: hex(&[&definition], 16),
                on_change,
                mode: directory_mode(&written),
                targets: here.iter().map(|mount| mount.path.clone()).collect(),
                files: entry.files.clone(),
            })
        };
        let volumes = resolved.files.iter().filter_map(volume);
        volumes.chain(protected::volume(&resolved.protected)).collect()
    }

    fn volume(&self, name: &str) -> Volume {
        Volume {
            name: names::volume(&self.owner.instance, &self.owner.namespace, name),
            labels: namespace_labels(&self.owner.instance, &self.owner.namespace),
            memory: None,
        }
    }

    fn limits(&self) -> Limits {
        let parsed = &self.valid.parsed;
        Limits {
            memory: parsed.memory_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            nano_cpus: parsed
                .cpu_millis
                .and_then(|millis| i64::try_from(millis).ok()?.checked_mul(1_000_000)),
        }
    }

    fn ports(&self) -> Vec<PublishedPort> {
        let published = |port: &ContainerPort| {
            Some(PublishedPort {
                container_port: u16::try_from(port.container_port).ok()?,
                protocol: match port.protocol() {
                    ApiProtocol::Tcp => Protocol::Tcp,
                    ApiProtocol::Udp => Protocol::Udp,
                    ApiProtocol::Sctp => Protocol::Sctp,
                },
                host_ip: port
                    .host_ip
                    .clone()
                    .unwrap_or_else(|| self.settings.publish_address.clone()),
                host_port: u16::try_from(port.host_port?).ok()?,
            })
        };
        self.container.ports.iter().filter_map(published).collect()
    }

    fn mounts(&self) -> Vec<Mount> {
        let mount = |mount: &VolumeMount| {
            Some(Mount {
                target: mount.mount_path.clone(),
                read_only: mount.read_only.unwrap_or(false),
                source: self.source(&mount.name)?,
            })
        };
        let files = file_mounts(&self.template().spec).into_iter().map(|mount| Mount {
            target: mount.path,
            read_only: true,
            source: MountSource::Files(mount.volume.name.clone()),
        });
        let others = self.container.volume_mounts.iter().filter_map(mount);
        others.chain(files).collect()
    }

    fn source(&self, name: &str) -> Option<MountSource> {
        let volume = self.template().spec.volumes.iter().find(|v| v.name == name)?;
        if let Some(docker) = &volume.docker_volume {
            return Some(MountSource::Volume(self.volume(&docker.name).name));
        }
        if let Some(host) = &volume.host_path {
            return Some(MountSource::HostPath(host.path.clone()));
        }
        if !volume.empty_dir.as_ref()?.is_memory() {
            return Some(MountSource::Anonymous);
        }
        let size = self.valid.parsed.tmpfs_bytes.get(name);
        Some(MountSource::Tmpfs(
            size.and_then(|bytes| i64::try_from(*bytes).ok()),
        ))
    }
}

/// Permissions of a directory that whoever may read a file in it can look into.
fn directory_mode(written: &WrittenFiles<'_>) -> u32 {
    let items = written.sources.iter().flat_map(|source| source.items);
    let all = items
        .map(|item| written.mode(Some(item)))
        .chain([written.mode(None)])
        .fold(0, |all, mode| all | mode);
    let may = |who: u32| if all & (0o7 << who) == 0 { 0 } else { 0o5 << who };
    0o700 | may(3) | may(0)
}

fn secure(spec: &mut ContainerSpec, context: &SecurityContext) {
    spec.user = match (context.run_as_user, context.run_as_group) {
        (Some(user), Some(group)) => Some(format!("{user}:{group}")),
        (Some(user), None) => Some(user.to_string()),
        // The engine takes a group only together with a user; validation refuses a group alone.
        (None, _) => None,
    };
    spec.read_only_rootfs = context.read_only_root_filesystem.unwrap_or(false);
    spec.no_new_privileges = context.allow_privilege_escalation == Some(false);
    spec.privileged = context.privileged.unwrap_or(false);
    if let Some(capabilities) = &context.capabilities {
        spec.cap_add.clone_from(&capabilities.add);
        spec.cap_drop.clone_from(&capabilities.drop);
    }
}
