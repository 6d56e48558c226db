//! Runs a plan against an engine: the only room that changes Docker. Every action's precondition is looked at again
//! right before it acts; what is not ours is never touched. No choice of policy is made here and nothing is slept on:
//! what takes long is watched ([`watched`]), what fails is reported, and the next plan decides. Called by `controllers`.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, join_all};

use crate::{
    api::keys::label,
    engine::{self, Engine, Kind},
    plan::{Action, Chain, Plan, Target},
    state::{
        container::{ContainerId, ContainerSpec, RunState},
        owner::Owner,
        plaintext::{RegistryCredential, SecretEnv},
    },
};

mod agent;
mod book;
mod drift;
mod files;
mod host;
pub mod program;
mod program_volume;
mod user;
pub mod watched;

pub use crate::plan::outcome::{Outcome, Report, Skipped};
pub use book::Book;
pub use host::{HostFiles, apart};
pub use program::Program;
pub use user::knows_noswap;
pub use watched::{Remember, Wake, Watched};

/// The credential for a registry, if there is one, or why that is not known.
pub type Login = BoxFuture<'static, engine::Result<Option<RegistryCredential>>>;

/// The bytes that a plan's slots stand for, wiped when the run is over.
#[derive(Default)]
pub struct Supplies {
    /// Environment values.
    pub env: SecretEnv,
    /// Gives the credential for the image's registry. Asked when a pull begins, and then beside everything else.
    pub credential: Option<Login>,
    /// Fingerprints of the secrets that the credential came from; see [`pull_key`].
    pub credentials: String,
}

/// Runs plans.
pub struct Executor<E> {
    engine: Arc<E>,
    watched: Arc<Watched>,
    program: Arc<Program>,
    /// One agent at a time is looked after: all deployments of a namespace want theirs at the same moment.
    agents: Arc<tokio::sync::Mutex<()>>,
    /// One at a time fills or sweeps volumes of the program.
    programs: Arc<tokio::sync::Mutex<()>>,
    files: Arc<Book>,
    host: Option<HostFiles>,
}

impl<E> Clone for Executor<E> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            watched: Arc::clone(&self.watched),
            program: Arc::clone(&self.program),
            agents: Arc::clone(&self.agents),
            programs: Arc::clone(&self.programs),
            files: Arc::clone(&self.files),
            host: self.host.clone(),
        }
    }
}

/// One run of one plan.
struct Run<'a, E> {
    executor: &'a Executor<E>,
    owner: &'a Owner,
    env: &'a SecretEnv,
    credential: Mutex<Option<Login>>,
    credentials: &'a str,
    touched: Mutex<Vec<ContainerId>>,
}

impl<E: Engine> Executor<E> {
    /// An executor on an engine.
    #[must_use]
    pub fn new(engine: Arc<E>, watched: Arc<Watched>, program: Arc<Program>) -> Self {
        Self {
            engine,
            watched,
            program,
            agents: Arc::default(),
            programs: Arc::default(),
            files: Arc::default(),
            host: None,
        }
    }

    /// The same, keeping new volumes with files in a directory of the host.
    #[must_use]
    pub fn keeping_files(self, host: Option<HostFiles>) -> Self {
        Self { host, ..self }
    }

    /// The calls that it watches.
    #[must_use]
    pub fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// What it has found out about files.
    #[must_use]
    pub fn files(&self) -> &Book {
        &self.files
    }

    /// Runs the stages in order, the chains of a stage side by side; stops after a stage in which something failed.
    /// Answers with a report per action that was begun, and the containers that changed.
    pub async fn run(
        &self,
        owner: &Owner,
        plan: &Plan,
        supplies: Supplies,
    ) -> (Vec<Report>, Vec<ContainerId>) {
        let Supplies {
            env,
            credential,
            credentials,
        } = supplies;
        let run = Run {
            executor: self,
            owner,
            env: &env,
            credential: Mutex::new(credential),
            credentials: &credentials,
            touched: Mutex::default(),
        };
        let mut reports = Vec::new();
        for stage in &plan.stages {
            let ended = join_all(stage.iter().map(|chain| run.chain(chain))).await;
            reports.extend(ended.into_iter().flatten());
            if reports
                .iter()
                .any(|r| matches!(r.outcome, Outcome::Failed(_) | Outcome::Foreign { .. }))
            {
                break;
            }
        }
        let touched = run.touched.into_inner().unwrap_or_else(PoisonError::into_inner);
        (reports, touched)
    }
}

/// The key of a pull among the watched calls. `credentials` are fingerprints of what it logs in with: a corrected
/// credential is another pull, which does not wait for the back-off of the one that was refused.
#[must_use]
pub fn pull_key(owner: &Owner, image: &str, credentials: &str) -> String {
    format!("{} pull {image} {credentials}", owner.uid)
}

fn stop_key(owner: &Owner, id: &ContainerId) -> String {
    format!("{} stop {id}", owner.uid)
}

impl<E: Engine> Run<'_, E> {
    fn engine(&self) -> &E {
        &self.executor.engine
    }

    fn touch(&self, id: &ContainerId) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(id.clone());
    }

    async fn chain(&self, chain: &Chain) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut made = None;
        for action in chain {
            let began = tokio::time::Instant::now();
            let outcome = match self.act(action, &mut made).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::Failed(error),
            };
            let report = Report::of(action, outcome, began.elapsed());
            let end = report.ends_chain();
            reports.push(report);
            if end {
                break;
            }
        }
        reports
    }

    async fn act(&self, action: &Action, made: &mut Option<ContainerId>) -> engine::Result<Outcome> {
        if let Some(target) = action.target() {
            self.touch(&target.id);
            if let Some(skipped) = self.guard(target, action).await? {
                return Ok(Outcome::Skipped(skipped));
            }
        }
        let engine = self.engine();
        match action {
            Action::EnsureNetwork { network } => match engine.create_network(network).await {
                Err(error) if error.kind == Kind::Conflict => {
                    self.adopt_network(&network.name, error).await?
                }
                other => other.map(|_id| ())?,
            },
            Action::Files(files) => return self.files(files, made.as_ref()).await,
            Action::EnsureAgent { spec } => return self.ensure_agent(spec).await,
            Action::RemoveAgent { id, .. } => return self.remove_agent(id).await,
            Action::EnsureVolume { volume } => engine.create_volume(volume).await?,
            Action::Pull { image, .. } => return Ok(self.pull(image)),
            Action::Create { spec, .. } => match self.create(spec).await? {
                Ok(id) => *made = Some(id),
                Err(foreign) => return Ok(foreign),
            },
            Action::StartCreated { .. } => {
                if let Some(id) = made.as_ref() {
                    self.start(id).await?;
                }
            }
            Action::Start { target, .. } => self.start(&target.id).await?,
            Action::Unpause { target, .. } => engine.unpause_container(&target.id).await?,
            Action::Rename { target, to } => engine.rename_container(&target.id, to).await?,
            Action::Update { target, limits } => engine.update_container(&target.id, limits).await?,
            Action::Connect {
                target,
                network,
                aliases,
            } => {
                engine.connect_network(network, &target.id, aliases).await?;
            }
            Action::Disconnect { target, network } => engine.disconnect_network(network, &target.id).await?,
            Action::Stop {
                target,
                grace_seconds,
                ..
            } => return self.stop(target, *grace_seconds),
            Action::Remove { target, .. } => {
                engine.remove_container(&target.id, false).await?;
                self.executor.files.forget(&target.id);
            }
            Action::RemoveNetwork { id, .. } => engine.remove_network(id).await?,
        }
        Ok(Outcome::Done)
    }

    /// Whether the container is still the one that the plan meant.
    async fn guard(&self, target: &Target, action: &Action) -> engine::Result<Option<Skipped>> {
        let view = match self.engine().inspect_container(target.id.as_str()).await {
            Ok(view) => view,
            Err(error) if error.kind == Kind::NotFound => return Ok(Some(Skipped::Gone)),
            Err(error) => return Err(error),
        };
        let revision = view.label(label::REVISION);
        if !self.owner.owns(&view.labels) || target.owner_uid != self.owner.uid || revision != target.revision
        {
            return Ok(Some(Skipped::NotOurs));
        }
        let running = matches!(
            view.state,
            RunState::Running | RunState::Paused | RunState::Restarting
        );
        match action {
            Action::Start { .. } if running => Ok(Some(Skipped::Running)),
            Action::Remove { .. } if running => Ok(Some(Skipped::NotOurs)),
            _ => Ok(None),
        }
    }

    /// A network of that name exists: ours, made by another reconcile or before a lost reply, or a stranger's.
    async fn adopt_network(&self, name: &str, conflict: engine::Error) -> engine::Result<()> {
        let networks = self.engine().list_networks().await?;
        let ours = networks.iter().any(|network| {
            network.name == name
                && network.labels.get(label::INSTANCE).map(String::as_str)
                    == Some(self.owner.instance.as_str())
        });
        if ours { Ok(()) } else { Err(conflict) }
    }

    /// Makes a container, or finds the one that an earlier, unanswered call made.
    async fn create(&self, spec: &ContainerSpec) -> engine::Result<Result<ContainerId, Outcome>> {
        let conflict = match self.engine().create_container(spec, self.env).await {
            Ok(id) => {
                self.touch(&id);
                return Ok(Ok(id));
            }
            Err(error) if error.kind == Kind::Conflict => error,
            Err(error) => return Err(error),
        };
        let view = match self.engine().inspect_container(&spec.name).await {
            Ok(view) => view,
            // It held the name and is gone: the next plan makes it anew.
            Err(error) if error.kind == Kind::NotFound => return Err(conflict),
            Err(error) => return Err(error),
        };
        self.touch(&view.id);
        // The generation may differ: scaling between two tries changes it and nothing else.
        let same = |key: &str| view.labels.get(key) == spec.labels.get(key);
        if self.owner.owns(&view.labels) && same(label::REVISION) && same(label::REPLICA) {
            return Ok(Ok(view.id));
        }
        Ok(Err(Outcome::Foreign { id: view.id }))
    }

    /// Starts it. What no engine can start goes: as far as the engine knows it never ran, and the next plan makes another.
    async fn start(&self, id: &ContainerId) -> engine::Result<()> {
        let started = self.engine().start_container(id).await;
        if started
            .as_ref()
            .is_err_and(|error| error.kind == Kind::Unstartable)
        {
            self.engine().remove_container(id, true).await?;
        }
        started
    }

    fn pull(&self, image: &str) -> Outcome {
        let credential = self
            .credential
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let engine = Arc::clone(&self.executor.engine);
        let reference = image.to_owned();
        let began = self.executor.watched.begin(
            pull_key(self.owner, image, self.credentials),
            self.owner.clone(),
            Remember::Outcome,
            async move {
                let credential = match credential {
                    Some(login) => login.await?,
                    None => None,
                };
                engine.pull_image(&reference, credential.as_ref()).await
            },
        );
        begun(began)
    }

    fn stop(&self, target: &Target, grace_seconds: i64) -> engine::Result<Outcome> {
        let key = stop_key(self.owner, &target.id);
        if let Some(error) = self.executor.watched.take_failure(&key) {
            return Err(error);
        }
        self.executor.watched.forget(&key);
        let engine = Arc::clone(&self.executor.engine);
        let id = target.id.clone();
        let began = self
            .executor
            .watched
            .begin(key, self.owner.clone(), Remember::Failure, async move {
                engine.stop_container(&id, grace_seconds).await
            });
        Ok(begun(began))
    }
}

/// Whose container is being stopped, among the watched calls.
#[must_use]
pub fn stop_target(owner: &Owner, key: &str) -> Option<ContainerId> {
    let id = key.strip_prefix(owner.uid.as_str())?.strip_prefix(" stop ")?;
    Some(ContainerId::new(id))
}

fn begun(began: bool) -> Outcome {
    if began { Outcome::UnderWay } else { Outcome::Joined }
}
