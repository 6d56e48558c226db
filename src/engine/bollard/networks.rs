//! Docker's networks. A create goes past bollard, whose model lacks `CheckDuplicate` (dropped from the API in 1.44): to
//! 20.10 a second network of the same name is fine without it, and gets a pool of the engine's choice.

use ::bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use http::Method;
use serde::{Deserialize, Serialize};

use super::{Docker, Failure, create, limit};
use crate::{
    engine::{Error, Kind, Networks, Op, Result},
    state::{
        container::ContainerId,
        network::{NetworkSpec, NetworkView},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Create<'a> {
    name: &'a str,
    check_duplicate: bool,
    driver: &'a str,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    labels: &'a std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    config: [Pool<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pool<'a> {
    subnet: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
    warning: Option<String>,
}

impl Networks for Docker {
    async fn list_networks(&self) -> Result<Vec<NetworkView>> {
        let found = self
            .ask(Op::ListNetworks, "", self.api.list_networks(None))
            .await?;
        let view = |network: ::bollard::models::Network| {
            let pools = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
            Some(NetworkView {
                id: network.id?,
                name: network.name.unwrap_or_default(),
                subnets: pools.into_iter().filter_map(|pool| pool.subnet).collect(),
                labels: network.labels.unwrap_or_default().into_iter().collect(),
            })
        };
        Ok(found.into_iter().filter_map(view).collect())
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        let op = Op::CreateNetwork;
        if spec.subnet.is_empty() {
            return Err(Error::new(
                op,
                &spec.name,
                Kind::Invalid,
                "a network of ours needs a subnet of ours",
            ));
        }
        let body = Create {
            name: &spec.name,
            check_duplicate: true,
            driver: "bridge",
            ipam: Ipam {
                config: [Pool { subnet: &spec.subnet }],
            },
            labels: &spec.labels,
        };
        let body = serde_json::to_vec(&body)
            .map_err(|e| Error::new(op, &spec.name, Kind::Invalid, e.to_string()))?;
        let call = self.raw_json::<Created>(Method::POST, "/networks/create", body.into());
        let created = self
            .within(op, limit(op), call)
            .await
            .map_err(|failure| self.error(op, &spec.name, failure))?;
        let warning = created.warning.unwrap_or_default();
        if warning.is_empty() {
            return Ok(created.id);
        }
        // Two creates at the same moment may both pass the check; 20.10 then says so in a warning only.
        self.remove_network(&created.id).await?;
        Err(self.error(
            op,
            &spec.name,
            Failure::Answer {
                status: 409,
                text: warning,
            },
        ))
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        self.tell(
            Op::RemoveNetwork,
            id,
            limit(Op::RemoveNetwork),
            self.api.remove_network(id),
        )
        .await
    }

    async fn connect_network(
        &self,
        network: &str,
        container: &ContainerId,
        aliases: &[String],
    ) -> Result<()> {
        let request = NetworkConnectRequest {
            container: container.as_str().to_owned(),
            endpoint_config: Some(create::endpoint(aliases, None)),
        };
        let call = self.api.connect_network(network, request);
        self.tell(Op::ConnectNetwork, network, limit(Op::ConnectNetwork), call)
            .await
    }

    async fn disconnect_network(&self, network: &str, container: &ContainerId) -> Result<()> {
        let request = NetworkDisconnectRequest {
            container: container.as_str().to_owned(),
            force: None,
        };
        let call = self.api.disconnect_network(network, request);
        self.tell(Op::DisconnectNetwork, network, limit(Op::DisconnectNetwork), call)
            .await
    }
}
