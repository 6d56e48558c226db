//! The verb `controller`: the operator against any API server, until SIGTERM or SIGINT. Turns flags into settings, starts
//! logs and endpoints, and waits for the API server where it is not there yet; everything else is `controllers`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::Client;
use tokio::{net::TcpListener, sync::watch};

use super::{
    Failure, Outcome,
    connect::{self, Docker, DockerArgs},
    host_tmpfs::HostArgs,
    leading::{self, Leading},
    webhook::{self, WebhookArgs},
};
use crate::{
    api::{SecretEnv, validate::Policy},
    clock::System,
    controllers::{
        context::Options,
        describe::describe,
        ring::Place,
        run::{Operator, Setup},
    },
    engine::{
        Kind, Op, Term, Termed,
        limited::{DEFAULT_CONCURRENCY, Limited},
    },
    execute::Program,
    plan::subnet::Cidr,
    secrets::{
        host::HostCredentials,
        keyring::{KEYRING_SECRET, OPERATOR_NAMESPACE},
    },
    state::{build::Settings, owner::Instance},
    telemetry::{http, logs, metrics::Metrics},
};

/// How long reconciles under way may take to finish after the signal.
const GRACE: Duration = Duration::from_secs(30);

/// Flags of `controller`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The key ring in a file of mode 0600. Without it the ring is in a Secret of the operator's namespace
    #[arg(long, value_name = "FILE", conflicts_with = "keyring_secret")]
    keyring: Option<PathBuf>,
    /// The Secret with the key ring; made at the first start
    #[arg(long, value_name = "NAME", default_value = KEYRING_SECRET)]
    keyring_secret: String,
    /// Work only while holding the Lease supercargo-controller of the operator's namespace, so that several can run and one
    /// works. Who stops gives it back at once; who dies is replaced after a minute
    #[arg(long)]
    leader_elect: bool,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    metrics_addr: SocketAddr,
    #[command(flatten)]
    webhook: WebhookArgs,
}

/// Flags of whatever runs the operator.
#[derive(Debug, clap::Args)]
pub(super) struct OperatorArgs {
    #[command(flatten)]
    pub(super) docker: DockerArgs,
    #[command(flatten)]
    pub(super) policy: PolicyArgs,
    /// Watch only this namespace (may be given several times). All without it
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Vec<String>,
    /// The namespace in which the operator keeps what is its own, such as its public keys
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    pub(super) operator_namespace: String,
    /// Make a new key ring although sealed values name keys that nobody has: those values are lost
    #[arg(long)]
    pub(super) new_cluster: bool,
    /// Read core Secrets of this namespace for references with kind: Secret (may be given several times). None without it
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) core_secrets_namespace: Vec<String>,
    #[command(flatten)]
    pub(super) host: HostArgs,
    /// Append a line to this file for each value that is handed to a container, chained so that `supercargo audit verify`
    /// sees what was edited, removed or cut
    #[arg(long, value_name = "FILE")]
    pub(super) audit_log: Option<PathBuf>,
    /// How often delivered files are compared with what they are to be, and written again if somebody changed them; 0 for
    /// never
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::rollout_status::patience)]
    pub(super) files_check_interval: Duration,
    /// Calls to the Docker Engine at the same time; twice the CPUs of its host is enough
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CONCURRENCY)]
    engine_concurrency: usize,
    /// Log lines for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged, such as info, debug or supercargo=debug,kube=info
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Flags that permit what is refused without them, and fill in what manifests leave out.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PolicyArgs {
    /// Permit hostPath volumes at or below this path of the Docker host (may be given several times)
    #[arg(long, value_name = "PREFIX")]
    allow_host_path: Vec<String>,
    /// Permit privileged containers
    #[arg(long)]
    allow_privileged: bool,
    /// Permit adding this capability, such as NET_ADMIN, or ALL (may be given several times)
    #[arg(long, value_name = "CAPABILITY")]
    allow_capability: Vec<String>,
    /// How values of secrets reach variables where spec.secretEnv does not say: Plain is visible in docker inspect, Protected is
    /// not. Another value rolls the deployments that have such variables and do not say
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value = "Plain",
        ignore_case = true
    )]
    default_secret_env: SecretEnvArg,
    /// Permit useHostCredentials: images are pulled with what `docker login` wrote for the operator's user, or its helpers
    #[arg(long)]
    allow_host_credentials: bool,
    /// Directory of the Docker config file with these credentials; ~/.docker without it
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG")]
    docker_config: Option<PathBuf>,
    /// The host's address for published ports that name none
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    publish_address: std::net::IpAddr,
    /// Where networks of namespaces get their /24 from
    #[arg(long, value_name = "CIDR", default_value = "10.213.0.0/16")]
    network_pool: Cidr,
    /// Image of the agents, which answer for names and ask probes; made of this program without it
    #[arg(long, value_name = "IMAGE")]
    agent_image: Option<String>,
    /// Name server of containers for when their agent is away. One of the host's without it, where the Docker Engine is on
    /// this host
    #[arg(long, value_name = "IP")]
    fallback_dns: Option<std::net::IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SecretEnvArg {
    #[value(name = "Plain")]
    Plain,
    #[value(name = "Protected")]
    Protected,
}

impl PolicyArgs {
    /// The settings that reconciles work with.
    pub(super) fn options(
        &self,
        instance: Instance,
        operator_namespace: &str,
        local: bool,
    ) -> Result<Options, Failure> {
        if !self.network_pool.is_pool() {
            return Err(Failure::Usage(format!(
                "--network-pool {} is smaller than a /24; give a larger one, such as 10.213.0.0/16",
                self.network_pool
            )));
        }
        if let Some(path) = self.allow_host_path.iter().find(|path| !path.starts_with('/')) {
            return Err(Failure::Usage(format!(
                "--allow-host-path {path} is not an absolute path of the host"
            )));
        }
        let program = self.program()?;
        Ok(Options {
            instance,
            policy: Policy {
                allow_host_paths: self.allow_host_path.clone(),
                allow_privileged: self.allow_privileged,
                allow_capabilities: self.allow_capability.clone(),
                secret_env: match self.default_secret_env {
                    SecretEnvArg::Plain => SecretEnv::Plain,
                    SecretEnvArg::Protected => SecretEnv::Protected,
                },
                allow_host_credentials: self.allow_host_credentials,
            },
            settings: Settings {
                publish_address: self.publish_address.to_string(),
                agent: program.image().clone(),
                dns: self.name_servers(local),
            },
            program,
            pool: self.network_pool,
            host_routes: if local { connect::host_routes() } else { Vec::new() },
            operator_namespace: operator_namespace.to_owned(),
            host_files: None,
            host_credentials: HostCredentials::new(self.docker_config()),
        })
    }
}

impl PolicyArgs {
    /// Docker's config file, which need not exist.
    fn docker_config(&self) -> PathBuf {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".docker");
        self.docker_config
            .clone()
            .unwrap_or_else(home)
            .join("config.json")
    }

    /// What agents are made of.
    fn program(&self) -> Result<Program, Failure> {
        if let Some(image) = &self.agent_image {
            return Ok(Program::of_image(image));
        }
        let own = std::env::current_exe().and_then(|path| Program::of_file(&path));
        Ok(own.context("this program cannot read itself to make agents of; give --agent-image")?)
    }

    /// Name servers after the agent, which has two of the three places that a container has.
    fn name_servers(&self, local: bool) -> Vec<std::net::IpAddr> {
        let own = || local.then(connect::name_servers).into_iter().flatten().next();
        self.fallback_dns.or_else(own).into_iter().collect()
    }
}

/// The engine, bounded and measured.
pub(super) type Measured = Limited<Termed<Docker>, Box<dyn Fn(Op, Result<(), Kind>, Duration) + Send + Sync>>;

impl OperatorArgs {
    /// Starts logging.
    pub(super) fn start_logs(&self) -> Result<(), Failure> {
        let format = match self.log_format {
            LogFormat::Text => logs::Format::Text,
            LogFormat::Json => logs::Format::Json,
        };
        logs::start(format, &self.log).map_err(|e| Failure::Usage(format!("--log {:?}: {e}", self.log)))
    }

    /// A client of the engine whose calls are bounded and counted, and which changes something only while `term` runs.
    pub(super) fn engine(&self, metrics: &Metrics, term: Term) -> Result<Measured, Failure> {
        let meter = metrics.clone();
        let measure = move |op: Op, outcome: Result<(), Kind>, took: Duration| {
            meter.engine_call(op.as_str(), outcome.map_or_else(Kind::as_str, |()| "ok"), took);
        };
        Ok(Limited::new(
            Termed::new(self.docker.connect()?, term),
            self.engine_concurrency,
            Box::new(measure),
        ))
    }
}

impl OperatorArgs {
    /// What the operator works with.
    pub(super) fn setup(
        self,
        client: Client,
        engine: Measured,
        options: Options,
        keyring: Place,
        metrics: &Metrics,
    ) -> Setup<Measured> {
        Setup {
            client,
            engine: Arc::new(engine),
            options,
            keyring,
            new_cluster: self.new_cluster,
            namespaces: self.namespace,
            core_secrets: self.core_secrets_namespace,
            clock: Arc::new(System),
            reporter: reporter(),
            metrics: metrics.clone(),
            audit_log: self.audit_log,
            files_check_interval: self.files_check_interval,
        }
    }
}

/// Runs the operator.
pub(super) fn run(args: Args) -> Outcome {
    args.operator.start_logs()?;
    let _installed_once = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(operate(args));
    // Stops and pulls that are only watched go on in the engine.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn operate(args: Args) -> Outcome {
    let metrics = Metrics::default();
    let term = leading::term(args.leader_elect);
    let engine = args.operator.engine(&metrics, term.clone())?;
    let stop = signals()?;
    let (host, docker) = (&args.operator.host, &args.operator.docker);
    let host_files = host.open(docker, &engine, term.clone()).await?;
    let client = connect::kube().await?;
    let listener = listen(args.metrics_addr).await?;
    let Some(instance) = wait_for_api_server(&client, stop.clone()).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let flags = args.operator;
    let mut options = flags
        .policy
        .options(instance, &flags.operator_namespace, flags.docker.is_local())?;
    options.host_files = host_files;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        instance = options.instance.as_str(),
        metrics = %listener.local_addr()?,
        "the operator starts"
    );
    let webhooks = args
        .webhook
        .start(&webhook::Owner {
            client: &client,
            policy: &options.policy,
            namespace: &flags.operator_namespace,
            term: &term,
            metrics: &metrics,
        })
        .await?;
    let leading = Leading::new(args.leader_elect, &client, &flags.operator_namespace, term);
    let keyring = args
        .keyring
        .map_or(Place::Secret(args.keyring_secret), Place::File);
    let operator = Operator::new(flags.setup(client, engine, options, keyring, &metrics));
    let mut ended = stop.clone();
    let endpoints = http::serve(
        listener,
        metrics,
        webhooks.readiness(leading.readiness(operator.readiness())),
        operator.gauges(),
        async move {
            let _gone_is_stopped = ended.wait_for(|stop| *stop).await;
        },
    );
    let serving = tokio::spawn(endpoints);
    let working = finish(operator.run(stop.clone()), stop.clone(), GRACE);
    let outcome = leading.during(working, stop).await;
    webhooks.stop().await;
    serving.abort();
    outcome?;
    tracing::info!("the operator has stopped; containers run on");
    Ok(ExitCode::SUCCESS)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    Ok(bound.with_context(|| format!("cannot serve metrics on {address}; choose another --metrics-addr"))?)
}

/// Runs until the end; after the signal what is under way gets its time, and not more.
pub(super) async fn finish(run: impl Future<Output = ()>, mut stop: watch::Receiver<bool>, grace: Duration) {
    let late = async {
        let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = run => {}
        () = late => tracing::warn!("reconciles under way did not finish in time; the next start goes on with them"),
    }
}

/// The instance, once the API server tells it; `None` when told to stop before.
async fn wait_for_api_server(client: &Client, mut stop: watch::Receiver<bool>) -> Option<Instance> {
    loop {
        let wait = match connect::instance(client).await {
            Ok(instance) => return Some(instance),
            Err(error) => {
                tracing::warn!(
                    error = describe(&error),
                    "the API server does not tell the uid of namespace kube-system; it is asked again"
                );
                Duration::from_secs(2)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return None,
        }
    }
}

/// Turns true at the first SIGTERM or SIGINT.
pub(super) fn signals() -> Result<watch::Receiver<bool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: what is under way finishes");
        stop.send_replace(true);
        // Kept, so that nobody takes the end of this task for news.
        stop.closed().await;
    });
    Ok(stopped)
}

/// The name of this machine or pod, for events.
pub(super) fn reporter() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "supercargo".to_owned()
    } else {
        name.to_owned()
    }
}
