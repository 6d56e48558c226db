//! References of one deployment -> its environment and files with slots, fingerprints, and every failure at once, as data.
//! Looks up through [`Source`], opens through [`Opener`]; keeps bytes only when asked, for a container that is about to be
//! made. Decides nothing about containers. Called by `controllers` (step 2), `cli` (plan, explain).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{
        DockerDeployment,
        condition::Cause,
        files::{MAX_VOLUME_BYTES, path_problem},
        reference::{EnvFromSource, EnvVar, EnvVarSource, SecretKind},
    },
    secrets::{
        consent::Named,
        env::Environment,
        open::{Closed, Known, Opener},
        source::Source,
    },
    state::{
        container::{self, EnvValue, SlotId},
        files::{FileSlot, VolumeFiles},
        plaintext::SecretEnv,
        protected,
        resolved::{Form, Problem, REPLICA_NAME, Resolution, Resolved, Use},
        revision::Fingerprints,
    },
};

mod config;
mod files;
mod secret;

/// Where the variables are written.
const CONTAINER: &str = "spec.template.spec.containers[0]";

/// Whether bytes are wanted or only what is known about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Fingerprints.
    Fingerprints,
    /// Bytes too.
    Bytes,
}

/// Resolves all references of the environment and of volumes, as they are at the time `now`. The second part is empty unless bytes were wanted and all resolved.
#[must_use]
pub fn resolve(
    deployment: &DockerDeployment,
    host: &str,
    source: &dyn Source,
    opener: &Opener,
    want: Want,
    now: Timestamp,
) -> (Resolution, SecretEnv) {
    let mut walk = Walk {
        deployment,
        namespace: deployment.metadata.namespace.as_deref().unwrap_or_default(),
        host,
        source,
        opener,
        want,
        now,
        out: Resolution::default(),
        fingerprints: BTreeMap::new(),
        variables: BTreeMap::new(),
        env: Environment::default(),
        files: Vec::new(),
        filled: Vec::new(),
        file_bytes: SecretEnv::new(),
    };
    // The files first: variables name them by their paths.
    walk.volumes();
    walk.containers();
    walk.finish()
}

struct Walk<'a> {
    deployment: &'a DockerDeployment,
    namespace: &'a str,
    host: &'a str,
    source: &'a dyn Source,
    opener: &'a Opener,
    want: Want,
    now: Timestamp,
    out: Resolution,
    fingerprints: BTreeMap<String, String>,
    /// Fingerprint and size of what variables hold.
    variables: BTreeMap<SlotId, (String, usize)>,
    env: Environment,
    files: Vec<VolumeFiles>,
    filled: Vec<files::Filled<'a>>,
    file_bytes: SecretEnv,
}

/// One reference to a secret, as it stands in the object.
struct Reference<'a> {
    kind: SecretKind,
    namespace: Option<&'a str>,
    name: &'a str,
    key: Option<&'a str>,
    optional: bool,
    path: String,
}

impl<'a> Reference<'a> {
    fn named(&self) -> Named<'a> {
        Named {
            kind: self.kind,
            namespace: self.namespace,
            name: self.name,
        }
    }

    /// What is told of a use of one key; the namespace where it is another one than `home`.
    fn used(&self, home: &str, key: &str, (form, slot): (Form, SlotId), known: Known) -> Use {
        Use {
            kind: self.kind,
            namespace: self.named().elsewhere(home).map(str::to_owned),
            name: self.name.to_owned(),
            key: key.to_owned(),
            form,
            path: self.path.clone(),
            fingerprint: known.fingerprint,
            kid: known.kid,
            slot: Some(slot),
        }
    }
}

impl Walk<'_> {
    fn containers(&mut self) {
        let Some(container) = self.deployment.spec.template.spec.container() else {
            return;
        };
        for (index, from) in container.env_from.iter().enumerate() {
            self.env_from(
                from,
                &format!("spec.template.spec.containers[0].envFrom[{index}]"),
            );
        }
        for (index, var) in container.env.iter().enumerate() {
            self.env_var(var, &format!("spec.template.spec.containers[0].env[{index}]"));
        }
    }

    fn env_var(&mut self, var: &EnvVar, path: &str) {
        if let Some(file) = &var.file_ref {
            return self.file_ref(&var.name, file, &format!("{path}.fileRef"));
        }
        // An empty value beside valueFrom is none, as in Kubernetes.
        let is_sourced = var.value_from.is_some();
        if let Some(text) = var.value.as_ref().filter(|text| !(text.is_empty() && is_sourced)) {
            if let Err(error) = self.env.set_text(&var.name, text) {
                self.out.invalid.push(Problem {
                    path: format!("{path}.value"),
                    message: error.to_string(),
                });
            }
            return;
        }
        match &var.value_from {
            Some(EnvVarSource {
                secret_key_ref: Some(selector),
                ..
            }) => {
                let reference = Reference {
                    kind: selector.kind.unwrap_or_default(),
                    namespace: selector.namespace.as_deref(),
                    name: &selector.name,
                    key: Some(&selector.key),
                    optional: selector.optional.unwrap_or(false),
                    path: format!("{path}.valueFrom.secretKeyRef"),
                };
                self.secret_key(&reference, &selector.key, &var.name);
            }
            Some(EnvVarSource {
                config_map_key_ref: Some(selector),
                ..
            }) => {
                let path = format!("{path}.valueFrom.configMapKeyRef");
                self.config_key(
                    &selector.name,
                    &selector.key,
                    selector.optional.unwrap_or(false),
                    &var.name,
                    &path,
                );
            }
            Some(EnvVarSource {
                field_ref: Some(field),
                ..
            }) => match self.field(&field.field_path) {
                Some(value) => self.env.set_plain(&var.name, value),
                None => self.out.invalid.push(Problem {
                    path: format!("{path}.valueFrom.fieldRef.fieldPath"),
                    message: format!(
                        "{:?} is not supported; use metadata.name, metadata.namespace, metadata.uid, \
                         metadata.labels['KEY'], metadata.annotations['KEY'] or spec.nodeName",
                        field.field_path
                    ),
                }),
            },
            _ => self.env.set_plain(&var.name, String::new()),
        }
    }

    fn env_from(&mut self, from: &EnvFromSource, path: &str) {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(secret) = &from.secret_ref {
            let reference = Reference {
                kind: secret.kind.unwrap_or_default(),
                namespace: secret.namespace.as_deref(),
                name: &secret.name,
                key: None,
                optional: secret.optional.unwrap_or(false),
                path: format!("{path}.secretRef"),
            };
            for key in self.keys(&reference).unwrap_or_default() {
                self.imported(&reference, prefix, &key);
            }
        }
        if let Some(config) = &from.config_map_ref {
            let path = format!("{path}.configMapRef");
            self.config_all(&config.name, config.optional.unwrap_or(false), prefix, &path);
        }
    }

    fn imported(&mut self, reference: &Reference<'_>, prefix: &str, key: &str) {
        let variable = format!("{prefix}{key}");
        let problem = self.env.refuses_import(&variable, &reference.path);
        if let Some(advice) = problem {
            self.fail(
                reference,
                Some(key),
                Closed {
                    cause: Cause::InvalidEnvName,
                    advice,
                },
            );
            return;
        }
        self.env.imported(&variable, &reference.path);
        self.secret_key(reference, key, &variable);
    }

    fn secret_key(&mut self, reference: &Reference<'_>, key: &str, variable: &str) {
        let protected = self.deployment.spec.is_protected();
        let fits = |known: &Known| {
            let fits = if protected {
                &known.as_protected
            } else {
                &known.as_env
            };
            fits.clone()
        };
        let found = self.item(reference, key).and_then(|found| match &found {
            Some((known, _)) => fits(known).map(|()| found),
            None => Ok(found),
        });
        match found {
            Ok(Some((known, plaintext))) => {
                let form = if protected { Form::ProtectedEnv } else { Form::Env };
                let slot = SlotId(variable.to_owned());
                self.variables
                    .insert(slot.clone(), (known.fingerprint.clone(), known.size));
                let used = reference.used(self.namespace, key, (form, slot), known);
                self.fingerprints
                    .insert(used.reference(), used.fingerprint.clone());
                self.out.uses.push(used);
                self.env
                    .set_slot(variable, SlotId(variable.to_owned()), plaintext);
            }
            Ok(None) if reference.optional => {}
            Ok(None) => {
                let closed = self.not_found(reference);
                self.fail(reference, Some(key), closed);
            }
            Err(closed) if reference.optional && closed.cause == Cause::KeyNotFound => {}
            Err(closed) => {
                self.env.reserve_secret(variable);
                self.fail(reference, Some(key), closed);
            }
        }
    }

    fn field(&self, path: &str) -> Option<String> {
        let template = self.deployment.spec.template.metadata.clone().unwrap_or_default();
        let entry = |text: &str| {
            text.strip_prefix("['")
                .and_then(|t| t.strip_suffix("']"))
                .map(str::to_owned)
        };
        Some(match path {
            "metadata.name" => REPLICA_NAME.to_owned(),
            "metadata.namespace" => self.namespace.to_owned(),
            "metadata.uid" => self.deployment.metadata.uid.clone().unwrap_or_default(),
            "spec.nodeName" => self.host.to_owned(),
            _ => match path.strip_prefix("metadata.labels") {
                Some(rest) => template.labels.get(&entry(rest)?).cloned().unwrap_or_default(),
                None => {
                    let key = entry(path.strip_prefix("metadata.annotations")?)?;
                    template.annotations.get(&key).cloned().unwrap_or_default()
                }
            },
        })
    }

    /// Takes the secrets out of the environment: each becomes a file, sorted by name.
    fn protect(&mut self, env: Vec<container::EnvVar>) -> (Vec<container::EnvVar>, Vec<FileSlot>) {
        let mut size = 0_usize;
        let (mut plain, mut protected) = (Vec::new(), Vec::new());
        for var in env {
            let EnvValue::Slot(slot) = &var.value else {
                plain.push(var);
                continue;
            };
            // What failed is told.
            let Some((fingerprint, bytes)) = self.variables.get(slot) else {
                continue;
            };
            size = size.saturating_add(*bytes);
            let path = protected::file_name(&var.name);
            if let Some(problem) = path_problem(&path) {
                self.out.invalid.push(Problem {
                    path: CONTAINER.to_owned(),
                    message: format!(
                        "the variable {:?} cannot be protected, as its file {problem}; rename it, or set secretEnv to Plain",
                        var.name
                    ),
                });
            }
            protected.push(FileSlot {
                path,
                mode: protected::MODE,
                slot: slot.clone(),
                fingerprint: fingerprint.clone(),
            });
        }
        if size > MAX_VOLUME_BYTES {
            self.out.invalid.push(Problem {
                path: CONTAINER.to_owned(),
                message: "protected variables are larger than 1 MiB together, and no program can be started with them; use \
                          files for some"
                    .to_owned(),
            });
        }
        protected.sort();
        (plain, protected)
    }

    fn finish(mut self) -> (Resolution, SecretEnv) {
        let (mut command, mut args) = (Vec::new(), Vec::new());
        if let Some(container) = self.deployment.spec.template.spec.container() {
            for (field, from, to) in [
                ("command", &container.command, &mut command),
                ("args", &container.args, &mut args),
            ] {
                for (index, text) in from.iter().enumerate() {
                    match self.env.expand(text) {
                        Ok(text) => to.push(text),
                        Err(error) => self.out.invalid.push(Problem {
                            path: format!("spec.template.spec.containers[0].{field}[{index}]"),
                            message: error.to_string(),
                        }),
                    }
                }
            }
        }
        let (env, mut bytes) = std::mem::take(&mut self.env).into_parts();
        let (env, protected) = if self.deployment.spec.is_protected() {
            self.protect(env)
        } else {
            (env, Vec::new())
        };
        self.out.failures.sort();
        self.out.config.sort();
        if !self.out.failures.is_empty() || !self.out.config.is_empty() || !self.out.invalid.is_empty() {
            return (self.out, SecretEnv::new());
        }
        // All that is used up to here is keyed, in a variable or in a file.
        let keyed = !self.out.uses.is_empty();
        let root = if keyed { self.opener.root() } else { String::new() };
        bytes.append(&mut self.file_bytes);
        let fingerprints = Fingerprints {
            root,
            values: self.fingerprints,
        };
        self.out.resolved = Some(Resolved {
            env,
            command,
            args,
            files: self.files,
            protected,
            fingerprints,
        });
        (self.out, bytes)
    }
}
