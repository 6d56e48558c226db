//! The verb `rollout`: its list of verbs, how their deployments are named and found, and the history as they all read it.
//! Each verb is a file of its own: `rollout_status` waits, `rollout_history` shows, `rollout_undo` goes back, and
//! `rollout_change` restarts, pauses and resumes. They work on any API server; none needs the engine. Called by `mod`.

use std::process::ExitCode;

use anyhow::anyhow;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};

use super::rollout_change::Change;
use super::{
    Failure, Outcome, block_on, connect, logs_args, rollout_change, rollout_history, rollout_status,
    rollout_undo,
};
use crate::api::keys::{annotation, label};
use crate::api::{DockerDeployment, PodTemplate};
use crate::controllers::object::resource;
use crate::state::history::template_in;

/// Flags of `rollout`.
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
    /// Wait until what runs is what is written, and say how far it is; exit 1 when it cannot get there
    Status(rollout_status::Args),
    /// List the templates that there were, or show one of them
    History(rollout_history::Args),
    /// Go back to an earlier template
    Undo(rollout_undo::Args),
    /// Replace every instance by one of the same template, as a rollout does
    Restart(Which),
    /// Hold rollouts: a changed template waits; restarts and scaling go on
    Pause(Which),
    /// Let rollouts go on
    Resume(Which),
}

/// One deployment or several.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// DockerDeployments: NAME or ddep/NAME
    #[arg(value_name = "NAME", value_parser = logs_args::deployment, required_unless_present = "selector", conflicts_with = "selector")]
    names: Vec<String>,
    /// Those with these labels, such as app=web,tier!=test
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: Args) -> Outcome {
    block_on(async {
        let place = Place::of(args.namespace.as_deref()).await?;
        match args.verb {
            Verb::Status(args) => rollout_status::run(&place, &args).await,
            Verb::History(args) => rollout_history::run(&place, &args).await,
            Verb::Undo(args) => rollout_undo::run(&place, &args).await,
            Verb::Restart(which) => rollout_change::run(&place, &which, Change::Restart).await,
            Verb::Pause(which) => rollout_change::run(&place, &which, Change::Pause).await,
            Verb::Resume(which) => rollout_change::run(&place, &which, Change::Resume).await,
        }
    })
}

/// An API server and a namespace of it.
pub(super) struct Place {
    client: Client,
    pub(super) namespace: String,
}

impl Place {
    async fn of(namespace: Option<&str>) -> Result<Self, Failure> {
        let (client, namespace) = connect::kube_in(namespace).await?;
        Ok(Self { client, namespace })
    }

    /// The deployments of the namespace.
    pub(super) fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource())
    }

    /// The names that are meant; those of a selector are asked for.
    pub(super) async fn names(&self, which: &Which) -> Result<Vec<String>, Failure> {
        let Some(selector) = &which.selector else {
            return Ok(which.names.clone());
        };
        let found = self.api().list(&ListParams::default().labels(selector)).await;
        let found = found.map_err(|error| self.failed("the DockerDeployments cannot be listed", &error))?;
        if found.items.is_empty() {
            return Err(anyhow!(
                "no DockerDeployment in {} has the labels {selector}",
                self.namespace
            )
            .into());
        }
        Ok(found.iter().map(ResourceExt::name_any).collect())
    }

    /// Does something with each that is meant; goes on after one that fails, and says so at the end.
    pub(super) async fn each(
        &self,
        which: &Which,
        failure: &str,
        act: impl AsyncFn(&str) -> Result<(), Failure>,
    ) -> Outcome {
        let names = self.names(which).await?;
        let mut failed = Vec::new();
        for name in &names {
            match act(name).await {
                Ok(()) => {}
                Err(Failure::Failed(error)) if names.len() > 1 => {
                    eprintln!("error: {error}");
                    failed.push(name.as_str());
                }
                Err(error) => return Err(error),
            }
        }
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let (count, all, failed) = (failed.len(), names.len(), failed.join(", "));
        Err(anyhow!("{count} of {all} {failure}: {failed}").into())
    }

    /// One as it is stored.
    pub(super) async fn get(&self, name: &str) -> Result<DynamicObject, Failure> {
        match self.api().get_opt(name).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(self.absent(name)),
            Err(error) => Err(self.failed(&format!("{} cannot be read", self.full(name)), &error)),
        }
    }

    /// That there is no such deployment.
    pub(super) fn absent(&self, name: &str) -> Failure {
        let namespace = &self.namespace;
        anyhow!("there is no DockerDeployment {namespace}/{name}; `kubectl get ddep -n {namespace}` lists those that exist")
            .into()
    }

    fn full(&self, name: &str) -> String {
        format!("the DockerDeployment {}/{name}", self.namespace)
    }

    /// What the API server says to a request, after what was wanted of it.
    pub(super) fn failed(&self, what: &str, error: &kube::Error) -> Failure {
        anyhow!("{what}: {}; see `supercargo doctor`", connect::told(error)).into()
    }

    /// The history of an object, the oldest first.
    pub(super) async fn history(&self, object: &DynamicObject) -> Result<Vec<Past>, Failure> {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let api: Api<ControllerRevision> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().labels(&format!("{}={uid}", label::UID));
        let found = api.list(&params).await;
        let found = found.map_err(|error| {
            self.failed(
                &format!("the history of {} cannot be read", object.name_any()),
                &error,
            )
        })?;
        let mut history: Vec<Past> = found.items.into_iter().map(Past::of).collect();
        history.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        Ok(history)
    }
}

/// One template that there was, or is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    /// The name of its ControllerRevision.
    pub(super) name: String,
    pub(super) number: i64,
    pub(super) cause: Option<String>,
    /// Absent when what is kept is no template.
    pub(super) template: Option<PodTemplate>,
}

impl Past {
    fn of(revision: ControllerRevision) -> Self {
        let annotations = revision.metadata.annotations.unwrap_or_default();
        Self {
            name: revision.metadata.name.unwrap_or_default(),
            number: revision.revision.unwrap_or_default(),
            cause: annotations.get(annotation::CHANGE_CAUSE).cloned(),
            template: template_in(&revision.data.0),
        }
    }
}

/// An object as its type has it.
pub(super) fn typed(object: &DynamicObject) -> Result<DockerDeployment, Failure> {
    let raw = serde_json::to_value(object)?;
    serde_path_to_error::deserialize(&raw).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner());
        anyhow!("{} is not valid: {path}: {cause}; correct it", object.name_any()).into()
    })
}

/// How a deployment is called in what these verbs print.
pub(super) fn called(name: &str) -> String {
    format!("dockerdeployment.supercargo.dev/{name}")
}

/// That a revision is not there.
pub(super) fn no_revision(name: &str, number: i64) -> Failure {
    anyhow!("there is no revision {number} of {name}; `supercargo rollout history {name}` lists those that are kept").into()
}
