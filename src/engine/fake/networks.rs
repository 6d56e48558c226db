//! Networks of the fake engine: names, subnets that may not overlap, addresses given at start (lowest free one first,
//! as measured) and given back at the end. Part of `world`'s rules.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::world::{World, absent, is_up};
use crate::{
    engine::{Error, Kind, Op, Result},
    state::{
        container::{Attachment, ContainerId},
        network::{NetworkSpec, NetworkView},
    },
};

pub(super) struct Network {
    pub(super) view: NetworkView,
    subnet: Subnet,
    /// An endpoint count that the engine has lost track of: no removal is possible any more.
    pub(super) leaked: bool,
}

#[derive(Clone, Copy)]
struct Subnet {
    first: u32,
    size: u32,
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|bits| (8..=32).contains(bits))?;
        let size = 1u32.checked_shl(32 - bits)?;
        let first = u32::from(address.parse::<Ipv4Addr>().ok()?) & !(size - 1);
        Some(Self { first, size })
    }

    fn overlaps(self, other: Self) -> bool {
        self.first < other.first + other.size && other.first < self.first + self.size
    }

    /// What containers may get: not the network, not the gateway, not the broadcast.
    fn addresses(self) -> impl Iterator<Item = String> {
        (2..self.size.saturating_sub(1)).map(move |offset| Ipv4Addr::from(self.first + offset).to_string())
    }
}

impl World {
    pub(super) fn add_default_network(&mut self) {
        let spec = NetworkSpec {
            name: "bridge".into(),
            subnet: "172.17.0.0/16".into(),
            labels: BTreeMap::new(),
        };
        let _ = self.create_network(&spec);
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<String> {
        let refuse = |kind, message: String| Err(Error::new(Op::CreateNetwork, &spec.name, kind, message));
        if self.networks.contains_key(&spec.name) {
            return refuse(
                Kind::Conflict,
                format!("network with name {} already exists", spec.name),
            );
        }
        let Some(subnet) = Subnet::parse(&spec.subnet) else {
            return refuse(Kind::Invalid, format!("invalid CIDR address: {}", spec.subnet));
        };
        if subnet.size < 4 {
            return refuse(
                Kind::AddressSpace,
                "failed to allocate gateway (): No available addresses on this pool".into(),
            );
        }
        if self.networks.values().any(|other| other.subnet.overlaps(subnet)) {
            return refuse(
                Kind::AddressSpace,
                "Pool overlaps with other one on this address space".into(),
            );
        }
        let id = self.next_id();
        let view = NetworkView {
            id: id.clone(),
            name: spec.name.clone(),
            subnets: vec![spec.subnet.clone()],
            labels: spec.labels.clone(),
        };
        self.networks.insert(
            spec.name.clone(),
            Network {
                view,
                subnet,
                leaked: false,
            },
        );
        Ok(id)
    }

    pub(super) fn remove_network(&mut self, id: &str) -> Result<()> {
        let Some(name) = self.network_name(id) else {
            return Ok(());
        };
        let refuse = |kind, message: String| Err(Error::new(Op::RemoveNetwork, id, kind, message));
        if name == "bridge" {
            return refuse(
                Kind::Invalid,
                "bridge is a pre-defined network and cannot be removed".into(),
            );
        }
        let used = self
            .containers
            .values()
            .any(|c| is_up(c.view.state) && c.view.networks.contains_key(&name));
        if used || self.networks.get(&name).is_some_and(|network| network.leaked) {
            let message =
                format!("error while removing network: network {name} id {id} has active endpoints");
            return refuse(Kind::NetworkInUse, message);
        }
        self.networks.remove(&name);
        Ok(())
    }

    pub(super) fn connect(&mut self, network: &str, id: &ContainerId, aliases: &[String]) -> Result<()> {
        let op = Op::ConnectNetwork;
        let known = self.network_name(network);
        let container = self
            .containers
            .get_mut(id)
            .ok_or_else(|| absent(op, id.as_str()))?;
        let up = is_up(container.view.state);
        // A container that does not run is put on anything; its start then fails.
        let Some(name) = known.or_else(|| (!up).then(|| network.to_owned())) else {
            return Err(Error::new(
                op,
                network,
                Kind::NotFound,
                format!("network {network} not found"),
            ));
        };
        if container.view.networks.contains_key(&name) {
            if up {
                let message = format!(
                    "endpoint with name {} already exists in network {name}",
                    container.view.name
                );
                return Err(Error::new(op, network, Kind::Conflict, message));
            }
            // Answered with 200, and the names stay those of the first time.
            return Ok(());
        }
        let network_id = self.networks.get(&name).map(|network| network.view.id.clone());
        let place = Attachment {
            aliases: aliases.to_vec(),
            ip: String::new(),
            network_id: network_id.unwrap_or_default(),
        };
        container.view.networks.insert(name.clone(), place);
        if up {
            if let Err((kind, message)) = self.take_addresses(id) {
                self.get(op, id)?.view.networks.remove(&name);
                return Err(Error::new(op, network, kind, message));
            }
            self.network_event(id, "connect", &name);
        }
        Ok(())
    }

    pub(super) fn disconnect(&mut self, network: &str, id: &ContainerId) {
        let name = self.network_name(network).unwrap_or_else(|| network.to_owned());
        let Some(container) = self.containers.get_mut(id) else {
            return;
        };
        let was_on = container.view.networks.remove(&name).is_some();
        if was_on && is_up(container.view.state) {
            self.network_event(id, "disconnect", &name);
        }
    }

    fn network_name(&self, id_or_name: &str) -> Option<String> {
        let by_id = self
            .networks
            .values()
            .find(|network| network.view.id == id_or_name);
        by_id
            .or_else(|| self.networks.get(id_or_name))
            .map(|network| network.view.name.clone())
    }

    /// Gives the container an address on each of its networks that it has none on.
    pub(super) fn take_addresses(&mut self, id: &ContainerId) -> std::result::Result<(), (Kind, String)> {
        let Some(container) = self.containers.get(id) else {
            return Ok(());
        };
        let join = container.spec.network.clone();
        let own = |name: &str| {
            let join = join.as_ref().filter(|join| join.name == name)?;
            join.address.map(|address| address.to_string())
        };
        let wanting: Vec<(String, String)> = container
            .view
            .networks
            .iter()
            .filter(|(name, place)| place.ip.is_empty() && *name != "none")
            .map(|(name, place)| (name.clone(), place.network_id.clone()))
            .collect();
        for (name, remembered) in wanting {
            let is_it = |network: &&Network| remembered.is_empty() || remembered == network.view.id;
            let Some(network) = self.networks.get(&name).filter(is_it) else {
                return Err((Kind::NotFound, format!("network {name} not found")));
            };
            let network_id = network.view.id.clone();
            let taken = |ip: &String| {
                self.containers
                    .values()
                    .any(|c| c.view.networks.get(&name).is_some_and(|place| place.ip == *ip))
            };
            let free = match own(&name) {
                Some(own) if taken(&own) => {
                    return Err((Kind::AddressSpace, "Address already in use".to_owned()));
                }
                Some(own) => Some(own),
                None => network.subnet.addresses().find(|ip| !taken(ip)),
            };
            let Some(ip) = free else {
                let message = format!("no available IPv4 addresses on this network's address pools: {name}");
                return Err((Kind::AddressSpace, message));
            };
            if let Some(place) = self
                .containers
                .get_mut(id)
                .and_then(|c| c.view.networks.get_mut(&name))
            {
                place.ip = ip;
                place.network_id = network_id;
            }
        }
        Ok(())
    }

    pub(super) fn release_addresses(&mut self, id: &ContainerId) {
        if let Some(container) = self.containers.get_mut(id) {
            container
                .view
                .networks
                .values_mut()
                .for_each(|place| place.ip.clear());
        }
    }
}
