//! The verb `seal`: values from stdin, files or a core Secret become envelopes, offline, with a public key.
//! It owns which flags go together and what is printed; values are read by `seal_values`, the key is chosen by
//! `keys_source`, manifests are written by `seal_manifest` and changed by `seal_merge`. Called by `mod`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};

use super::keys_source::KeyArgs;
use super::seal_manifest::{Head, manifest};
use super::seal_values::{ValueArgs, Values, add, read_text};
use super::secret_manifest::{CoreSecret, Metadata, Object, documents, parse};
use super::{Failure, Outcome, output, seal_merge};
use crate::seal::{
    Context, MAX_OBJECT_CHARS, MAX_VALUE_BYTES, Plaintext, PublicKey, ScopeKind, SystemEntropy,
};

/// Client-side apply keeps the whole object in an annotation of at most 256 KiB.
const ADVISE_SERVER_SIDE: usize = 180 * 1024;

/// Flags of `seal`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the DockerSecret
    #[arg(long)]
    name: Option<String>,
    /// Namespace of the DockerSecret
    #[arg(long, short)]
    namespace: Option<String>,
    /// How far the values may travel: one key of one object, one namespace, or anywhere (which the operator refuses
    /// unless its key ring allows it)
    #[arg(long, value_enum, default_value_t = ScopeArg::Strict)]
    scope: ScopeArg,
    #[command(flatten)]
    values: ValueArgs,
    /// Seal every value of a core Secret manifest (data and stringData; - is standard input)
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["key", "from_file", "from_env_file", "raw", "into"])]
    filename: Option<PathBuf>,
    /// Print one envelope instead of a manifest
    #[arg(long, conflicts_with = "into")]
    raw: bool,
    /// Put the envelopes into this manifest; every other line keeps its bytes
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    #[command(flatten)]
    to: KeyArgs,
}

/// The scopes on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ScopeArg {
    /// One key of one object
    Strict,
    /// One key of any object in one namespace
    Namespace,
    /// One key anywhere
    Cluster,
}

impl ScopeArg {
    pub(super) const fn kind(self) -> ScopeKind {
        match self {
            Self::Strict => ScopeKind::Strict,
            Self::Namespace => ScopeKind::Namespace,
            Self::Cluster => ScopeKind::Cluster,
        }
    }
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    if let Some(file) = &args.filename {
        return convert(&args, file);
    }
    if !args.values.any() {
        return Err(Failure::Usage(
            "nothing to seal: give --key KEY and pipe the value in, or --from-file, --from-env-file or -f"
                .into(),
        ));
    }
    match &args.into {
        Some(path) => into(&args, path),
        None => print(&args),
    }
}

fn print(args: &Args) -> Outcome {
    let (name, namespace) = (args.name.as_deref(), args.namespace.as_deref());
    check_names(args.scope, name, namespace)?;
    if !args.raw && name.is_none() {
        return Err(Failure::Usage(
            "a manifest needs --name (or print one envelope with --raw)".into(),
        ));
    }
    let values = args.values.read()?;
    if args.raw && values.len() != 1 {
        return Err(Failure::Usage(format!(
            "--raw prints one envelope, and {} values are given",
            values.len()
        )));
    }
    let to = args.to.choose()?;
    let envelopes = seal_all(&to, |_| args.scope.kind(), namespace, name, &values)?;
    if args.raw {
        let line = envelopes.into_values().next().unwrap_or_default();
        output::data(&format!("{line}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = Head {
        name: name.unwrap_or_default(),
        namespace,
        ..Head::default()
    };
    put(&manifest(&head, &envelopes))
}

fn into(args: &Args, path: &Path) -> Outcome {
    let place = path.display().to_string();
    let old = std::fs::read_to_string(path)
        .with_context(|| format!("{place} cannot be read; make it with `supercargo seal` without --into"))?;
    let target = seal_merge::target(&old, &place, args.name.as_deref(), args.namespace.as_deref())?;
    let namespace = target.namespace.as_deref().or(args.namespace.as_deref());
    check_names(args.scope, Some(&target.name), namespace)?;
    let values = args.values.read()?;
    let to = args.to.choose()?;
    let envelopes = seal_all(&to, |_| args.scope.kind(), namespace, Some(&target.name), &values)?;
    let new = seal_merge::merge(&old, &place, &target, &envelopes)?;
    advise(&new);
    replace(path, &new)?;
    let keys: Vec<&str> = envelopes.keys().map(String::as_str).collect();
    eprintln!("{place}: sealed {}", keys.join(", "));
    Ok(ExitCode::SUCCESS)
}

fn convert(args: &Args, path: &Path) -> Outcome {
    let place = path.display().to_string();
    let text = read_text(path)?;
    let text = std::str::from_utf8(&text).map_err(|_| anyhow!("{place} is not UTF-8 text"))?;
    let documents = documents(text);
    if documents.is_empty() {
        return Err(anyhow!("{place} is empty; give a manifest of a core Secret").into());
    }
    if documents.len() > 1 && args.name.is_some() {
        return Err(Failure::Usage(format!(
            "--name names one secret, and {place} has {}",
            documents.len()
        )));
    }
    let (mut out, mut to) = (Vec::new(), None);
    for document in documents {
        let bad =
            |line| anyhow!("{place}, line {line}: not a YAML manifest of a core Secret; correct it there");
        let object: Object = parse(&document).map_err(bad)?;
        let at = format!("{place}, document {}", document.number);
        if object.kind != "Secret" || object.api_version != "v1" {
            return Err(anyhow!(
                "{at}: not a core Secret (apiVersion: v1, kind: Secret); take it out of the file"
            )
            .into());
        }
        let secret: CoreSecret = parse(&document).map_err(bad)?;
        let metadata = Metadata {
            name: args.name.clone().or_else(|| secret.metadata.name.clone()),
            namespace: args
                .namespace
                .clone()
                .or_else(|| secret.metadata.namespace.clone()),
            labels: secret.metadata.labels.clone(),
        };
        check_names(
            args.scope,
            metadata.name.as_deref(),
            metadata.namespace.as_deref(),
        )?;
        let (values, type_) = core_values(&secret, &at)?;
        let to: &PublicKey = match &to {
            Some(to) => to,
            None => to.insert(args.to.choose()?),
        };
        let name = metadata.name.as_deref();
        let envelopes = seal_all(
            to,
            |_| args.scope.kind(),
            metadata.namespace.as_deref(),
            name,
            &values,
        )?;
        let head = Head {
            name: name.ok_or_else(|| anyhow!("{at}: it has no name; give --name"))?,
            namespace: metadata.namespace.as_deref(),
            labels: metadata.labels.as_ref(),
            type_,
            immutable: secret.immutable,
        };
        out.push(manifest(&head, &envelopes));
    }
    put(&out.join("---\n"))
}

/// The values of a core Secret and its type. Annotations stay behind: the last applied configuration has plaintext.
pub(super) fn core_values<'a>(
    secret: &'a CoreSecret,
    at: &str,
) -> Result<(Values, Option<&'a str>), Failure> {
    let type_ = secret.type_.as_deref();
    let known = [
        "Opaque",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/tls",
        "kubernetes.io/basic-auth",
        "kubernetes.io/ssh-auth",
    ];
    if let Some(other) = type_.filter(|t| !known.contains(t)) {
        return Err(anyhow!(
            "{at}: type {other:?} cannot be a DockerSecret; its types are {}",
            known.join(", ")
        )
        .into());
    }
    let mut values = Values::new();
    for (key, bytes) in secret.values().with_context(|| at.to_owned())? {
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(anyhow!(
                "{at}: key {key:?} has {} bytes, the limit is {MAX_VALUE_BYTES}",
                bytes.len()
            )
            .into());
        }
        add(&mut values, key, Plaintext::from_zeroizing(bytes))?;
    }
    if values.is_empty() {
        return Err(anyhow!("{at}: it has no values under data or stringData").into());
    }
    Ok((values, type_))
}

/// Seals every value for its key, each in the scope that its key has. The order of the envelopes is that of the keys.
pub(super) fn seal_all(
    to: &PublicKey,
    scope: impl Fn(&str) -> ScopeKind,
    namespace: Option<&str>,
    name: Option<&str>,
    values: &Values,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut envelopes = BTreeMap::new();
    let mut total = 0;
    for (key, value) in values {
        let context = Context::at(
            scope(key),
            namespace.unwrap_or_default(),
            name.unwrap_or_default(),
            key,
        )?;
        let envelope = crate::seal::seal(to, &context, value, &mut SystemEntropy)
            .with_context(|| format!("key {key:?} was not sealed"))?
            .to_string();
        total += envelope.len();
        envelopes.insert(key.clone(), envelope);
    }
    if total > MAX_OBJECT_CHARS {
        bail!(
            "the envelopes have {total} characters together, the limit of one object is {MAX_OBJECT_CHARS}; make several DockerSecrets"
        );
    }
    Ok(envelopes)
}

/// What the scope binds must be known.
pub(super) fn check_names(
    scope: ScopeArg,
    name: Option<&str>,
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let missing = match scope {
        ScopeArg::Strict if name.is_none() => "--name",
        ScopeArg::Strict | ScopeArg::Namespace if namespace.is_none() => "--namespace",
        ScopeArg::Strict | ScopeArg::Namespace | ScopeArg::Cluster => return Ok(()),
    };
    let word = scope.kind().word();
    Err(Failure::Usage(format!(
        "scope {word} binds the value to where it is used: give {missing}"
    )))
}

fn put(text: &str) -> Outcome {
    advise(text);
    output::data(text)?;
    Ok(ExitCode::SUCCESS)
}

fn advise(text: &str) {
    if text.len() > ADVISE_SERVER_SIDE {
        eprintln!(
            "the manifest has {} KiB: apply it with `kubectl apply --server-side`, client-side apply keeps a copy in an annotation of at most 256 KiB",
            text.len() / 1024
        );
    }
}

/// Writes the whole file or leaves the old one.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let place = path.display();
    let path = path.canonicalize().with_context(|| format!("{place} is gone"))?;
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let half = path.with_file_name(format!(".{name}.{}.half", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&half)?;
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&half, &path)
    };
    write()
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&half);
        })
        .with_context(|| format!("{place} cannot be written; it is unchanged"))
}
