//! `doctor --before-uninstall`: which objects nobody could delete any more when the operator goes. They carry its
//! finalizer, which it takes off when their containers are gone; without it they, and every namespace with one of them,
//! would stay in deletion for ever. Asks the API server alone. Called by `doctor`; the chart's hook runs it.

use std::fmt::Debug;

use kube::{Api, Client, Resource, ResourceExt, api::ListParams, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::doctor::{Report, patiently};
use crate::api::{DockerDeployment, DockerSecret, keys::FINALIZER};

/// Looks at all objects of both kinds: of these namespaces, of all without any.
pub(super) async fn stranded(report: &mut Report, client: &Client, namespaces: &[String]) {
    let mut count = 0;
    count += of_kind::<DockerDeployment>(report, client, namespaces).await;
    count += of_kind::<DockerSecret>(report, client, namespaces).await;
    if count > 0 {
        report.fail(
            "uninstallation",
            format!("{count} objects would be stranded: nobody else takes off the finalizer {FINALIZER}"),
            "delete them while the operator runs and wait until they are gone (`kubectl delete ddep,dsec --all -n NAMESPACE`); \
             if another operator takes over, their containers run on: uninstall with --no-hooks",
        );
    }
}

async fn of_kind<K>(report: &mut Report, client: &Client, namespaces: &[String]) -> usize
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let kind = K::kind(&()).into_owned();
    let apis: Vec<Api<K>> = match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some
            .iter()
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect(),
    };
    let mut found = Vec::new();
    for api in apis {
        let listed = async {
            match api.list_metadata(&ListParams::default()).await {
                Ok(list) => Ok(list.items),
                // Without the definition there are none.
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        };
        match patiently(listed).await {
            Ok(objects) => found.extend(objects),
            Err(why) => {
                let next = format!(
                    "permit listing {}, so that it is known what would be left",
                    K::plural(&())
                );
                report.fail(&format!("{kind}s"), format!("not known: {why}"), next);
            }
        }
    }
    let held: Vec<_> = found
        .iter()
        .filter(|object| object.finalizers().iter().any(|finalizer| finalizer == FINALIZER))
        .collect();
    for object in &held {
        let name = format!(
            "{kind} {}/{}",
            object.namespace().unwrap_or_default(),
            object.name_any()
        );
        let state = if object.meta().deletion_timestamp.is_some() {
            "it is being deleted, and the operator has not finished"
        } else {
            "the operator has to finish with it"
        };
        report.fail(&name, state, "delete it first");
    }
    if held.is_empty() {
        report.ok(&format!("{kind}s"), "none is held by the operator");
    }
    held.len()
}
