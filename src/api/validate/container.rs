//! The rules of the container: name, image, ports, resources, mounts, privileges.
//! Owns what concerns one container; its variables are in `environment.rs`.
//! Called by `pod.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::container::{Container, ContainerPort, SecurityContext, VolumeMount};
use super::super::image::ImageReference;
use super::super::quantity::Quantity;
use super::super::schema::QuantityText;
use super::{Parsed, Policy, Report, environment, probe, syntax};

/// The smallest memory limit that Docker takes, in bytes.
const MIN_MEMORY: u64 = 6 * 1024 * 1024;
/// The smallest CPU limit that Docker takes, in thousandths.
const MIN_CPU: u64 = 10;

pub(super) fn check(
    path: &str,
    container: &Container,
    volumes: &BTreeSet<&str>,
    policy: &Policy,
    report: &mut Report,
) -> Option<Parsed> {
    if !syntax::is_dns_label(&container.name) {
        report.invalid(
            format!("{path}.name"),
            format!("{:?} is not a name: {}", container.name, syntax::LABEL_HINT),
        );
    }
    if let Some(directory) = &container.working_dir
        && !directory.is_empty()
        && !directory.starts_with('/')
    {
        report.invalid(
            format!("{path}.workingDir"),
            format!("{directory:?} is not an absolute path: start it with /"),
        );
    }
    environment::check(path, container, report);
    ports(path, &container.ports, report);
    probe::check(path, container, report);
    mounts(path, &container.volume_mounts, volumes, report);
    if let Some(context) = &container.security_context {
        security(&format!("{path}.securityContext"), context, policy, report);
    }
    let (cpu_millis, memory_bytes) = limits(path, container, report);
    match ImageReference::parse(&container.image) {
        Ok(image) => {
            let pull_policy = container
                .image_pull_policy
                .unwrap_or_else(|| image.default_pull_policy());
            Some(Parsed {
                image,
                pull_policy,
                cpu_millis,
                memory_bytes,
                tmpfs_bytes: BTreeMap::new(),
            })
        }
        Err(error) => {
            report.invalid(format!("{path}.image"), error.to_string());
            None
        }
    }
}

fn ports(path: &str, ports: &[ContainerPort], report: &mut Report) {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        for (name, number) in [
            ("containerPort", Some(port.container_port)),
            ("hostPort", port.host_port),
        ] {
            if number.is_some_and(|number| !(1..=65535).contains(&number)) {
                report.invalid(
                    format!("{path}.{name}"),
                    "must be from 1 to 65535: correct the number",
                );
            }
        }
        if let Some(name) = &port.name
            && !names.insert(name.as_str())
        {
            report.invalid(
                format!("{path}.name"),
                format!("{name:?} is there twice: rename one"),
            );
        }
        if let Some(address) = port.host_ip.as_deref().filter(|address| !address.is_empty())
            && address.parse::<IpAddr>().is_err()
        {
            report.invalid(
                format!("{path}.hostIP"),
                format!("{address:?} is not an IP address: write one such as 127.0.0.1, or remove it"),
            );
        }
        if ports.iter().take(index).any(|earlier| clashes(earlier, port)) {
            report.invalid(
                format!("{path}.hostPort"),
                format!(
                    "{} is published twice: change or remove one",
                    port.host_port.unwrap_or_default()
                ),
            );
        }
    }
}

/// Whether two ports want the same port of the host. An absent address means every address.
fn clashes(one: &ContainerPort, other: &ContainerPort) -> bool {
    let address = |port: &ContainerPort| {
        port.host_ip
            .clone()
            .filter(|address| !matches!(address.as_str(), "" | "0.0.0.0" | "::"))
    };
    let addresses_meet = match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.host_port.is_some()
        && one.host_port == other.host_port
        && one.protocol() == other.protocol()
        && addresses_meet
}

fn mounts(path: &str, mounts: &[VolumeMount], volumes: &BTreeSet<&str>, report: &mut Report) {
    let mut paths = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        if !volumes.contains(mount.name.as_str()) {
            report.invalid(
                format!("{path}.name"),
                format!(
                    "{:?} is not a volume: add it to spec.template.spec.volumes, or correct the name",
                    mount.name
                ),
            );
        }
        let target = mount.mount_path.trim_end_matches('/');
        let path = format!("{path}.mountPath");
        if !mount.mount_path.starts_with('/') {
            report.invalid(
                path,
                format!("{:?} is not an absolute path: start it with /", mount.mount_path),
            );
        } else if target.is_empty() {
            report.invalid(path, "must not be the root of the container: mount below it");
        } else if mount.mount_path.contains([':', '\0']) || syntax::has_parent_step(&mount.mount_path) {
            report.invalid(
                path,
                format!("{:?} contains : or ..: write a plain path", mount.mount_path),
            );
        } else if !paths.insert(target) {
            report.invalid(path, format!("{target:?} is mounted twice: change or remove one"));
        }
    }
}

fn limits(path: &str, container: &Container, report: &mut Report) -> (Option<u64>, Option<u64>) {
    let (mut cpu, mut memory) = (None, None);
    let Some(resources) = &container.resources else {
        return (None, None);
    };
    for (name, text) in &resources.limits {
        let path = format!("{path}.resources.limits.{name}");
        match (name.as_str(), Quantity::try_from(text)) {
            ("cpu" | "memory", Err(error)) => report.invalid(path, error.to_string()),
            ("cpu", Ok(quantity)) if quantity.millis() < MIN_CPU => {
                report.invalid(
                    path,
                    format!("{text} is below Docker's minimum of 10m: raise it, or remove it for no limit"),
                );
            }
            ("cpu", Ok(quantity)) => cpu = Some(quantity.millis()),
            ("memory", Ok(quantity)) if quantity.units() < MIN_MEMORY => {
                report.invalid(
                    path,
                    format!("{text} is below Docker's minimum of 6Mi: {}", memory_hint(text)),
                );
            }
            ("memory", Ok(quantity)) => memory = Some(quantity.units()),
            (other, _) => report.invalid(
                path,
                format!("a limit of {other} is not supported: use cpu and memory, remove it"),
            ),
        }
    }
    for (name, text) in &resources.requests {
        if let Err(error) = Quantity::try_from(text) {
            report.invalid(format!("{path}.resources.requests.{name}"), error.to_string());
        }
    }
    (cpu, memory)
}

fn memory_hint(text: &QuantityText) -> String {
    match text.to_string().strip_suffix('m') {
        Some(number) => format!("m means thousandths of a byte, write {number}Mi for mebibytes"),
        None => "raise it, or remove it for no limit".to_owned(),
    }
}

fn security(path: &str, context: &SecurityContext, policy: &Policy, report: &mut Report) {
    for (name, id) in [
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
    ] {
        if id.is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            report.invalid(
                format!("{path}.{name}"),
                "must be from 0 to 2147483647: correct the number",
            );
        }
    }
    if context.run_as_group.is_some() && context.run_as_user.is_none() {
        report.invalid(
            format!("{path}.runAsGroup"),
            "needs runAsUser: set both or neither",
        );
    }
    let privileged = context.privileged == Some(true);
    if privileged && context.allow_privilege_escalation == Some(false) {
        report.invalid(
            format!("{path}.allowPrivilegeEscalation"),
            "cannot be false for a privileged container: remove one of them",
        );
    }
    if privileged && !policy.allow_privileged {
        report.policy(
            format!("{path}.privileged"),
            "privileged is not permitted: remove it, or have the operator started with --allow-privileged",
        );
    }
    let Some(capabilities) = &context.capabilities else {
        return;
    };
    let lists = [("add", &capabilities.add), ("drop", &capabilities.drop)];
    for (list, (index, name)) in lists
        .iter()
        .flat_map(|(list, names)| names.iter().enumerate().map(move |n| (*list, n)))
    {
        let path = format!("{path}.capabilities.{list}[{index}]");
        let plain = name.strip_prefix("CAP_").unwrap_or(name);
        if plain.is_empty()
            || !plain
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        {
            report.invalid(
                path,
                format!("{name:?} is not a capability: write a name such as NET_BIND_SERVICE, or ALL"),
            );
        } else if list == "add" && !policy.permits_capability(plain) {
            report.policy(
                path,
                format!("adding {plain} is not permitted: remove it, or have the operator started with --allow-capability {plain}"),
            );
        }
    }
}

impl Policy {
    fn permits_capability(&self, name: &str) -> bool {
        self.allow_capabilities.iter().any(|allowed| {
            let allowed = allowed.strip_prefix("CAP_").unwrap_or(allowed);
            allowed == "ALL" || allowed == name
        })
    }
}
