//! Named volumes.

use std::collections::BTreeMap;

use supercargo::{
    engine::{Containers, Files, Kind, Volumes},
    state::{
        container::{ContainerId, Mount, MountSource},
        volume::Volume,
    },
};

use super::lab::{Lab, kind_of};

pub async fn a_volume_is_made_once_and_listed_by_label(lab: &impl Lab) {
    let volume = Volume {
        name: lab.name("v"),
        labels: lab.labels(),
        memory: None,
    };
    lab.engine().create_volume(&volume).await.unwrap();
    let relabelled = Volume {
        labels: BTreeMap::new(),
        ..volume.clone()
    };
    lab.engine().create_volume(&relabelled).await.unwrap();
    assert_eq!(
        lab.engine().list_volumes(&lab.filter()).await.unwrap(),
        std::slice::from_ref(&volume)
    );
    lab.engine().remove_volume(&volume.name).await.unwrap();
    lab.engine().remove_volume(&volume.name).await.unwrap();
    assert_eq!(lab.engine().list_volumes(&lab.filter()).await.unwrap(), []);
}

pub async fn a_volume_in_use_is_not_removed(lab: &impl Lab) {
    let volume = Volume {
        name: lab.name("v"),
        labels: lab.labels(),
        memory: None,
    };
    lab.engine().create_volume(&volume).await.unwrap();
    let mut spec = lab.spec("c");
    let source = MountSource::Volume(volume.name.clone());
    spec.mounts = vec![Mount {
        target: "/data".into(),
        read_only: false,
        source,
    }];
    // Also by a container that has never run.
    let id = lab.create(&spec).await.unwrap();
    assert_eq!(
        kind_of(lab.engine().remove_volume(&volume.name).await),
        Kind::Conflict
    );
    lab.engine().remove_container(&id, true).await.unwrap();
    lab.engine().remove_volume(&volume.name).await.unwrap();
}

pub async fn an_empty_volume_is_filled_from_the_first_image_also_read_only_and_never_as_files(
    lab: &impl Lab,
) {
    let engine = lab.engine();
    let volume = Volume {
        name: lab.name("v"),
        labels: lab.labels(),
        memory: None,
    };
    engine.create_volume(&volume).await.unwrap();
    let with = |name: &str, target: &str, source: MountSource| {
        let mut spec = lab.spec(name);
        spec.mounts = vec![Mount {
            target: target.into(),
            read_only: true,
            source,
        }];
        spec
    };
    let as_files = |name| with(name, "/etc", MountSource::Files(volume.name.clone()));
    let id = lab.create(&as_files("files")).await.unwrap();
    let seen = |id, path: &'static str| engine_file(engine, id, path);
    assert_eq!(
        seen(id.clone(), "/etc/passwd").await,
        None,
        "of files nothing is copied"
    );
    let filling = with("filling", "/etc", MountSource::Volume(volume.name.clone()));
    lab.create(&filling).await.unwrap();
    let copied = seen(id, "/etc/passwd").await.unwrap();
    assert!(copied.starts_with(b"root:x:0:0:"));
    // Whatever the next ones have there, nothing is added.
    let other = with("other", "/elsewhere", MountSource::Volume(volume.name.clone()));
    let other = lab.create(&other).await.unwrap();
    assert_eq!(seen(other, "/elsewhere/passwd").await, Some(copied));
}

async fn engine_file<E: Files>(engine: &E, id: ContainerId, path: &str) -> Option<Vec<u8>> {
    engine.read_file(&id, path, 64 << 10).await.unwrap_or_default()
}
