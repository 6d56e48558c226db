//! The checks of `doctor` about keys: whether the ring is there and opens, which keys sealed values name that it lacks, and
//! whether the published keys are the ring's: values sealed to somebody else's key are lost to us and open to him. It
//! reads the ring where it may, and shows key ids only. Called by `doctor`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, api::ListParams};

use super::doctor::{Args, Report, patiently};
use super::ring_source::Access;
use crate::api::DockerSecret;
use crate::api::keys::PUBLIC_KEYS_CONFIG_MAP;
use crate::seal::{Envelope, Kid, Ring};
use crate::secrets::keyring_file;
use crate::secrets::keyring_public::{PublicKeys, drift};

/// All of them; without an API server only a ring in a file can be looked at.
pub(super) async fn keys(report: &mut Report, client: Option<&Client>, args: &Args) {
    let sealed = match client {
        Some(client) => sealed(report, client, args).await,
        None => None,
    };
    let ring = match (&args.ring.keyring, client) {
        (Some(path), _) => match keyring_file::read(path) {
            Ok(ring) => {
                report.ok(
                    "key ring",
                    format!("{}, primary key {}", path.display(), ring.primary()),
                );
                Some(ring)
            }
            Err(error) => {
                let next = "without it no sealed value opens, and what runs goes on";
                report.fail("key ring", format!("{:#}", anyhow::Error::from(error)), next);
                None
            }
        },
        (None, Some(client)) => in_secret(report, client, args, sealed.as_ref()).await,
        (None, None) => None,
    };
    if let (Some(ring), Some(sealed)) = (&ring, &sealed) {
        missing(report, ring, sealed);
    }
    if let Some(client) = client {
        published(report, client, args, ring.as_ref()).await;
    }
}

/// The key ids that sealed values name, and by whom.
async fn sealed(
    report: &mut Report,
    client: &Client,
    args: &Args,
) -> Option<BTreeMap<Kid, BTreeSet<String>>> {
    let apis: Vec<Api<DockerSecret>> = match args.namespace.as_slice() {
        [] => vec![Api::all(client.clone())],
        some => some
            .iter()
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect(),
    };
    let mut named: BTreeMap<Kid, BTreeSet<String>> = BTreeMap::new();
    for api in apis {
        let secrets = match patiently(api.list(&ListParams::default())).await {
            Ok(secrets) => secrets,
            Err(why) => {
                report.fail(
                    "DockerSecrets",
                    why,
                    "install the CRDs, and permit listing DockerSecrets",
                );
                return None;
            }
        };
        for secret in &secrets {
            let meta = &secret.metadata;
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            let name = format!("{}/{}", text(&meta.namespace), text(&meta.name));
            let envelopes = secret.spec.encrypted_data.values();
            for kid in envelopes.filter_map(|text| Some(text.parse::<Envelope>().ok()?.kid())) {
                named.entry(kid).or_default().insert(name.clone());
            }
        }
    }
    Some(named)
}

async fn in_secret(
    report: &mut Report,
    client: &Client,
    args: &Args,
    sealed: Option<&BTreeMap<Kid, BTreeSet<String>>>,
) -> Option<Ring> {
    let asked = patiently(async { Ok::<_, anyhow::Error>(args.ring.ask(client).await) }).await;
    match asked.unwrap_or_else(Access::Denied) {
        Access::Open(ring) => {
            let place = format!(
                "Secret {}/{}",
                args.ring.operator_namespace, args.ring.keyring_secret
            );
            report.ok("key ring", format!("{place}, primary key {}", ring.primary()));
            return Some(ring);
        }
        Access::Absent(why) if sealed.is_some_and(|sealed| !sealed.is_empty()) => {
            report.fail(
                "key ring",
                format!("{why}, and sealed values name keys"),
                "restore it from its backup",
            );
        }
        Access::Absent(why) => {
            report.warn(
                "key ring",
                why,
                "nothing to do before the first start: the operator makes it then; back it up",
            );
        }
        Access::Denied(why) => {
            report.warn(
                "key ring",
                why,
                "nothing to do if you are not the operator; with its account it must be readable",
            );
        }
        Access::Broken(why) => report.fail(
            "key ring",
            why,
            "restore it from its backup: nothing opens without it",
        ),
    }
    None
}

fn missing(report: &mut Report, ring: &Ring, sealed: &BTreeMap<Kid, BTreeSet<String>>) {
    let mut all = true;
    for (kid, users) in sealed.iter().filter(|(kid, _)| ring.member(**kid).is_none()) {
        all = false;
        let shown: Vec<&str> = users.iter().take(5).map(String::as_str).collect();
        let more = users.len().saturating_sub(shown.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let detail = format!(
            "the ring lacks {kid}, which values of {}{more} are sealed to",
            shown.join(", ")
        );
        report.fail(
            "keys of sealed values",
            detail,
            "restore that key from a backup, or seal those values again",
        );
    }
    if all {
        report.ok(
            "keys of sealed values",
            format!("the ring has all {} of them", sealed.len()),
        );
    }
}

async fn published(report: &mut Report, client: &Client, args: &Args, ring: Option<&Ring>) {
    let namespace = &args.ring.operator_namespace;
    let what = "public keys";
    let place = format!("ConfigMap {namespace}/{PUBLIC_KEYS_CONFIG_MAP}");
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let data = match patiently(api.get_opt(PUBLIC_KEYS_CONFIG_MAP)).await {
        Ok(Some(map)) => map.data.unwrap_or_default(),
        Ok(None) => {
            let next = "start the operator, which publishes them";
            return report.warn(what, format!("{place} does not exist"), next);
        }
        Err(why) => {
            return report.warn(
                what,
                format!("{place} cannot be read: {why}"),
                "permit getting it",
            );
        }
    };
    let Some(ring) = ring else {
        return match PublicKeys::from_config_map(&data) {
            Ok(_) => report.ok(what, format!("{place}, not compared with the ring")),
            Err(error) => report.fail(
                what,
                error.to_string(),
                "start the operator, which puts them right",
            ),
        };
    };
    match drift(ring, Some(&data)) {
        None => report.ok(what, format!("{place} is as the ring says")),
        Some(drift) if drift.foreign.is_empty() => {
            report.fail(
                what,
                format!("{place} is not as the ring says"),
                "start the operator, which puts it right",
            );
        }
        Some(drift) => {
            let kids: Vec<String> = drift.foreign.iter().map(ToString::to_string).collect();
            let detail = format!("{place} names keys that are not the ring's: {}", kids.join(", "));
            report.fail(
                what,
                detail,
                "find out who wrote them, and seal again what was sealed to them since",
            );
        }
    }
}
