//! The verb `explain`: every secret reference of a deployment, where its value comes from, to which key it is sealed, how
//! it is delivered, who has loaded it, and why not. Opens values only to say whether they open; shows none, and no length.
//! Without the key ring it goes by the status that the operator wrote. Called by `mod`.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::connect;
use super::lookup::Objects;
use super::output::{self, Format};
use super::plan::{lookup_failure, stored};
use super::ring_source::RingArgs;
use super::{Failure, Outcome, block_on};
use crate::api::DockerDeployment;
use crate::api::SecretEnv;
use crate::api::condition::{Cause, ConditionType};
use crate::api::files::{Origin, file_mounts};
use crate::api::reference::SecretKind;
use crate::api::status::DockerDeploymentStatus;
use crate::clock::{Clock, System};
use crate::controllers::context::LOCAL_HOST;
use crate::seal::Envelope;
use crate::secrets::open::{Opener, UNKNOWN};
use crate::secrets::source::{Lookup, Source as _};
use crate::secrets::{pull, resolve};
use crate::state::resolved::{Failure as Unresolved, Form, Resolution, Use, reference};
use crate::state::revision::Fingerprints;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a DockerDeployment
    name: String,
    /// Namespace; without it that of the current context
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    ring: RingArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// One reference as `-o json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    path: String,
    kind: SecretKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    key: String,
    form: String,
    kid: String,
    scope: String,
    fingerprint: String,
    loaded: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    block_on(explain(args))
}

async fn explain(args: Args) -> Outcome {
    let (client, namespace) = connect::kube_in(args.namespace.as_deref()).await?;
    let raw = stored(&client, &namespace, &args.name).await?;
    let mut deployment: DockerDeployment = serde_path_to_error::deserialize(&raw).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        anyhow::anyhow!(
            "{namespace}/{} is not valid, so nothing of it resolves: {path}: {cause}; correct it",
            args.name
        )
    })?;
    let mut objects = Objects::default();
    let read = objects.read(&client, &namespace, &raw["spec"]);
    read.await.map_err(lookup_failure)?;
    let status = deployment.status.clone().unwrap_or_default();
    let opener = match args.ring.read(&client).await? {
        Ok(ring) => Opener::new(Arc::new(ring)),
        Err(why) => {
            eprintln!(
                "values are not opened here ({why}); what is said of them is what the operator last wrote"
            );
            Opener::assuming(&namespace, written(&status))
        }
    };
    deployment.spec.secret_env = deployment.spec.secret_env.or_else(|| secret_env(&status));
    let resolution = resolved(&deployment, &objects, &opener);
    let env = if deployment.spec.is_protected() {
        Form::ProtectedEnv
    } else {
        Form::Env
    };
    let about = About {
        namespace: &namespace,
        env,
        status: &status,
        objects: &objects,
        opened: !opener.assumes(),
    };
    let mut rows: Vec<Row> = resolution.uses.iter().map(|used| about.used(used)).collect();
    rows.extend(resolution.failures.iter().map(|failure| about.failed(failure)));
    rows.extend(left_out(&raw, env, &rows));
    rows.extend(files_left_out(&deployment, &rows));
    rows.sort_by(|a, b| (&a.path, &a.name, &a.key).cmp(&(&b.path, &b.name, &b.key)));
    print(&rows, args.output)?;
    if rows.is_empty() {
        eprintln!("{namespace}/{} refers to no secret", args.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the operator takes for meant where the object does not say.
fn secret_env(status: &DockerDeploymentStatus) -> Option<SecretEnv> {
    let protected = Form::ProtectedEnv.as_str();
    let mut forms = status.secrets.iter().filter_map(|used| used.form.as_deref());
    forms
        .any(|form| form == protected)
        .then_some(SecretEnv::Protected)
}

/// The fingerprints that the status tells of.
pub(super) fn written(status: &DockerDeploymentStatus) -> Fingerprints {
    let one = |used: &crate::api::status::SecretUse| {
        let name = reference(used.kind, used.namespace.as_deref(), &used.name, &used.key);
        Some((name, used.fingerprint.clone()?))
    };
    Fingerprints {
        root: String::new(),
        values: status.secrets.iter().filter_map(one).collect(),
    }
}

fn resolved(deployment: &DockerDeployment, objects: &Objects, opener: &Opener) -> Resolution {
    let (want, now) = (resolve::Want::Fingerprints, System.now());
    let (mut resolution, _no_bytes) = resolve::resolve(deployment, LOCAL_HOST, objects, opener, want, now);
    // No registry is asked for: whether each secret holds credentials is what matters here.
    let credentials = pull::credentials(deployment, "", objects, opener, now);
    resolution.uses.extend(credentials.uses);
    resolution.failures.extend(credentials.failures);
    resolution
}

/// Kind, namespace where it is another one than the deployment's, and name of a secret.
type Name<'a> = (SecretKind, Option<&'a str>, &'a str);

/// What is known besides the references themselves.
struct About<'a> {
    namespace: &'a str,
    /// How secrets reach variables.
    env: Form,
    status: &'a DockerDeploymentStatus,
    objects: &'a Objects,
    opened: bool,
}

impl About<'_> {
    fn used(&self, used: &Use) -> Row {
        let told = self.told(used);
        let (state, advice) = match told {
            _ if self.opened => ("resolves".to_owned(), None),
            Some((cause, advice)) => (cause, Some(advice)),
            None if self
                .status
                .secrets
                .iter()
                .any(|s| s.name == used.name && s.key == used.key && s.namespace == used.namespace) =>
            {
                ("resolves".to_owned(), None)
            }
            None => ("not opened".to_owned(), None),
        };
        let name = (used.kind, used.namespace.as_deref(), used.name.as_str());
        let fingerprint = if used.fingerprint == UNKNOWN {
            "-"
        } else {
            &used.fingerprint
        };
        Row {
            path: used.path.clone(),
            kind: used.kind,
            namespace: used.namespace.clone(),
            name: used.name.clone(),
            key: used.key.clone(),
            form: used.form.as_str().to_owned(),
            kid: used.kid.clone().unwrap_or_else(|| "-".to_owned()),
            scope: self.header(&name, &used.key).1,
            fingerprint: fingerprint.to_owned(),
            loaded: self.loaded(&name, &used.key),
            state,
            advice,
        }
    }

    fn failed(&self, failure: &Unresolved) -> Row {
        let key = failure.key.clone().unwrap_or_else(|| "*".to_owned());
        let elsewhere = Some(failure.namespace.clone()).filter(|namespace| namespace != self.namespace);
        let name = (failure.kind, elsewhere.as_deref(), failure.name.as_str());
        let consented = failure.cause != Cause::ConsentMissing;
        let (kid, scope) = self.header(&name, if consented { &key } else { "" });
        let form = if failure.path.contains("imagePullSecrets") {
            Form::PullCredential
        } else if failure.path.contains(".volumes[") || failure.path.ends_with(".fileRef") {
            Form::File
        } else {
            self.env
        };
        Row {
            path: failure.path.clone(),
            kind: failure.kind,
            name: failure.name.clone(),
            form: form.as_str().to_owned(),
            kid,
            scope,
            fingerprint: "-".to_owned(),
            loaded: self.loaded(&name, &key),
            state: failure.cause.to_string(),
            advice: Some(failure.advice.clone()),
            key,
            namespace: elsewhere,
        }
    }

    /// Key id and scope, which an envelope says to everybody.
    fn header(&self, (kind, elsewhere, name): &Name<'_>, key: &str) -> (String, String) {
        let namespace = elsewhere.unwrap_or(self.namespace);
        let envelope = match (kind, self.objects.docker_secret(namespace, name)) {
            (SecretKind::DockerSecret, Lookup::Found(secret)) => secret
                .spec
                .encrypted_data
                .get(key)
                .and_then(|text| text.parse::<Envelope>().ok()),
            _ => None,
        };
        let known = envelope.map(|e| (e.kid().to_string(), e.scope().kind().word().to_owned()));
        known.unwrap_or_else(|| ("-".to_owned(), "-".to_owned()))
    }

    /// How many instances run with the value, of how many there are, as the operator wrote.
    fn loaded(&self, name: &Name<'_>, key: &str) -> String {
        let mut uses = self.status.secrets.iter();
        let used = uses.find(|s| (s.kind, s.namespace.as_deref(), s.name.as_str()) == *name && s.key == key);
        used.map_or_else(
            || "-".to_owned(),
            |s| format!("{}/{}", s.loaded, self.status.replicas),
        )
    }

    /// The cause and the advice that the operator wrote about a reference.
    fn told(&self, used: &Use) -> Option<(String, String)> {
        let wanted = ConditionType::SecretsResolved.as_str();
        let condition = self
            .status
            .conditions
            .iter()
            .find(|c| c.type_ == wanted && c.status == "False")?;
        let namespace = used.namespace.as_deref().unwrap_or(self.namespace);
        let at = format!(
            "{namespace}/{} key {:?}, referenced by {}; ",
            used.name, used.key, used.path
        );
        condition.message.lines().find_map(|line| {
            let (head, advice) = line.split_once(&at)?;
            let (cause, _kind) = head.split_once(": ")?;
            Some((cause.to_owned(), advice.to_owned()))
        })
    }
}

/// References that neither resolve nor fail: optional ones whose secret or key does not exist.
fn left_out(raw: &Value, form: Form, rows: &[Row]) -> Vec<Row> {
    let home = raw["metadata"]["namespace"].as_str().unwrap_or_default();
    let container = &raw["spec"]["template"]["spec"]["containers"][0];
    let from = |list: &str, field: &'static [&'static str]| -> Vec<(String, Value)> {
        let items = container[list].as_array().cloned().unwrap_or_default();
        let place = |(index, item): (usize, Value)| {
            let found = field.iter().try_fold(&item, |at, step| at.get(step))?.clone();
            let path = format!(
                "spec.template.spec.containers[0].{list}[{index}].{}",
                field.join(".")
            );
            Some((path, found))
        };
        items.into_iter().enumerate().filter_map(place).collect()
    };
    let mut named = from("env", &["valueFrom", "secretKeyRef"]);
    named.extend(from("envFrom", &["secretRef"]));
    let row = |(path, found): (String, Value)| {
        let text = |field: &str, otherwise: &str| found[field].as_str().unwrap_or(otherwise).to_owned();
        let kind = if found["kind"] == "Secret" {
            SecretKind::Secret
        } else {
            SecretKind::DockerSecret
        };
        let (name, key) = (text("name", "-"), text("key", "*"));
        let namespace = found["namespace"].as_str().filter(|other| *other != home);
        absent(path, (kind, namespace, &name), &key, form)
    };
    let known = |path: &str| rows.iter().any(|row| row.path == path);
    named
        .into_iter()
        .filter(|(path, _)| !known(path))
        .map(row)
        .collect()
}

/// The same of volumes, with those of volumes that nothing mounts: each item, or the whole secret where none is written.
fn files_left_out(deployment: &DockerDeployment, rows: &[Row]) -> Vec<Row> {
    let pod = &deployment.spec.template.spec;
    let mounts = file_mounts(pod);
    let home = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let known = |path: &str| rows.iter().any(|row| row.path == path);
    let mut out = Vec::new();
    for (index, volume) in pod.volumes.iter().enumerate() {
        let mounted = mounts.iter().any(|mount| mount.volume.name == volume.name);
        for source in volume.files().iter().flat_map(|files| &files.sources) {
            let place = format!("spec.template.spec.volumes[{index}].{}", source.field);
            let Origin::Secret(kind, namespace) = source.origin else {
                continue;
            };
            // What fails as a whole is told at its own place, also where it has items.
            if known(&place) || mounted && !source.optional {
                continue;
            }
            let of = |path: String, key: &str| {
                let elsewhere = namespace.filter(|other| *other != home);
                let mut row = absent(path, (kind, elsewhere, source.name), key, Form::File);
                if !mounted {
                    "not mounted".clone_into(&mut row.state);
                }
                row
            };
            if source.items.is_empty() {
                out.push(of(place, "*"));
                continue;
            }
            let items = source.items.iter().enumerate();
            let items = items.map(|(at, item)| (format!("{place}.items[{at}]"), &item.key));
            out.extend(
                items
                    .filter(|(path, _)| !known(path))
                    .map(|(path, key)| of(path, key)),
            );
        }
    }
    out
}

fn absent(path: String, (kind, namespace, name): Name<'_>, key: &str, form: Form) -> Row {
    Row {
        path,
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        key: key.to_owned(),
        form: form.as_str().to_owned(),
        kid: "-".to_owned(),
        scope: "-".to_owned(),
        fingerprint: "-".to_owned(),
        loaded: "-".to_owned(),
        state: "left out (optional)".to_owned(),
        advice: None,
    }
}

fn print(rows: &[Row], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json | Format::Yaml => output::document(&rows, format)?,
        Format::Name => {
            let name = |row: &Row| match row.kind {
                SecretKind::DockerSecret => format!("dockersecret.supercargo.dev/{}\n", row.name),
                SecretKind::Secret => format!("secret/{}\n", row.name),
            };
            let names: std::collections::BTreeSet<String> = rows.iter().map(name).collect();
            output::data(&names.into_iter().collect::<String>())?;
        }
        Format::Table => output::data(&table(rows))?,
    }
    Ok(())
}

/// As it is shown: with the namespace where it is another one.
fn full_name(row: &Row) -> String {
    match &row.namespace {
        Some(namespace) => format!("{namespace}/{}", row.name),
        None => row.name.clone(),
    }
}

fn table(rows: &[Row]) -> String {
    let header = [
        "SECRET",
        "KEY",
        "KID",
        "SCOPE",
        "DELIVERY",
        "FINGERPRINT",
        "LOADED",
        "STATE",
        "REFERENCED BY",
    ];
    let cells = |row: &Row| {
        let name = match row.kind {
            SecretKind::DockerSecret => full_name(row),
            SecretKind::Secret => format!("{} (Secret)", row.name),
        };
        let path = row.path.trim_start_matches("spec.template.spec.").to_owned();
        let (form, fingerprint) = (row.form.clone(), row.fingerprint.clone());
        let (kid, scope, loaded) = (row.kid.clone(), row.scope.clone(), row.loaded.clone());
        vec![
            name,
            row.key.clone(),
            kid,
            scope,
            form,
            fingerprint,
            loaded,
            row.state.clone(),
            path,
        ]
    };
    let mut out = output::table(&header, &rows.iter().map(cells).collect::<Vec<_>>());
    for row in rows {
        if let Some(advice) = &row.advice {
            out.push_str(&format!(
                "\n{} {}, key {:?}: {}: {advice}\n",
                row.kind,
                full_name(row),
                row.key,
                row.state
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_optional_and_absent_is_said_too() {
        let raw = json!({"spec": {"template": {"spec": {"containers": [{
            "env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k", "optional": true}}}],
            "envFrom": [{"secretRef": {"name": "all", "kind": "Secret"}}],
        }]}}}});
        let rows = left_out(&raw, Form::Env, &[]);
        let seen: Vec<_> = rows
            .iter()
            .map(|r| (r.path.as_str(), r.name.as_str(), r.key.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "spec.template.spec.containers[0].env[1].valueFrom.secretKeyRef",
                    "db",
                    "k"
                ),
                (
                    "spec.template.spec.containers[0].envFrom[0].secretRef",
                    "all",
                    "*"
                ),
            ]
        );
        assert!(left_out(&raw, Form::Env, &rows).is_empty());
    }

    #[test]
    fn files_that_are_optional_and_absent_or_not_mounted_are_said_too() {
        let deployment = |optional: bool| -> DockerDeployment {
            serde_json::from_value(json!({
                "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerDeployment", "metadata": {"name": "web"},
                "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "x"}], "volumes": [
                    {"name": "a", "secret": {"secretName": "db", "optional": optional, "items": [{"key": "k", "path": "p"}]}},
                    {"name": "b", "secret": {"secretName": "all", "optional": optional, "kind": "Secret"}},
                    {"name": "c", "projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "part"}}]}},
                ]}}},
            }))
            .unwrap()
        };
        let rows = files_left_out(&deployment(true), &[]);
        let seen: Vec<_> = rows
            .iter()
            .map(|r| {
                (
                    r.path.trim_start_matches("spec.template.spec.volumes"),
                    &*r.name,
                    &*r.key,
                    &*r.state,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("[0].secret.items[0]", "db", "k", "left out (optional)"),
                ("[1].secret", "all", "*", "left out (optional)"),
                ("[2].projected.sources[1].secret", "part", "*", "not mounted"),
            ]
        );
        assert!(rows.iter().all(|row| row.form == "File"));
        assert!(files_left_out(&deployment(true), &rows).is_empty());
        assert_eq!(files_left_out(&deployment(false), &[]).len(), 1);
    }

    #[test]
    fn a_cause_is_read_back_from_the_condition() {
        let status: DockerDeploymentStatus = serde_json::from_value(json!({"conditions": [{
            "type": "SecretsResolved", "status": "False", "reason": "SecretResolutionError", "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": "UnknownKeyId: DockerSecret shop/db key \"k\", referenced by p; restore key 0123",
        }]}))
        .unwrap();
        let objects = Objects::default();
        let about = About {
            namespace: "shop",
            env: Form::Env,
            status: &status,
            objects: &objects,
            opened: false,
        };
        let used = |path: &str, namespace: Option<&str>| Use {
            kind: SecretKind::DockerSecret,
            namespace: namespace.map(str::to_owned),
            name: "db".to_owned(),
            key: "k".to_owned(),
            form: Form::Env,
            path: path.to_owned(),
            fingerprint: String::new(),
            kid: None,
            slot: None,
        };
        let told = about.told(&used("p", None)).unwrap();
        assert_eq!(told, ("UnknownKeyId".to_owned(), "restore key 0123".to_owned()));
        assert!(about.told(&used("q", None)).is_none());
        assert!(about.told(&used("p", Some("bank"))).is_none());
    }
}
