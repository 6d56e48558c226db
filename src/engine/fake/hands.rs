//! What a test does to the fake engine by hand: what people, programs, hosts and registries do to a real one. None of it
//! counts as a call. Each returns at once; what does not exist is left alone.

use std::collections::BTreeMap;

use super::{
    Breakage, Delivered, Fake,
    files::Node,
    holder::Content,
    registry,
    world::{self, Container, is_up},
};
use crate::{
    engine::LogChunk,
    state::{
        container::{ContainerId, ContainerSpec, ContainerView, Limits, PublishedPort, RunState},
        image::ImageView,
        volume::Volume,
    },
};

impl Fake {
    /// The program ends with this code.
    pub fn crash(&self, id: &ContainerId, code: i64) {
        self.inside().end(id, code, false);
    }

    /// The kernel ends the program for lack of memory.
    pub fn out_of_memory(&self, id: &ContainerId) {
        self.inside().end(id, 137, true);
    }

    /// `docker kill`.
    pub fn kill(&self, id: &ContainerId) {
        let mut world = self.inside();
        world.container_event(id, "kill", &[("signal", "9")]);
        world.end(id, 137, false);
    }

    /// What a command in any container ends with from now on.
    pub fn set_exit_code(&self, command: &[&str], code: i64) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.inside().command_codes.insert(command, code);
    }

    /// What is in a volume's memory is gone, as after a reboot.
    pub fn empty_volume(&self, name: &str) {
        self.inside().contents.remove(name);
    }

    /// How deliveries go wrong from now on; not at all with `None`.
    pub fn break_delivery(&self, how: Option<Breakage>) {
        self.inside().breakage = how;
    }

    /// What was delivered into a volume and is still there.
    #[must_use]
    pub fn delivered(&self, volume: &str) -> Option<Delivered> {
        self.inside().contents.get(volume).map(Content::delivered)
    }

    /// The volume as it was made first.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<Volume> {
        self.inside().volumes.get(name).cloned()
    }

    /// The host has this kernel; `noswap` is refused before 6.4.
    pub fn set_kernel(&self, version: &str) {
        version.clone_into(&mut self.inside().kernel);
    }

    /// The engine ends all containers, begins again and starts those that it restarts; streams and sessions end.
    pub fn restart_engine_without_live_restore(&self) {
        let mut world = self.inside();
        let running = world.containers.values().filter(|c| is_up(c.view.state));
        let running: Vec<ContainerId> = running.map(|c| c.view.id.clone()).collect();
        for id in &running {
            let stubborn = world.containers.get(id).is_some_and(|c| c.ignores_term);
            world.end(id, if stubborn { 137 } else { 0 }, false);
        }
        world.events.clear();
        let restarts = |c: &&Container| c.view.restart_policy == "always" && c.view.started_at.is_some();
        let restarted = world.containers.values().filter(restarts);
        let restarted: Vec<ContainerId> = restarted.map(|c| c.view.id.clone()).collect();
        for id in &restarted {
            let _ = world.start(id);
        }
    }

    /// As what a container was made, by id or name.
    #[must_use]
    pub fn spec_of(&self, id_or_name: &str) -> Option<ContainerSpec> {
        self.inside().find(id_or_name).map(|c| c.spec.clone())
    }

    /// The signals that it was sent so far, by number.
    #[must_use]
    pub fn signals(&self, id: &ContainerId) -> Vec<u8> {
        self.inside()
            .containers
            .get(id)
            .map(|container| container.signals.clone())
            .unwrap_or_default()
    }

    /// Puts a file into every container of this image.
    pub fn add_image_file(&self, reference: &str, path: &str, content: &[u8]) {
        let mut world = self.inside();
        let files = world.image_files.entry(reference.to_owned()).or_default();
        files.insert(path.to_owned(), Node::File(content.to_vec()));
    }

    /// The program makes a symbolic link to an absolute path or to a neighbour.
    pub fn make_link(&self, id: &ContainerId, path: &str, target: &str) {
        if let Some(container) = self.inside().containers.get_mut(id) {
            container
                .files
                .insert(path.to_owned(), Node::Link(target.to_owned()));
        }
    }

    /// `docker pause`.
    pub fn docker_pause(&self, id: &ContainerId) {
        let mut world = self.inside();
        if let Some(container) = world
            .containers
            .get_mut(id)
            .filter(|c| c.view.state == RunState::Running)
        {
            container.view.state = RunState::Paused;
            world.container_event(id, "pause", &[]);
        }
    }

    /// `docker rm --force`.
    pub fn remove_by_hand(&self, id: &ContainerId) {
        let _ = self.inside().remove(id, true);
    }

    /// `docker rename`; a name that is taken changes nothing.
    pub fn rename_by_hand(&self, id: &ContainerId, name: &str) {
        let _ = self.inside().rename(id, name);
    }

    /// `docker update` with memory and CPUs; absent limits are taken away, which the real engine cannot do at once.
    pub fn set_limits_by_hand(&self, id: &ContainerId, limits: Limits) {
        let mut world = self.inside();
        if let Some(container) = world.containers.get_mut(id) {
            container.view.limits = limits;
            container.view.swap_bounded = true;
        }
        world.container_event(id, "update", &[]);
    }

    /// `docker update --restart`.
    pub fn set_restart_policy_by_hand(&self, id: &ContainerId, policy: &str) {
        let mut world = self.inside();
        if let Some(container) = world.containers.get_mut(id) {
            container.view.restart_policy = policy.to_owned();
        }
        world.container_event(id, "update", &[]);
    }

    /// `docker network disconnect`.
    pub fn disconnect_by_hand(&self, network: &str, id: &ContainerId) {
        self.inside().disconnect(network, id);
    }

    /// `docker network connect`, without names of its own.
    pub fn connect_by_hand(&self, network: &str, id: &ContainerId) {
        let _ = self.inside().connect(network, id, &[]);
    }

    /// The engine begins again without what it knew of networks; containers go on, on what is left of theirs.
    pub fn lose_networks(&self) {
        let mut world = self.inside();
        world.events.clear();
        world.networks.clear();
        world.add_default_network();
    }

    /// What is done meanwhile is told to nobody, as when an engine drops events for which a listener is too slow.
    pub fn lose_events(&self, done: impl FnOnce(&Self)) {
        let listeners = std::mem::take(&mut self.inside().events);
        done(self);
        self.inside().events.extend(listeners);
    }

    /// The program of this container goes on when asked to end, until it is killed.
    pub fn ignore_term(&self, id: &ContainerId) {
        if let Some(container) = self.inside().containers.get_mut(id) {
            container.ignores_term = true;
        }
    }

    /// The program writes a line to standard output.
    pub fn print(&self, id: &ContainerId, line: &str) {
        self.write(id, LogChunk::Stdout(format!("{line}\n").into()));
    }

    /// The program writes a line to standard error.
    pub fn print_error(&self, id: &ContainerId, line: &str) {
        self.write(id, LogChunk::Stderr(format!("{line}\n").into()));
    }

    fn write(&self, id: &ContainerId, chunk: LogChunk) {
        if let Some(container) = self.inside().containers.get_mut(id) {
            container.log.push(chunk);
        }
    }

    /// Makes an image present. Its id, digest and command are functions of the reference.
    pub fn add_image(&self, reference: &str) {
        self.add_image_view(reference, registry::image(reference));
    }

    /// Makes this very image present.
    pub fn add_image_view(&self, reference: &str, image: ImageView) {
        let mut world = self.inside();
        let now = world.now;
        world.registry.add_local(reference, image, now);
    }

    /// `docker image rm --force`.
    pub fn remove_image_by_hand(&self, reference: &str) {
        self.inside().registry.remove_local(reference);
    }

    /// Makes an image available in its registry, for everybody or for who knows this user's password.
    pub fn add_registry_image(&self, reference: &str, login: Option<(&str, &[u8])>) {
        self.inside().registry.add_remote(reference, login);
    }

    /// The registry at this host (`host[:port]`) answers no more, or again.
    pub fn set_registry_down(&self, host: &str, down: bool) {
        let mut world = self.inside();
        if down {
            world.registry.down.insert(host.to_owned());
        } else {
            world.registry.down.remove(host);
        }
    }

    /// A process of the host takes a port on all addresses.
    pub fn occupy_host_port(&self, port: u16) {
        self.inside().occupied.insert(port);
    }

    /// The process lets go of it.
    pub fn free_host_port(&self, port: u16) {
        self.inside().occupied.remove(&port);
    }

    /// There is nothing at this path of the host.
    pub fn lose_host_path(&self, path: &str) {
        self.inside().missing_paths.insert(path.to_owned());
    }

    /// It is on another host: no path of this one is there.
    pub fn move_elsewhere(&self) {
        self.inside().elsewhere = true;
    }

    /// No image has this command.
    pub fn lose_command(&self, command: &str) {
        self.inside().missing_commands.insert(command.to_owned());
    }

    /// The engine is killed while it starts this container, and forgets that; its runtime does not.
    pub fn forget_start(&self, id: &ContainerId) {
        self.inside().forgotten.insert(id.clone());
    }

    /// The engine loses count of the network's endpoints, so that it can never be removed (seen once in 1500 on 20.10).
    pub fn leak_endpoint(&self, network: &str) {
        if let Some(network) = self.inside().networks.get_mut(network) {
            network.leaked = true;
        }
    }

    /// Somebody else's container, running, on the network `bridge`.
    pub fn add_foreign_container(&self, name: &str, labels: BTreeMap<String, String>) -> Option<ContainerId> {
        self.add_foreign_container_with_ports(name, labels, Vec::new())
    }

    /// The same, with ports of the host. None when the name is taken; not running when a port is.
    pub fn add_foreign_container_with_ports(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
        ports: Vec<PublishedPort>,
    ) -> Option<ContainerId> {
        let image = "foreign:1";
        let mut world = self.inside();
        let now = world.now;
        if world.registry.local(image).is_none() {
            world.registry.add_local(image, registry::image(image), now);
        }
        let spec = ContainerSpec {
            name: name.to_owned(),
            image: image.to_owned(),
            entrypoint: None,
            cmd: None,
            working_dir: None,
            env: Vec::new(),
            labels,
            hostname: None,
            user: None,
            read_only_rootfs: false,
            no_new_privileges: false,
            privileged: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            limits: Limits::default(),
            pids: None,
            ports,
            mounts: Vec::new(),
            network: Some(crate::state::network::NetworkJoin {
                name: "bridge".to_owned(),
                aliases: Vec::new(),
                address: None,
            }),
            dns: Vec::new(),
            restarts: false,
            stop_timeout: 10,
        };
        let id = world.create(&spec, &BTreeMap::new()).ok()?;
        let _ = world.start(&id);
        Some(id)
    }

    /// All containers, ours and others, by name.
    #[must_use]
    pub fn containers(&self) -> Vec<ContainerView> {
        let mut views: Vec<_> = self
            .inside()
            .containers
            .values()
            .map(|c| c.view.clone())
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// The digest ([`Self::digest`]) of each variable's value, by the variable's name.
    #[must_use]
    pub fn env_of(&self, id_or_name: &str) -> BTreeMap<String, String> {
        self.inside()
            .find(id_or_name)
            .map(|container| container.env.clone())
            .unwrap_or_default()
    }

    /// SHA-256 in hex, as in [`Self::env_of`].
    #[must_use]
    pub fn digest(bytes: &[u8]) -> String {
        world::digest(bytes)
    }
}
