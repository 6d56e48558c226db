//! Containers: names, lives and ends.

use futures::StreamExt;
use supercargo::{
    engine::{Containers, Kind, LogChunk, LogOptions},
    state::container::{ContainerId, Limits, RunState},
};

use super::lab::{Lab, kind_of};

pub async fn a_name_belongs_to_one_container(lab: &impl Lab) {
    let id = lab.create(&lab.spec("c")).await.unwrap();
    assert_eq!(kind_of(lab.create(&lab.spec("c")).await), Kind::Conflict);
    let view = lab.engine().inspect_container(&lab.name("c")).await.unwrap();
    assert_eq!(
        (view.id, view.name, view.state),
        (id, lab.name("c"), RunState::Created)
    );
    assert_eq!(
        (view.started_at, view.exit, view.restart_policy.as_str()),
        (None, None, "no")
    );
    assert_eq!(view.image, "supercargo-test/busybox:1");
    assert!(view.image_id.starts_with("sha256:"));
    assert_eq!(
        lab.labels()
            .iter()
            .find(|(key, value)| view.labels.get(*key) != Some(*value)),
        None
    );
}

pub async fn an_absent_image_is_not_found_and_not_pulled(lab: &impl Lab) {
    let mut spec = lab.spec("c");
    spec.image = format!("supercargo-test/absent-{}:1", lab.run());
    assert_eq!(kind_of(lab.create(&spec).await), Kind::NotFound);
}

pub async fn what_is_not_there_is_not_found_and_its_removal_a_success(lab: &impl Lab) {
    let engine = lab.engine();
    let id = ContainerId::new("ab".repeat(32));
    assert_eq!(
        kind_of(engine.inspect_container(id.as_str()).await),
        Kind::NotFound
    );
    assert_eq!(kind_of(engine.start_container(&id).await), Kind::NotFound);
    assert_eq!(kind_of(engine.stop_container(&id, 1).await), Kind::NotFound);
    assert_eq!(kind_of(engine.unpause_container(&id).await), Kind::NotFound);
    assert_eq!(
        kind_of(engine.rename_container(&id, &lab.name("x")).await),
        Kind::NotFound
    );
    assert_eq!(
        kind_of(engine.update_container(&id, &Limits::default()).await),
        Kind::NotFound
    );
    assert_eq!(
        kind_of(engine.logs(&id, &LogOptions::default()).await.map(|_| ())),
        Kind::NotFound
    );
    engine.remove_container(&id, false).await.unwrap();
    engine.remove_container(&id, true).await.unwrap();
}

pub async fn the_beginning_of_an_id_is_not_an_id(lab: &impl Lab) {
    let id = lab.create(&lab.spec("c")).await.unwrap();
    assert_eq!(
        kind_of(lab.engine().inspect_container(id.short()).await),
        Kind::NotFound
    );
}

async fn listed(lab: &impl Lab) -> Vec<ContainerId> {
    let found = lab.engine().list_containers(&lab.filter()).await.unwrap();
    found.into_iter().map(|one| one.id).collect()
}

async fn trace(lab: &impl Lab) -> String {
    let found = lab.engine().list_containers(&lab.filter()).await.unwrap();
    found.into_iter().map(|one| one.trace).collect()
}

pub async fn a_list_shows_that_a_container_has_run_again(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    let first = trace(lab).await;
    assert_eq!(trace(lab).await, first, "nothing has happened");
    lab.crash(&id).await;
    lab.becomes(&id, RunState::Exited).await;
    let ended = trace(lab).await;
    lab.engine().start_container(&id).await.unwrap();
    let again = trace(lab).await;
    assert!(
        first != ended && ended != again && first != again,
        "{first} {ended} {again}"
    );
}

pub async fn a_container_of_none_of_our_labels_is_not_listed(lab: &impl Lab) {
    let foreign = lab.foreign("foreign").await;
    let (a, b) = (
        lab.create(&lab.spec("a")).await.unwrap(),
        lab.running(&lab.spec("b")).await,
    );
    let mut found = listed(lab).await;
    let mut expected = vec![a, b];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    lab.engine().inspect_container(foreign.as_str()).await.unwrap();
}

pub async fn a_restarted_container_keeps_its_identity(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    let first = lab.view(&id).await;
    assert_eq!((first.state, &first.exit), (RunState::Running, &None));
    lab.crash(&id).await;
    let ended = lab.becomes(&id, RunState::Exited).await;
    let exit = ended.exit.unwrap();
    assert_eq!((exit.code, exit.oom_killed), (3, false));
    assert!(exit.finished_at >= first.started_at.unwrap());
    lab.engine().start_container(&id).await.unwrap();
    let second = lab.view(&id).await;
    assert_eq!((second.state, second.exit), (RunState::Running, None));
    assert!(second.started_at.unwrap() >= exit.finished_at);
    assert_eq!(
        (second.id, second.name, second.created_at),
        (first.id, first.name, first.created_at)
    );
}

pub async fn a_polite_program_ends_by_itself_when_stopped(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.has_spoken(&id).await;
    lab.engine().stop_container(&id, 30).await.unwrap();
    let view = lab.view(&id).await;
    assert_eq!(
        (view.state, view.exit.map(|exit| exit.code)),
        (RunState::Exited, Some(0))
    );
    lab.engine().stop_container(&id, 30).await.unwrap();
    let never = lab.create(&lab.spec("never")).await.unwrap();
    lab.engine().stop_container(&never, 30).await.unwrap();
    assert_eq!(lab.view(&never).await.state, RunState::Created);
}

pub async fn a_program_that_ignores_the_signal_is_killed_after_the_grace(lab: &impl Lab) {
    let mut spec = lab.spec("c");
    // The first process of a container ignores a signal that it has no handler for.
    spec.cmd = Some(vec!["sleep".into(), "60".into()]);
    let id = lab.running(&spec).await;
    lab.is_stubborn(&id).await;
    let start = tokio::time::Instant::now();
    lab.engine().stop_container(&id, 1).await.unwrap();
    assert!(start.elapsed().as_millis() >= 990, "{:?}", start.elapsed());
    let view = lab.view(&id).await;
    assert_eq!(
        (view.state, view.exit.map(|exit| exit.code)),
        (RunState::Exited, Some(137))
    );
}

pub async fn a_paused_container_is_thawed_by_unpause_and_by_stop(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.pause(&id).await;
    let view = lab.view(&id).await;
    assert_eq!((view.state, view.exit), (RunState::Paused, None));
    assert_eq!(kind_of(lab.engine().start_container(&id).await), Kind::Conflict);
    lab.engine().unpause_container(&id).await.unwrap();
    assert_eq!(lab.view(&id).await.state, RunState::Running);
    lab.engine().unpause_container(&id).await.unwrap();
    lab.pause(&id).await;
    lab.engine().stop_container(&id, 30).await.unwrap();
    let view = lab.view(&id).await;
    assert_eq!(
        (view.state, view.exit.map(|exit| exit.code)),
        (RunState::Exited, Some(0))
    );
}

pub async fn a_running_container_is_removed_by_force_alone(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    assert_eq!(
        kind_of(lab.engine().remove_container(&id, false).await),
        Kind::Conflict
    );
    assert_eq!(lab.view(&id).await.state, RunState::Running);
    lab.engine().remove_container(&id, true).await.unwrap();
    lab.engine().remove_container(&id, true).await.unwrap();
    assert_eq!(
        kind_of(lab.engine().inspect_container(id.as_str()).await),
        Kind::NotFound
    );
    lab.create(&lab.spec("c")).await.unwrap();
}

pub async fn two_removals_at_once_both_succeed(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    let remove = || lab.engine().remove_container(&id, true);
    for result in futures::future::join_all([remove(), remove(), remove()]).await {
        result.unwrap();
    }
}

pub async fn a_rename_keeps_the_id_and_refuses_a_taken_name(lab: &impl Lab) {
    let engine = lab.engine();
    let id = lab.running(&lab.spec("a")).await;
    lab.create(&lab.spec("b")).await.unwrap();
    assert_eq!(
        kind_of(engine.rename_container(&id, &lab.name("b")).await),
        Kind::Conflict
    );
    engine.rename_container(&id, &lab.name("a")).await.unwrap();
    engine.rename_container(&id, &lab.name("c")).await.unwrap();
    assert_eq!(engine.inspect_container(&lab.name("c")).await.unwrap().id, id);
    assert_eq!(
        kind_of(engine.inspect_container(&lab.name("a")).await),
        Kind::NotFound
    );
}

pub async fn a_log_has_both_streams_and_an_end(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.has_spoken(&id).await;
    lab.engine().stop_container(&id, 30).await.unwrap();
    let read = |options: LogOptions| {
        let id = id.clone();
        async move {
            let chunks: Vec<_> = lab
                .engine()
                .logs(&id, &options)
                .await
                .unwrap()
                .map(|c| c.unwrap())
                .collect()
                .await;
            chunks
        }
    };
    let mut all = read(LogOptions {
        follow: true,
        ..LogOptions::default()
    })
    .await;
    all.sort_by_key(|chunk| matches!(chunk, LogChunk::Stderr(_)));
    assert_eq!(
        all,
        [LogChunk::Stdout("out\n".into()), LogChunk::Stderr("err\n".into())]
    );
    assert_eq!(
        read(LogOptions {
            tail: Some(1),
            ..LogOptions::default()
        })
        .await
        .len(),
        1
    );
    assert_eq!(
        read(LogOptions {
            tail: Some(0),
            ..LogOptions::default()
        })
        .await,
        []
    );
}

pub async fn a_container_killed_by_hand_has_ended(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.kill(&id).await;
    let view = lab.becomes(&id, RunState::Exited).await;
    let exit = view.exit.unwrap();
    assert_eq!((exit.code, exit.oom_killed), (137, false));
}
