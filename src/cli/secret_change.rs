//! The verb `secret set`, and the change of a DockerSecret that it shares with `secret edit`: new values are sealed here,
//! each in the scope that its key has now, and only their keys are written, so that two who set different keys lose
//! nothing. Nothing is opened. Values are read by `seal_values`. Called by `secret`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::anyhow;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::kept_by::kept_by;
use super::keys_source::KeyArgs;
use super::seal::{ScopeArg, seal_all};
use super::seal_values::{ValueArgs, Values, check_key};
use super::secret::{connect, envelopes};
use super::secret_users::users;
use super::{Failure, Outcome, block_on, output};
use crate::api::DockerSecret;
use crate::api::keys::FIELD_MANAGER;
use crate::seal::{MAX_OBJECT_CHARS, PublicKey, ScopeKind};

/// Flags of `secret set`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the DockerSecret
    name: String,
    /// How far the values may travel; without it as the key's present value, and strict for a new key
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    /// A key to take away with its value, which nobody can bring back. May be repeated
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,
    #[command(flatten)]
    values: ValueArgs,
    #[command(flatten)]
    to: KeyArgs,
}

/// What is to become of a DockerSecret.
pub(super) struct Change<'a> {
    /// New values by key.
    pub(super) values: &'a Values,
    /// Keys that go.
    pub(super) remove: &'a [String],
    /// The scope of the new values; without one as each key's present value.
    pub(super) scope: Option<ScopeArg>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, namespace: Option<String>) -> Outcome {
    if !args.values.any() && args.remove.is_empty() {
        return Err(Failure::Usage(
            "nothing to set: give --key KEY and pipe the value in, or --from-file, --from-env-file or --remove KEY".into(),
        ));
    }
    for key in &args.remove {
        check_key(key)?;
    }
    let values = args.values.read()?;
    if let Some(key) = args.remove.iter().find(|key| values.contains_key(*key)) {
        return Err(Failure::Usage(format!(
            "the key {key:?} is set and removed; say one of them"
        )));
    }
    let to = if values.is_empty() {
        None
    } else {
        Some(args.to.choose()?)
    };
    block_on(async {
        let (client, namespace) = connect(namespace).await?;
        let secret = changeable(&client, &namespace, &args.name).await?;
        let change = Change {
            values: &values,
            remove: &args.remove,
            scope: args.scope,
        };
        write(&client, &namespace, &secret, to.as_ref(), &change).await?;
        output::data(&format!("dockersecret.supercargo.dev/{} configured\n", args.name))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The DockerSecret of this name, if its values may change.
///
/// # Errors
/// It is not there, or immutable.
pub(super) async fn changeable(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<DockerSecret, Failure> {
    let api: Api<DockerSecret> = Api::namespaced(client.clone(), namespace);
    let secret = match api.get(name).await {
        Ok(secret) => secret,
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            return Err(anyhow!(
                "the DockerSecret {namespace}/{name} does not exist; make it with `supercargo secret create`"
            )
            .into());
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error
                .context(format!("the DockerSecret {namespace}/{name} cannot be read"))
                .into());
        }
    };
    if secret.spec.immutable == Some(true) {
        return Err(anyhow!(
            "the DockerSecret {namespace}/{name} is immutable; make one of another name with `supercargo secret create`, and refer to that"
        )
        .into());
    }
    Ok(secret)
}

/// Seals the new values and writes them; says who uses them and who may put the old ones back.
pub(super) async fn write(
    client: &Client,
    namespace: &str,
    secret: &DockerSecret,
    to: Option<&PublicKey>,
    change: &Change<'_>,
) -> Result<(), Failure> {
    let name = secret.name_any();
    let place = format!("{namespace}/{name}");
    let present = present(secret);
    if let Some(key) = change.remove.iter().find(|key| !present.contains_key(*key)) {
        return Err(anyhow!(
            "the DockerSecret {place} has no key {key:?}; it has {}",
            present.keys().cloned().collect::<Vec<_>>().join(", ")
        )
        .into());
    }
    let sealed = match to {
        Some(to) => {
            let scope = |key: &str| scope_of(key, change.scope, &present);
            seal_all(to, scope, Some(namespace), Some(&name), change.values)?
        }
        None => BTreeMap::new(),
    };
    fits(&place, secret, &sealed, change.remove)?;
    let patch = patch(secret, &sealed, change.remove);
    let api: Api<DockerSecret> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api.patch(&name, &params, &Patch::Merge(&patch)).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_conflict() => {
            return Err(anyhow!(
                "the DockerSecret {place} was made anew meanwhile; look at it and run this again"
            )
            .into());
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error
                .context(format!("the DockerSecret {place} was not changed"))
                .into());
        }
    }
    if let Some(who) = kept_by(&secret.metadata) {
        eprintln!(
            "warning: {place} is managed by {who}, which puts the values of its source back at its next sync; \
             set them there, too, with `supercargo seal --into`"
        );
    }
    // Whoever may not list deployments has changed the secret all the same.
    if let Ok(users) = users(client, namespace, secret).await
        && !users.is_empty()
    {
        let users: Vec<String> = users.into_iter().collect();
        eprintln!("used by {}", users.join(", "));
    }
    Ok(())
}

/// The scopes of the present values by key; one that cannot be read has none.
fn present(secret: &DockerSecret) -> BTreeMap<String, Option<ScopeKind>> {
    let scope = |envelope: Result<crate::seal::Envelope, _>| envelope.ok().map(|e| e.scope().kind());
    let all = envelopes(secret).into_iter();
    all.map(|(key, envelope)| (key.to_owned(), scope(envelope)))
        .collect()
}

fn scope_of(key: &str, said: Option<ScopeArg>, present: &BTreeMap<String, Option<ScopeKind>>) -> ScopeKind {
    let before = || present.get(key).copied().flatten();
    said.map(ScopeArg::kind)
        .or_else(before)
        .unwrap_or(ScopeKind::Strict)
}

fn fits(
    place: &str,
    secret: &DockerSecret,
    sealed: &BTreeMap<String, String>,
    remove: &[String],
) -> anyhow::Result<()> {
    let stays = |key: &&String| !sealed.contains_key(*key) && !remove.contains(*key);
    let data = &secret.spec.encrypted_data;
    let kept: usize = data
        .keys()
        .filter(stays)
        .filter_map(|key| data.get(key))
        .map(String::len)
        .sum();
    let total = kept + sealed.values().map(String::len).sum::<usize>();
    if total > MAX_OBJECT_CHARS {
        return Err(anyhow!(
            "the envelopes of {place} would have {total} characters together, the limit of one object is {MAX_OBJECT_CHARS}; \
             nothing was changed: make another DockerSecret"
        ));
    }
    Ok(())
}

/// A merge patch of these keys alone, of this very object.
fn patch(secret: &DockerSecret, sealed: &BTreeMap<String, String>, remove: &[String]) -> Value {
    let mut data: serde_json::Map<String, Value> = sealed
        .iter()
        .map(|(key, text)| (key.clone(), json!(text)))
        .collect();
    data.extend(remove.iter().map(|key| (key.clone(), Value::Null)));
    json!({ "metadata": { "uid": secret.uid() }, "spec": { "encryptedData": data } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DockerSecretSpec;

    #[test]
    fn a_key_keeps_its_scope_unless_another_is_said() {
        let present = BTreeMap::from([
            ("wide".to_owned(), Some(ScopeKind::Namespace)),
            ("broken".to_owned(), None),
        ]);
        let of = |key, said| scope_of(key, said, &present);
        assert_eq!(of("wide", None), ScopeKind::Namespace);
        assert_eq!(of("wide", Some(ScopeArg::Strict)), ScopeKind::Strict);
        assert_eq!(of("broken", None), ScopeKind::Strict);
        assert_eq!(of("new", None), ScopeKind::Strict);
    }

    fn secret(envelopes: &[(&str, usize)]) -> DockerSecret {
        let mut secret = DockerSecret::new("db", DockerSecretSpec::default());
        secret.metadata.uid = Some("u".to_owned());
        let data = envelopes
            .iter()
            .map(|(key, n)| ((*key).to_owned(), "e".repeat(*n)));
        secret.spec.encrypted_data = data.collect();
        secret
    }

    #[test]
    fn only_the_changed_keys_are_written() {
        let sealed = BTreeMap::from([("a".to_owned(), "sc1.A".to_owned())]);
        assert_eq!(
            patch(
                &secret(&[("a", 1), ("b", 1), ("c", 1)]),
                &sealed,
                &["b".to_owned()]
            ),
            json!({ "metadata": { "uid": "u" }, "spec": { "encryptedData": { "a": "sc1.A", "b": null } } })
        );
    }

    #[test]
    fn what_stays_counts_towards_the_limit_of_an_object() {
        let full = secret(&[("a", MAX_OBJECT_CHARS - 10), ("b", 10)]);
        let new = |n: usize| BTreeMap::from([("b".to_owned(), "e".repeat(n))]);
        assert!(fits("x", &full, &new(10), &[]).is_ok());
        assert!(fits("x", &full, &new(11), &[]).is_err());
        assert!(fits("x", &full, &new(11), &["a".to_owned()]).is_ok());
    }
}
