//! Networks and the places on them.

use supercargo::{
    engine::{Containers, Kind, Networks},
    state::{
        container::{ContainerId, RunState},
        network::NetworkSpec,
    },
};

use super::lab::{Lab, join, kind_of};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub async fn a_network_is_listed_with_its_subnet_and_labels(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let all = lab.engine().list_networks().await.unwrap();
    assert!(all.contains(&network), "{all:?}");
    assert!(
        all.iter()
            .any(|other| other.name == "bridge" && !other.subnets.is_empty()),
        "{all:?}"
    );
}

pub async fn a_name_is_one_networks(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let mut free = lab.network("other", 24).await;
    lab.engine().remove_network(&free.id).await.unwrap();
    let subnet = free.subnets.remove(0);
    let again = NetworkSpec {
        name: network.name.clone(),
        subnet,
        labels: network.labels.clone(),
    };
    assert_eq!(kind_of(lab.engine().create_network(&again).await), Kind::Conflict);
    let all = lab.engine().list_networks().await.unwrap();
    assert_eq!(all.iter().filter(|other| other.name == network.name).count(), 1);
}

pub async fn an_overlapping_subnet_is_refused(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let inside = network.subnets[0].replace(".0/24", ".128/25");
    let spec = NetworkSpec {
        name: lab.name("other"),
        subnet: inside,
        labels: lab.labels(),
    };
    assert_eq!(
        kind_of(lab.engine().create_network(&spec).await),
        Kind::AddressSpace
    );
    let nonsense = NetworkSpec {
        subnet: "10.0.0.300/24".into(),
        ..spec
    };
    assert_eq!(
        kind_of(lab.engine().create_network(&nonsense).await),
        Kind::Invalid
    );
}

pub async fn a_network_in_use_is_not_removed_until_it_is_not(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let mut spec = lab.spec("c");
    spec.network = join(&network, &["a"]);
    let id = lab.running(&spec).await;
    assert_eq!(
        kind_of(lab.engine().remove_network(&network.id).await),
        Kind::NetworkInUse
    );
    lab.kill(&id).await;
    lab.becomes(&id, RunState::Exited).await;
    lab.engine().remove_network(&network.id).await.unwrap();
    lab.engine().remove_network(&network.id).await.unwrap();
}

pub async fn a_container_is_reached_by_its_aliases_and_no_other_names_are_shown(lab: &impl Lab) {
    let network = lab.network("n", 24).await;
    let mut spec = lab.spec("c");
    spec.network = join(&network, &["web", "web.shop"]);
    let id = lab.create(&spec).await.unwrap();
    let aliases = async || lab.view(&id).await.networks[&network.name].aliases.clone();
    assert_eq!(aliases().await, names(&["web", "web.shop"]));
    lab.engine().start_container(&id).await.unwrap();
    assert_eq!(aliases().await, names(&["web", "web.shop"]));
    assert_eq!(lab.view(&id).await.networks.len(), 1);
}

pub async fn connecting_twice_conflicts_and_disconnecting_twice_does_not(lab: &impl Lab) {
    let engine = lab.engine();
    let (home, network) = (lab.network("home", 24).await, lab.network("n", 24).await);
    let mut spec = lab.spec("c");
    spec.network = join(&home, &[]);
    let id = lab.running(&spec).await;
    engine
        .connect_network(&network.id, &id, &names(&["a", "b"]))
        .await
        .unwrap();
    let place = lab.view(&id).await.networks[&network.name].clone();
    assert_eq!(place.aliases, names(&["a", "b"]));
    assert!(!place.ip.is_empty());
    assert_eq!(
        kind_of(engine.connect_network(&network.id, &id, &[]).await),
        Kind::Conflict
    );
    engine.disconnect_network(&network.id, &id).await.unwrap();
    assert!(!lab.view(&id).await.networks.contains_key(&network.name));
    engine.disconnect_network(&network.id, &id).await.unwrap();
    // To a container that does not run, connecting again is a success that changes nothing.
    lab.kill(&id).await;
    lab.becomes(&id, RunState::Exited).await;
    engine
        .connect_network(&network.name, &id, &names(&["a"]))
        .await
        .unwrap();
    engine
        .connect_network(&network.name, &id, &names(&["b"]))
        .await
        .unwrap();
    assert_eq!(lab.view(&id).await.networks[&network.name].aliases, names(&["a"]));
    engine.disconnect_network(&network.name, &id).await.unwrap();
    engine.disconnect_network(&network.name, &id).await.unwrap();
    let absent = ContainerId::new("ab".repeat(32));
    engine.disconnect_network(&network.id, &absent).await.unwrap();
    assert_eq!(
        kind_of(engine.connect_network(&network.id, &absent, &[]).await),
        Kind::NotFound
    );
    engine.remove_network(&network.id).await.unwrap();
    assert_eq!(
        kind_of(engine.connect_network(&network.id, &id, &[]).await),
        Kind::NotFound
    );
}

pub async fn a_full_subnet_fails_the_start(lab: &impl Lab) {
    // Of four addresses, the gateway and one container have one each.
    let network = lab.network("n", 30).await;
    let spec = |name: &str| {
        let mut spec = lab.spec(name);
        spec.network = join(&network, &[]);
        spec
    };
    let first = lab.running(&spec("a")).await;
    let second = lab.create(&spec("b")).await.unwrap();
    assert_eq!(
        kind_of(lab.engine().start_container(&second).await),
        Kind::AddressSpace
    );
    lab.engine().remove_container(&first, true).await.unwrap();
    lab.engine().start_container(&second).await.unwrap();
}
