//! Owns where a conversion's files and variables come from: the disk, the environment, and `.env` beside the source.
//! Bytes go into wiped buffers and nowhere else. Called by `convert`.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use zeroize::Zeroizing;

use super::convert::directory;
use super::seal_values::read_text;
use crate::convert::{Surroundings, dotenv};

/// The file of variables that Compose reads by itself.
const DOTENV: &str = ".env";

/// The place of one source.
pub(super) struct Place {
    directory: String,
    variables: dotenv::Variables,
}

impl Place {
    /// Reads the named file of variables, or `.env` when there is one.
    pub(super) fn new(source: &Path, named: Option<&Path>) -> anyhow::Result<Self> {
        let directory = directory(source)?;
        let beside = directory.join(DOTENV);
        let file = named.or_else(|| beside.is_file().then_some(beside.as_path()));
        let mut place = Self {
            directory: directory
                .to_str()
                .ok_or_else(|| anyhow!("the path of {} is not UTF-8 text; move it", source.display()))?
                .to_owned(),
            variables: Vec::new(),
        };
        if let Some(file) = file {
            let name = file.display();
            let bytes = read_text(file)?;
            let text = std::str::from_utf8(&bytes).with_context(|| format!("{name} is not UTF-8 text"))?;
            place.variables =
                dotenv::read(text, false, &environment).map_err(|why| anyhow!("{name}, {why}"))?;
        }
        Ok(place)
    }

    /// The directory of the source, absolute.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }
}

impl Surroundings for Place {
    fn file(&self, path: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        read_text(Path::new(path)).map_err(|e| e.root_cause().to_string())
    }

    fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        let of_file = || self.variables.iter().rev().find(|(other, _)| other == name);
        environment(name).or_else(|| of_file()?.1.clone())
    }
}

/// A variable of the environment; one that is not UTF-8 text counts as not set. The file says which, so that no flag of
/// clap's can be declared for it; and `var_os` gives the bytes away, so that they can be wiped.
fn environment(name: &str) -> Option<Zeroizing<String>> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    let bytes = std::env::var_os(name)?.into_vec();
    match String::from_utf8(bytes) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(e) => {
            drop(Zeroizing::new(e.into_bytes()));
            None
        }
    }
}
