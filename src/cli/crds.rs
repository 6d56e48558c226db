//! The verb `crds`: the custom resource definitions of this version, to be piped into kubectl. It asks nobody; what is in
//! them is `api::crd`'s. Called by `mod`.

use std::process::ExitCode;

use super::{Outcome, output};
use crate::api::crd;

/// Runs the verb.
pub(super) fn run() -> Outcome {
    let mut text = String::new();
    for (_, file) in crd::files()? {
        text.push_str("---\n");
        // What the file says about how it is made in the source tree concerns nobody here.
        let lines = file.lines().skip_while(|line| line.starts_with('#'));
        lines.for_each(|line| {
            text.push_str(line);
            text.push('\n');
        });
    }
    output::data(&text)?;
    Ok(ExitCode::SUCCESS)
}
