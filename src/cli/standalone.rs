//! The verb `standalone`: an API server and the operator in one process on a Docker host without a cluster, until SIGTERM
//! or SIGINT. Owns the order of start and stop and what the user is told; the control plane is put together in
//! `standalone_plane`, and the operator sees it through a client, as it would see any other.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch};
use tower::Service;

use super::{
    Failure, Outcome, connect,
    controller::{self, Measured, OperatorArgs},
    standalone_data::DataDir,
    standalone_install,
    standalone_notify::Notify,
    standalone_plane::Plane,
};
use crate::{
    controllers::{ring::Place, run::Operator},
    telemetry::{http, metrics::Metrics},
};

/// How long reconciles under way may take to finish after the signal. What is cut off goes on at the next start.
const GRACE: Duration = Duration::from_millis(300);

/// Flags of `standalone`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Everything that standalone keeps. Without it /var/lib/supercargo for root, else ~/.local/state/supercargo
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the API listens, on this machine only; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// For an empty store: go on as the control plane with this uid, whose containers are on the host
    #[arg(long, value_name = "UID", value_parser = uid)]
    instance: Option<String>,
    /// Serve /healthz, /readyz and /metrics without TLS here, too. Without it only the API serves them
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<SocketAddr>,
}

/// As Kubernetes makes them, so that names and labels of containers are as expected.
fn uid(text: &str) -> Result<String, String> {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text
        .chars()
        .all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c));
    if hex && parts == [8, 4, 4, 4, 12] {
        Ok(text.to_owned())
    } else {
        Err("not a uid, such as 1b671a64-40d5-491e-99b0-da01ff1f3341".to_owned())
    }
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    args.operator.start_logs()?;
    let _installed_once = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(stand(args));
    runtime.shutdown_timeout(Duration::from_millis(50));
    outcome
}

async fn stand(args: Args) -> Outcome {
    let notify = Notify::from_environment();
    let stop = controller::signals()?;
    let metrics = Metrics::default();
    let data = DataDir::choose(args.data_dir)?;
    let flags = args.operator;
    let engine = flags.engine(&metrics, crate::engine::Term::endless())?;
    // The flags are checked before anything is made.
    let unnamed = crate::state::owner::Instance::new("");
    let options = flags
        .policy
        .options(unnamed, &flags.operator_namespace, flags.docker.is_local())?;
    let host_files = flags
        .host
        .open(&flags.docker, &engine, crate::engine::Term::endless());
    let options = crate::controllers::context::Options {
        host_files: host_files.await?,
        ..options
    };
    let policy = options.policy.clone();
    let mut plane = Plane::assemble(&data, args.listen, policy, flags.new_cluster, &metrics)?;
    identify(&plane, &engine, args.instance.as_deref()).await?;
    plane
        .server
        .start(args.instance.as_deref())
        .await
        .map_err(|why| anyhow::anyhow!("the control plane could not start: {why}"))?;
    let client = plane.client();
    standalone_install::install(&client, &flags.operator_namespace).await?;
    let instance = connect::instance(&client)
        .await
        .context("the identity of the control plane cannot be read")?;
    let serving = plane.listen();
    greet(&data, &plane, instance.as_str());
    let options = crate::controllers::context::Options { instance, ..options };
    let operator = Operator::new(flags.setup(client, engine, options, Place::File(data.keyring()), &metrics));
    let _set_once = plane.later.ready.set(operator.readiness());
    let _set_once = plane.later.gauges.set(operator.gauges());
    expose(args.metrics_addr, &operator, metrics, stop.clone()).await?;
    notify.say("READY=1");
    tokio::select! {
        () = controller::finish(operator.run(stop.clone()), stop.clone(), GRACE) => {}
        () = plane.renew() => {}
        () = alive(&notify, &plane) => {}
    }
    notify.say("STOPPING=1");
    plane.server.stop().await;
    if let Some(serving) = serving {
        serving.await.context("the listener ended")?;
    }
    tracing::info!("standalone has stopped; containers run on");
    Ok(ExitCode::SUCCESS)
}

/// An empty store gets an identity, and must not take a host on which another one left containers for an empty host.
async fn identify(plane: &Plane, engine: &Measured, given: Option<&str>) -> Result<(), Failure> {
    match (plane.identity(), given) {
        (Some(own), Some(given)) if own != given => Err(anyhow::anyhow!(
            "--instance {given}: this store is control plane {own} already; give the flag with an empty --data-dir only"
        )
        .into()),
        (Some(_), _) | (None, Some(_)) => Ok(()),
        (None, None) => {
            let found = standalone_install::planes(engine).await.map_err(|failure| match failure {
                Failure::Failed(error) => error
                    .context("a first start asks the Docker Engine whether another control plane left containers")
                    .into(),
                Failure::Usage(_) => failure,
            })?;
            if found.is_empty() {
                return Ok(());
            }
            Err(Failure::Failed(anyhow::anyhow!(standalone_install::lost_store(&found))))
        }
    }
}

/// Tells the user what there is: all of it at the first start, one line later.
fn greet(data: &DataDir, plane: &Plane, instance: &str) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        instance,
        listen = %plane.address,
        data = %data.0.display(),
        "standalone is up"
    );
    if plane.new_ring {
        eprint!(
            "\nThe control plane listens on https://{}. Use it:\n\n    export KUBECONFIG={}\n    kubectl get all -A\n\n\
             Back up, and keep the first two as you keep a root password:\n\n    {}   opens every sealed value; without it they are lost\n    \
             {}       who holds these is admin\n    {}   what was applied; copy it while standalone is stopped\n\n",
            plane.address,
            data.kubeconfig().display(),
            data.keyring().display(),
            data.pki().display(),
            data.store().display(),
        );
    }
}

/// The same endpoints as those of `controller`, if somebody wants them.
async fn expose(
    address: Option<SocketAddr>,
    operator: &Operator<Measured>,
    metrics: Metrics,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let Some(address) = address else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot serve metrics on {address}; choose another --metrics-addr"))?;
    tracing::info!(metrics = %listener.local_addr()?, "metrics are served without TLS");
    let ended = async move {
        let _gone_is_stopped = stop.wait_for(|stop| *stop).await;
    };
    tokio::spawn(http::serve(
        listener,
        metrics,
        operator.readiness(),
        operator.gauges(),
        ended,
    ));
    Ok(())
}

/// Tells systemd's watchdog that requests are answered, for ever.
async fn alive(notify: &Notify, plane: &Plane) {
    let Some(every) = notify.alive_every() else {
        return std::future::pending().await;
    };
    let mut handler = plane.server.handler();
    loop {
        let mut request = ::http::Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        *request.uri_mut() = ::http::Uri::from_static("/livez");
        let Ok(answer) = handler.call(request).await;
        if answer.status().is_success() {
            notify.say("WATCHDOG=1");
        }
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_a_uid() {
        let good = "1b671a64-40d5-491e-99b0-da01ff1f3341";
        assert_eq!(uid(good).as_deref(), Ok(good));
        for bad in [
            "",
            "x",
            "1b671a64-40d5-491e-99b0",
            "1B671A64-40D5-491E-99B0-DA01FF1F3341",
        ] {
            assert!(uid(bad).is_err(), "{bad}");
        }
    }
}
