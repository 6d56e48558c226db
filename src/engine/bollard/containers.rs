//! Docker's containers, call by call. Create and inspect go past bollard, which would copy the environment into strings
//! and log it; logs do so because bollard opens a stream only when it is first polled. See `create` and `view`.

use std::{collections::BTreeSet, time::Duration};

use ::bollard::{
    models::{ContainerSummary, ContainerUpdateBody},
    query_parameters::{
        KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::Method;
use serde::Deserialize;

use super::{Docker, Failure, classify, create, limit, quoted, streams, view::Inspect};
use crate::{
    engine::{Containers, Error, Kind, LabelFilter, Listed, LogChunk, LogOptions, Op, Result, SecretEnv},
    state::container::{ContainerId, ContainerSpec, ContainerView, Limits},
};

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

/// What a list shows of a container that stays the same while nothing happens to it: all but how long it has been so.
/// Each run of a container on a network has another endpoint; of one that has ended the exit code is in the words.
fn listed(container: ContainerSummary) -> Option<Listed> {
    let id = container.id?;
    let exit = container.status.unwrap_or_default();
    let exit = exit
        .strip_prefix("Exited ")
        .and_then(|rest| rest.split(' ').next());
    let networks = container.network_settings.and_then(|settings| settings.networks);
    let places: BTreeSet<_> = networks
        .into_iter()
        .flatten()
        .map(|(name, place)| (name, place.network_id, place.endpoint_id, place.ip_address))
        .collect();
    Some(Listed {
        id: ContainerId::new(id),
        trace: format!("{:?} {:?} {exit:?} {places:?}", container.names, container.state),
    })
}

impl Containers for Docker {
    async fn list_containers(&self, filter: &LabelFilter) -> Result<Vec<Listed>> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&super::daemon::by_label(filter))
            .build();
        let found = self
            .ask(Op::ListContainers, "", self.api.list_containers(Some(options)))
            .await?;
        Ok(found.into_iter().filter_map(listed).collect())
    }

    async fn inspect_container(&self, id_or_name: &str) -> Result<ContainerView> {
        let op = Op::InspectContainer;
        let path = format!("/containers/{}/json", quoted(id_or_name));
        let call = self.raw_json::<Inspect>(Method::GET, &path, Bytes::new());
        let inspect = self
            .within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, id_or_name, failure))?;
        if !inspect.answers(id_or_name) {
            return Err(Error::new(
                op,
                id_or_name,
                Kind::NotFound,
                format!("No such container: {id_or_name}"),
            ));
        }
        inspect
            .view()
            .map_err(|message| self.error(op, id_or_name, Failure::Nonsense(message)))
    }

    async fn create_container(&self, spec: &ContainerSpec, env: &SecretEnv) -> Result<ContainerId> {
        let op = Op::CreateContainer;
        let body =
            create::body(spec, env).map_err(|message| Error::new(op, &spec.name, Kind::Invalid, message))?;
        let path = format!("/containers/create?name={}", quoted(&spec.name));
        let call = self.raw_json::<Created>(Method::POST, &path, body);
        match self.within(op, limit(op), call).await {
            Ok(created) => Ok(ContainerId::new(created.id)),
            Err(Failure::Answer { status, text }) if create::has_slots(spec) => {
                Err(reticent(&spec.name, status, &text))
            }
            Err(failure) => Err(self.error(op, &spec.name, failure)),
        }
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        let call = self.api.start_container(id.as_str(), None);
        self.tell(Op::StartContainer, id.as_str(), limit(Op::StartContainer), call)
            .await
    }

    async fn stop_container(&self, id: &ContainerId, grace_seconds: i64) -> Result<()> {
        // A negative time would wait for ever.
        let grace = i32::try_from(grace_seconds.max(0)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(grace).build();
        let limit = Duration::from_secs(u64::from(grace.unsigned_abs()) + 10);
        self.tell(
            Op::StopContainer,
            id.as_str(),
            limit,
            self.api.stop_container(id.as_str(), Some(options)),
        )
        .await
    }

    async fn signal_container(&self, id: &ContainerId, signal: &str) -> Result<()> {
        let op = Op::SignalContainer;
        // The engine takes an empty one for SIGKILL.
        if signal.is_empty() {
            return Err(Error::new(op, id.as_str(), Kind::Invalid, "no signal is named"));
        }
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let call = self.api.kill_container(id.as_str(), Some(options));
        self.tell(op, id.as_str(), limit(op), call).await
    }

    async fn unpause_container(&self, id: &ContainerId) -> Result<()> {
        let call = self.api.unpause_container(id.as_str());
        self.tell(
            Op::UnpauseContainer,
            id.as_str(),
            limit(Op::UnpauseContainer),
            call,
        )
        .await
    }

    async fn remove_container(&self, id: &ContainerId, force: bool) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(force)
            .v(true)
            .build();
        let call = self.api.remove_container(id.as_str(), Some(options));
        self.tell(Op::RemoveContainer, id.as_str(), limit(Op::RemoveContainer), call)
            .await
    }

    async fn rename_container(&self, id: &ContainerId, name: &str) -> Result<()> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let call = self.api.rename_container(id.as_str(), options);
        self.tell(Op::RenameContainer, id.as_str(), limit(Op::RenameContainer), call)
            .await
    }

    async fn update_container(&self, id: &ContainerId, limits: &Limits) -> Result<()> {
        let (memory, nano_cpus) = create::positive(limits);
        let body = ContainerUpdateBody {
            memory,
            // Memory alone is refused with 409, even on a container without limits.
            memory_swap: memory,
            nano_cpus,
            restart_policy: Some(create::no_restart()),
            ..Default::default()
        };
        let call = self.api.update_container(id.as_str(), body);
        self.tell(Op::UpdateContainer, id.as_str(), limit(Op::UpdateContainer), call)
            .await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogChunk>>> {
        let op = Op::Logs;
        let path = format!("/containers/{}/logs?{}", quoted(id.as_str()), log_query(options));
        let call = self.raw(Method::GET, &path, Bytes::new(), None);
        let response = self
            .within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, id.as_str(), failure))?;
        let (docker, id) = (self.clone(), id.clone());
        let chunks = streams::log_chunks(response);
        Ok(chunks
            .map(move |chunk| chunk.map_err(|e| docker.error(op, id.as_str(), Failure::Silent(e))))
            .boxed())
    }
}

/// An error of a call that carried plaintext: the engine quotes what it was sent, so its text ends here. The one text
/// that is looked at is known by its beginning, which no value can forge.
fn reticent(name: &str, status: u16, text: &str) -> Error {
    let no_path = text.starts_with("invalid mount config for type \"bind\": bind source path does not exist");
    let kind = if no_path {
        Kind::HostPathMissing
    } else {
        classify::kind(Op::CreateContainer, status, "", "")
    };
    let meaning = match kind {
        Kind::HostPathMissing => "a host path to mount does not exist",
        Kind::NotFound => "the image, or something else that it names, does not exist on the engine",
        Kind::Conflict => "the name is in use by another container",
        Kind::Invalid => "it refused one of the options",
        _ => "it failed",
    };
    let message = format!(
        "the engine answered {status}: {meaning} (its own words are withheld, since they may quote a secret value)"
    );
    Error::new(Op::CreateContainer, name, kind, message)
}

fn log_query(options: &LogOptions) -> String {
    let mut query = format!(
        "stdout=true&stderr=true&follow={}&timestamps={}&tail={}",
        options.follow,
        options.timestamps,
        options
            .tail
            .map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
    );
    if let Some(since) = options.since {
        // Whole seconds and nine digits: a float loses them and bare nanoseconds overflow.
        query.push_str(&format!(
            "&since={}.{:09}",
            since.as_second(),
            since.subsec_nanosecond().max(0)
        ));
    }
    query
}
