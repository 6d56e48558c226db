//! `deploy`, and the keys of a service that say the same: how many, how large, and how a change is rolled out.
//! Owns these keys; `deploy.labels` are those of `process`. Called by `service`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::node::Node;
use super::super::read;
use super::service::Service;
use super::{shape, unmapped};
use crate::api::schema::QuantityText;
use crate::api::{DeploymentStrategy, RollingUpdate};

impl Service<'_> {
    /// Whether the key is a limit or a number of instances.
    pub(super) fn limits(&mut self, key: &str, value: &Node) -> bool {
        match key {
            "mem_limit" => self.limit(key, "memory", value),
            "cpus" => self.limit(key, "cpu", value),
            "mem_reservation" => self.reserve(key, "memory", value),
            "scale" => self.replicas(key, value),
            _ => return false,
        }
        true
    }

    /// Converts `deploy`.
    pub(super) fn deploy(&mut self, value: &Node) {
        for (key, value) in value.entries() {
            let at = format!("deploy.{key}");
            if let Some(problem) = shape::problem(key, value) {
                self.wrong(&at, problem);
                continue;
            }
            match key.as_str() {
                "replicas" => self.replicas(&at, value),
                "labels" => self.labels(&at, value),
                "resources" => self.resources(value),
                "update_config" => self.update(value),
                "restart_policy" => self.restart_policy(value),
                "mode" => match value.text().unwrap_or_default().as_str() {
                    "replicated" => {}
                    "global" => self.differs(
                        &at,
                        "there is one host: as many instances as replicas says, 1 if absent",
                    ),
                    _ => self.unmapped(&at, "what runs to its end is no deployment: run it with Docker"),
                },
                key => unmapped::deploy(&self.at("deploy"), key, value, self.report),
            }
        }
    }

    fn replicas(&mut self, key: &str, value: &Node) {
        match read::integer(value).and_then(|number| i32::try_from(number).ok()) {
            Some(number) => self.spec.replicas = Some(number),
            None => self.wrong(key, "is no number"),
        }
    }

    fn resources(&mut self, value: &Node) {
        for (section, amounts) in value.entries() {
            let at = format!("deploy.resources.{section}");
            match shape::problem(section, amounts) {
                Some(problem) => self.wrong(&at, problem),
                None if matches!(section.as_str(), "limits" | "reservations") => {}
                None => self.unmapped(&at, "is no key that is known here: correct or remove it"),
            }
            for (key, amount) in amounts.entries() {
                let at = format!("deploy.resources.{section}.{key}");
                match (section.as_str(), key.as_str()) {
                    ("limits", "memory") => self.limit(&at, "memory", amount),
                    ("limits", "cpus") => self.limit(&at, "cpu", amount),
                    ("reservations", "memory") => self.reserve(&at, "memory", amount),
                    ("reservations", "cpus") => self.reserve(&at, "cpu", amount),
                    (_, "pids") => {
                        self.unmapped(&at, "there is a limit of CPU and of memory only: remove it")
                    }
                    (_, "devices" | "generic_resources") => {
                        self.unmapped(&at, "devices are not passed through yet: remove it");
                    }
                    _ => self.unmapped(&at, "is no key that is known here: correct or remove it"),
                }
            }
        }
    }

    fn amount(&mut self, key: &str, name: &str, value: &Node) -> Option<QuantityText> {
        let text = value.text().unwrap_or_default();
        let found = match name {
            "cpu" => read::cpus(&text),
            _ => read::bytes(&text).map(read::quantity),
        };
        if found.is_none() {
            let hint = if name == "cpu" {
                "a number such as 0.5"
            } else {
                "a size such as 512m"
            };
            self.wrong(key, format!("is no amount: write {hint}"));
        }
        // To Docker, 0 is no limit.
        found.filter(|text| text != "0").map(QuantityText::Text)
    }

    fn limit(&mut self, key: &str, name: &str, value: &Node) {
        if let Some(amount) = self.amount(key, name, value) {
            let resources = self.container.resources.get_or_insert_default();
            resources.limits.insert(name.to_owned(), amount);
        }
    }

    fn reserve(&mut self, key: &str, name: &str, value: &Node) {
        if let Some(amount) = self.amount(key, name, value) {
            self.differs(
                key,
                "is a request, which has no effect: one host has no scheduler",
            );
            let resources = self.container.resources.get_or_insert_default();
            resources.requests.insert(name.to_owned(), amount);
        }
    }

    fn update(&mut self, value: &Node) {
        let mut share = IntOrString::Int(1);
        let first = value
            .text_at("order")
            .is_some_and(|order| order.as_str() == "start-first");
        for (key, value) in value.entries() {
            let at = format!("deploy.update_config.{key}");
            match key.as_str() {
                "order" => {}
                "parallelism" => match read::integer(value).and_then(|number| i32::try_from(number).ok()) {
                    Some(0) => share = IntOrString::String("100%".to_owned()),
                    Some(number) => share = IntOrString::Int(number),
                    None => self.wrong(&at, "is no number"),
                },
                "delay" => match value.text().and_then(|text| read::seconds(&text, 0)) {
                    Some((seconds, _)) => {
                        self.spec.min_ready_seconds = Some(seconds);
                        self.differs(&at, "is minReadySeconds: the next one follows when one has been ready for so long");
                    }
                    None => self.wrong(&at, "is no duration: write one such as 10s"),
                },
                "failure_action" => self.differs(
                    &at,
                    "a rollout that fails stays where it is, with what still runs: `supercargo rollout undo` goes back",
                ),
                "monitor" | "max_failure_ratio" => {
                    self.unmapped(&at, "readiness decides, and spec.progressDeadlineSeconds: remove it");
                }
                _ => self.unmapped(&at, "is no key that is known here: correct or remove it"),
            }
        }
        let none = Some(IntOrString::Int(0));
        let rolling = if first {
            RollingUpdate {
                max_surge: Some(share),
                max_unavailable: none,
            }
        } else {
            RollingUpdate {
                max_surge: none,
                max_unavailable: Some(share),
            }
        };
        self.spec.strategy = Some(DeploymentStrategy {
            type_: None,
            rolling_update: Some(rolling),
        });
    }

    fn restart_policy(&mut self, value: &Node) {
        for (key, value) in value.entries() {
            let at = format!("deploy.restart_policy.{key}");
            match (key.as_str(), value.text().unwrap_or_default().as_str()) {
                ("condition", "any") => {}
                ("condition", _) => {
                    self.differs(
                        &at,
                        "what ends is started again, whatever its exit code, with ever longer waits",
                    );
                }
                ("delay" | "window" | "max_attempts", _) => self.differs(
                    &at,
                    "the first restart is at once, then waits double from 10 s to 5 min, without an end",
                ),
                _ => self.unmapped(&at, "is no key that is known here: correct or remove it"),
            }
        }
    }
}
