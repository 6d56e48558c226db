//! Names: who is among them, when, and in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Instant,
};

use supercargo::{agent::protocol::Member, state::probe::Probes};
use tokio::net::TcpStream;

use super::lab::{App, Lab, address, member, over, question};

#[tokio::test]
async fn a_name_follows_the_readiness_of_its_replicas() {
    let lab = Lab::new().await;
    let (first, second) = (App::new(200).await, App::new(503).await);
    let mut session = lab.session().await;
    session.set("web", &[first.member(), second.member()]).await;
    lab.until("web", &[first.address]).await;
    second.answers(200);
    lab.until("web.shop.svc.cluster.local", &[first.address, second.address])
        .await;
    first.answers(500);
    lab.until("WEB.shop", &[second.address]).await;
    second.answers(302);
    first.answers(204);
    lab.until("web.shop.svc", &[first.address, second.address]).await;
}

#[tokio::test]
async fn once_applied_no_answer_names_what_was_taken_out() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let members: Vec<Member> = (0..2).map(|_| member(address(), Probes::default())).collect();
    session.set("web", &members).await;
    for round in 0..300 {
        let out = &members[round % 2];
        let mut next = members.clone();
        next[round % 2].serving = false;
        // Lookups are under way when the order arrives; only those that begin after its word count.
        let busy: Vec<_> = (0..4).map(|_| lab.look("web")).collect();
        let (_, during) = tokio::join!(session.set("web", &next), futures::future::join_all(busy));
        assert!(
            during.iter().all(|answer| !answer.addresses.is_empty()),
            "never nobody"
        );
        for _ in 0..4 {
            let answer = lab.look("web").await;
            assert!(
                !answer.addresses.contains(&out.address),
                "round {round}: {answer:?}"
            );
            assert_eq!(answer.addresses.len(), 1);
        }
    }
}

#[tokio::test]
async fn first_addresses_spread_over_all_replicas() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let members: Vec<Member> = (0..4).map(|_| member(address(), Probes::default())).collect();
    session.set("web", &members).await;
    let mut firsts: BTreeMap<IpAddr, u32> = BTreeMap::new();
    for _ in 0..400 {
        // Clients ask for both kinds of address, which must not make one of the orders disappear.
        assert_eq!(lab.ask("web", 28).await.addresses, [] as [IpAddr; 0]);
        *firsts.entry(lab.look("web").await.addresses[0]).or_default() += 1;
    }
    assert!(
        firsts.len() == 4 && firsts.values().all(|count| (50..150).contains(count)),
        "{firsts:?}"
    );
}

#[tokio::test]
async fn a_deployment_with_nothing_ready_exists_and_is_nobody_elses_to_answer() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    session.set("web", &[]).await;
    let answer = lab.look("web").await;
    assert_eq!(
        (answer.code, answer.authoritative, answer.addresses.len()),
        (0, true, 0)
    );
}

#[tokio::test]
async fn an_address_of_one_kind_leaves_the_other_kind_empty() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    session
        .set("web", &[member("fd00::7".parse().unwrap(), Probes::default())])
        .await;
    let (four, six) = (lab.look("web").await, lab.ask("web", 28).await);
    assert_eq!((four.code, four.addresses.len()), (0, 0));
    assert_eq!(six.addresses, ["fd00::7".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_hundred_addresses_are_cut_in_a_datagram_and_whole_on_a_connection() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let members: Vec<Member> = (0..100).map(|_| member(address(), Probes::default())).collect();
    session.set("web", &members).await;
    let (cut, whole) = (lab.look("web").await, lab.look_over_tcp("web").await);
    assert!(
        cut.truncated && cut.addresses.len() == 30,
        "{}",
        cut.addresses.len()
    );
    assert!(!whole.truncated);
    let all: BTreeSet<IpAddr> = members.iter().map(|member| member.address).collect();
    assert_eq!(whole.set(), all);
}

#[tokio::test]
async fn one_connection_takes_many_questions_and_a_silent_one_keeps_nobody_waiting() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    session.set("web", &[member(address(), Probes::default())]).await;
    let silent: Vec<TcpStream> =
        futures::future::join_all((0..60).map(async |_| TcpStream::connect(lab.dns).await.unwrap())).await;
    let mut busy = TcpStream::connect(lab.dns).await.unwrap();
    for _ in 0..100 {
        assert_eq!(over(&mut busy, &question("web", 1)).await[7], 1);
    }
    assert_eq!(lab.look("web").await.addresses.len(), 1);
    drop(silent);
}

#[tokio::test]
async fn an_agent_that_was_told_nothing_yet_waits_before_it_says_that_it_does_not_know() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let address = address();
    let members = [member(address, Probes::default())];
    let (early, ()) = tokio::join!(lab.look("web"), session.set("web", &members));
    assert_eq!(early.addresses, [address]);
    let began = Instant::now();
    assert_eq!(lab.look("db.shop").await.code, 2, "it could not be found out");
    assert!(began.elapsed().as_secs() >= 2);
    session.only(&["web"]).await;
    let began = Instant::now();
    lab.look("db.shop").await;
    println!("asked upstream, where nobody is: {:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_longer_a_deployment_is_somebody_elses_name() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    session.set("web", &[member(address(), Probes::default())]).await;
    session.only(&[]).await;
    session.set("db", &[]).await;
    assert_eq!(lab.look("web").await.code, 2, "there is no upstream");
}
