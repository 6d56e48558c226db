//! Volumes of files: secrets and ConfigMaps in a container's file system, and where they stand in it.
//! Owns the fields and what an absent one means; which paths and modes are wrong is in `validate/files.rs`.
//! Read by the rooms that resolve references and build containers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pod::{PodSpec, Volume};
use super::reference::SecretKind;

/// The highest mode of a file: read, write and execute for everybody.
pub const MAX_MODE: i32 = 0o777;
/// The most bytes that all files of one volume may have together.
pub const MAX_VOLUME_BYTES: usize = 1 << 20;
/// The most files of one volume.
pub const MAX_VOLUME_FILES: usize = 4096;
/// The most names in one path.
const MAX_DEPTH: usize = 32;
/// The most bytes between two slashes of a path, as in every file system of Linux.
const MAX_COMPONENT_BYTES: usize = 255;

/// Files with the values of a secret, in memory only. Without a volumeMount they are in /run/secrets/SECRETNAME.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVolume {
    /// Name of the secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,

    /// DockerSecret (also if absent), or Secret for a core Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SecretKind>,

    /// Namespace of the secret. The deployment's own if absent; another one needs the secret's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// The keys that become files. Every key under its own name if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<FileItem>,

    /// Mode of files whose item sets none: from 0400 to 0777 octal in YAML, from 256 to 511 decimal in JSON. 0400 octal (256) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 511))]
    pub default_mode: Option<i32>,

    /// Whether the secret, or a key of items, may be missing: its files are left out. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,

    /// What follows from a changed value: Update (also if absent), Signal or Restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,

    /// The signal of onChange Signal. SIGHUP if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
}

/// Files with the values of a ConfigMap of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapVolume {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The keys that become files. Every key under its own name if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<FileItem>,

    /// Mode of files whose item sets none: from 0400 to 0777 octal in YAML, from 256 to 511 decimal in JSON. 0444 octal (292) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 511))]
    pub default_mode: Option<i32>,

    /// Whether the ConfigMap, or a key of items, may be missing: its files are left out. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,

    /// What follows from a changed value: Update (also if absent), Signal or Restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,

    /// The signal of onChange Signal. SIGHUP if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
}

/// Files of several secrets and ConfigMaps in one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedVolume {
    /// Where the files come from. No two sources may give the same path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<ProjectedSource>,

    /// Mode of files whose item sets none: from 0400 to 0777 octal in YAML, from 256 to 511 decimal in JSON. 0400 octal (256) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 511))]
    pub default_mode: Option<i32>,

    /// What follows from a changed value: Update (also if absent), Signal or Restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_change: Option<OnChange>,

    /// The signal of onChange Signal. SIGHUP if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
}

/// One source of a projected volume. Exactly one of secret and configMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedSource {
    /// Values of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ProjectedSecret>,

    /// Values of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ProjectedConfigMap>,
}

/// Values of a secret in a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedSecret {
    /// Name of the secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// DockerSecret (also if absent), or Secret for a core Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SecretKind>,

    /// Namespace of the secret. The deployment's own if absent; another one needs the secret's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// The keys that become files. Every key under its own name if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<FileItem>,

    /// Whether the secret, or a key of items, may be missing: its files are left out. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// Values of a ConfigMap in a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedConfigMap {
    /// Name of the ConfigMap, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The keys that become files. Every key under its own name if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<FileItem>,

    /// Whether the ConfigMap, or a key of items, may be missing: its files are left out. False if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A key that becomes a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileItem {
    /// Key within the secret or the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,

    /// Path of the file below the volume: relative, and nothing in it begins with "..".
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// Mode of the file: from 0400 to 0777 octal in YAML, from 256 to 511 decimal in JSON. The volume's defaultMode if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 256, max = 511))]
    pub mode: Option<i32>,
}

/// A file of a volume of this pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileRef {
    /// Name of a volume of this pod: a secret, configMap or projected volume that is mounted.
    #[schemars(length(min = 1, max = 63))]
    pub volume: String,

    /// Key whose file is meant.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What follows from a changed value of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnChange {
    /// The files change under the running instances.
    #[default]
    Update,
    /// The files change, and each instance is sent a signal.
    Signal,
    /// The instances are replaced, as when a variable changes; running ones keep their files.
    Restart,
}

/// A signal that a program can act upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Usually: read the configuration again.
    #[default]
    SigHup,
    /// As by Ctrl-C.
    SigInt,
    /// As by Ctrl-\.
    SigQuit,
    /// Of the program's own meaning.
    SigUsr1,
    /// Of the program's own meaning.
    SigUsr2,
    /// A timer ran out.
    SigAlrm,
    /// Usually: end.
    SigTerm,
    /// Go on.
    SigCont,
    /// Usually: the size of the window changed, or stop gracefully.
    SigWinch,
}

impl Signal {
    /// The name, as in a manifest and as the engine takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SigHup => "SIGHUP",
            Self::SigInt => "SIGINT",
            Self::SigQuit => "SIGQUIT",
            Self::SigUsr1 => "SIGUSR1",
            Self::SigUsr2 => "SIGUSR2",
            Self::SigAlrm => "SIGALRM",
            Self::SigTerm => "SIGTERM",
            Self::SigCont => "SIGCONT",
            Self::SigWinch => "SIGWINCH",
        }
    }
}

/// A volume of files, whichever of the three kinds it is written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVolume<'a> {
    /// The field of the volume: `secret`, `configMap` or `projected`.
    pub field: &'static str,
    /// Where the files come from.
    pub sources: Vec<FileSource<'a>>,
    /// As written.
    pub default_mode: Option<i32>,
    /// What follows from a changed value; Update if absent.
    pub on_change: OnChange,
    /// As written; [`Self::signal`] is what it means.
    pub written_signal: Option<Signal>,
}

/// One secret or ConfigMap of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource<'a> {
    /// Where it is written, below the volume, such as `projected.sources[1].secret`.
    pub field: String,
    /// What it is.
    pub origin: Origin<'a>,
    /// Its name.
    pub name: &'a str,
    /// The keys that become files; every key if empty.
    pub items: &'a [FileItem],
    /// Whether it, or one of the keys, may be missing.
    pub optional: bool,
}

/// What a source of files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A secret, with the namespace as written.
    Secret(SecretKind, Option<&'a str>),
    /// A ConfigMap of the deployment's namespace.
    ConfigMap,
}

impl FileVolume<'_> {
    /// The mode of a file: its item's, else the volume's, else that of the kind of volume.
    #[must_use]
    pub fn mode(&self, item: Option<&FileItem>) -> u32 {
        let otherwise = if self.field == "configMap" { 0o444 } else { 0o400 };
        let written = item.and_then(|item| item.mode).or(self.default_mode);
        written
            .and_then(|mode| u32::try_from(mode).ok())
            .unwrap_or(otherwise)
    }

    /// The signal that follows a change; `None` unless `onChange` is Signal.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        match self.on_change {
            OnChange::Signal => Some(self.written_signal.unwrap_or_default()),
            OnChange::Update | OnChange::Restart => None,
        }
    }
}

impl FileSource<'_> {
    /// Whether the key can become a file here, as far as is written: it is among the items, or there are none.
    #[must_use]
    pub fn may_have(&self, key: &str) -> bool {
        self.items.is_empty() || self.items.iter().any(|item| item.key == key)
    }
}

impl Volume {
    /// The volume as one of files; `None` when it is of another kind.
    #[must_use]
    pub fn files(&self) -> Option<FileVolume<'_>> {
        if let Some(secret) = &self.secret {
            return Some(FileVolume {
                field: "secret",
                sources: vec![FileSource {
                    field: "secret".to_owned(),
                    origin: Origin::Secret(secret.kind.unwrap_or_default(), secret.namespace.as_deref()),
                    name: &secret.secret_name,
                    items: &secret.items,
                    optional: secret.optional.unwrap_or(false),
                }],
                default_mode: secret.default_mode,
                on_change: secret.on_change.unwrap_or_default(),
                written_signal: secret.signal,
            });
        }
        if let Some(config) = &self.config_map {
            return Some(FileVolume {
                field: "configMap",
                sources: vec![FileSource {
                    field: "configMap".to_owned(),
                    origin: Origin::ConfigMap,
                    name: &config.name,
                    items: &config.items,
                    optional: config.optional.unwrap_or(false),
                }],
                default_mode: config.default_mode,
                on_change: config.on_change.unwrap_or_default(),
                written_signal: config.signal,
            });
        }
        let projected = self.projected.as_ref()?;
        let sources = projected.sources.iter().enumerate();
        Some(FileVolume {
            field: "projected",
            sources: sources
                .filter_map(|(index, source)| source.source(index))
                .collect(),
            default_mode: projected.default_mode,
            on_change: projected.on_change.unwrap_or_default(),
            written_signal: projected.signal,
        })
    }
}

impl ProjectedSource {
    fn source(&self, index: usize) -> Option<FileSource<'_>> {
        if let Some(secret) = &self.secret {
            return Some(FileSource {
                field: format!("projected.sources[{index}].secret"),
                origin: Origin::Secret(secret.kind.unwrap_or_default(), secret.namespace.as_deref()),
                name: &secret.name,
                items: &secret.items,
                optional: secret.optional.unwrap_or(false),
            });
        }
        let config = self.config_map.as_ref()?;
        Some(FileSource {
            field: format!("projected.sources[{index}].configMap"),
            origin: Origin::ConfigMap,
            name: &config.name,
            items: &config.items,
            optional: config.optional.unwrap_or(false),
        })
    }
}

/// A place where the container sees a volume of files.
#[derive(Debug, Clone, PartialEq)]
pub struct FileMount<'a> {
    /// The volume.
    pub volume: &'a Volume,
    /// Absolute path in the container, without a slash at its end.
    pub path: String,
    /// The index of the volumeMount; `None` for a secret that nothing mounts and that stands in `/run/secrets`.
    pub written: Option<usize>,
}

/// Every place where the container sees a volume of files, in the order of the volumes, and of the mounts of each. A
/// configMap or projected volume that nothing mounts is nowhere.
#[must_use]
pub fn file_mounts(pod: &PodSpec) -> Vec<FileMount<'_>> {
    let written = pod
        .container()
        .map_or(&[][..], |container| &container.volume_mounts);
    let mut mounts = Vec::new();
    for volume in pod.volumes.iter().filter(|volume| volume.files().is_some()) {
        let of_it = written
            .iter()
            .enumerate()
            .filter(|(_, mount)| mount.name == volume.name);
        let before = mounts.len();
        mounts.extend(of_it.map(|(index, mount)| FileMount {
            volume,
            path: mount.mount_path.trim_end_matches('/').to_owned(),
            written: Some(index),
        }));
        if mounts.len() == before
            && let Some(secret) = &volume.secret
        {
            mounts.push(FileMount {
                volume,
                path: format!("/run/secrets/{}", secret.secret_name),
                written: None,
            });
        }
    }
    mounts
}

/// What is wrong with the path of a file below its volume, and what to do about it.
#[must_use]
pub fn path_problem(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("is absolute: write it relative to the volume");
    }
    if path.contains('\0') {
        return Some("contains a NUL byte: remove it");
    }
    if path.split('/').count() > MAX_DEPTH {
        return Some("has more than 32 names: shorten it");
    }
    path.split('/').find_map(|step| match step {
        "" | "." => {
            Some("has an empty part or a part that is . : write one / between names, and none at the end")
        }
        // Names that begin so are the generations in which files are delivered.
        _ if step.starts_with("..") => Some("has a part that begins with .. : write another name"),
        _ if step.len() > MAX_COMPONENT_BYTES => Some("has a part of more than 255 bytes: shorten it"),
        _ => None,
    })
}

/// What stands in the way of a file at `path`: one of the same path, one above it where it needs a directory, or one below.
#[must_use]
pub fn in_the_way<'a, T>(taken: &'a BTreeMap<String, T>, path: &str) -> Option<(&'a str, &'a T)> {
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    let upward = above.chain([path]).find_map(|path| taken.get_key_value(path));
    let below = format!("{path}/");
    let downward = || {
        let next = taken.range(below.clone()..).next()?;
        next.0.starts_with(&below).then_some(next)
    };
    let (path, other) = upward.or_else(downward)?;
    Some((path.as_str(), other))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
