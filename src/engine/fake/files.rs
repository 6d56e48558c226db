//! Files in the fake engine's containers: what a test says is in an image or was put into a container, and signals, which
//! are the other thing that reaches a program without its help. Delivered files are in `holder`. Part of `world`'s rules.

use std::collections::BTreeMap;

use super::{
    holder::volume_of,
    world::{World, absent, is_up},
};
use crate::{
    engine::{Error, Kind, Op, Result},
    state::container::{ContainerId, ContainerSpec, MountSource, RunState},
};

/// Links that are followed to a file.
const MOST_LINKS: usize = 4;

/// Signals by name, without what they begin with.
const SIGNALS: [(&str, u8); 9] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
    ("WINCH", 28),
];

/// Something at a path.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A regular file.
    File(Vec<u8>),
    /// A symbolic link to an absolute path or to a neighbour.
    Link(String),
}

impl World {
    /// What the link leads to in the end, from the root; itself where it is none.
    fn led_to(&self, op: Op, id: &ContainerId, path: &str) -> Result<String> {
        let mut at = path.to_owned();
        for _ in 0..=MOST_LINKS {
            let Some(Node::Link(target)) = self.node(id, &at) else {
                return Ok(at);
            };
            let directory = at.rsplit_once('/').map_or("", |(directory, _)| directory);
            at = if target.starts_with('/') {
                target.clone()
            } else {
                format!("{directory}/{target}")
            };
        }
        let message = format!("{path} leads through too many links");
        Err(Error::new(op, id.as_str(), Kind::Invalid, message))
    }

    fn node(&self, id: &ContainerId, path: &str) -> Option<&Node> {
        let container = self.containers.get(id)?;
        let of_image = || self.image_files.get(&container.spec.image)?.get(path);
        container.files.get(path).or_else(of_image)
    }

    /// Copies what the image has where a container mounts an empty volume of the disk, unless it is one of files.
    pub(super) fn fill_volumes(&mut self, spec: &ContainerSpec) {
        for mount in &spec.mounts {
            let MountSource::Volume(name) = &mount.source else {
                continue;
            };
            let in_memory = self.volumes.get(name).is_some_and(|v| v.memory.is_some());
            if in_memory || self.disks.contains_key(name) {
                continue;
            }
            let files = self.image_files.get(&spec.image).into_iter().flatten();
            let below = |(path, node): (&String, &Node)| {
                let rest = path.strip_prefix(&mount.target)?.strip_prefix('/')?;
                Some((rest.to_owned(), node.clone()))
            };
            let copied: BTreeMap<String, Node> = files.filter_map(below).collect();
            if !copied.is_empty() {
                self.disks.insert(name.clone(), copied);
            }
        }
    }

    fn on_disk(&self, id: &ContainerId, path: &str) -> Option<&Node> {
        let (mount, rest) = self.mounted(id, path)?;
        self.disks.get(volume_of(mount)?)?.get(rest)
    }

    pub(super) fn read_link(&self, id: &ContainerId, path: &str) -> Result<Option<String>> {
        if !self.containers.contains_key(id) {
            return Err(absent(Op::ReadLink, id.as_str()));
        }
        if let Some(delivered) = self.delivered_link(id, path) {
            return Ok(delivered);
        }
        if let Some(at) = self.host_path(id, path) {
            let found = std::fs::read_link(at).ok();
            return Ok(found.and_then(|to| to.into_os_string().into_string().ok()));
        }
        let target = self.led_to(Op::ReadLink, id, path)?;
        if target == path {
            return Ok(None);
        }
        let neighbour = || {
            let (directory, _) = path.rsplit_once('/')?;
            let name = target.strip_prefix(directory)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(Some(neighbour().unwrap_or(target)))
    }

    pub(super) fn read_file(&self, id: &ContainerId, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        if !self.containers.contains_key(id) {
            return Err(absent(Op::ReadFile, id.as_str()));
        }
        if let Some(Node::File(bytes)) = self.on_disk(id, path) {
            return Ok(Some(bytes.clone()));
        }
        if self.delivered_link(id, path).is_some() {
            let message = "fake: delivered files are not handed out";
            return Err(Error::new(Op::ReadFile, id.as_str(), Kind::Failed, message));
        }
        let of_host = self.host_path(id, path);
        let end = self.led_to(Op::ReadFile, id, path)?;
        let of_host = of_host.and_then(|at| std::fs::read(at).ok()).map(Node::File);
        let Some(Node::File(bytes)) = of_host.as_ref().or_else(|| self.node(id, &end)) else {
            return Ok(None);
        };
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            return Ok(Some(bytes.clone()));
        }
        let message = format!("{path} is larger than {limit} bytes");
        Err(Error::new(Op::ReadFile, id.as_str(), Kind::Invalid, message))
    }

    /// Only the signals that end every program do something: what others do is the program's, so a test's.
    pub(super) fn signal(&mut self, id: &ContainerId, signal: &str) -> Result<()> {
        let refuse = |kind, text: String| Err(Error::new(Op::SignalContainer, id.as_str(), kind, text));
        let name = signal.strip_prefix("SIG").unwrap_or(signal);
        let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) else {
            return refuse(Kind::Invalid, format!("Invalid signal: {signal}"));
        };
        let container = self.get(Op::SignalContainer, id)?;
        if !is_up(container.view.state) {
            return refuse(Kind::Conflict, format!("Container {id} is not running"));
        }
        let was_paused = container.view.state == RunState::Paused;
        container.view.state = RunState::Running;
        container.signals.push(*number);
        let polite = !container.ignores_term;
        if was_paused {
            self.container_event(id, "unpause", &[]);
        }
        self.container_event(id, "kill", &[("signal", &number.to_string())]);
        match *number {
            9 => self.end(id, 137, false),
            15 if polite => self.end(id, 0, false),
            _ => {}
        }
        Ok(())
    }
}
