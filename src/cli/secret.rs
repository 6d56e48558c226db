//! The verb `secret`: create, set, edit, list, describe and delete DockerSecrets against the API. Values are sealed here, on the
//! client, so the API server only ever sees envelopes; nothing is opened and no value is shown.
//! Reading values is `seal_values`, sealing is `seal`, changing is `secret_change`. Called by `mod`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use super::keys_source::KeyArgs;
use super::output::{self, Format};
use super::seal::{ScopeArg, check_names, seal_all};
use super::seal_values::ValueArgs;
use super::secret_users::users;
use super::{Failure, Outcome, block_on, secret_change, secret_diff, secret_edit};
use crate::api::expiry::{self, Stage};
use crate::api::keys::{FIELD_MANAGER, annotation};
use crate::api::{DockerSecret, DockerSecretSpec, SecretType};
use crate::clock::{Clock, System};
use crate::seal::Envelope;

/// Flags of `secret`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Namespace; without it that of the current context
    #[arg(long, short, global = true)]
    namespace: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Seal values here and create a DockerSecret from them
    Create(Box<Create>),
    /// Seal values here and set them in a DockerSecret that exists; its other keys stay as they are
    Set(Box<secret_change::Args>),
    /// Write new values of a DockerSecret in an editor, which shows keys and no old value
    Edit(Box<secret_edit::Args>),
    /// Show what applying a manifest would change: keys that come, go and are sealed again; never a value
    Diff(Box<secret_diff::Args>),
    /// List DockerSecrets
    List(List),
    /// Show one DockerSecret: dates, keys, key ids, scopes, conditions, users; never a value
    Describe(Named),
    /// Delete a DockerSecret; refused while it is in use
    Delete(Delete),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Name of the DockerSecret
    name: String,
    /// How far the values may travel
    #[arg(long, value_enum, default_value_t = ScopeArg::Strict)]
    scope: ScopeArg,
    /// What the values are: Opaque, kubernetes.io/tls and so on
    #[arg(long = "type", value_name = "TYPE")]
    type_: Option<String>,
    #[command(flatten)]
    values: ValueArgs,
    #[command(flatten)]
    to: KeyArgs,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Of all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Name of the DockerSecret
    name: String,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// Name of the DockerSecret
    name: String,
    /// Delete it although it is in use: its users keep what they were given, and get no new container
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    let namespace = args.namespace;
    match args.verb {
        Verb::Create(args) => create(&args, namespace),
        Verb::Set(args) => secret_change::run(&args, namespace),
        Verb::Edit(args) => secret_edit::run(&args, namespace),
        Verb::Diff(args) => secret_diff::run(&args, namespace),
        Verb::List(args) => block_on(list(&args, namespace)),
        Verb::Describe(args) => block_on(describe(&args.name, namespace)),
        Verb::Delete(args) => block_on(delete(&args, namespace)),
    }
}

pub(super) async fn connect(namespace: Option<String>) -> Result<(Client, String), Failure> {
    let client = Client::try_default()
        .await
        .context("no cluster to ask; set KUBECONFIG, or seal offline with `supercargo seal`")?;
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    Ok((client, namespace))
}

fn create(args: &Create, namespace: Option<String>) -> Outcome {
    if !args.values.any() {
        return Err(Failure::Usage(
            "no values: give --key KEY and pipe the value in, or --from-file or --from-env-file".into(),
        ));
    }
    let type_ = args.type_.as_deref().map(secret_type).transpose()?;
    let values = args.values.read()?;
    let to = args.to.choose()?;
    block_on(async {
        let (client, namespace) = connect(namespace).await?;
        check_names(args.scope, Some(&args.name), Some(&namespace))?;
        let encrypted_data = seal_all(
            &to,
            |_| args.scope.kind(),
            Some(&namespace),
            Some(&args.name),
            &values,
        )?;
        let mut secret = DockerSecret::new(
            &args.name,
            DockerSecretSpec {
                type_,
                encrypted_data,
                ..DockerSecretSpec::default()
            },
        );
        // The status is the operator's: none is sent.
        secret.status = None;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let secrets: Api<DockerSecret> = Api::namespaced(client, &namespace);
        secrets.create(&params, &secret).await.with_context(|| {
            format!("the DockerSecret {namespace}/{} was not created; if it exists, `supercargo secret set` changes it, and `supercargo seal --into` its manifest", args.name)
        })?;
        output::data(&format!("dockersecret.supercargo.dev/{} created\n", args.name))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn secret_type(text: &str) -> Result<SecretType, Failure> {
    let all = [
        SecretType::Opaque,
        SecretType::DockerConfigJson,
        SecretType::Tls,
        SecretType::BasicAuth,
        SecretType::SshAuth,
    ];
    let names = all.map(SecretType::as_str).join(", ");
    all.into_iter()
        .find(|t| t.as_str() == text)
        .ok_or_else(|| Failure::Usage(format!("--type {text:?} is none of {names}")))
}

async fn list(args: &List, namespace: Option<String>) -> Outcome {
    let (client, namespace) = connect(namespace).await?;
    let api: Api<DockerSecret> = if args.all_namespaces {
        Api::all(client)
    } else {
        Api::namespaced(client, &namespace)
    };
    let found = api
        .list(&ListParams::default())
        .await
        .context("DockerSecrets cannot be listed; see `supercargo doctor`")?;
    match args.output {
        Format::Name => {
            let names: String = found
                .iter()
                .map(|s| format!("dockersecret.supercargo.dev/{}\n", s.name_any()))
                .collect();
            output::data(&names)?;
        }
        Format::Json | Format::Yaml => output::document(&found.items, args.output)?,
        Format::Table => output::data(&table(&found.items, args.all_namespaces))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(secrets: &[DockerSecret], all_namespaces: bool) -> String {
    let clock = System.now();
    let now = clock.as_second();
    let row = |s: &DockerSecret| {
        let made = s.creation_timestamp().map_or(now, |t| t.0.as_second());
        let ended = expiry::stage(s, clock) == Some(Stage::Ended);
        let end = s.spec.not_after.as_ref().filter(|_| !ended);
        let kids: BTreeSet<String> = envelopes(s).values().map(|e| kid_of(e.as_ref().ok())).collect();
        let mut row = vec![
            s.name_any(),
            s.spec.type_.unwrap_or_default().as_str().to_owned(),
            s.spec.encrypted_data.len().to_string(),
            kids.into_iter().collect::<Vec<_>>().join(","),
            condition(s, "Valid"),
            condition(s, "InUse"),
            end.map_or_else(
                || if ended { "expired" } else { "-" }.to_owned(),
                |end| end.0.to_string(),
            ),
            output::age(now - made),
        ];
        if all_namespaces {
            row.insert(0, s.namespace().unwrap_or_default());
        }
        row
    };
    let mut header = vec!["NAME", "TYPE", "KEYS", "KID", "VALID", "IN-USE", "EXPIRES", "AGE"];
    if all_namespaces {
        header.insert(0, "NAMESPACE");
    }
    output::table(&header, &secrets.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn envelopes(secret: &DockerSecret) -> BTreeMap<&str, Result<Envelope, crate::seal::OpenError>> {
    secret
        .spec
        .encrypted_data
        .iter()
        .map(|(key, text)| (key.as_str(), text.parse()))
        .collect()
}

fn kid_of(envelope: Option<&Envelope>) -> String {
    envelope.map_or_else(|| "?".to_owned(), |e| e.kid().to_string())
}

fn condition(secret: &DockerSecret, type_: &str) -> String {
    let conditions = secret.status.iter().flat_map(|s| &s.conditions);
    conditions
        .filter(|c| c.type_ == type_)
        .map(|c| c.status.clone())
        .next()
        .unwrap_or_else(|| "Unknown".into())
}

async fn describe(name: &str, namespace: Option<String>) -> Outcome {
    let (client, namespace) = connect(namespace).await?;
    let api: Api<DockerSecret> = Api::namespaced(client.clone(), &namespace);
    let secret = api
        .get(name)
        .await
        .with_context(|| format!("the DockerSecret {namespace}/{name} cannot be read"))?;
    let users = users(&client, &namespace, &secret).await?;
    output::data(&description(&secret, &namespace, &users))?;
    Ok(ExitCode::SUCCESS)
}

fn description(secret: &DockerSecret, namespace: &str, users: &BTreeSet<String>) -> String {
    let name = secret.name_any();
    let mut out = format!("Name:        {name}\nNamespace:   {namespace}\n");
    out.push_str(&format!(
        "Type:        {}\n",
        secret.spec.type_.unwrap_or_default().as_str()
    ));
    out.push_str(&format!(
        "Immutable:   {}\n",
        secret.spec.immutable.unwrap_or(false)
    ));
    out.push_str(&dates(secret));
    out.push_str("\nKeys:\n");
    let seen = secret
        .status
        .iter()
        .flat_map(|s| &s.keys)
        .map(|k| (k.name.as_str(), k))
        .collect::<BTreeMap<_, _>>();
    let row = |(key, envelope): (&str, Result<Envelope, crate::seal::OpenError>)| {
        let scope = envelope.as_ref().map_or("?", |e| e.scope().kind().word());
        let here = envelope.as_ref().map_err(Clone::clone).and_then(|e| {
            let context = e.context_at(namespace, &name, key).ok();
            context.map_or(Ok(()), |c| e.check_scope(&c))
        });
        let status = seen.get(key);
        let state = match (&here, status) {
            (Err(problem), _) => problem.cause().to_owned(),
            (Ok(()), Some(s)) if s.valid => "valid".to_owned(),
            (Ok(()), Some(s)) => s.reason.clone().unwrap_or_else(|| "invalid".into()),
            (Ok(()), None) => "not looked at yet".to_owned(),
        };
        let fingerprint = status
            .and_then(|s| s.fingerprint.clone())
            .unwrap_or_else(|| "-".into());
        vec![
            format!("  {key}"),
            kid_of(envelope.as_ref().ok()),
            scope.to_owned(),
            fingerprint,
            state,
        ]
    };
    let rows: Vec<_> = envelopes(secret).into_iter().map(row).collect();
    out.push_str(&output::table(
        &["  NAME", "KID", "SCOPE", "FINGERPRINT", "STATE"],
        &rows,
    ));
    out.push_str("\nConditions:\n");
    let conditions: Vec<_> = secret.status.iter().flat_map(|s| &s.conditions).collect();
    if conditions.is_empty() {
        out.push_str("  none yet\n");
    }
    for c in conditions {
        out.push_str(&format!(
            "  {} {} {}: {}\n",
            c.type_, c.status, c.reason, c.message
        ));
    }
    let users = if users.is_empty() {
        "nobody".to_owned()
    } else {
        users.iter().cloned().collect::<Vec<_>>().join(", ")
    };
    out.push_str(&format!("\nUsed by:     {users}\n"));
    out
}

/// What it says about its end; the condition ExpiringSoon says what follows.
fn dates(secret: &DockerSecret) -> String {
    let spec = &secret.spec;
    let mut out = String::new();
    if let Some(due) = &spec.rotate_after {
        out.push_str(&format!("Rotate:      after {}\n", due.0));
    }
    if let Some(end) = &spec.not_after {
        let then = if spec.stop_use == Some(true) {
            "; no new container is given it then"
        } else {
            ""
        };
        out.push_str(&format!("Expires:     {}{then}\n", end.0));
    }
    out
}

async fn delete(args: &Delete, namespace: Option<String>) -> Outcome {
    let (client, namespace) = connect(namespace).await?;
    let api: Api<DockerSecret> = Api::namespaced(client.clone(), &namespace);
    let name = &args.name;
    let secret = api
        .get(name)
        .await
        .with_context(|| format!("the DockerSecret {namespace}/{name} cannot be read"))?;
    let users = users(&client, &namespace, &secret).await?;
    if !users.is_empty() && !args.force {
        let users: Vec<String> = users.into_iter().collect();
        return Err(anyhow!(
            "the DockerSecret {namespace}/{name} is used by {}; it was not deleted: remove the references first, or say --force",
            users.join(", ")
        )
        .into());
    }
    if args.force && !users.is_empty() {
        let patch =
            serde_json::json!({ "metadata": { "annotations": { annotation::FORCE_DELETE: "true" } } });
        let params = kube::api::PatchParams::apply(FIELD_MANAGER);
        let params = kube::api::PatchParams {
            force: false,
            ..params
        };
        api.patch(name, &params, &kube::api::Patch::Merge(&patch))
            .await
            .with_context(|| {
                format!("the DockerSecret {namespace}/{name} cannot be marked; it was not deleted")
            })?;
    }
    api.delete(name, &DeleteParams::default())
        .await
        .with_context(|| format!("the DockerSecret {namespace}/{name} was not deleted"))?;
    output::data(&format!("dockersecret.supercargo.dev/{name} deleted\n"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(not_after: &str) -> DockerSecret {
        let mut secret = DockerSecret::new("db", DockerSecretSpec::default());
        secret.spec.not_after = serde_json::from_value(not_after.into()).unwrap();
        secret
    }

    #[test]
    fn a_list_says_when_each_expires() {
        let none = DockerSecret::new("none", DockerSecretSpec::default());
        let secrets = [dated("2900-01-01T00:00:00Z"), dated("2001-01-01T00:00:00Z"), none];
        let text = table(&secrets, false);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].contains("EXPIRES"), "{text}");
        assert!(rows[1].contains("2900-01-01T00:00:00Z"), "{text}");
        assert!(rows[2].contains("expired"), "{text}");
        assert!(rows[3].split_whitespace().any(|cell| cell == "-"), "{text}");
    }

    #[test]
    fn a_description_has_the_dates_that_there_are() {
        let mut secret = dated("2900-01-01T00:00:00Z");
        secret.spec.rotate_after = serde_json::from_value("2899-01-01T00:00:00Z".into()).unwrap();
        let text = description(&secret, "shop", &BTreeSet::new());
        assert!(
            text.contains("Expires:     2900-01-01T00:00:00Z\n")
                && text.contains("after 2899-01-01T00:00:00Z"),
            "{text}"
        );
        secret.spec.stop_use = Some(true);
        assert!(dates(&secret).contains("no new container"));
        let none = DockerSecret::new("none", DockerSecretSpec::default());
        assert!(!description(&none, "shop", &BTreeSet::new()).contains("Expires"));
    }
}
