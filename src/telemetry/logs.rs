//! Sets the program's logging up: text for people or JSON for machines, on stderr, control characters escaped.
//! What is logged is decided where it happens; no field ever holds a value of a secret.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What libraries may say unless the user's filter names them: bollard prints answers of the engine below `info`, and the
/// span that kube-runtime puts around every reconcile repeats what our own fields say.
const LIBRARIES: &str =
    "bollard=info,hyper=info,hyper_util=info,h2=info,rustls=info,kube_runtime::controller=warn";

/// Starts logging.
///
/// # Errors
/// A filter that does not parse, or logging that has been started before.
pub fn start(format: Format, filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{filter}"))?;
    let base = fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        Format::Text => base
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
        Format::Json => base.json().flatten_event(true).try_init(),
    }
}
