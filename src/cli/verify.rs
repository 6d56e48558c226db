//! The verb `verify`: every DockerSecret of files, directories or stdin is checked without any key: envelope syntax,
//! key id against the pinned file, scope against namespace, name and key, sizes, plaintext in the wrong field.
//! One line per finding on stdout, exit 1 if there is any. It opens nothing and asks nobody. Called by `mod`; `reseal`
//! walks the same files.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::seal_values::check_key;
use super::secret_manifest::{Document, Object, Text, documents, parse};
use super::{Failure, Outcome, keys_source, output};
use crate::api::secret::MAX_KEYS;
use crate::seal::{Envelope, MAX_OBJECT_CHARS, Suite};
use crate::secrets::keyring_public::PublicKeys;

/// Flags of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Manifests, or directories with *.yaml, *.yml and *.json below them; - or nothing is standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File with the public keys that may be met. Without it: .supercargo-keys in the working directory or its
    /// parents; without that, key ids are not checked
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Namespace of objects that name none, as with `kubectl apply -n`
    #[arg(long, short)]
    namespace: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    let pinned = match keys_source::local(args.public_key.as_deref())? {
        Some((keys, source)) => {
            eprintln!("key ids are checked against {source}");
            Some(keys)
        }
        None => {
            eprintln!("key ids are not checked: no .supercargo-keys here or above, and no --public-key");
            None
        }
    };
    let mut check = Check {
        pinned,
        namespace: args.namespace.clone(),
        findings: Vec::new(),
        values: 0,
        objects: 0,
    };
    let stdin = [PathBuf::from("-")];
    let paths = if args.paths.is_empty() {
        &stdin[..]
    } else {
        &args.paths
    };
    for path in paths {
        for (place, text) in read(path)? {
            check.stream(&place, &text);
        }
    }
    let lines: String = check.findings.iter().map(|f| format!("{f}\n")).collect();
    output::data(&lines)?;
    eprintln!(
        "{} values in {} DockerSecrets, {} findings",
        check.values,
        check.objects,
        check.findings.len()
    );
    Ok(ExitCode::from(u8::from(!check.findings.is_empty())))
}

/// The streams under a path, with the names to show. The order is that of names.
fn read(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    if path == Path::new("-") {
        let mut text = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut text)
            .context("standard input cannot be read")?;
        return Ok(vec![("-".to_owned(), text)]);
    }
    let read = |file: PathBuf| {
        let text = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Ok((file.display().to_string(), text))
    };
    files(path)?.into_iter().map(read).collect()
}

/// A file, or the manifests in a directory and below it, in the order of their names.
pub(super) fn files(path: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut files = BTreeSet::new();
    let kind = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if kind.is_dir() {
        walk(path, &mut files)?;
    } else {
        files.insert(path.to_owned());
    }
    Ok(files)
}

fn walk(directory: &Path, files: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let place = || format!("{} cannot be read", directory.display());
    for entry in std::fs::read_dir(directory).with_context(place)? {
        let entry = entry.with_context(place)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(place)?);
        let manifest = path
            .extension()
            .is_some_and(|e| ["yaml", "yml", "json"].iter().any(|m| e == *m));
        if kind.is_dir() {
            // Links to directories are not followed, so there are no circles; hidden ones are git's and tools'.
            if !entry.file_name().to_string_lossy().starts_with('.') {
                walk(&path, files)?;
            }
        } else if manifest {
            files.insert(path);
        }
    }
    Ok(())
}

struct Check {
    pinned: Option<PublicKeys>,
    namespace: Option<String>,
    findings: Vec<String>,
    values: usize,
    objects: usize,
}

impl Check {
    fn stream(&mut self, place: &str, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else {
            self.findings
                .push(format!("{place}:1: not UTF-8 text; give YAML or JSON"));
            return;
        };
        for document in documents(text) {
            self.document(place, &document);
        }
    }

    fn document(&mut self, place: &str, document: &Document<'_>) {
        let at = format!("{place}:{}", document.number);
        match parse::<Object>(document) {
            Ok(object) => self.object(&at, &object),
            // Other people's manifests are not judged, unless they carry our values.
            Err(line) if document.text.contains("DockerSecret") || document.text.contains("sc1.") => {
                self.findings.push(format!(
                    "{at} line {line}: not a manifest that can be read; correct it there"
                ));
            }
            Err(_) => {}
        }
    }

    fn object(&mut self, at: &str, object: &Object) {
        for item in object.items.iter().flatten() {
            self.object(at, item);
        }
        if object.kind != "DockerSecret" || !object.api_version.starts_with("supercargo.dev/") {
            return;
        }
        self.objects += 1;
        let metadata = &object.metadata;
        let namespace = metadata.namespace.as_deref().or(self.namespace.as_deref());
        let name = metadata.name.as_deref();
        let who = format!(
            "{at} DockerSecret {}/{}",
            namespace.unwrap_or("-"),
            name.unwrap_or("-")
        );
        let spec = object.spec.as_ref();
        let plaintext = [&object.data, &object.string_data]
            .into_iter()
            .any(Option::is_some)
            || spec.is_some_and(|s| s.data.is_some() || s.string_data.is_some());
        if plaintext {
            self.findings.push(format!("{who}: data and stringData are no fields of a DockerSecret; seal the values, and rotate them if they were committed"));
        }
        let Some(name) = name else {
            self.findings
                .push(format!("{who}: it has no metadata.name; give it one"));
            return;
        };
        let data = spec.and_then(|s| s.encrypted_data.as_ref());
        let mut total = 0;
        for (key, text) in data.into_iter().flatten() {
            self.values += 1;
            total += if let Text::Line(line) = text {
                line.len()
            } else {
                0
            };
            if let Err(problem) = self.value(namespace, name, key, text) {
                self.findings.push(format!("{who} key {key:?}: {problem}"));
            }
        }
        if total > MAX_OBJECT_CHARS {
            self.findings.push(format!("{who}: its envelopes have {total} characters, the limit is {MAX_OBJECT_CHARS}; make several DockerSecrets"));
        }
        let keys = data.map_or(0, |d| d.len());
        if keys > MAX_KEYS {
            self.findings.push(format!(
                "{who}: it has {keys} keys, the limit is {MAX_KEYS}; make several DockerSecrets"
            ));
        }
    }

    fn value(&self, namespace: Option<&str>, name: &str, key: &str, text: &Text) -> Result<(), String> {
        if let Err(Failure::Usage(_)) = check_key(key) {
            return Err("the key has other characters than letters, digits, '-', '_' and '.'; rename it and seal the value again".into());
        }
        let Text::Line(text) = text else {
            return Err("not a sealed value: it is not text; make one with `supercargo seal --raw`".into());
        };
        let envelope: Envelope = text.parse().map_err(|e: crate::seal::OpenError| e.to_string())?;
        if envelope.suite() == Suite::G {
            return Err("suite g is only ever written by the program; seal the value with `supercargo seal` (suite x)".into());
        }
        if let Some(pinned) = self.pinned.as_ref().filter(|keys| !keys.names(envelope.kid())) {
            return Err(format!(
                "sealed to key {}, which the pinned file does not name (it names {}); seal it again with a pinned key, or pin that key after checking whose it is",
                envelope.kid(),
                pinned
                    .iter()
                    .map(|k| k.kid().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        let bound = envelope.scope().kind() != crate::seal::ScopeKind::Cluster;
        if bound && namespace.is_none() {
            return Err(
                "the object names no namespace, so its scope cannot be checked; give --namespace".into(),
            );
        }
        let context = envelope
            .context_at(namespace.unwrap_or_default(), name, key)
            .map_err(|e| e.to_string())?;
        envelope.check_scope(&context).map_err(|e| e.to_string())
    }
}
