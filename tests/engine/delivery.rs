//! Volumes in memory that files are delivered into: whose they are, how long their content lives, who sees it.

use futures::StreamExt;
use supercargo::{
    delivery::{parcel::Parcel, receipt::Receipt},
    engine::{Commands, Containers, Files, Kind, LogChunk, Result, Volumes},
    state::{
        container::{ContainerId, ContainerSpec, Mount, MountSource, RunState},
        files::FileUser,
        volume::{Memory, Volume},
    },
};
use tokio::io::AsyncWriteExt;

use super::lab::{Lab, kind_of};

/// Where the volume is in the containers of these cases.
pub const TARGET: &str = "/run/secrets/db";

pub fn volume(lab: &impl Lab) -> Volume {
    Volume {
        name: lab.name("v"),
        labels: lab.labels(),
        memory: Some(Memory {
            size: 1 << 20,
            inodes: 256,
            user: FileUser { uid: 1234, gid: 2345 },
            mode: 0o710,
            noswap: false,
        }),
    }
}

/// As tight as a holder is.
pub fn holder(lab: &impl Lab, suffix: &str, volume: &Volume) -> ContainerSpec {
    let mut spec = lab.spec(suffix);
    spec.user = Some("1234:2345".into());
    spec.read_only_rootfs = true;
    spec.no_new_privileges = true;
    spec.cap_drop = vec!["ALL".into()];
    spec.limits.memory = Some(32 << 20);
    spec.pids = Some(16);
    spec.mounts = vec![Mount {
        target: TARGET.into(),
        read_only: false,
        source: MountSource::Files(volume.name.clone()),
    }];
    spec
}

pub fn consumer(lab: &impl Lab, suffix: &str, volume: &Volume) -> ContainerSpec {
    let mut spec = holder(lab, suffix, volume);
    spec.mounts[0].read_only = true;
    spec
}

/// Runs `deliver` in a holder: the receipt, and what it says of a failure.
pub async fn deliver(
    engine: &impl Commands,
    id: &ContainerId,
    parcel: &Parcel,
) -> Result<(Option<Receipt>, String)> {
    let command = ["/supercargo".to_owned(), "deliver".to_owned()];
    let mut session = engine.attach(id, &command).await?;
    session.input.write_all(&parcel.to_bytes()).await.unwrap();
    session.input.shutdown().await.unwrap();
    let (mut answer, mut said) = (Vec::new(), Vec::new());
    while let Some(chunk) = session.output.next().await {
        match chunk? {
            LogChunk::Stdout(bytes) => answer.extend_from_slice(&bytes),
            LogChunk::Stderr(bytes) => said.extend_from_slice(&bytes),
        }
    }
    let receipt = (!answer.is_empty()).then(|| serde_json::from_slice(&answer).unwrap());
    Ok((receipt, String::from_utf8(said).unwrap()))
}

pub async fn a_volume_in_memory_is_its_users_and_keeps_its_first_options(lab: &impl Lab) {
    let volume = volume(lab);
    lab.engine().create_volume(&volume).await.unwrap();
    let mut other = volume.clone();
    other.memory = Some(Memory {
        user: FileUser { uid: 1, gid: 1 },
        mode: 0o755,
        ..volume.memory.clone().unwrap()
    });
    lab.engine().create_volume(&other).await.unwrap();
    let id = lab.running(&holder(lab, "holder", &volume)).await;
    assert_eq!(lab.shape(&id, TARGET).await, "tmpfs 1234:2345 710");
    let listed = lab.engine().list_volumes(&lab.filter()).await.unwrap();
    assert_eq!(
        listed,
        [Volume {
            memory: None,
            ..volume.clone()
        }]
    );
    assert_eq!(
        kind_of(lab.engine().remove_volume(&volume.name).await),
        Kind::Conflict
    );
}

pub async fn content_is_seen_by_all_who_mount_it_and_gone_with_the_last_of_them(lab: &impl Lab) {
    let engine = lab.engine();
    let volume = volume(lab);
    engine.create_volume(&volume).await.unwrap();
    let holder = lab.running(&holder(lab, "holder", &volume)).await;
    let consumer = lab.running(&consumer(lab, "consumer", &volume)).await;
    let data = format!("{TARGET}/..data");
    let seen = async |id: &ContainerId| engine.read_link(id, &data).await.unwrap();
    assert_eq!((seen(&holder).await, seen(&consumer).await), (None, None));
    lab.fill(&holder, TARGET).await;
    let current = Some("..g.1".to_owned());
    assert_eq!(
        (seen(&holder).await, seen(&consumer).await),
        (current.clone(), current.clone())
    );
    let told = engine.read_link(&consumer, &format!("{TARGET}/..told")).await;
    assert_eq!(told.unwrap().as_deref(), Some("g"));
    let file = engine.read_link(&consumer, &format!("{TARGET}/password")).await;
    assert_eq!(file.unwrap(), Some(format!("{TARGET}/..g.1/password")));
    // One of the two always runs.
    for id in [&consumer, &holder, &consumer] {
        lab.kill(id).await;
        lab.becomes(id, RunState::Exited).await;
        engine.start_container(id).await.unwrap();
        assert_eq!(
            (seen(&holder).await, seen(&consumer).await),
            (current.clone(), current.clone())
        );
    }
    for id in [&holder, &consumer] {
        lab.kill(id).await;
        lab.becomes(id, RunState::Exited).await;
    }
    for id in [&consumer, &holder] {
        engine.start_container(id).await.unwrap();
        assert_eq!(seen(id).await, None, "nobody held it");
    }
    assert_eq!(lab.shape(&holder, TARGET).await, "tmpfs 1234:2345 710");
}

pub async fn a_mount_that_the_kernel_refuses_fails_the_first_start_as_such(lab: &impl Lab) {
    let engine = lab.engine();
    let mut volume = volume(lab);
    // The largest number is nobody's.
    volume.memory.as_mut().unwrap().user.uid = u32::MAX;
    engine.create_volume(&volume).await.unwrap();
    let id = lab.create(&holder(lab, "holder", &volume)).await.unwrap();
    let error = engine.start_container(&id).await.unwrap_err();
    assert_eq!(error.kind, Kind::MountRefused, "{error}");
    assert_eq!(lab.view(&id).await.state, RunState::Created);
    engine.remove_container(&id, true).await.unwrap();
    engine.remove_volume(&volume.name).await.unwrap();
    volume.memory.as_mut().unwrap().user.uid = 1234;
    engine.create_volume(&volume).await.unwrap();
    lab.running(&holder(lab, "holder", &volume)).await;
}

pub async fn a_volume_that_nobody_made_is_on_the_disk(lab: &impl Lab) {
    let volume = volume(lab);
    let mut spec = holder(lab, "holder", &volume);
    spec.user = None;
    let id = lab.running(&spec).await;
    assert_eq!(lab.shape(&id, TARGET).await, "disk 0:0 755");
    lab.engine().remove_container(&id, true).await.unwrap();
    lab.engine().remove_volume(&volume.name).await.unwrap();
}
