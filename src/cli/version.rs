//! The verb `version`: what this program is and which API it serves. It asks nobody: what runs elsewhere, `doctor` says.
//! Called by `mod`.

use std::process::ExitCode;

use serde::Serialize;

use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::api::{GROUP, VERSION};

/// Flags of `version`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// What `-o json` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version: &'static str,
    api_version: String,
    platform: String,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        api_version: format!("{GROUP}/{VERSION}"),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    };
    match args.output {
        Format::Json | Format::Yaml => output::document(&version, args.output)?,
        Format::Name => output::data(&format!("{}\n", version.version)).map_err(Failure::from)?,
        Format::Table => output::data(&format!(
            "supercargo {} ({}), API {}\n",
            version.version, version.platform, version.api_version
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
