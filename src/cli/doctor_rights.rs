//! The checks of `doctor` about rights: the API server is asked about every verb that the operator uses, so that a rule
//! that is missing is named before an object waits for it. Called by `doctor`.

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use super::doctor::{Args, Report, patiently};
use crate::api::{GROUP, keys::PUBLIC_KEYS_CONFIG_MAP};
use crate::controllers::leadership::LEASE;

/// What is needed of one resource.
struct Need {
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    /// The namespace; all without it.
    namespace: Option<String>,
    name: Option<String>,
    verbs: &'static [&'static str],
}

impl Need {
    fn title(&self) -> String {
        let mut title = self.resource.to_owned();
        if let Some(sub) = self.subresource {
            title = format!("{title}/{sub}");
        }
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) if namespace != name => format!("{title} {name} in {namespace}"),
            (Some(_), Some(name)) => format!("{title} {name}"),
            (Some(namespace), None) => format!("{title} in {namespace}"),
            (None, Some(name)) => format!("{title} {name}"),
            (None, None) => title,
        }
    }

    fn review(&self, verb: &str) -> SelfSubjectAccessReview {
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(self.group.to_owned()),
                    resource: Some(self.resource.to_owned()),
                    subresource: self.subresource.map(str::to_owned),
                    namespace: self.namespace.clone(),
                    name: self.name.clone(),
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        }
    }
}

/// Some verbs on a resource.
fn need(
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    namespace: Option<&String>,
    verbs: &'static [&'static str],
) -> Need {
    Need {
        group,
        resource,
        subresource,
        namespace: namespace.cloned(),
        name: None,
        verbs,
    }
}

fn events(namespace: Option<&String>) -> Need {
    need(
        "events.k8s.io",
        "events",
        None,
        namespace,
        &["get", "create", "patch"],
    )
}

/// Everything that the operator asks of the API server. `webhooks`: it answers reviews, too.
fn needs(args: &Args, webhooks: bool) -> Vec<Need> {
    let watched: Vec<Option<&String>> = match args.namespace.as_slice() {
        [] => vec![None],
        some => some.iter().map(Some).collect(),
    };
    let mut needs = Vec::new();
    for namespace in watched {
        for resource in ["dockerdeployments", "dockersecrets"] {
            needs.push(need(
                GROUP,
                resource,
                None,
                namespace,
                &["get", "list", "watch", "patch"],
            ));
            needs.push(need(GROUP, resource, Some("status"), namespace, &["patch"]));
        }
        needs.push(need("", "configmaps", None, namespace, &["get", "list", "watch"]));
        needs.push(need(
            "apps",
            "controllerrevisions",
            None,
            namespace,
            &["get", "list", "watch", "create", "update", "delete"],
        ));
        needs.push(events(namespace));
    }
    // A request for a namespace is one in that namespace, so that a Role there permits it.
    let identity = "kube-system".to_owned();
    needs.push(Need {
        name: Some(identity.clone()),
        ..need("", "namespaces", None, Some(&identity), &["get"])
    });
    // What is asked for by name may be permitted by name.
    let own = Some(&args.ring.operator_namespace);
    if !args.namespace.is_empty() && !args.namespace.contains(&args.ring.operator_namespace) {
        // Of the ring.
        needs.push(events(own));
    }
    let maps = &["list", "watch", "create", "patch"];
    needs.push(Need {
        name: Some(PUBLIC_KEYS_CONFIG_MAP.to_owned()),
        ..need("", "configmaps", None, own, maps)
    });
    if args.ring.keyring.is_none() {
        needs.push(Need {
            name: Some(args.ring.keyring_secret.clone()),
            ..need("", "secrets", None, own, &["get", "list", "watch"])
        });
        needs.push(need("", "secrets", None, own, &["create"]));
    }
    needs.extend(chosen(args, webhooks));
    for namespace in &args.core_secrets_namespace {
        needs.push(need("", "secrets", None, Some(namespace), &["list", "watch"]));
    }
    needs
}

/// What it asks of it when it shares its work, and when it answers reviews.
fn chosen(args: &Args, webhooks: bool) -> Vec<Need> {
    let mut needs = Vec::new();
    let own = Some(&args.ring.operator_namespace);
    if args.leader_elect {
        needs.push(Need {
            name: Some(LEASE.to_owned()),
            ..need("coordination.k8s.io", "leases", None, own, &["get", "update"])
        });
        // A name cannot be told when something is created.
        needs.push(need("coordination.k8s.io", "leases", None, own, &["create"]));
    }
    if webhooks {
        needs.push(Need {
            name: Some(args.webhook_secret.clone()),
            ..need("", "secrets", None, own, &["get", "list", "watch", "update"])
        });
        needs.push(need("", "secrets", None, own, &["create"]));
        let (group, resource) = ("admissionregistration.k8s.io", "validatingwebhookconfigurations");
        needs.push(Need {
            name: Some(args.webhook_configuration.clone()),
            ..need(group, resource, None, None, &["get", "list", "watch", "patch"])
        });
        // For who wants to delete the definition of a kind.
        for resource in ["dockerdeployments", "dockersecrets"] {
            needs.push(need(GROUP, resource, None, None, &["list"]));
        }
    }
    needs
}

/// Asks for all of it.
pub(super) async fn rights(report: &mut Report, client: &Client, args: &Args, webhooks: bool) {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let whose = args.as_user.as_deref().unwrap_or("the user of this kubeconfig");
    for need in needs(args, webhooks) {
        let ask = |verb: &'static str| {
            let (api, review) = (api.clone(), need.review(verb));
            async move {
                let params = PostParams::default();
                let answer = patiently(api.create(&params, &review)).await;
                (
                    verb,
                    answer.map(|review| review.status.is_some_and(|status| status.allowed)),
                )
            }
        };
        let answers = join_all(need.verbs.iter().map(|verb| ask(verb))).await;
        let what = format!("right to {}", need.title());
        if let Some((_, Err(why))) = answers.iter().find(|(_, answer)| answer.is_err()) {
            report.warn(
                &what,
                format!("not known: {why}"),
                "permit creating selfsubjectaccessreviews",
            );
            continue;
        }
        let denied: Vec<&str> = answers
            .iter()
            .filter(|(_, ok)| *ok == Ok(false))
            .map(|(verb, _)| *verb)
            .collect();
        if denied.is_empty() {
            report.ok(&what, need.verbs.join(", "));
        } else {
            let next = "bind a role that has them to the operator's account (--as USER asks for another one)";
            report.fail(&what, format!("{whose} may not {}", denied.join(", ")), next);
        }
    }
}
