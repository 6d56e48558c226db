//! One service as a DockerDeployment of one container.
//! Owns the order in which its keys are looked at and the whole that they make; each group of keys has a file of its own,
//! and what nobody takes is named by `unmapped`. Called by `compose`.

use super::super::node::Node;
use super::super::report::Report;
use super::super::{Converted, Options, Sealable, checked, read};
use super::{Project, shape, unmapped};
use crate::api::{
    Container, DockerDeploymentSpec, ImagePullPolicy, PodSpec, PodTemplate, TemplateMetadata, Volume,
    VolumeMount,
};

/// A service on its way.
pub(super) struct Service<'a> {
    pub(super) project: &'a Project<'a>,
    /// As written.
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) report: &'a mut Report,
    pub(super) spec: DockerDeploymentSpec,
    pub(super) pod: PodSpec,
    pub(super) container: Container,
    pub(super) metadata: TemplateMetadata,
    /// Variables that are sealed.
    pub(super) sealed: Sealable,
}

/// Whether its profiles are among those that are wanted, or it has none.
pub(super) fn wanted(node: &Node, options: &Options<'_>) -> bool {
    let profiles = node.get("profiles").and_then(read::texts).unwrap_or_default();
    profiles.is_empty()
        || options
            .profiles
            .iter()
            .any(|wanted| wanted == "*" || profiles.iter().any(|profile| *profile.as_str() == **wanted))
}

/// Converts one service.
pub(super) fn convert(project: &Project<'_>, name: &str, node: &Node, out: &mut Converted) {
    let label = read::label(name);
    if node.entries().is_empty() {
        out.report.wrong(
            format!("services.{name}"),
            "is no map with keys: give it an image",
        );
        return;
    }
    let mut service = Service {
        project,
        name,
        node,
        report: &mut out.report,
        spec: DockerDeploymentSpec::default(),
        pod: PodSpec::default(),
        container: Container {
            name: label.clone(),
            ..Container::default()
        },
        metadata: TemplateMetadata::default(),
        sealed: Sealable {
            name: format!("{label}-env"),
            namespace: project.options.namespace.map(str::to_owned),
            labels: std::collections::BTreeMap::new(),
            values: std::collections::BTreeMap::new(),
        },
    };
    if label != name {
        service.report.differs(
            format!("services.{name}"),
            format!("is {label} here, and that is the name that leads to it"),
        );
    }
    service.keys();
    service.image();
    service.environment();
    service.secrets();
    service.configs();
    let (sealed, spec) = service.finish();
    let path = format!("services.{name}");
    let names: Vec<String> = spec
        .template
        .spec
        .container()
        .map(|container| container.env.iter().map(|v| v.name.clone()).collect())
        .unwrap_or_default();
    let object = checked::deployment(&label, &spec, project.options, &mut out.report, |at| {
        origin(&path, at, &names)
    });
    out.objects.extend(object);
    if !sealed.values.is_empty() {
        out.secrets.push(sealed);
    }
}

/// The key of the service that made a path of the result.
fn origin(path: &str, at: &str, variables: &[String]) -> String {
    let variable = checked::index(at, "env").and_then(|index| variables.get(index));
    if let Some(name) = variable {
        return format!("{path}.environment.{name}");
    }
    let keys = [
        (".image", "image"),
        (".command", "entrypoint"),
        (".args", "command"),
        (".workingDir", "working_dir"),
        (".ports", "ports"),
        (".resources", "deploy.resources"),
        (".volumeMounts", "volumes"),
        (".volumes", "volumes"),
        (".runAs", "user"),
        (".capabilities", "cap_add"),
        (".allowPrivilegeEscalation", "security_opt"),
        (".readinessProbe", "healthcheck"),
        (".startupProbe", "healthcheck"),
        ("spec.strategy", "deploy.update_config"),
        ("spec.replicas", "deploy.replicas"),
        (".metadata.labels", "labels"),
        (".metadata.annotations", "labels"),
    ];
    match keys.iter().find(|(part, _)| at.contains(part)) {
        Some((_, key)) => format!("{path}.{key}"),
        None => path.to_owned(),
    }
}

impl Service<'_> {
    /// Where a key of this service is.
    pub(super) fn at(&self, key: &str) -> String {
        format!("services.{}.{key}", self.name)
    }

    /// The input is wrong.
    pub(super) fn wrong(&mut self, key: &str, text: impl Into<String>) {
        self.report.wrong(self.at(key), text);
    }

    /// A key has no counterpart.
    pub(super) fn unmapped(&mut self, key: &str, text: impl Into<String>) {
        self.report.unmapped(self.at(key), text);
    }

    /// A key means something else in part.
    pub(super) fn differs(&mut self, key: &str, text: impl Into<String>) {
        self.report.differs(self.at(key), text);
    }

    /// Mounts a volume at a path of the container.
    pub(super) fn mount(&mut self, volume: Volume, path: &str, read_only: bool) {
        self.container.volume_mounts.push(VolumeMount {
            name: volume.name.clone(),
            mount_path: path.to_owned(),
            read_only: read_only.then_some(true),
        });
        if !self.pod.volumes.iter().any(|other| other.name == volume.name) {
            self.pod.volumes.push(volume);
        }
    }

    /// A name for a volume that is not taken.
    pub(super) fn volume_name(&self, wish: &str) -> String {
        let wish: String = read::label(wish).chars().take(58).collect();
        let wish = if wish.is_empty() {
            "volume"
        } else {
            wish.trim_end_matches('-')
        };
        let taken = |name: &str| self.pod.volumes.iter().any(|volume| volume.name == name);
        let numbered = (2..).map(|n| format!("{wish}-{n}"));
        std::iter::once(wish.to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or_default()
    }

    fn keys(&mut self) {
        for (key, value) in self.node.entries() {
            if let Some(problem) = shape::problem(key, value) {
                self.wrong(key, problem);
                continue;
            }
            let taken = *value == Node::Null && key != "build"
                || self.process(key, value)
                || self.security(key, value)
                || self.limits(key, value)
                || self.network(key, value)
                || self.storage(key, value);
            match key.as_str() {
                _ if taken => {}
                // Looked at together, after the others.
                "image" | "build" | "pull_policy" | "environment" | "env_file" | "secrets" | "configs"
                | "profiles" => {}
                "deploy" => self.deploy(value),
                "healthcheck" => self.healthcheck(value),
                key => unmapped::service(&format!("services.{}", self.name), key, value, self.report),
            }
        }
    }

    fn image(&mut self) {
        let built = self.node.get("build").is_some_and(|build| !build.is_idle());
        let given = self.node.text_at("image");
        if built {
            self.unmapped(
                "build",
                "images are not built here: build and push it, and name it under image",
            );
        }
        match given {
            Some(image) => self.container.image = image.as_str().to_owned(),
            None if built => {
                // The name that `docker compose build` gives it, so that it runs on the host where it was built.
                self.container.image = format!("{}-{}", self.project.name, self.name);
                self.container.image_pull_policy = Some(ImagePullPolicy::Never);
                let image = self.container.image.clone();
                self.report.needs(
                    format!("services.{}.image", self.name),
                    format!("{image} on the Docker host, as `docker compose build` makes it"),
                );
            }
            None => self.wrong("image", "is missing: name the image to run"),
        }
        let Some(policy) = self.node.text_at("pull_policy") else {
            return;
        };
        self.container.image_pull_policy = match policy.as_str() {
            "always" => Some(ImagePullPolicy::Always),
            "never" => Some(ImagePullPolicy::Never),
            "missing" | "if_not_present" => Some(ImagePullPolicy::IfNotPresent),
            "build" => self.container.image_pull_policy,
            _ => {
                self.unmapped(
                    "pull_policy",
                    "images are pulled always, when they are missing, or never: write always, missing or never",
                );
                Some(ImagePullPolicy::IfNotPresent)
            }
        };
    }

    fn finish(self) -> (Sealable, DockerDeploymentSpec) {
        let Service {
            mut spec,
            mut pod,
            container,
            metadata,
            sealed,
            ..
        } = self;
        pod.containers = vec![container];
        spec.template = PodTemplate {
            metadata: (metadata != TemplateMetadata::default()).then_some(metadata),
            spec: pod,
        };
        (sealed, spec)
    }
}
