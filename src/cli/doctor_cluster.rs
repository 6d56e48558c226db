//! The checks of `doctor` about the API server: whether it answers, who it is, what time it is there, and whether the
//! custom resource definitions are installed and those of this version. Called by `doctor`.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::connect;
use super::doctor::{Report, patiently};
use crate::api::crd;
use crate::clock::{Clock, System};
use crate::state::owner::Instance;

/// An API server that answers.
pub(super) struct Cluster {
    /// Its client.
    pub(super) client: Client,
    /// Who it is, where that may be read.
    pub(super) instance: Option<Instance>,
}

/// Asks it for its version, its time and its identity.
pub(super) async fn server(report: &mut Report, client: Client) -> Option<Cluster> {
    match patiently(version(&client)).await {
        Ok((version, date)) => {
            report.ok("API server", format!("Kubernetes {version}"));
            if let Some(date) = date {
                report.clock("API server's clock", date.as_second() - System.now().as_second());
            }
        }
        Err(why) => {
            let next = "check that it runs, and that KUBECONFIG names it and credentials that it takes";
            report.fail("API server", why, next);
            return None;
        }
    }
    let instance = match patiently(connect::instance(&client)).await {
        Ok(instance) if !instance.as_str().is_empty() => {
            report.ok("instance", instance.as_str());
            Some(instance)
        }
        Ok(_) => {
            report.fail(
                "instance",
                "namespace kube-system has no uid",
                "use a server that keeps uids: they name our containers",
            );
            None
        }
        Err(why) => {
            let next = "permit getting namespace kube-system: its uid names our containers";
            report.fail("instance", why, next);
            None
        }
    };
    Some(Cluster { client, instance })
}

/// The version, and the time that the answer carries.
async fn version(client: &Client) -> anyhow::Result<(String, Option<Timestamp>)> {
    let request = http::Request::get("/version").body(kube::client::Body::empty())?;
    let response = client.send(request).await?;
    let date = response
        .headers()
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| rfc2822::parse(&date.replace("GMT", "+0000")).ok());
    let version = client.apiserver_version().await?.git_version;
    Ok((version, date.map(|date| date.timestamp())))
}

/// Compares the definitions with those of this version.
pub(super) async fn definitions(report: &mut Report, client: &Client) {
    let ours = match crd::crds() {
        Ok(ours) => ours,
        Err(error) => {
            return report.fail(
                "CRDs",
                error.to_string(),
                "report this: it is a mistake in this program",
            );
        }
    };
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = "run `supercargo crds | kubectl apply --server-side -f -`";
    for ours in ours {
        let name = ours.name_any();
        let what = format!("CRD {name}");
        match patiently(api.get_opt(&name)).await {
            Ok(Some(found)) if !established(&found) => {
                report.fail(
                    &what,
                    "installed and not established",
                    format!("look at `kubectl describe crd {name}`"),
                );
            }
            Ok(Some(found)) => match difference(&ours, &found) {
                None => report.ok(&what, "installed, and of this version"),
                Some(place) => report.warn(
                    &what,
                    format!("installed, and of another version: it differs in {place}"),
                    apply,
                ),
            },
            Ok(None) => report.fail(&what, "not installed", apply),
            Err(why) => report.warn(
                &what,
                format!("cannot be read: {why}"),
                "permit getting it, or trust who installed it",
            ),
        }
    }
}

fn established(found: &CustomResourceDefinition) -> bool {
    let conditions = found
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Established" && c.status == "True")
}

/// The first place at which what is installed is not what we have. Schemas must be the same; elsewhere the server adds
/// defaults.
fn difference(ours: &CustomResourceDefinition, found: &CustomResourceDefinition) -> Option<String> {
    let spec =
        |definition: &CustomResourceDefinition| serde_json::to_value(&definition.spec).unwrap_or(Value::Null);
    let (ours, found) = (spec(ours), spec(found));
    differs(&ours, &found, "spec")
}

fn differs(ours: &Value, found: &Value, at: &str) -> Option<String> {
    match (ours, found) {
        (Value::Object(ours), Value::Object(found)) => {
            let added = found.keys().find(|key| !ours.contains_key(*key));
            if let Some(key) = added.filter(|_| at.contains("openAPIV3Schema")) {
                return Some(format!("{at}.{key}"));
            }
            ours.iter().find_map(|(key, value)| {
                differs(
                    value,
                    found.get(key).unwrap_or(&Value::Null),
                    &format!("{at}.{key}"),
                )
            })
        }
        (Value::Array(ours), Value::Array(found)) if ours.len() == found.len() => {
            let pairs = ours.iter().zip(found).enumerate();
            pairs
                .into_iter()
                .find_map(|(n, (ours, found))| differs(ours, found, &format!("{at}[{n}]")))
        }
        (ours, found) if ours == found || same_number(ours, found) => None,
        _ => Some(at.to_owned()),
    }
}

/// A bound is 1 here and 1.0 there.
fn same_number(ours: &Value, found: &Value) -> bool {
    matches!((ours.as_f64(), found.as_f64()), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_is_that_of_this_version_or_says_where_not() {
        let ours = crd::crds().unwrap().remove(0);
        assert_eq!(difference(&ours, &ours), None);
        let mut older = ours.clone();
        older.spec.versions[0].additional_printer_columns = None;
        assert_eq!(
            difference(&ours, &older).as_deref(),
            Some("spec.versions[0].additionalPrinterColumns")
        );
    }

    #[test]
    fn defaults_of_the_server_are_no_difference_and_more_fields_are() {
        let ours = json!({"a": 1});
        assert_eq!(
            differs(&ours, &json!({"a": 1.0, "b": 2}), "spec.conversion"),
            None
        );
        assert!(differs(&ours, &json!({"a": 1, "b": 2}), "x.openAPIV3Schema.properties").is_some());
    }
}
