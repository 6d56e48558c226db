//! Makes and removes a namespace's agent: with its image, whoever asks first, and never touching a container that is not
//! one. What an agent is and when it is needed is `plan::agent`'s. Called by `execute` for its actions.

use super::{Outcome, Run, Skipped};
use crate::{
    api::keys::label,
    engine::{self, Engine, Kind},
    state::{
        container::{ContainerId, ContainerSpec, ContainerView, RunState},
        observed::is_agent,
        plaintext::SecretEnv,
    },
};

impl<E: Engine> Run<'_, E> {
    /// Finds the agent or makes it, and starts it unless it runs.
    pub(super) async fn ensure_agent(&self, spec: &ContainerSpec) -> engine::Result<Outcome> {
        let _turn = self.executor.agents.lock().await;
        let id = match self.engine().inspect_container(&spec.name).await {
            Ok(view) if !self.is_our_agent(&view) => return Ok(Outcome::Foreign { id: view.id }),
            Ok(view) if view.state == RunState::Running => {
                self.touch(&view.id);
                return Ok(Outcome::Skipped(Skipped::Running));
            }
            // Another version: the plan that saw it removes it first.
            Ok(view) if view.labels.get(label::AGENT) != spec.labels.get(label::AGENT) => {
                self.touch(&view.id);
                return Ok(Outcome::Skipped(Skipped::NotOurs));
            }
            Ok(view) => view.id,
            Err(error) if error.kind == Kind::NotFound => self.make_agent(spec).await?,
            Err(error) => return Err(error),
        };
        self.touch(&id);
        self.start(&id).await?;
        Ok(Outcome::Done)
    }

    /// Makes it; its image first where the engine has none.
    pub(super) async fn make_agent(&self, spec: &ContainerSpec) -> engine::Result<ContainerId> {
        let (engine, env) = (self.engine(), SecretEnv::new());
        match engine.create_container(spec, &env).await {
            Err(error) if error.kind == Kind::NotFound => {
                self.executor.program.bring(engine, &spec.image).await?;
                engine.create_container(spec, &env).await
            }
            other => other,
        }
    }

    /// Removes it, running or not: nothing in it is worth a signal.
    pub(super) async fn remove_agent(&self, id: &ContainerId) -> engine::Result<Outcome> {
        let _turn = self.executor.agents.lock().await;
        self.touch(id);
        match self.engine().inspect_container(id.as_str()).await {
            Ok(view) if self.is_our_agent(&view) => self.engine().remove_container(id, true).await?,
            Ok(_) => return Ok(Outcome::Skipped(Skipped::NotOurs)),
            // The chain goes on: what follows was waiting for it to be gone.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Outcome::Done)
    }

    fn is_our_agent(&self, view: &ContainerView) -> bool {
        is_agent(view)
            && view.label(label::INSTANCE) == self.owner.instance.as_str()
            && view.label(label::NAMESPACE) == self.owner.namespace
    }
}
