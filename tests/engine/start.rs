//! Starts, and the ways in which they fail.

use supercargo::{
    engine::{Containers, Kind, Networks},
    state::container::{Mount, MountSource, RunState},
};

use super::lab::{Lab, join, kind_of, published};

pub async fn starting_what_runs_changes_nothing(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    let before = lab.view(&id).await;
    lab.engine().start_container(&id).await.unwrap();
    assert_eq!(lab.view(&id).await, before);
}

pub async fn a_port_held_by_a_container_fails_the_start_and_not_the_next_one(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let port = lab.free_port().await;
    let spec = |name: &str| {
        let mut spec = lab.spec(name);
        spec.network = join(&network, &[]);
        spec.ports = vec![published(port)];
        spec
    };
    let holder = lab.running(&spec("holder")).await;
    let id = lab.create(&spec("c")).await.unwrap();
    assert_eq!(kind_of(lab.engine().start_container(&id).await), Kind::PortTaken);
    let view = lab.view(&id).await;
    assert_eq!(
        (view.state, view.exit, view.started_at),
        (RunState::Created, None, None)
    );
    assert_eq!(view.networks[&network.name].ip, "");
    lab.engine().remove_container(&holder, true).await.unwrap();
    lab.engine().start_container(&id).await.unwrap();
    assert_eq!(lab.view(&id).await.state, RunState::Running);
}

pub async fn a_port_held_by_a_process_fails_the_start_and_not_the_next_one(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let port = lab.free_port().await;
    lab.occupy(port, true).await;
    let mut spec = lab.spec("c");
    spec.network = join(&network, &[]);
    spec.ports = vec![published(port)];
    let id = lab.create(&spec).await.unwrap();
    assert_eq!(kind_of(lab.engine().start_container(&id).await), Kind::PortTaken);
    assert_eq!(lab.view(&id).await.state, RunState::Created);
    lab.occupy(port, false).await;
    lab.engine().start_container(&id).await.unwrap();
    // A later start that fails leaves the end of the run before, but for an exit code of zero.
    for code in [0, 137] {
        if code == 0 {
            lab.has_spoken(&id).await;
            lab.engine().stop_container(&id, 30).await.unwrap();
        } else {
            lab.kill(&id).await;
        }
        let ended = lab.becomes(&id, RunState::Exited).await.exit.unwrap();
        assert_eq!(ended.code, code);
        lab.occupy(port, true).await;
        assert_eq!(kind_of(lab.engine().start_container(&id).await), Kind::PortTaken);
        let exit = lab.view(&id).await.exit.unwrap();
        assert_eq!(exit.code, if code == 0 { 128 } else { code });
        assert_eq!(exit.finished_at, ended.finished_at);
        lab.occupy(port, false).await;
        lab.engine().start_container(&id).await.unwrap();
    }
}

pub async fn a_command_that_does_not_exist_is_named_as_such(lab: &impl Lab) {
    for (name, command) in [("a", "nosuch"), ("b", "/bin/nosuch")] {
        lab.lose_command(command).await;
        let mut spec = lab.spec(name);
        spec.cmd = Some(vec![command.to_owned()]);
        let id = lab.create(&spec).await.unwrap();
        let error = lab.engine().start_container(&id).await.unwrap_err();
        assert_eq!(error.kind, Kind::CommandNotRunnable, "{error}");
        assert!(error.message.contains(command), "{error}");
    }
}

pub async fn a_host_path_that_does_not_exist_is_refused_and_not_made(lab: &impl Lab) {
    let path = format!("/supercargo-test-{}/absent", lab.run());
    lab.lose_path(&path).await;
    let mut spec = lab.spec("c");
    let source = MountSource::HostPath(path.clone());
    spec.mounts = vec![Mount {
        target: "/x".into(),
        read_only: true,
        source,
    }];
    assert_eq!(kind_of(lab.create(&spec).await), Kind::HostPathMissing);
    lab.lose_path(&path).await;
}

pub async fn a_start_without_its_network_is_not_found(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let mut spec = lab.spec("c");
    spec.network = join(&network, &["a"]);
    let id = lab.create(&spec).await.unwrap();
    // A container that does not run is no reason to keep a network.
    lab.engine().remove_network(&network.id).await.unwrap();
    assert_eq!(kind_of(lab.engine().start_container(&id).await), Kind::NotFound);
}

pub async fn an_address_is_given_at_start_and_back_at_the_end(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let mut spec = lab.spec("c");
    spec.network = join(&network, &["a"]);
    let id = lab.create(&spec).await.unwrap();
    assert_eq!(lab.view(&id).await.networks[&network.name].ip, "");
    lab.engine().start_container(&id).await.unwrap();
    let ip = lab.view(&id).await.networks[&network.name].ip.clone();
    assert!(ip.ends_with(".2"), "{ip}");
    lab.kill(&id).await;
    lab.becomes(&id, RunState::Exited).await;
    assert_eq!(lab.view(&id).await.networks[&network.name].ip, "");
    let mut other = lab.spec("other");
    other.network = join(&network, &[]);
    let other = lab.running(&other).await;
    assert_eq!(
        lab.view(&other).await.networks[&network.name].ip,
        ip,
        "the lowest free address is given again"
    );
}
