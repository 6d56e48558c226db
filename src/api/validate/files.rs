//! The rules of volumes of files: names, paths and modes, where they stand in the container, and variables that name one.
//! Owns what can be said without a look-up: which keys there are, and how large they are, is known only after resolving.
//! Called by `pod.rs`.

use std::collections::BTreeMap;

use super::super::container::OWN_DIRECTORY;
use super::super::deployment::DockerDeploymentSpec;
use super::super::files::{
    FileMount, FileRef, FileSource, FileVolume, MAX_MODE, OnChange, file_mounts, in_the_way, path_problem,
};
use super::super::pod::{PodSpec, Volume};
use super::{Report, syntax};

const PATH: &str = "spec.template.spec";
const CONTAINER: &str = "spec.template.spec.containers[0]";
const MODE_HINT: &str = "must be from 0400 to 0777 octal, which is 256 to 511 in decimal, and let the owner read, as whoever reads the \
                         file is its owner: correct the number";

/// Checks what concerns several volumes, or a volume and the container.
pub(super) fn check(pod: &PodSpec, report: &mut Report) {
    let mounts = file_mounts(pod);
    places(pod, &mounts, report);
    let variables = pod.container().map_or(&[][..], |container| &container.env);
    for (index, variable) in variables.iter().enumerate() {
        let path = format!("{CONTAINER}.env[{index}]");
        let Some(file) = &variable.file_ref else { continue };
        let has_value = variable.value.as_deref().is_some_and(|value| !value.is_empty());
        if has_value || variable.value_from.is_some() {
            report.invalid(
                format!("{path}.fileRef"),
                "stands besides value or valueFrom: keep one of them",
            );
        }
        file_ref(&format!("{path}.fileRef"), file, pod, &mounts, report);
    }
}

/// Checks one volume at `path`, if it is one of files.
pub(super) fn volume(path: &str, volume: &Volume, report: &mut Report) {
    for (index, source) in volume.projected.iter().flat_map(|p| &p.sources).enumerate() {
        if source.secret.is_some() == source.config_map.is_some() {
            report.invalid(
                format!("{path}.projected.sources[{index}]"),
                "must have exactly one of secret and configMap",
            );
        }
    }
    let Some(files) = volume.files() else { return };
    let field = format!("{path}.{}", files.field);
    if files.default_mode.is_some_and(is_no_mode) {
        report.invalid(format!("{field}.defaultMode"), MODE_HINT);
    }
    if files.written_signal.is_some() && files.on_change != OnChange::Signal {
        report.invalid(
            format!("{field}.signal"),
            "is sent only with onChange Signal: set onChange to Signal, or remove it",
        );
    }
    let mut taken = BTreeMap::new();
    for source in &files.sources {
        let path = format!("{path}.{}", source.field);
        if !syntax::is_dns_subdomain(source.name) {
            let name = if files.field == "secret" {
                "secretName"
            } else {
                "name"
            };
            report.invalid(
                format!("{path}.{name}"),
                format!("{:?} is not a name: {}", source.name, syntax::SUBDOMAIN_HINT),
            );
        }
        items(&path, source, &mut taken, report);
    }
}

fn items(path: &str, source: &FileSource<'_>, taken: &mut BTreeMap<String, String>, report: &mut Report) {
    for (index, item) in source.items.iter().enumerate() {
        let path = format!("{path}.items[{index}]");
        if !syntax::is_data_key(&item.key) {
            report.invalid(
                format!("{path}.key"),
                format!(
                    "{:?} is not a key: use at most 253 letters, digits and - _ .",
                    item.key
                ),
            );
        }
        if item.mode.is_some_and(is_no_mode) {
            report.invalid(format!("{path}.mode"), MODE_HINT);
        }
        let at = format!("{path}.path");
        if let Some(problem) = path_problem(&item.path) {
            report.invalid(at, format!("{:?} {problem}", item.path));
        } else if let Some((other, place)) = in_the_way(taken, &item.path) {
            report.invalid(
                at,
                format!(
                    "{:?} cannot stand beside {other:?} of {place}: give one of them another path",
                    item.path
                ),
            );
        } else {
            taken.insert(item.path.clone(), path);
        }
    }
}

fn is_no_mode(mode: i32) -> bool {
    !(0..=MAX_MODE).contains(&mode) || mode & 0o400 == 0
}

/// Something that is mounted.
struct Standing<'a> {
    /// Where that is written.
    place: String,
    /// Where it stands in the container.
    path: &'a str,
    /// Whether it is a volume of files.
    files: bool,
    /// Whether it is a volumeMount, and not a secret that nothing mounts.
    written: bool,
}

/// Whatever is mounted where a volume of files stands, or below it, would hide files or need a directory among them.
fn places(pod: &PodSpec, mounts: &[FileMount<'_>], report: &mut Report) {
    let written = pod
        .container()
        .map_or(&[][..], |container| &container.volume_mounts);
    let mut all: Vec<Standing<'_>> = written
        .iter()
        .enumerate()
        .map(|(index, mount)| Standing {
            place: format!("{CONTAINER}.volumeMounts[{index}].mountPath"),
            path: mount.mount_path.trim_end_matches('/'),
            files: mounts.iter().any(|mount| mount.written == Some(index)),
            written: true,
        })
        .collect();
    for mount in mounts.iter().filter(|mount| mount.written.is_none()) {
        let index = pod
            .volumes
            .iter()
            .position(|volume| std::ptr::eq(volume, mount.volume));
        all.push(Standing {
            place: format!("{PATH}.volumes[{}]", index.unwrap_or_default()),
            path: &mount.path,
            files: true,
            written: false,
        });
    }
    for (index, later) in all.iter().enumerate() {
        for earlier in all.iter().take(index) {
            // Two equal texts are told where all mounts are looked at.
            if earlier.written && later.written && earlier.path == later.path {
                continue;
            }
            let (down, up) = (
                syntax::is_below(later.path, earlier.path),
                syntax::is_below(earlier.path, later.path),
            );
            let (within, around) = match (earlier.files && down, later.files && up) {
                (false, false) => continue,
                (true, _) => (later, earlier),
                (false, true) if down => (later, earlier),
                (false, true) => (earlier, later),
            };
            report.invalid(
                &within.place,
                format!(
                    "{} is not free: {} stands in {}, and one of them holds files; mount one elsewhere with volumeMounts",
                    within.path, around.place, around.path
                ),
            );
        }
    }
}

/// What is mounted where the operator's own mounts stand would hide them, and where nothing can be written above them there
/// is no directory to put them on.
pub(super) fn own_directory(spec: &DockerDeploymentSpec, report: &mut Report) {
    let pod = &spec.template.spec;
    let Some(container) = pod.container() else { return };
    let mounts = file_mounts(pod);
    let is_files = |index| mounts.iter().any(|mount| mount.written == Some(index));
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        let path = format!("{CONTAINER}.volumeMounts[{index}].mountPath");
        let read_only = mount.read_only == Some(true) || is_files(index);
        if syntax::is_below(&mount.mount_path, OWN_DIRECTORY) {
            let message = format!("{OWN_DIRECTORY} is the operator's own: mount elsewhere");
            report.invalid(path, message);
        } else if spec.is_protected() && read_only && syntax::is_below(OWN_DIRECTORY, &mount.mount_path) {
            report.invalid(
                path,
                format!(
                    "with secretEnv Protected {OWN_DIRECTORY} stands in {}, which can only be read: mount elsewhere, or \
                     below it",
                    mount.mount_path
                ),
            );
        }
    }
}

fn file_ref(path: &str, file: &FileRef, pod: &PodSpec, mounts: &[FileMount<'_>], report: &mut Report) {
    let volume = pod.volumes.iter().find(|volume| volume.name == file.volume);
    let Some(files) = volume.and_then(Volume::files) else {
        let message = format!(
            "{:?} is no secret, configMap or projected volume: add it to {PATH}.volumes, or correct the name",
            file.volume
        );
        return report.invalid(format!("{path}.volume"), message);
    };
    if !mounts.iter().any(|mount| mount.volume.name == file.volume) {
        report.invalid(
            format!("{path}.volume"),
            format!("{:?} is not mounted: add it to volumeMounts", file.volume),
        );
    }
    key(&format!("{path}.key"), &file.key, &files, report);
}

fn key(path: &str, key: &str, files: &FileVolume<'_>, report: &mut Report) {
    let items = files.sources.iter().flat_map(|source| source.items);
    let certain = items.filter(|item| item.key == key).count();
    if certain > 1 {
        report.invalid(
            path,
            format!("{key:?} is more than one file of the volume: write a key that is one"),
        );
    } else if !files.sources.iter().any(|source| source.may_have(key)) {
        report.invalid(
            path,
            format!("{key:?} is not among the items of the volume: add it there, or correct the key"),
        );
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
