//! Validation of a `DockerSecret` without opening anything: keys, sizes, dates that belong together.
//! Owns the limits of one envelope's text and of all together; the envelope itself is parsed by `seal`.
//! Called by the controller of secrets, `verify` and `seal`. No message contains a value or its length.

use super::secret::{DockerSecret, MAX_ENVELOPE, MAX_KEYS};
use super::validate::{Report, is_data_key, is_dns_label, label_selector};
use super::violation::Violation;

/// Most envelope text of one object, in bytes: etcd takes 1.5 MiB, and the object is more than its envelopes.
pub const MAX_TOTAL: usize = 512 * 1024;

/// Checks keys, sizes and which fields go together.
///
/// # Errors
/// Every violation, sorted by path.
pub fn validate_secret(secret: &DockerSecret) -> Result<(), Vec<Violation>> {
    let mut report = Report::default();
    let data = &secret.spec.encrypted_data;
    if data.len() > MAX_KEYS {
        report.invalid(
            "spec.encryptedData",
            format!("has more than {MAX_KEYS} keys: use more than one secret"),
        );
    }
    for (key, envelope) in data {
        let path = format!("spec.encryptedData[{key}]");
        if !is_data_key(key) {
            report.invalid(
                &path,
                format!("{key:?} is not a key: use at most 253 letters, digits and - _ ."),
            );
        }
        if envelope.len() > MAX_ENVELOPE {
            report.invalid(
                &path,
                "is larger than the limit of 64 KiB for a value: use a volume for large data",
            );
        }
        if !envelope.starts_with("sc1.") {
            report.invalid(&path, "is not sealed: seal the value with `supercargo seal`, and change it, since it was sent in the clear");
        }
    }
    if data.values().map(String::len).sum::<usize>() > MAX_TOTAL {
        report.invalid(
            "spec.encryptedData",
            "is larger than the limit of 512 KiB for a secret: use more than one secret",
        );
    }
    if secret.spec.stop_use == Some(true) && secret.spec.not_after.is_none() {
        report.invalid(
            "spec.stopUse",
            "needs spec.notAfter: say when use stops, or remove it",
        );
    }
    for (index, namespace) in secret.consented().iter().enumerate() {
        if !is_dns_label(namespace) {
            report.invalid(
                format!("spec.allowedConsumers.namespaces[{index}]"),
                format!("{namespace:?} is not a namespace: write one namespace's name, without wildcards"),
            );
        }
    }
    if let Some(selector) = secret
        .spec
        .allowed_consumers
        .as_ref()
        .and_then(|allowed| allowed.selector.as_ref())
    {
        label_selector("spec.allowedConsumers.selector", selector, &mut report);
    }
    report.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::secret::DockerSecretSpec;

    fn secret(entries: &[(&str, String)]) -> DockerSecret {
        let encrypted_data = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        DockerSecret::new(
            "db",
            DockerSecretSpec {
                encrypted_data,
                ..Default::default()
            },
        )
    }

    #[test]
    fn keys_and_sizes_are_checked_all_at_once() {
        let large = format!("sc1.{}", "x".repeat(MAX_ENVELOPE));
        let violations = validate_secret(&secret(&[
            ("a b", "sc1.x".into()),
            ("large", large.clone()),
            ("plain", "hunter2".into()),
            ("l2", large.clone()),
            ("l3", large.clone()),
            ("l4", large.clone()),
            ("l5", large.clone()),
            ("l6", large),
        ]))
        .expect_err("violations");
        assert_eq!(violations.len(), 9, "{violations:?}");
        assert!(violations[0].message.contains("512 KiB"));
        assert!(!format!("{violations:?}").contains("hunter2"));
        assert_eq!(
            validate_secret(&secret(&[("password", "sc1.x.y".into())])),
            Ok(())
        );
    }

    #[test]
    fn a_namespace_that_is_none_is_named() {
        let mut object = secret(&[("password", "sc1.x.y".into())]);
        let allowed = serde_json::json!({"namespaces": ["shop", "*"]});
        object.spec.allowed_consumers = serde_json::from_value(allowed).expect("a list");
        let violations = validate_secret(&object).expect_err("violations");
        assert_eq!(violations[0].path, "spec.allowedConsumers.namespaces[1]");
        assert_eq!(violations.len(), 1);
    }

    #[test]
    fn use_cannot_stop_without_a_date() {
        let mut object = secret(&[("password", "sc1.x.y".into())]);
        object.spec.stop_use = Some(true);
        let violations = validate_secret(&object).expect_err("violations");
        assert_eq!(violations[0].path, "spec.stopUse");
        object.spec.stop_use = Some(false);
        assert_eq!(validate_secret(&object), Ok(()));
        object.spec.stop_use = Some(true);
        object.spec.not_after = Some(serde_json::from_str("\"2030-01-01T00:00:00Z\"").expect("a time"));
        assert_eq!(validate_secret(&object), Ok(()));
    }
}
