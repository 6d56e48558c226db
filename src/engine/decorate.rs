//! What the decorators of an engine share: a call is passed, unpolled, to one function, which may run it, delay it or
//! drop it. Owns the delegation of all seven traits and nothing else; `faulty`, `limited` and `termed` own what happens to a
//! call. A call is in a box, because every decorator holds it by value: three of them filled a thread's stack.

use std::future::Future;

use futures::stream::BoxStream;

use super::{
    Archive, Commands, Containers, Daemon, Engine, EngineInfo, Event, Files, Images, LabelFilter, Listed,
    LogChunk, LogOptions, Networks, Op, RegistryCredential, Result, SecretEnv, Session, Volumes,
};
use crate::state::{
    container::{ContainerId, ContainerSpec, ContainerView, Limits},
    image::{ImageTag, ImageView},
    network::{NetworkSpec, NetworkView},
    volume::Volume,
};

/// An engine around another.
pub trait Decorator: Send + Sync + 'static {
    /// The engine within.
    type Inner: Engine;

    /// The engine within.
    fn inner(&self) -> &Self::Inner;

    /// Does with a call of the inner engine what this decorator is for. The call has no effect unless it is polled.
    fn around<T: Send>(
        &self,
        op: Op,
        subject: &str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Does with the streams of an opened session what this decorator is for: they outlive the call. Usually nothing.
    fn session(&self, _id: &ContainerId, session: Session) -> Session {
        session
    }
}

impl<D: Decorator> Containers for D {
    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<Listed>> {
        self.around(
            Op::ListContainers,
            "",
            Box::pin(self.inner().list_containers(filter)),
        )
        .await
    }

    async fn inspect_container(&self, id_or_name: &str) -> Result<ContainerView> {
        self.around(
            Op::InspectContainer,
            id_or_name,
            Box::pin(self.inner().inspect_container(id_or_name)),
        )
        .await
    }

    async fn create_container(&self, spec: &ContainerSpec, env: &SecretEnv) -> Result<ContainerId> {
        self.around(
            Op::CreateContainer,
            &spec.name,
            Box::pin(self.inner().create_container(spec, env)),
        )
        .await
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        self.around(
            Op::StartContainer,
            id.as_str(),
            Box::pin(self.inner().start_container(id)),
        )
        .await
    }

    async fn stop_container(&self, id: &ContainerId, grace_seconds: i64) -> Result<()> {
        self.around(
            Op::StopContainer,
            id.as_str(),
            Box::pin(self.inner().stop_container(id, grace_seconds)),
        )
        .await
    }

    async fn signal_container(&self, id: &ContainerId, signal: &str) -> Result<()> {
        self.around(
            Op::SignalContainer,
            id.as_str(),
            Box::pin(self.inner().signal_container(id, signal)),
        )
        .await
    }

    async fn unpause_container(&self, id: &ContainerId) -> Result<()> {
        self.around(
            Op::UnpauseContainer,
            id.as_str(),
            Box::pin(self.inner().unpause_container(id)),
        )
        .await
    }

    async fn remove_container(&self, id: &ContainerId, force: bool) -> Result<()> {
        self.around(
            Op::RemoveContainer,
            id.as_str(),
            Box::pin(self.inner().remove_container(id, force)),
        )
        .await
    }

    async fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.around(
            Op::RenameContainer,
            id.as_str(),
            Box::pin(self.inner().rename_container(id, name)),
        )
        .await
    }

    async fn update_container(&self, id: &ContainerId, limits: &Limits) -> Result<()> {
        self.around(
            Op::UpdateContainer,
            id.as_str(),
            Box::pin(self.inner().update_container(id, limits)),
        )
        .await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogChunk>>> {
        self.around(Op::Logs, id.as_str(), Box::pin(self.inner().logs(id, options)))
            .await
    }
}

impl<D: Decorator> Images for D {
    async fn inspect_image(&self, reference: &str) -> Result<ImageView> {
        self.around(
            Op::InspectImage,
            reference,
            Box::pin(self.inner().inspect_image(reference)),
        )
        .await
    }

    async fn pull_image(&self, reference: &str, credential: Option<&RegistryCredential>) -> Result<()> {
        self.around(
            Op::PullImage,
            reference,
            Box::pin(self.inner().pull_image(reference, credential)),
        )
        .await
    }

    async fn load_image(&self, reference: &str, archive: Archive) -> Result<()> {
        self.around(
            Op::LoadImage,
            reference,
            Box::pin(self.inner().load_image(reference, archive)),
        )
        .await
    }

    async fn list_images(&self, repository: &str) -> Result<Vec<ImageTag>> {
        self.around(
            Op::ListImages,
            repository,
            Box::pin(self.inner().list_images(repository)),
        )
        .await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.around(
            Op::RemoveImage,
            reference,
            Box::pin(self.inner().remove_image(reference)),
        )
        .await
    }
}

impl<D: Decorator> Commands for D {
    async fn attach(&self, id: &ContainerId, command: &[String]) -> Result<Session> {
        let session = self
            .around(Op::Exec, id.as_str(), Box::pin(self.inner().attach(id, command)))
            .await?;
        Ok(self.session(id, session))
    }

    async fn run_command(&self, id: &ContainerId, command: &[String]) -> Result<i64> {
        self.around(
            Op::RunCommand,
            id.as_str(),
            Box::pin(self.inner().run_command(id, command)),
        )
        .await
    }
}

impl<D: Decorator> Files for D {
    async fn read_link(&self, id: &ContainerId, path: &str) -> Result<Option<String>> {
        self.around(
            Op::ReadLink,
            id.as_str(),
            Box::pin(self.inner().read_link(id, path)),
        )
        .await
    }

    async fn read_file(&self, id: &ContainerId, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.around(
            Op::ReadFile,
            id.as_str(),
            Box::pin(self.inner().read_file(id, path, limit)),
        )
        .await
    }
}

impl<D: Decorator> Networks for D {
    async fn list_networks(&self) -> Result<Vec<NetworkView>> {
        self.around(Op::ListNetworks, "", Box::pin(self.inner().list_networks()))
            .await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        self.around(
            Op::CreateNetwork,
            &spec.name,
            Box::pin(self.inner().create_network(spec)),
        )
        .await
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        self.around(Op::RemoveNetwork, id, Box::pin(self.inner().remove_network(id)))
            .await
    }

    async fn connect_network(
        &self,
        network: &str,
        container: &ContainerId,
        aliases: &[String],
    ) -> Result<()> {
        self.around(
            Op::ConnectNetwork,
            network,
            Box::pin(self.inner().connect_network(network, container, aliases)),
        )
        .await
    }

    async fn disconnect_network(&self, network: &str, container: &ContainerId) -> Result<()> {
        self.around(
            Op::DisconnectNetwork,
            network,
            Box::pin(self.inner().disconnect_network(network, container)),
        )
        .await
    }
}

impl<D: Decorator> Volumes for D {
    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<Volume>> {
        self.around(Op::ListVolumes, "", Box::pin(self.inner().list_volumes(filter)))
            .await
    }

    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        self.around(
            Op::CreateVolume,
            &volume.name,
            Box::pin(self.inner().create_volume(volume)),
        )
        .await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.around(Op::RemoveVolume, name, Box::pin(self.inner().remove_volume(name)))
            .await
    }
}

impl<D: Decorator> Daemon for D {
    async fn ping(&self) -> Result<()> {
        self.around(Op::Ping, "", Box::pin(self.inner().ping())).await
    }

    async fn info(&self) -> Result<EngineInfo> {
        self.around(Op::Info, "", Box::pin(self.inner().info())).await
    }

    async fn events(&self, filter: &LabelFilter) -> Result<BoxStream<'static, Result<Event>>> {
        self.around(Op::Events, "", Box::pin(self.inner().events(filter)))
            .await
    }
}
