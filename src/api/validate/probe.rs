//! The rules of the probes: one question each, ports that exist, thresholds that make sense.
//! Owns what concerns one container's probes. Called by `container.rs`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::container::Container;
use super::super::probe::{HttpGet, Probe};
use super::Report;

pub(super) fn check(path: &str, container: &Container, report: &mut Report) {
    for (name, probe) in container.probes() {
        one(&format!("{path}.{name}"), name, probe, container, report);
    }
}

fn one(path: &str, name: &str, probe: &Probe, container: &Container, report: &mut Report) {
    let questions = [
        probe.http_get.is_some(),
        probe.tcp_socket.is_some(),
        probe.exec.is_some(),
    ];
    if questions.iter().filter(|there| **there).count() != 1 {
        report.invalid(
            path.to_owned(),
            "must have exactly one of httpGet, tcpSocket and exec",
        );
    }
    if let Some(get) = &probe.http_get {
        port(&format!("{path}.httpGet.port"), &get.port, container, report);
        http(&format!("{path}.httpGet"), get, report);
    }
    if let Some(socket) = &probe.tcp_socket {
        port(&format!("{path}.tcpSocket.port"), &socket.port, container, report);
    }
    if probe
        .exec
        .as_ref()
        .is_some_and(|exec| exec.command.first().is_none_or(String::is_empty))
    {
        report.invalid(
            format!("{path}.exec.command"),
            "is empty: write the command and its arguments",
        );
    }
    let bounds = [
        ("initialDelaySeconds", probe.initial_delay_seconds, 0),
        ("periodSeconds", probe.period_seconds, 1),
        ("timeoutSeconds", probe.timeout_seconds, 1),
        ("successThreshold", probe.success_threshold, 1),
        ("failureThreshold", probe.failure_threshold, 1),
    ];
    for (field, value, least) in bounds {
        if value.is_some_and(|value| value < least) {
            report.invalid(
                format!("{path}.{field}"),
                format!("must be at least {least}: raise it"),
            );
        }
    }
    if name != "readinessProbe" && probe.success_threshold.is_some_and(|n| n > 1) {
        report.invalid(
            format!("{path}.successThreshold"),
            "must be 1 for startup and liveness: remove it",
        );
    }
    if name == "readinessProbe" && probe.termination_grace_period_seconds.is_some() {
        report.invalid(
            format!("{path}.terminationGracePeriodSeconds"),
            "has no meaning for readiness, which restarts nothing: remove it",
        );
    }
}

fn http(path: &str, get: &HttpGet, report: &mut Report) {
    if let Some(text) = get.path.as_deref()
        && !text.is_empty()
        && (!text.starts_with('/') || text.bytes().any(|byte| !(b'!'..=b'~').contains(&byte)))
    {
        report.invalid(
            format!("{path}.path"),
            format!("{text:?} is not a path: start it with / and quote blanks and other letters as %XX"),
        );
    }
    for (index, header) in get.http_headers.iter().enumerate() {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let named = !header.name.is_empty() && header.name.bytes().all(token);
        let clean = header
            .value
            .bytes()
            .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        if !named || !clean {
            report.invalid(
                format!("{path}.httpHeaders[{index}]"),
                "is not an HTTP header: use letters, digits and - in its name and printable ASCII in its value",
            );
        }
    }
}

fn port(path: &str, port: &IntOrString, container: &Container, report: &mut Report) {
    let message = match port {
        IntOrString::Int(number) if (1..=65535).contains(number) => return,
        IntOrString::Int(_) => "must be from 1 to 65535: correct the number".to_owned(),
        IntOrString::String(name) if container.named_port(name).is_some() => return,
        IntOrString::String(name) => {
            format!(
                "{name:?} is not the name of a port of this container: add it to ports, or write the number"
            )
        }
    };
    report.invalid(path.to_owned(), message);
}
