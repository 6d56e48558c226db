//! A manifest of Ring (`namespaces`, `configs`, `deployments`) as DockerDeployments and ConfigMaps.
//! Owns its keys, each of which is converted or named; Ring itself drops what it does not know in silence. Its secrets are
//! in its own store and cannot be read out of it. Volumes and probes are in `ring/`. Called by `convert`.

mod files;
mod health;

use std::collections::BTreeMap;

use super::interpolate::interpolate;
use super::node::Node;
use super::report::Report;
use super::variables::{Plain, reference, variable};
use super::{Converted, Options, Sealable, checked, read};
use crate::api::schema::QuantityText;
use crate::api::{
    Container, ContainerPort, DockerDeploymentSpec, EnvVar, ImagePullPolicy, ImagePullSecret, PodSpec,
    PodTemplate, TemplateMetadata,
};

/// The key of a DockerSecret for a secret of Ring, which has one value.
const KEY: &str = "value";

/// Converts a manifest.
pub(super) fn convert(mut root: Node, options: &Options<'_>) -> Converted {
    let mut out = Converted::default();
    variables(&mut root, "", options, &mut out.report);
    for (key, value) in root.entries() {
        match key.as_str() {
            "namespaces" => {
                for (name, _) in value.entries() {
                    out.report.needs(
                        format!("namespaces.{name}"),
                        format!("`kubectl create namespace {name}`"),
                    );
                }
            }
            "configs" => {
                for (name, config) in value.entries() {
                    files::config(&format!("configs.{name}"), name, config, options, &mut out);
                }
            }
            "deployments" => {
                for (name, deployment) in value.entries() {
                    convert_one(name, deployment, options, &mut out);
                }
                for (index, deployment) in value.items().iter().enumerate() {
                    convert_one(&index.to_string(), deployment, options, &mut out);
                }
            }
            key => out
                .report
                .unmapped(key, "is no key of Ring's manifests: correct or remove it"),
        }
    }
    out
}

/// Ring replaces `$NAME` of the environment or of its `--env-file`.
fn variables(node: &mut Node, path: &str, options: &Options<'_>, report: &mut Report) {
    match node {
        Node::Text(text) if text.contains('$') => {
            let mut unset = Vec::new();
            let found = interpolate(text, &|name| options.around.variable(name), &mut unset);
            if let (Ok(new), true) = (found, unset.is_empty()) {
                *text = new;
            } else {
                report.differs(
                    path,
                    "has a $ that names no variable that is set here, and stays as it is written",
                );
            }
        }
        Node::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                variables(item, &format!("{path}[{index}]"), options, report);
            }
        }
        Node::Map(map) => {
            for (key, value) in map {
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                variables(value, &below, options, report);
            }
        }
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_) => {}
    }
}

/// A deployment on its way.
struct Draft<'a> {
    path: String,
    options: Options<'a>,
    report: &'a mut Report,
    spec: DockerDeploymentSpec,
    pod: PodSpec,
    container: Container,
    metadata: TemplateMetadata,
    sealed: Sealable,
}

fn convert_one(key: &str, node: &Node, options: &Options<'_>, out: &mut Converted) {
    let path = format!("deployments.{key}");
    let written = node.text_at("name");
    let name = read::label(written.as_ref().map_or(key, |name| name.as_str()));
    let own = node.text_at("namespace").map(|namespace| read::label(&namespace));
    let namespace = options.namespace.map(str::to_owned).or(own);
    let mut draft = Draft {
        path: path.clone(),
        options: Options {
            namespace: namespace.as_deref(),
            ..*options
        },
        report: &mut out.report,
        spec: DockerDeploymentSpec::default(),
        pod: PodSpec::default(),
        container: Container {
            name: name.clone(),
            ..Container::default()
        },
        metadata: TemplateMetadata::default(),
        sealed: Sealable {
            name: format!("{name}-env"),
            namespace: namespace.clone(),
            labels: BTreeMap::new(),
            values: BTreeMap::new(),
        },
    };
    for (key, value) in node.entries().iter().filter(|(_, value)| *value != Node::Null) {
        draft.key(key, value);
    }
    draft.volumes(node);
    if node.get("replicas").is_none() {
        draft.spec.replicas = Some(1);
        draft.report.differs(
            format!("{path}.replicas"),
            "is absent: 1, which Ring's documentation says and its program does not do",
        );
    }
    if draft.container.image.is_empty() {
        draft.wrong("image", "is missing: name the image to run");
    }
    let Draft {
        mut spec,
        mut pod,
        container,
        metadata,
        sealed,
        ..
    } = draft;
    pod.containers = vec![container];
    spec.template = PodTemplate {
        metadata: (metadata != TemplateMetadata::default()).then_some(metadata),
        spec: pod,
    };
    let options = Options {
        namespace: namespace.as_deref(),
        ..*options
    };
    let object = checked::deployment(&name, &spec, &options, &mut out.report, |at| {
        format!("{path} ({at})")
    });
    out.objects.extend(object);
    if !sealed.values.is_empty() {
        out.secrets.push(sealed);
    }
}

impl Draft<'_> {
    fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    fn wrong(&mut self, key: &str, text: impl Into<String>) {
        self.report.wrong(self.at(key), text);
    }

    fn unmapped(&mut self, key: &str, text: impl Into<String>) {
        self.report.unmapped(self.at(key), text);
    }

    fn key(&mut self, key: &str, value: &Node) {
        let fits = match key {
            "ports" | "health_checks" | "volumes" => matches!(value, Node::List(_)),
            "environment" | "resources" | "config" | "network" => matches!(value, Node::Map(_)),
            "labels" => read::pairs(value).is_some(),
            "command" => read::texts(value).is_some(),
            _ => true,
        };
        if !fits {
            return self.wrong(
                key,
                format!("is {}, which this key never is: correct it", value.kind()),
            );
        }
        match key {
            "name" | "namespace" | "volumes" => {}
            "image" => self.container.image = value.text().unwrap_or_default().as_str().to_owned(),
            "replicas" => match read::integer(value).and_then(|number| i32::try_from(number).ok()) {
                Some(number) => self.spec.replicas = Some(number),
                None => self.wrong(key, "is no number"),
            },
            "command" => {
                let words = read::texts(value).unwrap_or_default();
                self.container.args = words.iter().map(|word| read::literal(word)).collect();
            }
            "environment" => self.environment(value),
            "labels" => {
                for (name, text) in read::pairs(value).unwrap_or_default() {
                    let text = text.unwrap_or_default();
                    self.metadata.labels.insert(name, text.as_str().to_owned());
                }
            }
            "ports" => value
                .items()
                .iter()
                .enumerate()
                .for_each(|(index, port)| self.port(index, port)),
            "resources" => self.resources(value),
            "health_checks" => self.health_checks(value),
            "config" => self.config(value),
            "runtime" => match value.text().unwrap_or_default().as_str() {
                "docker" => {}
                _ => self.unmapped(
                    key,
                    "containers run on Docker: remove it, or go on running this one with Ring",
                ),
            },
            "kind" => match value.text().unwrap_or_default().as_str() {
                "worker" => {}
                _ => self.unmapped(key, "what runs to its end is no deployment: run it with Docker"),
            },
            "network" => match value.text_at("mode").unwrap_or_default().as_str() {
                "bridge" | "" => {}
                _ => self.unmapped("network.mode", "the host's network is not shared: publish ports"),
            },
            "autoscale" => self.unmapped(
                key,
                "the number of instances is fixed: `kubectl scale` changes it",
            ),
            key => self.unmapped(
                key,
                "is no key of Ring's deployments, which drops it in silence: correct or remove it",
            ),
        }
    }

    fn environment(&mut self, value: &Node) {
        for (name, value) in value.entries() {
            let path = self.at(&format!("environment.{name}"));
            if let Some(secret) = value.text_at("secretRef") {
                let object = read::label(&secret);
                self.secret_needed(&path, &object);
                self.container.env.push(EnvVar {
                    name: name.clone(),
                    value_from: Some(reference(&object, KEY)),
                    ..EnvVar::default()
                });
                continue;
            }
            let Some(value) = value.text() else {
                self.report.wrong(path, "is neither a text nor {secretRef: NAME}");
                continue;
            };
            let plain = Plain { path, name, value };
            let variable = variable(plain, &mut self.sealed, &self.options, self.report);
            self.container.env.push(variable);
        }
    }

    /// A secret of Ring is one value, and its API gives none of them out.
    fn secret_needed(&mut self, path: &str, object: &str) {
        let at = self
            .options
            .namespace
            .map_or_else(String::new, |n| format!("--namespace {n} "));
        self.report.needs(
            path,
            format!(
                "a DockerSecret {object} with the key {KEY}, as Ring gives no value out: `supercargo seal {at}--name {object} --key \
                 {KEY}`"
            ),
        );
    }

    fn port(&mut self, index: usize, node: &Node) {
        let number = |key: &str| {
            node.get(key)
                .and_then(read::integer)
                .and_then(|n| i32::try_from(n).ok())
        };
        let Some(container_port) = number("target").or_else(|| number("published")) else {
            return self.wrong(
                &format!("ports[{index}]"),
                "has no target: write the port in the container",
            );
        };
        let protocol = node.text_at("protocol");
        let protocol = match protocol.as_ref().map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("tcp") => None,
            Some("udp") => Some(crate::api::Protocol::Udp),
            Some(_) => return self.wrong(&format!("ports[{index}].protocol"), "is neither tcp nor udp"),
        };
        self.container.ports.push(ContainerPort {
            container_port,
            host_port: number("published"),
            // Ring publishes on every address when none is given.
            host_ip: Some(
                node.text_at("host_ip")
                    .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.as_str().to_owned()),
            ),
            protocol,
            name: None,
        });
        self.others(
            &format!("ports[{index}]"),
            node,
            &["published", "target", "host_ip", "protocol"],
        );
    }

    fn resources(&mut self, node: &Node) {
        for (section, amounts) in node.entries() {
            for (name, amount) in amounts.entries() {
                let text = QuantityText::Text(amount.text().unwrap_or_default().as_str().to_owned());
                let resources = self.container.resources.get_or_insert_default();
                match (section.as_str(), name.as_str()) {
                    ("limits", "cpu" | "memory") => resources.limits.insert(name.clone(), text),
                    ("requests", "cpu" | "memory") => {
                        self.report.differs(
                            format!("{}.resources.requests.{name}", self.path),
                            "has no effect: one host has no scheduler",
                        );
                        resources.requests.insert(name.clone(), text)
                    }
                    _ => {
                        self.unmapped(
                            &format!("resources.{section}.{name}"),
                            "there are limits of cpu and memory: remove it",
                        );
                        None
                    }
                };
            }
        }
    }

    fn config(&mut self, node: &Node) {
        for (key, value) in node.entries() {
            let at = format!("config.{key}");
            match key.as_str() {
                "image_pull_policy" => {
                    self.container.image_pull_policy = match value.text().unwrap_or_default().as_str() {
                        "Always" => Some(ImagePullPolicy::Always),
                        "IfNotPresent" => Some(ImagePullPolicy::IfNotPresent),
                        "Never" => Some(ImagePullPolicy::Never),
                        _ => return self.wrong(&at, "is none of Always, IfNotPresent and Never"),
                    }
                }
                "image_pull_secret" => {
                    let name = read::label(&value.text().unwrap_or_default());
                    self.report.needs(
                        self.at(&at),
                        format!("a DockerSecret {name} of type kubernetes.io/dockerconfigjson (docs/secrets.md)"),
                    );
                    self.pod.image_pull_secrets.push(ImagePullSecret { name, kind: None, namespace: None });
                }
                "server" | "username" | "password" => self.unmapped(
                    &at,
                    "credentials are no part of a deployment: seal a dockerconfigjson and name it under imagePullSecrets",
                ),
                "use_host_auth" => self.unmapped(&at, "credentials of the host are not used: seal them, and name them under imagePullSecrets"),
                "user" => self.user(value),
                _ => self.unmapped(&at, "is no key of Ring's config: correct or remove it"),
            }
        }
    }

    fn user(&mut self, node: &Node) {
        let context = self.container.security_context.get_or_insert_default();
        context.run_as_user = node.get("id").and_then(read::integer);
        context.run_as_group = node.get("group").and_then(read::integer);
        if node.get("privileged").and_then(read::truth) == Some(true) {
            context.privileged = Some(true);
            self.report.needs(
                self.at("config.user.privileged"),
                "an operator that is started with --allow-privileged",
            );
        }
        self.others("config.user", node, &["id", "group", "privileged"]);
    }

    fn others(&mut self, key: &str, node: &Node, known: &[&str]) {
        for (name, _) in node
            .entries()
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
        {
            self.unmapped(
                &format!("{key}.{name}"),
                "is no key of Ring's, which drops it in silence: correct or remove it",
            );
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
