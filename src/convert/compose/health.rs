//! `healthcheck` as a readiness probe: Docker's health decides who gets traffic and waits, and restarts nobody.
//! Owns its keys. Called by `service`.

use super::super::node::Node;
use super::super::read;
use super::service::Service;
use super::unmapped;
use crate::api::{ExecAction, Probe};

const KEYS: [&str; 7] = [
    "test",
    "disable",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "start_interval",
];

impl Service<'_> {
    /// Converts it.
    pub(super) fn healthcheck(&mut self, value: &Node) {
        let path = self.at("healthcheck");
        unmapped::others(&path, value, &KEYS, self.report);
        if value.get("disable").and_then(read::truth) == Some(true) {
            return self.differs(
                "healthcheck.disable",
                "an image's own check is not looked at in any case",
            );
        }
        let Some(test) = value.get("test") else {
            return self.unmapped(
                "healthcheck",
                "without test it changes the image's own check, which is not looked at: write the test",
            );
        };
        let Some(command) = command(test) else {
            return self.wrong(
                "healthcheck.test",
                "is neither a text nor a list that begins with CMD, CMD-SHELL or NONE",
            );
        };
        if command.is_empty() {
            return;
        }
        let mut probe = Probe {
            exec: Some(ExecAction { command }),
            // Docker's own defaults, which are not Kubernetes'.
            period_seconds: Some(30),
            timeout_seconds: Some(30),
            ..Probe::default()
        };
        if let Some(seconds) = self.duration(value, "interval") {
            probe.period_seconds = Some(seconds);
        }
        if let Some(seconds) = self.duration(value, "timeout") {
            probe.timeout_seconds = Some(seconds);
        }
        if let Some(retries) = value.get("retries") {
            match read::integer(retries).and_then(|number| i32::try_from(number).ok()) {
                Some(0) => {}
                Some(number) => probe.failure_threshold = Some(number),
                None => self.wrong("healthcheck.retries", "is no number"),
            }
        }
        if value.get("start_period").is_some() {
            self.differs(
                "healthcheck.start_period",
                "is not needed: an instance that was never ready has nothing to lose by a no",
            );
        }
        if value.get("start_interval").is_some() {
            self.unmapped(
                "healthcheck.start_interval",
                "questions come at one interval from the start on: lower interval, or remove it",
            );
        }
        self.differs(
            "healthcheck",
            "is a readinessProbe: the name does not lead to who is not ready, a rollout waits, nobody is restarted",
        );
        self.container.readiness_probe = Some(probe);
    }

    fn duration(&mut self, value: &Node, key: &str) -> Option<i32> {
        let text = value.text_at(key)?;
        let at = format!("healthcheck.{key}");
        match read::seconds(&text, 1) {
            // As Docker has it, 0 is the default.
            Some(_) if read::milliseconds(&text) == Some(0) => None,
            Some((seconds, exact)) => {
                if !exact {
                    self.differs(&at, format!("is {seconds} s: whole seconds, rounded up"));
                }
                Some(seconds)
            }
            None => {
                self.wrong(&at, "is no duration: write one such as 10s or 1m30s");
                None
            }
        }
    }
}

/// The command of a test; empty when there is none to be asked.
fn command(test: &Node) -> Option<Vec<String>> {
    let shell = |line: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()];
    let Node::List(_) = test else {
        let text = test.text()?;
        return Some(if text.as_str() == "NONE" {
            Vec::new()
        } else {
            shell(&text)
        });
    };
    let words = read::texts(test)?;
    let (first, rest) = words.split_first()?;
    match (first.as_str(), rest) {
        ("NONE", _) => Some(Vec::new()),
        ("CMD", rest) if !rest.is_empty() => Some(rest.iter().map(|word| word.as_str().to_owned()).collect()),
        ("CMD-SHELL", [line]) => Some(shell(line)),
        _ => None,
    }
}
