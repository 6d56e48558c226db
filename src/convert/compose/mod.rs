//! A Compose file, or a stack file of Swarm, as DockerDeployments, ConfigMaps and values to be sealed.
//! Owns the top level: variables in texts, which services are wanted, what of `secrets`, `configs`, `volumes` and
//! `networks` is mapped. A service is `service`'s. Called by `convert`.

mod deploy;
mod environment;
mod extends;
mod files;
mod health;
mod network;
mod ports;
mod process;
mod service;
mod shape;
mod storage;
mod unmapped;

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use super::interpolate::{Problem, interpolate};
use super::node::Node;
use super::report::Report;
use super::{Converted, Options, read};

/// A file whose variables are replaced.
pub(super) struct Project<'a> {
    root: &'a Node,
    options: &'a Options<'a>,
    /// Its name: `name`, else that of its directory.
    name: String,
}

/// Converts a Compose file.
pub(super) fn convert(mut root: Node, options: &Options<'_>) -> Converted {
    let mut out = Converted::default();
    variables(&mut root, options, &mut out.report);
    extends::resolve(&mut root, &mut out.report);
    let directory = options
        .directory
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("app");
    let name = root
        .text_at("name")
        .map_or_else(|| read::label(directory), |name| read::label(&name));
    let project = Project {
        root: &root,
        options,
        name,
    };
    project.top_level(&mut out.report);
    let mut names = BTreeMap::new();
    for (name, node) in root.get("services").map_or(&[][..], Node::entries) {
        let label = read::label(name);
        let path = format!("services.{name}");
        if !service::wanted(node, options) {
            out.report.unmapped(
                format!("{path}.profiles"),
                "left out, as no --profile names one of them",
            );
            continue;
        }
        if let Some(other) = names.insert(label, name.clone()) {
            out.report.wrong(
                path,
                format!(
                    "has the same name as {other} here, where names are in lower case with -: rename one"
                ),
            );
            continue;
        }
        service::convert(&project, name, node, &mut out);
    }
    files::secrets(&project, &mut out);
    files::configs(&project, &mut out);
    out
}

/// Replaces variables in every text of the file, except in extensions, which nobody reads.
fn variables(root: &mut Node, options: &Options<'_>, report: &mut Report) {
    let mut unset = Vec::new();
    if let Node::Map(map) = root {
        for (key, value) in map.iter_mut().filter(|(key, _)| !key.starts_with("x-")) {
            replace(value, key, options, &mut unset, report);
        }
    }
    unset.sort();
    unset.dedup();
    for name in unset {
        report.differs(
            format!("${{{name}}}"),
            "is not set in the environment nor in .env, and is empty here, as with Compose",
        );
    }
}

fn replace(node: &mut Node, path: &str, options: &Options<'_>, unset: &mut Vec<String>, report: &mut Report) {
    match node {
        Node::Text(text) if text.contains('$') => {
            match interpolate(text, &|name| options.around.variable(name), unset) {
                Ok(new) => *text = new,
                Err(problem @ (Problem::Syntax | Problem::Required(_))) => {
                    report.wrong(path, problem.to_string());
                }
            }
        }
        Node::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                replace(item, &format!("{path}[{index}]"), options, unset, report);
            }
        }
        Node::Map(map) => {
            for (key, value) in map {
                replace(value, &format!("{path}.{key}"), options, unset, report);
            }
        }
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) => {}
    }
}

impl<'a> Project<'a> {
    /// The definition of a secret, config, volume or network; an empty one says nothing.
    fn defined(&self, section: &str, name: &str) -> Option<&'a Node> {
        let section = self.root.get(section)?.entries();
        section.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// An absolute path for one that is relative to the file, without `.` and `..`.
    fn path(&self, written: &str) -> String {
        let home = || self.options.around.variable("HOME").unwrap_or_default();
        let whole = match written.strip_prefix("~/") {
            Some(below) => Zeroizing::new(format!("{}/{below}", home().as_str())),
            None if written == "~" => home(),
            None if written.starts_with('/') => Zeroizing::new(written.to_owned()),
            None => Zeroizing::new(format!("{}/{written}", self.options.directory)),
        };
        let mut parts = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    fn top_level(&self, report: &mut Report) {
        for (key, value) in self.root.entries() {
            let sections = ["services", "secrets", "configs", "volumes", "networks"];
            if sections.contains(&key.as_str()) && !matches!(value, Node::Map(_) | Node::Null) {
                report.wrong(key.as_str(), "is no map: write names with definitions below it");
                continue;
            }
            match key.as_str() {
                "name" | "services" => {}
                "secrets" | "configs" => {
                    // What services use is read where it is converted.
                    unmapped::fields(key, value, unmapped::FILES, report);
                }
                "volumes" => volumes(value, report),
                "networks" => networks(value, report),
                "version" => report.differs(key.as_str(), "has no meaning any more, for Compose neither"),
                key if key.starts_with("x-") => {
                    report.differs(
                        key,
                        "an extension: what is merged from it is converted, the rest is for other tools",
                    );
                }
                key => unmapped::top(key, report),
            }
        }
    }
}

fn volumes(node: &Node, report: &mut Report) {
    for (name, volume) in node.entries() {
        let path = format!("volumes.{name}");
        if volume.get("external").is_some_and(|node| !node.is_idle()) {
            report.unmapped(
                format!("{path}.external"),
                "a volume that exists has another name here: a new one is made, copy its data into it (docs/migrate.md)",
            );
        } else {
            report.differs(
                path,
                "a new volume of the namespace: it does not have the data of the project's (docs/migrate.md says how to copy)",
            );
        }
    }
    unmapped::fields("volumes", node, unmapped::VOLUME, report);
}

fn networks(node: &Node, report: &mut Report) {
    for (name, network) in node.entries() {
        report.differs(
            format!("networks.{name}"),
            "all deployments of a namespace are on one network: use a namespace for each group that others must not reach",
        );
        if network.get("external").is_some_and(|node| !node.is_idle()) {
            report.unmapped(
                format!("networks.{name}.external"),
                "containers are on no network of others: reach what is there by a published port",
            );
        }
    }
    unmapped::fields("networks", node, unmapped::NETWORK, report);
}

/// A ConfigMap of one file.
fn config_map(name: &str, key: &str, bytes: &[u8], options: &Options<'_>) -> Value {
    let mut object = super::checked::manifest("v1", "ConfigMap", name, options.namespace);
    let (field, text) = match std::str::from_utf8(bytes) {
        Ok(text) => ("data", text.to_owned()),
        Err(_) => ("binaryData", files::base64(bytes)),
    };
    let data: Value = [(key.to_owned(), Value::from(text))].into_iter().collect();
    super::checked::set(&mut object, field, data);
    object
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
