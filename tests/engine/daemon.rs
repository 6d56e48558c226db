//! The engine itself and its events.

use supercargo::{
    engine::{Containers, Daemon, Event, Networks},
    state::container::ContainerId,
};

use super::lab::{Lab, RUN, next_of};

pub async fn the_engine_says_what_it_is(lab: &impl Lab) {
    lab.engine().ping().await.unwrap();
    let info = lab.engine().info().await.unwrap();
    assert!(
        info.version.contains('.') && info.api_version.starts_with("1."),
        "{info:?}"
    );
    assert!(
        info.platform.starts_with("linux/") && info.root_dir.starts_with('/'),
        "{info:?}"
    );
    assert!(!info.name.is_empty() && info.kernel.contains('.'), "{info:?}");
}

pub async fn events_arrive_in_order_with_labels_and_of_ours_alone(lab: &impl Lab) {
    let mut events = lab.engine().events(&lab.filter()).await.unwrap();
    lab.foreign("foreign").await;
    let id = lab.running(&lab.spec("c")).await;
    lab.has_spoken(&id).await;
    lab.pause(&id).await;
    lab.engine().unpause_container(&id).await.unwrap();
    lab.engine().rename_container(&id, &lab.name("d")).await.unwrap();
    lab.engine().stop_container(&id, 30).await.unwrap();
    lab.engine().remove_container(&id, false).await.unwrap();
    let expected = [
        "create", "start", "pause", "unpause", "rename", "kill", "die", "stop", "destroy",
    ];
    let mut seen: Vec<Event> = Vec::new();
    while seen.last().is_none_or(|event| event.action != "destroy") {
        let event = next_of(&mut events).await;
        // Other cases connect and disconnect at the same time; those events have no labels.
        if !event.labels.is_empty() {
            seen.push(event);
        }
    }
    assert_eq!(
        seen.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(),
        expected
    );
    for event in &seen {
        assert_eq!(event.container.as_ref(), Some(&id));
        assert_eq!(event.labels.get(RUN).map(String::as_str), Some(lab.run()));
    }
    let die = seen.iter().find(|event| event.action == "die").unwrap();
    assert_eq!(die.labels.get("exitCode").map(String::as_str), Some("0"));
    assert!(seen.is_sorted_by_key(|event| event.at));
}

pub async fn a_network_event_names_its_container(lab: &impl Lab) {
    let (home, network) = (lab.network("home", 24).await, lab.network("n", 24).await);
    let mut spec = lab.spec("c");
    spec.network = super::lab::join(&home, &[]);
    let id = lab.running(&spec).await;
    let mut events = lab.engine().events(&lab.filter()).await.unwrap();
    lab.engine().connect_network(&network.id, &id, &[]).await.unwrap();
    lab.engine().disconnect_network(&network.id, &id).await.unwrap();
    let mut of_ours = async |id: &ContainerId| loop {
        let event = next_of(&mut events).await;
        if event.container.as_ref() == Some(id) {
            return event;
        }
    };
    for action in ["connect", "disconnect"] {
        let event = of_ours(&id).await;
        assert_eq!((event.action.as_str(), event.labels.is_empty()), (action, true));
    }
}
