//! A container's probes as written -> as they are asked, and the label that carries them, so that a container of an old
//! revision goes on being asked what its own template says. Pure; what is invalid has been refused before. Called by
//! [`super::build`] and [`super::observed`].

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    probe::{Check, Probe, Probes, Role},
    protected::wrapped,
};
use crate::api::{self, Container, Scheme, keys};

/// The label of a container with these probes; none without. Commands get `protected` variables as the program does.
pub(super) fn label(container: &Container, protected: bool) -> Option<(String, String)> {
    let mut probes = probes(container);
    if protected {
        let all = [&mut probes.startup, &mut probes.readiness, &mut probes.liveness];
        for probe in all.into_iter().flatten() {
            if let Check::Exec { command } = &mut probe.check {
                *command = wrapped(std::mem::take(command));
            }
        }
    }
    if probes.is_empty() {
        return None;
    }
    // A value made of strings and numbers: it cannot fail.
    let text = serde_json::to_string(&probes).unwrap_or_default();
    Some((keys::label::PROBES.to_owned(), text))
}

/// Reads the label back. One that somebody broke is no probes: the container counts as ready while it runs.
pub(super) fn from_label(text: &str) -> Probes {
    serde_json::from_str(text).unwrap_or_default()
}

fn probes(container: &Container) -> Probes {
    let one = |probe: &Option<api::Probe>| probe.as_ref().and_then(|probe| typed(probe, container));
    let grace = |probe: &Option<api::Probe>| probe.as_ref()?.termination_grace_period_seconds;
    let graces = [
        (Role::Startup, grace(&container.startup_probe)),
        (Role::Liveness, grace(&container.liveness_probe)),
    ];
    Probes {
        startup: one(&container.startup_probe),
        readiness: one(&container.readiness_probe),
        liveness: one(&container.liveness_probe),
        grace_seconds: graces
            .into_iter()
            .filter_map(|(role, grace)| Some((role, grace?)))
            .collect(),
    }
}

fn typed(probe: &api::Probe, container: &Container) -> Option<Probe> {
    let figure =
        |value: Option<i32>, absent: u32| value.and_then(|n| u32::try_from(n).ok()).unwrap_or(absent);
    Some(Probe {
        check: check(probe, container)?,
        initial_delay_seconds: figure(probe.initial_delay_seconds, 0),
        period_seconds: figure(probe.period_seconds, 10),
        timeout_seconds: figure(probe.timeout_seconds, 1),
        success_threshold: figure(probe.success_threshold, 1),
        failure_threshold: figure(probe.failure_threshold, 3),
    })
}

fn check(probe: &api::Probe, container: &Container) -> Option<Check> {
    if let Some(get) = &probe.http_get {
        let path = get.path.clone().filter(|path| !path.is_empty());
        return Some(Check::Http {
            tls: get.scheme == Some(Scheme::Https),
            port: port(&get.port, container)?,
            path: path.unwrap_or_else(|| "/".to_owned()),
            headers: get
                .http_headers
                .iter()
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        });
    }
    if let Some(socket) = &probe.tcp_socket {
        return Some(Check::Tcp {
            port: port(&socket.port, container)?,
        });
    }
    let exec = probe.exec.as_ref()?;
    Some(Check::Exec {
        command: exec.command.clone(),
    })
}

fn port(port: &IntOrString, container: &Container) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => container.named_port(name)?,
    };
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_comes_back_from_the_label_with_the_figures_of_kubernetes() {
        let container: Container = serde_json::from_value(json!({
            "name": "web", "image": "a", "ports": [{ "name": "http", "containerPort": 8080 }],
            "readinessProbe": { "httpGet": { "port": "http" } },
            "livenessProbe": { "exec": { "command": ["true"] }, "terminationGracePeriodSeconds": 3 },
        }))
        .unwrap();
        let (key, text) = label(&container, false).unwrap();
        assert_eq!(key, keys::label::PROBES);
        let probes = from_label(&text);
        let readiness = probes.readiness.unwrap();
        let wanted = Check::Http {
            tls: false,
            port: 8080,
            path: "/".into(),
            headers: vec![],
        };
        assert_eq!(readiness.check, wanted);
        let figures = (readiness.period_seconds, readiness.timeout_seconds);
        assert_eq!((figures, readiness.failure_threshold), ((10, 1), 3));
        assert_eq!(probes.grace_seconds.get(&Role::Liveness), Some(&3));
        assert!(probes.startup.is_none());
    }

    #[test]
    fn a_command_gets_the_protected_variables_that_the_program_has() {
        let container: Container = serde_json::from_value(json!({
            "name": "web", "image": "a", "livenessProbe": { "exec": { "command": ["check", "-x"] } },
        }))
        .unwrap();
        let probes = from_label(&label(&container, true).unwrap().1);
        let Check::Exec { command } = probes.liveness.unwrap().check else {
            panic!("a command")
        };
        assert_eq!(
            command,
            ["/run/supercargo/bin/supercargo", "run", "--", "check", "-x"]
        );
    }

    #[test]
    fn a_container_without_probes_has_no_label_and_a_broken_label_no_probes() {
        assert_eq!(label(&Container::default(), true), None);
        assert!(from_label("{").is_empty());
    }
}
