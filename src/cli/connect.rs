//! How verbs reach the two things that they work with: the API server (kubeconfig or in-cluster account) and the Docker
//! Engine (flags, else Docker's own environment). Reads the environment; decides nothing else.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

use super::Failure;
use crate::{
    engine::{
        self, Containers, Kind, LabelFilter,
        bollard::{Endpoint, TlsFiles},
    },
    state::{container::ContainerView, owner::Instance},
};

/// The adapter, which only this file connects.
pub(super) use crate::engine::bollard::Docker;

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// Flags that say where the Docker Engine is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DockerArgs {
    /// The Docker Engine: unix:///PATH or tcp://HOST:PORT. Without it DOCKER_HOST, else the local socket
    #[arg(long, value_name = "URL")]
    docker_host: Option<String>,
    /// Directory with ca.pem, cert.pem and key.pem for tcp://. Without it DOCKER_CERT_PATH
    #[arg(long, value_name = "DIR")]
    docker_cert_path: Option<PathBuf>,
    /// Permit tcp:// without TLS: whoever reaches the port is root on that host, and sees the secrets on their way
    #[arg(long)]
    insecure_docker: bool,
}

#[expect(
    clippy::disallowed_methods,
    reason = "Docker's own variables, which have no flag of that name"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl DockerArgs {
    /// Where the engine is.
    pub(super) fn address(&self) -> String {
        self.docker_host
            .clone()
            .or_else(|| environment("DOCKER_HOST"))
            .unwrap_or_else(|| DEFAULT_SOCKET.to_owned())
    }

    /// Whether the engine is on this machine, so that this machine's routes are its routes.
    pub(super) fn is_local(&self) -> bool {
        self.address().starts_with("unix://")
    }

    /// A client of the engine; asks nothing yet.
    pub(super) fn connect(&self) -> Result<Docker, Failure> {
        let address = self.address();
        let dir = self
            .docker_cert_path
            .clone()
            .or_else(|| environment("DOCKER_CERT_PATH").map(PathBuf::from));
        let dir = dir.or_else(|| environment("DOCKER_TLS_VERIFY").and_then(|_| default_cert_dir()));
        let tls = dir
            .filter(|_| address.starts_with("tcp://"))
            .map(|dir| TlsFiles::in_dir(&dir));
        let endpoint = Endpoint::parse(&address, tls, self.insecure_docker)
            .map_err(|error| Failure::Usage(error.message.clone()))?;
        Ok(Docker::connect(&endpoint)
            .with_context(|| format!("cannot use the Docker Engine at {address}"))?)
    }
}

fn default_cert_dir() -> Option<PathBuf> {
    Some(Path::new(&environment("HOME")?).join(".docker"))
}

/// A client of the API server.
pub(super) async fn kube() -> Result<Client, Failure> {
    Client::try_default()
        .await
        .context("no API server: set KUBECONFIG, or run in a cluster with a service account")
        .map_err(Failure::from)
}

/// A client of the API server, and the namespace to work in: the given one, else that of the current context.
pub(super) async fn kube_in(namespace: Option<&str>) -> Result<(Client, String), Failure> {
    let client = kube().await?;
    let namespace = namespace.map_or_else(|| client.default_namespace().to_owned(), str::to_owned);
    Ok((client, namespace))
}

/// The namespace of the current context, for verbs that work without an API server too.
pub(super) async fn namespace_here() -> String {
    let config = kube::Config::infer().await;
    config.map_or_else(|_| "default".to_owned(), |config| config.default_namespace)
}

/// The control plane's identity, for verbs: with what to do when it cannot be read.
pub(super) async fn known_instance(client: &Client) -> Result<Instance, Failure> {
    let next = "check the kubeconfig with `supercargo doctor`, and ask for the right to get this namespace";
    let told = instance(client).await.with_context(|| {
        format!("the uid of namespace kube-system, which names our containers, cannot be read; {next}")
    })?;
    if told.as_str().is_empty() {
        return Err(anyhow::anyhow!(
            "the API server gave namespace kube-system no uid, so our containers cannot be told; {next}"
        )
        .into());
    }
    Ok(told)
}

/// The containers that carry the label, each looked at; one that goes meanwhile is left out.
pub(super) async fn containers(
    engine: &Docker,
    key: &str,
    value: &str,
) -> engine::Result<Vec<ContainerView>> {
    let filter = LabelFilter {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let mut views = Vec::new();
    for one in engine.list_containers(&filter).await? {
        match engine.inspect_container(one.id.as_str()).await {
            Ok(view) => views.push(view),
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(views)
}

/// What an API server's error says, once. A path that it does not know is a definition that it lacks.
pub(super) fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if no_such_path(status) => {
            "the API server does not know this kind; install the CRDs with `supercargo crds | kubectl apply --server-side -f -`"
                .to_owned()
        }
        kube::Error::Api(status) => format!("{} ({})", status.message.trim(), status.code),
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(inner) = cause {
                let more = inner.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = inner.source();
            }
            text
        }
    }
}

/// Whether the answer is about the path and not about an object.
fn no_such_path(status: &kube::core::Status) -> bool {
    status.code == 404 && status.reason != "NotFound"
}

/// An engine's error with what to do about it.
pub(super) fn engine_failure(error: engine::Error) -> Failure {
    let next = match error.kind {
        Kind::Unreachable => {
            "check that the engine runs and that this user may reach it (--docker-host or DOCKER_HOST says where)"
        }
        _ => "see `supercargo doctor`",
    };
    Failure::Failed(anyhow::anyhow!("{error}; {next}"))
}

/// The control plane's identity: the uid of its namespace `kube-system`.
pub(super) async fn instance(client: &Client) -> Result<Instance, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get("kube-system").await?;
    Ok(Instance::new(namespace.metadata.uid.unwrap_or_default()))
}

/// Routes of this machine in CIDR form, from the kernel's table; none where it cannot be read.
pub(super) fn host_routes() -> Vec<String> {
    std::fs::read_to_string("/proc/net/route")
        .map(|table| routes(&table))
        .unwrap_or_default()
}

/// Name servers of this machine that a container can reach, as the Docker Engine chooses them; none where there are none.
pub(super) fn name_servers() -> Vec<std::net::IpAddr> {
    // Where systemd answers on a loopback address, the real ones are in its own file.
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| reachable(&text))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn reachable(resolv_conf: &str) -> Vec<std::net::IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address: std::net::IpAddr = (words.next() == Some("nameserver"))
            .then(|| words.next())??
            .parse()
            .ok()?;
        (!address.is_loopback()).then_some(address)
    };
    resolv_conf.lines().filter_map(server).collect()
}

/// The kernel writes addresses as hex in the machine's byte order.
fn routes(table: &str) -> Vec<String> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let destination = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
        let mask = u32::from_str_radix(fields.nth(5)?, 16).ok()?;
        let address = std::net::Ipv4Addr::from(destination.to_ne_bytes());
        let bits = mask.count_ones();
        (bits > 0).then(|| format!("{address}/{bits}"))
    };
    table.lines().skip(1).filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_on_a_loopback_address_are_nobodys_in_a_container() {
        let text =
            "# nameserver 1.1.1.1\nsearch a\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver x\n";
        assert_eq!(reachable(text), ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn the_kernels_table_is_read_without_the_default_route() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(routes(table), ["172.17.0.0/16"]);
    }
}
