//! The engine's traits on the fake: each call passes the door, takes one step in the world and answers. Nothing here
//! decides anything; a stop is the only call that takes (tokio's) time.

use std::time::Duration;

use futures::{
    StreamExt,
    channel::mpsc,
    stream::{self, BoxStream},
};

use super::{
    Fake,
    events::Subscriber,
    holder::volume_of,
    registry::image,
    world::{absent, is_up},
};
use crate::{
    engine::{
        Archive, Commands, Containers, Daemon, EngineInfo, Error, Event, Files, Images, Kind, LabelFilter,
        Listed, LogChunk, LogOptions, Networks, Op, RegistryCredential, Result, SecretEnv, Session, Volumes,
    },
    state::{
        container::{ContainerId, ContainerSpec, ContainerView, Limits, RunState},
        image::{ImageTag, ImageView},
        network::{NetworkSpec, NetworkView},
        volume::Volume,
    },
};

impl Containers for Fake {
    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<Listed>> {
        self.enter(Op::ListContainers, "").await?;
        let world = self.inside();
        let ours = world
            .containers
            .values()
            .filter(|c| c.view.labels.get(&filter.key) == Some(&filter.value));
        let listed = |c: &super::world::Container| Listed {
            id: c.view.id.clone(),
            trace: format!(
                "{} {:?} {} {:?}",
                c.view.name, c.view.state, c.runs, c.view.networks
            ),
        };
        Ok(ours.map(listed).collect())
    }

    async fn inspect_container(&self, id_or_name: &str) -> Result<ContainerView> {
        self.enter(Op::InspectContainer, id_or_name).await?;
        let world = self.inside();
        world
            .find(id_or_name)
            .map(|c| c.view.clone())
            .ok_or_else(|| absent(Op::InspectContainer, id_or_name))
    }

    async fn create_container(&self, spec: &ContainerSpec, env: &SecretEnv) -> Result<ContainerId> {
        self.enter(Op::CreateContainer, &spec.name).await?;
        self.inside().create(spec, env)
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        self.enter(Op::StartContainer, id.as_str()).await?;
        self.inside().start(id)
    }

    async fn stop_container(&self, id: &ContainerId, grace_seconds: i64) -> Result<()> {
        self.enter(Op::StopContainer, id.as_str()).await?;
        let stubborn = {
            let mut world = self.inside();
            let container = world.get(Op::StopContainer, id)?;
            if !is_up(container.view.state) {
                return Ok(());
            }
            // 20.10 thaws what it stops.
            container.view.state = RunState::Running;
            let stubborn = container.ignores_term;
            world.container_event(id, "kill", &[("signal", "15")]);
            if !stubborn {
                world.end(id, 0, false);
                world.container_event(id, "stop", &[]);
            }
            stubborn
        };
        if stubborn {
            let grace = u64::try_from(grace_seconds).unwrap_or_default();
            tokio::time::sleep(Duration::from_secs(grace)).await;
            let mut world = self.inside();
            world.container_event(id, "kill", &[("signal", "9")]);
            world.end(id, 137, false);
            world.container_event(id, "stop", &[]);
        }
        Ok(())
    }

    async fn signal_container(&self, id: &ContainerId, signal: &str) -> Result<()> {
        self.enter(Op::SignalContainer, id.as_str()).await?;
        self.inside().signal(id, signal)
    }

    async fn unpause_container(&self, id: &ContainerId) -> Result<()> {
        self.enter(Op::UnpauseContainer, id.as_str()).await?;
        let mut world = self.inside();
        let view = &mut world.get(Op::UnpauseContainer, id)?.view;
        if view.state == RunState::Paused {
            view.state = RunState::Running;
            world.container_event(id, "unpause", &[]);
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId, force: bool) -> Result<()> {
        self.enter(Op::RemoveContainer, id.as_str()).await?;
        self.inside().remove(id, force)
    }

    async fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.enter(Op::RenameContainer, name).await?;
        self.inside().rename(id, name)
    }

    async fn update_container(&self, id: &ContainerId, limits: &Limits) -> Result<()> {
        self.enter(Op::UpdateContainer, id.as_str()).await?;
        self.inside().update(id, limits)
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogChunk>>> {
        self.enter(Op::Logs, id.as_str()).await?;
        let mut world = self.inside();
        let mut log = world.get(Op::Logs, id)?.log.clone();
        let keep = options
            .tail
            .and_then(|lines| usize::try_from(lines).ok())
            .unwrap_or(usize::MAX);
        log.drain(..log.len().saturating_sub(keep));
        Ok(stream::iter(log.into_iter().map(Ok)).boxed())
    }
}

impl Images for Fake {
    async fn inspect_image(&self, reference: &str) -> Result<ImageView> {
        self.enter(Op::InspectImage, reference).await?;
        let missing = || {
            Error::new(
                Op::InspectImage,
                reference,
                Kind::NotFound,
                format!("No such image: {reference}"),
            )
        };
        self.inside()
            .registry
            .local(reference)
            .cloned()
            .ok_or_else(missing)
    }

    async fn pull_image(&self, reference: &str, credential: Option<&RegistryCredential>) -> Result<()> {
        self.enter(Op::PullImage, reference).await?;
        self.inside().registry.pull(reference, credential)
    }

    async fn load_image(&self, reference: &str, archive: Archive) -> Result<()> {
        self.enter(Op::LoadImage, reference).await?;
        let pieces: Vec<_> = archive.collect().await;
        if let Some(error) = pieces.into_iter().find_map(std::result::Result::err) {
            return Err(Error::new(
                Op::LoadImage,
                reference,
                Kind::Invalid,
                error.to_string(),
            ));
        }
        let mut world = self.inside();
        let now = world.now;
        world.registry.add_local(reference, image(reference), now);
        Ok(())
    }

    async fn list_images(&self, repository: &str) -> Result<Vec<ImageTag>> {
        self.enter(Op::ListImages, repository).await?;
        Ok(self.inside().registry.tags(repository))
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.enter(Op::RemoveImage, reference).await?;
        let mut world = self.inside();
        if world.containers.values().any(|c| c.spec.image == reference) {
            let message =
                format!("conflict: unable to remove repository reference \"{reference}\" (must force)");
            return Err(Error::new(Op::RemoveImage, reference, Kind::Conflict, message));
        }
        world.registry.remove_local(reference);
        Ok(())
    }
}

impl Commands for Fake {
    async fn attach(&self, id: &ContainerId, command: &[String]) -> Result<Session> {
        self.enter(Op::Exec, id.as_str()).await?;
        self.attached(id, command)
    }

    async fn run_command(&self, id: &ContainerId, command: &[String]) -> Result<i64> {
        self.enter(Op::RunCommand, id.as_str()).await?;
        let mut world = self.inside();
        if world.get(Op::RunCommand, id)?.view.state != RunState::Running {
            let message = "Container is not running";
            return Err(Error::new(Op::RunCommand, id.as_str(), Kind::Conflict, message));
        }
        Ok(world.command_codes.get(command).copied().unwrap_or_default())
    }
}

impl Files for Fake {
    async fn read_link(&self, id: &ContainerId, path: &str) -> Result<Option<String>> {
        self.enter(Op::ReadLink, id.as_str()).await?;
        self.inside().read_link(id, path)
    }

    async fn read_file(&self, id: &ContainerId, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.enter(Op::ReadFile, id.as_str()).await?;
        self.inside().read_file(id, path, limit)
    }
}

impl Networks for Fake {
    async fn list_networks(&self) -> Result<Vec<NetworkView>> {
        self.enter(Op::ListNetworks, "").await?;
        Ok(self
            .inside()
            .networks
            .values()
            .map(|network| network.view.clone())
            .collect())
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        self.enter(Op::CreateNetwork, &spec.name).await?;
        self.inside().create_network(spec)
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        self.enter(Op::RemoveNetwork, id).await?;
        self.inside().remove_network(id)
    }

    async fn connect_network(
        &self,
        network: &str,
        container: &ContainerId,
        aliases: &[String],
    ) -> Result<()> {
        self.enter(Op::ConnectNetwork, network).await?;
        self.inside().connect(network, container, aliases)
    }

    async fn disconnect_network(&self, network: &str, container: &ContainerId) -> Result<()> {
        self.enter(Op::DisconnectNetwork, network).await?;
        self.inside().disconnect(network, container);
        Ok(())
    }
}

impl Volumes for Fake {
    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<Volume>> {
        self.enter(Op::ListVolumes, "").await?;
        let world = self.inside();
        let ours = world
            .volumes
            .values()
            .filter(|v| v.labels.get(&filter.key) == Some(&filter.value));
        // The engine tells options in words of its own, which nobody reads back.
        let listed = ours.map(|volume| Volume {
            memory: None,
            ..volume.clone()
        });
        Ok(listed.collect())
    }

    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        self.enter(Op::CreateVolume, &volume.name).await?;
        self.inside()
            .volumes
            .entry(volume.name.clone())
            .or_insert_with(|| volume.clone());
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.enter(Op::RemoveVolume, name).await?;
        let mut world = self.inside();
        let uses = |c: &super::world::Container| {
            let mut used = c.spec.mounts.iter().filter_map(volume_of);
            used.any(|used| used == name)
        };
        if world.containers.values().any(uses) {
            let message = format!("remove {name}: volume is in use");
            return Err(Error::new(Op::RemoveVolume, name, Kind::Conflict, message));
        }
        world.volumes.remove(name);
        world.contents.remove(name);
        world.disks.remove(name);
        Ok(())
    }
}

impl Daemon for Fake {
    async fn ping(&self) -> Result<()> {
        self.enter(Op::Ping, "").await
    }

    async fn info(&self) -> Result<EngineInfo> {
        self.enter(Op::Info, "").await?;
        Ok(EngineInfo {
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            name: "fake".to_owned(),
            kernel: self.inside().kernel.clone(),
            platform: "linux/amd64".to_owned(),
            root_dir: "/var/lib/docker".to_owned(),
            security_options: Vec::new(),
            time: None,
        })
    }

    async fn events(&self, filter: &LabelFilter) -> Result<BoxStream<'static, Result<Event>>> {
        self.enter(Op::Events, "").await?;
        let (to, events) = mpsc::unbounded();
        self.inside().events.push(Subscriber {
            filter: filter.clone(),
            to,
        });
        Ok(events.boxed())
    }
}
