//! What runs in a fake container that is a namespace's agent: it believes what it is told of its members, and what a test
//! says about their health. Speaks the agent's words as plain JSON, so that the port needs to know nothing of them. Its
//! session ends when its container does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream},
    sync::watch,
};

use super::Fake;
use crate::{
    engine::{Error, Kind, LogChunk, Op, Result, Session},
    state::{
        container::{ContainerId, RunState},
        observed::{is_agent, namespace_of},
    },
};

/// What tests say about containers, by id: an object in the form of `state::probe::Health`.
pub(super) type Healths = Arc<watch::Sender<BTreeMap<String, Value>>>;

/// Whom the agents were last told not to name.
pub(super) type Withdrawn = Arc<Mutex<BTreeSet<ContainerId>>>;

impl Fake {
    /// What the probes of a container say until its next run: whether it is ready, whether it is alive, and why not.
    pub fn set_health(&self, id: &ContainerId, ready: bool, alive: bool, message: &str) {
        let since = ready.then(|| self.clock.now().to_string());
        let health = json!({
            "started": true, "ready": ready, "readySince": since, "alive": alive, "message": message,
        });
        let run = self.inside().find(id.as_str()).and_then(|c| c.view.started_at);
        let told = json!({ "startedAt": run, "health": health });
        self.healths.send_modify(|all| {
            all.insert(id.as_str().to_owned(), told);
        });
    }

    /// Whether its agent was last told that no name leads to this container.
    #[must_use]
    pub fn is_withdrawn(&self, id: &ContainerId) -> bool {
        let withdrawn = self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner);
        withdrawn.contains(id)
    }

    /// Opens a session of a delivery or of an agent; any other container has no such program.
    pub(super) fn attached(&self, id: &ContainerId, command: &[String]) -> Result<Session> {
        let refuse = |kind, text: &str| Err(Error::new(Op::Exec, id.as_str(), kind, text));
        let mut world = self.inside();
        let container = world.get(Op::Exec, id)?;
        let (view, delivers) = (container.view.clone(), self.delivers(&container.spec, command));
        if view.state != RunState::Running {
            return refuse(Kind::Conflict, "Container is not running");
        }
        if delivers {
            return Ok(self.deliver(id, &mut world));
        }
        if !is_agent(&view) {
            return refuse(Kind::Failed, "fake: no such program");
        }
        let (near, far) = tokio::io::duplex(1 << 20);
        let task = tokio::spawn(serve(
            far,
            namespace_of(&view).to_owned(),
            self.healths.subscribe(),
            Arc::clone(&self.withdrawn),
        ));
        world.sessions.push((id.clone(), task.abort_handle()));
        let (reader, writer) = tokio::io::split(near);
        let output = stream::unfold(reader, |mut reader| async move {
            let mut buffer = bytes::BytesMut::with_capacity(8 << 10);
            match reader.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => None,
                Ok(_) => Some((Ok(LogChunk::Stdout(buffer.freeze())), reader)),
            }
        });
        Ok(Session {
            output: output.boxed(),
            input: Box::pin(writer),
        })
    }
}

async fn serve(
    stream: DuplexStream,
    namespace: String,
    mut healths: watch::Receiver<BTreeMap<String, Value>>,
    withdrawn: Withdrawn,
) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut members: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let hello = json!({ "word": "hello", "version": 1, "namespace": namespace });
    let mut words = vec![hello];
    loop {
        for word in words.drain(..) {
            if writer.write_all(format!("{word}\n").as_bytes()).await.is_err() {
                return;
            }
        }
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let order: Value = serde_json::from_str(&line).unwrap_or_default();
                let deployment = order["deployment"].as_str().unwrap_or_default().to_owned();
                match order["order"].as_str() {
                    Some("set") => {
                        let told = order["members"].as_array().cloned().unwrap_or_default();
                        remember(&withdrawn, &told);
                        members.insert(deployment.clone(), told);
                        words.extend(said(&members, &healths.borrow(), Some(&deployment)));
                        words.push(json!({
                            "word": "applied", "deployment": deployment, "sequence": order["sequence"],
                        }));
                    }
                    _ => members.retain(|name, _| {
                        order["deployments"].as_array().is_some_and(|all| all.iter().any(|n| n == name))
                    }),
                }
            }
            changed = healths.changed() => {
                if changed.is_err() {
                    return;
                }
                words.extend(said(&members, &healths.borrow_and_update(), None));
            }
        }
    }
}

fn remember(withdrawn: &Withdrawn, members: &[Value]) {
    let mut withdrawn = withdrawn.lock().unwrap_or_else(PoisonError::into_inner);
    for member in members {
        let id = ContainerId::new(member["container"].as_str().unwrap_or_default());
        if member["serving"] == json!(false) {
            withdrawn.insert(id);
        } else {
            withdrawn.remove(&id);
        }
    }
}

fn said(
    members: &BTreeMap<String, Vec<Value>>,
    healths: &BTreeMap<String, Value>,
    only: Option<&str>,
) -> Vec<Value> {
    let wanted = members
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name));
    let all = wanted.flat_map(|(name, members)| members.iter().map(move |member| (name, member)));
    let word = |(name, member): (&String, &Value)| {
        let told = healths.get(member["container"].as_str().unwrap_or_default());
        let told = told.filter(|told| told["startedAt"] == member["startedAt"]);
        json!({
            "word": "health", "deployment": name, "container": member["container"],
            "startedAt": member["startedAt"],
            "health": told.map_or_else(|| unasked(member), |told| told["health"].clone()),
        })
    };
    all.map(word).collect()
}

/// What is known of a member before a test says anything: what was known before, and that whoever is not asked is well.
fn unasked(member: &Value) -> Value {
    let mut health = member["known"].clone();
    for (probe, state) in [("startup", "started"), ("readiness", "ready")] {
        if member["probes"][probe].is_null() {
            health[state] = json!(true);
        }
    }
    if health["ready"] == json!(true) && health["readySince"].is_null() {
        health["readySince"] = member["startedAt"].clone();
    }
    health
}
