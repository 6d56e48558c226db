//! The verb `prune --instance UID`: removes what a control plane that is gone left on the Docker host. Shows what it would
//! remove, and removes it only with `--yes`. Owns the choice, which goes by our label and nothing else; what another
//! control plane or a person made is not touched, nor are volumes, which hold data. Called by `mod`.

use std::process::ExitCode;

use super::{
    Outcome, block_on,
    connect::{self, Docker, DockerArgs},
    output,
};
use crate::{
    api::keys::label,
    engine::{Containers, Networks},
    state::{container::ContainerView, network::NetworkView},
};

/// Flags of `prune`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    docker: DockerArgs,
    /// The control plane whose containers and networks are removed: the uid of its namespace kube-system
    #[arg(long, value_name = "UID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    instance: String,
    /// Remove them. Without it they are only listed
    #[arg(long)]
    yes: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    block_on(async {
        let engine = args.docker.connect()?;
        refuse_own(&args.instance).await?;
        let containers = connect::containers(&engine, label::INSTANCE, &args.instance)
            .await
            .map_err(connect::engine_failure)?;
        let networks: Vec<NetworkView> = engine
            .list_networks()
            .await
            .map_err(connect::engine_failure)?
            .into_iter()
            .filter(|network| network.labels.get(label::INSTANCE) == Some(&args.instance))
            .collect();
        output::data(&plan(&containers, &networks))?;
        if containers.is_empty() && networks.is_empty() {
            eprintln!("nothing of control plane {} is on this host", args.instance);
        } else if args.yes {
            remove(&engine, &containers, &networks).await?;
        } else {
            eprintln!("nothing was removed; add --yes to remove this");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A control plane that answers is not gone.
async fn refuse_own(instance: &str) -> Result<(), super::Failure> {
    let Ok(client) = connect::kube().await else {
        return Ok(());
    };
    match connect::instance(&client).await {
        Ok(own) if own.as_str() == instance => Err(anyhow::anyhow!(
            "control plane {instance} is the one that this kubeconfig reaches: delete its objects instead"
        )
        .into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// One line for each thing.
fn plan(containers: &[ContainerView], networks: &[NetworkView]) -> String {
    let containers = containers.iter().map(|container| {
        let told = |key| container.labels.get(key).map_or("?", String::as_str);
        format!(
            "remove container {} of {}/{}\n",
            container.name,
            told(label::NAMESPACE),
            told(label::DEPLOYMENT)
        )
    });
    let networks = networks
        .iter()
        .map(|network| format!("remove network {}\n", network.name));
    containers.chain(networks).collect()
}

async fn remove(
    engine: &Docker,
    containers: &[ContainerView],
    networks: &[NetworkView],
) -> Result<(), super::Failure> {
    for container in containers {
        engine
            .remove_container(&container.id, true)
            .await
            .map_err(connect::engine_failure)?;
    }
    for network in networks {
        engine
            .remove_network(&network.id)
            .await
            .map_err(connect::engine_failure)?;
    }
    eprintln!(
        "removed {} containers and {} networks",
        containers.len(),
        networks.len()
    );
    Ok(())
}
