//! What standalone puts into its own API, as anybody would into a cluster: the operator's namespace, and our CRDs by
//! server-side apply. A second start writes nothing, so that it comes up on a full disk, and makes no definition to find
//! that out: an annotation says what was applied last, and what came of it. And what it asks the engine before a first
//! start: whether containers of another control plane are there. Called by `standalone`.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;

use super::Failure;
use crate::{
    api::{
        crd::CHECKSUMS,
        crds,
        keys::{FIELD_MANAGER, annotation::INSTALLED, label},
    },
    engine::Networks,
    state::hash::hex,
};

/// How long a CRD of ours may take until it is served.
const SERVED: Duration = Duration::from_secs(10);

/// Applies all of it, and waits until our kinds are served.
pub(super) async fn install(client: &Client, operator_namespace: &str) -> Result<(), Failure> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = namespaces.get_opt(operator_namespace).await;
    let namespace =
        namespace.with_context(|| format!("the namespace {operator_namespace} cannot be read"))?;
    if namespace.is_none() {
        let wanted = Namespace {
            metadata: ObjectMeta {
                name: Some(operator_namespace.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let by = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        namespaces
            .create(&by, &wanted)
            .await
            .with_context(|| format!("the namespace {operator_namespace} could not be made"))?;
    }
    // As it is, without a type: what is in it is only compared.
    let raw: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &ApiResource::erase::<CustomResourceDefinition>(&()),
    );
    for (name, checksum) in CHECKSUMS {
        let stored = raw.get_opt(name).await;
        let stored = stored.with_context(|| format!("the CRD {name} cannot be read"))?;
        let is_installed =
            |stored: &DynamicObject| stored.annotations().get(INSTALLED) == Some(&mark(checksum, stored));
        if stored.as_ref().is_some_and(is_installed) {
            continue;
        }
        install_one(client, name).await?;
        let stored = raw.get(name).await;
        let stored = stored.with_context(|| format!("the CRD {name} cannot be read"))?;
        let mark = json!({"metadata": {"annotations": {INSTALLED: mark(checksum, &stored)}}});
        raw.patch(name, &PatchParams::default(), &Patch::Merge(mark))
            .await
            .with_context(|| format!("the CRD {name} cannot be annotated"))?;
    }
    Ok(())
}

async fn install_one(client: &Client, name: &str) -> Result<(), Failure> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = crds()?;
    let definition = all
        .iter()
        .find(|definition| definition.metadata.name.as_deref() == Some(name))
        .with_context(|| format!("there is no CRD {name}"))?;
    definitions
        .patch(name, &params, &Patch::Apply(definition))
        .await
        .with_context(|| format!("the CRD {name} could not be installed"))?;
    let served = await_condition(definitions, name, conditions::is_crd_established());
    tokio::time::timeout(SERVED, served)
        .await
        .with_context(|| format!("the CRD {name} is not served"))?
        .with_context(|| format!("the CRD {name} cannot be watched"))?;
    Ok(())
}

/// What was applied, and what the server made of it: whoever changes either is seen by another mark.
fn mark(checksum: u64, stored: &DynamicObject) -> String {
    let spec = stored
        .data
        .get("spec")
        .map(ToString::to_string)
        .unwrap_or_default();
    hex(&[&checksum.to_string(), &spec], 32)
}

/// The control planes whose networks are on this engine. Every namespace with containers has one.
pub(super) async fn planes(engine: &impl Networks) -> Result<BTreeSet<String>, Failure> {
    let networks = engine
        .list_networks()
        .await
        .map_err(super::connect::engine_failure)?;
    Ok(networks
        .into_iter()
        .filter_map(|network| network.labels.get(label::INSTANCE).cloned())
        .filter(|instance| !instance.is_empty())
        .collect())
}

/// What to do about an empty store on a host where another control plane left containers.
pub(super) fn lost_store(found: &BTreeSet<String>) -> String {
    let all: Vec<&str> = found.iter().map(String::as_str).collect();
    let one = all.first().copied().unwrap_or_default();
    format!(
        "this store is empty, and on this Docker host run containers of another control plane ({}). Nothing was \
         changed. Either go on as that one and apply its manifests again; what it left runs on beside them until \
         `supercargo prune --orphans` removes it:\n\n    supercargo standalone --instance {one}\n\nor remove what it left, after a look at the plan, and start again:\n\n    supercargo prune --instance {one}\n",
        all.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::fake::Fake, state::network::NetworkSpec};

    #[tokio::test]
    async fn another_control_plane_is_seen_by_its_networks() {
        let engine = Fake::new(std::sync::Arc::new(crate::clock::System));
        assert!(planes(&engine).await.unwrap().is_empty());
        let spec = NetworkSpec {
            name: "sc-a".to_owned(),
            labels: [(label::INSTANCE.to_owned(), "one".to_owned())].into(),
            subnet: "10.213.0.0/24".to_owned(),
        };
        engine.create_network(&spec).await.unwrap();
        let found = planes(&engine).await.unwrap();
        assert_eq!(found, BTreeSet::from(["one".to_owned()]));
        let told = lost_store(&found);
        assert!(
            told.contains("standalone --instance one") && told.contains("prune --instance one"),
            "{told}"
        );
    }
}
