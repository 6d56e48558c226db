//! Plain variables of a source: each becomes a value in the manifest, or goes into a secret and becomes a reference.
//! Owns that choice and what is said about it; where variables are written is the format's. Called by `compose`, `ring`.

use zeroize::Zeroizing;

use super::report::Report;
use super::{Options, Sealable, is_named, read};
use crate::api::{EnvVar, EnvVarSource, SecretKeySelector, looks_secret};
use crate::seal::{MAX_VALUE_BYTES, Plaintext};

/// One plain variable of a source.
pub(super) struct Plain<'a> {
    /// Where it is written.
    pub(super) path: String,
    /// Its name.
    pub(super) name: &'a str,
    /// Its value.
    pub(super) value: Zeroizing<String>,
}

/// The variable as it is written in a manifest; a value that is to be sealed goes into `secret`.
pub(super) fn variable(
    plain: Plain<'_>,
    secret: &mut Sealable,
    options: &Options<'_>,
    report: &mut Report,
) -> EnvVar {
    let Plain { path, name, value } = plain;
    let suspect = looks_secret(name, &value);
    let mut variable = EnvVar {
        name: name.to_owned(),
        ..EnvVar::default()
    };
    if is_named(options.seal_names, name) || (options.seal_env && suspect) {
        if value.len() > MAX_VALUE_BYTES {
            report.wrong(path, format!("has more than {MAX_VALUE_BYTES} bytes, which is the limit of a sealed value: deliver it another way"));
            return variable;
        }
        secret
            .values
            .insert(name.to_owned(), Plaintext::new(value.as_bytes().to_vec()));
        variable.value_from = Some(reference(&secret.name, name));
        return variable;
    }
    if suspect {
        report.plain(
            path,
            "looks like a secret and stays in plain text: give --seal-env to seal it",
        );
    }
    variable.value = Some(read::literal(&value));
    variable
}

/// A reference to one key of a DockerSecret.
pub(super) fn reference(name: &str, key: &str) -> EnvVarSource {
    EnvVarSource {
        secret_key_ref: Some(SecretKeySelector {
            name: name.to_owned(),
            key: key.to_owned(),
            ..SecretKeySelector::default()
        }),
        ..EnvVarSource::default()
    }
}
