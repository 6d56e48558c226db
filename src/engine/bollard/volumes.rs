//! Docker's named volumes: local ones on the host's disk, or on a tmpfs that is mounted while a container with it runs.
//! What is in them is not looked at here: see `files`.

use ::bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};

use super::{Docker, daemon::by_label, limit};
use crate::{
    engine::{LabelFilter, Op, Result, Volumes},
    state::volume::{Memory, Volume},
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
                memory: None,
            })
            .collect())
    }

    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: Some("local".to_owned()),
            labels: Some(volume.labels.clone().into_iter().collect()),
            driver_opts: volume.memory.as_ref().map(tmpfs),
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

/// Options of the driver `local`: `mount -t tmpfs -o ...`. What it does not know fails the start of the first container.
fn tmpfs<M: FromIterator<(String, String)>>(memory: &Memory) -> M {
    let Memory {
        size,
        inodes,
        user,
        mode,
        noswap,
    } = memory;
    let noswap = if *noswap { ",noswap" } else { "" };
    let options = format!(
        "size={size},nr_inodes={inodes},uid={},gid={},mode={mode:04o},nosuid,nodev,noexec{noswap}",
        user.uid, user.gid
    );
    [("type", "tmpfs"), ("device", "tmpfs"), ("o", options.as_str())]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
}
