//! Health checks of Ring as probes: `readiness` is a readinessProbe, `on_failure: restart` a livenessProbe.
//! Owns the three kinds of checks and their numbers. Called by `ring`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::node::Node;
use super::super::read;
use super::Draft;
use crate::api::{ExecAction, HttpGet, Probe, Scheme, TcpSocket};

const KEYS: [&str; 11] = [
    "type",
    "port",
    "url",
    "command",
    "interval",
    "timeout",
    "threshold",
    "on_failure",
    "readiness",
    "min_healthy_time",
    "start_period",
];

impl Draft<'_> {
    /// Converts all checks.
    pub(super) fn health_checks(&mut self, value: &Node) {
        for (index, check) in value.items().iter().enumerate() {
            let key = format!("health_checks[{index}]");
            self.check(&key, check);
        }
    }

    fn check(&mut self, key: &str, check: &Node) {
        let Some(mut probe) = question(check) else {
            return self.wrong(
                key,
                "is no check: write type tcp with port, http with url, or command with command",
            );
        };
        for (name, field) in [
            ("interval", &mut probe.period_seconds),
            ("timeout", &mut probe.timeout_seconds),
        ] {
            if let Some(text) = check.text_at(name) {
                match read::seconds(&text, 1) {
                    Some((seconds, _)) => *field = Some(seconds),
                    None => self.wrong(&format!("{key}.{name}"), "is no duration: write one such as 10s"),
                }
            }
        }
        let threshold = check.get("threshold").and_then(read::integer);
        probe.failure_threshold = threshold.and_then(|number| i32::try_from(number).ok());
        if let Some((seconds, _)) = check
            .text_at("start_period")
            .and_then(|text| read::seconds(&text, 0))
        {
            probe.initial_delay_seconds = Some(seconds);
        }
        if let Some((seconds, _)) = check
            .text_at("min_healthy_time")
            .and_then(|text| read::seconds(&text, 0))
        {
            self.spec.min_ready_seconds = Some(seconds);
        }
        self.others(key, check, &KEYS);
        if check.get("readiness").and_then(read::truth) == Some(true) {
            self.put_readiness(key, probe.clone());
        }
        match check.text_at("on_failure").as_ref().map(|text| text.as_str()) {
            None | Some("restart") => {
                if self.container.liveness_probe.replace(probe).is_some() {
                    self.unmapped(
                        key,
                        "one probe decides about a restart: this one, the one before is left out",
                    );
                }
            }
            Some("alert") => {
                self.report.differs(
                    self.at(&format!("{key}.on_failure")),
                    "is told by readiness, events and metrics",
                );
                if self.container.readiness_probe.is_none() {
                    self.container.readiness_probe = Some(probe);
                }
            }
            Some(_) => self.unmapped(
                &format!("{key}.on_failure"),
                "nothing stops for good: what fails is restarted; remove the check, or say restart",
            ),
        }
    }

    fn put_readiness(&mut self, key: &str, probe: Probe) {
        if self.container.readiness_probe.replace(probe).is_some() {
            self.unmapped(
                key,
                "one probe decides about readiness: this one, the one before is left out",
            );
        }
    }
}

fn question(check: &Node) -> Option<Probe> {
    let mut probe = Probe::default();
    match check.text_at("type")?.as_str() {
        "tcp" => {
            let port = i32::try_from(check.get("port").and_then(read::integer)?).ok()?;
            probe.tcp_socket = Some(TcpSocket {
                port: IntOrString::Int(port),
            });
        }
        "http" => probe.http_get = Some(url(&check.text_at("url")?)?),
        "command" => {
            let line = check.text_at("command")?;
            probe.exec = Some(ExecAction {
                command: vec!["/bin/sh".to_owned(), "-c".to_owned(), line.as_str().to_owned()],
            });
        }
        _ => return None,
    }
    Some(probe)
}

/// The port and path of an address; the host is the instance in any case.
fn url(text: &str) -> Option<HttpGet> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, otherwise) = match scheme {
        "http" => (None, 80),
        "https" => (Some(Scheme::Https), 443),
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "/"),
    };
    let port = match authority.rsplit_once(':') {
        Some((_, port)) => port.parse().ok()?,
        None => otherwise,
    };
    Some(HttpGet {
        path: Some(path.to_owned()),
        port: IntOrString::Int(port),
        scheme,
        http_headers: Vec::new(),
    })
}
