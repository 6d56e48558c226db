//! Files inside containers, and signals: what reaches a program or is read of it without a program in the image.

use supercargo::{
    engine::{Containers, Files, Kind},
    state::container::{ContainerId, RunState},
};

use super::lab::{LISTENER, Lab, kind_of};

pub async fn a_signal_reaches_the_program_and_needs_one_that_runs(lab: &impl Lab) {
    let engine = lab.engine();
    let mut spec = lab.spec("c");
    spec.cmd = Some(vec!["sh".into(), "-c".into(), LISTENER.into()]);
    let id = lab.create(&spec).await.unwrap();
    assert_eq!(
        kind_of(engine.signal_container(&id, "SIGHUP").await),
        Kind::Conflict
    );
    engine.start_container(&id).await.unwrap();
    lab.has_spoken(&id).await;
    engine.signal_container(&id, "SIGHUP").await.unwrap();
    lab.has_heard_hup(&id).await;
    assert_eq!(lab.view(&id).await.state, RunState::Running);
    for nonsense in ["SIGNOSUCH", "0", "", "SIGHUP "] {
        assert_eq!(
            kind_of(engine.signal_container(&id, nonsense).await),
            Kind::Invalid,
            "{nonsense:?}"
        );
    }
    engine.signal_container(&id, "SIGTERM").await.unwrap();
    let view = lab.becomes(&id, RunState::Exited).await;
    assert_eq!(view.exit.map(|exit| exit.code), Some(0));
    assert_eq!(
        kind_of(engine.signal_container(&id, "SIGHUP").await),
        Kind::Conflict
    );
    let nobody = ContainerId::new("ab".repeat(32));
    assert_eq!(
        kind_of(engine.signal_container(&nobody, "SIGHUP").await),
        Kind::NotFound
    );
}

pub async fn a_signal_thaws_a_paused_container(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.pause(&id).await;
    lab.engine().signal_container(&id, "SIGHUP").await.unwrap();
    lab.becomes(&id, RunState::Running).await;
}

pub async fn a_file_of_the_image_is_read_from_a_container_that_never_ran(lab: &impl Lab) {
    let engine = lab.engine();
    let id = lab.create(&lab.spec("c")).await.unwrap();
    let users = engine
        .read_file(&id, "/etc/passwd", 64 << 10)
        .await
        .unwrap()
        .unwrap();
    assert!(users.starts_with(b"root:x:0:0:"), "{users:?}");
    let most = users.len() as u64;
    assert_eq!(
        engine.read_file(&id, "/etc/passwd", most).await.unwrap(),
        Some(users)
    );
    let error = engine.read_file(&id, "/etc/passwd", most - 1).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    assert!(error.message.contains("/etc/passwd"), "{error}");
    for absent in ["/etc/nosuch", "/nosuch/passwd", "/etc/passwd/x"] {
        assert_eq!(
            engine.read_file(&id, absent, 1 << 10).await.unwrap(),
            None,
            "{absent}"
        );
        assert_eq!(engine.read_link(&id, absent).await.unwrap(), None, "{absent}");
    }
    assert_eq!(engine.read_link(&id, "/etc/passwd").await.unwrap(), None);
    assert_eq!(lab.view(&id).await.state, RunState::Created);
    let nobody = ContainerId::new("ab".repeat(32));
    assert_eq!(
        kind_of(engine.read_file(&nobody, "/etc/passwd", 1 << 10).await),
        Kind::NotFound
    );
    assert_eq!(
        kind_of(engine.read_link(&nobody, "/etc/passwd").await),
        Kind::NotFound
    );
}

pub async fn a_link_is_told_by_its_end_and_followed_to_a_file(lab: &impl Lab) {
    let engine = lab.engine();
    let id = lab.running(&lab.spec("c")).await;
    lab.has_spoken(&id).await;
    for (link, target) in [
        ("/tmp/users", "/etc/passwd"),
        ("/tmp/more", "users"),
        ("/tmp/..data", "..gone.1"),
        ("/tmp/round", "about"),
        ("/tmp/about", "round"),
    ] {
        lab.link(&id, link, target).await;
    }
    let read = async |path: &str| engine.read_link(&id, path).await.unwrap();
    assert_eq!(read("/tmp/users").await.as_deref(), Some("/etc/passwd"));
    assert_eq!(read("/tmp/more").await.as_deref(), Some("/etc/passwd"));
    assert_eq!(
        read("/tmp/..data").await.as_deref(),
        Some("..gone.1"),
        "also when nothing is there"
    );
    let users = engine
        .read_file(&id, "/tmp/more", 1 << 10)
        .await
        .unwrap()
        .unwrap();
    assert!(users.starts_with(b"root:"));
    assert_eq!(engine.read_file(&id, "/tmp/..data", 1 << 10).await.unwrap(), None);
    assert_eq!(
        kind_of(engine.read_file(&id, "/tmp/round", 1 << 10).await),
        Kind::Invalid
    );
    assert_eq!(kind_of(engine.read_link(&id, "/tmp/round").await), Kind::Invalid);
}
