//! The verb `convert`: Compose files, manifests of Ring and of `apps/v1` become custom resources on stdout, with every value
//! of a secret sealed on the way. Owns the flags, the sealing and the printing; what becomes of which key is `convert`'s,
//! and where files and variables come from is `convert_place`'s. Called by `mod`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::convert_place::Place;
use super::keys_source::KeyArgs;
use super::seal::{ScopeArg, check_names, core_values, seal_all};
use super::seal_manifest::{Head, manifest};
use super::seal_values::read_text;
use super::secret_manifest::{CoreSecret, Document, documents, parse};
use super::{Failure, Outcome, output};
use crate::convert::node::{self, Node};
use crate::convert::report::{Note, Report, Weight};
use crate::convert::{self, Converted, Format, Options, Sealable};
use crate::seal::PublicKey;

/// Files that Compose looks for, in its order.
const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// Files that Compose merges into those by itself.
const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Flags of `convert`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A Compose or stack file, a manifest of Ring, or manifests of Kubernetes; - is standard input. Without it: the
    /// Compose file of the working directory
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Namespace of the results. Values are sealed for it, so it is needed where there are any
    #[arg(long, short)]
    namespace: Option<String>,
    /// Seal plain variables whose name or value looks like that of a secret
    #[arg(long)]
    seal_env: bool,
    /// Seal the plain variables of this name, too; * at its beginning or end stands for any text. May be repeated
    #[arg(long, value_name = "PATTERN")]
    seal_env_name: Vec<String>,
    /// Make DockerSecrets of core Secrets in the same stream, and let references to them and to SealedSecrets mean DockerSecrets
    #[arg(long)]
    seal: bool,
    /// Convert services with this profile, too; * means all. May be repeated
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// File with variables for ${NAME}, which those of the environment win over. Without it: .env beside the file
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Exit with 1 when a key has no counterpart
    #[arg(long)]
    strict: bool,
    /// How to print the results
    #[arg(long, short, value_enum, default_value_t = Form::Yaml)]
    output: Form,
    #[command(flatten)]
    to: KeyArgs,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A stream of YAML documents
    Yaml,
    /// One JSON document, a List
    Json,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    let path = source(args)?;
    let place = path.display().to_string();
    let bytes = read_text(&path)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| anyhow!("{place} is not UTF-8 text; give YAML or JSON"))?;
    let documents = documents(text);
    if documents.is_empty() {
        return Err(anyhow!("{place} is empty; give a Compose file or manifests").into());
    }
    let around = Place::new(&path, args.env_file.as_deref())?;
    let trees = documents
        .iter()
        .map(|document| tree(document, &place))
        .collect::<Result<Vec<_>, _>>()?;
    let sealed = if args.seal { core_names(&trees) } else { Vec::new() };
    let options = Options {
        directory: around.directory(),
        namespace: args.namespace.as_deref(),
        profiles: &args.profile,
        seal_env: args.seal_env,
        seal_names: &args.seal_env_name,
        sealed: &sealed,
        around: &around,
    };
    let (mut all, mut core) = (Converted::default(), Vec::new());
    for (document, (tree, format)) in documents.iter().zip(trees) {
        if args.seal && is_core_secret(&tree) {
            core.push(document);
            continue;
        }
        let found = convert::convert(tree, format, &options);
        tell(&place, &found.report);
        all.objects.extend(found.objects);
        all.secrets.extend(found.secrets);
        all.report.extend(found.report);
    }
    let wrong = all.report.count(Weight::Wrong);
    if wrong > 0 {
        return Err(anyhow!(
            "{place}: {wrong} of the keys above cannot be converted as they are; nothing was written"
        )
        .into());
    }
    print(args, &place, &core, all)
}

/// The named file, or the Compose file of the working directory.
fn source(args: &Args) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.filename {
        return Ok(path.clone());
    }
    let found = NAMES.iter().map(PathBuf::from).find(|path| path.is_file());
    for name in OVERRIDES.iter().filter(|name| Path::new(name).is_file()) {
        eprintln!(
            "{name}: is not read: `docker compose config --no-interpolate` prints both files as one, convert that"
        );
    }
    found.ok_or_else(|| {
        Failure::Usage(format!(
            "nothing to convert: give a file with -f (here is none of {})",
            NAMES.join(", ")
        ))
    })
}

fn tree(document: &Document<'_>, place: &str) -> anyhow::Result<(Node, Format)> {
    let tree = node::read(document.text).map_err(|line| {
        anyhow!(
            "{place}, line {}: not YAML that can be read; correct it there",
            document.line + line.saturating_sub(1)
        )
    })?;
    let format = convert::format(&tree).map_err(|why| anyhow!("{place}, line {}: {why}", document.line))?;
    Ok((tree, format))
}

fn is_core_secret(tree: &Node) -> bool {
    let is = |key: &str, value: &str| tree.text_at(key).is_some_and(|text| text.as_str() == value);
    is("kind", "Secret") && is("apiVersion", "v1")
}

/// Names of secrets that are DockerSecrets afterwards: what is sealed here, and SealedSecrets, for which the command is said.
fn core_names(trees: &[(Node, Format)]) -> Vec<String> {
    let becomes = |tree: &Node| {
        is_core_secret(tree)
            || tree
                .text_at("kind")
                .is_some_and(|kind| kind.as_str() == "SealedSecret")
    };
    let secrets = trees.iter().filter(|(tree, _)| becomes(tree));
    let names = secrets.filter_map(|(tree, _)| tree.get("metadata")?.text_at("name"));
    names.map(|name| name.as_str().to_owned()).collect()
}

fn tell(place: &str, report: &Report) {
    for note in report.notes() {
        let Note { path, weight, text } = note;
        // A line for each note, whatever is in a key.
        let line = Note {
            path: path.chars().filter(|c| !c.is_control()).collect(),
            weight: *weight,
            text: text.chars().filter(|c| !c.is_control()).collect(),
        };
        eprintln!("{place}: {line}");
    }
}

fn print(args: &Args, place: &str, core: &[&Document<'_>], all: Converted) -> Outcome {
    let mut to = None;
    let mut key = || -> Result<PublicKey, Failure> {
        match &to {
            Some(key) => Ok(PublicKey::clone(key)),
            None => Ok(to.insert(args.to.choose()?).clone()),
        }
    };
    let mut out = Results::new(args.output);
    for document in core {
        let secret: CoreSecret = parse(document).map_err(|line| {
            anyhow!("{place}, line {line}: not a manifest of a core Secret; correct it there")
        })?;
        let at = format!("{place}, document {}", document.number);
        let (values, type_) = core_values(&secret, &at)?;
        let name = secret.metadata.name.as_deref();
        let namespace = args.namespace.as_deref().or(secret.metadata.namespace.as_deref());
        check_names(ScopeArg::Strict, name, namespace)?;
        let head = Head {
            name: name.unwrap_or_default(),
            namespace,
            labels: secret.metadata.labels.as_ref(),
            type_,
            immutable: secret.immutable,
        };
        out.secret(
            &head,
            &seal_all(&key()?, |_| ScopeArg::Strict.kind(), namespace, name, &values)?,
        )?;
    }
    for Sealable {
        name,
        namespace,
        labels,
        values,
    } in &all.secrets
    {
        check_names(ScopeArg::Strict, Some(name), namespace.as_deref())?;
        let envelopes = seal_all(
            &key()?,
            |_| ScopeArg::Strict.kind(),
            namespace.as_deref(),
            Some(name),
            values,
        )
        .with_context(|| format!("DockerSecret {name}"))?;
        let head = Head {
            name,
            namespace: namespace.as_deref(),
            labels: Some(labels),
            ..Head::default()
        };
        out.secret(&head, &envelopes)?;
    }
    for object in all.objects {
        out.object(object)?;
    }
    out.write()?;
    let unmapped = all.report.count(Weight::Unmapped);
    eprintln!(
        "{} DockerSecrets, {} other objects; {unmapped} keys are not mapped, {} differ",
        all.secrets.len() + core.len(),
        out.others,
        all.report.count(Weight::Differs)
    );
    Ok(ExitCode::from(u8::from(args.strict && unmapped > 0)))
}

/// What goes to stdout, written when all of it is there.
struct Results {
    form: Form,
    text: Vec<String>,
    items: Vec<Value>,
    others: usize,
}

impl Results {
    const fn new(form: Form) -> Self {
        Self {
            form,
            text: Vec::new(),
            items: Vec::new(),
            others: 0,
        }
    }

    fn secret(
        &mut self,
        head: &Head<'_>,
        envelopes: &std::collections::BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let text = manifest(head, envelopes);
        if self.form == Form::Json {
            self.items.push(serde_saphyr::from_str(&text)?);
        }
        self.text.push(text);
        Ok(())
    }

    fn object(&mut self, object: Value) -> anyhow::Result<()> {
        self.others += 1;
        if self.form == Form::Yaml {
            self.text.push(serde_saphyr::to_string(&object)?);
        }
        self.items.push(object);
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let text = match self.form {
            Form::Yaml => self.text.join("---\n"),
            Form::Json => {
                let list =
                    json!({"apiVersion": "v1", "kind": "List", "items": std::mem::take(&mut self.items)});
                serde_json::to_string_pretty(&list)? + "\n"
            }
        };
        Ok(output::data(&text)?)
    }
}

/// The directory of a source, absolute.
pub(super) fn directory(path: &Path) -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let parent = if path == Path::new("-") {
        None
    } else {
        path.parent()
    };
    Ok(parent.map_or_else(|| here.clone(), |parent| here.join(parent)))
}
