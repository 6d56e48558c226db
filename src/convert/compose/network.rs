//! How a service is reached and what it waits for: ports, networks, links, the order of starts.
//! Owns these keys; the short form of a port is in `ports`. Called by `service`.

use super::super::node::Node;
use super::super::read;
use super::service::Service;
use super::{ports, unmapped};
use crate::api::{ContainerPort, Protocol};

const WAITS: &str = "nothing waits for another deployment: who fails as it starts too early is started again until it does not";

impl Service<'_> {
    /// Whether the key is one of these.
    pub(super) fn network(&mut self, key: &str, value: &Node) -> bool {
        match key {
            "ports" => self.ports(value),
            "expose" => self.expose(value),
            "depends_on" => self.depends_on(value),
            "links" => self.links(value),
            "networks" => self.networks(value),
            "network_mode" => match value.text().unwrap_or_default().as_str() {
                "bridge" | "default" => self.differs(key, "the network is that of the namespace"),
                _ => self.unmapped(
                    key,
                    "the network is that of the namespace: publish ports, and remove it",
                ),
            },
            _ => return false,
        }
        true
    }

    fn ports(&mut self, value: &Node) {
        let mut published = false;
        for (index, item) in value.items().iter().enumerate() {
            let key = format!("ports[{index}]");
            let found = if let Node::Map(_) = item {
                self.long(&key, item)
            } else {
                item.text().and_then(|text| ports::short(&text))
            };
            let Some(found) = found else {
                self.wrong(&key, ports::HINT);
                continue;
            };
            if found.iter().any(|port| port.host_port.is_none()) {
                self.differs(
                    &key,
                    "no port of the host is chosen at random: write PORT:PORT to publish it",
                );
            }
            published |= found
                .iter()
                .any(|port| port.host_port.is_some() && port.host_ip.is_none());
            for port in found {
                self.port(port);
            }
        }
        if published {
            self.differs(
                "ports",
                "are published on the operator's --publish-address: write an address before the port for another",
            );
        }
    }

    fn long(&mut self, key: &str, item: &Node) -> Option<Vec<ContainerPort>> {
        let path = self.at(key);
        unmapped::others(
            &path,
            item,
            &[
                "target",
                "published",
                "host_ip",
                "protocol",
                "mode",
                "name",
                "app_protocol",
            ],
            self.report,
        );
        if item
            .text_at("mode")
            .is_some_and(|mode| mode.as_str() == "ingress")
        {
            self.differs(
                &format!("{key}.mode"),
                "one instance has the port of the host: there is no mesh of hosts",
            );
        }
        if item.get("app_protocol").is_some() {
            self.unmapped(&format!("{key}.app_protocol"), "nothing reads it: remove it");
        }
        let protocol = match item.text_at("protocol") {
            Some(name) => Some(ports::protocol(&name)?),
            None => None,
        };
        let host = item.text_at("host_ip");
        let published = item.text_at("published").unwrap_or_default();
        let target = item.text_at("target")?;
        let mut ports = ports::expand(
            &target,
            &published,
            host.as_ref().map(|host| host.as_str()),
            protocol,
        )?;
        if let (Some(name), [port]) = (item.text_at("name"), ports.as_mut_slice()) {
            let name = read::label(&name);
            if name.len() <= 15 {
                port.name = Some(name);
            } else {
                self.differs(
                    &format!("{key}.name"),
                    "has more than 15 characters, and is left out",
                );
            }
        }
        Some(ports)
    }

    fn expose(&mut self, value: &Node) {
        for (index, text) in read::texts(value).unwrap_or_default().iter().enumerate() {
            match ports::short(text) {
                Some(found) => found.into_iter().for_each(|port| self.port(port)),
                None => self.wrong(&format!("expose[{index}]"), "is no port: write 80 or 80/udp"),
            }
        }
    }

    /// Adds a port, unless it is there: `expose` often repeats `ports`.
    fn port(&mut self, port: ContainerPort) {
        let same = |other: &ContainerPort| {
            other.container_port == port.container_port
                && other.protocol.unwrap_or(Protocol::Tcp) == port.protocol.unwrap_or(Protocol::Tcp)
        };
        if port.host_port.is_some() || !self.container.ports.iter().any(same) {
            self.container.ports.push(port);
        }
    }

    fn depends_on(&mut self, value: &Node) {
        let Node::Map(map) = value else {
            return self.differs("depends_on", WAITS);
        };
        for (name, condition) in map {
            let key = format!("depends_on.{name}");
            let path = self.at(&key);
            unmapped::others(
                &path,
                condition,
                &["condition", "restart", "required"],
                self.report,
            );
            match condition.text_at("condition").unwrap_or_default().as_str() {
                "service_completed_successfully" => self.unmapped(
                    &key,
                    "what runs to its end is no deployment: run it before, or in this service's entrypoint",
                ),
                _ => self.differs(&key, WAITS),
            }
            if condition.get("restart").is_some_and(|node| !node.is_idle()) {
                self.unmapped(
                    &format!("{key}.restart"),
                    "nobody is restarted with another: `supercargo rollout restart` does it",
                );
            }
        }
    }

    fn links(&mut self, value: &Node) {
        for link in read::texts(value).unwrap_or_default() {
            match link.split_once(':') {
                Some((service, alias)) if service != alias => self.unmapped(
                    "links",
                    format!(
                        "the name {alias} leads nowhere: use {}, the deployment's name",
                        read::label(service)
                    ),
                ),
                _ => self.differs(
                    "links",
                    "are not needed: a deployment's name leads to it within the namespace",
                ),
            }
        }
    }

    fn networks(&mut self, value: &Node) {
        if !matches!(value, Node::Map(_)) && read::texts(value).is_none() {
            return self.wrong("networks", "is neither a list of names nor a map");
        }
        for name in read::texts(value).unwrap_or_default() {
            if name.as_str() != "default" {
                self.differs(
                    &format!("networks.{}", name.as_str()),
                    "is that of the namespace, like all others",
                );
            }
        }
        for (name, settings) in value.entries() {
            if name != "default" {
                self.differs(
                    &format!("networks.{name}"),
                    "is that of the namespace, like all others",
                );
            }
            for (key, value) in settings.entries() {
                let said = match key.as_str() {
                    "aliases" => {
                        "a deployment has one name: name it as others call it, or call it by its name"
                    }
                    "ipv4_address" | "ipv6_address" | "link_local_ips" | "mac_address" => {
                        "addresses are given by the operator: use the deployment's name"
                    }
                    "priority" | "gw_priority" | "driver_opts" | "interface_name" => {
                        "there is one network: remove it"
                    }
                    _ => "is no key that is known here: correct or remove it",
                };
                if !value.is_idle() {
                    self.unmapped(&format!("networks.{name}.{key}"), said);
                }
            }
        }
    }
}
