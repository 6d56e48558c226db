//! The verb `doctor`: looks at everything that the operator needs and says per line whether it is as it must be, and if
//! not, what to do next. Changes nothing. What cannot be asked because something else is away is left out, and that
//! something fails. The checks are in `doctor_*`. Called by `mod`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use kube::{Client, Config};
use serde::Serialize;

use super::connect::{self, DockerArgs};
use super::output::{self, Format};
use super::ring_source::RingArgs;
use super::standalone_data::DataDir;
use super::{Failure, Outcome, block_on};
use super::{
    doctor_cluster, doctor_engine, doctor_keys, doctor_rights, doctor_standalone, doctor_uninstall,
    doctor_webhook,
};
use crate::admission::configuration;
use crate::controllers::webhook::CERTIFICATE_SECRET;
use crate::plan::subnet::Cidr;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) docker: DockerArgs,
    #[command(flatten)]
    pub(super) ring: RingArgs,
    /// A namespace that the operator watches (may be given several times). All without it
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Vec<String>,
    /// A namespace whose core Secrets the operator reads (may be given several times)
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) core_secrets_namespace: Vec<String>,
    /// Where networks of namespaces get their /24 from
    #[arg(long, value_name = "CIDR", default_value = "10.213.0.0/16")]
    pub(super) network_pool: Cidr,
    /// Ask as this user, such as system:serviceaccount:supercargo-system:supercargo: the rights that count are the operator's
    #[arg(long = "as", value_name = "USER")]
    pub(super) as_user: Option<String>,
    /// Ask for the rights of an operator that runs with --leader-elect, too
    #[arg(long)]
    pub(super) leader_elect: bool,
    /// The operator's ValidatingWebhookConfiguration
    #[arg(long, value_name = "NAME", default_value = configuration::NAME)]
    pub(super) webhook_configuration: String,
    /// The Secret of the operator's namespace that keeps the certificate of the webhooks
    #[arg(long, value_name = "NAME", default_value = CERTIFICATE_SECRET)]
    pub(super) webhook_secret: String,
    /// Look at standalone's data directory, too. Without it the usual one, if it is there
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Look only at what would be stranded if the operator were uninstalled: objects that nobody could delete any more
    #[arg(long)]
    before_uninstall: bool,
    /// How to print; name prints what is not ok
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it must be.
    Ok,
    /// Works, and somebody should look.
    Warn,
    /// Does not work.
    Fail,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    level: Level,
    what: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, level: Level, what: &str, detail: impl Into<String>, next: Option<String>) {
        self.0.push(Check {
            level,
            what: what.to_owned(),
            detail: one_line(&detail.into()),
            next: next.map(|next| one_line(&next)),
        });
    }

    /// It is as it must be.
    pub(super) fn ok(&mut self, what: &str, detail: impl Into<String>) {
        self.add(Level::Ok, what, detail, None);
    }

    /// It works, and somebody should look.
    pub(super) fn warn(&mut self, what: &str, detail: impl Into<String>, next: impl Into<String>) {
        self.add(Level::Warn, what, detail, Some(next.into()));
    }

    /// It does not work.
    pub(super) fn fail(&mut self, what: &str, detail: impl Into<String>, next: impl Into<String>) {
        self.add(Level::Fail, what, detail, Some(next.into()));
    }

    /// A clock that is `seconds` ahead of ours (behind when negative).
    pub(super) fn clock(&mut self, what: &str, seconds: i64) {
        let detail = format!("{} s apart from this machine's", seconds.abs());
        let next = "set both by NTP: back-offs, expiry and events are reckoned in time";
        match seconds.abs() {
            0..=5 => self.ok(what, "agrees with this machine's"),
            6..=60 => self.warn(what, detail, next),
            _ => self.fail(what, detail, next),
        }
    }

    fn failed(&self) -> bool {
        self.0.iter().any(|check| check.level == Level::Fail)
    }

    pub(super) fn text(&self) -> String {
        let line = |check: &Check| {
            let word = match check.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            let next = check
                .next
                .as_ref()
                .map(|next| format!("; {next}"))
                .unwrap_or_default();
            format!("{word:<4}  {}: {}{next}\n", check.what, check.detail)
        };
        self.0.iter().map(line).collect()
    }
}

/// A line stays one: what others say may not forge a second.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).collect()
}

fn said(error: &anyhow::Error) -> String {
    match error.downcast_ref::<kube::Error>() {
        Some(error) => connect::told(error),
        None => format!("{error:#}"),
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn patiently<T, E: Into<anyhow::Error>>(
    ask: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(said(&error.into())),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    block_on(async {
        let report = examine(&args).await?;
        match args.output {
            Format::Table => output::data(&report.text())?,
            Format::Json | Format::Yaml => output::document(&report.0, args.output)?,
            Format::Name => {
                let bad = report.0.iter().filter(|check| check.level != Level::Ok);
                output::data(&bad.map(|check| format!("{}\n", check.what)).collect::<String>())?;
            }
        }
        Ok(ExitCode::from(u8::from(report.failed())))
    })
}

async fn examine(args: &Args) -> Result<Report, Failure> {
    let mut report = Report::default();
    if args.before_uninstall {
        match client(args).await {
            Ok(client) => doctor_uninstall::stranded(&mut report, &client, &args.namespace).await,
            Err(why) => no_server(&mut report, why),
        }
        return Ok(report);
    }
    let data = DataDir::choose(args.data_dir.clone());
    if let Some(data) = data
        .ok()
        .filter(|data| args.data_dir.is_some() || data.0.exists())
    {
        doctor_standalone::standalone(&mut report, &data).await;
    }
    let docker = args.docker.connect();
    let engine = doctor_engine::engine(&mut report, docker, &args.docker.address()).await?;
    let cluster = match client(args).await {
        Ok(client) => doctor_cluster::server(&mut report, client).await,
        Err(why) => {
            no_server(&mut report, why);
            None
        }
    };
    if let Some(cluster) = &cluster {
        doctor_cluster::definitions(&mut report, &cluster.client).await;
        let webhooks = doctor_webhook::webhooks(&mut report, &cluster.client, args).await;
        doctor_rights::rights(&mut report, &cluster.client, args, webhooks).await;
    }
    doctor_keys::keys(&mut report, cluster.as_ref().map(|c| &c.client), args).await;
    if let Some(engine) = &engine {
        doctor_engine::leftovers(&mut report, engine, cluster.as_ref(), args).await;
    }
    Ok(report)
}

fn no_server(report: &mut Report, why: String) {
    let next = "set KUBECONFIG to a kubeconfig that can be read, or run in a cluster";
    report.fail("API server", why, next);
}

async fn client(args: &Args) -> Result<Client, String> {
    let mut config = Config::infer()
        .await
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    config.connect_timeout = Some(PATIENCE);
    config.auth_info.impersonate = args.as_user.clone().or(config.auth_info.impersonate);
    Client::try_from(config).map_err(|error| connect::told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_one_thing_to_a_line() {
        let mut report = Report::default();
        report.ok("a", "fine");
        report.warn("b", "two\nlines \u{1b}[31m", "look");
        assert!(!report.failed());
        report.fail("c", "bad", "mend");
        assert!(report.failed());
        assert_eq!(
            report.text(),
            "ok    a: fine\nwarn  b: two lines [31m; look\nFAIL  c: bad; mend\n"
        );
    }

    #[test]
    fn clocks_may_differ_by_a_little() {
        let mut report = Report::default();
        for seconds in [0, -5, 6, -60, 61] {
            report.clock("clock", seconds);
        }
        let levels: Vec<Level> = report.0.iter().map(|check| check.level).collect();
        assert_eq!(
            levels,
            [Level::Ok, Level::Ok, Level::Warn, Level::Warn, Level::Fail]
        );
    }
}
