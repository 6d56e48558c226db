//! Sets the program's logging up: text for people or JSON for machines, on stderr, control characters escaped.
//! What is logged is decided where it happens; no field ever holds a value of a secret.

use std::io;

use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

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

/// Starts logging: a level (`info`), and levels of single targets (`kube=debug,audit=off`), with commas between.
///
/// # Errors
/// A filter that does not parse, or logging that has been started before.
pub fn start(format: Format, filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter: Targets = format!("{LIBRARIES},{filter}").parse()?;
    let base = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        Format::Text => base
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .with_filter(filter)
            .boxed(),
        Format::Json => base.json().flatten_event(true).with_filter(filter).boxed(),
    };
    Ok(tracing_subscriber::registry().with(layer).try_init()?)
}
