//! The volumes with the program that sets protected variables: made before the first holder that has one, which fills it, and
//! gone when nobody has it any more. Which container has which is `plan`'s. Called by [`super::files`], one at a time.

use std::collections::BTreeMap;

use super::Run;
use crate::{
    api::keys::label,
    engine::{self, Engine, Kind, LabelFilter},
    state::volume::Volume,
};

impl<E: Engine> Run<'_, E> {
    /// Makes the volume unless it is there. It is empty until a container of our image is made with it.
    pub(super) async fn ensure_program(&self, name: &str) -> engine::Result<()> {
        let instance = self.owner.instance.as_str().to_owned();
        let keys = [label::INSTANCE, label::PROGRAM];
        let volume = Volume {
            name: name.to_owned(),
            labels: keys
                .map(|key| (key.to_owned(), instance.clone()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            memory: None,
        };
        self.engine().create_volume(&volume).await
    }

    /// Removes those of all versions that no container has. A holder that goes is the last moment at which one may become
    /// free: containers go before theirs.
    pub(super) async fn sweep_programs(&self) -> engine::Result<()> {
        let _turn = self.executor.programs.lock().await;
        let filter = LabelFilter {
            key: label::PROGRAM.to_owned(),
            value: self.owner.instance.as_str().to_owned(),
        };
        for volume in self.engine().list_volumes(&filter).await? {
            match self.engine().remove_volume(&volume.name).await {
                Err(error) if error.kind == Kind::Conflict => {}
                other => other?,
            }
        }
        Ok(())
    }
}
