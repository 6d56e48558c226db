//! Other people's manifests as ours: Compose files, Ring manifests and `apps/v1` become custom resources. Pure: files and
//! variables are asked of [`Surroundings`], values that are to be sealed are handed back in [`Sealable`] and nowhere else.
//! Owns what each key of a source means here, and says of each that means nothing or something else ([`report`]).
//! Does not seal, read the disk or print. Called by `cli`'s `convert`.

mod apps;
mod checked;
mod compose;
pub mod dotenv;
#[cfg(test)]
mod fixture;
mod interpolate;
pub mod node;
mod read;
pub mod report;
mod ring;
mod variables;

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::seal::Plaintext;
use node::Node;
use report::Report;

/// What a source may ask of the place where it is converted.
pub trait Surroundings {
    /// The bytes of a file; the path is absolute.
    ///
    /// # Errors
    /// Why it cannot be read, without its path.
    fn file(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, String>;

    /// A variable of the environment, or of `.env`.
    fn variable(&self, name: &str) -> Option<Zeroizing<String>>;
}

/// How to convert.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The directory of the source, absolute; relative paths are below it.
    pub directory: &'a str,
    /// The namespace of the results; none is written if absent.
    pub namespace: Option<&'a str>,
    /// Profiles of a Compose file whose services are wanted; `*` means all.
    pub profiles: &'a [String],
    /// Whether plain variables that look like secrets are sealed.
    pub seal_env: bool,
    /// Names of variables that are sealed in any case; a `*` at the beginning or the end stands for any text.
    pub seal_names: &'a [String],
    /// Names of core Secrets that are sealed at the same time, so that references mean the DockerSecrets.
    pub sealed: &'a [String],
    /// Where files and variables come from.
    pub around: &'a dyn Surroundings,
}

/// Values that become a DockerSecret.
pub struct Sealable {
    /// Name of the DockerSecret.
    pub name: String,
    /// Its namespace, if one is known.
    pub namespace: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The values by key.
    pub values: BTreeMap<String, Plaintext>,
}

/// What came out.
#[derive(Default)]
pub struct Converted {
    /// Manifests without any secret in them, in the order to print.
    pub objects: Vec<Value>,
    /// What is still to be sealed.
    pub secrets: Vec<Sealable>,
    /// What there is to say.
    pub report: Report,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A Compose file, or the stack file of a Swarm.
    Compose,
    /// A manifest of Ring.
    Ring,
    /// An object of Kubernetes, or a List of them.
    Kubernetes,
}

/// What a document looks like.
///
/// # Errors
/// It looks like none of them; the text says what would.
pub fn format(root: &Node) -> Result<Format, &'static str> {
    if root.get("kind").is_some() && root.get("apiVersion").is_some() {
        return Ok(Format::Kubernetes);
    }
    if root.get("services").is_some() {
        return Ok(Format::Compose);
    }
    let ring = ["deployments", "configs", "namespaces"];
    if ring.iter().any(|key| root.get(key).is_some()) {
        return Ok(Format::Ring);
    }
    Err(
        "nothing that can be converted: a Compose file has services, a manifest of Ring has deployments, one of Kubernetes \
         has apiVersion and kind",
    )
}

/// Converts one document.
#[must_use]
pub fn convert(root: Node, format: Format, options: &Options<'_>) -> Converted {
    match format {
        Format::Compose => compose::convert(root, options),
        Format::Ring => ring::convert(root, options),
        Format::Kubernetes => apps::convert(root, options),
    }
}

/// Whether a pattern of `seal_names` names this variable.
fn is_named(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| {
        let inner = pattern.trim_matches('*');
        match (pattern.starts_with('*'), pattern.ends_with('*')) {
            (true, true) => name.contains(inner),
            (true, false) => name.ends_with(inner),
            (false, true) => name.starts_with(inner),
            (false, false) => name == inner,
        }
    })
}
