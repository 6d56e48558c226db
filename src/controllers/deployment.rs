//! The shell of a `DockerDeployment`: seven steps, each a call into one room, and nothing decided here.
//!
//! ```text
//! 1 guard -> 2 resolve -> 3 desired --\
//!                                      5 plan -> 6 execute -> 7 publish
//! engine ---------------> 4 observe --/
//! ```
//! After an execution it observes and plans again, until there is nothing left to do now; then it publishes. `Err` means
//! "could not find out, or could not write"; not being ready is an outcome. Deletion: `teardown`; step 7: `telling`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::FutureExt;
use kube::{api::DynamicObject, runtime::controller::Action};
use serde_json::Value;
use tokio::sync::MutexGuard;

use super::{
    audit_lines,
    context::{Context, LOCAL_HOST},
    history,
    host::Subject,
    looks::Around,
    memory::Memory,
    object::{Identity, ObjectError},
    publish, roster, teardown,
    wish::{self, Means, Wish},
};
use crate::{
    api::{keys, status::DockerDeploymentStatus, validate::Validated},
    engine::{self, Engine, Kind, Op},
    execute::{Login, Outcome, Report, Supplies, pull_key, stop_target},
    plan::{self, Plan, Pull},
    secrets::{open::Opener, pull, resolve},
    state::{
        container::ContainerId,
        desired::{Desired, Template},
        files::Holder,
        observed::Observed,
    },
    status::remembered::{remembered, remembered_health},
};

/// How many times in one reconcile it observes, plans and executes; the next reconcile goes on.
const ROUNDS: usize = 12;

/// Why a reconcile could not find out or could not write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine is away or did not answer.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The API server refused or is away.
    #[error("could not write to the API server")]
    Kube(#[from] kube::Error),
    /// The object is not what the API server should hand out.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// One object on its way through the steps.
pub(super) struct Pass<'a, E> {
    pub(super) ctx: &'a Context<E>,
    pub(super) id: Identity,
    pub(super) raw: &'a Value,
    /// The status as it was read.
    pub(super) seen: DockerDeploymentStatus,
    /// The status that people have been told, in this pass too.
    pub(super) before: DockerDeploymentStatus,
}

/// Brings one deployment to what is written.
///
/// # Errors
/// [`Error`]; the object is tried again after a pause.
pub async fn reconcile<E: Engine>(object: Arc<DynamicObject>, ctx: Arc<Context<E>>) -> Result<Action, Error> {
    let id = Identity::of(&object, &ctx.options.instance)?;
    let raw = serde_json::to_value(&*object).map_err(ObjectError::from)?;
    let seen = raw
        .get("status")
        .and_then(|s| serde_json::from_value(s.clone()).ok())
        .unwrap_or_default();
    let before = ctx.written.or(&id.owner.uid, &id.version, seen);
    let pass = Pass {
        ctx: &ctx,
        id,
        raw: &raw,
        seen: before.clone(),
        before,
    };
    if pass.id.deleting {
        return teardown::run(&pass).await;
    }
    if !pass.id.has_finalizer {
        // Before the first container, so that no deletion can pass us by. The change wakes us again.
        pass.id.add_finalizer(&ctx.client).await?;
        return Ok(Action::await_change());
    }
    pass.run().await
}

impl<E: Engine> Pass<'_, E> {
    async fn run(mut self) -> Result<Action, Error> {
        self.refresh_if_asked();
        let wish = self.wish();
        history::keep(&self, &wish);
        if self.ctx.host.containers(&self.id.owner.namespace).is_err() {
            return publish::host_away(&self, &wish.desired).await;
        }
        let mut memory = Memory::default();
        let mut reports = Vec::new();
        let mut announced = self.before.observed_generation == self.id.generation;
        for _ in 0..ROUNDS {
            let (observed, plan) = self.decide(&wish, &mut memory).await?;
            if plan.is_empty() || self.id.suspended {
                return self.publish(&wish, &observed, &plan, &reports, &memory).await;
            }
            let ended = if announced {
                self.act(&wish, plan, &mut memory).await?
            } else {
                announced = true;
                self.announce_and_act(&wish, &observed, plan, &mut memory).await?
            };
            let waits = ended
                .iter()
                .any(|r| !matches!(r.outcome, Outcome::Done | Outcome::Skipped(_)));
            reports.extend(ended);
            if waits {
                let (observed, plan) = self.decide(&wish, &mut memory).await?;
                return self.publish(&wish, &observed, &plan, &reports, &memory).await;
            }
        }
        let (observed, plan) = self.decide(&wish, &mut memory).await?;
        self.publish(&wish, &observed, &plan, &reports, &memory).await?;
        Ok(Action::requeue(Duration::from_secs(1)))
    }

    /// Says that work on a new generation has begun while it begins: no container waits for that, and a status that
    /// cannot be written now is written at the end, or by the next reconcile.
    async fn announce_and_act(
        &mut self,
        wish: &Wish,
        observed: &Observed,
        plan: Plan,
        memory: &mut Memory,
    ) -> Result<Vec<Report>, Error> {
        let (planned, known) = (plan.clone(), memory.clone());
        let telling = self.tell(wish, observed, &planned, &[], &known);
        let (told, ended) = futures::join!(telling, self.act(wish, plan, memory));
        if let Ok((_, status)) = &told {
            self.before = status.clone();
        }
        let ended = ended?;
        told?;
        Ok(ended)
    }

    /// Step 6, in its turn.
    async fn act(&self, wish: &Wish, plan: Plan, memory: &mut Memory) -> Result<Vec<Report>, Error> {
        let (plan, turn) = self.take_turn(wish, plan, memory).await?;
        let ended = self.execute(wish, &plan).await;
        drop(turn);
        let is_done = |reports: &Vec<Report>| reports.iter().all(|r| r.outcome == Outcome::Done);
        if !plan.only_starts() || !ended.as_ref().is_ok_and(is_done) {
            memory.around = None;
        }
        ended
    }

    /// Waits for its turn where a network is to be made, and decides again: by then others have taken theirs.
    async fn take_turn(
        &self,
        wish: &Wish,
        plan: Plan,
        memory: &mut Memory,
    ) -> Result<(Plan, Option<MutexGuard<'_, ()>>), Error> {
        if !plan.makes_network() {
            return Ok((plan, None));
        }
        let turn = self.ctx.host.network_turn().await;
        memory.around = None;
        let (_, plan) = self.decide(wish, memory).await?;
        let turn = plan.makes_network().then_some(turn);
        Ok((plan, turn))
    }

    /// Steps 1 to 3.
    fn wish(&self) -> Wish {
        let means = Means {
            policy: &self.ctx.options.policy,
            settings: &self.ctx.options.settings,
            source: &*self.ctx.shelves,
            opener: &self.ctx.ring.opener(),
            views: &self
                .ctx
                .host
                .containers(&self.id.owner.namespace)
                .unwrap_or_default(),
            now: self.ctx.clock.now(),
        };
        wish::wish(self.id.owner.clone(), self.id.generation, self.raw, &means)
    }

    /// Steps 4 and 5.
    async fn decide(&self, wish: &Wish, memory: &mut Memory) -> Result<(Observed, Plan), Error> {
        let mut observed = self.observe(&wish.desired, memory).await?;
        let now = self.ctx.clock.now();
        self.ctx.moments.correct(&self.id.owner.uid, &mut observed, now);
        memory.account(&observed, &remembered(&self.before, &observed));
        let inputs = plan::Inputs {
            now,
            restarts: memory.restarts.clone(),
            pull: self.pull(wish).0,
            pool: self.ctx.options.pool,
            out_of_service: self.ctx.agents.out_of_service(&self.subject()),
            ending: self.ending(),
        };
        let plan = plan::plan(&wish.desired, &observed, &inputs);
        let nobody = BTreeSet::new();
        let withdrawn = if self.id.suspended {
            &nobody
        } else {
            &plan.withdrawn
        };
        let members = roster::members(&wish.desired, &observed, withdrawn);
        self.ctx.agents.publish(&self.subject(), members);
        Ok((observed, plan))
    }

    /// The object, as the host and the agents know it.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            namespace: self.id.owner.namespace.clone(),
            name: self.id.owner.name.clone(),
        }
    }

    /// Containers that have been told to end.
    fn ending(&self) -> BTreeSet<ContainerId> {
        let owner = &self.id.owner;
        let calls = self.ctx.executor.watched().under_way(&owner.uid);
        calls.iter().filter_map(|key| stop_target(owner, key)).collect()
    }

    /// Step 4. What is around the containers is looked at once in a pass that only makes and starts some.
    pub(super) async fn observe(&self, desired: &Desired, memory: &mut Memory) -> Result<Observed, Error> {
        // What the operator keeps itself is looked at in every pass: that is cheap, and nobody tells of a change.
        let kept = || self.ctx.executor.host_holders(&self.id.owner);
        if let Some(around) = &memory.around {
            let observed = self.seen(desired, around, kept().await?)?;
            // Otherwise one is on a network that has come since.
            if observed.stranded.is_empty() {
                return Ok(observed);
            }
        }
        let engine = &**self.ctx.host.engine();
        self.ctx
            .executor
            .files()
            .at_connection(self.ctx.host.connection());
        let mut around = self.ctx.host.surroundings().look(engine, desired).await?;
        if !desired.files().is_empty() {
            around.noswap = self.ctx.executor.files().noswap(engine).await?;
        }
        let around = memory.around.insert(Arc::new(around));
        self.seen(desired, around, kept().await?)
    }

    fn seen(
        &self,
        desired: &Desired,
        around: &Around,
        (root, kept): (Option<String>, Vec<Holder>),
    ) -> Result<Observed, Error> {
        let views = self
            .ctx
            .host
            .containers(&self.id.owner.namespace)
            .map_err(|away| engine::Error {
                op: engine::Op::ListContainers,
                subject: String::new(),
                kind: Kind::Unreachable,
                message: away.to_string(),
            })?;
        let observed = Observed::of(
            &self.id.owner,
            views,
            &around.networks,
            &self.ctx.options.host_routes,
            around.image.is_some(),
        )
        .with_host(root, kept);
        // What an agent says is newer than what the status remembers.
        let told = remembered_health(&self.before, &observed);
        let observed = observed
            .with_health(&told)
            .with_health(&self.ctx.agents.known(&self.subject()));
        let answers = self.ctx.commands.watch(&self.subject(), &observed);
        let book = self.ctx.executor.files();
        let (delivered, shown) = book.of(&observed);
        let mut observed = observed.with_answers(&answers).with_files(&delivered, &shown);
        observed.files.noswap = around.noswap;
        let own = self.ctx.options.host_files.as_ref();
        observed.files.host_swaps = own.is_some_and(|own| !own.noswap());
        let now = self.ctx.clock.now();
        let due = self.ctx.checks.due(&self.id.owner.uid, now);
        observed.files.now = now;
        observed.files.check = due.is_some_and(|due| due <= now);
        observed
            .files
            .find_user(desired, around.image.as_ref(), |lookup| book.user(lookup));
        Ok(observed)
    }

    pub(super) fn pull(&self, wish: &Wish) -> (Pull, Option<engine::Error>) {
        self.pull_key(wish).map_or((Pull::NotAsked, None), |key| {
            self.ctx.executor.watched().pull(&key)
        })
    }

    fn pull_key(&self, wish: &Wish) -> Option<String> {
        match &wish.desired.template {
            Template::Known(prototype) => {
                let image = &prototype.spec.image;
                Some(pull_key(
                    &self.id.owner,
                    image,
                    &wish.resolution.pull_fingerprints(),
                ))
            }
            Template::Blocked(_) => None,
        }
    }

    /// Step 6, with the bytes that it needs, and the looks that it makes necessary.
    async fn execute(&self, wish: &Wish, plan: &Plan) -> Result<Vec<Report>, Error> {
        let supplies = self.supplies(wish, plan);
        let (reports, touched) = self.ctx.executor.run(&self.id.owner, plan, supplies).await;
        publish::log(&self.id.owner, &reports);
        audit_lines::tell(self, &wish.resolution, plan, &reports);
        self.note_checks(&reports);
        for id in touched {
            self.ctx.host.refresh(&id).await?;
        }
        // A pull serves the containers that were made after it; the next ones ask the registry again.
        if reports
            .iter()
            .any(|r| r.verb == "create" && r.outcome == Outcome::Done)
            && let Some(key) = self.pull_key(wish)
        {
            self.ctx.executor.watched().forget(&key);
        }
        match reports.iter().find_map(|r| match &r.outcome {
            Outcome::Failed(error) if error.kind == Kind::Unreachable => Some(error.clone()),
            _ => None,
        }) {
            Some(error) => Err(error.into()),
            None => Ok(reports),
        }
    }

    /// What was compared is due again later, and what was changed soon.
    fn note_checks(&self, reports: &[Report]) {
        let (checks, uid, now) = (&self.ctx.checks, &self.id.owner.uid, self.ctx.clock.now());
        if reports.iter().any(|r| r.verb == "check") {
            checks.done(uid, now);
        }
        if reports.iter().any(|r| r.verb == "deliver") {
            checks.changed(uid, now);
        }
        for property in self.ctx.executor.files().take_drifts() {
            self.ctx.metrics.drifted(property);
        }
    }

    fn supplies(&self, wish: &Wish, plan: &Plan) -> Supplies {
        let Some(valid) = &wish.valid else {
            return Supplies::default();
        };
        let opener = self.ctx.ring.opener();
        let mut supplies = Supplies::default();
        if plan.needs_bytes() {
            let source = &*self.ctx.shelves;
            supplies.env = resolve::resolve(
                &valid.deployment,
                LOCAL_HOST,
                source,
                &opener,
                resolve::Want::Bytes,
                wish.at,
            )
            .1;
        }
        if plan.actions().any(|a| matches!(a, plan::Action::Pull { .. })) {
            supplies.credential = self.login(wish, valid, &opener);
            supplies.credentials = wish.resolution.pull_fingerprints();
        }
        supplies
    }

    /// The credential for the image's registry: of its own secrets, else of the host where that is asked for.
    fn login(&self, wish: &Wish, valid: &Validated, opener: &Opener) -> Option<Login> {
        let registry = valid.parsed.image.registry.clone();
        let own = pull::credentials(&valid.deployment, &registry, &*self.ctx.shelves, opener, wish.at);
        if let Some(own) = own.credential {
            return Some(futures::future::ready(Ok(Some(own))).boxed());
        }
        valid
            .deployment
            .spec
            .template
            .spec
            .use_host_credentials?
            .then(|| {
                let host = self.ctx.options.host_credentials.clone();
                let login = async move {
                    host.find(&registry).await.map_err(|error| {
                        let (op, kind) = (Op::PullImage, Kind::RegistryDenied);
                        engine::Error::new(op, registry, kind, error.to_string())
                    })
                };
                login.boxed()
            })
    }
}

/// Whether the object asks to be left alone.
#[must_use]
pub(super) fn annotated(object: &DynamicObject, key: &str, value: &str) -> bool {
    object
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(key))
        .is_some_and(|found| found == value)
}

/// Annotation that suspends.
pub(super) const SUSPEND: &str = keys::annotation::SUSPEND;
