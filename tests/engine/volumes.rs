//! Named volumes.

use std::collections::BTreeMap;

use supercargo::{
    engine::{Containers, Kind, Volumes},
    state::{
        container::{Mount, MountSource},
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
