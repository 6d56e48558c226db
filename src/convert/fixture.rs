//! A place without a disk for tests of conversions: files and variables by name. Called by the tests of this room.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use super::report::{Note, Weight};
use super::{Converted, Options, Surroundings, convert, format, node};

/// Files and variables.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) files: BTreeMap<&'static str, &'static str>,
    pub(super) variables: BTreeMap<&'static str, &'static str>,
}

impl Surroundings for Fake {
    fn file(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let found = self.files.get(path).ok_or("no such file")?;
        Ok(Zeroizing::new(found.as_bytes().to_vec()))
    }

    fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        let found = self.variables.get(name)?;
        Some(Zeroizing::new((*found).to_owned()))
    }
}

/// How tests convert, if they say nothing else.
pub(super) fn options(around: &Fake) -> Options<'_> {
    Options {
        directory: "/src/shop",
        namespace: Some("shop"),
        profiles: &[],
        seal_env: false,
        seal_names: &[],
        sealed: &[],
        around,
    }
}

/// Converts a text.
pub(super) fn run(text: &str, options: &Options<'_>) -> Converted {
    let tree = node::read(text).unwrap();
    let format = format(&tree).unwrap();
    convert(tree, format, options)
}

impl Converted {
    /// The object of this kind and name.
    pub(super) fn object(&self, kind: &str, name: &str) -> &Value {
        let found = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let notes = self.report.notes();
        self.objects
            .iter()
            .find(found)
            .unwrap_or_else(|| panic!("no {kind} {name}: {notes:#?}"))
    }

    /// The only container of a deployment.
    pub(super) fn container(&self, name: &str) -> &Value {
        &self.object("DockerDeployment", name)["spec"]["template"]["spec"]["containers"][0]
    }

    /// Paths of the notes of one weight.
    pub(super) fn paths(&self, weight: Weight) -> Vec<&str> {
        let notes = self.report.notes().iter();
        notes
            .filter(|note| note.weight == weight)
            .map(|note| note.path.as_str())
            .collect()
    }

    /// The text of the note at a path.
    pub(super) fn said(&self, path: &str) -> &str {
        let notes = self.report.notes();
        let found = notes.iter().find(|note: &&Note| note.path == path);
        found.map_or_else(
            || panic!("nothing about {path}: {notes:#?}"),
            |note| note.text.as_str(),
        )
    }

    /// Names of DockerSecrets with their keys and values.
    pub(super) fn sealed(&self) -> Vec<(String, String, Vec<u8>)> {
        let each = self.secrets.iter().flat_map(|secret| {
            let of = |(key, value): (&String, &crate::seal::Plaintext)| {
                (secret.name.clone(), key.clone(), value.expose().to_vec())
            };
            secret.values.iter().map(of)
        });
        each.collect()
    }
}
