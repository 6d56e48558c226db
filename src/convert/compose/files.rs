//! `secrets` and `configs`: their definitions become values to be sealed and ConfigMaps, their uses volumes of files at the
//! paths that Compose has: all secrets of a service in one volume at /run/secrets.
//! Owns paths, modes and owners. Called by `compose` and `service`.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::super::node::Node;
use super::super::{Converted, Sealable, read};
use super::service::Service;
use super::{Project, config_map, unmapped};
use crate::api::{FileItem, ProjectedConfigMap, ProjectedSecret, ProjectedSource, ProjectedVolume, Volume};
use crate::seal::{MAX_VALUE_BYTES, Plaintext};

/// Where Compose puts secrets.
const SECRETS: &str = "/run/secrets";
/// Where a config goes whose target is the root, which cannot be mounted.
const CONFIGS: &str = "/run/configs";
/// The mode that Compose gives: everybody may read.
const MODE: i32 = 0o444;

/// One use of a secret or a config.
struct Use {
    key: String,
    source: String,
    /// As written.
    target: Option<String>,
    mode: Option<i32>,
}

/// The name of the object: that of `name`, else that of the definition.
fn object_name(name: &str, definition: Option<&Node>) -> String {
    let own = definition.and_then(|node| node.text_at("name"));
    read::label(own.as_ref().map_or(name, |own| own.as_str()))
}

/// The key within it: the definition's name, where Kubernetes takes it.
fn data_key(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key: String = name.chars().map(|c| if fine(c) { c } else { '-' }).collect();
    if key.starts_with("..") || key == "." {
        read::label(name)
    } else {
        key
    }
}

/// Base64, as `binaryData` has it.
pub(super) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Values of every secret that a wanted service uses.
pub(super) fn secrets(project: &Project<'_>, out: &mut Converted) {
    for (name, definition) in project.root.get("secrets").map_or(&[][..], Node::entries) {
        let (path, object) = (format!("secrets.{name}"), object_name(name, Some(definition)));
        if !project.uses("secrets", name) {
            out.report.differs(path, "no service uses it: left out");
            continue;
        }
        if definition.get("external").is_some_and(|node| !node.is_idle()) {
            let key = data_key(name);
            let at = project
                .options
                .namespace
                .map_or_else(String::new, |n| format!("--namespace {n} "));
            out.report.needs(
                path,
                format!(
                    "a DockerSecret {object} with the key {key}, as its value is not in this file: `supercargo seal {at}--name \
                     {object} --key {key}`"
                ),
            );
            continue;
        }
        let Some(bytes) = project.bytes(&path, definition, "secret", out) else {
            continue;
        };
        if bytes.len() > MAX_VALUE_BYTES {
            let text =
                format!("has more than {MAX_VALUE_BYTES} bytes, which is the limit: deliver it another way");
            out.report.wrong(path, text);
            continue;
        }
        out.secrets.push(Sealable {
            name: object,
            namespace: project.options.namespace.map(str::to_owned),
            labels: BTreeMap::new(),
            values: BTreeMap::from([(data_key(name), Plaintext::from_zeroizing(bytes))]),
        });
    }
}

/// A ConfigMap for every config that a wanted service uses.
pub(super) fn configs(project: &Project<'_>, out: &mut Converted) {
    for (name, definition) in project.root.get("configs").map_or(&[][..], Node::entries) {
        let (path, object) = (format!("configs.{name}"), object_name(name, Some(definition)));
        let key = data_key(name);
        if !project.uses("configs", name) {
            out.report.differs(path, "no service uses it: left out");
        } else if definition.get("external").is_some_and(|node| !node.is_idle()) {
            let next = format!("`kubectl create configmap {object} --from-file={key}=FILE`");
            out.report
                .needs(path, format!("a ConfigMap {object} with the key {key}: {next}"));
        } else if let Some(bytes) = project.bytes(&path, definition, "config", out) {
            out.objects
                .push(config_map(&object, &key, &bytes, project.options));
        }
    }
}

impl Project<'_> {
    fn uses(&self, section: &str, name: &str) -> bool {
        let services = self.root.get("services").map_or(&[][..], Node::entries);
        services
            .iter()
            .filter(|(_, service)| super::service::wanted(service, self.options))
            .flat_map(|(_, service)| service.get(section).map_or(&[][..], Node::items))
            .any(|item| {
                let short = item.text().is_some_and(|text| text.as_str() == name);
                short
                    || item
                        .text_at("source")
                        .is_some_and(|source| source.as_str() == name)
            })
    }

    /// The bytes of a definition, from whichever source it has.
    fn bytes(&self, path: &str, node: &Node, what: &str, out: &mut Converted) -> Option<Zeroizing<Vec<u8>>> {
        let around = self.options.around;
        if let Some(file) = node.text_at("file") {
            let read = around.file(&self.path(&file));
            let why = |why| format!("{} cannot be read ({why}): correct the path", file.as_str());
            return read
                .map_err(|e| out.report.wrong(format!("{path}.file"), why(e)))
                .ok();
        }
        if let Some(name) = node.text_at("environment") {
            let value = around
                .variable(&name)
                .map(|value| Zeroizing::new(value.as_bytes().to_vec()));
            if value.is_none() {
                let text = format!("{} is not set: set it where this runs", name.as_str());
                out.report.wrong(format!("{path}.environment"), text);
            }
            return value;
        }
        if let Some(content) = node.text_at("content").filter(|_| what == "config") {
            return Some(Zeroizing::new(content.as_bytes().to_vec()));
        }
        out.report
            .wrong(path, "has no source: give it file, environment or external");
        None
    }
}

impl Service<'_> {
    /// One volume for all secrets of the service.
    pub(super) fn secrets(&mut self) {
        let mut sources = Vec::new();
        for used in self.uses("secrets") {
            let path = used.target.clone().unwrap_or_else(|| used.source.clone());
            let below = path
                .strip_prefix(SECRETS)
                .map(|rest| rest.trim_start_matches('/'));
            let path = match below {
                Some(below) => below.to_owned(),
                None if path.starts_with('/') => {
                    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                    self.unmapped(
                        &format!("{}.target", used.key),
                        format!("a single file cannot stand at {path}: it is {SECRETS}/{name}, tell the program so"),
                    );
                    name
                }
                None => path,
            };
            sources.push(ProjectedSource {
                secret: Some(ProjectedSecret {
                    name: object_name(&used.source, self.project.defined("secrets", &used.source)),
                    items: vec![FileItem {
                        key: data_key(&used.source),
                        path,
                        mode: used.mode,
                    }],
                    ..ProjectedSecret::default()
                }),
                config_map: None,
            });
        }
        if !sources.is_empty() {
            self.put_files("secrets", SECRETS, sources);
        }
    }

    /// A volume for each directory that has configs.
    pub(super) fn configs(&mut self) {
        let mut directories: BTreeMap<String, Vec<ProjectedSource>> = BTreeMap::new();
        for used in self.uses("configs") {
            let target = used.target.clone().unwrap_or_else(|| format!("/{}", used.source));
            let (directory, name) = target.rsplit_once('/').unwrap_or(("", target.as_str()));
            let directory = if directory.is_empty() {
                self.unmapped(
                    &used.key,
                    format!("nothing can be mounted at the root of a container: it is {CONFIGS}/{name}, tell the program so"),
                );
                CONFIGS
            } else {
                let text = format!(
                    "the whole directory {directory} has the configs, and hides what the image has there"
                );
                self.differs(&used.key, text);
                directory
            };
            directories
                .entry(directory.to_owned())
                .or_default()
                .push(ProjectedSource {
                    secret: None,
                    config_map: Some(ProjectedConfigMap {
                        name: object_name(&used.source, self.project.defined("configs", &used.source)),
                        items: vec![FileItem {
                            key: data_key(&used.source),
                            path: name.to_owned(),
                            mode: used.mode,
                        }],
                        ..ProjectedConfigMap::default()
                    }),
                });
        }
        for (directory, sources) in directories {
            self.put_files("configs", &directory, sources);
        }
    }

    fn put_files(&mut self, name: &str, path: &str, sources: Vec<ProjectedSource>) {
        if sources.len() > 16 {
            self.wrong(
                name,
                "has more than 16 files for one directory: put several values into one secret by hand",
            );
            return;
        }
        let projected = ProjectedVolume {
            sources,
            default_mode: Some(MODE),
            ..ProjectedVolume::default()
        };
        let volume = Volume {
            name: self.volume_name(name),
            projected: Some(projected),
            ..Volume::default()
        };
        self.mount(volume, path, true);
    }

    fn uses(&mut self, section: &str) -> Vec<Use> {
        let mut found = Vec::new();
        for (index, item) in self
            .node
            .get(section)
            .map_or(&[][..], Node::items)
            .iter()
            .enumerate()
        {
            let key = format!("{section}[{index}]");
            let source = item.text().or_else(|| item.text_at("source"));
            let Some(source) = source.map(|source| source.as_str().to_owned()) else {
                self.wrong(&key, "has no source: name one that is defined at the top level");
                continue;
            };
            if self.project.defined(section, &source).is_none() {
                self.wrong(
                    &key,
                    format!("{source} is not defined: add it under {section} at the top level"),
                );
                continue;
            }
            let path = self.at(&key);
            unmapped::others(
                &path,
                item,
                &["source", "target", "uid", "gid", "mode"],
                self.report,
            );
            for id in ["uid", "gid"] {
                self.owner(&key, id, item);
            }
            let mode = self.mode(&key, item);
            let target = item.text_at("target").map(|target| target.as_str().to_owned());
            found.push(Use {
                key,
                source,
                target,
                mode,
            });
        }
        found
    }

    /// Files belong to who the container runs as, so another owner has no counterpart.
    fn owner(&mut self, key: &str, id: &str, item: &Node) {
        let Some(written) = item.text_at(id) else { return };
        let user = self.node.text_at("user").unwrap_or_default();
        let runs = match id {
            "uid" => user.split(':').next(),
            _ => user.split_once(':').map(|(_, group)| group),
        };
        if runs != Some(written.as_str()) {
            self.unmapped(
                &format!("{key}.{id}"),
                "files belong to who the container runs as: set user to it, or rely on the mode",
            );
        }
    }

    fn mode(&mut self, key: &str, item: &Node) -> Option<i32> {
        let node = item.get("mode")?;
        let at = format!("{key}.mode");
        match read::mode(node).filter(|mode| (0..=0o777).contains(mode)) {
            Some(mode) if mode & 0o400 == 0 => {
                self.differs(
                    &at,
                    "lets its owner not read: it does here, as the owner is who reads",
                );
                Some(mode | 0o400)
            }
            Some(mode) => Some(mode),
            None => {
                self.wrong(&at, "is no mode: write one such as 0440");
                None
            }
        }
    }
}
