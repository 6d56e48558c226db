//! What a service mounts, other than secrets and configs: named volumes, paths of the host, tmpfs, shared memory.
//! Owns the short and the long form; definitions at the top level are `compose`'s. Called by `service`.

use super::super::node::Node;
use super::super::read;
use super::service::Service;
use super::unmapped;
use crate::api::schema::QuantityText;
use crate::api::{DockerVolume, EmptyDir, HostPath, Volume};

/// What is mounted, and from where.
enum From {
    Named(String),
    /// A path as written, and whether it is made when it is not there.
    Host(String, bool),
    Anonymous,
    /// Its size in bytes, if it is limited.
    Memory(Option<u64>),
}

impl Service<'_> {
    /// Whether the key is one of these.
    pub(super) fn storage(&mut self, key: &str, value: &Node) -> bool {
        match key {
            "volumes" => {
                for (index, item) in value.items().iter().enumerate() {
                    let key = format!("volumes[{index}]");
                    if let Node::Map(_) = item {
                        self.long_volume(&key, item);
                    } else {
                        self.short_volume(&key, item);
                    }
                }
            }
            "tmpfs" => {
                for text in read::texts(value).unwrap_or_default() {
                    let (path, options) = text.split_once(':').unwrap_or((text.as_str(), ""));
                    let mut size = None;
                    for option in options.split(',').filter(|option| !option.is_empty()) {
                        match option.split_once('=') {
                            Some(("size", bytes)) => size = read::bytes(bytes),
                            _ => self.unmapped("tmpfs", "of its options there is size: remove the others"),
                        }
                    }
                    self.put("tmpfs", From::Memory(size), path, false);
                }
            }
            "shm_size" => match value.text().and_then(|text| read::bytes(&text)) {
                Some(bytes) => self.put(key, From::Memory(Some(bytes)), "/dev/shm", false),
                None => self.wrong(key, "is no size: write one such as 64m"),
            },
            _ => return false,
        }
        true
    }

    fn short_volume(&mut self, key: &str, item: &Node) {
        let text = item.text().unwrap_or_default();
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, modes) = match parts.as_slice() {
            [target] => (None, *target, ""),
            [source, target] => (Some(*source), *target, ""),
            [source, target, modes] => (Some(*source), *target, *modes),
            _ => {
                return self.wrong(
                    key,
                    "is no volume: write NAME:/path, ./path:/path or NAME:/path:ro",
                );
            }
        };
        let mut read_only = false;
        for mode in modes.split(',') {
            match mode {
                "" | "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
                "ro" => read_only = true,
                _ => self.unmapped(key, "of its options there are ro and rw: remove the others"),
            }
        }
        let from = match source {
            None => From::Anonymous,
            Some(source) if source.starts_with(['/', '.', '~']) => From::Host(source.to_owned(), true),
            Some(name) => From::Named(name.to_owned()),
        };
        self.put(key, from, target, read_only);
    }

    fn long_volume(&mut self, key: &str, item: &Node) {
        let path = self.at(key);
        unmapped::others(
            &path,
            item,
            &[
                "type",
                "source",
                "target",
                "read_only",
                "bind",
                "volume",
                "tmpfs",
                "consistency",
            ],
            self.report,
        );
        let type_ = item.text_at("type").unwrap_or_default();
        let source = item.text_at("source").map(|text| text.as_str().to_owned());
        let Some(target) = item.text_at("target") else {
            return self.wrong(key, "has no target: write the path in the container");
        };
        let sub = |section: &str, name: &str| item.get(section).and_then(|node| node.get(name));
        let created = sub("bind", "create_host_path")
            .and_then(read::truth)
            .unwrap_or(true);
        let from = match (type_.as_str(), source) {
            ("tmpfs", _) => From::Memory(
                sub("tmpfs", "size")
                    .and_then(|n| n.text())
                    .and_then(|t| read::bytes(&t)),
            ),
            ("bind", Some(source)) => From::Host(source, created),
            ("volume", Some(source)) => From::Named(source),
            ("volume", None) => From::Anonymous,
            ("bind", None) => return self.wrong(key, "has no source: write the path of the host"),
            _ => {
                return self.unmapped(
                    &format!("{key}.type"),
                    "there are volume, bind and tmpfs: use one of them, and a secret or a config for single files",
                );
            }
        };
        for (section, mapped) in [("bind", "create_host_path"), ("volume", ""), ("tmpfs", "size")] {
            for (name, value) in item.get(section).map_or(&[][..], Node::entries) {
                if name != mapped && !value.is_idle() {
                    self.unmapped(
                        &format!("{key}.{section}.{name}"),
                        "has no counterpart here: remove it",
                    );
                }
            }
        }
        let read_only = item.get("read_only").and_then(read::truth) == Some(true);
        self.put(key, from, &target, read_only);
    }

    fn put(&mut self, key: &str, from: From, target: &str, read_only: bool) {
        let mut volume = Volume::default();
        match from {
            From::Named(name) => {
                let defined = self.project.defined("volumes", &name);
                if defined.is_none() {
                    return self.wrong(
                        key,
                        format!("{name} is no volume of this file: add it under volumes"),
                    );
                }
                let own = defined.and_then(|node| node.text_at("name"));
                let docker = read::label(own.as_ref().map_or(name.as_str(), |own| own.as_str()));
                let known = self.pod.volumes.iter().find(|volume| {
                    volume
                        .docker_volume
                        .as_ref()
                        .is_some_and(|other| other.name == docker)
                });
                volume.name = known.map_or_else(|| self.volume_name(&docker), |known| known.name.clone());
                volume.docker_volume = Some(DockerVolume { name: docker });
            }
            From::Host(written, created) => {
                let path = self.project.path(&written);
                self.report.needs(
                    self.at(key),
                    format!("an operator that is started with --allow-host-path {path}, and that path on its Docker host"),
                );
                volume.name = self.volume_name(path.rsplit('/').next().unwrap_or("host"));
                let type_ = created.then(|| "DirectoryOrCreate".to_owned());
                volume.host_path = Some(HostPath { path, type_ });
            }
            From::Anonymous => {
                self.differs(
                    key,
                    "lives as long as the instance: give the volume a name for data that is to stay",
                );
                volume.name = self.volume_name(target);
                volume.empty_dir = Some(EmptyDir::default());
            }
            From::Memory(size) => {
                volume.name = self.volume_name(target);
                volume.empty_dir = Some(EmptyDir {
                    medium: Some("Memory".to_owned()),
                    size_limit: size.map(|bytes| QuantityText::Text(read::quantity(bytes))),
                });
            }
        }
        self.mount(volume, target, read_only);
    }
}
