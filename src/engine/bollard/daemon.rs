//! The engine itself: ping, version and the stream of events. Events go past bollard, which subscribes only when its
//! stream is first polled: a list made in between would miss what happens after it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, future, stream::BoxStream};
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Docker, Failure, limit, quoted, streams};
use crate::{
    engine::{Daemon, EngineInfo, Event, LabelFilter, Op, Result},
    state::container::ContainerId,
};

/// The events asked for. `exec_*` and the like are not: 100 containers with health checks make 30 a second.
const ACTIONS: [&str; 14] = [
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "restart",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "connect",
    "disconnect",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "Type")]
    kind: Option<String>,
    action: Option<String>,
    actor: Option<Actor>,
    #[serde(rename = "timeNano")]
    time_nano: Option<i64>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: Option<String>,
    #[serde(rename = "Attributes")]
    attributes: Option<BTreeMap<String, String>>,
}

impl Daemon for Docker {
    async fn ping(&self) -> Result<()> {
        self.ask(Op::Ping, "", self.api.ping()).await.map(|_| ())
    }

    async fn info(&self) -> Result<EngineInfo> {
        let version = self.ask(Op::Info, "", self.api.version()).await?;
        let info = self.ask(Op::Info, "", self.api.info()).await?;
        Ok(EngineInfo {
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            name: info.name.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            platform: format!(
                "{}/{}",
                version.os.unwrap_or_default(),
                version.arch.unwrap_or_default()
            ),
            root_dir: info.docker_root_dir.unwrap_or_default(),
            security_options: info.security_options.unwrap_or_default(),
            time: info.system_time.and_then(|time| time.parse().ok()),
        })
    }

    async fn events(&self, filter: &LabelFilter) -> Result<BoxStream<'static, Result<Event>>> {
        let op = Op::Events;
        // The engine matches a label filter against the attributes of a network's event, too, which carry no labels of
        // the container; two streams would have no common order. So the label is looked at here.
        let actions = ACTIONS.map(|action| format!("\"{action}\"")).join(",");
        let filters = format!("{{\"type\":[\"container\",\"network\"],\"event\":[{actions}]}}");
        let path = format!("/events?filters={}", quoted(&filters));
        let call = self.raw(Method::GET, &path, Bytes::new(), None);
        let response = self
            .within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, "", failure))?;
        let (docker, filter) = (self.clone(), filter.clone());
        let events = streams::lines(response).map(move |line| {
            let line = line.map_err(Failure::Silent);
            let message = line.and_then(|line| {
                serde_json::from_slice::<Message>(&line).map_err(|e| Failure::Nonsense(e.to_string()))
            });
            message
                .map(|message| message.event(&filter))
                .map_err(|failure| docker.error(op, "", failure))
        });
        Ok(events
            .filter_map(|event| future::ready(event.transpose()))
            .boxed())
    }
}

impl Message {
    /// What it says to us, if anything.
    fn event(self, filter: &LabelFilter) -> Option<Event> {
        let action = self.action?;
        let actor = self.actor?;
        let mut attributes = actor.attributes.unwrap_or_default();
        let at = Timestamp::from_nanosecond(self.time_nano?.into()).ok()?;
        match self.kind.as_deref()? {
            "container" if attributes.get(&filter.key) == Some(&filter.value) => {
                // Attributes are the labels and a few words of the engine, which cannot be told apart from labels.
                let container = actor.id.map(ContainerId::new);
                Some(Event {
                    action,
                    container,
                    labels: attributes,
                    at,
                })
            }
            "network" if action == "connect" || action == "disconnect" => {
                let container = attributes
                    .remove("container")
                    .filter(|id| !id.is_empty())
                    .map(ContainerId::new);
                Some(Event {
                    action,
                    container,
                    labels: BTreeMap::new(),
                    at,
                })
            }
            _ => None,
        }
    }
}

/// The filter as bollard wants it.
pub(super) fn by_label<M: FromIterator<(String, Vec<String>)>>(filter: &LabelFilter) -> M {
    [(
        "label".to_owned(),
        vec![format!("{}={}", filter.key, filter.value)],
    )]
    .into_iter()
    .collect()
}
