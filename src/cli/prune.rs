//! The verb `prune`: removes what a control plane that is gone left on the Docker host (`--instance UID`), or what no object
//! of the present one owns (`--orphans`), or images of agents of other versions (`--images`). Shows what it would remove,
//! and removes it only with `--yes`. Owns the choice, which goes by our labels and names and nothing else; what another
//! control plane or a person made is not touched, nor are volumes, which hold data. Called by `mod`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use anyhow::Context as _;
use kube::{Api, Client, api::ListParams};

use super::{
    Failure, Outcome, block_on,
    connect::{self, Docker, DockerArgs},
    host_tmpfs::{HostArgs, Kept},
    output,
};
use crate::{
    api::{DockerDeployment, keys::label},
    clock::{Clock, System},
    engine::{Containers, LabelFilter, Networks, Volumes},
    execute::Program,
    shelf::host::Found,
    state::{
        container::ContainerView,
        files::is_holder,
        network::NetworkView,
        observed::{is_agent, namespace_of},
        owner::Instance,
        volume::Volume,
    },
};

/// Flags of `prune`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Args {
    #[command(flatten)]
    docker: DockerArgs,
    #[command(flatten)]
    host: HostArgs,
    /// The control plane whose containers and networks are removed: the uid of its namespace kube-system
    #[arg(long, value_name = "UID", group = "what", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    instance: Option<String>,
    /// Remove containers whose object is gone from the control plane that the kubeconfig reaches
    #[arg(long, group = "what")]
    orphans: bool,
    /// Remove images of agents that other versions of this program left and no container is made from. The operator does so itself once in a while
    #[arg(long, group = "what")]
    images: bool,
    /// Remove them. Without it they are only listed
    #[arg(long)]
    yes: bool,
}

/// What is removed.
struct Chosen {
    containers: Vec<ContainerView>,
    networks: Vec<NetworkView>,
    /// Volumes with delivered files, and with the program. Others hold data, and stay.
    volumes: Vec<Volume>,
    /// The same in a directory of the host.
    kept: Option<Kept>,
    /// What is said when that is nothing.
    nothing: String,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Outcome {
    block_on(async {
        let engine = args.docker.connect()?;
        if args.images {
            return images(&engine, args.yes).await;
        }
        let chosen = match &args.instance {
            Some(instance) => all_of(&engine, instance, &args.host).await?,
            None => orphans(&engine, &args.host).await?,
        };
        let lines = plan(&chosen);
        output::data(&lines)?;
        if lines.is_empty() {
            eprintln!("{}", chosen.nothing);
        } else if args.yes {
            remove(&engine, &chosen).await?;
        } else {
            eprintln!("nothing was removed; add --yes to remove this");
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn images(engine: &Docker, yes: bool) -> Outcome {
    let own = std::env::current_exe().and_then(|path| Program::of_file(&path));
    let program =
        own.context("this program's file cannot be read, so nobody knows which image is its own")?;
    let now = System.now();
    let surplus = program
        .surplus(engine, now)
        .await
        .map_err(connect::engine_failure)?;
    let lines: String = surplus
        .iter()
        .map(|image| format!("remove image {image}\n"))
        .collect();
    output::data(&lines)?;
    if surplus.is_empty() {
        eprintln!("no image of another version's agents is on this host");
    } else if yes {
        let gone = program.tidy(engine, now).await.map_err(connect::engine_failure)?;
        let kept = surplus.len().saturating_sub(gone.len());
        eprintln!(
            "removed {} images; {kept} are kept, as containers are made from them",
            gone.len()
        );
    } else {
        eprintln!("nothing was removed; add --yes to remove those that no container is made from");
    }
    Ok(ExitCode::SUCCESS)
}

async fn all_of(engine: &Docker, instance: &str, host: &HostArgs) -> Result<Chosen, Failure> {
    refuse_own(instance).await?;
    let containers = connect::containers(engine, label::INSTANCE, instance)
        .await
        .map_err(connect::engine_failure)?;
    let networks = engine.list_networks().await.map_err(connect::engine_failure)?;
    Ok(Chosen {
        containers,
        networks: networks
            .into_iter()
            .filter(|network| network.labels.get(label::INSTANCE).map(String::as_str) == Some(instance))
            .collect(),
        volumes: volumes(engine, instance).await?,
        kept: kept(host, instance)?,
        nothing: format!("nothing of control plane {instance} is on this host"),
    })
}

/// What the operator kept in a directory of the host. Six digits of an instance name its part, labels tell it apart.
fn kept(host: &HostArgs, instance: &str) -> Result<Option<Kept>, Failure> {
    let mut kept = host.records(&Instance::new(instance))?;
    if let Some(kept) = &mut kept {
        let is_its = |found: &Found| {
            found
                .record
                .labels
                .get(label::INSTANCE)
                .is_some_and(|of| of == instance)
        };
        kept.found.retain(is_its);
    }
    Ok(kept)
}

/// The volumes with delivered files, and those with the program that sets protected variables.
async fn volumes(engine: &Docker, instance: &str) -> Result<Vec<Volume>, Failure> {
    let filter = LabelFilter {
        key: label::INSTANCE.to_owned(),
        value: instance.to_owned(),
    };
    let mut volumes = engine
        .list_volumes(&filter)
        .await
        .map_err(connect::engine_failure)?;
    let is_ours = |volume: &Volume| {
        let labels = &volume.labels;
        labels.contains_key(label::HOLDS_FOR) || labels.contains_key(label::PROGRAM)
    };
    volumes.retain(is_ours);
    Ok(volumes)
}

async fn orphans(engine: &Docker, host: &HostArgs) -> Result<Chosen, Failure> {
    let client = connect::kube().await?;
    let instance = connect::known_instance(&client).await?;
    // In this order: whoever has a container here was an object before it had one.
    let containers = connect::containers(engine, label::INSTANCE, instance.as_str())
        .await
        .map_err(connect::engine_failure)?;
    let mut volumes = volumes(engine, instance.as_str()).await?;
    let mut kept = kept(host, instance.as_str())?;
    let owners = owners(client).await?;
    let is_left = |labels: &BTreeMap<String, String>| {
        let owner = labels.get(label::HOLDS_FOR);
        owner.is_some_and(|uid| !owners.contains(uid))
    };
    volumes.retain(|volume| is_left(&volume.labels));
    if let Some(kept) = &mut kept {
        kept.found.retain(|found| is_left(&found.record.labels));
    }
    Ok(Chosen {
        containers: without_owner(containers, &owners),
        networks: Vec::new(),
        volumes,
        kept,
        nothing: "every container of this control plane has its object".to_owned(),
    })
}

async fn owners(client: Client) -> Result<BTreeSet<String>, Failure> {
    let deployments: Api<DockerDeployment> = Api::all(client);
    let listed = deployments
        .list_metadata(&ListParams::default())
        .await
        .context("DockerDeployments cannot be listed, so nobody knows what has no object")?;
    Ok(listed
        .into_iter()
        .filter_map(|deployment| deployment.metadata.uid)
        .collect())
}

/// Containers whose owner is gone, and agents of namespaces in which nobody else is.
pub(super) fn without_owner(containers: Vec<ContainerView>, owners: &BTreeSet<String>) -> Vec<ContainerView> {
    let owned = |container: &&ContainerView| {
        let labels = &container.labels;
        let uid = labels.get(label::UID).or_else(|| labels.get(label::HOLDS_FOR));
        uid.is_some_and(|uid| owners.contains(uid))
    };
    let lived_in: BTreeSet<String> = containers
        .iter()
        .filter(owned)
        .map(|c| namespace_of(c).to_owned())
        .collect();
    containers
        .into_iter()
        .filter(|container| {
            let labels = &container.labels;
            match labels.get(label::UID).or_else(|| labels.get(label::HOLDS_FOR)) {
                Some(uid) => !owners.contains(uid),
                None => is_agent(container) && !lived_in.contains(namespace_of(container)),
            }
        })
        .collect()
}

/// A control plane that answers is not gone.
async fn refuse_own(instance: &str) -> Result<(), Failure> {
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
fn plan(chosen: &Chosen) -> String {
    let containers = chosen.containers.iter().map(|container| {
        let told = |key| container.labels.get(key).map_or("?", String::as_str);
        if is_agent(container) {
            return format!(
                "remove the agent {} of {}\n",
                container.name,
                namespace_of(container)
            );
        }
        let (what, of) = if is_holder(container) {
            ("the holder of files", label::HOLDER)
        } else {
            ("container", label::DEPLOYMENT)
        };
        format!(
            "remove {what} {} of {}/{}\n",
            container.name,
            told(label::NAMESPACE),
            told(of)
        )
    });
    let networks = chosen.networks.iter();
    let networks = networks.map(|network| format!("remove network {}\n", network.name));
    let volumes = chosen.volumes.iter();
    let volumes = volumes.map(|volume| {
        let program = volume.labels.contains_key(label::PROGRAM);
        let what = if program { "the program in" } else { "the files in" };
        format!("remove {what} {}\n", volume.name)
    });
    let kept = chosen.kept.iter().flat_map(|kept| &kept.found);
    let kept = kept.flat_map(|found| found.record.volumes.keys());
    let kept = kept.map(|path| format!("remove the files in {path}\n"));
    let volumes = volumes.chain(kept);
    containers.chain(networks).chain(volumes).collect()
}

async fn remove(engine: &Docker, chosen: &Chosen) -> Result<(), Failure> {
    for container in &chosen.containers {
        let removed = engine.remove_container(&container.id, true).await;
        removed.map_err(connect::engine_failure)?;
    }
    for network in &chosen.networks {
        let removed = engine.remove_network(&network.id).await;
        removed.map_err(connect::engine_failure)?;
    }
    for volume in &chosen.volumes {
        let removed = engine.remove_volume(&volume.name).await;
        removed.map_err(connect::engine_failure)?;
    }
    if let Some(kept) = &chosen.kept {
        kept.remove()?;
    }
    eprintln!(
        "removed {} containers and {} networks",
        chosen.containers.len(),
        chosen.networks.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures;

    #[test]
    fn an_orphan_is_a_container_whose_owner_is_gone_and_nothing_else() {
        let mut containers: Vec<ContainerView> = ["kept", "gone", "foreign"]
            .map(|name| fixtures::view(name, 0, "r"))
            .into();
        for (container, uid) in containers.iter_mut().zip([Some("a"), Some("b"), None]) {
            container.name = container.labels[label::DEPLOYMENT].clone();
            container.labels.remove(label::UID);
            if let Some(uid) = uid {
                container.labels.insert(label::UID.to_owned(), uid.to_owned());
            }
        }
        let mut agent = fixtures::view("agent", 0, "r");
        agent.labels.remove(label::UID);
        agent.labels.insert(label::AGENT.to_owned(), "1".to_owned());
        let mut alone = agent.clone();
        alone.name = "alone".to_owned();
        alone
            .labels
            .insert(label::NAMESPACE.to_owned(), "left".to_owned());
        let agents = without_owner(vec![alone, agent.clone()], &BTreeSet::new());
        assert_eq!(agents.len(), 2, "nobody is there");
        containers.push(agent);
        let owners = BTreeSet::from(["a".to_owned(), "c".to_owned()]);
        let lost = without_owner(containers, &owners);
        let names: Vec<&str> = lost.iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, ["gone"]);
        let chosen = Chosen {
            containers: lost,
            networks: Vec::new(),
            volumes: Vec::new(),
            kept: None,
            nothing: String::new(),
        };
        assert!(plan(&chosen).starts_with("remove container gone of "));
    }
}
