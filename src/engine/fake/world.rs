//! What is in the fake engine, and the rules by which containers change: states, names, ports, limits, events. Pure and
//! synchronous; one call is one step. Networks are in `networks`, images in `registry`. Called by `calls` and `hands`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    environment::env,
    events::Subscriber,
    files::Node,
    holder::{Breakage, Content},
    networks::Network,
    registry::Registry,
};
use crate::{
    engine::{Error, Kind, LogChunk, Op, Result, SecretEnv},
    state::{
        container::{
            Attachment, ContainerId, ContainerSpec, ContainerView, ExitInfo, Limits, MountSource,
            PublishedPort, RunState,
        },
        volume::Volume,
    },
};

/// What the engine gives as exit code of a start that failed, where there is none but zero.
const NEVER_STARTED: i64 = 128;

pub(super) struct Container {
    pub(super) view: ContainerView,
    pub(super) spec: ContainerSpec,
    /// Name of each variable and digest of its value.
    pub(super) env: BTreeMap<String, String>,
    /// Whether the program goes on when asked to end.
    pub(super) ignores_term: bool,
    /// How often it was started.
    pub(super) runs: u64,
    pub(super) log: Vec<LogChunk>,
    /// What was put into it by hand, by path.
    pub(super) files: BTreeMap<String, Node>,
    /// Signals that it was sent, by number.
    pub(super) signals: Vec<u8>,
}

pub(super) struct World {
    pub(super) now: Timestamp,
    made: u64,
    pub(super) containers: BTreeMap<ContainerId, Container>,
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// What is in them, where something was delivered.
    pub(super) contents: BTreeMap<String, Content>,
    /// What the engine copied from an image into them, by volume and path.
    pub(super) disks: BTreeMap<String, BTreeMap<String, Node>>,
    /// How deliveries go wrong, if they do.
    pub(super) breakage: Option<Breakage>,
    /// The version of the host's kernel.
    pub(super) kernel: String,
    pub(super) registry: Registry,
    /// Ports held by processes of the host.
    pub(super) occupied: BTreeSet<u16>,
    /// Host paths that are not there.
    pub(super) missing_paths: BTreeSet<String>,
    /// Whether it is on another host than those who ask it.
    pub(super) elsewhere: bool,
    /// What stands in images, by reference and path.
    pub(super) image_files: BTreeMap<String, BTreeMap<String, Node>>,
    /// Commands that no image has.
    pub(super) missing_commands: BTreeSet<String>,
    /// Containers that the runtime has and the engine forgot to have started.
    pub(super) forgotten: BTreeSet<ContainerId>,
    pub(super) events: Vec<Subscriber>,
    /// Programs that were started in containers, and end with them.
    pub(super) sessions: Vec<(ContainerId, tokio::task::AbortHandle)>,
    /// Exit codes of commands in containers, where not zero.
    pub(super) command_codes: BTreeMap<Vec<String>, i64>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            now: Timestamp::UNIX_EPOCH,
            made: 0,
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            contents: BTreeMap::new(),
            disks: BTreeMap::new(),
            breakage: None,
            kernel: "6.12.0".to_owned(),
            registry: Registry::default(),
            occupied: BTreeSet::new(),
            missing_paths: BTreeSet::new(),
            elsewhere: false,
            image_files: BTreeMap::new(),
            missing_commands: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            events: Vec::new(),
            sessions: Vec::new(),
            command_codes: BTreeMap::new(),
        };
        world.add_default_network();
        world
    }

    /// A new id: 64 hex digits, the same in every run.
    pub(super) fn next_id(&mut self) -> String {
        self.made += 1;
        hex(&Sha256::digest(self.made.to_le_bytes()))
    }

    pub(super) fn find(&self, id_or_name: &str) -> Option<&Container> {
        self.containers
            .values()
            .find(|c| c.view.id.as_str() == id_or_name || c.view.name == id_or_name)
    }

    pub(super) fn get(&mut self, op: Op, id: &ContainerId) -> Result<&mut Container> {
        self.containers.get_mut(id).ok_or_else(|| absent(op, id.as_str()))
    }

    pub(super) fn create(&mut self, spec: &ContainerSpec, secrets: &SecretEnv) -> Result<ContainerId> {
        let refuse = |kind, message: &str| Err(Error::new(Op::CreateContainer, &spec.name, kind, message));
        let env = match env(spec, secrets) {
            Ok(env) => env,
            Err(message) => return refuse(Kind::Invalid, &message),
        };
        if spec.name.is_empty()
            || !spec
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        {
            return refuse(Kind::Invalid, &format!("Invalid container name ({})", spec.name));
        }
        if self.find(&spec.name).is_some() {
            return refuse(
                Kind::Conflict,
                &format!(
                    "Conflict. The container name \"/{}\" is already in use",
                    spec.name
                ),
            );
        }
        let Some(image) = self.registry.local(&spec.image) else {
            return refuse(Kind::NotFound, &format!("No such image: {}", spec.image));
        };
        if spec.limits.memory.is_some_and(|n| n > 0 && n < 6 << 20) {
            return refuse(Kind::Invalid, "Minimum memory limit allowed is 6MB");
        }
        if let Some(path) = self.missing_path(spec) {
            let message =
                format!("invalid mount config for type \"bind\": bind source path does not exist: {path}");
            return refuse(Kind::HostPathMissing, &message);
        }
        let image_id = image.id.clone();
        self.make_volumes(spec);
        self.fill_volumes(spec);
        let id = ContainerId::new(self.next_id());
        let view = self.created(&id, spec, image_id);
        let container = Container {
            view,
            spec: spec.clone(),
            env,
            ignores_term: false,
            runs: 0,
            log: Vec::new(),
            files: BTreeMap::new(),
            signals: Vec::new(),
        };
        self.containers.insert(id.clone(), container);
        self.container_event(&id, "create", &[]);
        Ok(id)
    }

    fn created(&self, id: &ContainerId, spec: &ContainerSpec, image_id: String) -> ContainerView {
        let (network, aliases) = match &spec.network {
            Some(join) => (join.name.clone(), join.aliases.clone()),
            None => ("none".to_owned(), Vec::new()),
        };
        ContainerView {
            id: id.clone(),
            name: spec.name.clone(),
            image: spec.image.clone(),
            image_id,
            labels: spec.labels.clone(),
            state: RunState::Created,
            created_at: self.now,
            started_at: None,
            exit: None,
            limits: Limits {
                memory: spec.limits.memory.filter(|n| *n > 0),
                nano_cpus: spec.limits.nano_cpus.filter(|n| *n > 0),
            },
            swap_bounded: true,
            restart_policy: if spec.restarts { "always" } else { "no" }.to_owned(),
            networks: [(
                network,
                Attachment {
                    aliases,
                    ..Attachment::default()
                },
            )]
            .into(),
        }
    }

    pub(super) fn start(&mut self, id: &ContainerId) -> Result<()> {
        let state = self.get(Op::StartContainer, id)?.view.state;
        match state {
            RunState::Running | RunState::Restarting => return Ok(()),
            RunState::Paused => {
                let message = "cannot start a paused container, try unpause instead";
                return Err(Error::new(
                    Op::StartContainer,
                    id.as_str(),
                    Kind::Conflict,
                    message,
                ));
            }
            RunState::Removing | RunState::Dead => {
                let message = "container is marked for removal and cannot be started";
                return Err(Error::new(
                    Op::StartContainer,
                    id.as_str(),
                    Kind::Conflict,
                    message,
                ));
            }
            RunState::Created | RunState::Exited => {}
        }
        if let Err((kind, message)) = self.can_start(id) {
            self.release_addresses(id);
            // The engine keeps the end of the run before, but for an exit code of zero.
            let exit = self.get(Op::StartContainer, id)?.view.exit.as_mut();
            if let Some(exit) = exit.filter(|exit| exit.code == 0) {
                exit.code = NEVER_STARTED;
            }
            return Err(Error::new(Op::StartContainer, id.as_str(), kind, message));
        }
        let networks: Vec<_> = self
            .get(Op::StartContainer, id)?
            .view
            .networks
            .keys()
            .cloned()
            .collect();
        for network in &networks {
            self.network_event(id, "connect", network);
        }
        self.remount(id);
        let now = self.now;
        let container = self.get(Op::StartContainer, id)?;
        container.runs += 1;
        let view = &mut container.view;
        view.state = RunState::Running;
        view.started_at = Some(now);
        view.exit = None;
        self.container_event(id, "start", &[]);
        Ok(())
    }

    /// Takes addresses on the way; the caller gives them back if something else is missing.
    fn can_start(&mut self, id: &ContainerId) -> std::result::Result<(), (Kind, String)> {
        let Some(container) = self.containers.get(id) else {
            return Err((Kind::NotFound, format!("No such container: {id}")));
        };
        let spec = container.spec.clone();
        if let Some(path) = self.missing_path(&spec) {
            return Err((
                Kind::HostPathMissing,
                format!("bind source path does not exist: {path}"),
            ));
        }
        if self.forgotten.contains(id) {
            return Err((Kind::Unstartable, "id already in use".to_owned()));
        }
        self.can_mount(&spec)?;
        self.take_addresses(id)?;
        if let Some(port) = spec.ports.iter().find(|port| self.port_is_taken(id, port)) {
            let at = format!("{}:{}", port.host_ip, port.host_port);
            let message = format!(
                "driver failed programming external connectivity: Bind for {at} failed: port is already allocated"
            );
            return Err((Kind::PortTaken, message));
        }
        let command = spec.entrypoint.iter().chain(&spec.cmd).flatten().next();
        if let Some(command) = command.filter(|command| self.missing_commands.contains(*command)) {
            return Err((
                Kind::CommandNotRunnable,
                format!("exec: \"{command}\": executable file not found in $PATH: unknown"),
            ));
        }
        Ok(())
    }

    fn missing_path(&self, spec: &ContainerSpec) -> Option<String> {
        spec.mounts.iter().find_map(|mount| match &mount.source {
            MountSource::HostPath(path) if self.elsewhere || self.missing_paths.contains(path) => {
                Some(path.clone())
            }
            _ => None,
        })
    }

    fn port_is_taken(&self, id: &ContainerId, wanted: &PublishedPort) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
        let clash = |held: &PublishedPort| {
            held.host_port == wanted.host_port
                && held.protocol == wanted.protocol
                && (held.host_ip == wanted.host_ip || any(&held.host_ip) || any(&wanted.host_ip))
        };
        let running = |c: &&Container| is_up(c.view.state) && c.view.id != *id;
        self.occupied.contains(&wanted.host_port)
            || self
                .containers
                .values()
                .filter(running)
                .any(|c| c.spec.ports.iter().any(clash))
    }

    /// The program ends, by itself or not.
    pub(super) fn end(&mut self, id: &ContainerId, code: i64, oom_killed: bool) {
        let now = self.now;
        let Some(container) = self.containers.get_mut(id).filter(|c| is_up(c.view.state)) else {
            return;
        };
        container.view.state = RunState::Exited;
        container.view.exit = Some(ExitInfo {
            code,
            oom_killed,
            finished_at: now,
        });
        let networks: Vec<_> = container.view.networks.keys().cloned().collect();
        if oom_killed {
            self.container_event(id, "oom", &[]);
        }
        self.container_event(id, "die", &[("exitCode", &code.to_string())]);
        for network in &networks {
            self.network_event(id, "disconnect", network);
        }
        self.release_addresses(id);
        self.sessions.retain(|(of, session)| {
            if of == id {
                session.abort();
            }
            of != id
        });
        self.unmount();
    }

    pub(super) fn remove(&mut self, id: &ContainerId, force: bool) -> Result<()> {
        let Some(container) = self.containers.get(id) else {
            return Ok(());
        };
        if is_up(container.view.state) {
            if !force {
                let message = "You cannot remove a running container. Stop the container before attempting removal or force remove";
                return Err(Error::new(
                    Op::RemoveContainer,
                    id.as_str(),
                    Kind::Conflict,
                    message,
                ));
            }
            self.container_event(id, "kill", &[("signal", "9")]);
            self.end(id, 137, false);
        }
        self.container_event(id, "destroy", &[]);
        self.containers.remove(id);
        Ok(())
    }

    pub(super) fn rename(&mut self, id: &ContainerId, name: &str) -> Result<()> {
        let own = self.get(Op::RenameContainer, id)?.view.name.clone();
        if own == name {
            return Ok(());
        }
        if self.find(name).is_some() {
            let message = format!("Conflict. The container name \"/{name}\" is already in use");
            return Err(Error::new(
                Op::RenameContainer,
                id.as_str(),
                Kind::Conflict,
                message,
            ));
        }
        self.get(Op::RenameContainer, id)?.view.name = name.to_owned();
        self.container_event(id, "rename", &[("oldName", &format!("/{own}"))]);
        Ok(())
    }

    pub(super) fn update(&mut self, id: &ContainerId, limits: &Limits) -> Result<()> {
        if limits.memory.is_some_and(|n| n > 0 && n < 6 << 20) {
            let message = "Minimum memory limit allowed is 6MB";
            return Err(Error::new(
                Op::UpdateContainer,
                id.as_str(),
                Kind::Invalid,
                message,
            ));
        }
        let view = &mut self.get(Op::UpdateContainer, id)?.view;
        if let Some(memory) = limits.memory.filter(|n| *n > 0) {
            view.limits.memory = Some(memory);
            view.swap_bounded = true;
        }
        view.limits.nano_cpus = limits.nano_cpus.filter(|n| *n > 0).or(view.limits.nano_cpus);
        view.restart_policy = "no".to_owned();
        self.container_event(id, "update", &[]);
        Ok(())
    }
}

pub(super) fn absent(op: Op, id_or_name: &str) -> Error {
    Error::new(
        op,
        id_or_name,
        Kind::NotFound,
        format!("No such container: {id_or_name}"),
    )
}

/// Whether there is a process.
pub(super) fn is_up(state: RunState) -> bool {
    matches!(state, RunState::Running | RunState::Paused | RunState::Restarting)
}

/// SHA-256 in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
