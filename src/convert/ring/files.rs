//! Volumes and configs of Ring: named volumes, paths of the host, and files of configs and secrets, of which those in one
//! directory are one volume here.
//! Owns their keys. Called by `ring`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::node::Node;
use super::super::{Converted, Options, checked, read};
use super::{Draft, KEY};
use crate::api::{
    DockerVolume, FileItem, HostPath, ProjectedConfigMap, ProjectedSecret, ProjectedSource, ProjectedVolume,
    Volume, VolumeMount,
};

/// Converts a config into a ConfigMap.
pub(super) fn config(path: &str, key: &str, node: &Node, options: &Options<'_>, out: &mut Converted) {
    let name = node
        .text_at("name")
        .map_or_else(|| read::label(key), |name| read::label(&name));
    let own = node.text_at("namespace").map(|namespace| read::label(&namespace));
    let namespace = options.namespace.or(own.as_deref());
    let mut data = serde_json::Map::new();
    match node.text_at("data") {
        None => {}
        Some(text) => match serde_json::from_str::<BTreeMap<String, Value>>(&text) {
            Ok(found) => data.extend(found.into_iter().map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (key, Value::from(text))
            })),
            Err(_) => out.report.wrong(
                format!("{path}.data"),
                "is no text with a JSON object: correct it",
            ),
        },
    }
    for (key, file) in node.get("files").map_or(&[][..], Node::entries) {
        let at = format!("{path}.files.{key}");
        let file = file.text().unwrap_or_default();
        let whole = if file.starts_with('/') {
            file.as_str().to_owned()
        } else {
            format!("{}/{}", options.directory, file.as_str())
        };
        match options.around.file(&whole) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => {
                    data.insert(key.clone(), Value::from(text));
                }
                Err(_) => out
                    .report
                    .wrong(at, "is not UTF-8 text: make the ConfigMap with kubectl"),
            },
            Err(why) => out.report.wrong(
                at,
                format!("{} cannot be read ({why}): correct the path", file.as_str()),
            ),
        }
    }
    for (key, value) in node.entries() {
        match key.as_str() {
            "name" | "namespace" | "data" | "files" => {}
            "labels" => {}
            "interpolate" if value.is_idle() => {}
            "interpolate" => out.report.unmapped(
                format!("{path}.{key}"),
                "files have no templates: write the result",
            ),
            _ => out.report.unmapped(
                format!("{path}.{key}"),
                "is no key of Ring's configs: correct or remove it",
            ),
        }
    }
    let mut object = checked::manifest("v1", "ConfigMap", &name, namespace);
    if let (Some(labels), Some(metadata)) = (node.get("labels"), object.pointer_mut("/metadata")) {
        checked::set(metadata, "labels", labels.to_value());
    }
    checked::set(&mut object, "data", Value::Object(data));
    out.objects.push(object);
}

impl Draft<'_> {
    /// Converts all volumes.
    pub(super) fn volumes(&mut self, node: &Node) {
        let mut directories: BTreeMap<String, Vec<ProjectedSource>> = BTreeMap::new();
        for (index, volume) in node
            .get("volumes")
            .map_or(&[][..], Node::items)
            .iter()
            .enumerate()
        {
            let key = format!("volumes[{index}]");
            let known = ["type", "source", "destination", "driver", "permission", "key"];
            self.others(&key, volume, &known);
            let (Some(source), Some(target)) = (volume.text_at("source"), volume.text_at("destination"))
            else {
                self.wrong(&key, "needs source and destination");
                continue;
            };
            if volume
                .text_at("driver")
                .is_some_and(|driver| driver.as_str() != "local")
            {
                self.unmapped(
                    &format!("{key}.driver"),
                    "volumes are local: mount the share on the host, and name that path",
                );
            }
            let type_ = volume.text_at("type").unwrap_or_default();
            let read_only = volume
                .text_at("permission")
                .is_some_and(|permission| permission.as_str() == "ro");
            match type_.as_str() {
                // A source without a leading slash is a named volume for Ring, whatever the type says.
                "bind" if source.starts_with('/') => self.host(&key, index, &source, &target, read_only),
                "bind" | "volume" | "" => self.named(&key, index, &source, &target, read_only),
                "config" | "secret" => self.file(&key, &type_, volume, &mut directories),
                _ => self.unmapped(
                    &format!("{key}.type"),
                    "is none of bind, volume, config and secret",
                ),
            }
        }
        for (number, (directory, sources)) in directories.into_iter().enumerate() {
            let volume = Volume {
                name: format!("files-{number}"),
                projected: Some(ProjectedVolume {
                    sources,
                    default_mode: Some(0o444),
                    ..ProjectedVolume::default()
                }),
                ..Volume::default()
            };
            self.put(volume, &directory, true);
        }
    }

    fn host(&mut self, key: &str, index: usize, source: &str, target: &str, read_only: bool) {
        self.report.needs(
            self.at(key),
            format!("an operator that is started with --allow-host-path {source}, and that path on its Docker host"),
        );
        let volume = Volume {
            name: format!("host-{index}"),
            host_path: Some(HostPath {
                path: source.to_owned(),
                type_: None,
            }),
            ..Volume::default()
        };
        self.put(volume, target, read_only);
    }

    fn named(&mut self, key: &str, index: usize, source: &str, target: &str, read_only: bool) {
        self.report.differs(
            self.at(key),
            "a new volume of the namespace: it does not have the data of Ring's (docs/migrate.md says how to copy)",
        );
        let volume = Volume {
            name: format!("data-{index}"),
            docker_volume: Some(DockerVolume {
                name: read::label(source),
            }),
            ..Volume::default()
        };
        self.put(volume, target, read_only);
    }

    fn file(
        &mut self,
        key: &str,
        type_: &str,
        volume: &Node,
        into: &mut BTreeMap<String, Vec<ProjectedSource>>,
    ) {
        let target = volume.text_at("destination").unwrap_or_default();
        let source = read::label(&volume.text_at("source").unwrap_or_default());
        let (directory, file) = target.rsplit_once('/').unwrap_or(("", target.as_str()));
        if directory.is_empty() {
            return self.wrong(
                &format!("{key}.destination"),
                "is at the root, where nothing can be mounted: choose a directory",
            );
        }
        self.report.differs(
            self.at(key),
            format!("the whole directory {directory} has such files, and hides what the image has there"),
        );
        let item = |key: String| {
            vec![FileItem {
                key,
                path: file.to_owned(),
                mode: None,
            }]
        };
        let made = if type_ == "secret" {
            let path = self.at(key);
            self.secret_needed(&path, &source);
            ProjectedSource {
                secret: Some(ProjectedSecret {
                    name: source,
                    items: item(KEY.to_owned()),
                    ..ProjectedSecret::default()
                }),
                config_map: None,
            }
        } else {
            let Some(entry) = volume.text_at("key") else {
                return self.wrong(&format!("{key}.key"), "is missing: name the key of the config");
            };
            ProjectedSource {
                secret: None,
                config_map: Some(ProjectedConfigMap {
                    name: source,
                    items: item(entry.as_str().to_owned()),
                    ..ProjectedConfigMap::default()
                }),
            }
        };
        into.entry(directory.to_owned()).or_default().push(made);
    }

    fn put(&mut self, volume: Volume, target: &str, read_only: bool) {
        self.container.volume_mounts.push(VolumeMount {
            name: volume.name.clone(),
            mount_path: target.to_owned(),
            read_only: read_only.then_some(true),
        });
        self.pod.volumes.push(volume);
    }
}
