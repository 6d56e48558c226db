//! The volumes of files of a deployment: which keys become which files, with their fingerprints and, when wanted, bytes; and
//! the paths that variables name files by. Decides nothing about delivery. Called by [`super`] only, before the variables.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::{Reference, Walk, Want};
use crate::{
    api::{
        condition::Cause,
        files::{
            FileRef, FileSource, FileVolume, MAX_VOLUME_BYTES, MAX_VOLUME_FILES, OnChange, Origin,
            file_mounts, in_the_way, path_problem,
        },
        pod::Volume,
        reference::SecretKind,
    },
    seal::Plaintext,
    secrets::{open::key_not_found, source::Lookup},
    state::{
        container::SlotId,
        files::{FileSlot, VolumeFiles},
        hash,
        resolved::{Form, Problem},
        revision::CONFIG_MAP_PREFIX,
    },
};

const OWNER_READS: u32 = 0o400;

/// What became of one volume, for the variables that name its files.
pub(super) struct Filled<'a> {
    volume: &'a Volume,
    /// Where its sources are written.
    place: String,
    /// Where the container sees it; the first place, when there are several.
    mount: String,
    /// Key and path of each file.
    files: Vec<(String, String)>,
    /// Whether something of it failed, which has been told.
    failed: bool,
}

/// One volume while its files are put together.
struct Filling<'a> {
    volume: &'a str,
    /// Whether a changed value is a new revision.
    revises: bool,
    /// By path, with the place that gives each.
    taken: BTreeMap<String, (String, FileSlot)>,
    keys: Vec<(String, String)>,
    bytes: usize,
}

/// A file that is wanted.
struct Wanted {
    key: String,
    path: String,
    mode: u32,
    /// Where that is written.
    at: String,
}

/// What belongs into a file.
struct Content {
    fingerprint: String,
    size: usize,
    bytes: Option<Plaintext>,
}

impl<'a> Walk<'a> {
    pub(super) fn volumes(&mut self) {
        let pod = &self.deployment.spec.template.spec;
        let mounts = file_mounts(pod);
        for (index, volume) in pod.volumes.iter().enumerate() {
            let mount = mounts.iter().find(|mount| mount.volume.name == volume.name);
            if let (Some(files), Some(mount)) = (volume.files(), mount) {
                let place = format!("spec.template.spec.volumes[{index}]");
                self.volume(volume, &files, place, mount.path.clone());
            }
        }
    }

    fn volume(&mut self, volume: &'a Volume, files: &FileVolume<'_>, place: String, mount: String) {
        let before = self.told();
        let mut filling = Filling {
            volume: &volume.name,
            revises: match files.on_change {
                OnChange::Restart => true,
                OnChange::Update | OnChange::Signal => false,
            },
            taken: BTreeMap::new(),
            keys: Vec::new(),
            bytes: 0,
        };
        for source in &files.sources {
            let path = format!("{place}.{}", source.field);
            match source.origin {
                Origin::Secret(kind, namespace) => {
                    let reference = Reference {
                        kind,
                        namespace,
                        name: source.name,
                        key: None,
                        optional: source.optional,
                        path,
                    };
                    self.secret_files(&reference, files, source, &mut filling);
                }
                Origin::ConfigMap => self.config_files(&path, files, source, &mut filling),
            }
        }
        if filling.bytes > MAX_VOLUME_BYTES {
            self.out.invalid.push(Problem {
                path: place.clone(),
                message: "the files are larger than 1 MiB together; name the keys that are needed in items, or use \
                          another volume for some"
                    .to_owned(),
            });
        }
        if filling.taken.len() > MAX_VOLUME_FILES {
            self.out.invalid.push(Problem {
                path: place.clone(),
                message: "there are more than 4096 files; name the keys that are needed in items, or use another volume for \
                          some"
                    .to_owned(),
            });
        }
        self.files.push(VolumeFiles {
            volume: volume.name.clone(),
            files: filling.taken.into_values().map(|(_, slot)| slot).collect(),
        });
        self.filled.push(Filled {
            volume,
            place,
            mount,
            files: filling.keys,
            failed: self.told() != before,
        });
    }

    /// How much has been told of what is wrong.
    fn told(&self) -> usize {
        self.out.failures.len() + self.out.config.len() + self.out.invalid.len()
    }

    fn secret_files(
        &mut self,
        reference: &Reference<'_>,
        files: &FileVolume<'_>,
        source: &FileSource<'_>,
        into: &mut Filling<'_>,
    ) {
        let Some(keys) = self.keys(reference) else { return };
        for file in wanted(files, source, keys, &reference.path) {
            let one = Reference {
                key: Some(&file.key),
                path: file.at.clone(),
                ..*reference
            };
            match self.item(&one, &file.key) {
                Ok(Some((known, bytes))) => {
                    let content = Content {
                        fingerprint: known.fingerprint.clone(),
                        size: known.size,
                        bytes,
                    };
                    let used = one.used(
                        self.namespace,
                        &file.key,
                        (Form::File, SlotId::of_file(into.volume, &file.path)),
                        known,
                    );
                    if into.revises {
                        self.fingerprints
                            .insert(used.reference(), used.fingerprint.clone());
                    }
                    self.out.uses.push(used);
                    self.put(into, file, content);
                }
                Ok(None) if one.optional => {}
                Ok(None) => {
                    let closed = self.not_found(&one);
                    self.fail(&one, None, closed);
                }
                Err(closed) if one.optional && closed.cause == Cause::KeyNotFound => {}
                Err(closed) => self.fail(&one, None, closed),
            }
        }
    }

    fn config_files(
        &mut self,
        path: &str,
        files: &FileVolume<'_>,
        source: &FileSource<'_>,
        into: &mut Filling<'_>,
    ) {
        let map = match self.source.config_map(self.namespace, source.name) {
            Lookup::Found(map) => map,
            Lookup::Absent if source.optional => return,
            Lookup::Absent => return self.config_missing(source.name, path),
            Lookup::Denied(why) => return self.config_problem(path, why),
        };
        for file in wanted(files, source, config_keys(&map), path) {
            let Some(value) = config_value(&map, &file.key) else {
                if !source.optional {
                    self.config_no_key(source.name, &file.key, &config_keys(&map), &file.at);
                }
                continue;
            };
            let fingerprint = fingerprint(value);
            if into.revises {
                let name = format!("{CONFIG_MAP_PREFIX}{}/{}", source.name, file.key);
                self.fingerprints.insert(name, fingerprint.clone());
            }
            let content = Content {
                fingerprint,
                size: value.len(),
                bytes: (self.want == Want::Bytes).then(|| Plaintext::new(value.to_vec())),
            };
            self.put(into, file, content);
        }
    }

    fn put(&mut self, into: &mut Filling<'_>, file: Wanted, content: Content) {
        let message = if let Some(problem) = path_problem(&file.path) {
            format!("{:?} {problem}", file.path)
        } else if file.mode & OWNER_READS == 0 {
            // Root in the container could read it all the same, and its holder, who has no rights, could not.
            format!(
                "{:?} has the mode {:04o}, with which its owner cannot read it; give it at least 0400",
                file.path, file.mode
            )
        } else if let Some((other, (place, _))) = in_the_way(&into.taken, &file.path) {
            format!(
                "the file {:?} of key {:?} cannot stand beside {other:?} of {place}; give one of them another path in items",
                file.path, file.key
            )
        } else {
            let slot = SlotId::of_file(into.volume, &file.path);
            if let Some(bytes) = content.bytes {
                self.file_bytes.insert(slot.clone(), bytes);
            }
            into.bytes = into.bytes.saturating_add(content.size);
            into.keys.push((file.key, file.path.clone()));
            let slot = FileSlot {
                path: file.path.clone(),
                mode: file.mode,
                slot,
                fingerprint: content.fingerprint,
            };
            into.taken.insert(file.path, (file.at, slot));
            return;
        };
        self.out.invalid.push(Problem {
            path: file.at,
            message,
        });
    }

    /// Sets a variable to the path of a file.
    pub(super) fn file_ref(&mut self, variable: &str, file: &FileRef, path: &str) {
        let Some(at) = self.filled.iter().position(|f| f.volume.name == file.volume) else {
            self.out.invalid.push(Problem {
                path: format!("{path}.volume"),
                message: format!(
                    "{:?} is no secret, configMap or projected volume that is mounted; add it, or correct the name",
                    file.volume
                ),
            });
            return;
        };
        let Some(filled) = self.filled.get(at) else { return };
        let mut paths = filled.files.iter().filter(|(key, _)| *key == file.key);
        match (paths.next(), paths.next()) {
            (Some((_, below)), None) => {
                let value = format!("{}/{below}", filled.mount);
                self.env.set_plain(variable, value);
            }
            (Some(_), Some(_)) => self.out.invalid.push(Problem {
                path: format!("{path}.key"),
                message: format!(
                    "{:?} is more than one file of the volume; write a key that is one",
                    file.key
                ),
            }),
            (None, _) if filled.failed => {}
            (None, _) => self.no_file(filled.volume, &filled.place.clone(), file, path),
        }
    }

    /// A key that is no file: left out where it is optional, as a variable of `valueFrom` is.
    fn no_file(&mut self, volume: &Volume, place: &str, file: &FileRef, path: &str) {
        let files = volume.files();
        let sources = files.iter().flat_map(|files| &files.sources);
        let sources: Vec<_> = sources.filter(|source| source.may_have(&file.key)).collect();
        if sources.iter().any(|source| source.optional) {
            return;
        }
        let Some(source) = sources.first() else {
            return self.out.invalid.push(Problem {
                path: format!("{path}.key"),
                message: format!(
                    "{:?} is no file of {place}; add it to its items, or correct the key",
                    file.key
                ),
            });
        };
        match source.origin {
            Origin::Secret(kind, namespace) => {
                let reference = Reference {
                    kind,
                    namespace,
                    name: source.name,
                    key: Some(&file.key),
                    optional: false,
                    path: path.to_owned(),
                };
                let keys = self.keys(&reference).unwrap_or_default();
                let next = match kind {
                    SecretKind::DockerSecret => "seal it with `supercargo seal` and apply the secret again",
                    SecretKind::Secret => "add it to the Secret",
                };
                self.fail(&reference, None, key_not_found(keys.iter(), next));
            }
            Origin::ConfigMap => {
                if let Lookup::Found(map) = self.source.config_map(self.namespace, source.name) {
                    self.config_no_key(source.name, &file.key, &config_keys(&map), path);
                }
            }
        }
    }
}

/// The files that a source is to give: its items, or every key under its own name.
fn wanted(files: &FileVolume<'_>, source: &FileSource<'_>, keys: Vec<String>, place: &str) -> Vec<Wanted> {
    if source.items.is_empty() {
        let whole = |key: String| Wanted {
            path: key.clone(),
            key,
            mode: files.mode(None),
            at: place.to_owned(),
        };
        return keys.into_iter().map(whole).collect();
    }
    let item = |(index, item): (usize, &crate::api::files::FileItem)| Wanted {
        key: item.key.clone(),
        path: item.path.clone(),
        mode: files.mode(Some(item)),
        at: format!("{place}.items[{index}]"),
    };
    source.items.iter().enumerate().map(item).collect()
}

/// The keys of a ConfigMap, of text and of bytes.
fn config_keys(map: &ConfigMap) -> Vec<String> {
    let text = map.data.iter().flatten().map(|(key, _)| key);
    let bytes = map.binary_data.iter().flatten().map(|(key, _)| key);
    text.chain(bytes).cloned().collect()
}

fn config_value<'m>(map: &'m ConfigMap, key: &str) -> Option<&'m [u8]> {
    let text = map
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .map(String::as_bytes);
    let bytes = || map.binary_data.as_ref()?.get(key).map(|value| value.0.as_slice());
    text.or_else(bytes)
}

/// That of a value in a variable, where it is text, so that a reference is one entry whichever way it is used.
fn fingerprint(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => hash::hex(&[text], 16),
        Err(_) => {
            let encoded = <base64ct::Base64 as base64ct::Encoding>::encode_string(value);
            hash::hex(&["base64", &encoded], 16)
        }
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
