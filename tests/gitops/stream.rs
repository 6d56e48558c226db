//! Every event of a watch, as an API server sends it: recorded by kubectl, in its own process and from the first object on,
//! so that no state that anybody could see goes by unseen.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::harness::{SOON, case::Case, until, word};

pub struct Stream {
    child: Child,
    file: PathBuf,
}

/// One event of a watch.
#[derive(Debug, Clone)]
pub struct Event {
    /// ADDED, MODIFIED or DELETED.
    pub kind: String,
    pub object: Value,
}

impl Event {
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Objects of one server have numbers of one sequence.
    pub fn version(&self) -> u64 {
        self.object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    pub fn condition(&self, kind: &str) -> &Value {
        let conditions = self.object["status"]["conditions"].as_array();
        let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
        found.unwrap_or(&Value::Null)
    }

    pub fn is_observed(&self) -> bool {
        self.object["status"]["observedGeneration"] == self.object["metadata"]["generation"]
    }
}

impl Stream {
    /// Of all objects of one kind in the case's namespace.
    pub fn start(case: &Case, kind: &str) -> Self {
        let file = case.dir.join(format!("watch-{kind}-{}.json", word()));
        let out = File::create(&file).unwrap();
        let mut command = case.kubectl_command();
        command
            .args([
                "-n",
                &case.ns,
                "get",
                kind,
                "--watch",
                "--output-watch-events",
                "-o",
                "json",
            ])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null());
        Self {
            child: command.spawn().unwrap(),
            file,
        }
    }

    /// What has come so far. An event that is being written is left for the next time.
    pub fn events(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let mut events: Vec<Event> = values
            .map_while(Result::ok)
            .map(|event| Event {
                kind: event["type"].as_str().unwrap().to_owned(),
                object: event["object"].clone(),
            })
            .collect();
        events.retain(|event| event.kind != "BOOKMARK");
        events
    }

    /// Waits until an event is there.
    pub fn find(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        until(what, SOON, || {
            let events = self.events();
            let last = events.last().map(|event| event.object["status"].to_string());
            events
                .into_iter()
                .find(&wanted)
                .ok_or(format!("the last of the stream is {last:?}"))
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
