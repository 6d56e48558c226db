//! Ports of Compose in the short form: `8080:80`, `127.0.0.1:53:53/udp`, `[::1]:80:80`, and ranges of equal length.
//! Owns this grammar; which keys have ports is in `network`. Called by `network`.

use crate::api::{ContainerPort, Protocol};

/// What is said about a text that is no port.
pub(super) const HINT: &str = "is no port: write 80, 8080:80, 127.0.0.1:8080:80 or 8080:80/udp, ranges such as 8000-8002:8000-8002 included";

/// The ports of one text.
pub(super) fn short(text: &str) -> Option<Vec<ContainerPort>> {
    let (text, protocol) = match text.rsplit_once('/') {
        Some((text, name)) => (text, Some(protocol(name)?)),
        None => (text, None),
    };
    let (rest, target) = text.rsplit_once(':').unwrap_or(("", text));
    let (host, published) = match rest.rsplit_once(':') {
        Some((host, published)) => (
            Some(host.trim_start_matches('[').trim_end_matches(']')),
            published,
        ),
        None => (None, rest),
    };
    expand(target, published, host, protocol)
}

/// The protocol of this name, in either case.
pub(super) fn protocol(name: &str) -> Option<Protocol> {
    match name.to_ascii_lowercase().as_str() {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// One port for each pair of target and published; none is published when `published` is empty.
pub(super) fn expand(
    target: &str,
    published: &str,
    host: Option<&str>,
    protocol: Option<Protocol>,
) -> Option<Vec<ContainerPort>> {
    let targets = range(target)?;
    let hosts = match published {
        "" => None,
        text => Some(range(text).filter(|hosts| hosts.len() == targets.len())?),
    };
    let hosts = hosts.map_or_else(
        || vec![None; targets.len()],
        |hosts| hosts.into_iter().map(Some).collect(),
    );
    let ports = targets
        .into_iter()
        .zip(hosts)
        .map(|(container_port, host_port)| ContainerPort {
            name: None,
            container_port,
            host_port,
            host_ip: host
                .filter(|host| host_port.is_some() && !host.is_empty())
                .map(str::to_owned),
            protocol: protocol.filter(|protocol| *protocol != Protocol::Tcp),
        });
    Some(ports.collect())
}

fn range(text: &str) -> Option<Vec<i32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    // So many ports are more than a container may have.
    (first > 0 && first <= last && last - first < 64).then(|| (first..=last).map(i32::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        let ports = short(text)?.into_iter().map(|port| {
            format!(
                "{}:{}:{}/{}",
                port.host_ip.as_deref().unwrap_or("-"),
                port.host_port.unwrap_or(0),
                port.container_port,
                port.protocol().as_docker()
            )
        });
        Some(ports.collect())
    }

    #[test]
    fn every_short_form_is_read() {
        for (text, ports) in [
            ("80", vec!["-:0:80/tcp"]),
            ("8080:80", vec!["-:8080:80/tcp"]),
            ("127.0.0.1:53:53/udp", vec!["127.0.0.1:53:53/udp"]),
            ("[::1]:80:81/sctp", vec!["::1:80:81/sctp"]),
            ("8000-8001:80-81", vec!["-:8000:80/tcp", "-:8001:81/tcp"]),
            ("80-81", vec!["-:0:80/tcp", "-:0:81/tcp"]),
            ("127.0.0.1::80", vec!["-:0:80/tcp"]),
        ] {
            assert_eq!(shown(text).unwrap(), ports, "{text}");
        }
        for text in [
            "",
            "x",
            "80:",
            "0",
            "70000",
            "80/icmp",
            "8000-8002:80-81",
            "2-1",
            "1-65535",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
