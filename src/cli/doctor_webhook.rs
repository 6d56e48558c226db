//! The checks of `doctor` about the webhooks: whether their configuration is that of this version, whether it trusts the
//! certificate that is served, and whether the API server really asks: with `failurePolicy: Ignore` nobody notices when it
//! does not. For that it tries to write an object without storing it, and looks for the warning. Called by `doctor`.

use jiff::Timestamp;
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration},
    core::v1::Secret,
};
use kube::{Api, Client};
use serde_json::json;

use super::doctor::{Args, Report, patiently};
use crate::{
    admission::configuration::{Reach, configuration},
    api::{GROUP, VERSION},
    clock::{Clock, System},
    controllers::webhook::kept,
    tls::{certificate, rotation},
};

const TRUST: &str = "trust of webhooks";
const CALL: &str = "call of webhooks";

/// All of them. Whether there are webhooks.
pub(super) async fn webhooks(report: &mut Report, client: &Client, args: &Args) -> bool {
    let (what, name) = ("webhooks", &args.webhook_configuration);
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let found = match patiently(api.get_opt(name)).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let detail = format!(
                "no ValidatingWebhookConfiguration {name}: what is wrong is refused by the operator, in the status"
            );
            report.ok(what, detail);
            return false;
        }
        Err(why) => {
            let next = "permit getting it";
            report.warn(
                what,
                format!("ValidatingWebhookConfiguration {name} cannot be read: {why}"),
                next,
            );
            return false;
        }
    };
    match difference(&found) {
        None => report.ok(
            what,
            format!("ValidatingWebhookConfiguration {name} is of this version"),
        ),
        Some(webhook) => report.warn(
            what,
            format!("ValidatingWebhookConfiguration {name} is of another version: {webhook} differs"),
            "install the chart of this version",
        ),
    }
    trust(report, client, args, &found).await;
    call(report, client, args).await;
    true
}

/// The first webhook that does not ask what this version answers.
fn difference(found: &ValidatingWebhookConfiguration) -> Option<String> {
    let ours = configuration("", &Reach::Url(String::new()), &[]);
    let asked = |webhook: &ValidatingWebhook| {
        let mut asked = webhook.clone();
        // Where it is reached, whom it trusts, and which objects are chosen is said by who installed it.
        asked.client_config = Default::default();
        (asked.namespace_selector, asked.object_selector) = (None, None);
        asked
    };
    let (ours, found) = (
        ours.webhooks.unwrap_or_default(),
        found.webhooks.as_deref().unwrap_or_default(),
    );
    ours.iter()
        .find(|wanted| {
            !found
                .iter()
                .any(|one| one.name == wanted.name && asked(one) == asked(wanted))
        })
        .map(|wanted| wanted.name.clone())
}

/// Whether clients that have this bundle trust what is served.
async fn trust(report: &mut Report, client: &Client, args: &Args, found: &ValidatingWebhookConfiguration) {
    let start = "start the operator with --webhook-addr, which puts it right";
    let now = System.now();
    let bundles: Vec<String> = kept::bundles(found)
        .map(|bundle| String::from_utf8_lossy(bundle).into_owned())
        .collect();
    let valid = |bundle: &String| {
        let authorities = rotation::authorities(bundle);
        let ends = authorities.iter().filter_map(|pem| certificate::facts(pem).ok());
        ends.map(|facts| facts.not_after).max() > Some(now)
    };
    if !bundles.iter().all(valid) {
        return report.fail(TRUST, "a webhook has no caBundle, or one that has ended", start);
    }
    let (namespace, name) = (&args.ring.operator_namespace, &args.webhook_secret);
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let place = format!("Secret {namespace}/{name}");
    let secret = match patiently(api.get_opt(name)).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return report.fail(TRUST, format!("{place} does not exist"), start),
        Err(_) => return report.ok(TRUST, format!("the caBundle is valid; {place} may not be read")),
    };
    let Some(kept) = kept::read(&secret) else {
        return report.fail(TRUST, format!("{place} holds no certificate"), start);
    };
    let until = kept.serving.facts.not_after;
    if !bundles.iter().all(|bundle| kept.is_trusted_by(bundle)) {
        return report.fail(
            TRUST,
            format!("the caBundle does not trust the certificate of {place}"),
            start,
        );
    }
    match ended(until, kept.serving.facts.is_due(now), now) {
        Some(why) => report.fail(TRUST, format!("the certificate of {place} {why}"), start),
        None => report.ok(
            TRUST,
            format!("the certificate of {place} is valid until {until}"),
        ),
    }
}

/// What is wrong with a certificate's time. One that is due is renewed within minutes, where an operator runs.
fn ended(until: Timestamp, due: bool, now: Timestamp) -> Option<String> {
    if until <= now {
        return Some(format!("ended on {until}"));
    }
    due.then(|| format!("ends on {until} and was not renewed in time"))
}

/// Writes an object without storing it, and looks for the warning that only we give.
async fn call(report: &mut Report, client: &Client, args: &Args) {
    let namespace = args.namespace.first().map_or("default", String::as_str);
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "DockerDeployment",
        "metadata": {"name": "supercargo-doctor", "namespace": namespace},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [{
            "name": "none", "image": "none", "ports": [{"containerPort": 1, "hostPort": 1}],
        }]}}},
    });
    let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/dockerdeployments?dryRun=All");
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(kube::client::Body::from(object.to_string().into_bytes()));
    let Ok(request) = request else { return };
    let answer = match patiently(client.send(request)).await {
        Ok(answer) => answer,
        Err(why) => return report.warn(CALL, format!("not known: {why}"), "try again"),
    };
    let warned = answer
        .headers()
        .get_all(http::header::WARNING)
        .iter()
        .any(|text| {
            let text = String::from_utf8_lossy(text.as_bytes());
            text.contains("hostPort")
        });
    match answer.status() {
        _ if warned => report.ok(CALL, "the API server asks, and is answered"),
        http::StatusCode::CREATED => report.fail(
            CALL,
            format!("an object was tried in namespace {namespace}, and nobody was asked about it, or nobody answered"),
            "look whether the operator runs with --webhook-addr and its Service leads to it; the API server's log says why",
        ),
        code => report.ok(
            CALL,
            format!("not tried: an object may not be written to namespace {namespace} ({code})"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_this_version_is_known_wherever_it_leads() {
        let reach = Reach::Service {
            namespace: "system".to_owned(),
            name: "webhook".to_owned(),
        };
        let mut found = configuration("supercargo", &reach, &["shop".to_owned()]);
        assert_eq!(difference(&found), None);
        if let Some(webhooks) = &mut found.webhooks {
            webhooks[0].failure_policy = Some("Fail".to_owned());
            assert_eq!(difference(&found).as_deref(), Some("validate.supercargo.dev"));
        }
        found.webhooks = None;
        assert!(difference(&found).is_some());
    }

    #[test]
    fn a_certificate_that_ended_or_was_not_renewed_is_wrong() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(ended(now, true, now).is_some_and(|why| why.starts_with("ended")));
        let later = "2026-01-02T00:00:00Z".parse().unwrap();
        assert!(ended(later, true, now).is_some());
        assert_eq!(ended(later, false, now), None);
    }
}
