//! The rules of the pod: one container, its volumes, its pull secrets.
//! Owns what holds across containers and volumes, and the policy of host paths; the container itself is in `container.rs`.
//! Called by `validate.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::pod::{HostPath, PodSpec, RestartPolicy, Volume};
use super::super::quantity::Quantity;
use super::{Parsed, Policy, Report, container, files, syntax};

const PATH: &str = "spec.template.spec";

pub(super) fn check(pod: &PodSpec, policy: &Policy, report: &mut Report) -> Option<Parsed> {
    if matches!(
        pod.restart_policy,
        Some(RestartPolicy::OnFailure | RestartPolicy::Never)
    ) {
        report.invalid(
            format!("{PATH}.restartPolicy"),
            "only Always is supported: remove it",
        );
    }
    if pod.termination_grace_period_seconds() < 0 {
        report.invalid(
            format!("{PATH}.terminationGracePeriodSeconds"),
            "must not be negative: 0 kills at once",
        );
    }
    let mut tmpfs_bytes = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (index, entry) in pod.volumes.iter().enumerate() {
        let path = format!("{PATH}.volumes[{index}]");
        if !names.insert(entry.name.as_str()) {
            report.invalid(
                format!("{path}.name"),
                format!("{:?} is there twice: rename one", entry.name),
            );
        }
        if let Some(bytes) = volume(&path, entry, policy, report) {
            tmpfs_bytes.insert(entry.name.clone(), bytes);
        }
    }
    files::check(pod, report);
    pull_secrets(pod, policy, report);
    let Some((first, others)) = pod.containers.split_first() else {
        report.invalid(
            format!("{PATH}.containers"),
            "must have exactly one entry: add the container to run",
        );
        return None;
    };
    for (index, other) in others.iter().enumerate() {
        report.invalid(
            format!("{PATH}.containers[{}]", index + 1),
            format!(
                "{:?} is a second container; groups of containers are not supported yet: use one deployment for each",
                other.name
            ),
        );
        container::check(
            &format!("{PATH}.containers[{}]", index + 1),
            other,
            &names,
            policy,
            report,
        );
    }
    let parsed = container::check(&format!("{PATH}.containers[0]"), first, &names, policy, report)?;
    Some(Parsed {
        tmpfs_bytes,
        ..parsed
    })
}

fn pull_secrets(pod: &PodSpec, policy: &Policy, report: &mut Report) {
    if pod.use_host_credentials == Some(true) && !policy.allow_host_credentials {
        report.policy(
            format!("{PATH}.useHostCredentials"),
            "the host's credentials are not permitted: use imagePullSecrets, or have the operator started with \
             --allow-host-credentials",
        );
    }
    let mut names = BTreeSet::new();
    for (index, secret) in pod.image_pull_secrets.iter().enumerate() {
        let path = format!("{PATH}.imagePullSecrets[{index}].name");
        if !syntax::is_dns_subdomain(&secret.name) {
            report.invalid(
                &path,
                format!("{:?} is not a name: {}", secret.name, syntax::SUBDOMAIN_HINT),
            );
        }
        if !names.insert(secret.name.as_str()) {
            report.invalid(&path, format!("{:?} is there twice: remove one", secret.name));
        }
    }
}

/// Checks one volume; returns its size limit in bytes.
fn volume(path: &str, volume: &Volume, policy: &Policy, report: &mut Report) -> Option<u64> {
    if !syntax::is_dns_label(&volume.name) {
        report.invalid(
            format!("{path}.name"),
            format!("{:?} is not a name: {}", volume.name, syntax::LABEL_HINT),
        );
    }
    files::volume(path, volume, report);
    let sources = [
        volume.secret.is_some(),
        volume.config_map.is_some(),
        volume.projected.is_some(),
        volume.empty_dir.is_some(),
        volume.docker_volume.is_some(),
        volume.host_path.is_some(),
    ];
    match sources.iter().filter(|present| **present).count() {
        1 => {}
        0 => report.invalid(
            path,
            "has no source that is supported: add one of secret, configMap, projected, emptyDir, dockerVolume and hostPath",
        ),
        _ => report.invalid(
            path,
            "has more than one source: keep one of secret, configMap, projected, emptyDir, dockerVolume and hostPath",
        ),
    }
    if let Some(docker) = &volume.docker_volume
        && !syntax::is_dns_label(&docker.name)
    {
        report.invalid(
            format!("{path}.dockerVolume.name"),
            format!("{:?} is not a name: {}", docker.name, syntax::LABEL_HINT),
        );
    }
    if let Some(host) = &volume.host_path {
        host_path(&format!("{path}.hostPath"), host, policy, report);
    }
    empty_dir(&format!("{path}.emptyDir"), volume, report)
}

fn empty_dir(path: &str, volume: &Volume, report: &mut Report) -> Option<u64> {
    let dir = volume.empty_dir.as_ref()?;
    if !matches!(dir.medium.as_deref(), None | Some("" | "Memory")) {
        report.invalid(
            format!("{path}.medium"),
            "must be Memory, or empty for the disk: write one of these",
        );
    }
    let limit = dir.size_limit.as_ref()?;
    let path = format!("{path}.sizeLimit");
    if !dir.is_memory() {
        report.invalid(
            path,
            "can only be enforced for medium Memory: set the medium or remove it",
        );
        return None;
    }
    match Quantity::try_from(limit) {
        Ok(quantity) if quantity.units() > 0 => Some(quantity.units()),
        Ok(_) => {
            report.invalid(path, "must be above 0: remove it for no limit");
            None
        }
        Err(error) => {
            report.invalid(path, error.to_string());
            None
        }
    }
}

fn host_path(path: &str, host: &HostPath, policy: &Policy, report: &mut Report) {
    if !matches!(host.type_.as_deref(), None | Some("" | "DirectoryOrCreate")) {
        report.invalid(
            format!("{path}.type"),
            "only DirectoryOrCreate can be told to Docker: remove it, a path that does not exist is refused anyway",
        );
    }
    let path = format!("{path}.path");
    if !host.path.starts_with('/') || host.path.contains('\0') {
        report.invalid(
            path,
            format!("{:?} is not an absolute path: start it with /", host.path),
        );
    } else if syntax::has_parent_step(&host.path) {
        report.invalid(path, "must not contain ..: write the path that is meant");
    } else if !policy
        .allow_host_paths
        .iter()
        .any(|prefix| syntax::is_below(&host.path, prefix))
    {
        report.policy(
            path,
            format!(
                "{} is not permitted: use dockerVolume, or have the operator started with --allow-host-path {}",
                host.path, host.path
            ),
        );
    }
}
