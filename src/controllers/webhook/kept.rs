//! The certificate as a Secret, and the configuration of the webhooks as far as we write it. Owns both forms; what is to
//! be done about them is `crate::tls::rotation`'s, and doing it the keeper's. Also read by `doctor`.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};

use crate::tls::rotation::{Issued, Kept};

/// The name of the Secret, unless a flag says another.
pub const CERTIFICATE_SECRET: &str = "supercargo-webhook-cert";

const BUNDLE: &str = "ca.crt";
const SERVING: [&str; 2] = ["tls.crt", "tls.key"];
const NEXT: [&str; 2] = ["next.crt", "next.key"];

/// The names under which a webhook is reached: those of its Service, and this machine's for who looks from here. Sorted.
pub(super) fn names(service: &str, namespace: &str) -> Vec<String> {
    let mut names = vec![
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        "localhost".to_owned(),
        format!("{service}.{namespace}.svc"),
    ];
    names.sort();
    names
}

/// What a Secret keeps; `None` when that is no certificate.
#[must_use]
pub fn read(secret: &Secret) -> Option<Kept> {
    let data = secret.data.as_ref()?;
    let pair = |keys: [&str; 2]| {
        let [certificate, key] = keys.map(|key| data.get(key).map(|bytes| bytes.0.as_slice()));
        Issued::read(certificate?, key?).ok()
    };
    let bundle = std::str::from_utf8(&data.get(BUNDLE)?.0).ok()?;
    Some(Kept::new(bundle, pair(SERVING)?, pair(NEXT)))
}

/// The data of a Secret that keeps it.
pub(super) fn data(kept: &Kept) -> BTreeMap<String, ByteString> {
    let mut data = BTreeMap::from([(BUNDLE.to_owned(), ByteString(kept.bundle().into_bytes()))]);
    let pairs = [(SERVING, Some(&kept.serving)), (NEXT, kept.next.as_ref())];
    for (keys, issued) in pairs {
        let Some(issued) = issued else { continue };
        let [certificate, key] = keys.map(str::to_owned);
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        data.insert(certificate, bytes(&issued.pair.certificate));
        data.insert(key, bytes(&issued.pair.key));
    }
    data
}

/// A Secret of this name with it: a new one, or `over` the one that was found.
pub(super) fn secret(name: &str, kept: &Kept, over: Option<&Secret>) -> Secret {
    let metadata = match over {
        Some(found) => ObjectMeta {
            managed_fields: None,
            ..found.metadata.clone()
        },
        None => ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
    };
    Secret {
        metadata,
        data: Some(data(kept)),
        // A type never changes.
        type_: over.map_or(Some("kubernetes.io/tls".to_owned()), |found| found.type_.clone()),
        ..Secret::default()
    }
}

/// The bundles that a configuration has, one for each of its webhooks.
pub fn bundles(configuration: &ValidatingWebhookConfiguration) -> impl Iterator<Item = &[u8]> {
    let webhooks = configuration.webhooks.iter().flatten();
    webhooks.map(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        bundle.map_or(&[][..], |bytes| bytes.0.as_slice())
    })
}

/// The patch that puts `bundle` into all webhooks of a configuration, and `None` when it is there.
pub(super) fn patch(configuration: &ValidatingWebhookConfiguration, bundle: &str) -> Option<Value> {
    if bundles(configuration).all(|found| found == bundle.as_bytes()) {
        return None;
    }
    let bundle = ByteString(bundle.as_bytes().to_vec());
    let webhooks: Vec<Value> = configuration
        .webhooks
        .iter()
        .flatten()
        .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } }))
        .collect();
    Some(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        // Only over the one that was seen: nothing is made in the place of one that is gone.
        "metadata": { "name": configuration.metadata.name, "uid": configuration.metadata.uid },
        "webhooks": webhooks,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admission::configuration::{Reach, configuration},
        tls::rotation::{Step, Times},
    };

    fn kept() -> Kept {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let names = names("supercargo-webhook", "system");
        let kept = Kept::first(now, &Times::default(), &names).unwrap();
        kept.after(Step::Prepare, now, &Times::default(), &names).unwrap()
    }

    #[test]
    fn a_secret_is_read_as_it_was_written_and_its_metadata_stays() {
        let kept = kept();
        let new = secret("cert", &kept, None);
        assert_eq!(new.type_.as_deref(), Some("kubernetes.io/tls"));
        let again = read(&new).unwrap();
        assert_eq!(again.bundle(), kept.bundle());
        assert_eq!(again.serving.facts, kept.serving.facts);
        assert_eq!(again.next.unwrap().facts, kept.next.as_ref().unwrap().facts);
        let mut found = new;
        found.type_ = Some("Opaque".to_owned());
        found.metadata.resource_version = Some("7".to_owned());
        found.data = None;
        assert!(read(&found).is_none());
        let over = secret("cert", &kept, Some(&found));
        assert_eq!(over.type_.as_deref(), Some("Opaque"));
        assert_eq!(over.metadata.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn a_configuration_is_patched_in_all_its_webhooks_and_only_when_that_changes_it() {
        let reach = Reach::Url("https://127.0.0.1:1".to_owned());
        let mut found = configuration("supercargo", &reach, &[]);
        let bundle = kept().bundle();
        let told = patch(&found, &bundle).unwrap();
        assert_eq!(told["webhooks"].as_array().unwrap().len(), 3);
        assert!(told["webhooks"][0]["clientConfig"].get("url").is_none());
        for webhook in found.webhooks.iter_mut().flatten() {
            webhook.client_config.ca_bundle = Some(ByteString(bundle.clone().into_bytes()));
        }
        assert_eq!(patch(&found, &bundle), None);
        found.webhooks.as_mut().unwrap()[2].client_config.ca_bundle = None;
        assert!(patch(&found, &bundle).is_some());
    }
}
