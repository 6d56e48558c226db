//! Docker's named volumes: local ones without options. Those that secrets are delivered in are another room's.

use ::bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};

use super::{Docker, daemon::by_label, limit};
use crate::{
    engine::{LabelFilter, Op, Result, Volumes},
    state::volume::Volume,
};

impl Volumes for Docker {
    async fn list_volumes(&self, filter: &LabelFilter) -> Result<Vec<Volume>> {
        let options = ListVolumesOptionsBuilder::default()
            .filters(&by_label(filter))
            .build();
        let found = self
            .ask(Op::ListVolumes, "", self.api.list_volumes(Some(options)))
            .await?;
        let volumes = found.volumes.unwrap_or_default().into_iter();
        Ok(volumes
            .map(|volume| Volume {
                name: volume.name,
                labels: volume.labels.into_iter().collect(),
            })
            .collect())
    }

    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: Some("local".to_owned()),
            labels: Some(volume.labels.clone().into_iter().collect()),
            ..Default::default()
        };
        let call = self.api.create_volume(request);
        self.tell(Op::CreateVolume, &volume.name, limit(Op::CreateVolume), call)
            .await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = self.api.remove_volume(name, None::<RemoveVolumeOptions>);
        self.tell(Op::RemoveVolume, name, limit(Op::RemoveVolume), call)
            .await
    }
}
