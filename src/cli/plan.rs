//! The verb `plan`: what the operator would do to Docker now, for an object that is stored or for manifests that are not
//! yet applied. Goes the way of a reconcile up to step 5, through the same functions, and changes nothing anywhere.
//! Without the key ring, values are assumed to be those that run, and it says so. Called by `mod`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kube::api::DynamicObject;
use kube::{Api, Client};
use serde::Serialize;
use serde_json::{Value, json};

use super::connect::{self, Docker, DockerArgs};
use super::controller::PolicyArgs;
use super::explain::written;
use super::lookup::Objects;
use super::output::{self, Format};
use super::plan_files;
use super::plan_manifest;
use super::ring_source::RingArgs;
use super::{Failure, Outcome, block_on};
use crate::api::keys::label;
use crate::api::status::DockerDeploymentStatus;
use crate::clock::{Clock, System};
use crate::controllers::context::Options;
use crate::controllers::object::{Identity, resource};
use crate::controllers::{
    looks::Surroundings,
    wish::{Means, Wish, account_restarts, wish},
};
use crate::execute::Book;
use crate::plan::{self, Plan};
use crate::seal::Ring;
use crate::secrets::open::{Opener, UNKNOWN};
use crate::state::build::DEFAULT_GRACE;
use crate::state::container::ContainerView;
use crate::state::desired::Desired;
use crate::state::observed::Observed;
use crate::state::resolved::Resolution;
use crate::state::revision::Fingerprints;
use crate::status::remembered::remembered;

/// Stands for the uid of an object that does not exist yet.
const NOT_STORED: &str = "not-stored-yet";

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["name", "filename"])))]
pub(super) struct Args {
    /// Name of a DockerDeployment
    name: Option<String>,
    /// Manifests to plan for as if they were applied; - is standard input. Secrets and ConfigMaps among them count, too
    #[arg(long, short = 'f', value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Namespace; without it that of the current context
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    docker: DockerArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    ring: RingArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// A plan as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    namespace: String,
    name: String,
    /// Whether the API server has the object.
    stored: bool,
    /// Whether values of secrets were assumed instead of opened.
    assumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Rules that the object breaks.
    violations: Vec<String>,
    /// References that do not resolve.
    unresolved: Vec<String>,
    plan: Plan,
}

/// What all objects of one call share.
struct World {
    client: Client,
    engine: Docker,
    options: Options,
    ring: Result<Arc<Ring>, String>,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    let text = args.filename.as_deref().map(plan_manifest::read).transpose()?;
    block_on(preview(&args, text.as_deref()))
}

async fn preview(args: &Args, text: Option<&str>) -> Outcome {
    let engine = args.docker.connect()?;
    let (client, namespace) = connect::kube_in(args.namespace.as_deref()).await?;
    let (mut objects, found) = match (text, &args.filename, &args.name) {
        (Some(text), Some(path), _) => {
            let place = path.display().to_string();
            let found = plan_manifest::sort(&place, text, args.namespace.as_deref(), &namespace)?;
            (found.objects, found.deployments)
        }
        (_, _, Some(name)) => (Objects::default(), vec![stored(&client, &namespace, name).await?]),
        _ => return Err(Failure::Usage("give a name, or manifests with -f".into())),
    };
    let instance = connect::known_instance(&client).await?;
    let options = args
        .policy
        .options(instance, &args.ring.operator_namespace, args.docker.is_local())?;
    let ring = args.ring.read(&client).await?.map(Arc::new);
    if let Err(why) = &ring {
        eprintln!(
            "secret values are not known here ({why}); they are assumed unchanged, and new containers may get other names: give --keyring FILE to be sure"
        );
    }
    let world = World {
        client,
        engine,
        options,
        ring,
    };
    let mut previews = Vec::new();
    for raw in found {
        let (raw, exists) = match &args.filename {
            Some(_) => world.as_if_applied(raw).await?,
            None => (raw, true),
        };
        previews.push(world.plan(&raw, exists, &mut objects).await?);
    }
    print(&previews, args.output, args.filename.is_none())?;
    let refused = args.filename.is_some() && previews.iter().any(|p| !p.violations.is_empty());
    Ok(ExitCode::from(u8::from(refused)))
}

async fn get(client: &Client, namespace: &str, name: &str) -> Result<Option<DynamicObject>, Failure> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource());
    match api.get_opt(name).await {
        Ok(found) => Ok(found),
        Err(error) => Err(anyhow!(
            "the DockerDeployment {namespace}/{name} cannot be read: {}; see `supercargo doctor`",
            connect::told(&error)
        )
        .into()),
    }
}

/// The object as the API server has it.
pub(super) async fn stored(client: &Client, namespace: &str, name: &str) -> Result<Value, Failure> {
    match get(client, namespace, name).await? {
        Some(object) => Ok(serde_json::to_value(object)?),
        None => Err(anyhow!(
            "there is no DockerDeployment {namespace}/{name}; `kubectl get ddep -n {namespace}` lists those that exist"
        )
        .into()),
    }
}

impl World {
    /// The manifest with what the API server would put to it: identity, status, and annotations that others set.
    async fn as_if_applied(&self, mut raw: Value) -> Result<(Value, bool), Failure> {
        let text = |at: &str| {
            raw.pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let live = match get(&self.client, &namespace, &name).await? {
            Some(live) => serde_json::to_value(live)?,
            None => {
                eprintln!(
                    "{namespace}/{name} is not stored yet: names of containers will end in other digits"
                );
                raw["metadata"]["uid"] = json!(NOT_STORED);
                raw["metadata"]["resourceVersion"] = json!("0");
                raw["metadata"]["generation"] = json!(1);
                return Ok((raw, false));
            }
        };
        merge(&mut raw, &live);
        Ok((raw, true))
    }

    async fn plan(&self, raw: &Value, stored: bool, objects: &mut Objects) -> Result<Preview, Failure> {
        let object: DynamicObject = serde_json::from_value(raw.clone())
            .context("the object's metadata cannot be read; correct it")?;
        let id = Identity::of(&object, &self.options.instance)?;
        let namespace = &id.owner.namespace;
        let read = objects.read(&self.client, namespace, raw.get("spec").unwrap_or(&Value::Null));
        read.await.map_err(lookup_failure)?;
        let views = connect::containers(&self.engine, label::NAMESPACE, namespace).await;
        let views = views.map_err(connect::engine_failure)?;
        let opener = self.opener(&id, &views, &status(raw));
        let wish = self.wish(raw, &id, objects, &opener, &views);
        let around = Surroundings::default().look(&self.engine, &wish.desired).await;
        let around = around.map_err(connect::engine_failure)?;
        let (networks, image) = (&around.networks, around.image.is_some());
        let observed = Observed::of(&id.owner, views, networks, &self.options.host_routes, image);
        let mut observed = plan_files::with_host(observed, &id.owner).await;
        let files = wish.desired.files();
        if !files.is_empty() {
            // It names the volumes.
            let known = Book::default().noswap(&self.engine).await;
            observed.files.noswap = known.map_err(connect::engine_failure)?;
        }
        // What is assumed is compared with nothing.
        if !files
            .iter()
            .flat_map(|volume| &volume.files)
            .any(|file| file.fingerprint == UNKNOWN)
        {
            let looked = plan_files::look(&self.engine, observed).await;
            observed = looked.map_err(connect::engine_failure)?;
        }
        observed
            .files
            .find_user(&wish.desired, around.image.as_ref(), |_not_looked_up| None);
        let plan = self.decide(raw, &wish.desired, &observed);
        note(&id, &plan);
        let violations = wish.violations.iter().map(ToString::to_string).collect();
        Ok(Preview {
            namespace: id.owner.namespace,
            name: id.owner.name,
            stored,
            assumed: opener.assumes() && !wish.resolution.uses.is_empty(),
            revision: wish.desired.revision(),
            violations,
            unresolved: unresolved(&wish.resolution),
            plan,
        })
    }

    /// Opens values with the ring, or takes them for those that the newest container was given.
    fn opener(&self, id: &Identity, views: &[ContainerView], status: &DockerDeploymentStatus) -> Opener {
        let Ok(ring) = &self.ring else {
            let observed = Observed::of(&id.owner, views.to_vec(), &[], &[], false);
            let newest = observed.replicas.into_iter().max_by_key(|r| r.view.created_at);
            let mut fingerprints = newest.map(|r| r.fingerprints).unwrap_or_default();
            // Files are no part of what a container was made with.
            let Fingerprints { values, .. } = written(status);
            for (reference, fingerprint) in values {
                fingerprints.values.entry(reference).or_insert(fingerprint);
            }
            return Opener::assuming(&id.owner.namespace, fingerprints);
        };
        Opener::new(Arc::clone(ring))
    }

    fn wish(
        &self,
        raw: &Value,
        id: &Identity,
        objects: &Objects,
        opener: &Opener,
        views: &[ContainerView],
    ) -> Wish {
        if id.deleting {
            let grace = raw.pointer("/spec/template/spec/terminationGracePeriodSeconds");
            let grace = grace.and_then(Value::as_i64).unwrap_or(DEFAULT_GRACE).max(0);
            return Wish {
                desired: Desired::nothing(id.owner.clone(), id.generation, grace),
                valid: None,
                violations: Vec::new(),
                resolution: Resolution::default(),
                at: System.now(),
            };
        }
        let means = Means {
            policy: &self.options.policy,
            settings: &self.options.settings,
            source: objects,
            opener,
            views,
            now: System.now(),
        };
        wish(id.owner.clone(), id.generation, raw, &means)
    }

    fn decide(&self, raw: &Value, desired: &Desired, observed: &Observed) -> Plan {
        let status = status(raw);
        let mut restarts = BTreeMap::new();
        account_restarts(observed, &remembered(&status, observed), &mut restarts);
        let inputs = plan::Inputs {
            restarts,
            ..plan::Inputs::at(System.now(), self.options.pool)
        };
        plan::plan(desired, observed, &inputs)
    }
}

fn status(raw: &Value) -> DockerDeploymentStatus {
    let status = raw.get("status");
    status
        .and_then(|status| serde_json::from_value(status.clone()).ok())
        .unwrap_or_default()
}

/// References could not be looked up.
pub(super) fn lookup_failure(error: kube::Error) -> Failure {
    let why = connect::told(&error);
    anyhow!("what the object refers to cannot be read: {why}; see `supercargo doctor`").into()
}

/// What applying keeps of the live object.
fn merge(raw: &mut Value, live: &Value) {
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "finalizers",
    ] {
        if let Some(value) = live["metadata"].get(field) {
            raw["metadata"][field] = value.clone();
        }
    }
    for field in ["annotations", "labels"] {
        let mut all = live["metadata"]
            .get(field)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let own = raw["metadata"].get(field).and_then(Value::as_object).cloned();
        all.extend(own.unwrap_or_default());
        if !all.is_empty() {
            raw["metadata"][field] = Value::Object(all);
        }
    }
    let generation = live["metadata"]
        .get("generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let same = raw.get("spec") == live.get("spec");
    raw["metadata"]["generation"] = json!(generation + i64::from(!same));
    if let Some(status) = live.get("status") {
        raw["status"] = status.clone();
    }
}

fn unresolved(resolution: &Resolution) -> Vec<String> {
    let failures = resolution.failures.iter().map(ToString::to_string);
    let problems = resolution
        .invalid
        .iter()
        .chain(&resolution.config)
        .map(ToString::to_string);
    failures.chain(problems).collect()
}

/// What keeps the operator from carrying the plan out.
fn note(id: &Identity, plan: &Plan) {
    let who = format!("{}/{}", id.owner.namespace, id.owner.name);
    if plan.is_empty() {
        return;
    }
    if id.suspended {
        eprintln!("{who} is suspended by its annotation: the operator plans this and does not do it");
    }
    if id.deleting && (id.orphan || id.force_delete) {
        eprintln!(
            "{who} is being deleted and its annotation says to leave the containers: the operator does not do this"
        );
    }
}

fn text(preview: &Preview) -> String {
    let revision = preview
        .revision
        .as_ref()
        .map(|r| format!(" (revision {r})"))
        .unwrap_or_default();
    let mut out = format!("{}/{}{revision}\n", preview.namespace, preview.name);
    for line in preview.plan.to_string().lines() {
        out.push_str(&format!("  {line}\n"));
    }
    for why in preview.violations.iter().chain(&preview.unresolved) {
        out.push_str(&format!("  because {why}\n"));
    }
    out
}

fn print(previews: &[Preview], format: Format, one: bool) -> Result<(), Failure> {
    match format {
        Format::Table => output::data(&previews.iter().map(text).collect::<String>())?,
        Format::Name => {
            let names = previews.iter().filter(|p| !p.plan.is_empty());
            let line = |p: &Preview| format!("dockerdeployment.supercargo.dev/{}\n", p.name);
            output::data(&names.map(line).collect::<String>())?;
        }
        Format::Json | Format::Yaml => match previews {
            [preview] if one => output::document(preview, format)?,
            all => output::document(&all, format)?,
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_keeps_the_live_identity_and_what_others_annotated() {
        let live = json!({"metadata": {"uid": "u", "resourceVersion": "7", "generation": 3, "annotations": {"a": "1", "b": "1"}},
            "spec": {"replicas": 1}, "status": {"replicas": 1}});
        let mut same =
            json!({"metadata": {"name": "web", "annotations": {"b": "2"}}, "spec": {"replicas": 1}});
        merge(&mut same, &live);
        assert_eq!(same["metadata"]["uid"], "u");
        assert_eq!(same["metadata"]["generation"], 3);
        assert_eq!(same["metadata"]["annotations"], json!({"a": "1", "b": "2"}));
        assert_eq!(same["status"]["replicas"], 1);
        let mut other = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2}});
        merge(&mut other, &live);
        assert_eq!(other["metadata"]["generation"], 4);
    }

    #[test]
    fn the_text_names_the_object_and_says_why_not() {
        let preview = Preview {
            namespace: "shop".into(),
            name: "web".into(),
            stored: true,
            assumed: false,
            revision: Some("r1".into()),
            violations: Vec::new(),
            unresolved: vec!["SecretNotFound: x".into()],
            plan: Plan::default(),
        };
        assert_eq!(
            text(&preview),
            "shop/web (revision r1)\n  nothing to do\n  because SecretNotFound: x\n"
        );
    }
}
