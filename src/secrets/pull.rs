//! Registry credentials: `imagePullSecrets` -> the credential for one image's registry, wiped after the pull.
//! Reads Docker's config file format out of `.dockerconfigjson`; no text of it ever becomes part of an error.
//! Credentials enter no revision: a new password rolls nothing. Called by `controllers`, before a pull only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    consent::{self, Named},
    core,
    open::{Closed, Opener},
    source::Source,
};
use crate::{
    api::{DockerDeployment, condition::Cause, reference::SecretKind},
    seal::Plaintext,
    state::{
        container::SlotId,
        plaintext::{IDENTITY_TOKEN, RegistryCredential},
        resolved::{Failure, Form, Use},
    },
};

/// The one key of a secret of type `kubernetes.io/dockerconfigjson`.
pub const CONFIG_KEY: &str = ".dockerconfigjson";

/// What became of all `imagePullSecrets` of a deployment.
#[derive(Default)]
pub struct PullCredentials {
    /// The credential for the image's registry; absent when none of the secrets names it.
    pub credential: Option<RegistryCredential>,
    /// Secrets that resolve.
    pub uses: Vec<Use>,
    /// Secrets that do not.
    pub failures: Vec<Failure>,
}

/// Resolves the pull secrets for an image of `registry` (`docker.io`, `host:port`), as they are at the time `now`.
#[must_use]
pub fn credentials(
    deployment: &DockerDeployment,
    registry: &str,
    source: &dyn Source,
    opener: &Opener,
    now: Timestamp,
) -> PullCredentials {
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let mut out = PullCredentials::default();
    for (index, secret) in deployment
        .spec
        .template
        .spec
        .image_pull_secrets
        .iter()
        .enumerate()
    {
        let path = format!("spec.template.spec.imagePullSecrets[{index}]");
        let named = Named {
            kind: secret.kind.unwrap_or_default(),
            namespace: secret.namespace.as_deref(),
            name: &secret.name,
        };
        let (kind, elsewhere) = (named.kind, named.elsewhere(namespace));
        match one(deployment, named, source, opener, now) {
            Ok((fingerprint, kid, config)) => {
                let taken = config.matching(registry).filter(|_| out.credential.is_none());
                out.uses.push(Use {
                    kind,
                    namespace: elsewhere.map(str::to_owned),
                    name: secret.name.clone(),
                    key: CONFIG_KEY.to_owned(),
                    form: Form::PullCredential,
                    path,
                    fingerprint,
                    kid,
                    slot: taken.is_some().then(|| SlotId(registry.to_owned())),
                });
                if taken.is_some() {
                    out.credential = taken;
                }
            }
            Err(closed) => out.failures.push(Failure {
                kind,
                namespace: elsewhere.unwrap_or(namespace).to_owned(),
                name: secret.name.clone(),
                key: Some(CONFIG_KEY.to_owned()),
                path,
                cause: closed.cause,
                advice: closed.advice,
            }),
        }
    }
    out
}

fn one(
    deployment: &DockerDeployment,
    named: Named<'_>,
    source: &dyn Source,
    opener: &Opener,
    now: Timestamp,
) -> Result<(String, Option<String>, Config), Closed> {
    let home = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let (known, plaintext) = match named.kind {
        SecretKind::DockerSecret => {
            let found = consent::find(deployment, named, source, now)?.ok_or_else(absent)?;
            if opener.assumes() {
                let known = opener.look(&found, CONFIG_KEY)?;
                return Ok((known.fingerprint, known.kid, Config::default()));
            }
            opener.open(&found, CONFIG_KEY)?
        }
        SecretKind::Secret => {
            consent::core_at_home(home, named)?;
            core::item(source, opener, home, named.name, CONFIG_KEY)?.ok_or_else(absent)?
        }
    };
    Ok((known.fingerprint, known.kid, Config::parse(&plaintext)?))
}

fn absent() -> Closed {
    Closed {
        cause: Cause::SecretNotFound,
        advice: "create it from a Docker config file with `supercargo secret create NAME --type \
                 kubernetes.io/dockerconfigjson --from-file .dockerconfigjson=PATH`"
            .to_owned(),
    }
}

/// Docker's config file, as far as it concerns us.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

/// One login of it.
#[derive(Deserialize)]
pub(super) struct Auth {
    #[serde(default)]
    auth: Option<Zeroizing<String>>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Zeroizing<String>>,
    #[serde(default)]
    identitytoken: Option<Zeroizing<String>>,
}

impl Config {
    fn parse(plaintext: &Plaintext) -> Result<Self, Closed> {
        // The parser's error quotes its input, so it is dropped.
        let config: Self = serde_json::from_slice(plaintext.expose())
            .map_err(|_quotes_plaintext| invalid("is not JSON of that form"))?;
        if config.auths.is_empty() {
            return Err(invalid("has no `auths`; a credential helper cannot be used here"));
        }
        if config.auths.values().any(|auth| auth.credential("").is_none()) {
            return Err(invalid(
                "has an entry without `auth` and without `username` and `password`",
            ));
        }
        Ok(config)
    }

    fn matching(&self, registry: &str) -> Option<RegistryCredential> {
        let (server, auth) = self
            .auths
            .iter()
            .find(|(server, _)| host(server) == canonical(registry))?;
        auth.credential(server)
    }
}

impl Auth {
    /// The login to this server; `None` when there is none in it.
    pub(super) fn credential(&self, server: &str) -> Option<RegistryCredential> {
        let token = self.identitytoken.as_ref().filter(|token| !token.is_empty());
        let (username, password) = match (&self.username, &self.password, &self.auth) {
            _ if token.is_some() => {
                let token = token.map(|token| token.as_bytes().to_vec());
                (
                    IDENTITY_TOKEN.to_owned(),
                    Zeroizing::new(token.unwrap_or_default()),
                )
            }
            (Some(username), Some(password), _) => {
                (username.clone(), Zeroizing::new(password.as_bytes().to_vec()))
            }
            (_, _, Some(auth)) => {
                let decoded =
                    Zeroizing::new(<base64ct::Base64 as base64ct::Encoding>::decode_vec(auth).ok()?);
                let colon = decoded.iter().position(|byte| *byte == b':')?;
                let username = std::str::from_utf8(decoded.get(..colon)?).ok()?.to_owned();
                (username, Zeroizing::new(decoded.get(colon + 1..)?.to_vec()))
            }
            _ => return None,
        };
        Some(RegistryCredential {
            username,
            password: Plaintext::from_zeroizing(password),
            server: server.to_owned(),
        })
    }
}

/// The host of an entry such as `https://index.docker.io/v1/`.
pub(super) fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    canonical(rest.split('/').next().unwrap_or_default())
}

pub(super) fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

fn invalid(what: &str) -> Closed {
    Closed {
        cause: Cause::InvalidPullCredential,
        advice: format!(
            "its key {CONFIG_KEY} {what}; seal the file that `docker login` wrote without a credential helper"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Closed> {
        Config::parse(&Plaintext::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn the_entry_of_the_registry_is_used() {
        let config = parse(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"localhost:5000":{"username":"u","password":"p:w"}}}"#,
        )
        .unwrap();
        let hub = config.matching("docker.io").unwrap();
        assert_eq!((hub.username.as_str(), hub.password.expose()), ("a", &b"b"[..]));
        assert_eq!(
            config.matching("localhost:5000").unwrap().password.expose(),
            b"p:w"
        );
        assert!(config.matching("ghcr.io").is_none());
    }

    #[test]
    fn bad_files_are_refused_without_quoting_them() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"auths":{}}"#,
            r#"{"auths":{"h":{}}}"#,
            r#"{"auths":{"h":{"auth":"%SECRET%"}}}"#,
        ] {
            let closed = parse(text).err().unwrap();
            assert_eq!(closed.cause, Cause::InvalidPullCredential);
            assert!(!closed.advice.contains("SECRET"), "{}", closed.advice);
        }
    }
}
