//! The `ValidatingWebhookConfiguration` that a cluster needs, as a value: the chart renders the same, tests create it, and
//! `doctor` compares. Three webhooks, all at [`PATH`]:
//!
//! | name | asked about | when nobody answers |
//! |---|---|---|
//! | `validate.supercargo.dev` | CREATE, UPDATE of `dockerdeployments`, `dockersecrets` | `Ignore`: the guard of every reconcile refuses the same |
//! | `delete.supercargo.dev` | DELETE of `dockersecrets` | `Ignore`: the finalizer holds a secret in use, and namespaces and GitOps must not wait for us |
//! | `definitions.supercargo.dev` | DELETE of our two CRDs, chosen by a match condition | `Fail`: nobody stands behind this rule, and it is about two objects |

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook,
        ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::deletion::KINDS;
use crate::api::{GROUP, VERSION};

/// The name of the configuration, unless a flag says another.
pub const NAME: &str = "supercargo";
/// The name of the Service, unless a flag says another.
pub const SERVICE: &str = "supercargo-webhook";
/// Where reviews are answered.
pub const PATH: &str = "/validate";
/// The webhook about writing.
pub const VALIDATE: &str = "validate.supercargo.dev";
/// The webhook about deleting secrets.
pub const DELETE: &str = "delete.supercargo.dev";
/// The webhook about deleting the definitions of our kinds.
pub const DEFINITIONS: &str = "definitions.supercargo.dev";

/// How the API server reaches the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Through a Service at port 443.
    Service {
        /// The operator's namespace.
        namespace: String,
        /// The Service's name.
        name: String,
    },
    /// At this URL, without [`PATH`].
    Url(String),
}

/// The configuration of this name, without a `caBundle`: the operator fills it in. With `namespaces` only they are asked
/// about, as `controller --namespace` has it.
#[must_use]
pub fn configuration(name: &str, reach: &Reach, namespaces: &[String]) -> ValidatingWebhookConfiguration {
    let both = ["dockerdeployments", "dockersecrets"];
    let ours = |operations, resources| rule(GROUP, VERSION, operations, resources, "Namespaced");
    let selector = (!namespaces.is_empty()).then(|| LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "kubernetes.io/metadata.name".to_owned(),
            operator: "In".to_owned(),
            values: Some(namespaces.to_vec()),
        }]),
        match_labels: None,
    });
    let mut validate = webhook(VALIDATE, reach, ours(&["CREATE", "UPDATE"], &both));
    let mut delete = webhook(DELETE, reach, ours(&["DELETE"], &both[1..]));
    validate.namespace_selector.clone_from(&selector);
    delete.namespace_selector = selector;
    let crds = rule(
        "apiextensions.k8s.io",
        "v1",
        &["DELETE"],
        &["customresourcedefinitions"],
        "Cluster",
    );
    let names: Vec<String> = KINDS
        .iter()
        .map(|(plural, _)| format!("'{plural}.{GROUP}'"))
        .collect();
    let definitions = ValidatingWebhook {
        failure_policy: Some("Fail".to_owned()),
        // The name of the request is empty when a whole collection is deleted.
        match_conditions: Some(vec![MatchCondition {
            name: "ours".to_owned(),
            expression: format!("oldObject.metadata.name in [{}]", names.join(", ")),
        }]),
        ..webhook(DEFINITIONS, reach, crds)
    };
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        webhooks: Some(vec![validate, delete, definitions]),
    }
}

fn rule(
    group: &str,
    version: &str,
    operations: &[&str],
    resources: &[&str],
    scope: &str,
) -> RuleWithOperations {
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    RuleWithOperations {
        api_groups: texts(&[group]),
        api_versions: texts(&[version]),
        operations: texts(operations),
        resources: texts(resources),
        scope: Some(scope.to_owned()),
    }
}

fn webhook(name: &str, reach: &Reach, rule: RuleWithOperations) -> ValidatingWebhook {
    let client_config = match reach {
        Reach::Service { namespace, name } => WebhookClientConfig {
            service: Some(ServiceReference {
                name: name.clone(),
                namespace: namespace.clone(),
                path: Some(PATH.to_owned()),
                port: Some(443),
            }),
            ..WebhookClientConfig::default()
        },
        Reach::Url(url) => WebhookClientConfig {
            url: Some(format!("{url}{PATH}")),
            ..WebhookClientConfig::default()
        },
    };
    ValidatingWebhook {
        name: name.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        client_config,
        failure_policy: Some("Ignore".to_owned()),
        match_policy: Some("Equivalent".to_owned()),
        rules: Some(vec![rule]),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(5),
        ..ValidatingWebhook::default()
    }
}
